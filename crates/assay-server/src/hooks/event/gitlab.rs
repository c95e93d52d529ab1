//! GitLab. Its "Test" button sends real samples, so there is no ping.

use serde::Deserialize;

use super::{BadPayload, Hook, NO_NEW_COMMIT, NO_SOURCE, NOT_OURS, json, pushed, requested};

#[derive(Debug, Deserialize)]
struct Push {
    r#ref: String,
    after: String,
    /// The commit, also of an annotated tag. None: the reference was deleted.
    checkout_sha: Option<String>,
    project: Project,
}

#[derive(Debug, Deserialize)]
struct Project {
    path_with_namespace: String,
    default_branch: Option<String>,
}

#[derive(Debug, Deserialize)]
struct MergeRequest {
    object_attributes: Attributes,
    project: Project,
}

#[derive(Debug, Deserialize)]
struct Attributes {
    iid: u64,
    /// Left out by the samples of old versions.
    action: Option<String>,
    /// The head before; an update without it brings no commit.
    oldrev: Option<String>,
    source_branch: String,
    last_commit: Commit,
    source: Option<Project>,
}

#[derive(Debug, Deserialize)]
struct Commit {
    id: String,
}

pub(super) fn read(event: &str, body: &[u8]) -> Result<Hook, BadPayload> {
    match event {
        "Push Hook" | "Tag Push Hook" => {
            let push: Push = json(body)?;
            pushed(
                &push.project.path_with_namespace,
                &push.r#ref,
                push.checkout_sha.as_ref().unwrap_or(&push.after),
                push.project.default_branch.as_deref(),
            )
        }
        "Merge Request Hook" => {
            let MergeRequest {
                object_attributes: attributes,
                project,
            } = json(body)?;
            let has_new_commit = match attributes.action.as_deref() {
                Some("open" | "reopen") => true,
                Some("update") => attributes.oldrev.is_some(),
                _ => false,
            };
            if !has_new_commit {
                return Ok(NO_NEW_COMMIT);
            }
            let Some(source) = attributes.source else {
                return Ok(NO_SOURCE);
            };
            requested(
                &source.path_with_namespace,
                &project.path_with_namespace,
                &attributes.source_branch,
                &attributes.last_commit.id,
                attributes.iid,
            )
        }
        _ => Ok(NOT_OURS),
    }
}
