//! Random sequences of operations, with workers that come back from the dead, keep what must always hold.

use std::cell::RefCell;
use std::collections::BTreeMap;

use assay_core::event::Event;
use assay_core::id::{AssignmentId, RunId};
use assay_core::queue::{Outcome, RunState, Trigger};
use assay_store::model::{AssignmentFilter, AssignmentSort, Finish, GivenBack, Lease, NewRun, Run};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::world::{LEASE_MS, Tools, World, file, finish, first, new_run, score};

const ASSIGNMENTS: [&str; 3] = ["a0", "a1", "a2"];
const MAX_EXECUTIONS: u32 = 3;

#[derive(Debug, Clone)]
enum Operation {
    Push {
        assignment: usize,
        commit: u8,
    },
    Rerun {
        assignment: usize,
    },
    Claim {
        worker: u8,
    },
    /// What follows is done with any lease that there ever was.
    Append {
        lease: usize,
    },
    Finish {
        lease: usize,
        outcome: usize,
    },
    GiveBack {
        lease: usize,
    },
    Expire,
    TakeBack {
        worker: u8,
    },
    Cancel {
        run: usize,
    },
    Rescore {
        run: usize,
        total: i64,
    },
    Erase {
        assignment: usize,
    },
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let assignment = 0..ASSIGNMENTS.len();
    prop_oneof![
        8 => (assignment.clone(), 0_u8..3).prop_map(|(assignment, commit)| Push { assignment, commit }),
        4 => assignment.clone().prop_map(|assignment| Rerun { assignment }),
        16 => (0_u8..2).prop_map(|worker| Claim { worker }),
        4 => any::<usize>().prop_map(|lease| Append { lease }),
        16 => (any::<usize>(), 0..Outcome::ALL.len()).prop_map(|(lease, outcome)| Finish { lease, outcome }),
        2 => any::<usize>().prop_map(|lease| GiveBack { lease }),
        2 => Just(Expire),
        1 => (0_u8..2).prop_map(|worker| TakeBack { worker }),
        1 => any::<usize>().prop_map(|run| Cancel { run }),
        1 => (any::<usize>(), 0_i64..10_000).prop_map(|(run, total)| Rescore { run, total }),
        1 => assignment.prop_map(|assignment| Erase { assignment }),
    ]
}

/// What is known beside the store.
#[derive(Default)]
struct Known {
    runs: Vec<RunId>,
    leases: Vec<Lease>,
    outcomes: BTreeMap<RunId, Outcome>,
    n_finished: BTreeMap<RunId, u32>,
}

/// One of the last few: some are over, some are not.
fn pick<T: Clone>(of: &[T], i: usize) -> Option<T> {
    of.iter().rev().take(4).cycle().nth(i % 12).cloned()
}

async fn apply(world: &World, known: &mut Known, operation: &Operation) {
    let store = &world.store;
    let now_ms = world.tick();
    let worker_name = |worker: u8| format!("w{worker}");
    match *operation {
        Operation::Push { assignment, commit } => {
            let run = format!("r{}", known.runs.len());
            let new = NewRun {
                commit: format!("c{commit}"),
                received_at_ms: now_ms,
                ..new_run(&ASSIGNMENTS[assignment].parse().unwrap(), &run)
            };
            enqueue(world, known, new).await;
        }
        Operation::Rerun { assignment } => {
            let run = format!("r{}", known.runs.len());
            let new = NewRun {
                trigger: Trigger::Rerun,
                counts: false,
                ..new_run(&ASSIGNMENTS[assignment].parse().unwrap(), &run)
            };
            enqueue(world, known, new).await;
        }
        Operation::Claim { worker } => {
            let claimed = store.claim(&worker_name(worker), now_ms, LEASE_MS).await.unwrap();
            known.leases.extend(claimed.map(|(lease, ..)| lease));
        }
        Operation::Append { lease } => {
            let Some(lease) = pick(&known.leases, lease) else {
                return;
            };
            let event = Event::CheckStarted {
                check: "unit".to_owned(),
            };
            store
                .append_events(&lease, &[event.clone(), event], now_ms)
                .await
                .unwrap();
        }
        Operation::Finish { lease, outcome } => {
            let Some(lease) = pick(&known.leases, lease) else {
                return;
            };
            let outcome = Outcome::ALL[outcome];
            let digest = store.put_blob(lease.run.as_str().as_bytes()).await.unwrap();
            let scored = matches!(outcome, Outcome::Scored | Outcome::PartlyScored);
            let end = Finish {
                score: scored.then(|| score(now_ms, &digest)),
                files: vec![file("report.json", &digest)],
                ..finish(outcome)
            };
            let finished = store.finish(&lease, &end, now_ms).await.unwrap();
            *known.n_finished.entry(lease.run).or_default() += u32::from(finished);
        }
        Operation::GiveBack { lease } => {
            let Some(lease) = pick(&known.leases, lease) else {
                return;
            };
            store
                .give_back(&lease, GivenBack::Failed, "bye", now_ms)
                .await
                .unwrap();
        }
        Operation::Expire => {
            store.expire(i64::MAX, MAX_EXECUTIONS).await.unwrap();
        }
        Operation::TakeBack { worker } => {
            store
                .take_back(&worker_name(worker), now_ms, MAX_EXECUTIONS)
                .await
                .unwrap();
        }
        Operation::Cancel { run } => {
            let Some(run) = pick(&known.runs, run) else { return };
            store.request_cancel(&run, now_ms).await.unwrap();
        }
        Operation::Rescore { run, total } => {
            let Some(run) = pick(&known.runs, run) else { return };
            let digest = store.put_blob(b"rescored").await.unwrap();
            // It fails where the candidate was erased.
            let _ = store.add_scorecard(&run, &score(total, &digest)).await;
        }
        Operation::Erase { assignment } => {
            store
                .erase_candidate(&ASSIGNMENTS[assignment].parse().unwrap(), "", now_ms)
                .await
                .unwrap();
        }
    }
}

async fn enqueue(world: &World, known: &mut Known, new: NewRun) {
    // It fails where the candidate was erased.
    if let Ok(enqueued) = world.store.enqueue(&new, world.tick()).await
        && enqueued.run.id == new.id
    {
        known.runs.push(new.id);
    }
}

async fn holds(world: &World, known: &mut Known) {
    for id in ASSIGNMENTS {
        let id: AssignmentId = id.parse().unwrap();
        let runs = world.store.runs_of(&id).await.unwrap();
        let n_runs = u32::try_from(runs.len()).unwrap();
        let numbers: Vec<u32> = runs.iter().map(|run| run.number).collect();
        assert_eq!(
            numbers,
            (1..=n_runs).rev().collect::<Vec<_>>(),
            "numbers have no gaps"
        );
        let costs = |run: &&Run| run.counts && run.outcome.is_none_or(Outcome::costs);
        let n_used = runs.iter().filter(costs).count();
        assert_eq!(world.store.attempts_used(&id).await.unwrap() as usize, n_used);
        let erased = world
            .store
            .assignment(&id)
            .await
            .unwrap()
            .unwrap()
            .candidate
            .is_none();
        for run in &runs {
            run_holds(world, known, run, erased).await;
        }
        let row = world.store.assignment_row(&id).await.unwrap().unwrap();
        let latest = runs.iter().find(|run| run.outcome != Some(Outcome::Superseded));
        assert_eq!(row.latest.as_ref(), latest);
    }
    sorted_holds(world).await;
}

async fn run_holds(world: &World, known: &mut Known, run: &Run, erased: bool) {
    assert_eq!(run.state == RunState::Finished, run.outcome.is_some(), "{run:?}");
    assert_eq!(
        run.state == RunState::Finished,
        run.finished_at_ms.is_some(),
        "{run:?}"
    );
    assert!(
        known.n_finished.get(&run.id).is_none_or(|n| *n <= 1),
        "finished twice: {run:?}"
    );
    match known.outcomes.get(&run.id) {
        Some(outcome) => assert_eq!(run.outcome, Some(*outcome), "an outcome is for ever"),
        None => known
            .outcomes
            .extend(run.outcome.map(|outcome| (run.id.clone(), outcome))),
    }
    let events = world.store.events(&run.id, 0, 1_000).await.unwrap();
    let n_ends = events
        .iter()
        .filter(|event| matches!(event.event, Event::RunEnded { .. }))
        .count();
    assert_eq!(
        n_ends,
        usize::from(run.outcome.is_some()),
        "{run:?} ends once: {events:?}"
    );
    let last = &events.last().unwrap().event;
    assert_eq!(
        matches!(last, Event::RunEnded { .. }),
        run.outcome.is_some(),
        "the end comes last"
    );
    match erased {
        true => assert_eq!((events.len(), run.commit.as_str()), (1, "")),
        false => assert!(
            (1..).zip(&events).all(|(seq, event)| event.seq == seq),
            "no gaps: {events:?}"
        ),
    }
    assert!(!erased || run.state == RunState::Finished);
    let cards = world.store.scorecards(&run.id).await.unwrap();
    assert_eq!(run.score.as_ref(), cards.last());
    assert!(
        (1..).zip(&cards).all(|(version, card)| card.version == version),
        "{cards:?}"
    );
}

/// What the lists are sorted by is what they show.
async fn sorted_holds(world: &World) {
    for sort in [AssignmentSort::Score, AssignmentSort::Activity] {
        let filter = AssignmentFilter {
            sort,
            ..AssignmentFilter::default()
        };
        let page = world.store.assignments(&filter, &first(10)).await.unwrap();
        let mut keys = Vec::new();
        for row in page.rows {
            let runs = world.store.runs_of(&row.assignment.id).await.unwrap();
            let pushed = runs.iter().filter(|run| run.trigger != Trigger::Rerun);
            keys.push(match sort {
                AssignmentSort::Score => row
                    .latest
                    .and_then(|run| run.score)
                    .map(|score| score.total_hundredths),
                _ => pushed.map(|run| run.received_at_ms).max(),
            });
        }
        assert!(keys.is_sorted_by(|a, b| a >= b), "{sort:?}: {keys:?}");
    }
}

async fn empty(world: &World, tools: &Tools) {
    tools
        .execute(
            "DELETE FROM events; DELETE FROM scorecards; DELETE FROM run_files; DELETE FROM runs;
             DELETE FROM assignments",
        )
        .await;
    for id in ASSIGNMENTS {
        world.assignment(id).await;
    }
}

pub(crate) async fn no_sequence_of_operations_breaks_the_invariants(world: World) {
    let tools = world.tools().await;
    let n_ended = RefCell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: 16,
        failure_persistence: None,
        ..Config::default()
    });
    let operations = proptest::collection::vec(operation(), 30..60);
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&operations, |operations| {
            tokio::runtime::Handle::current().block_on(async {
                empty(&world, &tools).await;
                let mut known = Known::default();
                for operations in operations.chunks(4) {
                    for operation in operations {
                        apply(&world, &mut known, operation).await;
                    }
                    holds(&world, &mut known).await;
                }
                *n_ended.borrow_mut() += known.outcomes.len();
            });
            Ok(())
        })
    });
    outcome.unwrap();
    // A test that ends no runs would prove little. Usually it is some hundred; by chance it has been 60.
    assert!(*n_ended.borrow() > 30, "{}", n_ended.borrow());
}
