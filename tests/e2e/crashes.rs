//! A worker that is killed at any moment: nothing is lost, nothing is scored twice, nothing is left behind.

use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use assay_core::event::Event;
use assay_core::fault::Whose;
use assay_core::queue::{Outcome, RunState};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::house;
use crate::queue::Queue;

/// As in `scripted::settings`.
const MAX_EXECUTIONS: u32 = 5;

fn start(queue: &Queue, check_ms: u64, drain_ms: u64) -> Child {
    Command::new(env!("CARGO_BIN_EXE_scripted-daemon"))
        .arg(queue.path())
        .arg(house::workspace())
        .args([check_ms.to_string(), drain_ms.to_string()])
        .env("RUST_BACKTRACE", "0")
        .spawn()
        .unwrap()
}

/// Asks again and again, at most for a minute.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("the worker ends", async || {
        status = child.try_wait().unwrap();
        status.is_some()
    })
    .await;
    status.unwrap()
}

fn terminate(child: &Child) {
    let sent = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Most memory that it ever had, in MiB.
fn most_memory(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes >> 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_points_of_two_hundred_runs_each_ends_once() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let queue = Queue::new().await;
    let mut runs = Vec::new();
    for i in 0..200 {
        let script = match i % 20 {
            0 => scripted::NOTHING,
            1 => scripted::FAILS_ONCE,
            2 => scripted::PANICS,
            _ => scripted::SCORES,
        };
        runs.push((script, queue.push(i, script, dice.random()).await));
    }
    let began = Instant::now();
    let mut n_kills = 0;
    while queue.n_unfinished().await > 0 {
        assert!(
            began.elapsed() < Duration::from_secs(300),
            "{} runs are not finished after {n_kills} kills",
            queue.n_unfinished().await
        );
        let mut child = start(&queue, 60, 10_000);
        // Once it is at work: a life that ends before that tests nothing but the start, which every tenth does.
        let mut changed = queue.store.queue_numbers().await.unwrap();
        if n_kills % 10 > 0 {
            until("the worker takes a run", async || {
                assert!(child.try_wait().unwrap().is_none(), "the worker ended by itself");
                let before = std::mem::replace(&mut changed, queue.store.queue_numbers().await.unwrap());
                changed.n_running > before.n_running
                    || changed.n_finished != before.n_finished
                    || changed.n_queued == 0
            })
            .await;
        }
        // Not waiting for anything: the moment is what is being tried.
        tokio::time::sleep(Duration::from_micros(dice.random_range(0..300_000))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        n_kills += 1;
    }
    // One more life, to tidy up after the last.
    runs.push((scripted::SCORES, queue.push(200, scripted::SCORES, 200).await));
    let mut child = start(&queue, 60, 10_000);
    until("everything is tidied up", async || {
        let is_empty = |folder| {
            std::fs::read_dir(queue.path().join(folder))
                .unwrap()
                .next()
                .is_none()
        };
        queue.n_unfinished().await == 0 && is_empty("scratch") && is_empty("containers")
    })
    .await;
    terminate(&child);
    assert_eq!(ended(&mut child).await.code(), Some(0));
    queue.assert_nothing_left();

    let (mut n_again, mut n_given_up) = (0, 0);
    for (script, id) in &runs {
        let run = queue.assert_ended_once(id, MAX_EXECUTIONS).await;
        n_again += u32::from(run.executions > 1);
        match (*script, run.outcome.unwrap()) {
            (scripted::NOTHING, Outcome::Nothing)
            | (scripted::SCORES | scripted::FAILS_ONCE, Outcome::Scored) => (),
            (scripted::PANICS, Outcome::Failed(Whose::Platform)) => {
                assert_eq!(run.executions, MAX_EXECUTIONS);
            }
            (_, Outcome::Failed(Whose::Platform)) if run.reason.starts_with("its worker was lost") => {
                assert_eq!(run.executions, MAX_EXECUTIONS);
                n_given_up += 1;
            }
            (script, outcome) => panic!("{script} became {outcome:?}: {run:?}"),
        }
    }
    println!(
        "{n_kills} kills in {:.0?}: {n_again} of 200 runs were begun again, {n_given_up} given up",
        began.elapsed()
    );
    assert!(n_kills >= 10 && n_again >= 20, "this has tried too little");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_told_to_end_takes_nothing_more_and_gives_back_what_it_cannot_finish() {
    let queue = Queue::new().await;
    let waits = queue.push(0, scripted::WAITS, 1).await;
    let mut child = start(&queue, 1, 300);
    until("the run is begun", async || {
        queue
            .events(&waits)
            .await
            .iter()
            .any(|event| matches!(event, Event::CheckStarted { .. }))
    })
    .await;
    // A second worker on this host is refused.
    let mut second = start(&queue, 1, 300);
    assert_eq!(ended(&mut second).await.code(), Some(4));
    terminate(&child);
    let scores = queue.push(1, scripted::SCORES, 3).await;
    assert_eq!(ended(&mut child).await.code(), Some(3));
    let run = queue.run(&waits).await;
    assert_eq!((run.state, run.executions), (RunState::Queued, 1));
    let last = queue.events(&waits).await.pop().unwrap();
    assert!(
        matches!(&last, Event::RunGivenBack { reason } if reason == "its worker is shutting down"),
        "{last:?}"
    );
    queue.assert_nothing_left();

    // The next worker goes on with both, and one that is given the time finishes what it has.
    queue.store.request_cancel(&waits, 0).await.unwrap();
    let mut child = start(&queue, 2000, 30_000);
    until("the other run is begun", async || {
        queue.run(&scores).await.state != RunState::Queued
    })
    .await;
    terminate(&child);
    assert_eq!(ended(&mut child).await.code(), Some(0));
    let run = queue.assert_ended_once(&scores, 1).await;
    assert_eq!(run.outcome, Some(Outcome::Scored));
    queue.assert_ended_once(&waits, 1).await;
    queue.assert_nothing_left();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_a_hundred_runs_loses_none_and_takes_little_memory() {
    let queue = Queue::new().await;
    let mut child = start(&queue, 5, 10_000);
    let pushes = (0..100).map(|i| queue.push(i, scripted::SCORES, i * 0x1111));
    let runs = futures_util::future::join_all(pushes).await;
    until("all runs are finished", async || queue.n_unfinished().await == 0).await;
    let memory = most_memory(&child);
    terminate(&child);
    assert_eq!(ended(&mut child).await.code(), Some(0));
    for id in &runs {
        let run = queue.assert_ended_once(id, 1).await;
        assert_eq!(run.outcome, Some(Outcome::Scored));
    }
    queue.assert_nothing_left();
    println!("the worker had {memory} MiB at most");
    assert!(memory < 100, "{memory} MiB");
}
