//! What must hold when several act at the same moment: tasks of one process, and processes (each with a store of its own).

use std::collections::BTreeSet;
use std::sync::Arc;

use assay_core::queue::{Outcome, RunState};
use assay_store::model::NewRun;
use assay_store::{Store, StoreError};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::world::{LEASE_MS, World, finish, new_run};

/// Two processes: every other actor has the other one's store.
async fn stores(world: &World) -> [Store; 2] {
    [world.store.clone(), world.another().await]
}

pub(crate) async fn nobody_claims_what_another_has(world: World) {
    const N_RUNS: usize = 300;
    const N_WORKERS: usize = 8;
    for i in 0..N_RUNS {
        let id = world.assignment(&format!("a{i}")).await;
        world.push(&id, &format!("r{i}")).await;
    }
    let stores = stores(&world).await;
    let barrier = Arc::new(Barrier::new(N_WORKERS));
    let mut workers = JoinSet::new();
    for i in 0..N_WORKERS {
        let (store, barrier) = (stores[i % 2].clone(), barrier.clone());
        workers.spawn(async move {
            barrier.wait().await;
            let mut claimed = Vec::new();
            while let Some((lease, ..)) = store.claim(&format!("w{i}"), 9_000, LEASE_MS).await.unwrap() {
                claimed.push(lease.run.clone());
                assert!(
                    store
                        .finish(&lease, &finish(Outcome::Nothing), 9_001)
                        .await
                        .unwrap()
                );
            }
            claimed
        });
    }
    let claimed: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), N_RUNS);
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), N_RUNS);
    let tools = world.tools().await;
    let n_ends = "SELECT count(*) FROM events WHERE event LIKE '%run_ended%'";
    assert_eq!(tools.number(n_ends).await, N_RUNS as i64);
    assert_eq!(
        tools
            .number("SELECT count(*) FROM runs WHERE executions <> 1")
            .await,
        0
    );
}

pub(crate) async fn a_run_is_superseded_or_claimed(world: World) {
    let stores = stores(&world).await;
    let mut n_claimed = 0;
    for i in 0..40 {
        let id = world.assignment(&format!("a{i}")).await;
        let (first, second) = (format!("first-{i}"), format!("second-{i}"));
        world.push(&id, &first).await;
        let barrier = Barrier::new(2);
        let new = new_run(&id, &second);
        let (enqueued, claimed) = tokio::join!(
            async {
                barrier.wait().await;
                stores[0].enqueue(&new, 9_000).await.unwrap()
            },
            async {
                barrier.wait().await;
                stores[1].claim("w", 9_000, LEASE_MS).await.unwrap().unwrap()
            }
        );
        let claimed = claimed.0.run.to_string();
        let state = world.run(&first).await;
        match enqueued.superseded.is_empty() {
            true => assert_eq!((claimed, state.state), (first, RunState::Running)),
            false => assert_eq!((claimed, state.outcome), (second, Some(Outcome::Superseded))),
        }
        n_claimed += usize::from(enqueued.superseded.is_empty());
        stores[0].take_back("w", 9_000, 1).await.unwrap();
        while let Some((lease, ..)) = stores[0].claim("w", 9_000, LEASE_MS).await.unwrap() {
            assert!(world.finish(&lease, Outcome::Nothing).await);
        }
    }
    println!("{n_claimed} of 40 were claimed first");
}

pub(crate) async fn no_attempt_too_many_is_granted(world: World) {
    let stores = stores(&world).await;
    let mut n_refused = 0;
    for i in 0..40 {
        let id = world.assignment_with_attempts(&format!("a{i}"), 1).await;
        world.push(&id, &format!("first-{i}")).await;
        let barrier = Barrier::new(2);
        let new = new_run(&id, &format!("second-{i}"));
        let (enqueued, claimed) = tokio::join!(
            async {
                barrier.wait().await;
                stores[0].enqueue(&new, 9_000).await
            },
            async {
                barrier.wait().await;
                stores[1].claim("w", 9_000, LEASE_MS).await.unwrap().unwrap()
            }
        );
        // Either it superseded what nobody had taken yet, or it came too late.
        match enqueued {
            Ok(enqueued) => assert_eq!(enqueued.superseded.len(), 1),
            Err(StoreError::NoAttemptsLeft { of: 1 }) => n_refused += 1,
            Err(error) => panic!("{error}"),
        }
        assert_eq!(world.store.attempts_used(&id).await.unwrap(), 1);
        assert!(world.finish(&claimed.0, Outcome::Nothing).await);
    }
    println!("{n_refused} of 40 came too late");
}

pub(crate) async fn a_run_finishes_or_expires(world: World) {
    let stores = stores(&world).await;
    let id = world.assignment("ada").await;
    let mut n_finished = 0;
    for i in 0..40 {
        let run = format!("r{i}");
        world.push(&id, &run).await;
        let lease = world.claim().await;
        let barrier = Barrier::new(2);
        let end = finish(Outcome::Nothing);
        let (finished, lost) = tokio::join!(
            async {
                barrier.wait().await;
                stores[0].finish(&lease, &end, 9_000).await.unwrap()
            },
            async {
                barrier.wait().await;
                stores[1].expire(i64::MAX, 1).await.unwrap()
            }
        );
        assert_ne!(finished, lost.contains(&lease.run), "exactly one of the two");
        let ended = "1:run_queued 2:run_taken 3:run_ended";
        assert_eq!(world.story(&run).await, ended);
        n_finished += usize::from(finished);
    }
    println!("{n_finished} of 40 were finished first");
}

pub(crate) async fn many_pushes_of_one_commit_are_one_run(world: World) {
    let stores = stores(&world).await;
    let id = world.assignment("ada").await;
    let barrier = Arc::new(Barrier::new(16));
    let mut pushes = JoinSet::new();
    for i in 0..16 {
        let (store, barrier) = (stores[i % 2].clone(), barrier.clone());
        let new = NewRun {
            commit: "same".to_owned(),
            ..new_run(&id, &format!("r{i}"))
        };
        pushes.spawn(async move {
            barrier.wait().await;
            store.enqueue(&new, 9_000).await.unwrap().run.id
        });
    }
    let runs: BTreeSet<_> = pushes.join_all().await.into_iter().collect();
    assert_eq!(runs.len(), 1);
    assert_eq!(world.store.runs_of(&id).await.unwrap().len(), 1);
}

pub(crate) async fn numbers_have_no_gaps(world: World) {
    let stores = stores(&world).await;
    let id = world.assignment("ada").await;
    let barrier = Arc::new(Barrier::new(16));
    let mut pushes = JoinSet::new();
    for i in 0..16 {
        let (store, barrier, new) = (
            stores[i % 2].clone(),
            barrier.clone(),
            new_run(&id, &format!("r{i}")),
        );
        pushes.spawn(async move {
            barrier.wait().await;
            store.enqueue(&new, 9_000).await.unwrap();
        });
    }
    pushes.join_all().await;
    let runs = world.store.runs_of(&id).await.unwrap();
    assert_eq!(
        runs.iter().map(|run| run.number).collect::<Vec<_>>(),
        (1..=16).rev().collect::<Vec<_>>()
    );
    let n_queued = runs.iter().filter(|run| run.state == RunState::Queued).count();
    assert_eq!(n_queued, 1, "each superseded the one before");
    assert_eq!(runs[0].state, RunState::Queued);
}
