//! A folder of an exercise on the host's disk, read as files: templates and solutions.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::remarks;
use crate::tree::usable_name;

/// Most files of a folder.
const MAX_FILES: usize = 5_000;
/// Largest file, in bytes.
const MAX_FILE_BYTES: u64 = 5_000_000;

/// Files by relative path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folder {
    pub(crate) files: BTreeMap<String, File>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its bytes.
    pub content: Vec<u8>,
    /// Whether it may be executed.
    pub executable: bool,
}

/// Why a folder of an exercise cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// What cannot be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A symbolic link, a device, or a name that no candidate's tree could have.
    #[error("{} is not a plain file with a plain name", path.display())]
    NotPlain {
        /// The file.
        path: PathBuf,
    },
    /// More than 5000 files, or a file of more than 5 MB.
    #[error("{} has too many or too large files", path.display())]
    TooLarge {
        /// The folder or file.
        path: PathBuf,
    },
}

impl Folder {
    /// Reads all files. What tools leave behind (`node_modules`, `__pycache__`, …) is not part of a folder.
    ///
    /// # Errors
    /// At the first file that is not a plain one.
    pub(crate) fn read(root: &Path) -> Result<Self, FolderError> {
        let mut folder = Self::default();
        folder.add(root, "")?;
        Ok(folder)
    }

    fn add(&mut self, directory: &Path, prefix: &str) -> Result<(), FolderError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| FolderError::Io { path, source }
        };
        for entry in std::fs::read_dir(directory).map_err(io(directory))? {
            let entry = entry.map_err(io(directory))?;
            let path = entry.path();
            let Some(name) = usable_name(entry.file_name().as_encoded_bytes()).map(str::to_owned) else {
                return Err(FolderError::NotPlain { path });
            };
            let relative = format!("{prefix}{name}");
            let metadata = path.symlink_metadata().map_err(io(&path))?;
            if metadata.is_dir() {
                let inside = format!("{relative}/");
                if remarks::generated_by(&inside).is_none() {
                    self.add(&path, &inside)?;
                }
                continue;
            }
            if remarks::generated_by(&relative).is_some() {
                continue;
            }
            if !metadata.is_file() {
                return Err(FolderError::NotPlain { path });
            }
            if metadata.len() > MAX_FILE_BYTES || self.files.len() == MAX_FILES {
                return Err(FolderError::TooLarge { path });
            }
            let content = std::fs::read(&path).map_err(io(&path))?;
            let executable = metadata.permissions().mode() & 0o111 != 0;
            self.files.insert(relative, File { content, executable });
        }
        Ok(())
    }
}
