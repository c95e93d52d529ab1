use assay_core::assignment::AssignmentState;
use assay_core::event::Event;
use assay_core::queue::{Outcome, RunState};
use assay_store::StoreError;
use assay_store::model::{
    Actor, Assignment, AssignmentChange, AuditEntry, Beat, Candidate, Connection, Finish, ForgeKind, NewRun,
    Origin, Token, TokenKind,
};
use serde_json::json;

use crate::world::{LEASE_MS, World, assignment, file, finish, new_run, score};

/// In everything that the candidate is or wrote.
const TRACE: &str = "Wilhelmina";

/// Fills each place that may know something of a candidate.
async fn leave_traces(world: &World) -> Assignment {
    let store = &world.store;
    let connection = Connection {
        id: "hub".parse().unwrap(),
        forge: ForgeKind::GitHub,
        base_url: "https://hub.example.org".to_owned(),
        api_url: "https://hub.example.org/api".to_owned(),
        exercise: "task-sync".to_owned(),
        track: "python".to_owned(),
        repositories: vec!["*/*".to_owned()],
        sealed_secrets: Vec::new(),
        created_at_ms: 1,
        disabled_at_ms: None,
    };
    store.create_connection(&connection).await.unwrap();
    let repository = format!("{TRACE}/task");
    let assignment = Assignment {
        candidate: Some(Candidate {
            name: TRACE.to_owned(),
            email: Some(format!("{TRACE}@example.org")),
        }),
        origin: Origin::Forge {
            connection: connection.id.clone(),
            repository: repository.clone(),
        },
        ..assignment("wil")
    };
    store.create_assignment(&assignment).await.unwrap();
    let push = async |run: &str| {
        let new = NewRun {
            commit: format!("{run}-{TRACE}"),
            reference: format!("refs/tags/{TRACE}"),
            ..new_run(&assignment.id, run)
        };
        store.enqueue(&new, world.tick()).await.unwrap();
    };
    push("done").await;
    let lease = world.claim().await;
    let event = Event::CheckProgressed {
        check: "unit".to_owned(),
        doing: TRACE.to_owned(),
    };
    store.append_events(&lease, &[event], 5).await.unwrap();
    let report = store.put_blob(TRACE.as_bytes()).await.unwrap();
    let end = Finish {
        reason: TRACE.to_owned(),
        score: Some(score(5, &report)),
        files: vec![
            file("report.json", &report),
            file(TRACE, &store.put_blob(b"log").await.unwrap()),
        ],
        ..finish(Outcome::Scored)
    };
    assert!(store.finish(&lease, &end, 6).await.unwrap());
    store
        .add_outgoing(&connection.id, &lease.run, &json!({"about": TRACE}), 6)
        .await
        .unwrap();
    store
        .note_comment(&connection.id, &repository, "1", "2")
        .await
        .unwrap();
    for (i, (kind, subject)) in (0..).zip([
        (TokenKind::Git, "wil"),
        (TokenKind::Page, "wil"),
        (TokenKind::Share, "done"),
    ]) {
        let token = Token {
            id: format!("t{i}").parse().unwrap(),
            kind,
            subject: subject.to_owned(),
            name: TRACE.to_owned(),
            secret_sha256: [i; 32],
            scopes: Vec::new(),
            created_at_ms: 1,
            expires_at_ms: None,
            revoked_at_ms: None,
            last_used_at_ms: None,
        };
        store.add_token(&token).await.unwrap();
    }
    let ingrid = "ingrid".parse().unwrap();
    store.idempotent("key", &ingrid, &[0; 32], 1).await.unwrap();
    store
        .remember("key", &ingrid, &json!({"id": "wil", "candidate": TRACE}))
        .await
        .unwrap();
    push("runs").await;
    world.claim().await;
    push("waits").await;
    assignment
}

/// Every value of every table in one text, as the database's own tools see it.
pub(crate) async fn everything(world: &World) -> String {
    const TABLES: [&str; 15] = [
        "assignments",
        "attestations",
        "audit",
        "audit_head",
        "comments",
        "connections",
        "deliveries",
        "events",
        "idempotency",
        "outgoing",
        "run_files",
        "runs",
        "scorecards",
        "tokens",
        "users",
    ];
    use sqlx::Row;
    let mut text = String::new();
    match world.tools().await {
        crate::world::Tools::Pg(pool) => {
            for table in TABLES {
                let sql = sqlx::AssertSqlSafe(format!("SELECT CAST(t AS TEXT) FROM {table} t"));
                for row in sqlx::query(sql).fetch_all(&pool).await.unwrap() {
                    text.push_str(row.get::<&str, _>(0));
                }
            }
        }
        crate::world::Tools::Lite(pool) => {
            for table in TABLES {
                let sql = sqlx::AssertSqlSafe(format!("SELECT * FROM {table}"));
                for row in sqlx::query(sql).fetch_all(&pool).await.unwrap() {
                    for i in 0..row.len() {
                        if let Ok(Some(value)) = row.try_get_unchecked::<Option<String>, _>(i) {
                            text.push_str(&value);
                        }
                    }
                }
            }
        }
    }
    text
}

pub(crate) async fn a_candidate_is_forgotten(world: World) {
    let store = &world.store;
    let before = leave_traces(&world).await;
    let entry = AuditEntry {
        at_ms: 1,
        actor: Actor::Candidate(before.id.clone()),
        action: "report.viewed".to_owned(),
        subject: "done".to_owned(),
        detail: json!({}),
    };
    store.audit(&entry).await.unwrap();
    let runs_lease = assay_store::model::Lease {
        run: "runs".parse().unwrap(),
        worker: "worker".to_owned(),
        execution: 1,
    };
    assert_eq!(
        store.heartbeat(&runs_lease, 9, LEASE_MS).await.unwrap(),
        Beat::Held
    );
    assert!(everything(&world).await.matches(TRACE).count() >= 12);

    let removed = store
        .erase_candidate(&before.id, "tombstone", 9_000)
        .await
        .unwrap();
    assert_eq!(removed.len(), 2);
    for digest in &removed {
        assert_eq!(store.blob(digest).await.unwrap(), None);
    }
    assert_eq!(everything(&world).await.matches(TRACE).count(), 0);
    if let Some(file) = world.address.strip_prefix("sqlite:") {
        // Not in free pages and not in the log of changes either.
        for path in [file.to_owned(), format!("{file}-wal")] {
            let bytes = std::fs::read(path).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains(TRACE));
        }
    }

    let after = store.assignment(&before.id).await.unwrap().unwrap();
    let expected = Assignment {
        candidate: None,
        state: AssignmentState::Erased,
        origin: Origin::Forge {
            connection: "hub".parse().unwrap(),
            repository: "tombstone".to_owned(),
        },
        ..before
    };
    assert_eq!(after, expected);
    let hub = "hub".parse().unwrap();
    let found = store.forge_assignment(&hub, "tombstone").await.unwrap();
    assert_eq!(found.as_ref(), Some(&after));
    let done = world.run("done").await;
    assert_eq!(done.outcome, Some(Outcome::Scored));
    assert_eq!(done.score.unwrap(), score(5, ""));
    assert_eq!(world.story("done").await, "4:run_ended");
    assert!(store.run_files(&done.id).await.unwrap().is_empty());
    for run in ["runs", "waits"] {
        assert_eq!(world.run(run).await.outcome, Some(Outcome::Cancelled));
    }
    assert_eq!(
        store.heartbeat(&runs_lease, 9, LEASE_MS).await.unwrap(),
        Beat::Lost
    );
    for (kind, secret) in [(TokenKind::Git, 0), (TokenKind::Page, 1), (TokenKind::Share, 2)] {
        assert_eq!(store.token(kind, &[secret; 32], 9_001).await.unwrap(), None);
    }
    assert_eq!(store.verify_audit().await.unwrap(), 1);
    assert!(
        store
            .erase_candidate(&after.id, "another", 9_002)
            .await
            .unwrap()
            .is_empty(),
        "again"
    );
    assert_eq!(store.assignment(&after.id).await.unwrap(), Some(after));
}

pub(crate) async fn what_others_refer_to_stays(world: World) {
    let store = &world.store;
    let shared = store.put_blob(b"shared").await.unwrap();
    for id in ["ada", "bob"] {
        let assignment = world.assignment(id).await;
        world.push(&assignment, &format!("run-of-{id}")).await;
        let lease = world.claim().await;
        let end = Finish {
            files: vec![
                file("same", &shared),
                file("own", &store.put_blob(id.as_bytes()).await.unwrap()),
            ],
            ..finish(Outcome::Scored)
        };
        assert!(store.finish(&lease, &end, 9).await.unwrap());
    }
    let of_ada = store.put_blob(b"ada").await.unwrap();
    assert_eq!(
        store
            .erase_candidate(&"ada".parse().unwrap(), "", 9)
            .await
            .unwrap(),
        [of_ada]
    );
    assert_eq!(
        store
            .run_files(&"run-of-bob".parse().unwrap())
            .await
            .unwrap()
            .len(),
        2
    );
    assert!(store.blob(&shared).await.unwrap().is_some());
    assert!(
        store
            .assignment(&"bob".parse().unwrap())
            .await
            .unwrap()
            .unwrap()
            .candidate
            .is_some()
    );
    assert_eq!(
        store
            .erase_candidate(&"bob".parse().unwrap(), "", 9)
            .await
            .unwrap()
            .len(),
        2
    );
    let nobody = store.erase_candidate(&"nobody".parse().unwrap(), "", 9).await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })));
}

pub(crate) async fn nothing_comes_back(world: World) {
    let store = &world.store;
    let id = world.assignment("ada").await;
    world.push(&id, "r1").await;
    let lease = world.score(5).await;
    store.erase_candidate(&id, "", 9).await.unwrap();
    let digest = store.put_blob(b"{}").await.unwrap();
    let erased =
        |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::Erased(_))), "{result:?}");
    erased(store.enqueue(&new_run(&id, "r2"), 10).await.map(|_| ()));
    erased(
        store
            .add_scorecard(&lease.run, &score(6, &digest))
            .await
            .map(|_| ()),
    );
    let reopen = AssignmentChange {
        state: Some(AssignmentState::Open),
        ..AssignmentChange::default()
    };
    erased(store.change_assignment(&id, &reopen).await.map(|_| ()));
    assert_eq!(world.run("r1").await.state, RunState::Finished);
}
