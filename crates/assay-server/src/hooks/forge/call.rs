//! The calls as values: how each forge wants to be told. Pure.

use assay_store::model::ForgeKind;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::telling::Status;

/// Comments on one page.
const PER_PAGE: u32 = 100;
/// Longest key of a status at Bitbucket.
const MAX_KEY: usize = 40;

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Put,
    Patch,
}

/// One call of an API.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) method: Method,
    /// After the API's address.
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

impl Call {
    fn new(method: Method, path: String, body: Value) -> Self {
        Self {
            method,
            path,
            body: Some(body),
        }
    }

    fn get(path: String) -> Self {
        Self {
            method: Method::Get,
            path,
            body: None,
        }
    }
}

/// The part of an address that names a repository.
fn of_repository(kind: ForgeKind, repository: &str) -> String {
    match kind {
        ForgeKind::GitHub | ForgeKind::Gitea => format!("/repos/{repository}"),
        ForgeKind::GitLab => format!("/projects/{}", repository.replace('/', "%2F")),
        ForgeKind::Bitbucket => format!("/repositories/{repository}"),
        ForgeKind::BitbucketServer => {
            let (project, slug) = repository.split_once('/').unwrap_or((repository, ""));
            format!("/api/1.0/projects/{project}/repos/{slug}")
        }
    }
}

pub(super) fn status(
    kind: ForgeKind,
    repository: &str,
    commit: &str,
    context: &str,
    page: &str,
    status: &Status,
) -> Call {
    let state = super::word(kind, status.verdict);
    let description = &status.description;
    let of = of_repository(kind, repository);
    let path = match kind {
        ForgeKind::GitHub | ForgeKind::Gitea | ForgeKind::GitLab => format!("{of}/statuses/{commit}"),
        ForgeKind::Bitbucket => format!("{of}/commit/{commit}/statuses/build"),
        ForgeKind::BitbucketServer => format!("/build-status/1.0/commits/{commit}"),
    };
    let body = match kind {
        ForgeKind::GitHub | ForgeKind::Gitea | ForgeKind::GitLab => json!({
            "state": state, "target_url": page, "description": description, "context": context,
        }),
        ForgeKind::Bitbucket | ForgeKind::BitbucketServer => json!({
            "key": key(context), "state": state, "name": context, "url": page, "description": description,
        }),
    };
    Call::new(Method::Post, path, body)
}

/// Bitbucket's key of a context: itself where it is short enough.
fn key(context: &str) -> String {
    if context.len() <= MAX_KEY {
        return context.to_owned();
    }
    let digest = format!("{:x}", Sha256::digest(context.as_bytes()));
    format!("assay-{}", &digest[..32])
}

fn of_request(kind: ForgeKind, repository: &str, request: u64) -> String {
    let of = of_repository(kind, repository);
    match kind {
        ForgeKind::GitHub | ForgeKind::Gitea => format!("{of}/issues/{request}/comments"),
        ForgeKind::GitLab => format!("{of}/merge_requests/{request}/notes"),
        ForgeKind::Bitbucket => format!("{of}/pullrequests/{request}/comments"),
        ForgeKind::BitbucketServer => format!("{of}/pull-requests/{request}/comments"),
    }
}

/// A page of the comments, to find ours.
pub(super) fn comments(kind: ForgeKind, repository: &str, request: u64, page: u32) -> Call {
    let of = of_request(kind, repository, request);
    Call::get(match kind {
        ForgeKind::GitHub | ForgeKind::GitLab => format!("{of}?per_page={PER_PAGE}&page={page}"),
        ForgeKind::Gitea => format!("{of}?limit={PER_PAGE}&page={page}"),
        ForgeKind::Bitbucket => format!("{of}?pagelen={PER_PAGE}&page={page}"),
        // Data Center lists comments only as part of what happened.
        ForgeKind::BitbucketServer => {
            let of = of.replace("/comments", "/activities");
            format!("{of}?limit={PER_PAGE}&start={}", (page - 1) * PER_PAGE)
        }
    })
}

/// Ids and texts of a page of comments.
pub(super) fn listed(kind: ForgeKind, answer: &Value) -> Vec<(String, String)> {
    let rows = match kind {
        ForgeKind::GitHub | ForgeKind::GitLab | ForgeKind::Gitea => answer,
        ForgeKind::Bitbucket | ForgeKind::BitbucketServer => &answer["values"],
    };
    let read = |row: &Value| {
        let (comment, text) = match kind {
            ForgeKind::GitHub | ForgeKind::GitLab | ForgeKind::Gitea => (row, &row["body"]),
            ForgeKind::Bitbucket => (row, &row["content"]["raw"]),
            ForgeKind::BitbucketServer => (&row["comment"], &row["comment"]["text"]),
        };
        let id = super::id_of(comment).unwrap_or_default();
        (id, text.as_str().unwrap_or_default().to_owned())
    };
    rows.as_array()
        .map_or_else(Vec::new, |rows| rows.iter().map(read).collect())
}

fn content(kind: ForgeKind, body: &str) -> Value {
    match kind {
        ForgeKind::GitHub | ForgeKind::GitLab | ForgeKind::Gitea => json!({ "body": body }),
        ForgeKind::Bitbucket => json!({ "content": { "raw": body } }),
        ForgeKind::BitbucketServer => json!({ "text": body }),
    }
}

pub(super) fn new_comment(kind: ForgeKind, repository: &str, request: u64, body: &str) -> Call {
    Call::new(
        Method::Post,
        of_request(kind, repository, request),
        content(kind, body),
    )
}

/// `version` is what Data Center wants to hear, so that two editors do not overwrite each other.
pub(super) fn edit_comment(
    kind: ForgeKind,
    repository: &str,
    request: u64,
    id: &str,
    body: &str,
    version: Option<u64>,
) -> Call {
    let of = of_request(kind, repository, request);
    match kind {
        ForgeKind::GitHub | ForgeKind::Gitea => Call::new(
            Method::Patch,
            format!("{}/issues/comments/{id}", of_repository(kind, repository)),
            content(kind, body),
        ),
        ForgeKind::GitLab | ForgeKind::Bitbucket => {
            Call::new(Method::Put, format!("{of}/{id}"), content(kind, body))
        }
        ForgeKind::BitbucketServer => Call::new(
            Method::Put,
            format!("{of}/{id}"),
            json!({ "text": body, "version": version.unwrap_or_default() }),
        ),
    }
}

/// One comment at Data Center.
pub(super) fn one_comment(repository: &str, request: u64, id: &str) -> Call {
    let of = of_request(ForgeKind::BitbucketServer, repository, request);
    Call::get(format!("{of}/{id}"))
}

pub(super) fn one_commit(kind: ForgeKind, repository: &str, commit: &str) -> Call {
    let of = of_repository(kind, repository);
    Call::get(match kind {
        ForgeKind::GitHub | ForgeKind::BitbucketServer => format!("{of}/commits/{commit}"),
        ForgeKind::GitLab => format!("{of}/repository/commits/{commit}"),
        ForgeKind::Gitea => format!("{of}/git/commits/{commit}"),
        ForgeKind::Bitbucket => format!("{of}/commit/{commit}"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::telling::Verdict;
    use super::*;

    fn shown(call: &Call) -> String {
        let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
        format!("{:?} {} {body}", call.method, call.path)
    }

    #[test]
    fn each_forge_is_told_in_its_own_words() {
        let told = Status::new(Verdict::Ours, "Not judged.");
        let mut lines = Vec::new();
        for kind in ForgeKind::ALL {
            lines.push(shown(&status(
                kind,
                "acme/task",
                "c0ffee",
                "assay/tasks",
                "https://a/my/x",
                &told,
            )));
            lines.push(shown(&edit_comment(kind, "acme/task", 7, "42", "text", Some(3))));
            lines.push(shown(&comments(kind, "acme/task", 7, 2)));
        }
        insta::assert_snapshot!(lines.join("\n"), @r#"
        Post /repos/acme/task/statuses/c0ffee {"context":"assay/tasks","description":"Not judged.","state":"error","target_url":"https://a/my/x"}
        Patch /repos/acme/task/issues/comments/42 {"body":"text"}
        Get /repos/acme/task/issues/7/comments?per_page=100&page=2 
        Post /projects/acme%2Ftask/statuses/c0ffee {"context":"assay/tasks","description":"Not judged.","state":"canceled","target_url":"https://a/my/x"}
        Put /projects/acme%2Ftask/merge_requests/7/notes/42 {"body":"text"}
        Get /projects/acme%2Ftask/merge_requests/7/notes?per_page=100&page=2 
        Post /repos/acme/task/statuses/c0ffee {"context":"assay/tasks","description":"Not judged.","state":"error","target_url":"https://a/my/x"}
        Patch /repos/acme/task/issues/comments/42 {"body":"text"}
        Get /repos/acme/task/issues/7/comments?limit=100&page=2 
        Post /repositories/acme/task/commit/c0ffee/statuses/build {"description":"Not judged.","key":"assay/tasks","name":"assay/tasks","state":"STOPPED","url":"https://a/my/x"}
        Put /repositories/acme/task/pullrequests/7/comments/42 {"content":{"raw":"text"}}
        Get /repositories/acme/task/pullrequests/7/comments?pagelen=100&page=2 
        Post /build-status/1.0/commits/c0ffee {"description":"Not judged.","key":"assay/tasks","name":"assay/tasks","state":"FAILED","url":"https://a/my/x"}
        Put /api/1.0/projects/acme/repos/task/pull-requests/7/comments/42 {"text":"text","version":3}
        Get /api/1.0/projects/acme/repos/task/pull-requests/7/activities?limit=100&start=100
        "#);
    }

    #[test]
    fn keys_of_statuses_are_short() {
        assert_eq!(key("assay/tasks"), "assay/tasks");
        assert_eq!(key(&"a".repeat(41)).len(), 38);
    }
}
