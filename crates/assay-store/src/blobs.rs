//! Evidence by its digest: files `ab/<the whole SHA-256>` in a folder.
//!
//! A file is complete or not there: it is written under another name, brought to the disk and renamed. Rows refer to blobs
//! within a writing transaction that has seen them; blobs are removed within a writing transaction that has seen that no row
//! refers to them. So a row never refers to a blob that is gone.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::error::not_found;
use crate::rows::hex;
use crate::sql::{Tx, scalar};
use crate::{Store, StoreError};

/// How a digest begins.
const PREFIX: &str = "sha256:";

impl Store {
    /// Stores bytes. Answers their digest, `sha256:…`. What is there already is written anew: it may have been about to go.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub async fn put_blob(&self, bytes: &[u8]) -> Result<String, StoreError> {
        let (folder, bytes) = (self.blobs.clone(), bytes.to_vec());
        off_thread(folder.clone(), move || {
            let name = hex(&Sha256::digest(&bytes));
            let path = path_of(&folder, &name);
            write(&path, &bytes).map_err(file("write the blob", &path))?;
            Ok(format!("{PREFIX}{name}"))
        })
        .await
    }

    /// The bytes of a digest, verified. None: they are not stored.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not what its digest says.
    pub async fn blob(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(name) = name_of(digest) else {
            return Ok(None);
        };
        let (path, name) = (path_of(&self.blobs, name), name.to_owned());
        off_thread(path.clone(), move || match fs::read(&path) {
            Ok(bytes) if hex(&Sha256::digest(&bytes)) == name => Ok(Some(bytes)),
            Ok(_) => Err(StoreError::DamagedBlob(format!("{PREFIX}{name}"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file("read the blob", &path)(error)),
        })
        .await
    }

    /// Removes blobs that no row refers to and that were written before a moment: a run that is going on may still refer to
    /// younger ones. Also removes what was half written then. Answers how many files it were.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read, a file cannot be removed, or the database fails.
    pub async fn remove_unreferenced_blobs(&self, before_ms: i64) -> Result<u64, StoreError> {
        let before = UNIX_EPOCH + Duration::from_millis(u64::try_from(before_ms).unwrap_or(0));
        let folder = self.blobs.clone();
        let old = off_thread(folder.clone(), move || {
            files(&folder, before).map_err(file("list the blobs in", &folder))
        })
        .await?;
        let mut n = 0;
        for path in old {
            let mut tx = self.write().await?;
            let digest = path.file_name().and_then(|name| name.to_str());
            let digest = digest.map(|name| format!("{PREFIX}{name}")).unwrap_or_default();
            if !is_referenced(&mut tx, &digest).await? {
                n += remove(path, before).await?;
            }
        }
        Ok(n)
    }

    /// Makes sure, within a writing transaction, that a row may refer to a blob.
    pub(crate) async fn expect_blob(&self, digest: &str) -> Result<(), StoreError> {
        let absent = || not_found("blob", digest);
        let path = path_of(&self.blobs, name_of(digest).ok_or_else(absent)?);
        let there = tokio::fs::try_exists(&path).await;
        match there.map_err(file("look for the blob", &path))? {
            true => Ok(()),
            false => Err(absent()),
        }
    }

    /// Removes those of some blobs that no row refers to any more. Answers which.
    pub(crate) async fn remove_blobs(
        &self,
        tx: &mut Tx,
        digests: HashSet<String>,
    ) -> Result<Vec<String>, StoreError> {
        let mut removed = Vec::new();
        for digest in digests {
            let Some(name) = name_of(&digest) else { continue };
            if !is_referenced(tx, &digest).await? {
                let path = path_of(&self.blobs, name);
                match tokio::fs::remove_file(&path).await {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(file("remove the blob", &path)(error));
                    }
                    _ => removed.push(digest),
                }
            }
        }
        removed.sort();
        Ok(removed)
    }
}

async fn is_referenced(tx: &mut Tx, digest: &str) -> Result<bool, StoreError> {
    let n: i64 = scalar!(
        tx,
        "SELECT (SELECT count(*) FROM run_files WHERE digest = $1)
              + (SELECT count(*) FROM scorecards WHERE report_digest = $1)",
        digest,
    )?;
    Ok(n > 0)
}

/// The name of a digest's file, if it is a digest.
fn name_of(digest: &str) -> Option<&str> {
    let name = digest.strip_prefix(PREFIX)?;
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    (name.len() == 64 && name.chars().all(is_hex)).then_some(name)
}

fn path_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(&name[..2]).join(name)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let (mut file, temporary) = loop {
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{}-{n}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            // Left by a process that had the same number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            file => break (file?, temporary),
        }
    };
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(folder)?.sync_all());
    if written.is_err() {
        // What was half written goes at once; if it cannot, the next clean-up takes it.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// All files in the folder's folders that were written before a moment.
fn files(folder: &Path, before: std::time::SystemTime) -> io::Result<Vec<PathBuf>> {
    let mut old = Vec::new();
    for inner in fs::read_dir(folder)? {
        let inner = inner?;
        if !inner.file_type()?.is_dir() {
            continue;
        }
        for entry in fs::read_dir(inner.path())? {
            let path = entry?.path();
            if is_older(&path, before)? {
                old.push(path);
            }
        }
    }
    Ok(old)
}

/// Whether a file was written before a moment; false when it is gone.
fn is_older(path: &Path, before: std::time::SystemTime) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.modified()? < before),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

async fn remove(path: PathBuf, before: std::time::SystemTime) -> Result<u64, StoreError> {
    off_thread(path.clone(), move || {
        let remove = || match is_older(&path, before)? {
            true => fs::remove_file(&path).map(|()| 1),
            false => Ok(0),
        };
        remove().map_err(file("remove the blob", &path))
    })
    .await
}

fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::File { doing, path, source }
}

/// Runs what waits for the disk where it holds up nobody.
async fn off_thread<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| file("use", &path)(io::Error::other(error)))?
}
