//! From a signed hook over a run to a status and a comment at the fake of each forge.

use std::time::Duration;

use assay_core::id::{ConnectionId, RunId};
use assay_core::queue::{Outcome, RunState};
use assay_engine::Exercises;
use assay_store::Store;
use assay_store::model::{Actor, Finish, ForgeKind, PageRequest, Run, RunFilter, ScoreRow};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine;
use hmac::{Hmac, Mac};
use metrics_exporter_prometheus::PrometheusBuilder;
use sha2::Sha256;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::connections::{self, Hooked, NewConnection};
use super::sealing::SealingKey;
use super::{Courier, routes};
use crate::{App, Settings};
use fake::{Fake, TOKEN};

mod fake;

const ONE: &str = "1111111111111111111111111111111111111111";
const TWO: &str = "2222222222222222222222222222222222222222";
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

struct Daemon {
    app: App,
    _folder: tempfile::TempDir,
}

impl Daemon {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("assay.db").display());
        let store = Store::open(&database, &folder.path().join("blobs"))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let root = std::path::Path::new(ROOT);
        let (exercises, _) = Exercises::read(&root.join("exercises"), &root.join("runner-images"));
        let settings = Settings {
            public_url: "https://assay.example.org".into(),
            repositories: folder.path().join("repositories"),
            archives: folder.path().join("archives"),
            max_push_bytes: 1 << 20,
            push_progress: Duration::from_secs(1),
            behind_proxy: false,
            retention: Duration::from_secs(3600),
            key: SealingKey::new([7; 32]),
            oidc: None,
        };
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let app = App::new(
            store,
            exercises,
            settings,
            metrics,
            CancellationToken::new(),
            TaskTracker::new(),
        );
        Self { app, _folder: folder }
    }

    async fn connect(&self, forge: ForgeKind, address: &str) -> Hooked {
        let new = NewConnection {
            forge,
            base_url: address.to_owned(),
            api_url: Some(address.to_owned()),
            exercise: "task-sync".into(),
            track: "python".into(),
            repositories: vec!["acme/task*".into()],
            token: Some(TOKEN.into()),
            secret: None,
            allow_private: true,
        };
        connections::create(&self.app, &Actor::System, new).await.unwrap()
    }

    async fn post(&self, request: Request<Body>) -> (StatusCode, serde_json::Value) {
        let router = routes().with_state(self.app.clone());
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn runs(&self) -> Vec<Run> {
        let page = PageRequest {
            after: None,
            limit: 200,
        };
        self.app
            .store()
            .runs(&RunFilter::default(), &page)
            .await
            .unwrap()
            .rows
    }

    /// Carries the next run out as a worker would.
    async fn finish(&self, outcome: Outcome, report: Option<&str>) -> RunId {
        let store = self.app.store();
        let now_ms = self.app.now_ms();
        let (lease, run, _) = store.claim("w", now_ms, 60_000).await.unwrap().unwrap();
        let score = match report {
            None => None,
            Some(report) => Some(ScoreRow {
                version: 1,
                total_hundredths: 8_200,
                max_hundredths: 10_000,
                low_hundredths: 8_200,
                high_hundredths: 8_200,
                gate: None,
                categories: vec![],
                exercise_digest: "sha256:0".into(),
                report_digest: store.put_blob(report.as_bytes()).await.unwrap(),
                created_at_ms: now_ms,
                created_by: None,
            }),
        };
        let finish = Finish {
            outcome,
            reason: String::new(),
            score,
            files: vec![],
        };
        assert!(store.finish(&lease, &finish, now_ms).await.unwrap());
        run.id
    }
}

/// A request as the forge would send it.
fn hook(forge: ForgeKind, hooked: &Hooked, event: &str, delivery: &str, body: String) -> Request<Body> {
    let mac = |key: &[u8], parts: &[&[u8]]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes()
    };
    let hex = format!("{:x}", mac(hooked.secret.as_bytes(), &[body.as_bytes()]));
    let now_s = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs()
        .to_string();
    let path = hooked.hook_url.strip_prefix("https://assay.example.org").unwrap();
    let request = Request::post(path);
    let request = match forge {
        ForgeKind::GitHub => request
            .header("x-github-event", event)
            .header("x-github-delivery", delivery)
            .header("x-hub-signature-256", format!("sha256={hex}")),
        ForgeKind::Gitea => request
            .header("x-gitea-event", event)
            .header("x-github-event", event)
            .header("x-gitea-delivery", delivery)
            .header("x-gitea-signature", hex),
        ForgeKind::GitLab => {
            let base64 = base64::engine::general_purpose::STANDARD;
            let key = base64
                .decode(hooked.secret.strip_prefix("whsec_").unwrap())
                .unwrap();
            let parts = [delivery.as_bytes(), b".", now_s.as_bytes(), b".", body.as_bytes()];
            request
                .header("x-gitlab-event", event)
                .header("webhook-id", delivery)
                .header("webhook-timestamp", &now_s)
                .header(
                    "webhook-signature",
                    format!("v1,{}", base64.encode(mac(&key, &parts))),
                )
        }
        ForgeKind::Bitbucket | ForgeKind::BitbucketServer => request
            .header("x-event-key", event)
            .header("x-request-uuid", delivery)
            .header("x-request-id", delivery)
            .header("x-hub-signature", format!("sha256={hex}")),
    };
    request.body(Body::from(body)).unwrap()
}

/// A pull or merge request number 7 whose head is this commit.
fn requested(forge: ForgeKind, commit: &str) -> (&'static str, String) {
    let github = |action: &str| {
        format!(
            r#"{{"action":"{action}","number":7,"pull_request":{{"head":{{"ref":"x","sha":"{commit}","repo":{{"full_name":"acme/task"}}}}}},"repository":{{"full_name":"acme/task"}}}}"#
        )
    };
    match forge {
        ForgeKind::GitHub => ("pull_request", github("synchronize")),
        ForgeKind::Gitea => ("pull_request", github("synchronized")),
        ForgeKind::GitLab => (
            "Merge Request Hook",
            format!(
                r#"{{"project":{{"path_with_namespace":"acme/task"}},"object_attributes":{{"iid":7,"action":"open","source_branch":"x","last_commit":{{"id":"{commit}"}},"source":{{"path_with_namespace":"acme/task"}}}}}}"#
            ),
        ),
        ForgeKind::Bitbucket => (
            "pullrequest:updated",
            format!(
                r#"{{"pullrequest":{{"id":7,"source":{{"branch":{{"name":"x"}},"commit":{{"hash":"{}"}},"repository":{{"full_name":"acme/task"}}}}}},"repository":{{"full_name":"acme/task"}}}}"#,
                &commit[..12]
            ),
        ),
        ForgeKind::BitbucketServer => {
            let repository = r#""repository":{"slug":"task","project":{"key":"acme"}}"#;
            (
                "pr:from_ref_updated",
                format!(
                    r#"{{"pullRequest":{{"id":7,"fromRef":{{"id":"refs/heads/x","latestCommit":"{commit}",{repository}}},"toRef":{{{repository}}}}}}}"#
                ),
            )
        }
    }
}

fn github_push(commit: &str) -> String {
    format!(r#"{{"ref":"refs/heads/main","after":"{commit}","repository":{{"full_name":"acme/task"}}}}"#)
}

fn report() -> String {
    std::fs::read_to_string(format!("{ROOT}/crates/assay-report/tests/data/sample.json")).unwrap()
}

#[tokio::test]
async fn every_forge_is_told_once_what_became_of_a_request() {
    let mut story = Vec::new();
    for forge in ForgeKind::ALL {
        let daemon = Daemon::start().await;
        let (fake, address) = Fake::serve(forge).await;
        fake.inside.lock().unwrap().commits = vec![ONE.into(), TWO.into()];
        let hooked = daemon.connect(forge, &address).await;
        let courier = Courier::new(daemon.app.clone());
        for (delivery, commit, outcome) in [("d1", ONE, Outcome::Scored), ("d2", TWO, Outcome::PartlyScored)]
        {
            let (event, body) = requested(forge, commit);
            let (status, answer) = daemon.post(hook(forge, &hooked, event, delivery, body)).await;
            assert_eq!(status, StatusCode::ACCEPTED, "{forge:?} {answer}");
            courier.deliver(daemon.app.now_ms()).await;
            daemon.finish(outcome, Some(&report())).await;
            for _ in 0..3 {
                courier.deliver(daemon.app.now_ms()).await;
            }
        }
        let run = &daemon.runs().await[0];
        assert_eq!((run.commit.as_str(), run.state), (TWO, RunState::Finished));
        let inside = fake.inside.lock().unwrap();
        assert_eq!(inside.broken, Vec::<String>::new(), "{forge:?}");
        assert_eq!(inside.comments.len(), 1, "{forge:?}");
        story.push(format!("{forge:?}\n{}", inside.log.join("\n")));
    }
    insta::assert_snapshot!(story.join("\n\n"), @r"
    GitHub
    1111 assay/task-sync pending: Waits for its turn or is being checked.
    1111 assay/task-sync success: Checked.
    comment 41: ## Task Sync
    2222 assay/task-sync pending: Waits for its turn or is being checked.
    2222 assay/task-sync error: Not everything could be judged, through no fault of the candidate.
    edit 41: ## Task Sync

    GitLab
    1111 assay/task-sync pending: Waits for its turn or is being checked.
    1111 assay/task-sync success: Checked.
    comment 41: ## Task Sync
    2222 assay/task-sync pending: Waits for its turn or is being checked.
    2222 assay/task-sync canceled: Not everything could be judged, through no fault of the candidate.
    edit 41: ## Task Sync

    Gitea
    1111 assay/task-sync pending: Waits for its turn or is being checked.
    1111 assay/task-sync success: Checked.
    comment 41: ## Task Sync
    2222 assay/task-sync pending: Waits for its turn or is being checked.
    2222 assay/task-sync error: Not everything could be judged, through no fault of the candidate.
    edit 41: ## Task Sync

    Bitbucket
    1111 assay/task-sync INPROGRESS: Waits for its turn or is being checked.
    1111 assay/task-sync SUCCESSFUL: Checked.
    comment 41: ## Task Sync
    2222 assay/task-sync INPROGRESS: Waits for its turn or is being checked.
    2222 assay/task-sync STOPPED: Not everything could be judged, through no fault of the candidate.
    edit 41: ## Task Sync

    BitbucketServer
    1111 assay/task-sync INPROGRESS: Waits for its turn or is being checked.
    1111 assay/task-sync SUCCESSFUL: Checked.
    comment 41: ## Task Sync
    2222 assay/task-sync INPROGRESS: Waits for its turn or is being checked.
    2222 assay/task-sync FAILED: Not everything could be judged, through no fault of the candidate.
    edit 41: ## Task Sync
    ");
}

#[tokio::test]
async fn a_forge_that_was_down_is_told_once_when_it_is_up() {
    let daemon = Daemon::start().await;
    let (fake, address) = Fake::serve(ForgeKind::GitHub).await;
    fake.inside.lock().unwrap().commits = vec![ONE.into()];
    let hooked = daemon.connect(ForgeKind::GitHub, &address).await;
    let (event, body) = requested(ForgeKind::GitHub, ONE);
    daemon
        .post(hook(ForgeKind::GitHub, &hooked, event, "d", body))
        .await;
    daemon.finish(Outcome::Scored, Some(&report())).await;
    let courier = Courier::new(daemon.app.clone());
    let down = StatusCode::SERVICE_UNAVAILABLE;
    // Down for a status, then for the search for a comment after the status went through.
    fake.inside.lock().unwrap().outage = vec![down];
    let now_ms = daemon.app.now_ms();
    let log = || fake.inside.lock().unwrap().log.len();
    courier.deliver(now_ms).await;
    assert_eq!(log(), 0);
    courier.deliver(now_ms + 4_999).await;
    assert_eq!(log(), 0, "it waits");
    courier.deliver(now_ms + 5_000).await;
    courier.deliver(now_ms + 3_600_000).await;
    let inside = fake.inside.lock().unwrap();
    insta::assert_snapshot!(inside.log.join("\n"), @r"
    1111 assay/task-sync success: Checked.
    comment 41: ## Task Sync
    ");
    assert_eq!(inside.broken, Vec::<String>::new());
}

#[tokio::test]
async fn after_a_day_it_gives_up() {
    let daemon = Daemon::start().await;
    let (fake, address) = Fake::serve(ForgeKind::Gitea).await;
    let hooked = daemon.connect(ForgeKind::Gitea, &address).await;
    let (event, body) = requested(ForgeKind::Gitea, ONE);
    daemon
        .post(hook(ForgeKind::Gitea, &hooked, event, "d", body))
        .await;
    daemon.finish(Outcome::Nothing, None).await;
    let courier = Courier::new(daemon.app.clone());
    let (start_ms, step_ms) = (daemon.app.now_ms(), 1_800_000);
    // The commit is not there, so the fake refuses each time.
    for i in 0..60 {
        courier.deliver(start_ms + i * step_ms).await;
    }
    let n_tries = fake.inside.lock().unwrap().broken.len();
    assert_eq!(n_tries, 49, "each half hour for a day, and no more");
}

#[tokio::test]
async fn a_comment_that_somebody_removed_is_made_again() {
    let daemon = Daemon::start().await;
    let (fake, address) = Fake::serve(ForgeKind::GitHub).await;
    fake.inside.lock().unwrap().commits = vec![ONE.into(), TWO.into()];
    let hooked = daemon.connect(ForgeKind::GitHub, &address).await;
    let courier = Courier::new(daemon.app.clone());
    for (delivery, commit) in [("d1", ONE), ("d2", TWO)] {
        let (event, body) = requested(ForgeKind::GitHub, commit);
        daemon
            .post(hook(ForgeKind::GitHub, &hooked, event, delivery, body))
            .await;
        daemon.finish(Outcome::Scored, None).await;
        courier.deliver(daemon.app.now_ms()).await;
        assert_eq!(fake.inside.lock().unwrap().comments.len(), 1);
        fake.inside.lock().unwrap().comments.clear();
    }
}

#[tokio::test]
async fn bad_hooks_are_refused_and_leave_nothing() {
    let daemon = Daemon::start().await;
    let hooked = daemon.connect(ForgeKind::GitHub, "http://127.0.0.1:9").await;
    let github = |body: String| hook(ForgeKind::GitHub, &hooked, "push", "d", body);
    let changed = |change: fn(&mut Request<Body>)| {
        let mut request = github(github_push(ONE));
        change(&mut request);
        request
    };
    let elsewhere = Hooked {
        hook_url: "https://assay.example.org/hooks/none".into(),
        ..hooked.clone()
    };
    let cases = [
        (
            401,
            changed(|request| drop(request.headers_mut().remove("x-hub-signature-256"))),
        ),
        (
            401,
            changed(|request| *request.body_mut() = Body::from(github_push(TWO))),
        ),
        (
            400,
            changed(|request| drop(request.headers_mut().remove("x-github-event"))),
        ),
        (
            405,
            changed(|request| *request.method_mut() = axum::http::Method::GET),
        ),
        (
            404,
            hook(ForgeKind::GitHub, &elsewhere, "push", "d", github_push(ONE)),
        ),
        (413, github(" ".repeat((5 << 20) + 1))),
        (400, github("payload=%7B%7D".into())),
        (403, github(github_push(ONE).replace("acme/task", "evil/task"))),
        (400, github(github_push(ONE).replace("acme/task", "../task"))),
    ];
    for (i, (expected, request)) in cases.into_iter().enumerate() {
        let (status, answer) = daemon.post(request).await;
        assert_eq!(status.as_u16(), expected, "case {i}: {answer}");
        assert!(!answer.to_string().contains(&hooked.secret));
    }
    assert_eq!(daemon.runs().await.len(), 0);
    let (status, _) = daemon.post(github(github_push(ONE))).await;
    assert_eq!(
        status,
        StatusCode::ACCEPTED,
        "what was refused was not noted as delivered"
    );
}

#[tokio::test]
async fn replays_floods_and_a_request_beside_its_push_make_one_run() {
    let daemon = Daemon::start().await;
    let hooked = daemon.connect(ForgeKind::GitHub, "http://127.0.0.1:9").await;
    let send = |event: &'static str, delivery: String, body: String| {
        let request = hook(ForgeKind::GitHub, &hooked, event, &delivery, body);
        daemon.post(request)
    };
    let flood = (0..100).map(|i| send("push", format!("d{}", i % 50), github_push(ONE)));
    for (status, _) in futures_util::future::join_all(flood).await {
        assert!(matches!(status.as_u16(), 200 | 202), "{status}");
    }
    assert_eq!(daemon.runs().await.len(), 1);
    let (status, _) = send("push", "d0".into(), github_push(ONE)).await;
    assert_eq!(status, StatusCode::OK, "a repeat");
    let (_, body) = requested(ForgeKind::GitHub, ONE);
    let (status, _) = send("pull_request", "p".into(), body).await;
    assert_eq!((status, daemon.runs().await.len()), (StatusCode::ACCEPTED, 1));
    daemon.finish(Outcome::Scored, None).await;
    send("push", "late".into(), github_push(ONE)).await;
    assert_eq!(daemon.runs().await.len(), 1, "it was judged");
    let mut refused = 0;
    for i in 0..400 {
        let (status, _) = send("ping", format!("x{i}"), "{}".into()).await;
        refused += u32::from(status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused > 0);
}

#[tokio::test]
async fn who_was_erased_does_not_come_back_with_the_next_hook() {
    let daemon = Daemon::start().await;
    let (fake, address) = Fake::serve(ForgeKind::GitHub).await;
    fake.inside.lock().unwrap().commits = vec![ONE.into(), TWO.into()];
    let hooked = daemon.connect(ForgeKind::GitHub, &address).await;
    let push = async |delivery: &str, commit: &str| {
        let request = hook(ForgeKind::GitHub, &hooked, "push", delivery, github_push(commit));
        daemon.post(request).await
    };
    push("d1", ONE).await;
    let id = daemon.runs().await[0].assignment.clone();
    for _ in 0..2 {
        crate::desk::erase(&daemon.app, &Actor::System, &id)
            .await
            .unwrap();
        let (status, answer) = push(&format!("d{}", rand::random::<u32>()), TWO).await;
        assert_eq!((status.as_u16(), &answer["runs"]), (202, &serde_json::json!([])));
    }
    assert_eq!(daemon.runs().await.len(), 1);
    let page = PageRequest {
        after: None,
        limit: 10,
    };
    let rows = daemon
        .app
        .store()
        .assignments(&Default::default(), &page)
        .await
        .unwrap()
        .rows;
    assert_eq!(rows.len(), 1);
    let shown = format!("{:?}", rows[0].assignment);
    assert!(shown.contains("erased:") && !shown.contains("acme"), "{shown}");
    // Of another connection it is somebody else.
    let other = daemon.connect(ForgeKind::GitHub, &address).await;
    let request = hook(ForgeKind::GitHub, &other, "push", "d1", github_push(TWO));
    assert_eq!(
        daemon.post(request).await.1["runs"].as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn two_secrets_hold_while_one_is_replaced() {
    let daemon = Daemon::start().await;
    let by = Actor::System;
    let first = daemon.connect(ForgeKind::GitHub, "http://127.0.0.1:9").await;
    let id: ConnectionId = first.id.clone();
    let second = connections::rotate(&daemon.app, &by, &id, None).await.unwrap();
    let answered = async |hooked: &Hooked, delivery: &str| {
        let request = hook(ForgeKind::GitHub, hooked, "ping", delivery, "{}".into());
        daemon.post(request).await.0.as_u16()
    };
    assert_eq!(
        (answered(&first, "1").await, answered(&second, "2").await),
        (200, 200)
    );
    connections::drop_old_secret(&daemon.app, &by, &id).await.unwrap();
    assert_eq!(
        (answered(&first, "3").await, answered(&second, "4").await),
        (401, 200)
    );
    connections::set_disabled(&daemon.app, &by, &id, true)
        .await
        .unwrap();
    assert_eq!(answered(&second, "5").await, 404);
    let kept = daemon.app.store().connection(&id).await.unwrap().unwrap();
    let openly = String::from_utf8_lossy(&kept.sealed_secrets).into_owned();
    assert!(!openly.contains(&second.secret) && !openly.contains(TOKEN));
    let page = PageRequest {
        after: None,
        limit: 10,
    };
    let audit = daemon
        .app
        .store()
        .audit_rows(Some(id.as_str()), &page)
        .await
        .unwrap();
    let actions: Vec<&str> = audit.rows.iter().map(|row| row.entry.action.as_str()).collect();
    insta::assert_compact_debug_snapshot!(actions, @r#"["connection.disabled", "connection.old_secret_dropped", "connection.rotated", "connection.created"]"#);
}
