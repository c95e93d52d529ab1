//! What a hook says: one closed [`Hook`], whichever forge it came from.
//!
//! One module per forge reads the few fields that count out of hostile JSON; everything else is ignored. Names are checked
//! here, so what is in a [`Submission`] is plain.

use assay_core::assignment::Pushed;
use assay_store::model::ForgeKind;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::repository::{self, is_full_name, is_reference, is_zero};

mod bitbucket;
mod bitbucket_server;
mod github;
mod gitlab;

#[cfg(test)]
mod tests;

/// Most references of one push that are looked at.
const MAX_CHANGES: usize = 16;

/// A hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hook {
    /// The forge tries whether somebody answers.
    Ping,
    /// Commits ask to be checked.
    Submissions(Vec<Submission>),
    /// Nothing is to be done, and why.
    Ignored(&'static str),
}

/// A commit that asks to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submission {
    /// Full name of the repository that has the commit.
    pub(crate) repository: String,
    /// Full name of the repository that is told: the one that the pull or merge request was made to.
    pub(crate) told: String,
    /// `refs/heads/…` or `refs/tags/…`.
    pub(crate) reference: String,
    /// The commit.
    pub(crate) commit: CommitName,
    /// Branch or tag. What asks to be merged is a branch.
    pub(crate) pushed: Pushed,
    /// Number of the pull or merge request.
    pub(crate) request: Option<u64>,
}

/// A commit, as the forge names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommitName {
    /// Wholly.
    Whole(String),
    /// By its first digits, 12 at Bitbucket: the forge must be asked for the others.
    Short(String),
}

/// The payload is not what the forge documents.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadPayload {
    #[error("the payload cannot be read: {0} (hint: set the webhook's content type to application/json)")]
    Json(#[from] serde_json::Error),
    #[error("the payload holds no usable {0}")]
    Name(&'static str),
}

/// Reads a believed hook.
pub(crate) fn read(forge: ForgeKind, event: &str, body: &[u8]) -> Result<Hook, BadPayload> {
    match forge {
        ForgeKind::GitHub | ForgeKind::Gitea => github::read(event, body),
        ForgeKind::GitLab => gitlab::read(event, body),
        ForgeKind::Bitbucket => bitbucket::read(event, body),
        ForgeKind::BitbucketServer => bitbucket_server::read(event, body),
    }
}

const NOT_OURS: Hook = Hook::Ignored("events of this kind ask for nothing");
const DELETED: Hook = Hook::Ignored("a branch or tag was deleted");
const OTHER_BRANCH: Hook =
    Hook::Ignored("only the default branch is checked; other branches by a pull or merge request");
const NO_NEW_COMMIT: Hook = Hook::Ignored("the request has no new commit");
const NO_SOURCE: Hook = Hook::Ignored("the request's source repository is gone");

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadPayload> {
    Ok(serde_json::from_slice(body)?)
}

/// A repository as most forges name it.
#[derive(Debug, Deserialize)]
struct Repository {
    full_name: String,
    default_branch: Option<String>,
}

/// A branch or tag that was pushed. `default` is the default branch's name, where the forge says it.
fn pushed(
    repository: &str,
    reference: &str,
    commit: &str,
    default: Option<&str>,
) -> Result<Hook, BadPayload> {
    if is_zero(commit) {
        return Ok(DELETED);
    }
    let pushed = match reference.strip_prefix("refs/heads/") {
        Some(branch) if default.map_or(matches!(branch, "main" | "master"), |name| name == branch) => {
            Pushed::Branch
        }
        Some(_) => return Ok(OTHER_BRANCH),
        None => Pushed::Tag,
    };
    let commit = repository::commit(commit).ok_or(BadPayload::Name("commit"))?;
    let submission = Submission {
        repository: repository.to_owned(),
        told: repository.to_owned(),
        reference: reference.to_owned(),
        commit: CommitName::Whole(commit),
        pushed,
        request: None,
    };
    checked(submission)
}

/// The head of a pull or merge request: a branch, maybe of a fork.
fn requested(
    repository: &str,
    told: &str,
    branch: &str,
    commit: &str,
    request: u64,
) -> Result<Hook, BadPayload> {
    let short = || {
        let is_short = (7..40).contains(&commit.len()) && commit.bytes().all(|c| c.is_ascii_hexdigit());
        is_short.then(|| CommitName::Short(commit.to_ascii_lowercase()))
    };
    let commit = repository::commit(commit)
        .map(CommitName::Whole)
        .or_else(short)
        .ok_or(BadPayload::Name("commit"))?;
    let submission = Submission {
        repository: repository.to_owned(),
        told: told.to_owned(),
        reference: format!("refs/heads/{branch}"),
        commit,
        pushed: Pushed::Branch,
        request: Some(request),
    };
    checked(submission)
}

fn checked(submission: Submission) -> Result<Hook, BadPayload> {
    if !is_full_name(&submission.repository) || !is_full_name(&submission.told) {
        return Err(BadPayload::Name("repository"));
    }
    if !is_reference(&submission.reference) {
        return Err(BadPayload::Name("reference"));
    }
    Ok(Hook::Submissions(vec![submission]))
}

/// Several changes of one push as one hook: all submissions, or why there is none.
fn together(hooks: impl Iterator<Item = Result<Hook, BadPayload>>) -> Result<Hook, BadPayload> {
    let mut all = Vec::new();
    let mut ignored = NOT_OURS;
    for hook in hooks.take(MAX_CHANGES) {
        match hook? {
            Hook::Submissions(some) => all.extend(some),
            other => ignored = other,
        }
    }
    Ok(if all.is_empty() {
        ignored
    } else {
        Hook::Submissions(all)
    })
}
