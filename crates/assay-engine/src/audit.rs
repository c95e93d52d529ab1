//! The audit of dependencies: versions that the submission fixes against the operator's folder of OSV records.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assay_core::evidence::Finding;
use assay_core::fault::Stop;
use assay_formats::Limits;
use assay_formats::advisory::{self, Advisory, TOOL};
use assay_formats::lock::{self, LockFormat, Package};
use assay_formats::version::Ecosystem;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// How long reading the whole database may take.
const DEADLINE: Duration = Duration::from_secs(90);
/// Largest record, in bytes; larger ones are noted, not read.
const RECORD_BYTES: u64 = 4 << 20;
/// Most records of a database: more than all registries together have.
const MOST_RECORDS: usize = 2_000_000;
/// Deepest folder of a database.
const MOST_DEPTH: usize = 8;
/// Records that could not be read are named up to this many.
const MOST_NAMED: usize = 5;

/// What an audit found.
#[derive(Debug, Default)]
pub(crate) struct Audited {
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<String>,
    /// Which database it was, for the report.
    pub(crate) database: String,
}

/// Audits what the manifests of the toolchain fix. Without a database, or with nothing that it could be asked about, the
/// answer is a stop, never "clean".
pub(crate) async fn audit(context: &Context<'_>, check: &str) -> Result<Audited, Stop> {
    let folder = context.advisories.clone().ok_or(Stop::NoAdvisories)?;
    let (packages, mut notes) = packages(context)?;
    let wanted: BTreeSet<(Ecosystem, String)> = packages
        .iter()
        .map(|package| (package.ecosystem, package.name.clone()))
        .collect();
    let cancel = context.cancel.child_token();
    // Whatever ends the waiting ends the reading, too.
    let _guard = cancel.clone().drop_guard();
    let reading = tokio::task::spawn_blocking(move || Database::read(&folder, &wanted, &cancel));
    let database = tokio::time::timeout(DEADLINE, reading)
        .await
        .map_err(|_| {
            broken(format!(
                "the advisories were not read within {} s",
                DEADLINE.as_secs()
            ))
        })?
        .map_err(|error| broken(error.to_string()))?
        .map_err(broken)?;
    let read = advisory::findings(check, &packages, &database.advisories);
    notes.extend(read.problems);
    notes.extend(database.problems);
    notes.push(format!(
        "{} fixed versions were compared with {} advisories.",
        packages.len(),
        database.n_records
    ));
    Ok(Audited {
        findings: context.source.own_findings(read.value),
        notes,
        database: format!("{} records, sha256:{}", database.n_records, database.digest),
    })
}

fn broken(detail: String) -> Stop {
    Stop::ToolBroken {
        tool: TOOL.into(),
        detail,
    }
}

/// Packages that the manifests fix, and remarks on what they leave open.
fn packages(context: &Context<'_>) -> Result<(Vec<Package>, Vec<String>), Stop> {
    let (mut packages, mut notes) = (Vec::new(), Vec::new());
    let (mut n_manifests, mut n_locks) = (0, 0);
    let names = context
        .toolchain
        .dependencies
        .iter()
        .flat_map(|dependencies| &dependencies.manifests);
    for name in names {
        let Some(bytes) = context.source.content(name) else {
            continue;
        };
        n_manifests += 1;
        let Some(format) = LockFormat::of_file(name) else {
            continue;
        };
        let read = lock::read(format, name, &bytes, &Limits::default())
            .map_err(|error| broken(format!("{name}: {error}")))?;
        n_locks += 1;
        packages.extend(read.value);
        notes.extend(read.problems);
    }
    if n_manifests > 0 && n_locks == 0 {
        return Err(broken("no file fixes the versions of the dependencies".into()));
    }
    if let ([], [first, ..]) = (packages.as_slice(), notes.as_slice()) {
        return Err(broken(first.clone()));
    }
    Ok((packages, notes))
}

/// The records of a folder that are about certain packages.
struct Database {
    advisories: Vec<Advisory>,
    n_records: usize,
    /// SHA-256 over all records, in the order of their paths.
    digest: String,
    problems: Vec<String>,
}

impl Database {
    /// Reads `*.json` below a folder; links are not followed. Blocks.
    fn read(
        folder: &Path,
        wanted: &BTreeSet<(Ecosystem, String)>,
        cancel: &CancellationToken,
    ) -> Result<Self, String> {
        let mut paths = Vec::new();
        collect(folder, MOST_DEPTH, &mut paths)?;
        if paths.is_empty() {
            return Err(format!("{} has no OSV records", folder.display()));
        }
        paths.sort();
        let mut hash = Sha256::new();
        let (mut advisories, mut unread) = (Vec::new(), Vec::new());
        for path in &paths {
            if cancel.is_cancelled() {
                return Err("it was cancelled".into());
            }
            let bytes = record(path).map_err(|error| format!("{}: {error}", path.display()))?;
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(&bytes);
            match advisory::read(&bytes, &Limits::default()) {
                Ok(advisory) if advisory.packages().any(|package| wanted.contains(&package)) => {
                    advisories.push(advisory);
                }
                Ok(_) => (),
                Err(error) => unread.push(format!("{}: {error}", path.display())),
            }
        }
        if unread.len() == paths.len() {
            return Err(format!(
                "none of {} files is an OSV record: {}",
                paths.len(),
                unread[0]
            ));
        }
        let n_unread = unread.len();
        unread.truncate(MOST_NAMED);
        let mut problems = Vec::new();
        if n_unread > 0 {
            problems.push(format!(
                "{n_unread} advisories could not be read: {}",
                unread.join("; ")
            ));
        }
        Ok(Self {
            advisories,
            n_records: paths.len() - n_unread,
            digest: crate::folder::hex(&hash.finalize()),
            problems,
        })
    }
}

fn record(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed: the reader refuses what is cut.
    fs::File::open(path)?
        .take(RECORD_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > RECORD_BYTES {
        bytes.clear();
    }
    Ok(bytes)
}

fn collect(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", folder.display());
    let entries: Vec<DirEntry> = fs::read_dir(folder).and_then(Iterator::collect).map_err(failed)?;
    for entry in entries {
        let kind = entry.file_type().map_err(failed)?;
        let path = entry.path();
        if kind.is_dir() && depth > 0 {
            collect(&path, depth - 1, paths)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "json") {
            if paths.len() >= MOST_RECORDS {
                return Err(format!("there are more than {MOST_RECORDS} records"));
            }
            paths.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Database, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("PyPI")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join("PyPI").join(name), text).unwrap();
        }
        let wanted = BTreeSet::from([(Ecosystem::PyPi, "flask".to_owned())]);
        let read = Database::read(folder.path(), &wanted, &CancellationToken::new());
        read.map_err(|error| error.replace(&folder.path().display().to_string(), "DIR"))
    }

    fn about(name: &str) -> String {
        format!(
            r#"{{"id": "A", "affected": [{{"package": {{"ecosystem": "PyPI", "name": "{name}"}}, "versions": ["1"]}}]}}"#
        )
    }

    #[test]
    fn only_what_is_asked_for_is_kept_and_the_whole_is_named() {
        let database = read(&[
            ("a.json", &about("Flask")),
            ("b.json", &about("other")),
            ("c.txt", "x"),
            ("d.json", "{"),
        ])
        .unwrap();
        assert_eq!(
            (
                database.advisories.len(),
                database.n_records,
                database.problems.len()
            ),
            (1, 2, 1)
        );
        let other = read(&[("a.json", &about("Flask")), ("b.json", &about("another"))]).unwrap();
        assert_ne!(database.digest, other.digest);
    }

    #[test]
    fn a_folder_without_records_is_broken() {
        assert_eq!(read(&[("c.txt", "x")]).err().unwrap(), "DIR has no OSV records");
        let error = read(&[("a.json", "[]")]).err().unwrap();
        assert!(
            error.starts_with("none of 1 files is an OSV record: DIR/PyPI/a.json: "),
            "{error}"
        );
        let missing = Database::read(
            Path::new("/nowhere/at/all"),
            &BTreeSet::new(),
            &CancellationToken::new(),
        );
        assert!(missing.is_err());
    }
}
