//! A bare repository of ours, and its objects: each is asked for its size before it is read.

use std::path::Path;
use std::str::FromStr;
use std::sync::Once;
use std::{fmt, fs, io};

use git2::{ErrorClass, ObjectType, Oid};

/// The branch that is graded, and the only one that a hosted repository takes.
pub const BRANCH: &str = "refs/heads/main";

/// Largest commit or tag object, in bytes. What is larger is no commit for us.
pub(crate) const MAX_COMMIT_BYTES: usize = 1 << 20;

/// Most annotated tags between a reference and its commit.
const MAX_TAGS: usize = 8;

/// The id of a commit or a file's content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub(crate) Oid);

impl ObjectId {
    /// The id that a file with this content has in every repository.
    ///
    /// # Errors
    /// Only when libgit2 cannot hash.
    pub fn of_file(content: &[u8]) -> Result<Self, ReadError> {
        Ok(Self(Oid::hash_object(ObjectType::Blob, content)?))
    }

    /// The first ten digits, for people.
    pub fn short(self) -> String {
        self.0.to_string().chars().take(10).collect()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is not an [`ObjectId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an object id is 40 lower-case hexadecimal digits")]
pub struct BadObjectId;

impl FromStr for ObjectId {
    type Err = BadObjectId;

    fn from_str(text: &str) -> Result<Self, BadObjectId> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 40 || !text.bytes().all(hex) {
            return Err(BadObjectId);
        }
        Oid::from_str(text).map(Self).map_err(|_| BadObjectId)
    }
}

/// Whose problem an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The repository's author: a verdict.
    Candidate,
    /// Whoever gave the address or the name.
    Caller,
    /// The host or this program: try again, and report it as ours.
    Platform,
}

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such object.
    #[error("there is no object {0}")]
    Missing(ObjectId),
    /// It is something else than what was asked for.
    #[error("object {0} is of another kind than expected")]
    Kind(ObjectId),
    /// It is larger than any honest object of its kind.
    #[error("object {id} is {bytes} bytes large, more than the {limit_bytes} allowed")]
    TooLarge {
        /// The object.
        id: ObjectId,
        /// Its size, in bytes.
        bytes: u64,
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The object is broken, or the host cannot read it.
    #[error("cannot read the repository")]
    Git(#[from] git2::Error),
}

impl ReadError {
    /// Whose problem it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Missing(_) | Self::Kind(_) | Self::TooLarge { .. } => Blame::Candidate,
            // What git let pass and libgit2 cannot parse will not be parsed the next time either.
            Self::Git(error) => match error.class() {
                ErrorClass::Tree | ErrorClass::Object | ErrorClass::Tag | ErrorClass::Invalid => {
                    Blame::Candidate
                }
                _ => Blame::Platform,
            },
        }
    }
}

/// A bare repository in a directory of ours, as [`fetch`](crate::fetch()) leaves it. Reading is blocking.
pub struct Repository {
    pub(crate) inner: git2::Repository,
}

impl Repository {
    /// Opens the bare repository in exactly this directory.
    ///
    /// Objects are not hashed again when they are read: git itself named them by their content when it took the pack in.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let flags = git2::RepositoryOpenFlags::NO_SEARCH
            | git2::RepositoryOpenFlags::BARE
            | git2::RepositoryOpenFlags::NO_DOTGIT;
        static READ_AS_NAMED: Once = Once::new();
        READ_AS_NAMED.call_once(|| git2::opts::strict_hash_verification(false));
        let inner = git2::Repository::open_ext(path, flags, std::iter::empty::<&Path>())?;
        Ok(Self { inner })
    }

    /// Makes a bare repository in a folder that is empty or not there yet: only what git and libgit2 need to take it for one.
    /// Every run makes one, and libgit2 would write twice as much, and its configuration three times over.
    pub(crate) fn create(path: &Path) -> io::Result<()> {
        for folder in ["objects/pack", "refs/heads"] {
            fs::create_dir_all(path.join(folder))?;
        }
        fs::write(
            path.join("config"),
            "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
        )?;
        fs::write(path.join("HEAD"), format!("ref: {BRANCH}\n"))
    }

    /// A file's content.
    ///
    /// # Errors
    /// When it is larger than `limit_bytes`, which is found out before it is read.
    pub fn read(&self, id: ObjectId, limit_bytes: u64) -> Result<Vec<u8>, ReadError> {
        let odb = self.inner.odb()?;
        check(&odb, id.0, ObjectType::Blob, limit_bytes)?;
        Ok(odb.read(id.0)?.data().to_vec())
    }

    /// The commit that a reference of this repository leads to.
    pub(crate) fn commit_at(&self, reference: &str) -> Result<ObjectId, ReadError> {
        let odb = self.inner.odb()?;
        let mut id = self.inner.refname_to_id(reference)?;
        for _ in 0..=MAX_TAGS {
            match header(&odb, id)?.1 {
                ObjectType::Commit => {
                    check(&odb, id, ObjectType::Commit, MAX_COMMIT_BYTES as u64)?;
                    return Ok(ObjectId(id));
                }
                ObjectType::Tag => {
                    check(&odb, id, ObjectType::Tag, MAX_COMMIT_BYTES as u64)?;
                    id = self.inner.find_tag(id)?.target_id();
                }
                _ => break,
            }
        }
        Err(ReadError::Kind(ObjectId(id)))
    }

    /// The commit, once its size has been checked.
    pub(crate) fn commit(&self, odb: &git2::Odb<'_>, id: Oid) -> Result<git2::Commit<'_>, ReadError> {
        check(odb, id, ObjectType::Commit, MAX_COMMIT_BYTES as u64)?;
        Ok(self.inner.find_commit(id)?)
    }
}

/// Size and kind of an object, without reading it.
pub(crate) fn header(odb: &git2::Odb<'_>, id: Oid) -> Result<(u64, ObjectType), ReadError> {
    match odb.read_header(id) {
        Ok((size, kind)) => Ok((size as u64, kind)),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Err(ReadError::Missing(ObjectId(id))),
        Err(error) => Err(error.into()),
    }
}

/// Makes sure that an object is what it should be, and small enough to be read.
pub(crate) fn check(
    odb: &git2::Odb<'_>,
    id: Oid,
    kind: ObjectType,
    limit_bytes: u64,
) -> Result<(), ReadError> {
    let (bytes, found) = header(odb, id)?;
    if found != kind {
        return Err(ReadError::Kind(ObjectId(id)));
    }
    if bytes > limit_bytes {
        return Err(ReadError::TooLarge {
            id: ObjectId(id),
            bytes,
            limit_bytes,
        });
    }
    Ok(())
}
