use assay_core::event::Event;
use assay_core::fault::Whose;
use assay_core::id::RunId;
use assay_core::queue::{Outcome, RunState, Trigger};
use assay_store::StoreError;
use assay_store::model::{Beat, GivenBack, Lease, NewRun, PageRequest, RunFilter};

use crate::world::{LEASE_MS, World, file, finish, first, new_run, score};

fn started(check: &str) -> Event {
    Event::CheckStarted {
        check: check.to_owned(),
    }
}

pub(crate) async fn a_run_lives_once(world: World) {
    let store = &world.store;
    let id = world.assignment("ada").await;
    let queued = world.push(&id, "r1").await.run;
    assert_eq!(
        (queued.number, queued.state, queued.seed),
        (1, RunState::Queued, u64::MAX)
    );
    let (lease, run, assignment) = store.claim("w\0", 2_000, LEASE_MS).await.unwrap().unwrap();
    assert_eq!(
        (run.state, run.executions, run.started_at_ms),
        (RunState::Running, 1, Some(2_000))
    );
    assert_eq!(assignment.id, id);
    assert_eq!(
        store.heartbeat(&lease, 2_500, LEASE_MS).await.unwrap(),
        Beat::Held
    );
    assert!(
        store.expire(3_499, 3).await.unwrap().is_empty(),
        "the sign of life counts"
    );
    assert!(
        store
            .append_events(&lease, &[started("build\0")], 2_600)
            .await
            .unwrap()
    );
    assert!(world.finish(&lease, Outcome::Nothing).await);
    let finished = world.run("r1").await;
    assert_eq!(
        (finished.state, finished.outcome),
        (RunState::Finished, Some(Outcome::Nothing))
    );
    assert_eq!(finished.reason, "because");
    assert_eq!(
        world.story("r1").await,
        "1:run_queued 2:run_taken 3:check_started 4:run_ended"
    );
    let events = store.events(&lease.run, 2, 1).await.unwrap();
    assert_eq!((events[0].seq, events[0].at_ms), (3, 2_600));
    assert_eq!(events[0].event, started("build\0"));
    assert!(store.claim("w", 5_000, LEASE_MS).await.unwrap().is_none());
    let again = store.enqueue(&new_run(&id, "r1"), 5_000).await;
    assert!(matches!(again, Err(StoreError::Exists { .. })), "{again:?}");
    let nobody = store
        .enqueue(&new_run(&"nobody".parse().unwrap(), "r2"), 5_000)
        .await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })), "{nobody:?}");
}

pub(crate) async fn a_newer_commit_supersedes_what_waits(world: World) {
    let (ada, bob) = (world.assignment("ada").await, world.assignment("bob").await);
    world.push(&ada, "running").await;
    world.claim().await;
    world.push(&bob, "bobs").await;
    world.rerun(&ada, "rerun").await;
    world.push(&ada, "waits").await;
    let enqueued = world.push(&ada, "newest").await;
    assert_eq!(enqueued.run.number, 4);
    assert_eq!(enqueued.superseded, ["waits".parse::<RunId>().unwrap()]);
    let waits = world.run("waits").await;
    assert_eq!(waits.outcome, Some(Outcome::Superseded));
    assert_eq!(world.story("waits").await, "1:run_queued 2:run_ended");
    for (run, state) in [
        ("running", RunState::Running),
        ("bobs", RunState::Queued),
        ("rerun", RunState::Queued),
        ("newest", RunState::Queued),
    ] {
        assert_eq!(world.run(run).await.state, state, "{run}");
    }
    // A re-run supersedes nothing.
    assert!(world.rerun(&ada, "rerun2").await.superseded.is_empty());
    let latest = world.store.assignment_row(&ada).await.unwrap().unwrap().latest;
    assert_eq!(latest.unwrap().id.as_str(), "rerun2");
}

pub(crate) async fn the_same_commit_waits_once(world: World) {
    let id = world.assignment("ada").await;
    let same = |run: &str| NewRun {
        commit: "c".to_owned(),
        ..new_run(&id, run)
    };
    let enqueue = async |new: NewRun| {
        let enqueued = world.store.enqueue(&new, world.tick()).await.unwrap();
        enqueued.run.id.to_string()
    };
    assert_eq!(enqueue(same("r1")).await, "r1");
    assert_eq!(enqueue(same("r2")).await, "r1");
    let lease = world.claim().await;
    let webhook = NewRun {
        trigger: Trigger::Webhook,
        ..same("r3")
    };
    assert_eq!(enqueue(webhook).await, "r1", "it runs");
    let tag = NewRun {
        reference: "refs/tags/v1".to_owned(),
        ..same("r4")
    };
    assert_eq!(enqueue(tag).await, "r4", "under another name");
    let rerun = NewRun {
        trigger: Trigger::Rerun,
        ..same("r5")
    };
    assert_eq!(enqueue(rerun).await, "r5", "on purpose");
    assert!(world.finish(&lease, Outcome::Scored).await);
    assert_eq!(enqueue(same("r6")).await, "r6", "after the end");
    let runs = world.store.runs_of(&id).await.unwrap();
    assert_eq!(
        runs.iter().map(|run| run.number).collect::<Vec<_>>(),
        [4, 3, 2, 1]
    );
}

pub(crate) async fn runs_begin_in_order(world: World) {
    let (ada, bob) = (world.assignment("ada").await, world.assignment("bob").await);
    world.rerun(&ada, "a1").await;
    world.push(&ada, "a2").await;
    let tag = NewRun {
        trigger: Trigger::Tag,
        reference: "refs/tags/v1".to_owned(),
        ..new_run(&bob, "b1")
    };
    world.store.enqueue(&tag, world.tick()).await.unwrap();
    world.rerun(&bob, "b2").await;
    let expected = ["a2", "b1", "a1", "b2"];
    for (i, run) in (1..).zip(expected) {
        let place = world.store.queue_position(&run.parse().unwrap()).await.unwrap();
        assert_eq!(place, Some(i), "{run}");
    }
    for run in expected {
        assert_eq!(world.claim().await.run.as_str(), run);
        assert_eq!(
            world.store.queue_position(&run.parse().unwrap()).await.unwrap(),
            None
        );
    }
}

pub(crate) async fn attempts_are_counted(world: World) {
    let id = world.assignment("ada").await;
    let used = async || world.store.attempts_used(&id).await.unwrap();
    assert_eq!(used().await, 0);
    let mut n_expected = 0;
    for (i, outcome) in Outcome::ALL.into_iter().enumerate() {
        world.push(&id, &format!("r{i}")).await;
        assert_eq!(used().await, n_expected + 1, "what waits counts");
        let lease = world.claim().await;
        assert_eq!(used().await, n_expected + 1, "what runs counts");
        world.finish(&lease, outcome).await;
        n_expected += u32::from(outcome.costs());
        assert_eq!(used().await, n_expected, "{outcome:?}");
    }
    world.rerun(&id, "free").await;
    assert_eq!(used().await, n_expected);
    let row = world.store.assignment_row(&id).await.unwrap().unwrap();
    assert_eq!((row.n_runs, row.n_attempts_used), (9, n_expected));
}

pub(crate) async fn a_lost_lease_changes_nothing(world: World) {
    let store = &world.store;
    let id = world.assignment("ada").await;
    world.push(&id, "r1").await;
    let old = world.claim().await;
    let lost = store.expire(i64::MAX, 3).await.unwrap();
    assert_eq!(lost, std::slice::from_ref(&old.run));
    let new = world.claim().await;
    assert_eq!((old.execution, new.execution), (1, 2));
    let stranger = Lease {
        worker: "stranger".to_owned(),
        ..new.clone()
    };
    let before = (world.run("r1").await, world.story("r1").await);
    for lease in [&old, &stranger] {
        assert_eq!(store.heartbeat(lease, 9_000, LEASE_MS).await.unwrap(), Beat::Lost);
        assert!(
            !store
                .append_events(lease, &[started("build")], 9_000)
                .await
                .unwrap()
        );
        assert!(
            !store
                .give_back(lease, GivenBack::Failed, "x", 9_000)
                .await
                .unwrap()
        );
        assert!(!world.finish(lease, Outcome::Scored).await);
    }
    assert_eq!((world.run("r1").await, world.story("r1").await), before);
    assert!(world.finish(&new, Outcome::Nothing).await);
    assert!(!world.finish(&new, Outcome::Scored).await, "once");
    assert_eq!(world.run("r1").await.outcome, Some(Outcome::Nothing));
}

pub(crate) async fn lost_workers_cost_executions(world: World) {
    let store = &world.store;
    let (ada, bob) = (world.assignment("ada").await, world.assignment("bob").await);
    world.push(&ada, "r1").await;
    world.push(&bob, "r2").await;
    let lease = world.claim().await;
    assert!(
        store
            .give_back(&lease, GivenBack::Failed, "a fault", 9)
            .await
            .unwrap()
    );
    assert_eq!(world.run("r1").await.state, RunState::Queued);
    let mut lives = 0;
    while world.run("r1").await.state != RunState::Finished {
        // Its place in the queue is still the first.
        assert_eq!(world.claim().await.run.as_str(), "r1");
        let lost = match lives % 2 {
            0 => store.take_back("worker", 9, 3).await.unwrap(),
            _ => store.expire(i64::MAX, 3).await.unwrap(),
        };
        assert_eq!(lost.len(), 1);
        lives += 1;
    }
    assert_eq!(lives, 2, "two more after it was given back");
    let run = world.run("r1").await;
    assert_eq!(run.outcome, Some(Outcome::Failed(Whose::Platform)));
    insta::assert_snapshot!(run.reason, @"its worker was lost, and this was execution 3 of at most 3");
    assert_eq!(
        world.story("r1").await,
        "1:run_queued 2:run_taken 3:run_given_back 4:run_taken 5:run_given_back 6:run_taken 7:run_ended"
    );
    let bobs = world.claim().await;
    assert_eq!(bobs.run.as_str(), "r2");
    assert!(store.take_back("another", 9, 3).await.unwrap().is_empty());
    assert_eq!(store.heartbeat(&bobs, 9, LEASE_MS).await.unwrap(), Beat::Held);
}

pub(crate) async fn interruptions_cost_no_executions(world: World) {
    let store = &world.store;
    let ada = world.assignment("ada").await;
    world.push(&ada, "r1").await;
    for n in 1..=5 {
        let lease = world.claim().await;
        assert_eq!(lease.execution, n, "each has a number of its own");
        assert!(
            store
                .give_back(&lease, GivenBack::Interrupted, "shutting down", 9)
                .await
                .unwrap()
        );
    }
    let run = world.run("r1").await;
    assert_eq!(
        (run.state, run.executions, run.interruptions),
        (RunState::Queued, 5, 5)
    );
    for n_lost in 1..=3 {
        world.claim().await;
        store.take_back("worker", 9, 3).await.unwrap();
        let state = world.run("r1").await.state;
        assert_eq!(state == RunState::Finished, n_lost == 3, "{n_lost}");
    }
    insta::assert_snapshot!(world.run("r1").await.reason, @"its worker was lost, and this was execution 3 of at most 3");
}

pub(crate) async fn attempts_are_limited(world: World) {
    let store = &world.store;
    let id = world.assignment_with_attempts("ada", 2).await;
    let refused = async |run: &str| {
        let refused = store.enqueue(&new_run(&id, run), world.tick()).await;
        assert!(
            matches!(refused, Err(StoreError::NoAttemptsLeft { of: 2 })),
            "{refused:?}"
        );
    };
    world.push(&id, "r1").await;
    assert_eq!(world.push(&id, "r2").await.superseded.len(), 1, "r1 cost nothing");
    let second = world.claim().await;
    world.push(&id, "r3").await;
    // It would supersede r3, and costs what that did.
    world.push(&id, "r4").await;
    let fourth = world.claim().await;
    refused("r5").await;
    assert!(world.finish(&fourth, Outcome::Failed(Whose::Platform)).await);
    world.push(&id, "r6").await;
    assert!(world.finish(&second, Outcome::Nothing).await);
    let sixth = world.claim().await;
    assert!(world.finish(&sixth, Outcome::Scored).await);
    refused("r7").await;
    world.rerun(&id, "r8").await;
}

pub(crate) async fn a_run_is_cancelled(world: World) {
    let store = &world.store;
    let id = world.assignment("ada").await;
    let cancel = async |run: &str| {
        store
            .request_cancel(&run.parse().unwrap(), world.tick())
            .await
            .unwrap()
    };
    assert_eq!(cancel("none").await, None);
    world.push(&id, "waits").await;
    assert_eq!(cancel("waits").await, Some(RunState::Finished));
    assert_eq!(world.run("waits").await.outcome, Some(Outcome::Cancelled));

    world.push(&id, "runs").await;
    let lease = world.claim().await;
    assert_eq!(cancel("runs").await, Some(RunState::Running));
    assert_eq!(
        store.heartbeat(&lease, 9, LEASE_MS).await.unwrap(),
        Beat::CancelRequested
    );
    assert!(world.finish(&lease, Outcome::Cancelled).await);
    assert_eq!(cancel("runs").await, Some(RunState::Finished));
    assert_eq!(world.story("runs").await, "1:run_queued 2:run_taken 3:run_ended");

    // What was to be cancelled is not executed again, even when its worker is lost at last.
    for (run, max_executions) in [("given-back", None), ("lost", Some(3)), ("lost-at-last", Some(1))] {
        world.push(&id, run).await;
        let lease = world.claim().await;
        cancel(run).await;
        match max_executions {
            None => assert!(
                store
                    .give_back(&lease, GivenBack::Failed, "bye", 9)
                    .await
                    .unwrap()
            ),
            Some(n) => assert_eq!(store.expire(i64::MAX, n).await.unwrap().len(), 1),
        }
        assert_eq!(world.run(run).await.outcome, Some(Outcome::Cancelled), "{run}");
    }
}

pub(crate) async fn events_are_bounded(world: World) {
    let store = &world.store;
    let id = world.assignment("ada").await;
    world.push(&id, "r1").await;
    let lease = world.claim().await;
    let flood: Vec<Event> = (0..6_000).map(|n| started(&n.to_string())).collect();
    for _ in 0..2 {
        assert!(store.append_events(&lease, &flood, 9).await.unwrap());
    }
    let ours = [
        Event::RunQueued,
        Event::RunEnded {
            outcome: Outcome::Scored,
            reason: String::new(),
        },
    ];
    assert!(store.append_events(&lease, &ours, 9).await.unwrap());
    assert!(world.finish(&lease, Outcome::Scored).await);
    let last = store.events(&lease.run, 9_999, 1_000).await.unwrap();
    assert_eq!(last.len(), 2);
    assert!(matches!(last[0].event, Event::CheckStarted { .. }));
    assert!(matches!(last[1].event, Event::RunEnded { .. }));
    assert_eq!(store.events(&lease.run, 0, u32::MAX).await.unwrap().len(), 1_000);

    world.push(&id, "r2").await;
    let lease = world.claim().await;
    let long = started(&"ä".repeat(100_000));
    store.append_events(&lease, &[long], 9).await.unwrap();
    let events = store.events(&lease.run, 2, 1).await.unwrap();
    assert_eq!(events[0].event, started(&format!("{}…", "ä".repeat(2_000))));
}

pub(crate) async fn scorecards_have_versions(world: World) {
    let store = &world.store;
    let id = world.assignment("ada").await;
    world.push(&id, "r1").await;
    let lease = world.claim().await;
    let digest = store.put_blob(b"{}").await.unwrap();
    let finish = assay_store::model::Finish {
        score: Some(score(7_000, &digest)),
        files: vec![
            file("b.json", &digest),
            file("a/\0.xml", &digest),
            file("b.json", &digest),
        ],
        ..finish(Outcome::PartlyScored)
    };
    assert!(store.finish(&lease, &finish, 9).await.unwrap());
    assert_eq!(world.run("r1").await.score, finish.score);
    let files = store.run_files(&lease.run).await.unwrap();
    assert_eq!(files, [file("a/\u{FFFD}.xml", &digest), file("b.json", &digest)]);
    let mut rescored = score(8_000, &digest);
    rescored.gate = None;
    rescored.created_by = Some("ingrid".parse().unwrap());
    assert_eq!(store.add_scorecard(&lease.run, &rescored).await.unwrap(), 2);
    rescored.version = 2;
    let cards = store.scorecards(&lease.run).await.unwrap();
    assert_eq!(cards, [score(7_000, &digest), rescored.clone()]);
    let row = store.assignment_row(&id).await.unwrap().unwrap();
    assert_eq!(row.latest.unwrap().score, Some(rescored));
}

pub(crate) async fn watchers_are_told(world: World) {
    let mut changed = world.store.changed();
    let clone = world.store.clone();
    let id = world.assignment("ada").await;
    assert!(changed.has_changed().unwrap(), "by an assignment");
    changed.mark_unchanged();
    clone.enqueue(&new_run(&id, "r1"), 1).await.unwrap();
    assert!(changed.has_changed().unwrap(), "by a clone");
    changed.mark_unchanged();
    let lease = world.claim().await;
    changed.mark_unchanged();
    world.store.run(&lease.run).await.unwrap();
    world.store.heartbeat(&lease, 2, LEASE_MS).await.unwrap();
    assert!(
        !changed.has_changed().unwrap(),
        "neither reading nor a heartbeat is a change"
    );
    world
        .store
        .append_events(&lease, &[started("build")], 3)
        .await
        .unwrap();
    assert!(changed.has_changed().unwrap(), "by an event");
}

pub(crate) async fn numbers_add_up(world: World) {
    let store = &world.store;
    assert_eq!(
        store.queue_numbers().await.unwrap(),
        assay_store::model::QueueNumbers::default()
    );
    let (ada, bob) = (world.assignment("ada").await, world.assignment("bob").await);
    for (id, run) in [(&ada, "r1"), (&bob, "r2"), (&ada, "r3")] {
        world.push(id, run).await;
    }
    world.claim().await;
    let numbers = store.queue_numbers().await.unwrap();
    let oldest = world.run("r3").await.queued_at_ms;
    assert_eq!(
        (numbers.n_queued, numbers.n_running, numbers.oldest_queued_at_ms),
        (1, 1, Some(oldest))
    );
    assert_eq!(numbers.n_finished, [("superseded".to_owned(), 1)]);

    let ids = async |filter: RunFilter, limit| {
        let (mut ids, mut request) = (Vec::new(), first(limit));
        loop {
            let page = store.runs(&filter, &request).await.unwrap();
            ids.extend(page.rows.into_iter().map(|run| run.id.to_string()));
            match page.next {
                Some(next) => request.after = Some(next),
                None => return ids.join(" "),
            }
        }
    };
    let all = RunFilter::default();
    let of_ada = RunFilter {
        assignment: Some(ada),
        ..RunFilter::default()
    };
    let finished = RunFilter {
        state: Some(RunState::Finished),
        exercise: Some("task-sync".to_owned()),
        ..RunFilter::default()
    };
    let elsewhere = RunFilter {
        exercise: Some("other\0".to_owned()),
        ..RunFilter::default()
    };
    for limit in [1, 2, 0] {
        for (filter, expected) in [
            (&all, "r3 r2 r1"),
            (&of_ada, "r3 r1"),
            (&finished, "r1"),
            (&elsewhere, ""),
        ] {
            assert_eq!(
                ids(filter.clone(), limit).await,
                expected,
                "{filter:?} by {limit}"
            );
        }
    }
    let nowhere = PageRequest {
        after: Some("none".to_owned()),
        limit: 1,
    };
    assert!(matches!(
        store.runs(&all, &nowhere).await,
        Err(StoreError::Place(_))
    ));
}
