//! Files that say which versions of which packages are installed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::version::Ecosystem;
use crate::{Broken, Limits, Problems, Read, bounded, json, text};

/// Longest name of a package, in bytes; registries allow 214.
const NAME_BYTES: usize = 300;

/// A package in one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Where it comes from.
    pub ecosystem: Ecosystem,
    /// Its name, in the ecosystem's one spelling.
    pub name: String,
    /// As written.
    pub version: String,
    /// The file that says so.
    pub file: String,
    /// The line that says so, from 1, where it can be told.
    pub line: Option<u32>,
}

/// Formats of such files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockFormat {
    /// `package-lock.json` or `npm-shrinkwrap.json`, version 2 or 3.
    Npm,
    /// pip's requirements; those of exactly one version count.
    Requirements,
}

impl LockFormat {
    /// The format of a file, by its name.
    pub fn of_file(path: &str) -> Option<Self> {
        match path.rsplit('/').next()? {
            "package-lock.json" | "npm-shrinkwrap.json" => Some(Self::Npm),
            name if name.starts_with("requirements") && name.ends_with(".txt") => Some(Self::Requirements),
            _ => None,
        }
    }
}

/// Reads the packages that a file fixes. What it leaves open is a problem.
///
/// # Errors
/// When the file is beyond the limits, or not of its format.
pub fn read(
    format: LockFormat,
    file: &str,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Read<Vec<Package>>, Broken> {
    let mut list = List {
        file,
        limits,
        packages: BTreeSet::new(),
        problems: Problems::default(),
    };
    match format {
        LockFormat::Npm => npm(bytes, &mut list)?,
        LockFormat::Requirements => requirements(bytes, &mut list)?,
    }
    Ok(list.problems.with(list.packages.into_iter().collect()))
}

struct List<'a> {
    file: &'a str,
    limits: &'a Limits,
    packages: BTreeSet<Package>,
    problems: Problems,
}

impl List<'_> {
    /// Whether there is room for one more.
    fn has_room(&mut self) -> bool {
        let has_room = self.packages.len() < self.limits.elements;
        if !has_room {
            let most = self.limits.elements;
            self.problems.add(format!(
                "only the first {most} packages of {} are read",
                self.file
            ));
        }
        has_room
    }

    fn add(&mut self, ecosystem: Ecosystem, name: &str, version: &str, line: Option<usize>) {
        if name.is_empty() || name.len() > NAME_BYTES || ecosystem.version(version).is_none() {
            let what = self.short(&format!("{name} {version}"));
            self.problems
                .add(format!("{}: no package and version: {what}", self.file));
            return;
        }
        self.packages.insert(Package {
            ecosystem,
            name: ecosystem.package(name),
            version: version.trim().to_owned(),
            file: self.file.to_owned(),
            line: line.and_then(|line| u32::try_from(line).ok()),
        });
    }

    fn short(&self, what: &str) -> String {
        text::line(
            what,
            &Limits {
                text_chars: 100,
                ..*self.limits
            },
        )
    }
}

#[derive(Deserialize)]
struct NpmLock {
    #[serde(default)]
    packages: Option<BTreeMap<String, NpmPackage>>,
}

#[derive(Deserialize)]
struct NpmPackage {
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    link: bool,
}

fn npm(bytes: &[u8], list: &mut List<'_>) -> Result<(), Broken> {
    const FORMAT: &str = "an npm lock file of version 2 or 3";
    const FOLDER: &str = "node_modules/";
    let lock: NpmLock = json(bytes, FORMAT, list.limits)?;
    let packages = lock.packages.ok_or_else(|| Broken::Malformed {
        format: FORMAT,
        detail: "there is no `packages`".into(),
    })?;
    let lines: BTreeMap<&str, usize> = std::str::from_utf8(bytes)
        .unwrap_or_default()
        .lines()
        .enumerate()
        .filter_map(|(i, line)| Some((line.trim().strip_prefix('"')?.strip_suffix("\": {")?, i + 1)))
        .collect();
    for (place, package) in packages {
        // The project itself and its workspaces are not installed from a registry.
        let Some((_, in_folder)) = place.rsplit_once(FOLDER) else {
            continue;
        };
        if package.link {
            continue;
        }
        if !list.has_room() {
            break;
        }
        let name = package.name.as_deref().unwrap_or(in_folder);
        let version = package.version.as_deref().unwrap_or_default();
        list.add(Ecosystem::Npm, name, version, lines.get(place.as_str()).copied());
    }
    Ok(())
}

fn requirements(bytes: &[u8], list: &mut List<'_>) -> Result<(), Broken> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        // No requirement is a valid list.
        return Ok(());
    }
    let all = String::from_utf8_lossy(bounded(bytes, list.limits)?);
    let mut continued = false;
    for (i, line) in all.lines().enumerate() {
        let is_first = !continued;
        continued = line.trim_end().ends_with('\\');
        let line = line.trim().trim_end_matches('\\');
        let line = line.split(" #").next().unwrap_or_default().trim();
        if !is_first || line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !list.has_room() {
            break;
        }
        // Markers say where it is installed, options such as hashes how.
        let requirement = line.split([';']).next().unwrap_or_default();
        let requirement = requirement.split(" --").next().unwrap_or_default().trim();
        match pinned(requirement) {
            Some((name, version)) => list.add(Ecosystem::PyPi, name, version, Some(i + 1)),
            // Options of the whole file, such as `--index-url`; `-r` and `-e` name more that is not seen here.
            None if line.starts_with("--") => (),
            None => {
                let what = list.short(line);
                list.problems
                    .add(format!("{}: not one fixed version: {what}", list.file));
            }
        }
    }
    Ok(())
}

/// Name and version of `name[extra]==1.2`.
fn pinned(requirement: &str) -> Option<(&str, &str)> {
    let (name, version) = requirement.split_once("==")?;
    let version = version.trim_start_matches('=').trim();
    let name = name.split('[').next()?.trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_one = !version.contains(['*', ',', '<', '>', '!', '~', ' ']);
    (!name.is_empty() && name.chars().all(is_name) && is_one).then_some((name, version))
}
