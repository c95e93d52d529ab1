//! A daemon with a furnished house: accounts, assignments in every state, hostile names, finished runs, and one run that goes on
//! while one looks. For looking at pages, and for their tests in a real browser.
//!
//! Prints one line of JSON with its address, a name and a password to sign in with, and what else a test has to know. Ends
//! when its standard input does.

mod hostile;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use assay_core::assignment::AssignmentState;
use assay_core::event::Event;
use assay_core::exercise::{SubmitOn, Visibility};
use assay_core::fault::Whose;
use assay_core::id::{AssignmentId, TokenId, UserId};
use assay_core::queue::{Outcome, Trigger};
use assay_core::report::{CheckStatus, Report};
use assay_engine::Exercises;
use assay_server::hooks::sealing::SealingKey;
use assay_server::{App, Settings};
use assay_store::Store;
use assay_store::model::{
    Actor, Assignment, AssignmentChange, AuditEntry, Candidate, CategoryRow, Finish, NewRun, Origin, Role,
    Run, RunFile, ScoreRow, Token, TokenKind, User,
};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const REPORT: &str = include_str!("../../../assay-report/tests/data/sample.json");
const DAY: i64 = 24 * 60 * 60 * 1_000;
const PASSWORD: &str = "correct horse battery staple";
const HOSTILE: &str = "<img src=x onerror=alert(1)>\u{202e}gnp.exe";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (exercises, _) = Exercises::read(&root.join("exercises"), &root.join("runner-images"));
    let digest = exercises
        .get("task-sync")
        .context("the exercise task-sync is there")?
        .digest
        .clone();
    let database = format!("sqlite:{}", dir.path().join("assay.db").display());
    let store = Store::open(&database, &dir.path().join("blobs")).await?;
    store.migrate().await?;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let shutdown = CancellationToken::new();
    let tasks = TaskTracker::new();
    let settings = Settings {
        public_url: address.clone(),
        repositories: dir.path().join("repositories"),
        archives: dir.path().join("archives"),
        max_push_bytes: 1 << 20,
        push_progress: Duration::from_secs(60),
        behind_proxy: false,
        retention: Duration::from_secs(90 * 24 * 60 * 60),
        key: SealingKey::new([0; 32]),
        oidc: None,
    };
    let app = App::new(
        store.clone(),
        exercises,
        settings,
        metrics_exporter_prometheus::PrometheusBuilder::new()
            .build_recorder()
            .handle(),
        shutdown.clone(),
        tasks.clone(),
    );
    let house = House {
        store: store.clone(),
        now_ms: app.now_ms(),
        digest,
    };
    let told = house.furnish(&address).await?;
    writeln!(std::io::stdout(), "{told}")?;

    let live = tasks.spawn(house.live());
    let serve = axum::serve(
        listener,
        assay_server::router(app).into_make_service_with_connect_info::<std::net::SocketAddr>(),
    );
    let ended = shutdown.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ended.cancel();
    });
    serve
        .with_graceful_shutdown(async move { shutdown.cancelled().await })
        .await?;
    live.abort();
    Ok(())
}

struct House {
    store: Store,
    now_ms: i64,
    digest: String,
}

fn id(text: &str) -> anyhow::Result<AssignmentId> {
    text.parse().with_context(|| format!("{text} is no id"))
}

impl House {
    async fn furnish(&self, address: &str) -> anyhow::Result<serde_json::Value> {
        for (login, name, role) in [
            ("ada", "Ada Admin", Role::Admin),
            ("ivo", "Ivo Interviewer", Role::Interviewer),
            ("vera", "Vera Viewer", Role::Viewer),
        ] {
            let user = User {
                id: login.parse()?,
                login: login.into(),
                name: name.into(),
                password_hash: Some(assay_server::auth::password::hash(PASSWORD)?),
                oidc_subject: None,
                role,
                created_at_ms: self.now_ms - 40 * DAY,
                disabled_at_ms: None,
            };
            self.store.create_user(&user).await?;
        }
        let names = [
            "Grace Hopper",
            "Linus Torvalds-Benedict the very long-named of the house of Habsburg",
            HOSTILE,
            "Barbara Liskov",
            "Edsger Dijkstra",
            "Margaret Hamilton",
            "Radia Perlman",
            "Ken Thompson",
            "Frances Allen",
            "John Backus",
        ];
        for (n, name) in (0_i64..).zip(names) {
            let assignment = self.assign(n, name).await?;
            for k in 1..=n.rem_euclid(4) {
                self.finished(&assignment, n, k).await?;
            }
        }
        let change = AssignmentChange {
            state: Some(AssignmentState::Closed),
            ..AssignmentChange::default()
        };
        self.store
            .change_assignment(&id("task00000005")?, &change)
            .await?;
        self.store
            .erase_candidate(&id("task00000009")?, "", self.now_ms)
            .await?;
        let page_secret = "page-secret-of-the-furnished-house-0";
        self.token(TokenKind::Page, "task00000003", page_secret).await?;
        self.store
            .audit(&AuditEntry {
                at_ms: self.now_ms - DAY,
                actor: Actor::User("ivo".parse::<UserId>()?),
                action: "assignment.created".into(),
                subject: "task00000003".into(),
                detail: serde_json::Value::Null,
            })
            .await?;
        let strangers = self.receive_strangers().await?;
        Ok(serde_json::json!({
            "address": address,
            "password": PASSWORD,
            "assignment": "task00000003",
            "run": "run000000033",
            "live": "run000000live",
            "strangers": strangers,
            "page": format!("{address}/my/task00000003/open?token={page_secret}"),
        }))
    }

    async fn token(&self, kind: TokenKind, subject: &str, secret: &str) -> anyhow::Result<()> {
        self.token_named(kind, subject, secret, "furnished").await
    }

    async fn token_named(
        &self,
        kind: TokenKind,
        subject: &str,
        secret: &str,
        name: &str,
    ) -> anyhow::Result<()> {
        let token = Token {
            id: TokenId::from_random(u128::from_be_bytes(Sha256::digest(secret)[..16].try_into()?)),
            kind,
            subject: subject.into(),
            name: name.into(),
            secret_sha256: Sha256::digest(secret).into(),
            scopes: Vec::new(),
            created_at_ms: self.now_ms,
            expires_at_ms: None,
            revoked_at_ms: None,
            last_used_at_ms: None,
        };
        Ok(self.store.add_token(&token).await?)
    }

    async fn assign(&self, n: i64, name: &str) -> anyhow::Result<AssignmentId> {
        let assignment = self.assignment(n, name)?;
        self.store.create_assignment(&assignment).await?;
        Ok(assignment.id)
    }

    fn assignment(&self, n: i64, name: &str) -> anyhow::Result<Assignment> {
        Ok(Assignment {
            id: id(&format!("task{n:08}"))?,
            exercise: "task-sync".into(),
            track: if n % 2 == 0 { "python" } else { "node" }.into(),
            candidate: Some(Candidate {
                name: name.into(),
                email: Some("somebody@example.org".into()),
            }),
            origin: Origin::Hosted,
            state: AssignmentState::Open,
            submit_on: SubmitOn::Push,
            attempts: Some(5),
            due_at_ms: Some(self.now_ms + (n - 4) * 2 * DAY + DAY / 2),
            extended_to_ms: (n == 3).then_some(self.now_ms + 5 * DAY),
            created_by: Some("ivo".parse()?),
            created_at_ms: self.now_ms - (20 - n) * DAY,
            retain_until_ms: Some(self.now_ms + 90 * DAY),
            archived_at_ms: None,
        })
    }

    async fn enqueue(&self, assignment: &AssignmentId, run: &str, at_ms: i64) -> anyhow::Result<Run> {
        let commit: String = Sha256::digest(run)
            .iter()
            .take(20)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let new = NewRun {
            id: run.parse()?,
            assignment: assignment.clone(),
            trigger: Trigger::Push,
            commit,
            reference: "refs/heads/main".into(),
            received_at_ms: at_ms,
            seed: 7,
            counts: true,
        };
        Ok(self.store.enqueue(&new, at_ms).await?.run)
    }

    async fn finished(&self, assignment: &AssignmentId, n: i64, k: i64) -> anyhow::Result<()> {
        let at_ms = self.now_ms - (8 - k) * DAY + n * 1_000_000;
        let run = self
            .enqueue(assignment, &format!("run0000000{n}{k}"), at_ms)
            .await?;
        let claimed = self.store.claim("furnished", at_ms + 1_200, DAY).await?;
        let (lease, ..) = claimed.context("the run that was just queued is the next")?;
        let (outcome, reason) = match (n, k) {
            (6, 1) => (
                Outcome::Failed(Whose::Platform),
                "The container engine failed: connection refused.",
            ),
            (7, 1) => (Outcome::Cancelled, ""),
            (7, 3) => (Outcome::PartlyScored, "The host was too noisy to measure."),
            _ => (Outcome::Scored, ""),
        };
        for event in [
            Event::SourceRead {
                commit: run.commit.clone(),
                n_files: 24,
                n_bytes: 81_234,
                n_left_out: 0,
            },
            started("build"),
            finished("build", CheckStatus::Passed, 21_400, ""),
            started("style"),
            finished("style", CheckStatus::Failed, 9_800, "7 findings"),
            started("unit"),
            finished(
                "unit",
                CheckStatus::Passed,
                14_200,
                "31 of 31 tests passed, 84 % of own lines covered",
            ),
            started("integration"),
            finished(
                "integration",
                CheckStatus::Failed,
                34_000,
                "61 of 70 tests passed",
            ),
            started("security"),
            finished("security", CheckStatus::Failed, 29_000, "2 findings"),
            started("load"),
            finished("load", CheckStatus::Passed, 48_000, "p95 88 ms, 0 of 4812 failed"),
            Event::RunScored {
                total: 70.9,
                max: 100.0,
                range: [70.9, 74.9],
            },
        ] {
            self.store.append_events(&lease, &[event], at_ms + 90_000).await?;
        }
        let has_score = matches!(outcome, Outcome::Scored | Outcome::PartlyScored);
        let score = if has_score {
            Some(self.score(&run, outcome, n, k, at_ms).await?)
        } else {
            None
        };
        let files = score.iter().map(|score| RunFile {
            name: "report.json".into(),
            digest: score.report_digest.clone(),
            n_bytes: 1,
        });
        let finish = Finish {
            outcome,
            reason: reason.into(),
            files: files.collect(),
            score,
        };
        self.store.finish(&lease, &finish, at_ms + 131_000).await?;
        Ok(())
    }

    async fn score(
        &self,
        run: &Run,
        outcome: Outcome,
        n: i64,
        k: i64,
        at_ms: i64,
    ) -> anyhow::Result<ScoreRow> {
        let mut report: Report = serde_json::from_str(REPORT)?;
        report.run.id = run.id.to_string();
        report.submission.commit.clone_from(&run.commit);
        // With a hidden check the candidate sees no points.
        if k % 2 == 0 {
            report
                .checks
                .retain(|check| check.visibility != Visibility::Hidden);
            report.tests.retain(|test| test.check != "smoke");
        }
        report.submission.subject = format!("{HOSTILE} {k}");
        let digest = self.store.put_blob(&serde_json::to_vec(&report)?).await?;
        let total = (4_200 + 1_300 * k + 170 * n).min(9_860);
        let parts = [40, 10, 15, 20, 10, 5];
        let names = [
            "correctness",
            "tests",
            "latency",
            "security",
            "style",
            "documentation",
        ];
        let categories = names
            .iter()
            .zip(parts)
            .enumerate()
            .map(|(i, (name, max))| CategoryRow {
                id: (*name).into(),
                score_hundredths: (max * total / 100 + 37 * i as i64 - 90).clamp(0, max * 100),
                max_hundredths: max * 100,
                scored: !(outcome == Outcome::PartlyScored && *name == "latency"),
            });
        Ok(ScoreRow {
            version: 1,
            total_hundredths: total,
            max_hundredths: 10_000,
            low_hundredths: total,
            high_hundredths: if outcome == Outcome::Scored {
                total
            } else {
                total + 900
            },
            gate: Some(total >= 7_000),
            categories: categories.collect(),
            exercise_digest: self.digest.clone(),
            report_digest: digest,
            created_at_ms: at_ms + 130_000,
            created_by: None,
        })
    }

    /// One run that goes on, again and again slowly enough to be looked at, until a cancellation or its end.
    async fn live(self) {
        if let Err(error) = self.go_on().await {
            let _ = writeln!(std::io::stderr(), "the run that goes on stopped: {error:#}");
        }
    }

    async fn go_on(&self) -> anyhow::Result<()> {
        let assignment = id("task00000003")?;
        let now = || -> i64 {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0))
        };
        let run = self.enqueue(&assignment, "run000000live", now()).await?;
        let mut lease = None;
        while lease.is_none() {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            lease = self
                .store
                .claim("furnished", now(), DAY)
                .await?
                .map(|(lease, ..)| lease);
        }
        let lease = lease.context("claimed")?;
        let progressed = |check: &str, doing: &str| Event::CheckProgressed {
            check: check.into(),
            doing: doing.into(),
        };
        for event in [
            Event::SourceRead {
                commit: run.commit.clone(),
                n_files: 24,
                n_bytes: 81_234,
                n_left_out: 0,
            },
            started("build"),
            progressed("build", "installing dependencies"),
            finished("build", CheckStatus::Passed, 2_400, ""),
            started("style"),
            started("unit"),
            finished("style", CheckStatus::Failed, 1_800, "7 findings"),
            finished(
                "unit",
                CheckStatus::Passed,
                2_200,
                "31 of 31 tests passed, 84 % of own lines covered",
            ),
            started("integration"),
            progressed("integration", "14 of 22"),
            finished("integration", CheckStatus::Failed, 3_400, "61 of 70 tests passed"),
            started("security"),
            finished("security", CheckStatus::Failed, 2_900, "2 findings"),
            started("load"),
            finished("load", CheckStatus::Passed, 3_000, "p95 88 ms, 0 of 4812 failed"),
        ] {
            tokio::time::sleep(Duration::from_millis(900)).await;
            self.store.append_events(&lease, &[event], now()).await?;
        }
        let score = self.score(&run, Outcome::Scored, 3, 4, now() - 130_000).await?;
        let finish = Finish {
            outcome: Outcome::Scored,
            reason: String::new(),
            score: Some(score),
            files: Vec::new(),
        };
        self.store.finish(&lease, &finish, now()).await?;
        Ok(())
    }
}

fn started(check: &str) -> Event {
    Event::CheckStarted { check: check.into() }
}

fn finished(check: &str, status: CheckStatus, duration_ms: u64, summary: &str) -> Event {
    Event::CheckFinished {
        check: check.into(),
        status,
        fault: None,
        duration_ms,
        summary: summary.into(),
    }
}
