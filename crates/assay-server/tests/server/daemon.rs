//! A daemon in a temporary folder, and clients of it.

use std::path::Path;
use std::time::Duration;

use assay_core::event::Event;
use assay_core::id::{AssignmentId, RunId};
use assay_core::queue::{Outcome, Trigger};
use assay_engine::Exercises;
use assay_server::auth::Right;
use assay_server::auth::oidc::Oidc;
use assay_server::desk::{self, Invitation, NewUser};
use assay_server::{App, Settings, router};
use assay_store::Store;
use assay_store::model::{Actor, CategoryRow, Finish, Lease, NewRun, Role, RunFile, ScoreRow, User};
use assay_store::signing::{Keys, SigningKey};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const URL: &str = "http://assay.test";
pub(crate) const REPORT: &[u8] = include_bytes!("../../../assay-report/tests/data/sample.json");
/// Nothing that these tests wait for takes longer.
const DEADLINE: Duration = Duration::from_secs(20);

/// A daemon. Its folder goes with it.
pub(crate) struct Daemon {
    pub(crate) app: App,
    router: Router,
    pub(crate) dir: TempDir,
}

/// Who asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    pub(crate) token: Option<String>,
    pub(crate) cookie: Option<String>,
    pub(crate) csrf: String,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Caller {
    pub(crate) fn with(&self, name: &'static str, value: impl Into<String>) -> Self {
        let mut caller = self.clone();
        caller.headers.push((name, value.into()));
        caller
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Name and value of the cookie that it sets.
    pub(crate) fn cookie(&self) -> String {
        let cookie = self.header("set-cookie").split(';').next().unwrap();
        assert!(cookie.contains('='), "{self:?}");
        cookie.to_owned()
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl Daemon {
    pub(crate) async fn new() -> Self {
        Self::at(URL).await
    }

    pub(crate) async fn at(public_url: &str) -> Self {
        Self::with(public_url, None).await
    }

    /// A daemon where one may sign in elsewhere.
    pub(crate) async fn with(public_url: &str, oidc: Option<Oidc>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", dir.path().join("assay.db").display());
        let store = Store::open(&database, &dir.path().join("blobs")).await.unwrap();
        let key = SigningKey::of_pem(&SigningKey::new_pem(&[1; 32])).unwrap();
        let store = store.signing_with(Keys::new(key, []));
        store.migrate().await.unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let (exercises, mistakes) = Exercises::read(&root.join("exercises"), &root.join("runner-images"));
        assert!(mistakes.is_empty(), "{mistakes:?}");
        for folder in ["repositories", "archives"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let settings = Settings {
            public_url: public_url.to_owned(),
            repositories: dir.path().join("repositories"),
            archives: dir.path().join("archives"),
            max_push_bytes: 1 << 20,
            push_progress: Duration::from_secs(1),
            behind_proxy: true,
            retention: Duration::from_secs(90 * 24 * 60 * 60),
            key: assay_server::hooks::sealing::SealingKey::new([0; 32]),
            oidc,
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
        let router = router(app.clone());
        Self { app, router, dir }
    }

    /// Listens as the program does. Gives the address.
    pub(crate) async fn listen(&self) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (router, stop) = (self.router.clone(), self.app.shutdown().clone());
        tokio::spawn(async move { assay_server::serve(listener, router, &stop, Duration::ZERO).await });
        address
    }

    pub(crate) fn repository(&self, id: &str) -> std::path::PathBuf {
        self.app.settings().repositories.join(format!("{id}.git"))
    }

    /// An answer whose body is still to come.
    pub(crate) async fn open(&self, method: &str, path: &str, by: &Caller, body: &str) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = &by.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(cookie) = &by.cookie {
            request = request.header("cookie", cookie);
        }
        let kind = if path.starts_with("/api/") {
            "application/json"
        } else {
            "application/x-www-form-urlencoded"
        };
        if by.headers.iter().all(|(name, _)| *name != "content-type") {
            request = request.header("content-type", kind);
        }
        for (name, value) in &by.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn call(&self, method: &str, path: &str, by: &Caller, body: &str) -> Reply {
        let whole = async {
            let (parts, body) = self.open(method, path, by, body).await.into_parts();
            let bytes = axum::body::to_bytes(body, 32 << 20).await.unwrap();
            Reply {
                status: parts.status,
                headers: parts.headers,
                text: String::from_utf8_lossy(&bytes).into_owned(),
            }
        };
        let whole = tokio::time::timeout(DEADLINE, whole).await;
        whole.unwrap_or_else(|_| panic!("{method} {path} took too long"))
    }

    pub(crate) async fn get(&self, path: &str, by: &Caller) -> Reply {
        self.call("GET", path, by, "").await
    }

    pub(crate) async fn post(&self, path: &str, by: &Caller, body: &Value) -> Reply {
        self.call("POST", path, by, &body.to_string()).await
    }

    pub(crate) async fn user(&self, login: &str, role: Role) -> User {
        let new = NewUser {
            login: login.to_owned(),
            name: String::new(),
            role,
            password: Some(PASSWORD.to_owned()),
        };
        desk::create_user(&self.app, &Actor::System, &new).await.unwrap()
    }

    /// A program with a token.
    pub(crate) async fn program(&self, user: &User, rights: &[Right]) -> Caller {
        let token = desk::make_token(&self.app, user, &Right::ALL, "test", rights, None).await;
        Caller {
            token: Some(token.unwrap().1.text().to_owned()),
            ..Caller::default()
        }
    }

    /// A program that may do everything.
    pub(crate) async fn admin(&self) -> Caller {
        let user = self.user("root", Role::Admin).await;
        self.program(&user, &Right::ALL).await
    }

    pub(crate) async fn try_sign_in(&self, login: &str, password: &str, by: &Caller) -> Reply {
        let form = format!("login={login}&password={}", password.replace(' ', "+"));
        self.call("POST", "/sign-in", by, &form).await
    }

    /// Somebody in a browser.
    pub(crate) async fn browser(&self, login: &str) -> Caller {
        let reply = self
            .try_sign_in(login, PASSWORD, &Caller::default())
            .await
            .is(303);
        let mut caller = Caller {
            cookie: Some(reply.cookie()),
            ..Caller::default()
        };
        let page = self.get("/", &caller).await.is(200);
        let (_, rest) = page
            .text
            .split_once("name=\"csrf\" value=\"")
            .expect("a form with a proof");
        caller.csrf = rest.split('"').next().unwrap().to_owned();
        caller
    }

    pub(crate) async fn invite(&self, name: &str) -> desk::Invited {
        let invitation = Invitation {
            exercise: "task-sync".into(),
            track: Some("python".into()),
            candidate: name.into(),
            email: None,
            due_at_ms: None,
            attempts: None,
        };
        desk::invite(&self.app, &Actor::System, &invitation)
            .await
            .unwrap()
    }

    pub(crate) async fn queue(&self, assignment: &AssignmentId, commit: &str) -> RunId {
        let now_ms = self.app.now_ms();
        let new = NewRun {
            id: RunId::from_random(rand::random()),
            assignment: assignment.clone(),
            trigger: Trigger::Push,
            commit: commit.repeat(40),
            reference: "refs/heads/main".into(),
            received_at_ms: now_ms,
            seed: 1,
            counts: true,
        };
        self.app.store().enqueue(&new, now_ms).await.unwrap().run.id
    }

    pub(crate) async fn take(&self) -> Lease {
        let now_ms = self.app.now_ms();
        let claimed = self.app.store().claim("worker", now_ms, 60_000).await.unwrap();
        claimed.expect("a run waits").0
    }

    pub(crate) async fn tell(&self, lease: &Lease, check: &str) {
        let event = Event::CheckStarted { check: check.into() };
        let now_ms = self.app.now_ms();
        assert!(
            self.app
                .store()
                .append_events(lease, &[event], now_ms)
                .await
                .unwrap()
        );
    }

    pub(crate) async fn finish(&self, lease: &Lease) {
        let store = self.app.store();
        let now_ms = self.app.now_ms();
        let digest = store.put_blob(REPORT).await.unwrap();
        let finish = Finish {
            outcome: Outcome::Scored,
            reason: String::new(),
            score: Some(ScoreRow {
                version: 1,
                total_hundredths: 8_150,
                max_hundredths: 10_000,
                low_hundredths: 8_150,
                high_hundredths: 8_150,
                gate: Some(true),
                categories: vec![CategoryRow {
                    id: "correctness".into(),
                    score_hundredths: 3_950,
                    max_hundredths: 4_000,
                    scored: true,
                }],
                exercise_digest: "sha256:00".into(),
                report_digest: digest.clone(),
                created_at_ms: now_ms,
                created_by: None,
            }),
            files: vec![RunFile {
                name: "evidence/unit/<script>.xml".into(),
                digest,
                n_bytes: REPORT.len() as u64,
            }],
        };
        assert!(store.finish(lease, &finish, now_ms).await.unwrap());
    }
}
