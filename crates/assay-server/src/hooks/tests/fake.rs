//! Each forge's API in memory, served over real HTTP. It holds its users to the rules: the token, commits that are there,
//! no step back from an end, versions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use assay_store::model::ForgeKind;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

pub(super) const TOKEN: &str = "the-api-token";

#[derive(Debug, Default)]
pub(super) struct Inside {
    /// Every accepted call that changed something.
    pub(super) log: Vec<String>,
    /// Answers that it gives before it does anything again.
    pub(super) outage: Vec<StatusCode>,
    /// State by commit and context.
    statuses: BTreeMap<(String, String), String>,
    /// Text and version by id.
    pub(super) comments: BTreeMap<u64, (String, u64)>,
    /// Commits that it has.
    pub(super) commits: Vec<String>,
    /// Calls that broke a rule.
    pub(super) broken: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Fake {
    kind: ForgeKind,
    pub(super) inside: Arc<Mutex<Inside>>,
}

impl Fake {
    /// Serves it for the rest of the test. Gives its address.
    pub(super) async fn serve(kind: ForgeKind) -> (Self, String) {
        let fake = Self {
            kind,
            inside: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (fake, address)
    }

    fn is_token(&self, headers: &HeaderMap) -> bool {
        let (name, value) = match self.kind {
            ForgeKind::GitLab => ("private-token", TOKEN.to_owned()),
            ForgeKind::Gitea => ("authorization", format!("token {TOKEN}")),
            _ => ("authorization", format!("Bearer {TOKEN}")),
        };
        headers.get(name).is_some_and(|found| found == value.as_str())
    }
}

async fn answer(
    State(fake): State<Fake>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inside = fake.inside.lock().unwrap();
    if let Some(status) = inside.outage.pop() {
        return (status, "out of order").into_response();
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = uri.path().to_owned();
    let answered = if fake.is_token(&headers) {
        route(&mut inside, fake.kind, &method, &path, &body)
    } else {
        Err((StatusCode::UNAUTHORIZED, "no token"))
    };
    match answered {
        Ok(value) => Json(value).into_response(),
        Err((status, why)) => {
            inside.broken.push(format!("{method} {path}: {why}"));
            (status, why).into_response()
        }
    }
}

type Answered = Result<Value, (StatusCode, &'static str)>;

fn route(inside: &mut Inside, kind: ForgeKind, method: &Method, path: &str, body: &Value) -> Answered {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let repository = match kind {
        ForgeKind::GitHub | ForgeKind::Gitea => path.starts_with("/repos/acme/task/"),
        ForgeKind::GitLab => path.starts_with("/projects/acme%2Ftask/"),
        ForgeKind::Bitbucket => path.starts_with("/repositories/acme/task/"),
        ForgeKind::BitbucketServer => {
            path.starts_with("/api/1.0/projects/acme/repos/task/") || path.starts_with("/build-status/1.0/")
        }
    };
    if !repository {
        return Err((StatusCode::NOT_FOUND, "no such repository"));
    }
    match (method.as_str(), parts.as_slice()) {
        ("POST", [.., "commit", commit, "statuses", "build"] | [.., "statuses" | "commits", commit]) => {
            set_status(inside, kind, commit, body)
        }
        ("GET", [.., "commit", short]) => {
            let whole = inside.commits.iter().find(|commit| commit.starts_with(short));
            whole
                .map(|commit| json!({ "hash": commit }))
                .ok_or((StatusCode::NOT_FOUND, "no such commit"))
        }
        ("GET", [.., "7", "comments" | "notes" | "activities"]) => Ok(list(inside, kind)),
        ("POST", [.., "7", "comments" | "notes"]) => {
            let text = text(kind, body)?;
            let id = 41 + inside.comments.len() as u64;
            inside.log.push(format!("comment {id}: {}", first_line(&text)));
            inside.comments.insert(id, (text, 0));
            Ok(json!({ "id": id }))
        }
        ("GET", [.., "comments", id]) => {
            let comment = id.parse().ok().and_then(|id: u64| inside.comments.get(&id));
            comment
                .map(|(_, version)| json!({ "version": version }))
                .ok_or((StatusCode::NOT_FOUND, "gone"))
        }
        ("PUT" | "PATCH", [.., "comments" | "notes", id]) => {
            let text = text(kind, body)?;
            let id: u64 = id.parse().unwrap();
            let Some(comment) = inside.comments.get_mut(&id) else {
                return Err((StatusCode::NOT_FOUND, "gone"));
            };
            if kind == ForgeKind::BitbucketServer && body["version"] != comment.1 {
                return Err((StatusCode::CONFLICT, "another version"));
            }
            *comment = (text.clone(), comment.1 + 1);
            inside.log.push(format!("edit {id}: {}", first_line(&text)));
            Ok(json!({ "id": id }))
        }
        _ => Err((StatusCode::NOT_FOUND, "no such call")),
    }
}

fn set_status(inside: &mut Inside, kind: ForgeKind, commit: &str, body: &Value) -> Answered {
    if !inside.commits.iter().any(|known| known == commit) {
        return Err((StatusCode::UNPROCESSABLE_ENTITY, "no such commit"));
    }
    let (context, url, words): (_, _, &[&str]) = match kind {
        ForgeKind::GitHub | ForgeKind::Gitea => (
            "context",
            "target_url",
            &["pending", "success", "failure", "error"],
        ),
        ForgeKind::GitLab => (
            "context",
            "target_url",
            &["pending", "success", "failed", "canceled", "skipped"],
        ),
        ForgeKind::Bitbucket => ("key", "url", &["INPROGRESS", "SUCCESSFUL", "FAILED", "STOPPED"]),
        ForgeKind::BitbucketServer => ("key", "url", &["INPROGRESS", "SUCCESSFUL", "FAILED"]),
    };
    let state = body["state"].as_str().unwrap_or_default();
    let (Some(context), Some(_)) = (body[context].as_str(), body[url].as_str()) else {
        return Err((StatusCode::BAD_REQUEST, "no context or address"));
    };
    if !words.contains(&state) {
        return Err((StatusCode::BAD_REQUEST, "no such state"));
    }
    if body["description"].as_str().unwrap_or_default().chars().count() > 140 {
        return Err((StatusCode::UNPROCESSABLE_ENTITY, "too long a description"));
    }
    let place = (commit.to_owned(), context.to_owned());
    let before = inside.statuses.insert(place, state.to_owned());
    let begins = matches!(state, "pending" | "INPROGRESS");
    if begins && before.as_ref().is_some_and(|before| before != state) {
        return Err((StatusCode::CONFLICT, "back from an end"));
    }
    if kind == ForgeKind::GitLab && before.as_deref() == Some(state) {
        // As the real one does; not a broken rule.
        inside.log.push("(cannot transition)".into());
        return Ok(json!({}));
    }
    let commit = commit.get(..4).unwrap_or_default();
    inside.log.push(format!(
        "{commit} {context} {state}: {}",
        body["description"].as_str().unwrap_or_default()
    ));
    Ok(json!({}))
}

fn text(kind: ForgeKind, body: &Value) -> Result<String, (StatusCode, &'static str)> {
    let text = match kind {
        ForgeKind::Bitbucket => &body["content"]["raw"],
        ForgeKind::BitbucketServer => &body["text"],
        _ => &body["body"],
    };
    text.as_str()
        .map(str::to_owned)
        .ok_or((StatusCode::BAD_REQUEST, "no text"))
}

fn list(inside: &Inside, kind: ForgeKind) -> Value {
    let rows: Vec<Value> = inside
        .comments
        .iter()
        .map(|(id, (text, _))| match kind {
            ForgeKind::Bitbucket => json!({ "id": id, "content": { "raw": text } }),
            ForgeKind::BitbucketServer => {
                json!({ "action": "COMMENTED", "comment": { "id": id, "text": text } })
            }
            _ => json!({ "id": id, "body": text }),
        })
        .collect();
    match kind {
        ForgeKind::Bitbucket | ForgeKind::BitbucketServer => json!({ "values": rows }),
        _ => json!(rows),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
