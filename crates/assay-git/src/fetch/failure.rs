//! Why a fetch failed, and whose problem that is.

use std::io;

use crate::process::{Outcome, Stopped};
use crate::{Blame, display};

/// Why nothing was fetched. No text in it holds more than git's own words, made safe to show.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no commit in it.
    #[error("the repository has no commits")]
    NoCommits,
    /// `HEAD` points to a branch that does not exist, and several others do.
    #[error("the repository's default branch does not exist; its branches: {branches}")]
    NoDefaultBranch {
        /// The first of them.
        branches: String,
    },
    /// The reference leads to something else, or to a commit too large to be one.
    #[error("`{reference}` is not a commit")]
    NotACommit {
        /// The reference.
        reference: String,
    },
    /// Tens of thousands of branches and tags.
    #[error("the repository has too many branches and tags")]
    TooManyReferences,
    /// The pack ran into [`FetchLimits::pack_bytes`](crate::FetchLimits).
    #[error("the repository is larger than {} MiB", limit_bytes >> 20)]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// Unpacking ran into the limit of memory or processor time: objects that are far larger than the pack they came in.
    #[error("the repository takes too much memory or time to unpack")]
    TooMuchWork,
    /// Objects are missing, broken or malformed (such as a directory called `.git` in a tree).
    #[error("the repository is damaged: {detail}")]
    Damaged {
        /// Git's words.
        detail: String,
    },
    /// The reference that was asked for is not one.
    #[error("the branch, tag or commit asked for is not a name that git allows")]
    BadReference,
    /// The reference that was asked for is not there.
    #[error("the repository has no `{reference}`; its branches: {branches}")]
    MissingReference {
        /// As asked for.
        reference: String,
        /// The first branches that are there.
        branches: String,
    },
    /// The commit that was asked for by its id is not there, or the server does not give it away.
    #[error("the repository has no commit {id} to give")]
    MissingCommit {
        /// As asked for.
        id: String,
    },
    /// The local directory does not exist.
    #[error("there is no such directory")]
    NotThere,
    /// There is no repository there.
    #[error("there is no git repository there: {detail}")]
    NotARepository {
        /// Git's words.
        detail: String,
    },
    /// The server wants to know who asks. Servers answer so for repositories that do not exist, too.
    #[error("the repository does not exist or needs credentials")]
    NeedsCredentials,
    /// The server sends us elsewhere, which is not followed.
    #[error("the server redirects to another address; use that one ({detail})")]
    Redirected {
        /// Git's words.
        detail: String,
    },
    /// No connection, or it broke.
    #[error("the repository cannot be reached: {detail}")]
    Unreachable {
        /// Git's words.
        detail: String,
    },
    /// The git program is not installed.
    #[error("the git program is not installed")]
    GitMissing,
    /// The git program does not know an option that it needs: older than 2.31.
    #[error("the git program is too old: {detail}")]
    GitTooOld {
        /// Git's words.
        detail: String,
    },
    /// No space left.
    #[error("the disk is full")]
    DiskFull,
    /// The caller's token was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The caller's deadline passed.
    #[error("not fetched in time")]
    TimedOut,
    /// Something of the host's does not work.
    #[error("cannot {doing}")]
    Io {
        /// What could not be done.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl FetchError {
    /// Whose problem it is. A candidate's is a verdict; a caller gave a wrong address or name; the rest is ours.
    pub fn blame(&self) -> Blame {
        match self {
            Self::NoCommits
            | Self::NoDefaultBranch { .. }
            | Self::NotACommit { .. }
            | Self::TooManyReferences
            | Self::TooLarge { .. }
            | Self::TooMuchWork
            | Self::Damaged { .. } => Blame::Candidate,
            Self::BadReference
            | Self::MissingReference { .. }
            | Self::MissingCommit { .. }
            | Self::NotThere
            | Self::NotARepository { .. }
            | Self::NeedsCredentials
            | Self::Redirected { .. }
            | Self::Unreachable { .. } => Blame::Caller,
            Self::GitMissing
            | Self::GitTooOld { .. }
            | Self::DiskFull
            | Self::Cancelled
            | Self::TimedOut
            | Self::Io { .. } => Blame::Platform,
        }
    }
}

/// Git did not run to its end.
pub(super) fn of_stop(stopped: Stopped, pack_limit_bytes: u64) -> FetchError {
    match stopped {
        Stopped::Cancelled => FetchError::Cancelled,
        Stopped::TimedOut => FetchError::TimedOut,
        Stopped::Watch => FetchError::TooLarge {
            limit_bytes: pack_limit_bytes,
        },
        Stopped::OutputCap => FetchError::TooManyReferences,
        Stopped::Missing => FetchError::GitMissing,
        Stopped::Io(source) if source.kind() == io::ErrorKind::StorageFull => FetchError::DiskFull,
        Stopped::Io(source) => FetchError::Io {
            doing: "run git",
            source,
        },
    }
}

/// Git could not list the references.
pub(super) fn of_listing(outcome: &Outcome, is_local: bool) -> FetchError {
    let words = Words::of(outcome, is_local);
    words.common().unwrap_or_else(|| {
        match is_local || words.has(" not found") || words.has("is this a git repository?") {
            true => FetchError::NotARepository {
                detail: words.detail(),
            },
            false => FetchError::Unreachable {
                detail: words.detail(),
            },
        }
    })
}

/// Git listed the references, but did not fetch what was asked.
pub(super) fn of_transfer(outcome: &Outcome, is_local: bool, wanted: &str) -> FetchError {
    let words = Words::of(outcome, is_local);
    if let Some(error) = words.common() {
        return error;
    }
    if words.has("not our ref") || words.has("couldn't find remote ref") {
        return FetchError::MissingCommit {
            id: wanted.to_owned(),
        };
    }
    // SIGXCPU, SIGXFSZ (the size is judged by the caller), or malloc against the limit.
    if words.has("died of signal 24") || words.has("died of signal 25") || words.has("ut of memory") {
        return FetchError::TooMuchWork;
    }
    match is_local
        || words.has("fsck error")
        || words.has("unpack-objects")
        || words.has("mismatched algorithms")
    {
        true => FetchError::Damaged {
            detail: words.detail(),
        },
        false => FetchError::Unreachable {
            detail: words.detail(),
        },
    }
}

/// What git said on stderr. Its exit status is 128 for everything, so its words, fixed by `LC_ALL=C`, are all there is.
struct Words {
    status: Option<i32>,
    text: String,
}

impl Words {
    /// Without what a server said (`remote: …`), which must not be able to choose our error. The server of a local
    /// repository is git itself, started by us.
    fn of(outcome: &Outcome, is_local: bool) -> Self {
        let text = String::from_utf8_lossy(&outcome.stderr);
        let own = text
            .lines()
            .filter_map(|line| match line.strip_prefix("remote:") {
                Some(said) => is_local.then(|| said.trim_start()),
                None => Some(line),
            });
        let own: Vec<&str> = own.collect();
        Self {
            status: outcome.status.code(),
            text: own.join("\n"),
        }
    }

    fn has(&self, words: &str) -> bool {
        self.text.contains(words)
    }

    fn common(&self) -> Option<FetchError> {
        let credentials = [
            "could not read Username",
            "could not read Password",
            "Authentication failed",
            "returned error: 401",
            "returned error: 403",
            "Permission denied (",
        ];
        if self.status == Some(129) {
            Some(FetchError::GitTooOld {
                detail: self.detail(),
            })
        } else if self.has("No space left on device") {
            Some(FetchError::DiskFull)
        } else if credentials.iter().any(|words| self.has(words)) {
            Some(FetchError::NeedsCredentials)
        } else if self.has("returned error: 30") {
            Some(FetchError::Redirected {
                detail: self.detail(),
            })
        } else {
            None
        }
    }

    /// The first line that says what went wrong; the last line where none does.
    fn detail(&self) -> String {
        let mut lines = self.text.lines().filter(|line| !line.trim().is_empty());
        let telling = lines
            .clone()
            .find(|line| line.starts_with("fatal:") || line.starts_with("error:"));
        let line = telling
            .or_else(|| lines.next_back())
            .unwrap_or("git gave no reason");
        let line = line.trim_start_matches("fatal: ").trim_start_matches("error: ");
        display::one_line(line.as_bytes(), 300)
    }
}
