//! What a push may change, what it costs, and what follows from it.

use assay_core::assignment::AssignmentState;
use assay_core::exercise::SubmitOn;
use assay_core::queue::{Outcome, RunState, Trigger};
use assay_store::model::AssignmentChange;

use crate::server::{Server, With, now_ms, remote_lines};

#[tokio::test(flavor = "multi_thread")]
async fn only_main_and_tags_and_never_backwards() {
    let server = Server::start(With::default()).await;
    server.clone_into("a").await;
    let first = server.commit("a", "f", "1").await;
    server.push("a", &["push", "-q"]).await;
    let second = server.commit("a", "f", "2").await;
    server.push("a", &["push", "-q"]).await;
    server
        .ok("a", &["push", "-q", "origin", "HEAD:refs/tags/v1"])
        .await;

    for (args, expected) in [
        (
            &["push", "origin", "HEAD:other"][..],
            "only the branch main and tags are taken",
        ),
        (
            &["push", "origin", "HEAD:refs/assay/push/9"],
            "only the branch main and tags are taken",
        ),
        (&["push", "origin", ":main"], "nothing is deleted here"),
        (&["push", "origin", ":v1"], "nothing is deleted here"),
        (&["push", "--force", "origin", "HEAD~1:main"], "non-fast-forward"),
        (
            &["push", "origin", "HEAD:main", "HEAD:refs/tags/<svg>"],
            "a tag's name has at most",
        ),
    ] {
        let said = server.fails("a", args).await;
        assert!(said.contains(expected), "{args:?}: {said}");
    }
    let said = server
        .fails("a", &["push", "--force", "origin", "HEAD~1:main"])
        .await;
    assert!(
        said.contains("remote: hint: main only moves forward here"),
        "{said}"
    );
    assert_eq!(server.value("refs/heads/main").await, second);
    // All that was ever taken stays.
    assert_eq!(server.value("refs/assay/push/1").await, first);
    assert_eq!(server.value("refs/assay/push/2").await, second);
    assert_eq!(server.runs().await.len(), 2);
    server.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_counted_before_it_is_used_up() {
    let server = Server::start(With {
        attempts: Some(2),
        ..With::default()
    })
    .await;
    server.clone_into("a").await;
    let mut said = Vec::new();
    for i in 0..2 {
        server.commit("a", "f", i.to_string()).await;
        said.push(server.push("a", &["push"]).await);
    }
    server.commit("a", "f", "3").await;
    said.push(server.ok("a", &["push"]).await);
    for (said, expected) in said.iter().zip([
        "This is attempt 1 of 2.",
        "This is attempt 2 of 2.",
        "warning: It is not checked: all 2 attempts are used.",
    ]) {
        assert!(remote_lines(said).contains(expected), "{said}");
    }
    let runs = server.runs().await;
    assert_eq!(runs.len(), 2);
    assert!(runs.iter().all(|run| run.trigger == Trigger::Push && run.counts));
    assert_eq!(
        server.value("refs/assay/push/3").await,
        server.value("refs/heads/main").await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_push_takes_the_place_of_one_that_waits() {
    let server = Server::start(With {
        attempts: Some(1),
        ..With::default()
    })
    .await;
    server.clone_into("a").await;
    server.commit("a", "f", "1").await;
    let mut waiting = server.git("a", &["push"]).spawn().unwrap();
    server.until_runs(1).await;
    let newer = server.commit("a", "f", "2").await;
    let said = server.push("a", &["push"]).await;
    assert!(
        said.contains("takes the place of your push that still waited"),
        "{said}"
    );
    assert!(said.contains("This is attempt 1 of 1."), "{said}");
    let mut old = String::new();
    crate::server::until_said(&mut waiting, &mut old, "A newer push took its place").await;
    assert!(old.contains("attempt 1 of 1"), "{old}");
    assert!(waiting.wait().await.unwrap().success());
    let runs = server.runs().await;
    assert_eq!((runs.len(), &runs[0].commit), (2, &newer));
    assert_eq!(
        (runs[0].outcome, runs[1].outcome),
        (Some(Outcome::Scored), Some(Outcome::Superseded))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_tags_are_submissions() {
    let server = Server::start(With {
        submit_on: SubmitOn::Tag,
        ..With::default()
    })
    .await;
    server.clone_into("a").await;
    let commit = server.commit("a", "f", "1").await;
    let said = server.ok("a", &["push"]).await;
    assert!(said.contains("only tags are submissions here"), "{said}");
    server.ok("a", &["tag", "-a", "-m", "done", "v1"]).await;
    let said = server.push("a", &["push", "origin", "v1"]).await;
    assert!(said.contains("run 1"), "{said}");
    let blob = server.ok("a", &["rev-parse", "HEAD:f"]).await;
    server.ok("a", &["tag", "nothing", blob.trim()]).await;
    let said = server.ok("a", &["push", "origin", "nothing"]).await;
    assert!(said.contains("it leads to no commit"), "{said}");
    let runs = server.runs().await;
    assert_eq!(runs.len(), 1);
    assert_eq!(
        (&runs[0].commit, runs[0].reference.as_str()),
        (&commit, "refs/tags/v1")
    );
    assert_eq!(runs[0].trigger, Trigger::Tag);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_end_it_can_be_read_and_not_written() {
    let server = Server::start(With {
        due_at_ms: Some(now_ms() + 3_600_000),
        ..With::default()
    })
    .await;
    server.clone_into("a").await;
    let counted = server.commit("a", "f", "1").await;
    let said = server.push("a", &["push"]).await;
    assert!(
        said.contains("Your push is saved whatever the result; push again until"),
        "{said}"
    );
    let late = AssignmentChange {
        extended_to_ms: Some(Some(now_ms() - 1000)),
        ..AssignmentChange::default()
    };
    server
        .app
        .store()
        .change_assignment(&server.id, &late)
        .await
        .unwrap();
    server.commit("a", "f", "2").await;
    let said = remote_lines(&server.fails("a", &["push"]).await);
    assert!(said.starts_with("This assignment was due at 20"), "{said}");
    assert!(
        said.contains(&format!(
            "Your last push ({}) is the one that counts",
            &counted[..7]
        )),
        "{said}"
    );
    server.ok("a", &["fetch"]).await;

    let closed = AssignmentChange {
        state: Some(AssignmentState::Closed),
        ..AssignmentChange::default()
    };
    server
        .app
        .store()
        .change_assignment(&server.id, &closed)
        .await
        .unwrap();
    let said = server.fails("a", &["push"]).await;
    assert!(
        said.contains("remote: This assignment was closed by the interviewers."),
        "{said}"
    );
    assert_eq!(server.runs().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_wrote_down_is_found_at_the_next_start() {
    let server = Server::start(With::default()).await;
    server.clone_into("a").await;
    let commit = server.commit("a", "f", "1").await;
    // As if the daemon had died between git's last step and ours.
    let repository = server.repository();
    server
        .ok("a", &["push", "-q", repository.to_str().unwrap(), "main"])
        .await;
    assay_server::git::catch_up(&server.app).await.unwrap();
    assay_server::git::catch_up(&server.app).await.unwrap();
    let runs = server.runs().await;
    assert_eq!(runs.len(), 1);
    assert_eq!((&runs[0].commit, runs[0].state), (&commit, RunState::Queued));
    assert_eq!(server.value("refs/assay/push/1").await, commit);
}
