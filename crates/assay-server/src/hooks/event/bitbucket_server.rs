//! Bitbucket Data Center. A repository's full name is its project's key and its slug.

use serde::Deserialize;

use super::{BadPayload, DELETED, Hook, NOT_OURS, json, pushed, requested, together};

#[derive(Debug, Deserialize)]
struct Event {
    changes: Vec<Change>,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    r#ref: Reference,
    to_hash: String,
    r#type: String,
}

#[derive(Debug, Deserialize)]
struct Reference {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Repository {
    slug: String,
    project: Project,
}

#[derive(Debug, Deserialize)]
struct Project {
    key: String,
}

impl Repository {
    fn full_name(&self) -> String {
        format!("{}/{}", self.project.key, self.slug)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequestEvent {
    pull_request: PullRequest,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequest {
    id: u64,
    from_ref: From,
    to_ref: To,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct From {
    id: String,
    latest_commit: String,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct To {
    repository: Repository,
}

pub(super) fn read(event: &str, body: &[u8]) -> Result<Hook, BadPayload> {
    match event {
        // Its body says nothing of use.
        "diagnostics:ping" => Ok(Hook::Ping),
        "repo:refs_changed" => {
            let event: Event = json(body)?;
            let repository = event.repository.full_name();
            together(event.changes.into_iter().map(|change| {
                if change.r#type == "DELETE" {
                    return Ok(DELETED);
                }
                pushed(&repository, &change.r#ref.id, &change.to_hash, None)
            }))
        }
        "pr:opened" | "pr:from_ref_updated" => {
            let event: PullRequestEvent = json(body)?;
            let PullRequest { id, from_ref, to_ref } = event.pull_request;
            let Some(branch) = from_ref.id.strip_prefix("refs/heads/") else {
                return Ok(NOT_OURS);
            };
            requested(
                &from_ref.repository.full_name(),
                &to_ref.repository.full_name(),
                branch,
                &from_ref.latest_commit,
                id,
            )
        }
        _ => Ok(NOT_OURS),
    }
}
