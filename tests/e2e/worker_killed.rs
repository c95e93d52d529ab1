//! The real worker on the real engine, killed in the middle of a run: the next one removes what it left and ends the run, once.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use assay_core::event::Event;
use assay_core::id::RunId;
use assay_core::queue::Outcome;

use crate::house;
use crate::queue::Queue;

fn start(queue: &Queue) -> Child {
    let exercises = house::greeting().parent().unwrap();
    house::assay()
        .arg("worker")
        .env("ASSAY_DATA", queue.path())
        .env("ASSAY_EXERCISES_FOLDER", exercises)
        .env("ASSAY_LOG", "info")
        .spawn()
        .unwrap()
}

async fn until(
    queue: &Queue,
    run: &RunId,
    child: &mut Child,
    is_so: impl Fn(&[Event]) -> bool,
) -> Vec<Event> {
    let began = Instant::now();
    loop {
        let events = queue.events(run).await;
        if is_so(&events) {
            return events;
        }
        assert!(
            child.try_wait().unwrap().is_none(),
            "the worker ended: {events:#?}"
        );
        assert!(began.elapsed() < Duration::from_secs(180), "{events:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Lines that `docker` prints.
fn docker(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("docker").args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::to_owned).collect()
}

fn left_of(owner: &str) -> (usize, usize) {
    let filter = format!("label=assay.owner={owner}");
    (
        docker(&["ps", "-aq", "--filter", &filter]).len(),
        docker(&["volume", "ls", "-q", "--filter", &filter]).len(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_leaves_nothing_and_its_run_ends_once() {
    if !house::has_engine() {
        println!("skipped: no container engine answers");
        return;
    }
    let queue = Queue::new().await;
    // The commit was pushed over since: no branch leads to it any more, only a reference of ours.
    let number = u64::from(rand::random::<u32>());
    let repository = queue.path().join(format!("repositories/assignment-{number}.git"));
    let tree = tempfile::tempdir().unwrap();
    house::overlay(&house::greeting().join("solutions/python/reference"), tree.path()).unwrap();
    let git = |arguments: &[&str]| house::git(tree.path(), arguments).unwrap();
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "Greet by name over HTTP"]);
    let commit = git(&["rev-parse", "HEAD"]).trim().to_owned();
    git(&["update-ref", "refs/assay/push/1", "HEAD"]);
    git(&["commit", "-q", "--amend", "--allow-empty", "-m", "Another"]);
    std::fs::create_dir_all(repository.parent().unwrap()).unwrap();
    git(&["clone", "-q", "--mirror", ".", &repository.to_string_lossy()]);

    let run = queue
        .submit(number, "greeting", &commit, "refs/heads/main", 7)
        .await;
    let mut child = start(&queue);
    until(&queue, &run, &mut child, |events| {
        events.iter().any(
            |event| matches!(event, Event::CheckProgressed { doing, .. } if doing == "starting the service"),
        )
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    let lock = std::fs::read_to_string(queue.path().join("worker.lock")).unwrap();
    let owner = lock.trim();
    let left = left_of(owner);
    assert!(
        left.0 > 0 && left.1 > 0,
        "the kill came too late to test anything"
    );

    let mut child = start(&queue);
    let events = until(&queue, &run, &mut child, |events| {
        matches!(events.last(), Some(Event::RunEnded { .. }))
    })
    .await;
    let row = queue.run(&run).await;
    assert_eq!(
        (row.outcome, row.executions),
        (Some(Outcome::Scored), 2),
        "{events:#?}"
    );
    assert_eq!(queue.store.scorecards(&run).await.unwrap().len(), 1);
    let n_ends = events
        .iter()
        .filter(|event| matches!(event, Event::RunEnded { .. }));
    assert_eq!(n_ends.count(), 1, "{events:#?}");
    let scratch = queue.path().join("scratch");
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0);
    Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(child.wait().unwrap().success());
    // The clean-up goes on after the end of a run; a worker that stops waits for it.
    assert_eq!(left_of(owner), (0, 0), "there were {left:?}");
}
