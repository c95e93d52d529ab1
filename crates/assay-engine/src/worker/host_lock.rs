//! One worker process per host: two would disturb each other's measurements and sweep each other's containers.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Name of the file.
const FILE: &str = "worker.lock";
/// Most bytes of it that are read.
const MAX_BYTES: u64 = 64;

/// Held as long as it lives, and no longer than its process.
#[derive(Debug)]
pub struct HostLock {
    _file: File,
    id: String,
}

/// There is no lock.
#[derive(Debug, thiserror::Error)]
pub enum HostLockError {
    /// Another worker has it.
    #[error(
        "another worker of this host uses {} (hint: one worker process carries out several runs; stop the other one, or let it work alone)", .folder.display()
    )]
    Taken {
        /// The data folder.
        folder: PathBuf,
    },
    /// The file cannot be used.
    #[error("{} cannot be used: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl HostLock {
    /// Takes the lock of a data folder, which is there. The file stays: it also holds the installation's name.
    ///
    /// # Errors
    /// When another process has it, or the file cannot be written.
    pub fn take(folder: &Path) -> Result<Self, HostLockError> {
        let path = folder.join(FILE);
        let failed = |source| HostLockError::Io {
            path: path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => {
                return Err(HostLockError::Taken {
                    folder: folder.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut id = String::new();
        (&mut file)
            .take(MAX_BYTES)
            .read_to_string(&mut id)
            .map_err(failed)?;
        id = id.trim().to_owned();
        if id.is_empty() {
            id = assay_core::id::from_random(rand::random());
            file.write_all(format!("{id}\n").as_bytes()).map_err(failed)?;
            file.sync_all().map_err(failed)?;
        }
        Ok(Self { _file: file, id })
    }

    /// The installation's name: drawn once, the same after every restart, and no other installation's.
    pub fn installation(&self) -> &str {
        &self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_worker_is_told_and_the_name_stays() {
        let folder = tempfile::tempdir().unwrap();
        let first = HostLock::take(folder.path()).unwrap();
        let name = first.installation().to_owned();
        assert_eq!(name.len(), 16);
        let refused = HostLock::take(folder.path()).unwrap_err().to_string();
        assert!(
            refused.starts_with("another worker of this host uses "),
            "{refused}"
        );
        drop(first);
        assert_eq!(HostLock::take(folder.path()).unwrap().installation(), name);
    }
}
