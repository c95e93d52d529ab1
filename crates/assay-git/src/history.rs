//! The commits that led to a submission: who, when, how much, and every version of every file that was ever in them.

use std::collections::{BinaryHeap, HashSet};

use git2::{Odb, Oid};

mod changes;

use self::changes::{Budget, Change};
use crate::object::ReadError;
use crate::{ObjectId, Repository, Tree, display, object};

/// The last second of the year 9999: where dates end.
const LAST_SECOND: i64 = 253_402_300_799;

/// How much of a history is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Most commits.
    pub commits: usize,
    /// Most entries of directories that are looked at while commits are compared with their parents, in one call.
    pub compared_entries: usize,
    /// Most bytes of files whose lines are counted, in one call. A file counts as at least 4 KiB.
    pub compared_bytes: u64,
    /// Largest file whose lines are counted, in bytes. Of larger and of binary files no lines are counted.
    pub compared_file_bytes: u64,
    /// Most versions of files that [`Repository::introduced_blobs`] gives.
    pub introduced_blobs: usize,
}

impl HistoryLimits {
    /// For take-home exercises: 5000 commits, 200 000 compared entries, 100 MB of compared files of at most 500 kB,
    /// 20 000 versions of files.
    pub const STANDARD: Self = Self {
        commits: 5_000,
        compared_entries: 200_000,
        compared_bytes: 100_000_000,
        compared_file_bytes: 500_000,
        introduced_blobs: 20_000,
    };
}

/// The commits that a commit is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Newest first.
    pub commits: Vec<Commit>,
    /// There is more: a limit was hit, or the history was only fetched in part.
    pub truncated: bool,
}

/// One commit. All texts are the author's word, made safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: ObjectId,
    /// Name and address of the author, at most 200 characters.
    pub author: String,
    /// When it was written, by the author's clock: seconds since 1970, never negative, at most the end of the year 9999.
    pub authored_at: i64,
    /// First line of the message, at most 200 characters.
    pub subject: String,
    /// Bytes of the message after its first line.
    pub body_bytes: usize,
    /// It has more than one parent.
    pub is_merge: bool,
    /// It has no parent, and that is not for a history that was cut off.
    pub is_root: bool,
}

/// The size of a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangeSize {
    /// Files that were added, changed or removed.
    pub n_files: usize,
    /// Lines that were added.
    pub insertions: usize,
    /// Lines that were removed.
    pub deletions: usize,
}

/// Versions of files that are in the history, but not in the final tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntroducedBlobs {
    /// Each content once, with the oldest commit that has it; oldest first.
    pub blobs: Vec<IntroducedBlob>,
    /// There is more: a limit was hit, or the history was only fetched in part.
    pub truncated: bool,
}

/// One version of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntroducedBlob {
    /// The commit that brought it.
    pub commit: ObjectId,
    /// Its path as a usable relative path: names that are not usable are replaced by an escaped form.
    pub path: String,
    /// Its size, in bytes. Unlike the files of a [`Tree`], it may be of any size.
    pub size: u64,
    /// Its content, for [`Repository::read`].
    pub id: ObjectId,
}

impl Repository {
    /// Reads the history of a commit.
    ///
    /// # Errors
    /// When an object is broken. Limits are not errors: they truncate.
    pub fn history(&self, commit: ObjectId, limits: HistoryLimits) -> Result<History, ReadError> {
        let odb = self.inner.odb()?;
        let walked = self.walk(&odb, commit, limits)?;
        let mut history = History {
            commits: Vec::with_capacity(walked.ids.len()),
            truncated: walked.truncated,
        };
        for id in walked.ids {
            let commit = self.commit(&odb, id)?;
            let lineage = Lineage::of(&commit);
            let message = Message::of(commit.message_bytes());
            history.commits.push(Commit {
                id: ObjectId(id),
                author: author(&commit.author()),
                authored_at: commit.author().when().seconds().clamp(0, LAST_SECOND),
                subject: display::one_line(message.subject, 200),
                body_bytes: message.body.len(),
                is_merge: lineage == Lineage::Merge,
                is_root: lineage == Lineage::Root,
            });
        }
        Ok(history)
    }

    /// Finds every version of every file that the history brought and that is not in the final tree: deleted secrets are
    /// secrets still.
    ///
    /// # Errors
    /// When an object is broken. Limits are not errors: they truncate.
    pub fn introduced_blobs(
        &self,
        commit: ObjectId,
        tree: &Tree,
        limits: HistoryLimits,
    ) -> Result<IntroducedBlobs, ReadError> {
        let odb = self.inner.odb()?;
        let walked = self.walk(&odb, commit, limits)?;
        let mut budget = Budget {
            entries: limits.compared_entries,
            bytes: 0,
        };
        let mut seen: HashSet<Oid> = tree.files.iter().map(|file| file.id.0).collect();
        let mut introduced = IntroducedBlobs {
            blobs: Vec::new(),
            truncated: walked.truncated,
        };
        for id in walked.ids.into_iter().rev() {
            let commit = self.commit(&odb, id)?;
            let completed = self.changes_of(&odb, &commit, &mut budget, &mut |change, _| {
                let Some(new) = change.new.filter(|new| seen.insert(*new)) else {
                    return Ok(true);
                };
                if introduced.blobs.len() == limits.introduced_blobs {
                    return Ok(false);
                }
                introduced.blobs.push(IntroducedBlob {
                    commit: ObjectId(id),
                    path: change.path.to_owned(),
                    size: object::header(&odb, new)?.0,
                    id: ObjectId(new),
                });
                Ok(true)
            })?;
            if !completed {
                introduced.truncated = true;
                break;
            }
        }
        Ok(introduced)
    }

    /// The commits, newest first by their committers' clocks.
    ///
    /// This is not libgit2's walk, because that one reads commits of any size.
    fn walk(&self, odb: &Odb<'_>, from: ObjectId, limits: HistoryLimits) -> Result<Walked, ReadError> {
        let mut walked = Walked {
            ids: Vec::new(),
            truncated: false,
        };
        let mut seen = HashSet::from([from.0]);
        let mut next = BinaryHeap::from([(self.commit(odb, from.0)?.time().seconds(), from.0)]);
        while let Some((_, id)) = next.pop() {
            if walked.ids.len() == limits.commits {
                walked.truncated = true;
                break;
            }
            walked.ids.push(id);
            let commit = self.commit(odb, id)?;
            walked.truncated |= Lineage::of(&commit) == Lineage::CutOff;
            for parent in commit.parent_ids() {
                if !seen.insert(parent) {
                    continue;
                }
                match self.commit(odb, parent) {
                    Ok(parent_commit) => next.push((parent_commit.time().seconds(), parent)),
                    // A commit of megabytes ends its line of the history.
                    Err(ReadError::TooLarge { .. }) => walked.truncated = true,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(walked)
    }

    /// How much a commit changed against its parent. Nothing for merges, where the history is cut off, and beyond the limits.
    ///
    /// # Errors
    /// When an object is broken.
    pub fn change_size(
        &self,
        commit: ObjectId,
        limits: HistoryLimits,
    ) -> Result<Option<ChangeSize>, ReadError> {
        let odb = self.inner.odb()?;
        let commit = self.commit(&odb, commit.0)?;
        if let Lineage::Merge | Lineage::CutOff = Lineage::of(&commit) {
            return Ok(None);
        }
        let mut budget = Budget {
            entries: limits.compared_entries,
            bytes: limits.compared_bytes,
        };
        let mut size = ChangeSize::default();
        let completed = self.changes_of(&odb, &commit, &mut budget, &mut |change, budget| {
            let Some((insertions, deletions)) =
                changes::count_lines(&odb, change, limits.compared_file_bytes, budget)?
            else {
                return Ok(false);
            };
            size.n_files += 1;
            size.insertions += insertions;
            size.deletions += deletions;
            Ok(true)
        })?;
        Ok(completed.then_some(size))
    }

    /// Visits what a commit changed against its first parent. False when the budget ran out or the visitor said so.
    fn changes_of(
        &self,
        odb: &Odb<'_>,
        commit: &git2::Commit<'_>,
        budget: &mut Budget,
        visit: changes::Visit<'_>,
    ) -> Result<bool, ReadError> {
        let before = match commit.parent_ids().next() {
            // One that is too large counts as none; then all is new.
            Some(parent) => match self.commit(odb, parent) {
                Ok(parent) => Some(parent.tree_id()),
                Err(ReadError::TooLarge { .. }) => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        changes::visit(self, odb, before, commit.tree_id(), budget, visit)
    }
}

struct Walked {
    ids: Vec<Oid>,
    truncated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lineage {
    Root,
    Child,
    Merge,
    /// It has parents, but they were not fetched.
    CutOff,
}

impl Lineage {
    fn of(commit: &git2::Commit<'_>) -> Self {
        match commit.parent_count() {
            // libgit2 hides the parents where a shallow history ends; the commit itself still names them.
            0 if commit
                .raw_header_bytes()
                .split(|&b| b == b'\n')
                .any(|line| line.starts_with(b"parent ")) =>
            {
                Self::CutOff
            }
            0 => Self::Root,
            1 => Self::Child,
            _ => Self::Merge,
        }
    }
}

/// A message's first line that says something, and all that follows.
struct Message<'a> {
    subject: &'a [u8],
    body: &'a [u8],
}

impl<'a> Message<'a> {
    fn of(message: &'a [u8]) -> Self {
        let message = message.trim_ascii();
        let end = message.iter().position(|&b| b == b'\n').unwrap_or(message.len());
        let (subject, body) = message.split_at(end);
        Self {
            subject: subject.trim_ascii(),
            body: body.trim_ascii(),
        }
    }
}

fn author(signature: &git2::Signature<'_>) -> String {
    let text = [signature.name_bytes(), b" <", signature.email_bytes(), b">"].concat();
    display::one_line(&text, 200)
}

impl Change<'_> {
    /// Both sides, where they are there.
    fn sides(&self) -> impl Iterator<Item = Oid> {
        self.old.into_iter().chain(self.new)
    }
}
