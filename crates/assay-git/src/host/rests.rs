//! What a git process that was killed leaves behind.

use std::path::Path;
use std::time::{Duration, SystemTime};

/// A reference's lock is held for milliseconds; one that is older than this is nobody's.
const LOCK_AGE: Duration = Duration::from_secs(60);

/// How deep names of references may be nested.
const MAX_DEPTH: usize = 60;

/// Removes half-received packs that are older than `age` and locks that nobody holds. The repository's turn must be held,
/// so no push of this process is touched.
///
/// What cannot be seen or removed stays: it is in nobody's way, or the push will say so.
pub(super) fn sweep(dir: &Path, age: Duration) {
    for entry in entries(&dir.join("objects")) {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("tmp_objdir-incoming-") && is_older(&entry, age) {
            tracing::info!(dir = %dir.display(), ?name, "removing what an interrupted push left");
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    for entry in entries(&dir.join("objects/pack")) {
        if entry.file_name().to_string_lossy().starts_with("tmp_") && is_older(&entry, age) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    let lock_age = age.min(LOCK_AGE);
    for entry in entries(dir) {
        remove_lock(&entry, lock_age);
    }
    sweep_locks(&dir.join("refs"), lock_age, MAX_DEPTH);
}

fn sweep_locks(dir: &Path, age: Duration, depth: usize) {
    for entry in entries(dir) {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => sweep_locks(&entry.path(), age, depth - 1),
            _ => remove_lock(&entry, age),
        }
    }
}

fn remove_lock(entry: &std::fs::DirEntry, age: Duration) {
    let path = entry.path();
    if path.extension().is_some_and(|extension| extension == "lock") && is_older(entry, age) {
        tracing::info!(path = %path.display(), "removing a lock that nobody holds");
        let _ = std::fs::remove_file(path);
    }
}

fn entries(dir: &Path) -> impl Iterator<Item = std::fs::DirEntry> {
    std::fs::read_dir(dir).into_iter().flatten().flatten()
}

fn is_older(entry: &std::fs::DirEntry, age: Duration) -> bool {
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| {
        SystemTime::now()
            .duration_since(modified)
            .is_ok_and(|elapsed| elapsed >= age)
    })
}
