//! Pages of a real store, asked for as a browser would.

use assay_core::assignment::AssignmentState;
use assay_core::event::Event;
use assay_core::exercise::{Check, SubmitOn};
use assay_core::queue::{Outcome, RunState, Trigger};
use assay_core::report::CheckStatus;
use assay_engine::Exercises;
use assay_store::Store;
use assay_store::model::{
    Assignment, AssignmentRow, Candidate, Origin, Role, Run, RunEvent, TokenKind, User,
};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::candidate::MyPage;
use super::frame::Frame;
use super::progress::{Eyes, Progress};
use crate::auth::link::{self, Opens};
use crate::auth::secret::{Purpose, issue};
use crate::{App, Settings};

const NOW: i64 = 1_800_000_000_000;
const HOSTILE: &str = "<script>alert(1)</script>\u{202e}";

fn assignment(id: &str) -> Assignment {
    Assignment {
        id: id.parse().unwrap(),
        exercise: "x".into(),
        track: "python".into(),
        candidate: Some(Candidate {
            name: HOSTILE.into(),
            email: None,
        }),
        origin: Origin::Hosted,
        state: AssignmentState::Open,
        submit_on: SubmitOn::Push,
        attempts: Some(2),
        due_at_ms: Some(NOW + 86_400_000),
        extended_to_ms: None,
        created_by: None,
        created_at_ms: NOW,
        retain_until_ms: None,
        archived_at_ms: None,
    }
}

fn run(state: RunState, outcome: Option<Outcome>) -> Run {
    Run {
        id: "r1".parse().unwrap(),
        assignment: "a1".parse().unwrap(),
        number: 1,
        trigger: Trigger::Push,
        commit: "0123456789abcdef0123456789abcdef01234567".into(),
        reference: "refs/heads/main".into(),
        received_at_ms: NOW,
        seed: 1,
        counts: true,
        state,
        outcome,
        reason: String::new(),
        executions: 1,
        interruptions: 0,
        cancel_requested: false,
        queued_at_ms: NOW,
        started_at_ms: Some(NOW),
        finished_at_ms: outcome.map(|_| NOW + 60_000),
        score: None,
    }
}

fn checks(visibility: &str) -> Vec<Check> {
    let text = format!(
        "[{{id: build, kind: build, timeout: 1m}}, {{id: hidden, kind: integration, timeout: 1m, visibility: {visibility}}}]"
    );
    serde_yaml::from_str(&text).unwrap()
}

fn events(of: Vec<Event>) -> Vec<RunEvent> {
    (1..)
        .zip(of)
        .map(|(seq, event)| RunEvent {
            seq,
            at_ms: NOW + 1_000 * seq,
            event,
        })
        .collect()
}

fn finished(check: &str, status: CheckStatus) -> Event {
    Event::CheckFinished {
        check: check.into(),
        status,
        fault: None,
        duration_ms: 900,
        summary: "1 of 2 tests passed".into(),
    }
}

fn started(check: &str) -> Event {
    Event::CheckStarted { check: check.into() }
}

fn told(progress: &Progress) -> String {
    let steps = progress
        .steps
        .iter()
        .map(|step| format!("{}: {} {} {}", step.name, step.mark.word, step.what, step.took));
    let lines = progress
        .lines
        .iter()
        .map(|line| format!("{} {}", line.at, line.words));
    let head = format!("{} ({} %)", progress.now, progress.percent);
    std::iter::once(head)
        .chain(steps)
        .chain(lines)
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn events_fold_into_what_a_page_shows() {
    let taken = |execution| Event::RunTaken {
        worker: "w".into(),
        execution,
    };
    let of = vec![
        Event::RunQueued,
        taken(1),
        started("build"),
        finished("build", CheckStatus::Passed),
        Event::RunGivenBack {
            reason: "the worker was lost".into(),
        },
        taken(2),
        started("build"),
        finished("build", CheckStatus::Passed),
        started("hidden"),
        Event::CheckProgressed {
            check: "hidden".into(),
            doing: HOSTILE.into(),
        },
    ];
    let running = run(RunState::Running, None);
    let seen = |of: &[RunEvent], visibility, eyes| {
        told(&Progress::new(
            &running,
            &checks(visibility),
            of,
            eyes,
            None,
            NOW + 15_000,
        ))
    };
    insta::assert_snapshot!(seen(&events(of.clone()), "hidden", Eyes::Interviewer), @r#"
    1 of 2 checks done. Running: Hidden tests. (50 %)
    Build: Passed 1 of 2 tests passed 900 ms
    Hidden tests: Running <script>alert(1)</script>⟨U+202E⟩ 0:06
    0:01 Queued
    0:02 A worker took it
    0:03 build: started
    0:04 build: passed in 900 ms. 1 of 2 tests passed
    0:05 It waits again: the worker was lost
    0:06 A worker took it again (attempt 2)
    0:07 build: started
    0:08 build: passed in 900 ms. 1 of 2 tests passed
    0:09 hidden: started
    0:10 hidden: <script>alert(1)</script>⟨U+202E⟩
    "#);
    insta::assert_snapshot!(seen(&events(of), "hidden", Eyes::Candidate), @r#"
    1 of 2 checks done. (50 %)
    Build: Passed 1 of 2 tests passed 900 ms
    Hidden tests: Not shown Its result is for the interviewers.
    0:01 Queued
    0:02 A worker took it
    0:03 build: started
    0:04 build: passed in 900 ms. 1 of 2 tests passed
    0:05 It waits again, through our fault
    0:06 A worker took it again (attempt 2)
    0:07 build: started
    0:08 build: passed in 900 ms. 1 of 2 tests passed
    0:09 hidden: started
    "#);
}

#[test]
fn an_end_leaves_nothing_running() {
    let of = events(vec![Event::RunQueued, started("build")]);
    let over = run(RunState::Finished, Some(Outcome::Cancelled));
    let progress = Progress::new(&over, &checks("visible"), &of, Eyes::Interviewer, None, NOW);
    insta::assert_snapshot!(told(&progress), @r#"
    Somebody cancelled it. The attempt is given back. (100 %)
    Build: Not run
    Hidden tests: Not run
    0:01 Queued
    0:02 build: started
    "#);
    let queued = run(RunState::Queued, None);
    let progress = Progress::new(&queued, &[], &[], Eyes::Candidate, Some(3), NOW);
    assert_eq!(told(&progress), "Queued: 2 runs are before it. (0 %)");
}

#[test]
fn the_candidate_is_told_what_the_next_push_costs() {
    for (n_used, state, due, told) in [
        (0, AssignmentState::Open, NOW + 1, "uses attempt 1 of 2"),
        (2, AssignmentState::Open, NOW + 1, "All 2 attempts are used"),
        (0, AssignmentState::Open, NOW - 1, "The due date has passed"),
        (0, AssignmentState::Closed, NOW + 1, "The assignment is closed"),
    ] {
        let mut row = AssignmentRow {
            assignment: assignment("a1"),
            latest: None,
            n_runs: 0,
            n_attempts_used: n_used,
        };
        row.assignment.state = state;
        row.assignment.due_at_ms = Some(due);
        let page = MyPage::new(Frame::default(), &row, &[], None, "https://assay.example", NOW);
        let html = askama::Template::render(&page).unwrap();
        assert!(html.contains(told), "{told}: {html}");
        assert!(html.contains("UTC"), "a due date has a time zone");
    }
}

struct House {
    app: App,
    _dir: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", dir.path().join("assay.db").display());
        let store = Store::open(&database, &dir.path().join("blobs")).await.unwrap();
        store.migrate().await.unwrap();
        let (exercises, _) = Exercises::read(dir.path(), dir.path());
        let app = app(store, exercises, dir.path());
        for role in [Role::Viewer, Role::Interviewer, Role::Admin] {
            let user = User {
                id: role.name().parse().unwrap(),
                login: role.name().into(),
                name: HOSTILE.into(),
                password_hash: None,
                oidc_subject: None,
                role,
                created_at_ms: NOW,
                disabled_at_ms: None,
            };
            app.store().create_user(&user).await.unwrap();
        }
        for id in ["a1", "a2"] {
            app.store().create_assignment(&assignment(id)).await.unwrap();
        }
        Self { app, _dir: dir }
    }

    async fn session(&self, role: Role) -> String {
        let purpose = Purpose {
            kind: TokenKind::Session,
            subject: role.name(),
            name: "",
            rights: &[],
            expires_at_ms: None,
        };
        let (_, secret) = issue(&self.app, purpose).await.unwrap();
        format!("assay={}", secret.text())
    }

    async fn ask(&self, method: &str, path: &str, cookie: &str, form: &str) -> (StatusCode, String, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::COOKIE, cookie)
            .header(header::ACCEPT, "text/html")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .unwrap();
        let response = crate::router(self.app.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let location = response.headers().get(header::LOCATION);
        let location = location.map_or(String::new(), |to| to.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, location, String::from_utf8_lossy(&body).into_owned())
    }
}

fn app(store: Store, exercises: Exercises, dir: &std::path::Path) -> App {
    let settings = Settings {
        public_url: "http://127.0.0.1".into(),
        repositories: dir.join("repositories"),
        archives: dir.join("archives"),
        max_push_bytes: 1,
        push_progress: std::time::Duration::from_secs(1),
        behind_proxy: false,
        retention: std::time::Duration::from_secs(1),
        key: crate::hooks::sealing::SealingKey::new([0; 32]),
        oidc: None,
    };
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
        .build_recorder()
        .handle();
    App::new(
        store,
        exercises,
        settings,
        metrics,
        tokio_util::sync::CancellationToken::new(),
        tokio_util::task::TaskTracker::new(),
    )
}

#[tokio::test]
async fn each_page_opens_for_whom_it_is_meant() {
    let house = House::new().await;
    let viewer = house.session(Role::Viewer).await;
    let interviewer = house.session(Role::Interviewer).await;
    let admin = house.session(Role::Admin).await;
    // Path, then the status for: nobody, viewer, interviewer, admin.
    for (path, expected) in [
        ("/", [303, 200, 200, 200]),
        ("/sign-in", [200, 200, 200, 200]),
        ("/invite", [303, 403, 200, 200]),
        ("/assignments/a1", [303, 200, 200, 200]),
        ("/assignments/a1/archive", [303, 403, 200, 200]),
        ("/assignments/a1/erase", [303, 403, 403, 200]),
        ("/assignments/nowhere", [303, 404, 404, 404]),
        ("/assignments/%2e%2e%2f", [303, 404, 404, 404]),
        ("/compare?a=a1&a=a2", [303, 200, 200, 200]),
        ("/compare?a=a1", [303, 400, 400, 400]),
        ("/runs/nowhere", [303, 404, 404, 404]),
        ("/runs/nowhere/report", [303, 404, 404, 404]),
        ("/my/a1", [404, 404, 404, 404]),
        ("/shared/r1", [404, 404, 404, 404]),
        ("/tokens", [303, 200, 200, 200]),
        ("/accounts", [303, 403, 403, 200]),
        ("/connections", [303, 403, 403, 200]),
        ("/audit", [303, 403, 403, 200]),
        ("/nowhere", [404, 404, 404, 404]),
    ] {
        for (cookie, expected) in ["", &viewer, &interviewer, &admin].into_iter().zip(expected) {
            let (status, location, body) = house.ask("GET", path, cookie, "").await;
            assert_eq!(status.as_u16(), expected, "{path} {cookie}: {body}");
            assert!(
                status != StatusCode::SEE_OTHER || location.starts_with("/sign-in?next="),
                "{path}"
            );
            assert!(!body.contains("<script>alert"), "{path}: a name was not escaped");
            assert!(!body.contains('\u{202e}'), "{path}: a name turns the text around");
        }
    }
}

#[tokio::test]
async fn a_candidate_opens_their_own_page_only() {
    let house = House::new().await;
    let opens = Opens::Page("a1".parse().unwrap());
    let (_, url) = link::make(&house.app, &opens, "", None).await.unwrap();
    let secret = url.split_once("token=").unwrap().1;
    let cookie = format!("assay-page-a1={secret}; assay-page-a2={secret}");
    for (path, expected) in [
        ("/my/a1", 200),
        ("/my/a2", 404),
        ("/my/a1/runs/1", 404),
        ("/", 303),
    ] {
        let (status, _, body) = house.ask("GET", path, &cookie, "").await;
        assert_eq!(status.as_u16(), expected, "{path}");
        assert!(!body.contains(secret), "{path} shows the secret");
    }
}

#[tokio::test]
async fn nothing_changes_without_the_proof_of_the_session() {
    let house = House::new().await;
    let admin = house.session(Role::Admin).await;
    for path in [
        "/blind",
        "/sign-out",
        "/invite",
        "/assignments/a1/extend",
        "/assignments/a1/attempts",
        "/assignments/a1/token",
        "/assignments/a1/link",
        "/assignments/a1/close",
        "/assignments/a1/reopen",
        "/assignments/a1/archive",
        "/assignments/a1/erase",
        "/runs/r1/cancel",
        "/runs/r1/rerun",
        "/runs/r1/rescore",
        "/runs/r1/share",
        "/accounts",
        "/accounts/viewer/role",
        "/accounts/viewer/disable",
        "/accounts/viewer/enable",
        "/connections",
        "/connections/c1/disable",
        "/connections/c1/enable",
        "/tokens",
        "/tokens/t1/revoke",
        "/password",
    ] {
        for form in ["", "csrf=wrong"] {
            let (status, _, body) = house.ask("POST", path, &admin, form).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} {form}: {body}");
        }
    }
    let csrf = {
        let (_, _, body) = house.ask("GET", "/", &admin, "").await;
        let (_, rest) = body.split_once("name=\"csrf\" value=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let form = format!("csrf={csrf}");
    let (status, location, _) = house.ask("POST", "/assignments/a1/close", &admin, &form).await;
    assert_eq!(
        (status, location.as_str()),
        (StatusCode::SEE_OTHER, "/assignments/a1")
    );
    let (status, _, body) = house
        .ask(
            "POST",
            "/assignments/a1/erase",
            &admin,
            &format!("{form}&word=no"),
        )
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
}

#[tokio::test]
async fn looking_again_soon_is_one_look() {
    let house = House::new().await;
    let viewer = house.session(Role::Viewer).await;
    for _ in 0..3 {
        house.ask("GET", "/assignments/a1", &viewer, "").await;
    }
    let newest = assay_store::model::PageRequest {
        after: None,
        limit: 10,
    };
    let trail = house.app.store().audit_rows(Some("a1"), &newest).await.unwrap();
    let actions: Vec<&str> = trail.rows.iter().map(|row| row.entry.action.as_str()).collect();
    assert_eq!(actions, ["assignment.viewed"]);
}
