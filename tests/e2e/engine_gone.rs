//! The engine vanishes in the middle of a run: not scored, said so, and what is left is found by its label.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use crate::house;

/// Where the real engine listens.
const ENGINE: &str = "/var/run/docker.sock";

#[test]
fn an_engine_that_vanishes_costs_the_candidate_nothing() {
    if !house::has_engine() || !Path::new(ENGINE).exists() {
        println!("skipped: no local container engine answers");
        return;
    }
    let repository = tempfile::tempdir().unwrap();
    house::overlay(
        &house::greeting().join("solutions/python/reference"),
        repository.path(),
    )
    .unwrap();
    house::git(repository.path(), &["init", "-q"]).unwrap();
    house::git(repository.path(), &["add", "-A"]).unwrap();
    house::git(
        repository.path(),
        &["commit", "-q", "-m", "Greet by name over HTTP"],
    )
    .unwrap();

    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (cut, was_cut) = watch::channel(false);
    runtime.spawn(relay(socket.clone(), was_cut));
    let log = folder.path().join("events");
    let mut child = house::assay()
        .args(["run", "--track", "python", "--json", "--repo"])
        .arg(repository.path())
        .arg("--exercise")
        .arg(house::greeting())
        .arg("--runner-images")
        .arg(house::workspace().join("runner-images"))
        .arg("--out")
        .arg(folder.path())
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .stdout(std::fs::File::create(&log).unwrap())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // Cut as soon as the hidden tests are about to run: a file that grows, watched until the event is there.
    let began = std::time::Instant::now();
    while !std::fs::read_to_string(&log)
        .unwrap()
        .contains("starting the service")
    {
        assert!(
            began.elapsed().as_secs() < 120,
            "the run did not get as far as the hidden tests"
        );
        assert!(
            child.try_wait().unwrap().is_none(),
            "{}",
            std::fs::read_to_string(&log).unwrap()
        );
        std::thread::yield_now();
    }
    cut.send(true).unwrap();
    let status = child.wait().unwrap();
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("report.json")).unwrap()).unwrap();
    sweep(report["run"]["id"].as_str().unwrap());
    assert_eq!(status.code(), Some(110), "{report:#}");
    let integration = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["id"] == "integration")
        .unwrap();
    assert_eq!(integration["status"], "not_scored", "{integration:#}");
    assert_eq!(integration["fault"]["whose"], "platform", "{integration:#}");
    assert!(
        report["score"]["range"][1].as_f64().unwrap() >= 70.0,
        "{:#}",
        report["score"]
    );
}

/// Passes connections on to the real engine until it is told to cut them.
async fn relay(socket: PathBuf, was_cut: watch::Receiver<bool>) {
    let listener = UnixListener::bind(&socket).unwrap();
    let was_cut = Arc::new(was_cut);
    let mut done = (*was_cut).clone();
    loop {
        let (mut near, _) = tokio::select! {
            accepted = listener.accept() => accepted.unwrap(),
            _ = done.wait_for(|cut| *cut) => return,
        };
        let mut done = (*was_cut).clone();
        tokio::spawn(async move {
            let Ok(mut far) = UnixStream::connect(ENGINE).await else {
                return;
            };
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => (),
                _ = done.wait_for(|cut| *cut) => (),
            }
        });
    }
}

/// What a daemon's sweep would do later, done now so that the test leaves nothing.
fn sweep(run: &str) {
    let filter = format!("label=assay.run={run}");
    let list = |arguments: &[&str]| {
        let output = Command::new("docker")
            .args(arguments)
            .args(["--filter", &filter])
            .output()
            .unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for container in list(&["ps", "-aq"]) {
        Command::new("docker")
            .args(["rm", "-f", &container])
            .output()
            .unwrap();
    }
    for volume in list(&["volume", "ls", "-q"]) {
        Command::new("docker")
            .args(["volume", "rm", "-f", &volume])
            .output()
            .unwrap();
    }
}
