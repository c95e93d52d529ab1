//! A fresh database, and what is put into it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use assay_core::assignment::AssignmentState;
use assay_core::exercise::SubmitOn;
use assay_core::id::{AssignmentId, RunId};
use assay_core::queue::{Outcome, Trigger};
use assay_store::Store;
use assay_store::model::{
    Assignment, Candidate, CategoryRow, Enqueued, Finish, Lease, NewRun, Origin, PageRequest, Run, RunFile,
    ScoreRow,
};
use assay_store::signing::{Keys, SigningKey};
use sqlx::{Connection, PgConnection, PgPool, SqlitePool};

pub(crate) const LEASE_MS: i64 = 1_000;

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) address: String,
    clock: AtomicI64,
}

/// Beside the store: what somebody with the database's own tools can do.
pub(crate) enum Tools {
    Lite(SqlitePool),
    Pg(PgPool),
}

impl Tools {
    pub(crate) async fn execute(&self, sql: &'static str) {
        match self {
            Self::Lite(pool) => {
                sqlx::raw_sql(sql).execute(pool).await.unwrap();
            }
            Self::Pg(pool) => {
                sqlx::raw_sql(sql).execute(pool).await.unwrap();
            }
        }
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        match self {
            Self::Lite(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
            Self::Pg(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no binary that reads it for them"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl World {
    pub(crate) async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("sqlite:{}", folder.path().join("assay.db").display());
        Self::open(address, folder).await
    }

    /// None where there is no server and none is required.
    pub(crate) async fn on_postgres() -> Option<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let Some(server) = variable("ASSAY_TEST_POSTGRES") else {
            let required = variable("ASSAY_REQUIRE_DOCKER").as_deref() == Some("1");
            assert!(!required, "no PostgreSQL (hint: ci/postgres)");
            println!("skipped: no PostgreSQL (hint: ci/postgres)");
            return None;
        };
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{n}", std::process::id());
        let mut connection = PgConnection::connect(&server).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
        let address = server.replacen("/postgres?", &format!("/{name}?"), 1);
        Some(Self::open(address, tempfile::tempdir().unwrap()).await)
    }

    async fn open(address: String, folder: tempfile::TempDir) -> Self {
        let store = Store::open(&address, &folder.path().join("blobs")).await.unwrap();
        store.migrate().await.unwrap();
        Self {
            store,
            folder,
            address,
            clock: AtomicI64::new(1_000),
        }
    }

    /// A second store on the same database, as another process has it.
    pub(crate) async fn another(&self) -> Store {
        Store::open(&self.address, &self.blobs()).await.unwrap()
    }

    /// A store on the same database that signs, with a key of this number.
    pub(crate) async fn signing(&self, key: u8) -> Store {
        let keys = Keys::new(key_of(key), (0..key).map(|key| key_of(key).public().clone()));
        self.another().await.signing_with(keys)
    }

    pub(crate) async fn tools(&self) -> Tools {
        Self::tools_of(&self.address).await
    }

    pub(crate) async fn tools_of(address: &str) -> Tools {
        match address.starts_with("sqlite:") {
            true => Tools::Lite(SqlitePool::connect(address).await.unwrap()),
            false => Tools::Pg(PgPool::connect(address).await.unwrap()),
        }
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.folder.path().join("blobs")
    }

    /// A later moment than any before.
    pub(crate) fn tick(&self) -> i64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds an assignment of a candidate of the same name.
    pub(crate) async fn assignment(&self, id: &str) -> AssignmentId {
        let assignment = Assignment {
            created_at_ms: self.tick(),
            ..assignment(id)
        };
        self.store.create_assignment(&assignment).await.unwrap();
        assignment.id
    }

    /// The same, with a limit of attempts.
    pub(crate) async fn assignment_with_attempts(&self, id: &str, attempts: u32) -> AssignmentId {
        let assignment = Assignment {
            attempts: Some(attempts),
            ..assignment(id)
        };
        self.store.create_assignment(&assignment).await.unwrap();
        assignment.id
    }

    /// Queues a run by a push.
    pub(crate) async fn push(&self, assignment: &AssignmentId, run: &str) -> Enqueued {
        let now_ms = self.tick();
        self.store
            .enqueue(&new_run(assignment, run), now_ms)
            .await
            .unwrap()
    }

    pub(crate) async fn rerun(&self, assignment: &AssignmentId, run: &str) -> Enqueued {
        let new = NewRun {
            trigger: Trigger::Rerun,
            counts: false,
            ..new_run(assignment, run)
        };
        self.store.enqueue(&new, self.tick()).await.unwrap()
    }

    pub(crate) async fn claim(&self) -> Lease {
        let claimed = self.store.claim("worker", self.tick(), LEASE_MS).await.unwrap();
        claimed.expect("a run waits").0
    }

    pub(crate) async fn finish(&self, lease: &Lease, outcome: Outcome) -> bool {
        self.store
            .finish(lease, &finish(outcome), self.tick())
            .await
            .unwrap()
    }

    /// Takes the next run and finishes it with points and a report of its own.
    pub(crate) async fn score(&self, total: i64) -> Lease {
        let lease = self.claim().await;
        let report = format!(r#"{{"run":"{}"}}"#, lease.run);
        let digest = self.store.put_blob(report.as_bytes()).await.unwrap();
        let finish = Finish {
            score: Some(score(total, &digest)),
            files: vec![file("report.json", &digest)],
            ..finish(Outcome::Scored)
        };
        assert!(self.store.finish(&lease, &finish, self.tick()).await.unwrap());
        lease
    }

    pub(crate) async fn run(&self, id: &str) -> Run {
        let id: RunId = id.parse().unwrap();
        self.store.run(&id).await.unwrap().expect("the run is there")
    }

    /// Events of a run in one line: names, with sequence numbers.
    pub(crate) async fn story(&self, run: &str) -> String {
        let events = self.store.events(&run.parse().unwrap(), 0, 1_000).await.unwrap();
        let word = |event: assay_store::model::RunEvent| {
            let value = serde_json::to_value(event.event).unwrap();
            let name = match value.as_object() {
                Some(members) => members.keys().next().unwrap().clone(),
                None => value.as_str().unwrap().to_owned(),
            };
            format!("{}:{name}", event.seq)
        };
        events.into_iter().map(word).collect::<Vec<_>>().join(" ")
    }
}

fn key_of(number: u8) -> SigningKey {
    SigningKey::of_pem(&SigningKey::new_pem(&[number; 32])).unwrap()
}

pub(crate) fn assignment(id: &str) -> Assignment {
    Assignment {
        id: id.parse().unwrap(),
        exercise: "task-sync".to_owned(),
        track: "python".to_owned(),
        candidate: Some(Candidate {
            name: id.to_uppercase(),
            email: Some(format!("{id}@example.org")),
        }),
        origin: Origin::Hosted,
        state: AssignmentState::Open,
        submit_on: SubmitOn::Push,
        attempts: None,
        due_at_ms: Some(9_000_000),
        extended_to_ms: None,
        created_by: Some("ingrid".parse().unwrap()),
        created_at_ms: 1,
        retain_until_ms: None,
        archived_at_ms: None,
    }
}

/// A run by a push of a commit that is named after it.
pub(crate) fn new_run(assignment: &AssignmentId, run: &str) -> NewRun {
    NewRun {
        id: run.parse().unwrap(),
        assignment: assignment.clone(),
        trigger: Trigger::Push,
        commit: format!("commit-of-{run}"),
        reference: "refs/heads/main".to_owned(),
        received_at_ms: 77,
        seed: u64::MAX,
        counts: true,
    }
}

pub(crate) fn finish(outcome: Outcome) -> Finish {
    Finish {
        outcome,
        reason: "because".to_owned(),
        score: None,
        files: Vec::new(),
    }
}

pub(crate) fn score(total: i64, report_digest: &str) -> ScoreRow {
    ScoreRow {
        version: 1,
        total_hundredths: total,
        max_hundredths: 10_000,
        low_hundredths: total,
        high_hundredths: total + 5,
        gate: Some(true),
        categories: vec![CategoryRow {
            id: "correctness".to_owned(),
            score_hundredths: total,
            max_hundredths: 10_000,
            scored: true,
        }],
        exercise_digest: "sha256:e".to_owned(),
        report_digest: report_digest.to_owned(),
        created_at_ms: 5,
        created_by: None,
    }
}

pub(crate) fn file(name: &str, digest: &str) -> RunFile {
    RunFile {
        name: name.to_owned(),
        digest: digest.to_owned(),
        n_bytes: 3,
    }
}

pub(crate) fn first(limit: u32) -> PageRequest {
    PageRequest { after: None, limit }
}
