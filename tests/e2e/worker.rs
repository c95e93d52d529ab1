//! The worker in this process, on a real store, with scripted checks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_core::event::Event;
use assay_core::fault::Whose;
use assay_core::id::RunId;
use assay_core::queue::{Outcome, RunState};
use assay_engine::worker::{Drained, Settings, Worker};
use assay_engine::{Exercises, rescore};
use assay_store::model::Run;
use scripted::{MEMORY, Script, settings};
use tokio_util::sync::CancellationToken;

use crate::house;
use crate::queue::Queue;

/// Works until `is_done`, then is told to end.
async fn work(queue: &Queue, settings: Settings, is_done: impl AsyncFn(&Queue) -> bool) -> Drained {
    let script = Script::new(queue.path(), house::workspace(), Duration::from_millis(5));
    let worker = Arc::new(Worker::new(queue.store.clone(), script, settings));
    let shutdown = CancellationToken::new();
    let working = tokio::spawn({
        let (worker, shutdown) = (Arc::clone(&worker), shutdown.clone());
        async move { worker.run(&shutdown).await }
    });
    let began = Instant::now();
    while !is_done(queue).await {
        assert!(began.elapsed() < Duration::from_secs(60), "it takes too long");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shutdown.cancel();
    let drained = working.await.unwrap();
    queue.assert_nothing_left();
    drained
}

async fn all_done(queue: &Queue) -> bool {
    queue.n_unfinished().await == 0
}

fn shown(run: &Run) -> String {
    let outcome = run.outcome.map_or("-", Outcome::name);
    format!("{outcome} at {}: {}", run.executions, run.reason)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_end() {
    let queue = Queue::new().await;
    let cases = [
        (scripted::SCORES, "scored at 1: "),
        (scripted::NOTHING, "nothing at 1: There is nothing to check."),
        (scripted::FAILS_ONCE, "scored at 2: "),
        (
            scripted::FAILS,
            "partly_scored at 2: The container engine failed: it was told to.",
        ),
        (
            scripted::PANICS,
            "failed_platform at 2: Assay itself failed: this is a bug.",
        ),
        ("else", "failed_exercise at 1: there is no script else"),
    ];
    let mut runs = Vec::new();
    for (i, (script, _)) in cases.iter().enumerate() {
        runs.push(queue.push(i as u64, script, 5).await);
    }
    let settings = Settings {
        max_executions: 2,
        ..settings(queue.path())
    };
    assert_eq!(work(&queue, settings, all_done).await, Drained::InTime);
    for (id, (script, expected)) in runs.iter().zip(cases) {
        let run = queue.assert_ended_once(id, 2).await;
        assert_eq!(shown(&run), expected, "{script}");
    }
}

async fn is_begun(queue: &Queue, id: &RunId) -> bool {
    let events = queue.events(id).await;
    events
        .iter()
        .any(|event| matches!(event, Event::CheckStarted { .. }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_cancelled_while_it_is_carried_out() {
    let queue = Queue::new().await;
    let id = queue.push(0, scripted::WAITS, 1).await;
    let settings = Settings {
        lease: Duration::from_millis(400),
        ..settings(queue.path())
    };
    let asked = std::sync::atomic::AtomicBool::new(false);
    work(&queue, settings, async |queue| {
        if is_begun(queue, &id).await && !asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
            let state = queue.store.request_cancel(&id, 0).await.unwrap();
            assert_eq!(state, Some(RunState::Running));
        }
        all_done(queue).await
    })
    .await;
    let run = queue.assert_ended_once(&id, 1).await;
    assert_eq!(shown(&run), "cancelled at 1: ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_lost_the_lease_writes_nothing() {
    let queue = Queue::new().await;
    let id = queue.push(0, scripted::WAITS, 1).await;
    let settings = Settings {
        lease: Duration::from_millis(400),
        concurrency: 1,
        ..settings(queue.path())
    };
    let taken = std::sync::atomic::AtomicBool::new(false);
    work(&queue, settings, async |queue| {
        if is_begun(queue, &id).await && !taken.swap(true, std::sync::atomic::Ordering::SeqCst) {
            // As another worker does that took this one for dead. It ends the run before ours has noticed.
            let store = &queue.store;
            store.expire(i64::MAX, 5).await.unwrap();
            let (lease, ..) = store.claim("another", 0, i64::MAX).await.unwrap().unwrap();
            let finish = assay_store::model::Finish {
                outcome: Outcome::Failed(Whose::Exercise),
                reason: "the other one says so".into(),
                score: None,
                files: Vec::new(),
            };
            assert!(store.finish(&lease, &finish, 0).await.unwrap());
        }
        // Ours has noticed when nothing of the run is left.
        all_done(queue).await
            && std::fs::read_dir(queue.path().join("containers"))
                .unwrap()
                .next()
                .is_none()
    })
    .await;
    let run = queue.assert_ended_once(&id, 2).await;
    assert_eq!(shown(&run), "failed_exercise at 2: the other one says so");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_need_all_memory_are_carried_out_one_after_the_other() {
    for (memory_bytes, expected) in [(4 * MEMORY, 3), (2 * MEMORY, 2), (1, 1)] {
        let queue = Queue::new().await;
        for i in 0..3 {
            queue.push(i, scripted::WAITS, 1).await;
        }
        let script = Script::new(queue.path(), house::workspace(), Duration::ZERO);
        let settings = Settings {
            memory_bytes,
            drain: Duration::ZERO,
            ..settings(queue.path())
        };
        let worker = Worker::new(queue.store.clone(), script, settings);
        let shutdown = CancellationToken::new();
        let watch = async {
            // All that can begin has begun when one more is taken and waits for memory, or none is left.
            let began = Instant::now();
            loop {
                let numbers = queue.store.queue_numbers().await.unwrap();
                let mut n_begun = 0;
                for i in 0..3 {
                    n_begun += usize::from(is_begun(&queue, &format!("run-{i}").parse().unwrap()).await);
                }
                if numbers.n_running == (expected as u64 + 1).min(3) && n_begun == expected {
                    break;
                }
                assert!(began.elapsed() < Duration::from_secs(60), "{n_begun} {numbers:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            shutdown.cancel();
        };
        let (drained, ()) = tokio::join!(worker.run(&shutdown), watch);
        assert_eq!(drained, Drained::CutShort((expected + 1).min(3)));
        queue.assert_nothing_left();
        let numbers = queue.store.queue_numbers().await.unwrap();
        assert_eq!((numbers.n_queued, numbers.n_running), (3, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_are_nothing_against_a_run() {
    let queue = Queue::new().await;
    let id = queue.push(0, scripted::WAITS, 1).await;
    for n in 1..=4 {
        let settings = Settings {
            max_executions: 2,
            drain: Duration::ZERO,
            ..settings(queue.path())
        };
        let drained = work(&queue, settings, async |queue| {
            let events = queue.events(&id).await;
            let is_begun = |event: &&Event| matches!(event, Event::CheckStarted { .. });
            events.iter().filter(is_begun).count() == n
        })
        .await;
        assert_eq!(drained, Drained::CutShort(1));
        let run = queue.store.run(&id).await.unwrap().unwrap();
        assert_eq!(
            (run.state, run.executions, run.interruptions),
            (RunState::Queued, n as u32, n as u32)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_re_score_adds_and_changes_nothing() {
    let queue = Queue::new().await;
    let id = queue.push(0, scripted::SCORES, 3).await;
    work(&queue, settings(queue.path()), all_done).await;
    let before = queue.store.scorecards(&id).await.unwrap();
    assert_eq!(before[0].total_hundredths, 4286);

    let file = queue.path().join("exercise/exercise.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let other = text.replace("points: 100, tests: {check: integration, groups: [test_greeting]}}", "points: 40, tests: {check: integration, groups: [test_greeting]}}\n        - {id: other, title: It does more, points: 60, tests: {check: integration, groups: [test_more]}}");
    assert_ne!(text, other);
    std::fs::write(&file, other).unwrap();
    let (exercises, mistakes) = Exercises::read(queue.path(), &house::workspace().join("runner-images"));
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let row = rescore(&queue.store, &exercises, &id, None, 7).await.unwrap();
    assert_eq!((row.version, row.created_at_ms), (2, 7));
    assert!(row.total_hundredths < 4286, "{row:?}");
    assert_ne!(row.exercise_digest, before[0].exercise_digest);
    let after = queue.store.scorecards(&id).await.unwrap();
    assert_eq!((after.len(), &after[0]), (2, &before[0]));
    assert_ne!(after[1].report_digest, before[0].report_digest);

    let unknown = "run-9".parse().unwrap();
    let error = rescore(&queue.store, &exercises, &unknown, None, 7)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "run run-9 has no evidence that a score could be computed from"
    );
}
