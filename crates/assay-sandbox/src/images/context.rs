//! What an image is built from: the files of its folder, read once and packed in memory.

use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::BuildOptions;

/// The most files of a folder.
const MAX_FILES: usize = 2000;

/// The most bytes of a folder.
const MAX_BYTES: u64 = 64 << 20;

/// What describes an image to Assay and is not part of it.
const DESCRIPTIONS: [&str; 2] = ["toolchain.yaml", "service.yaml"];

/// Hexadecimal digits of a digest that are enough to tell images apart.
const DIGEST_DIGITS: usize = 12;

/// A folder `runner-images/<name>`.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    name: String,
    dockerfile: String,
    /// In the order of their paths.
    files: Vec<File>,
}

#[derive(Clone, Debug)]
struct File {
    path: String,
    executable: bool,
    bytes: Vec<u8>,
}

/// Why a folder cannot be an image's.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file or directory cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Neither a regular file nor a directory, or not named in UTF-8.
    #[error("{path} is neither a file nor a directory with a plain name", path = .path.display())]
    Odd {
        /// Which.
        path: PathBuf,
    },
    /// Too many files or bytes.
    #[error("{path} has more than {MAX_FILES} files or {} MiB", MAX_BYTES >> 20, path = .path.display())]
    TooLarge {
        /// The folder.
        path: PathBuf,
    },
    /// There is no Dockerfile in UTF-8.
    #[error("{path} has no readable Dockerfile", path = .path.display())]
    NoDockerfile {
        /// The folder.
        path: PathBuf,
    },
}

impl ImageFolder {
    /// Reads a folder. Its last component is the image's name.
    ///
    /// # Errors
    /// When something in it cannot be read or is no file, or there is no Dockerfile.
    pub fn read(path: &Path) -> Result<Self, FolderError> {
        let odd = || FolderError::Odd {
            path: path.to_owned(),
        };
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(odd)?
            .to_owned();
        let mut files = Vec::new();
        let mut bytes = 0;
        let mut todo = vec![path.to_owned()];
        while let Some(directory) = todo.pop() {
            let unreadable = |source| FolderError::Unreadable {
                path: directory.clone(),
                source,
            };
            for entry in std::fs::read_dir(&directory).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                if entry.file_type().map_err(unreadable)?.is_dir() {
                    todo.push(entry.path());
                } else {
                    files.push(read_file(path, &entry.path())?);
                }
                bytes += files.last().map_or(0, |file| file.bytes.len() as u64);
                if files.len() > MAX_FILES || bytes > MAX_BYTES {
                    return Err(FolderError::TooLarge {
                        path: path.to_owned(),
                    });
                }
            }
        }
        files.retain(|file| !DESCRIPTIONS.contains(&file.path.as_str()));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let dockerfile = files
            .iter()
            .find(|file| file.path == "Dockerfile")
            .and_then(|file| String::from_utf8(file.bytes.clone()).ok())
            .ok_or_else(|| FolderError::NoDockerfile {
                path: path.to_owned(),
            })?;
        Ok(Self {
            name,
            dockerfile,
            files,
        })
    }

    /// The image's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn dockerfile(&self) -> &str {
        &self.dockerfile
    }

    /// Tells apart everything that makes the image another one.
    pub(super) fn digest(&self, base: &str, options: &BuildOptions) -> String {
        let mut digest = Sha256::new();
        let mut field = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        field(base.as_bytes());
        for (name, value) in &options.args {
            field(name.as_bytes());
            field(value.as_bytes());
        }
        field(options.agent.as_deref().unwrap_or_default());
        for file in &self.files {
            field(file.path.as_bytes());
            field(&[u8::from(file.executable)]);
            field(&file.bytes);
        }
        let mut text = String::new();
        for byte in digest.finalize() {
            // Writing to a string does not fail.
            write!(text, "{byte:02x}").ok();
        }
        text.truncate(DIGEST_DIGITS);
        text
    }

    /// The build context as a tar archive. Owners, times and modes do not depend on the machine.
    pub(super) fn context(&self, options: &BuildOptions) -> io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for file in &self.files {
            append(
                &mut archive,
                &file.path,
                if file.executable { 0o755 } else { 0o644 },
                &file.bytes,
            )?;
        }
        // Always there, so that a Dockerfile can copy it.
        append_directory(&mut archive, "ca/", 0o755)?;
        if let Some(ca) = &options.extra_ca {
            append(&mut archive, "ca/extra.crt", 0o644, ca)?;
        }
        if let Some(agent) = &options.agent {
            append(&mut archive, "assay-drive", 0o755, agent)?;
            // An empty directory that everyone may write: a new volume takes on its mode.
            append_directory(&mut archive, "root/", 0o755)?;
            append_directory(&mut archive, "root/cache/", 0o777)?;
        }
        archive.into_inner()
    }
}

fn read_file(root: &Path, path: &Path) -> Result<File, FolderError> {
    let unreadable = |source| FolderError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let metadata = path.symlink_metadata().map_err(unreadable)?;
    let relative = path.strip_prefix(root).ok().and_then(Path::to_str);
    let (Some(relative), true) = (relative, metadata.is_file()) else {
        return Err(FolderError::Odd {
            path: path.to_owned(),
        });
    };
    if metadata.len() > MAX_BYTES {
        return Err(FolderError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(File {
        path: relative.to_owned(),
        executable: metadata.permissions().mode() & 0o111 != 0,
        bytes: std::fs::read(path).map_err(unreadable)?,
    })
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    archive.append_data(&mut header, path, bytes)
}

fn append_directory(archive: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_mode(mode);
    archive.append_data(&mut header, path, io::empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn options() -> BuildOptions {
        BuildOptions {
            agent: None,
            extra_ca: None,
            args: BTreeMap::new(),
            host_network: false,
            timeout: Duration::from_secs(1),
        }
    }

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("python");
        for (name, text) in files {
            std::fs::create_dir_all(path.join(name).parent().unwrap()).unwrap();
            std::fs::write(path.join(name), text).unwrap();
        }
        (parent, path)
    }

    #[test]
    fn the_digest_changes_with_what_makes_the_image_and_with_nothing_else() {
        let (_guard, path) = folder(&[("Dockerfile", "FROM scratch"), ("config/x", "1")]);
        let digest = |options: &BuildOptions| ImageFolder::read(&path).unwrap().digest("base", options);
        let before = digest(&options());
        assert_eq!(before.len(), DIGEST_DIGITS);

        std::fs::write(path.join("toolchain.yaml"), "version: 1").unwrap();
        assert_eq!(
            digest(&options()),
            before,
            "a description is no part of the image"
        );
        assert_eq!(
            digest(&BuildOptions {
                extra_ca: Some(vec![1]),
                ..options()
            }),
            before
        );

        let args = BTreeMap::from([("A".to_owned(), "b".to_owned())]);
        assert_ne!(digest(&BuildOptions { args, ..options() }), before);
        assert_ne!(
            digest(&BuildOptions {
                agent: Some(vec![1]),
                ..options()
            }),
            before
        );
        assert_ne!(
            ImageFolder::read(&path).unwrap().digest("other", &options()),
            before
        );
        std::fs::write(path.join("config/x"), "2").unwrap();
        assert_ne!(digest(&options()), before);
    }

    #[test]
    fn the_context_holds_the_files_and_what_is_added() {
        let (_guard, path) = folder(&[
            ("Dockerfile", "FROM scratch"),
            ("config/x", "1"),
            ("service.yaml", ""),
        ]);
        let options = BuildOptions {
            agent: Some(vec![1]),
            extra_ca: Some(vec![2]),
            ..options()
        };
        let context = ImageFolder::read(&path).unwrap().context(&options).unwrap();
        let mut archive = tar::Archive::new(context.as_slice());
        let entries: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                format!(
                    "{:o} {}",
                    entry.header().mode().unwrap(),
                    entry.path().unwrap().display()
                )
            })
            .collect();
        insta::assert_debug_snapshot!(entries, @r#"
        [
            "644 Dockerfile",
            "644 config/x",
            "755 ca/",
            "644 ca/extra.crt",
            "755 assay-drive",
            "755 root/",
            "777 root/cache/",
        ]
        "#);
    }

    #[test]
    fn an_odd_folder_is_refused() {
        let (_guard, path) = folder(&[("Dockerfile", "FROM scratch")]);
        std::os::unix::fs::symlink("/etc/passwd", path.join("link")).unwrap();
        assert!(matches!(ImageFolder::read(&path), Err(FolderError::Odd { .. })));
        let (_guard, path) = folder(&[("x", "")]);
        assert!(matches!(
            ImageFolder::read(&path),
            Err(FolderError::NoDockerfile { .. })
        ));
        assert!(matches!(
            ImageFolder::read(&path.join("none")),
            Err(FolderError::Unreadable { .. })
        ));
    }
}
