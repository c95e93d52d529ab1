//! The folder of everything that a daemon remembers, and what its first start puts there.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::key_folder::KeyFolder;

/// The data folder. Only its owner may look into it.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder(PathBuf);

/// Folders in it. What `assay backup` copies beside the database is [`KEPT`].
const FOLDERS: [&str; 5] = ["blobs", "repositories", "archives", "scratch", "keys"];

/// Folders that a backup holds, in the order in which they are copied.
const KEPT: [&str; 4] = ["repositories", "archives", "blobs", "keys"];

impl DataFolder {
    /// Makes what is missing.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let make = |path: &Path| {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .with_context(|| {
                    format!(
                        "the data folder {} cannot be made (hint: name one with --data, or make it and give it to this user)",
                        path.display()
                    )
                })
        };
        make(path)?;
        let path = std::fs::canonicalize(path)?;
        FOLDERS.iter().try_for_each(|name| make(&path.join(name)))?;
        Ok(Self(path))
    }

    /// Something in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The installation's key, which seals what the database must not hold openly. Drawn at the first start; whoever loses it
    /// has to enter the forges' secrets again.
    pub(crate) fn key(&self) -> anyhow::Result<[u8; 32]> {
        let path = self.join("key");
        if !path.exists() {
            write_secret(&path, &hex(&rand::random::<[u8; 32]>()))?;
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("the key {} cannot be read", path.display()))?;
        from_hex(text.trim()).with_context(|| {
            format!(
                "{} holds no key: 64 hexadecimal digits (hint: restore it from the backup)",
                path.display()
            )
        })
    }

    /// The keys that results are signed with.
    pub(crate) fn keys(&self) -> KeyFolder {
        KeyFolder::new(self.join("keys"))
    }

    /// The token of the command line on this machine, if there is one.
    pub(crate) fn admin_token(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.join("admin.token")).ok()?;
        Some(text.trim().to_owned())
    }

    /// Replaces it.
    pub(crate) fn set_admin_token(&self, token: &str) -> anyhow::Result<()> {
        write_secret(&self.join("admin.token"), token)
    }

    /// Copies all but the database into an empty folder: what the database names is copied after the database was, so that
    /// everything it names is there.
    pub(crate) fn copy_files(&self, into: &Path) -> anyhow::Result<u64> {
        let mut n_bytes = 0;
        for name in KEPT {
            n_bytes += copy(&self.join(name), &into.join(name))?;
        }
        if self.join("key").exists() {
            write_secret(&into.join("key"), &hex(&self.key()?))?;
        }
        Ok(n_bytes)
    }
}

/// A new file that only its owner may read, whole or not at all.
pub(crate) fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let temporary = path.with_extension("new");
    drop(std::fs::remove_file(&temporary));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(text.trim_end().as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&temporary, path))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Copies a tree of files. References of a repository before its objects: what a reference names is then there, whatever is
/// pushed meanwhile. What git has not taken in yet, and what disappears under our hands, is left out.
fn copy(from: &Path, to: &Path) -> anyhow::Result<u64> {
    let missing = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if missing(&error) => return Ok(0),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", from.display())),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    let mut entries: Vec<_> = entries.collect::<Result<_, _>>()?;
    entries.sort_by_key(|entry| (entry.file_name() == "objects", entry.file_name()));
    let mut n_bytes = 0;
    for entry in entries {
        let name = entry.file_name();
        let is_unfinished = |name: &str| name.starts_with("tmp_") || name.ends_with(".lock");
        if name.to_str().is_none_or(is_unfinished) {
            continue;
        }
        let (from, to) = (entry.path(), to.join(&name));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            n_bytes += copy(&from, &to)?;
        } else if kind.is_file() {
            match std::fs::copy(&from, &to) {
                Ok(copied) => n_bytes += copied,
                Err(error) if missing(&error) => (),
                Err(error) => {
                    return Err(error).with_context(|| format!("{} cannot be copied", from.display()));
                }
            }
        }
    }
    Ok(n_bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    ensure!(text.len() == 64 && text.is_ascii(), "not 64 digits");
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_first_start_makes_it_and_the_second_finds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/data");
        let data = DataFolder::open(&path).unwrap();
        let key = data.key().unwrap();
        assert_eq!(DataFolder::open(&path).unwrap().key().unwrap(), key);
        assert_eq!((mode(&path), mode(&path.join("key"))), (0o700, 0o600));
        data.set_admin_token("a").unwrap();
        data.set_admin_token("b").unwrap();
        assert_eq!(data.admin_token().as_deref(), Some("b"));
        assert_eq!(mode(&path.join("admin.token")), 0o600);

        std::fs::write(path.join("key"), "nonsense").unwrap();
        let error = format!("{:#}", data.key().unwrap_err());
        assert!(error.contains("holds no key"), "{error}");
    }

    #[test]
    fn a_backup_has_the_same_shape_without_what_is_unfinished() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataFolder::open(&dir.path().join("data")).unwrap();
        for (name, text) in [
            ("repositories/a.git/HEAD", "ref: refs/heads/main"),
            ("repositories/a.git/objects/pack/p.pack", "pack"),
            ("repositories/a.git/objects/tmp_objdir-incoming-x/p", "no"),
            ("repositories/a.git/refs/heads/main.lock", "no"),
            ("blobs/ab/abcd", "blob"),
            ("scratch/x", "no"),
            ("admin.token", "no"),
        ] {
            let path = data.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let key = data.key().unwrap();
        let into = dir.path().join("backup");
        std::fs::create_dir(&into).unwrap();
        assert_eq!(data.copy_files(&into).unwrap(), 28);
        let copy = DataFolder::open(&into).unwrap();
        assert_eq!(copy.key().unwrap(), key);
        for (name, there) in [
            ("repositories/a.git/HEAD", true),
            ("repositories/a.git/objects/pack/p.pack", true),
            ("repositories/a.git/objects/tmp_objdir-incoming-x", false),
            ("repositories/a.git/refs/heads/main.lock", false),
            ("blobs/ab/abcd", true),
            ("scratch/x", false),
            ("admin.token", false),
        ] {
            assert_eq!(copy.join(name).exists(), there, "{name}");
        }
    }
}
