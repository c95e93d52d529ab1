//! A new hosted repository.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::BRANCH;
use super::references::SEED;
use crate::{ObjectId, ReadError, Repository};

/// Who wrote the first commit.
const AUTHOR: (&str, &str) = ("Assay", "assay@localhost");

/// Why there is no repository.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is one already.
    #[error("there is a repository already: {}", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A file of the template cannot be in a repository.
    #[error("git refuses the file {path:?} of the template")]
    File {
        /// Its path.
        path: String,
        /// Why.
        source: git2::Error,
    },
    /// The host does not let us.
    #[error("cannot create the repository {}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Libgit2 does not let us.
    #[error("cannot write the first commit")]
    Git(#[from] git2::Error),
    /// Libgit2 does not let us.
    #[error("cannot create the repository")]
    Repository(#[from] ReadError),
}

/// Makes a bare repository with one commit on `main` that holds these files, by path. A file that begins with `#!` can be
/// executed. `at_s` is the commit's time, in seconds since 1970. Blocking.
///
/// It is there as a whole or not at all.
///
/// # Errors
/// [`CreateError`] says why; nothing is left behind then.
pub fn create(
    path: &Path,
    files: &BTreeMap<String, Vec<u8>>,
    message: &str,
    at_s: i64,
) -> Result<ObjectId, CreateError> {
    let io = |source| CreateError::Io {
        path: path.to_owned(),
        source,
    };
    if path.exists() {
        return Err(CreateError::Exists {
            path: path.to_owned(),
        });
    }
    let new = path.with_extension("new");
    if new.exists() {
        std::fs::remove_dir_all(&new).map_err(io)?;
    }
    let made = Repository::create(&new)
        .map_err(io)
        .and_then(|()| seed(&new, files, message, at_s))
        .and_then(|commit| {
            std::fs::rename(&new, path).map_err(io)?;
            Ok(commit)
        });
    if made.is_err() {
        // The error that is given back says more than one about this.
        let _ = std::fs::remove_dir_all(&new);
    }
    made
}

fn seed(
    path: &Path,
    files: &BTreeMap<String, Vec<u8>>,
    message: &str,
    at_s: i64,
) -> Result<ObjectId, CreateError> {
    let repository = Repository::open(path)?.inner;
    let empty = repository.find_tree(repository.treebuilder(None)?.write()?)?;
    let mut tree = git2::build::TreeUpdateBuilder::new();
    for (path, content) in files {
        let bad = |source| CreateError::File {
            path: path.clone(),
            source,
        };
        if path
            .split('/')
            .any(|name| matches!(name, "" | "." | "..") || name.eq_ignore_ascii_case(".git"))
        {
            return Err(bad(git2::Error::from_str("not a plain path")));
        }
        let mode = match content.starts_with(b"#!") {
            true => git2::FileMode::BlobExecutable,
            false => git2::FileMode::Blob,
        };
        tree.upsert(path.as_str(), repository.blob(content)?, mode);
    }
    let tree = repository.find_tree(tree.create_updated(&repository, &empty)?)?;
    let author = git2::Signature::new(AUTHOR.0, AUTHOR.1, &git2::Time::new(at_s, 0))?;
    let commit = repository.commit(Some(BRANCH), &author, &author, message, &tree, &[])?;
    repository.reference(SEED, commit, false, "seed")?;
    Ok(ObjectId(commit))
}
