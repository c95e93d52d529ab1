//! A sample solution as a repository: the template's commit, then the solution's commits, always with the same ids.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use assay_core::expected::{Expected, SolutionCommit};
use assay_core::yaml::{self, Mistake};
use git2::Oid;

use crate::folder::{File, Folder, FolderError};
use crate::object::{BRANCH, ReadError};
use crate::{ObjectId, Repository};

mod variants;

pub use variants::{Files, REFERENCE, Variants, variants};

/// The base that is no solution: the bare template.
pub const TEMPLATE: &str = "template";

/// The file that describes a solution.
const DESCRIPTION: &str = "expected.yaml";

/// Author of the template's commit.
const ASSAY: (&str, &str) = ("Assay", "assay@example.com");
/// Author of the solution's commits.
const CANDIDATE: (&str, &str) = ("Sam Candidate", "sam@example.com");

/// When the template's commit was made: 3 March 2025, 09:00 UTC.
const FIRST_COMMIT_AT: i64 = 1_740_992_400;
/// From one commit to the next, in seconds.
const BETWEEN_COMMITS: i64 = 47 * 60;

/// Most solutions that build on each other.
const MAX_BASES: usize = 8;

/// Why a solution cannot be made into a repository. All but the disk's errors are mistakes in the exercise.
#[derive(Debug, thiserror::Error)]
pub enum SolutionError {
    /// The template or the solution cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// `expected.yaml` is wrong.
    #[error("{}", mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n"))]
    Description {
        /// All mistakes.
        mistakes: Vec<Mistake>,
    },
    /// Solutions build on each other in a circle, or on too many others.
    #[error("solution {name} builds on itself, or on more than {MAX_BASES} others")]
    Bases {
        /// The solution.
        name: String,
    },
    /// A name in `expected.yaml` that is not in the folder or the tree.
    #[error("solution {solution}: {what} `{path}` is not there")]
    NotThere {
        /// The solution.
        solution: String,
        /// What was looked for.
        what: &'static str,
        /// Its name.
        path: String,
    },
    /// A patch that no commit mentions.
    #[error("solution {solution}: no commit uses {path}")]
    UnusedPatch {
        /// The solution.
        solution: String,
        /// The patch.
        path: String,
    },
    /// A commit that changes nothing.
    #[error("solution {solution}: the commit `{message}` changes nothing")]
    EmptyCommit {
        /// The solution.
        solution: String,
        /// The commit's message.
        message: String,
    },
    /// A patch that is not a patch, or does not fit.
    #[error("solution {solution}: {patch} does not apply{}: {}", place.as_deref().unwrap_or_default(), source.message())]
    Patch {
        /// The solution.
        solution: String,
        /// The patch.
        patch: String,
        /// File and hunk, where it is known.
        place: Option<String>,
        /// Why.
        source: git2::Error,
    },
    /// There is no place for the repository.
    #[error("cannot create the repository {}", path.display())]
    Create {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The repository cannot be written.
    #[error("cannot write the repository")]
    Write(#[from] ReadError),
}

impl From<git2::Error> for SolutionError {
    fn from(error: git2::Error) -> Self {
        Self::Write(error.into())
    }
}

/// Makes a bare repository with one branch, `main`, out of a solution of an exercise.
///
/// The first commit is the template of the track, by Assay. The commits of the solutions that this one builds on follow,
/// then its own. `solution` may be [`TEMPLATE`]. `into` must not exist. The same folder always gives the same ids.
///
/// # Errors
/// [`SolutionError`] names the file to mend.
pub fn materialise(
    exercise: &Path,
    track: &str,
    solution: &str,
    into: &Path,
) -> Result<ObjectId, SolutionError> {
    let template = Folder::read(&exercise.join("templates").join(track))?;
    let solutions = Solution::with_bases(&exercise.join("solutions").join(track), solution)?;

    std::fs::create_dir(into)
        .and_then(|()| Repository::create(into))
        .map_err(|source| SolutionError::Create {
            path: into.to_owned(),
            source,
        })?;
    let repository = Repository::open(into)?;
    let mut writer = Writer::start(&repository.inner, template)?;
    for solution in &solutions {
        writer.add(solution)?;
    }
    repository
        .inner
        .reference(BRANCH, writer.commit, true, "materialise")?;
    Ok(ObjectId(writer.commit))
}

/// A solution as it was read.
struct Solution {
    name: String,
    expected: Expected,
    /// Files of the tree, without the description and the patches.
    files: BTreeMap<String, File>,
    patches: BTreeMap<String, Vec<u8>>,
}

impl Solution {
    /// The solution and all that it builds on, the first base first.
    fn with_bases(track: &Path, name: &str) -> Result<Vec<Self>, SolutionError> {
        let mut solutions = Vec::new();
        let mut next = name.to_owned();
        // A folder called `template` may describe the bare template; as a base the name means the template itself.
        let describes_template = name == TEMPLATE && track.join(TEMPLATE).join(DESCRIPTION).is_file();
        while next != TEMPLATE || (describes_template && solutions.is_empty()) {
            if solutions.len() == MAX_BASES {
                return Err(SolutionError::Bases {
                    name: name.to_owned(),
                });
            }
            let solution = Self::read(track, &next)?;
            next.clone_from(&solution.expected.base);
            solutions.push(solution);
        }
        solutions.reverse();
        Ok(solutions)
    }

    fn read(track: &Path, name: &str) -> Result<Self, SolutionError> {
        if crate::tree::usable_name(name.as_bytes()).is_none() {
            return Err(SolutionError::NotThere {
                solution: name.to_owned(),
                what: "solution",
                path: name.to_owned(),
            });
        }
        let folder = track.join(name);
        let mut files = Folder::read(&folder)?.files;
        let path = folder.join(DESCRIPTION);
        let description = files.remove(DESCRIPTION).ok_or_else(|| not_found(path.clone()))?;
        let text = String::from_utf8_lossy(&description.content);
        let expected: Expected = yaml::read(&path.to_string_lossy(), &text)
            .map_err(|mistakes| SolutionError::Description { mistakes })?;

        let mut patches = BTreeMap::new();
        for path in expected.commits.iter().filter_map(|commit| commit.patch.as_ref()) {
            if patches.contains_key(path) {
                continue;
            }
            let Some(file) = files.remove(path) else {
                return Err(SolutionError::NotThere {
                    solution: name.to_owned(),
                    what: "patch",
                    path: path.clone(),
                });
            };
            patches.insert(path.clone(), file.content);
        }
        if let Some(path) = files.keys().find(|path| path.ends_with(".patch")) {
            return Err(SolutionError::UnusedPatch {
                solution: name.to_owned(),
                path: path.clone(),
            });
        }
        Ok(Self {
            name: name.to_owned(),
            expected,
            files,
            patches,
        })
    }
}

/// The history so far.
struct Writer<'a> {
    repository: &'a git2::Repository,
    commit: Oid,
    n_commits: i64,
}

impl<'a> Writer<'a> {
    fn start(repository: &'a git2::Repository, template: Folder) -> Result<Self, SolutionError> {
        let mut writer = Self {
            repository,
            commit: Oid::zero(),
            n_commits: 0,
        };
        let mut index = git2::Index::new()?;
        writer.put(&mut index, &template.files)?;
        let tree = index.write_tree_to(repository)?;
        writer.commit(tree, ASSAY, "Start from the template of the exercise")?;
        Ok(writer)
    }

    /// Adds the commits of one solution. The last one takes what no other took: the rest of the files, and the removals.
    fn add(&mut self, solution: &Solution) -> Result<(), SolutionError> {
        let mut left = solution.files.clone();
        let whole = [SolutionCommit {
            message: solution.expected.title.clone(),
            paths: Vec::new(),
            patch: None,
        }];
        let has_work = !left.is_empty() || !solution.expected.remove.is_empty();
        let commits = match solution.expected.commits.as_slice() {
            [] if has_work => &whole,
            commits => commits,
        };
        for (i, commit) in commits.iter().enumerate() {
            let parent_tree = self.repository.find_commit(self.commit)?.tree()?;
            let mut index = match &commit.patch {
                Some(patch) => {
                    let bytes = solution.patches.get(patch).map_or(&[][..], Vec::as_slice);
                    patched(self.repository, &solution.name, patch, bytes, &parent_tree)?
                }
                None => index_of(&parent_tree)?,
            };
            for path in &commit.paths {
                let taken = take(&mut left, path);
                if taken.is_empty() {
                    return Err(solution.not_there("file or folder", path));
                }
                self.put(&mut index, &taken)?;
            }
            if i + 1 == commits.len() {
                self.put(&mut index, &std::mem::take(&mut left))?;
                for path in &solution.expected.remove {
                    remove(&mut index, path)?
                        .then_some(())
                        .ok_or_else(|| solution.not_there("file to remove", path))?;
                }
            }
            let tree = index.write_tree_to(self.repository)?;
            if tree == parent_tree.id() {
                let message = commit.message.clone();
                return Err(SolutionError::EmptyCommit {
                    solution: solution.name.clone(),
                    message,
                });
            }
            self.commit(tree, CANDIDATE, &commit.message)?;
        }
        Ok(())
    }

    fn put(&self, index: &mut git2::Index, files: &BTreeMap<String, File>) -> Result<(), git2::Error> {
        for (path, file) in files {
            let id = self.repository.blob(&file.content)?;
            let mode = if file.executable { 0o100_755 } else { 0o100_644 };
            index.add(&git2::IndexEntry {
                ctime: git2::IndexTime::new(0, 0),
                mtime: git2::IndexTime::new(0, 0),
                dev: 0,
                ino: 0,
                mode,
                uid: 0,
                gid: 0,
                file_size: 0,
                id,
                flags: 0,
                flags_extended: 0,
                path: path.clone().into_bytes(),
            })?;
        }
        Ok(())
    }

    fn commit(&mut self, tree: Oid, (name, email): (&str, &str), message: &str) -> Result<(), git2::Error> {
        let time = git2::Time::new(FIRST_COMMIT_AT + BETWEEN_COMMITS * self.n_commits, 0);
        let author = git2::Signature::new(name, email, &time)?;
        let tree = self.repository.find_tree(tree)?;
        let parent = (self.n_commits > 0)
            .then(|| self.repository.find_commit(self.commit))
            .transpose()?;
        let parents: Vec<_> = parent.iter().collect();
        self.commit = self
            .repository
            .commit(None, &author, &author, message, &tree, &parents)?;
        self.n_commits += 1;
        Ok(())
    }
}

impl Solution {
    fn not_there(&self, what: &'static str, path: &str) -> SolutionError {
        SolutionError::NotThere {
            solution: self.name.clone(),
            what,
            path: path.to_owned(),
        }
    }
}

/// Takes a file, or all files of a folder, out of `files`.
fn take(files: &mut BTreeMap<String, File>, path: &str) -> BTreeMap<String, File> {
    let path = path.trim_end_matches('/');
    let (taken, left) = std::mem::take(files).into_iter().partition(|(name, _)| {
        name.strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    *files = left;
    taken
}

/// The tree with the patch applied.
fn patched(
    repository: &git2::Repository,
    solution: &str,
    patch: &str,
    bytes: &[u8],
    tree: &git2::Tree<'_>,
) -> Result<git2::Index, SolutionError> {
    let place: Cell<Option<String>> = Cell::new(None);
    let file: Cell<Option<PathBuf>> = Cell::new(None);
    let mut options = git2::ApplyOptions::new();
    options.delta_callback(|delta| {
        let path = delta.and_then(|delta| {
            delta
                .new_file()
                .path()
                .or(delta.old_file().path())
                .map(Path::to_owned)
        });
        place.set(path.as_ref().map(|path| format!(" to {}", path.display())));
        file.set(path);
        true
    });
    options.hunk_callback(|hunk| {
        let path = file.take();
        if let (Some(path), Some(hunk)) = (&path, hunk) {
            let header = String::from_utf8_lossy(hunk.header()).trim().to_owned();
            place.set(Some(format!(" to {}, hunk {header}", path.display())));
        }
        file.set(path);
        true
    });
    let applied = git2::Diff::from_buffer(bytes)
        .and_then(|diff| repository.apply_to_tree(tree, &diff, Some(&mut options)));
    drop(options);
    applied.map_err(|source| SolutionError::Patch {
        solution: solution.to_owned(),
        patch: patch.to_owned(),
        place: place.take(),
        source,
    })
}

fn index_of(tree: &git2::Tree<'_>) -> Result<git2::Index, git2::Error> {
    let mut index = git2::Index::new()?;
    index.read_tree(tree)?;
    Ok(index)
}

/// Removes a file, or all files of a folder. False when there is none.
fn remove(index: &mut git2::Index, path: &str) -> Result<bool, git2::Error> {
    let before = index.len();
    let path = path.trim_end_matches('/');
    index.remove_dir(Path::new(path), 0)?;
    if index.get_path(Path::new(path), 0).is_some() {
        index.remove(Path::new(path), 0)?;
    }
    Ok(index.len() < before)
}

fn not_found(path: PathBuf) -> FolderError {
    FolderError::Io {
        path,
        source: io::ErrorKind::NotFound.into(),
    }
}
