//! What the pushing terminal shows while its run goes on.

use std::time::Duration;

use assay_core::event::Event;
use assay_core::queue::Outcome;
use assay_core::report::CheckStatus;

use crate::server::{Server, With, now_ms, remote_lines, until_said};

fn finished(check: &str, status: CheckStatus, summary: &str) -> Event {
    Event::CheckFinished {
        check: check.to_owned(),
        status,
        fault: None,
        duration_ms: 1234,
        summary: summary.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_check_as_it_ends_and_nothing_that_is_not_the_candidates() {
    let server = Server::start(With::default()).await;
    server.clone_into("a").await;
    let commit = server.commit("a", "f", "1").await;
    let events = [
        finished("build", CheckStatus::Passed, ""),
        finished("unit", CheckStatus::Failed, "20 of 22 passed\u{1b}[31m\n"),
        finished("integration", CheckStatus::Passed, "41 of 41 passed"),
        finished("of-nobody", CheckStatus::Passed, "secret"),
        Event::RunScored {
            total: 82.0,
            max: 100.0,
            range: [82.0, 82.0],
        },
    ];
    let play = async {
        server.until_runs(1).await;
        server.play(&events, Outcome::Scored).await
    };
    let (said, _) = tokio::join!(server.ok("a", &["push", "-q"]), play);
    let lines = remote_lines(&said);
    let lines = lines
        .replace(&commit[..7], "COMMIT")
        .replace(&server.address, "URL");
    let lines: Vec<&str> = lines
        .lines()
        .filter(|line| !line.starts_with("Waiting"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    Assay: task-sync, run 1, commit COMMIT
    It costs nothing: you may push as often as you like.
    hint: Follow it here, or interrupt: it goes on. URL/my/alice
    It runs.
    success: [build]  passed, 1.2 s
    error: [unit]  failed, 1.2 s: 20 of 22 passed\u{1b}[31m\n
    success: [integration]  passed, 1.2 s: 41 of 41 passed
    Score 82 of 100.
    Done.
    hint: Your push is saved whatever the result.
    ");
    server.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_line_comes_at_once_and_leaving_cancels_nothing() {
    let server = Server::start(With::default()).await;
    server.clone_into("a").await;
    let commit = server.commit("a", "f", "1").await;
    let mut push = server.git("a", &["push"]).spawn().unwrap();
    let mut said = String::new();
    until_said(&mut push, &mut said, "remote: Assay: task-sync, run 1").await;
    let seen_ms = now_ms();
    let run = server.runs().await.remove(0);
    let (after_request_ms, after_receipt_ms) = (seen_ms - run.received_at_ms, seen_ms - run.queued_at_ms);
    println!(
        "first line {after_request_ms} ms after the request came, {after_receipt_ms} ms after it was queued"
    );
    assert!(after_receipt_ms < 5_000, "{after_receipt_ms} ms: {said}");
    until_said(&mut push, &mut said, "Waiting: it is next.").await;
    // As Ctrl-C does: git and its helper that holds the connection.
    let group = format!("-{}", push.id().unwrap());
    let kill = tokio::process::Command::new("kill")
        .args(["-KILL", "--", &group])
        .status();
    assert!(kill.await.unwrap().success());
    assert!(!push.wait().await.unwrap().success());
    server.is_clean().await;

    let played = server.play(&[], Outcome::Scored).await;
    assert_eq!((played.commit.as_str(), played.id), (commit.as_str(), run.id));
    assert_eq!(server.value("refs/heads/main").await, commit);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_in_the_queue_and_the_end_of_the_daemon() {
    let server = Server::start(With::default()).await;
    server.invite("bob", "bobs-secret", With::default()).await;
    server.clone_into("a").await;
    server.commit("a", "f", "1").await;
    let bobs = server.url_with("bobs-secret").replace("alice", "bob");
    server.ok(".", &["clone", "-q", &bobs, "b"]).await;
    server.commit("b", "f", "1").await;
    let (mut from_bob, mut from_alice) = (String::new(), String::new());
    let mut bob = server.git("b", &["push"]).spawn().unwrap();
    until_said(&mut bob, &mut from_bob, "Waiting: it is next.").await;
    let mut alice = server.git("a", &["push"]).spawn().unwrap();
    until_said(&mut alice, &mut from_alice, "Waiting: 1 run is before it.").await;
    server.play(&[], Outcome::Scored).await;
    until_said(&mut alice, &mut from_alice, "Waiting: it is next.").await;
    // Neither the push nor the run is lost when the daemon drains.
    server.app.shutdown().cancel();
    until_said(
        &mut alice,
        &mut from_alice,
        "hint: It goes on without this terminal",
    )
    .await;
    let ended = tokio::time::timeout(Duration::from_secs(60), alice.wait()).await;
    assert!(ended.unwrap().unwrap().success());
    assert!(bob.wait().await.unwrap().success());
}
