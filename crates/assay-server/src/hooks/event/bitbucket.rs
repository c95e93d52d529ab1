//! Bitbucket Cloud. One push may change several references; a pull request's commit comes abbreviated.

use serde::Deserialize;

use super::{BadPayload, DELETED, Hook, NO_SOURCE, NOT_OURS, Repository, json, pushed, requested, together};

#[derive(Debug, Deserialize)]
struct Event {
    push: Push,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct Push {
    changes: Vec<Change>,
}

#[derive(Debug, Deserialize)]
struct Change {
    /// None: deleted.
    new: Option<Reference>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    r#type: String,
    name: String,
    target: Commit,
}

#[derive(Debug, Deserialize)]
struct Commit {
    hash: String,
}

#[derive(Debug, Deserialize)]
struct PullRequestEvent {
    pullrequest: PullRequest,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct PullRequest {
    id: u64,
    source: Source,
}

#[derive(Debug, Deserialize)]
struct Source {
    branch: Branch,
    commit: Option<Commit>,
    repository: Option<Repository>,
}

#[derive(Debug, Deserialize)]
struct Branch {
    name: String,
}

pub(super) fn read(event: &str, body: &[u8]) -> Result<Hook, BadPayload> {
    match event {
        "repo:push" => {
            let event: Event = json(body)?;
            let repository = &event.repository.full_name;
            together(event.push.changes.into_iter().map(|change| {
                let Some(new) = change.new else { return Ok(DELETED) };
                let reference = match new.r#type.as_str() {
                    "branch" => format!("refs/heads/{}", new.name),
                    "tag" => format!("refs/tags/{}", new.name),
                    _ => return Ok(NOT_OURS),
                };
                pushed(repository, &reference, &new.target.hash, None)
            }))
        }
        "pullrequest:created" | "pullrequest:updated" => {
            let event: PullRequestEvent = json(body)?;
            let PullRequest { id, source } = event.pullrequest;
            let (Some(repository), Some(commit)) = (source.repository, source.commit) else {
                return Ok(NO_SOURCE);
            };
            requested(
                &repository.full_name,
                &event.repository.full_name,
                &source.branch.name,
                &commit.hash,
                id,
            )
        }
        _ => Ok(NOT_OURS),
    }
}
