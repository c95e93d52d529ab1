//! Hosted repositories without a network: how they begin and end, and clients that fall silent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assay_git::host::{CreateError, Host, HostError, HostLimits, Push, create};
use assay_git::{FetchLimits, Source};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::fixture::fetch_from;

fn hosted() -> (TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("a.git");
    create(
        &dir,
        &files(&["README.md", "src/main.py"]),
        "begin",
        1_790_000_000,
    )
    .unwrap();
    (scratch, dir)
}

fn files(paths: &[&str]) -> BTreeMap<String, Vec<u8>> {
    paths
        .iter()
        .map(|path| ((*path).to_owned(), path.as_bytes().to_vec()))
        .collect()
}

fn impatient() -> Host {
    Host::new(HostLimits {
        idle: Duration::from_millis(300),
        ..HostLimits::for_pushes_of(1 << 20)
    })
}

/// Names in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_repository_begins_whole_or_not_at_all() {
    let (scratch, dir) = hosted();
    let again = create(&dir, &files(&["x"]), "begin", 0);
    assert!(matches!(again, Err(CreateError::Exists { .. })), "{again:?}");
    for bad in ["../x", ".git/config", "a//b", "/etc/passwd", "a/.GIT/hooks/x", ""] {
        let made = create(&scratch.path().join("b.git"), &files(&[bad]), "begin", 0);
        assert!(matches!(made, Err(CreateError::File { .. })), "{bad}: {made:?}");
    }
    assert_eq!(names(scratch.path()), ["a.git"]);
    // The same files at the same time are the same commit.
    let twin = scratch.path().join("c.git");
    let files = files(&["README.md", "src/main.py"]);
    let commit = create(&twin, &files, "begin", 1_790_000_000).unwrap();
    let first = git2::Repository::open_bare(&dir).unwrap();
    assert_eq!(
        first.refname_to_id("refs/heads/main").unwrap().to_string(),
        commit.to_string()
    );
}

#[tokio::test]
async fn an_archive_holds_all_that_was_pushed() {
    let (scratch, dir) = hosted();
    let host = impatient();
    let git = git2::Repository::open_bare(&dir).unwrap();
    let seed = git
        .find_commit(git.refname_to_id("refs/heads/main").unwrap())
        .unwrap();
    let author = seed.author();
    let tip = git
        .commit(None, &author, &author, "tagged", &seed.tree().unwrap(), &[&seed])
        .unwrap();
    git.reference("refs/tags/v1", tip, false, "").unwrap();
    let found = Host::unpinned(&dir).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].reference.as_str(), found[0].is_tag()),
        ("refs/tags/v1", true)
    );
    Host::pin(&dir, &found[0]).unwrap();
    assert!(Host::unpinned(&dir).unwrap().is_empty());
    git.find_reference("refs/tags/v1").unwrap().delete().unwrap();

    let cancel = CancellationToken::new();
    let bundle = scratch.path().join("archives/a.bundle");
    for _ in 0..2 {
        host.archive(&dir, &bundle, &cancel).await.unwrap();
    }
    assert_eq!(names(bundle.parent().unwrap()), ["a.bundle"]);
    let text = std::fs::read(&bundle).unwrap();
    let head = String::from_utf8_lossy(&text[..text.len().min(1000)]).into_owned();
    assert!(head.contains(&format!("{tip} refs/assay/push/1")), "{head}");

    for _ in 0..2 {
        host.remove(&dir).await.unwrap();
    }
    assert_eq!(names(scratch.path()), ["archives"]);
}

fn head(dir: &Path) -> Vec<u8> {
    let git = git2::Repository::open_bare(dir).unwrap();
    let old = git.refname_to_id("refs/heads/main").unwrap();
    let new = "1".repeat(40);
    let line = format!("{old} {new} refs/heads/main\0 report-status side-band-64k");
    format!("{:04x}{line}0000", line.len() + 4).into_bytes()
}

#[tokio::test]
async fn a_client_that_falls_silent_is_not_waited_for() {
    let (_scratch, dir) = hosted();
    let host = impatient();
    let cancel = CancellationToken::new();
    let push = Push {
        dir: &dir,
        by: "a",
        refusal: None,
    };
    let began = std::time::Instant::now();
    for (sent, expected) in [
        (b"00".to_vec(), "the client went away"),
        (
            [head(&dir), b"PACK\0\0\0\x02\0\0\0\x07xxxx".to_vec()].concat(),
            "",
        ),
    ] {
        let (mut client, input) = tokio::io::duplex(1 << 16);
        client.write_all(&sent).await.unwrap();
        let (to, mut said) = mpsc::channel(64);
        match host.receive(push, input, to, &cancel).await {
            Err(error @ HostError::Gone) => assert_eq!(error.to_string(), expected),
            Err(HostError::Failed { .. }) => assert_eq!(expected, ""),
            Ok(received) => {
                assert_eq!(expected, "");
                assert!(received.updates.is_empty());
                let said = said.recv().await.unwrap_or_default();
                let said = String::from_utf8_lossy(&said).into_owned();
                assert!(said.contains("unpack") || said.contains("fatal"), "{said}");
            }
            Err(error) => panic!("{error}"),
        }
        drop(client);
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let left: Vec<_> = names(&dir.join("objects"))
        .into_iter()
        .filter(|name| name.starts_with("tmp_"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // The repository's turn is free again, and what is there can be read.
    drop(host.turn(&dir).await.unwrap());
    let source = Source::Local(dir.clone());
    let into = dir.with_extension("fetched");
    let fetched = fetch_from(&source, Some("main"), &into, FetchLimits::STANDARD).await;
    assert_eq!(fetched.unwrap().reference, "refs/heads/main");
}

#[tokio::test]
async fn one_who_does_not_listen_holds_nobody_up() {
    let (_scratch, dir) = hosted();
    let host = impatient();
    let cancel = CancellationToken::new();
    let git = git2::Repository::open_bare(&dir).unwrap();
    let main = git.refname_to_id("refs/heads/main").unwrap();
    let request = format!("0011command=fetch00010032want {main}\n0009done\n0000");
    let protocol = assay_git::host::Protocol::of_header(Some("version=2"));
    for listens in [true, false] {
        let (to, mut said) = mpsc::channel(if listens { 64 } else { 1 });
        if !listens {
            to.send(Vec::new()).await.unwrap();
        }
        let served = host.upload(&dir, &protocol, request.as_bytes(), to, &cancel);
        let served = tokio::time::timeout(Duration::from_secs(60), served)
            .await
            .unwrap();
        let first = said.recv().await.unwrap();
        if listens {
            served.unwrap();
            assert!(first.starts_with(b"000dpackfile\n"), "{first:?}");
        } else {
            assert!(first.is_empty());
        }
    }
}
