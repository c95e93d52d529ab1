//! The files of a commit, listed without a checkout and under limits.
//!
//! A repository of 200 KB can describe 10^10 files, so the walk counts every entry, asks for sizes instead of reading, and
//! stops at the first limit.

use git2::{ObjectType, Odb, Oid};

use crate::object::{self, ReadError};
use crate::{Blame, ObjectId, Repository, display};

/// Largest object that lists one directory, in bytes.
pub(crate) const MAX_DIRECTORY_BYTES: u64 = 16 << 20;

/// The pointer files of Git LFS begin so and are at most so large.
const LFS_START: &[u8] = b"version https://git-lfs.github.com/spec/v1";
const LFS_MAX_BYTES: u64 = 1024;

/// How large a tree may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeLimits {
    /// Most entries: files, directories and all else that has a name. More refuse the tree.
    pub entries: usize,
    /// Largest file, in bytes. A larger one is left out.
    pub file_bytes: u64,
    /// Most bytes of all files together. More refuse the tree.
    pub total_bytes: u64,
    /// Most directories around a file. More refuse the tree.
    pub depth: usize,
    /// Longest path, in bytes. A longer one refuses the tree.
    pub path_bytes: usize,
}

impl TreeLimits {
    /// For take-home exercises: 20 000 entries, 5 MB a file, 100 MB in all, 64 levels, paths of 1024 bytes.
    pub const STANDARD: Self = Self {
        entries: 20_000,
        file_bytes: 5_000_000,
        total_bytes: 100_000_000,
        depth: 64,
        path_bytes: 1024,
    };
}

/// The files of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// What can be exported, in git's order.
    pub files: Vec<Entry>,
    /// What cannot, to be told to the candidate.
    pub left_out: Vec<LeftOut>,
}

/// One regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative, `/`-separated, UTF-8, without `..`, `.git`, control or direction characters.
    pub path: String,
    /// Whether it may be executed. No other mode bit is kept.
    pub executable: bool,
    /// In bytes.
    pub size: u64,
    /// Its content, for [`Repository::read`].
    pub id: ObjectId,
    /// It is a pointer of Git LFS: the content itself was never fetched.
    pub is_lfs_pointer: bool,
}

/// Something that is in the commit and not in [`Tree::files`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its path, made safe to show. It names nothing.
    pub shown_path: String,
    /// Why.
    pub reason: Reason,
}

/// Why something is left out of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Symbolic links are not exported: they could lead anywhere.
    Symlink,
    /// Submodules are not fetched.
    Submodule,
    /// Larger than [`TreeLimits::file_bytes`].
    TooLarge {
        /// Its size, in bytes.
        bytes: u64,
    },
    /// `.git`, `..`, not UTF-8, or with control or direction characters.
    OddName,
}

impl Reason {
    /// As the end of a sentence that begins with the path.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Symlink => "is a symbolic link and was left out",
            Self::Submodule => "is a submodule and was left out",
            Self::TooLarge { .. } => "is too large and was left out",
            Self::OddName => "has a name that is not allowed and was left out",
        }
    }
}

/// Why a tree is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// More entries than [`TreeLimits::entries`].
    #[error("too many files: more than {limit} files and directories")]
    TooManyEntries {
        /// The limit.
        limit: usize,
    },
    /// More bytes than [`TreeLimits::total_bytes`].
    #[error("too large: more than {} MB in all", limit_bytes / 1_000_000)]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// Deeper than [`TreeLimits::depth`].
    #[error("too deep: more than {limit} directories in each other")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A longer path than [`TreeLimits::path_bytes`].
    #[error("a path is longer than {limit_bytes} bytes")]
    PathTooLong {
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// An object cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl TreeError {
    /// Whose problem it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::TooManyEntries { .. }
            | Self::TooLarge { .. }
            | Self::TooDeep { .. }
            | Self::PathTooLong { .. } => Blame::Candidate,
            Self::Read(error) => error.blame(),
        }
    }
}

impl From<git2::Error> for TreeError {
    fn from(error: git2::Error) -> Self {
        Self::Read(error.into())
    }
}

impl Repository {
    /// The id of a commit's tree.
    ///
    /// # Errors
    /// When the commit cannot be read.
    pub fn tree_id(&self, commit: ObjectId) -> Result<ObjectId, ReadError> {
        let odb = self.inner.odb()?;
        Ok(ObjectId(self.commit(&odb, commit.0)?.tree_id()))
    }

    /// Lists the files of a commit. Reads directories, and files only where they could be LFS pointers.
    ///
    /// # Errors
    /// At the first limit that is passed.
    pub fn tree(&self, commit: ObjectId, limits: TreeLimits) -> Result<Tree, TreeError> {
        let odb = self.inner.odb()?;
        let root = self.commit(&odb, commit.0)?.tree_id();
        let mut walk = Walk {
            repository: self,
            odb: &odb,
            limits,
            n_entries: 0,
            total_bytes: 0,
            tree: Tree::default(),
        };
        walk.directory(root, "", 0)?;
        Ok(walk.tree)
    }
}

struct Walk<'a> {
    repository: &'a Repository,
    odb: &'a Odb<'a>,
    limits: TreeLimits,
    n_entries: usize,
    total_bytes: u64,
    tree: Tree,
}

impl Walk<'_> {
    fn directory(&mut self, id: Oid, prefix: &str, depth: usize) -> Result<(), TreeError> {
        if depth > self.limits.depth {
            return Err(TreeError::TooDeep {
                limit: self.limits.depth,
            });
        }
        object::check(self.odb, id, ObjectType::Tree, MAX_DIRECTORY_BYTES)?;
        let directory = self.repository.inner.find_tree(id)?;
        for entry in &directory {
            self.n_entries += 1;
            if self.n_entries > self.limits.entries {
                return Err(TreeError::TooManyEntries {
                    limit: self.limits.entries,
                });
            }
            let name = entry.name_bytes();
            if prefix.len() + name.len() > self.limits.path_bytes {
                return Err(TreeError::PathTooLong {
                    limit_bytes: self.limits.path_bytes,
                });
            }
            let Some(name) = usable_name(name) else {
                let shown = [prefix.as_bytes(), name].concat();
                self.leave_out(&shown, Reason::OddName);
                continue;
            };
            let path = format!("{prefix}{name}");
            match kind(entry.filemode_raw()) {
                Kind::Directory => self.directory(entry.id(), &format!("{path}/"), depth + 1)?,
                Kind::File { executable } => self.file(path, executable, entry.id())?,
                Kind::Symlink => self.leave_out(path.as_bytes(), Reason::Symlink),
                Kind::Submodule => self.leave_out(path.as_bytes(), Reason::Submodule),
                Kind::Other => self.leave_out(path.as_bytes(), Reason::OddName),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: String, executable: bool, id: Oid) -> Result<(), TreeError> {
        let (size, kind) = object::header(self.odb, id)?;
        if kind != ObjectType::Blob {
            return Err(ReadError::Kind(ObjectId(id)).into());
        }
        if size > self.limits.file_bytes {
            self.leave_out(path.as_bytes(), Reason::TooLarge { bytes: size });
            return Ok(());
        }
        self.total_bytes += size;
        if self.total_bytes > self.limits.total_bytes {
            return Err(TreeError::TooLarge {
                limit_bytes: self.limits.total_bytes,
            });
        }
        let could_be_pointer = (LFS_START.len() as u64..=LFS_MAX_BYTES).contains(&size);
        let is_lfs_pointer = could_be_pointer
            && self
                .repository
                .read(ObjectId(id), LFS_MAX_BYTES)?
                .starts_with(LFS_START);
        self.tree.files.push(Entry {
            path,
            executable,
            size,
            id: ObjectId(id),
            is_lfs_pointer,
        });
        Ok(())
    }

    fn leave_out(&mut self, path: &[u8], reason: Reason) {
        self.tree.left_out.push(LeftOut {
            shown_path: display::one_line(path, 300),
            reason,
        });
    }
}

/// What a directory's entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File { executable: bool },
    Symlink,
    Submodule,
    Other,
}

pub(crate) fn kind(mode: i32) -> Kind {
    match mode & 0o170_000 {
        0o040_000 => Kind::Directory,
        0o100_000 => Kind::File {
            executable: mode & 0o111 != 0,
        },
        0o120_000 => Kind::Symlink,
        0o160_000 => Kind::Submodule,
        _ => Kind::Other,
    }
}

/// The name, where it can be given to a file system and shown to people.
pub(crate) fn usable_name(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    let is_special = name.is_empty() || name == "." || name == ".." || name.eq_ignore_ascii_case(".git");
    let is_odd = |c: char| c == '/' || display::is_unsafe(c);
    (!is_special && name.len() <= 255 && !name.contains(is_odd)).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names() {
        for name in [
            "app.py",
            "-rf",
            "café",
            " x ",
            "a:b",
            "con",
            "...",
            ".gitignore",
            ".github",
            "$(id)",
            "a\\b",
        ] {
            assert_eq!(usable_name(name.as_bytes()), Some(name));
        }
        for name in [
            "",
            ".",
            "..",
            ".git",
            ".GIT",
            "a/b",
            "a\nb",
            "a\x1b",
            "a\0",
            "\u{202e}x",
            "a\u{7f}",
        ] {
            assert_eq!(usable_name(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(usable_name(b"\xff"), None);
        assert_eq!(usable_name("é".repeat(128).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn a_usable_name_stays_where_it_is(name in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'.'), Just(b'/')], 0..8)) {
            if let Some(usable) = usable_name(&name) {
                let components: Vec<_> = Path::new(usable).components().collect();
                prop_assert_eq!(components, vec![Component::Normal(usable.as_ref())]);
            }
        }
    }

    #[test]
    fn modes() {
        for (mode, expected) in [
            (0o100_644, Kind::File { executable: false }),
            (0o100_664, Kind::File { executable: false }),
            (0o104_755, Kind::File { executable: true }),
            (0o040_000, Kind::Directory),
            (0o120_000, Kind::Symlink),
            (0o160_000, Kind::Submodule),
            (0o010_644, Kind::Other),
            (0, Kind::Other),
        ] {
            assert_eq!(kind(mode), expected, "{mode:o}");
        }
    }
}
