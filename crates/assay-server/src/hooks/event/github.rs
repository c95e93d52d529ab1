//! GitHub, and Gitea and Forgejo, which took its payloads over.

use serde::Deserialize;

use super::{BadPayload, Hook, NO_NEW_COMMIT, NO_SOURCE, NOT_OURS, Repository, json, pushed, requested};

#[derive(Debug, Deserialize)]
struct Push {
    r#ref: String,
    after: String,
    /// Of an annotated tag, `after` is the tag and this its commit.
    head_commit: Option<Commit>,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct Commit {
    id: String,
}

#[derive(Debug, Deserialize)]
struct PullRequest {
    action: String,
    number: u64,
    pull_request: Pull,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct Pull {
    head: Head,
}

#[derive(Debug, Deserialize)]
struct Head {
    r#ref: String,
    sha: String,
    repo: Option<Repository>,
}

pub(super) fn read(event: &str, body: &[u8]) -> Result<Hook, BadPayload> {
    match event {
        "ping" => Ok(Hook::Ping),
        "push" => {
            let push: Push = json(body)?;
            let head = push.head_commit.filter(|_| push.r#ref.starts_with("refs/tags/"));
            pushed(
                &push.repository.full_name,
                &push.r#ref,
                head.as_ref().map_or(&push.after, |head| &head.id),
                push.repository.default_branch.as_deref(),
            )
        }
        "pull_request" => {
            let event: PullRequest = json(body)?;
            // `synchronized` is Gitea's word.
            if !matches!(
                event.action.as_str(),
                "opened" | "synchronize" | "synchronized" | "reopened" | "ready_for_review"
            ) {
                return Ok(NO_NEW_COMMIT);
            }
            let Head { r#ref, sha, repo } = event.pull_request.head;
            let Some(source) = repo else { return Ok(NO_SOURCE) };
            requested(
                &source.full_name,
                &event.repository.full_name,
                &r#ref,
                &sha,
                event.number,
            )
        }
        _ => Ok(NOT_OURS),
    }
}
