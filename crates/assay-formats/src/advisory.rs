//! Advisories in the OSV format (<https://ossf.github.io/osv-schema/>), and which packages they are about.

use std::collections::{BTreeMap, BTreeSet};

use assay_core::evidence::{Finding, Level};
use assay_core::exercise::CategoryId;
use serde::Deserialize;
use serde_json::Value;

use crate::lock::Package;
use crate::version::{Ecosystem, Version};
use crate::{Broken, Limits, Problems, Read, json, text};

mod cvss;

/// Name of the audit in findings and scoring rules.
pub const TOOL: &str = "osv";

/// Longest message of a finding, in characters.
const MESSAGE_CHARS: usize = 600;
/// Most findings of one submission.
const MOST: usize = 2_000;

/// One advisory. Fields that are not needed are not read.
#[derive(Debug, Clone, Deserialize)]
pub struct Advisory {
    id: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    details: String,
    withdrawn: Option<String>,
    #[serde(default)]
    severity: Vec<Severity>,
    #[serde(default)]
    affected: Vec<Affected>,
    #[serde(default)]
    database_specific: Value,
}

#[derive(Debug, Clone, Deserialize)]
struct Severity {
    #[serde(default)]
    score: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Affected {
    package: Option<Named>,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    severity: Vec<Severity>,
}

#[derive(Debug, Clone, Deserialize)]
struct Named {
    ecosystem: String,
    name: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Range {
    r#type: String,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Introduced(String),
    Fixed(String),
    LastAffected(String),
    Limit(String),
}

/// Reads one record.
///
/// # Errors
/// When it is empty, beyond the limits, or not an OSV record.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Advisory, Broken> {
    json(bytes, "an OSV record", limits)
}

impl Advisory {
    /// Ecosystem and name of each package that it is about, where the ecosystem is known here.
    pub fn packages(&self) -> impl Iterator<Item = (Ecosystem, String)> {
        self.affected.iter().filter_map(Affected::package)
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.id).chain(&self.aliases).map(String::as_str)
    }

    fn level(&self) -> Level {
        let named = match self.database_specific.get("severity").and_then(Value::as_str) {
            Some("CRITICAL" | "HIGH") => Some(Level::Error),
            Some("MODERATE" | "MEDIUM") => Some(Level::Warning),
            Some("LOW") => Some(Level::Note),
            _ => None,
        };
        let scored = || {
            let scores = self
                .severity
                .iter()
                .chain(self.affected.iter().flat_map(|affected| &affected.severity));
            let worst = scores
                .filter_map(|severity| cvss::base_score(&severity.score))
                .max_by(f64::total_cmp)?;
            Some(match worst {
                7.0.. => Level::Error,
                4.0.. => Level::Warning,
                _ => Level::Note,
            })
        };
        // An advisory that does not say how bad it is still is one.
        named.or_else(scored).unwrap_or(Level::Warning)
    }

    fn headline(&self) -> &str {
        let first = self.details.lines().find(|line| !line.trim().is_empty());
        match self.summary.trim() {
            "" => first.unwrap_or("no summary").trim_start_matches('#').trim(),
            summary => summary.trim_end_matches('.'),
        }
    }
}

impl Affected {
    fn package(&self) -> Option<(Ecosystem, String)> {
        let named = self.package.as_ref()?;
        let ecosystem = Ecosystem::named(&named.ecosystem)?;
        Some((ecosystem, ecosystem.package(&named.name)))
    }
}

/// What an advisory says of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit<'a> {
    /// Not affected.
    No,
    /// Affected, and mended in that version, where there is one.
    Yes(Option<&'a str>),
}

impl Range {
    /// None: a version in it cannot be read.
    fn hit(&self, ecosystem: Ecosystem, version: &Version) -> Option<Hit<'_>> {
        if self.r#type == "GIT" {
            return Some(Hit::No);
        }
        let parse = |text: &str| match text {
            // Before any version.
            "0" => Some(None),
            text => ecosystem.version(text).map(Some),
        };
        let (mut changes, mut limits) = (Vec::new(), Vec::new());
        for event in &self.events {
            match event {
                Event::Introduced(at) => changes.push((parse(at)?, true, event)),
                Event::Fixed(at) | Event::LastAffected(at) => changes.push((parse(at)?, false, event)),
                Event::Limit(at) if at == "*" => (),
                Event::Limit(at) => limits.push(parse(at)?),
            }
        }
        changes.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let wanted = Some(version.clone());
        let mut is_affected = false;
        let mut fixed = None;
        for (at, _, event) in &changes {
            match event {
                Event::Introduced(_) if *at <= wanted => is_affected = true,
                Event::Fixed(_) if *at <= wanted => is_affected = false,
                Event::LastAffected(_) if *at < wanted => is_affected = false,
                Event::Fixed(text) if fixed.is_none() => fixed = Some(text.as_str()),
                _ => (),
            }
        }
        let is_within = limits.is_empty() || limits.iter().any(|limit| wanted < *limit);
        Some(if is_affected && is_within {
            Hit::Yes(fixed)
        } else {
            Hit::No
        })
    }
}

/// What one advisory says of one package; a version that cannot be read is told by `unclear`.
fn hit<'a>(advisory: &'a Advisory, package: &Package, mut unclear: impl FnMut()) -> Hit<'a> {
    let ecosystem = package.ecosystem;
    let Some(version) = ecosystem.version(&package.version) else {
        unclear();
        return Hit::No;
    };
    let mut found = Hit::No;
    for affected in &advisory.affected {
        if affected.package() != Some((ecosystem, package.name.clone())) {
            continue;
        }
        for range in &affected.ranges {
            match range.hit(ecosystem, &version) {
                Some(Hit::Yes(fixed)) => return Hit::Yes(fixed),
                Some(Hit::No) => (),
                None => unclear(),
            }
        }
        if affected
            .versions
            .iter()
            .any(|text| ecosystem.version(text).as_ref() == Some(&version))
        {
            found = Hit::Yes(None);
        }
    }
    found
}

/// Findings for packages that advisories are about, worst first; the same weakness under several names is one finding.
pub fn findings(check: &str, packages: &[Package], advisories: &[Advisory]) -> Read<Vec<Finding>> {
    let mut problems = Problems::default();
    let mut valid: Vec<&Advisory> = advisories
        .iter()
        .filter(|advisory| advisory.withdrawn.is_none())
        .collect();
    valid.sort_by(|a, b| (std::cmp::Reverse(a.level()), &a.id).cmp(&(std::cmp::Reverse(b.level()), &b.id)));
    // A lock file may name as many packages as it likes, so each is only held against what is about it.
    let mut about: BTreeMap<(Ecosystem, String), Vec<&Advisory>> = BTreeMap::new();
    for advisory in valid {
        for package in advisory.packages() {
            about.entry(package).or_default().push(advisory);
        }
    }
    let mut findings = Vec::new();
    for package in packages {
        let mut told: BTreeSet<&str> = BTreeSet::new();
        let key = (package.ecosystem, package.name.clone());
        for advisory in about.get(&key).into_iter().flatten() {
            let unclear = || {
                problems.add(format!(
                    "{}: it is not clear whether it is about {} {}",
                    short(&advisory.id, 100),
                    package.name,
                    package.version
                ));
            };
            let Hit::Yes(fixed) = hit(advisory, package, unclear) else {
                continue;
            };
            let is_known = advisory.ids().any(|id| told.contains(id));
            told.extend(advisory.ids());
            if !is_known && findings.len() < MOST {
                findings.push(finding(check, package, advisory, fixed));
            }
        }
    }
    if findings.len() == MOST {
        problems.add(format!("only the first {MOST} findings are kept"));
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    problems.with(findings)
}

fn finding(check: &str, package: &Package, advisory: &Advisory, fixed: Option<&str>) -> Finding {
    let Package { name, version, .. } = package;
    let ids: Vec<&str> = advisory.ids().take(5).collect();
    let headline = short(advisory.headline(), 300);
    let mended = fixed.map_or("No fixed version is named".to_owned(), |fixed| {
        format!("Fixed in {fixed}")
    });
    Finding {
        check: check.to_owned(),
        tool: TOOL.to_owned(),
        rule: short(&advisory.id, 200),
        level: advisory.level(),
        category: CategoryId::Security,
        file: Some(package.file.clone()),
        line: package.line,
        message: short(
            &format!("{name} {version}: {headline} ({}). {mended}.", ids.join(", ")),
            MESSAGE_CHARS,
        ),
        help: Some(match fixed {
            Some(fixed) => format!("Use {name} {} or later.", short(fixed, 100)),
            None => format!("Do without {name}, or show that the weakness cannot be reached."),
        }),
        excerpt: None,
        exchange: None,
    }
}

fn short(what: &str, chars: usize) -> String {
    text::line(
        what,
        &Limits {
            text_chars: chars,
            ..Limits::default()
        },
    )
}
