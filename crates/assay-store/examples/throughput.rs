//! How fast the store is with 10 000 runs: runs per second through the queue, and how long lists take.
//!
//!     cargo run -p assay-store --example throughput                       # SQLite, in a temporary folder
//!     ci/postgres sh -c 'cargo run -p assay-store --example throughput -- "$ASSAY_TEST_POSTGRES"'

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use assay_core::assignment::AssignmentState;
use assay_core::event::Event;
use assay_core::exercise::SubmitOn;
use assay_core::id::AssignmentId;
use assay_core::queue::{Outcome, RunState, Trigger};
use assay_store::Store;
use assay_store::model::{
    Assignment, AssignmentFilter, AssignmentSort, Candidate, Finish, GivenBack, NewRun, Origin, PageRequest,
    RunFile, RunFilter, ScoreRow,
};

const N_ASSIGNMENTS: usize = 2_500;
const N_ROUNDS: usize = 4;
const N_WORKERS: usize = 8;

/// So many wait at once.
const BURST: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let lite = format!("sqlite:{}", folder.path().join("assay.db").display());
    let address = std::env::args().nth(1).unwrap_or(lite);
    let store = Store::open(&address, &folder.path().join("blobs")).await?;
    store.migrate().await?;
    let digest = store.put_blob(b"{}").await?;

    println!("{:<42} {:>10} {:>10}", "", "n", "per second");
    let began = Instant::now();
    for i in 0..N_ASSIGNMENTS {
        store.create_assignment(&assignment(i)?).await?;
    }
    rate("create an assignment", N_ASSIGNMENTS, began.elapsed());
    let (mut enqueuing, mut working) = (Duration::ZERO, Duration::ZERO);
    for round in 0..N_ROUNDS {
        for burst in (0..N_ASSIGNMENTS).step_by(BURST) {
            let began = Instant::now();
            for i in burst..burst + BURST {
                store.enqueue(&run(i, round)?, now(i, round)).await?;
            }
            enqueuing += began.elapsed();
            let began = Instant::now();
            work(&store, &digest, round).await?;
            working += began.elapsed();
        }
    }
    rate("enqueue", N_ASSIGNMENTS * N_ROUNDS, enqueuing);
    let name = format!("claim, beat, 10 events, finish; {N_WORKERS} workers");
    rate(&name, N_ASSIGNMENTS * N_ROUNDS, working);
    for i in 0..300 {
        store.enqueue(&run(i, N_ROUNDS)?, now(i, N_ROUNDS)).await?;
    }
    lists(&store).await
}

async fn work(store: &Store, digest: &str, round: usize) -> Result<()> {
    let mut workers = tokio::task::JoinSet::new();
    for i in 0..N_WORKERS {
        let (store, digest) = (store.clone(), digest.to_owned());
        workers.spawn(async move {
            let now_ms = now(N_ASSIGNMENTS, round);
            let event = Event::CheckStarted {
                check: "unit".to_owned(),
            };
            while let Some((lease, run, _)) = store.claim(&format!("w{i}"), now_ms, 60_000).await? {
                store.heartbeat(&lease, now_ms, 60_000).await?;
                store
                    .append_events(&lease, &vec![event.clone(); 10], now_ms)
                    .await?;
                let finish = finish(&digest, i64::from(run.number) * 1_000 + now_ms % 977);
                anyhow::ensure!(store.finish(&lease, &finish, now_ms).await?, "a lease was lost");
            }
            Ok(())
        });
    }
    workers.join_all().await.into_iter().collect()
}

async fn lists(store: &Store) -> Result<()> {
    println!("\n{:<42} {:>10} {:>10} {:>10}", "", "p50 ms", "p95 ms", "max ms");
    let first = page(None);
    let sorts = [
        AssignmentSort::Newest,
        AssignmentSort::Candidate,
        AssignmentSort::Score,
        AssignmentSort::Activity,
    ];
    for sort in sorts {
        let filter = AssignmentFilter {
            sort,
            ..AssignmentFilter::default()
        };
        time(&format!("assignments, {sort:?}"), || {
            store.assignments(&filter, &first)
        })
        .await?;
    }
    let half = AssignmentFilter {
        sort: AssignmentSort::Score,
        ..AssignmentFilter::default()
    };
    let mut after = None;
    for _ in 0..25 {
        after = store.assignments(&half, &page(after)).await?.next;
    }
    let deep = page(after);
    time("assignments, Score, page 26", || store.assignments(&half, &deep)).await?;
    let rare = AssignmentFilter {
        text: Some("candidate 1234".to_owned()),
        ..AssignmentFilter::default()
    };
    time("assignments, one by text", || store.assignments(&rare, &first)).await?;
    let none = AssignmentFilter {
        exercise: Some("none".to_owned()),
        ..AssignmentFilter::default()
    };
    time("assignments, none of an exercise", || {
        store.assignments(&none, &first)
    })
    .await?;
    let id = id(7)?;
    time("an assignment's row", || store.assignment_row(&id)).await?;
    time("an assignment's runs", || store.runs_of(&id)).await?;
    let all = RunFilter::default();
    time("runs, newest", || store.runs(&all, &first)).await?;
    for (name, state, exercise) in [
        ("runs, queued", RunState::Queued, None),
        (
            "runs, finished of an exercise",
            RunState::Finished,
            Some("task-sync"),
        ),
        (
            "runs, finished of another exercise",
            RunState::Finished,
            Some("none"),
        ),
    ] {
        let filter = RunFilter {
            state: Some(state),
            exercise: exercise.map(str::to_owned),
            ..RunFilter::default()
        };
        time(name, || store.runs(&filter, &first)).await?;
    }
    let of_one = RunFilter {
        assignment: Some(id.clone()),
        ..RunFilter::default()
    };
    time("runs of an assignment", || store.runs(&of_one, &first)).await?;
    let done = "r7-0".parse()?;
    time("a run", || store.run(&done)).await?;
    time("a run's events", || store.events(&done, 0, 100)).await?;
    let waits = "r299-4".parse()?;
    time("place in the queue of 300", || store.queue_position(&waits)).await?;
    time("numbers of the queue", || store.queue_numbers()).await?;
    time("claim and give back, 300 wait", async || {
        let claimed = store.claim("w", 1, 60_000).await?;
        match claimed {
            Some((lease, ..)) => store.give_back(&lease, GivenBack::Failed, "", 1).await,
            None => Ok(false),
        }
    })
    .await
}

async fn time<T, E>(name: &str, call: impl AsyncFn() -> Result<T, E>) -> Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut times = Vec::new();
    for _ in 0..100 {
        let began = Instant::now();
        call().await?;
        times.push(began.elapsed());
    }
    times.sort();
    let ms = |i: usize| times[i].as_secs_f64() * 1_000.0;
    println!("{name:<42} {:>10.2} {:>10.2} {:>10.2}", ms(49), ms(94), ms(99));
    Ok(())
}

fn rate(name: &str, n: usize, took: Duration) {
    println!("{name:<42} {n:>10} {:>10.0}", n as f64 / took.as_secs_f64());
}

fn page(after: Option<String>) -> PageRequest {
    PageRequest { after, limit: 50 }
}

fn id(i: usize) -> Result<AssignmentId> {
    format!("a{i}").parse().context("an id")
}

fn now(i: usize, round: usize) -> i64 {
    (round * N_ASSIGNMENTS + i) as i64
}

fn assignment(i: usize) -> Result<Assignment> {
    Ok(Assignment {
        id: id(i)?,
        exercise: "task-sync".to_owned(),
        track: "python".to_owned(),
        candidate: Some(Candidate {
            name: format!("Candidate {i}"),
            email: None,
        }),
        origin: Origin::Hosted,
        state: AssignmentState::Open,
        submit_on: SubmitOn::Push,
        attempts: None,
        due_at_ms: None,
        extended_to_ms: None,
        created_by: None,
        created_at_ms: now(i, 0),
        retain_until_ms: None,
        archived_at_ms: None,
    })
}

fn run(i: usize, round: usize) -> Result<NewRun> {
    Ok(NewRun {
        id: format!("r{i}-{round}").parse()?,
        assignment: id(i)?,
        trigger: Trigger::Push,
        commit: format!("{round:040}"),
        reference: "refs/heads/main".to_owned(),
        received_at_ms: now(i, round),
        seed: 1,
        counts: true,
    })
}

fn finish(digest: &str, total: i64) -> Finish {
    Finish {
        outcome: Outcome::Scored,
        reason: String::new(),
        score: Some(ScoreRow {
            version: 1,
            total_hundredths: total,
            max_hundredths: 10_000,
            low_hundredths: total,
            high_hundredths: total,
            gate: None,
            categories: Vec::new(),
            exercise_digest: "sha256:e".to_owned(),
            report_digest: digest.to_owned(),
            created_at_ms: 1,
            created_by: None,
        }),
        files: vec![RunFile {
            name: "report.json".to_owned(),
            digest: digest.to_owned(),
            n_bytes: 2,
        }],
    }
}
