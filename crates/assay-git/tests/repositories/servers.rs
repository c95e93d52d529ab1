//! Fetching from servers that do not want to, or never answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use assay_git::{
    Authorization, Blame, FetchError, FetchLimits, FetchRequest, HistoryLimits, Repository, Source, fetch,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, fetch_from, id};

/// A server on a free port that answers every request alike, and its address.
fn server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/team/repository.git", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer.as_bytes());
                if answer.is_empty() {
                    // Silence, until the other side gives up.
                    while stream.read(&mut request).is_ok_and(|n| n > 0) {}
                }
            });
        }
    });
    address
}

async fn error_of(answer: &'static str) -> FetchError {
    let scratch = tempfile::tempdir().unwrap();
    let source: Source = server(answer).parse().unwrap();
    let into = scratch.path().join("into");
    let error = fetch_from(&source, None, &into, FetchLimits::STANDARD)
        .await
        .unwrap_err();
    assert!(!into.exists());
    error
}

#[tokio::test]
async fn answers_that_are_no_repository() {
    for (answer, expected, blame) in [
        (
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
            "the repository does not exist or needs credentials",
            Blame::Caller,
        ),
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            "the repository does not exist or needs credentials",
            Blame::Caller,
        ),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "there is no git repository there: repository 'URL/' not found",
            Blame::Caller,
        ),
        (
            "HTTP/1.1 301 Moved\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
            "the server redirects to another address; use that one (unable to access 'URL/': The requested URL returned error: 301)",
            Blame::Caller,
        ),
        (
            "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
            "the repository cannot be reached: unable to access 'URL/': The requested URL returned error: 500",
            Blame::Caller,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 17\r\n\r\n<html>\nhello\n<p>\n",
            "there is no git repository there: URL/info/refs not valid: is this a git repository?",
            Blame::Caller,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nContent-Length: 6\r\n\r\nzzzz\x1b[",
            "the repository cannot be reached: protocol error: bad line length character: zzzz",
            Blame::Caller,
        ),
    ] {
        let error = error_of(answer).await;
        let shown = error.to_string();
        let shown = match (shown.find("http://127"), shown.find(".git")) {
            (Some(start), Some(end)) => format!("{}URL{}", &shown[..start], &shown[end + 4..]),
            _ => shown,
        };
        assert_eq!((shown.as_str(), error.blame()), (expected, blame), "{error:?}");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let scratch = tempfile::tempdir().unwrap();
    for scheme in ["http", "https", "ssh"] {
        let source: Source = format!("{scheme}://{address}/x").parse().unwrap();
        let error = fetch_from(&source, None, &scratch.path().join("into"), FetchLimits::STANDARD)
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::Unreachable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_learns_who_asks_and_nobody_else_does() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/team/repository.git", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let headers: Vec<String> = BufReader::new(stream.try_clone().unwrap())
            .lines()
            .map(Result::unwrap)
            .take_while(|line| !line.is_empty())
            .collect();
        let seen_by_others = processes_with("c2VjcmV0");
        stream
            .write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        (headers, seen_by_others)
    });
    let authorization = Authorization::new("Basic c2VjcmV0").unwrap();
    assert_eq!(Authorization::new("Basic a\r\nHost: elsewhere"), None);
    assert_eq!(format!("{authorization:?}"), "Authorization(…)");
    let scratch = tempfile::tempdir().unwrap();
    let request = FetchRequest {
        source: &address.parse().unwrap(),
        authorization: Some(&authorization),
        reference: None,
        into: &scratch.path().join("into"),
        received_at: SystemTime::UNIX_EPOCH,
        limits: FetchLimits::STANDARD,
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    let error = fetch(request, &CancellationToken::new(), deadline)
        .await
        .unwrap_err();
    let (headers, seen_by_others) = asked.join().unwrap();
    assert!(
        headers.contains(&"Authorization: Basic c2VjcmV0".to_owned()),
        "{headers:?}"
    );
    assert_eq!(seen_by_others, 0);
    assert!(!format!("{error:?} {error}").contains("c2VjcmV0"), "{error:?}");
}

/// Processes of ours whose command line holds this text.
fn processes_with(text: &str) -> usize {
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    processes
        .filter(|line| String::from_utf8_lossy(line).contains(text))
        .count()
}

/// Until git and its helper wait for the server, or a minute has passed.
async fn until_waiting(address: &str) {
    for _ in 0..600 {
        if processes_with(address) > 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("git does not wait for {address}");
}

#[tokio::test]
async fn cancelled_late_and_dropped_in_the_middle() {
    let scratch = tempfile::tempdir().unwrap();
    let into = scratch.path().join("into");
    let address = server("");
    let source: Source = address.parse().unwrap();
    let limits = FetchLimits::STANDARD;
    let received_at = SystemTime::UNIX_EPOCH;
    let request = FetchRequest {
        source: &source,
        authorization: None,
        reference: None,
        into: &into,
        received_at,
        limits,
    };
    let never = Instant::now() + Duration::from_secs(600);
    let token = CancellationToken::new();

    let cancelled = async {
        until_waiting(&address).await;
        token.cancel();
    };
    let (error, ()) = tokio::join!(fetch(request, &token, never), cancelled);
    assert!(matches!(error, Err(FetchError::Cancelled)), "{error:?}");
    assert_eq!((processes_with(&address), into.exists()), (0, false));

    let token = CancellationToken::new();
    let error = fetch(request, &token, Instant::now() + Duration::from_millis(500)).await;
    assert!(matches!(error, Err(FetchError::TimedOut)), "{error:?}");
    assert_eq!((processes_with(&address), into.exists()), (0, false));

    tokio::select! {
        fetched = fetch(request, &token, never) => panic!("{fetched:?}"),
        () = until_waiting(&address) => (),
    }
    assert!(!into.exists());
    // The kill has been sent; the kernel takes a moment.
    for _ in 0..500 {
        if processes_with(&address) > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(processes_with(&address), 0);
}

/// A smart server for one repository: the two requests that a fetch consists of, by way of `git upload-pack`.
#[expect(
    clippy::disallowed_methods,
    reason = "the other side of a fetch is git as well"
)]
fn smart_server(repository: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/repository.git", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
            let header = |name: &str| {
                let value = head.lines().find_map(|line| {
                    line.split_once(": ")
                        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                });
                value.map(|(_, value)| value.to_owned())
            };
            let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
            stream.read_exact(&mut body).unwrap();

            let is_listing = head.starts_with("GET ");
            let mode = if is_listing {
                "--http-backend-info-refs"
            } else {
                "--stateless-rpc"
            };
            let mut git = std::process::Command::new("git")
                .args(["upload-pack", mode])
                .arg(&repository)
                .env("GIT_PROTOCOL", header("git-protocol").unwrap_or_default())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            git.stdin.take().unwrap().write_all(&body).unwrap();
            let answer = git.wait_with_output().unwrap().stdout;
            let (kind, preamble) = match is_listing {
                true => ("advertisement", "001e# service=git-upload-pack\n0000"),
                false => ("result", ""),
            };
            let length = preamble.len() + answer.len();
            let mut stream = stream.into_inner();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-{kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{preamble}"
            )
            .unwrap();
            stream.write_all(&answer).unwrap();
        }
    });
    address
}

#[tokio::test]
async fn over_http() {
    let fixture = Fixture::with_commits(10);
    let main = fixture.git.refname_to_id("refs/heads/main").unwrap();
    let source: Source = smart_server(fixture.path()).parse().unwrap();
    for (reference, depth, n_commits) in [
        (None, 100, 10),
        (Some("main".to_owned()), 4, 4),
        (Some(main.to_string()), 100, 10),
    ] {
        let scratch = tempfile::tempdir().unwrap();
        let into = scratch.path().join("into");
        let limits = FetchLimits {
            depth,
            ..FetchLimits::STANDARD
        };
        let fetched = fetch_from(&source, reference.as_deref(), &into, limits)
            .await
            .unwrap();
        assert_eq!(fetched.commit, id(main));
        let history = Repository::open(&into)
            .unwrap()
            .history(fetched.commit, HistoryLimits::STANDARD)
            .unwrap();
        assert_eq!(
            (history.commits.len(), history.truncated),
            (n_commits, n_commits < 10)
        );
    }

    let empty = Fixture::empty();
    let source: Source = smart_server(empty.path()).parse().unwrap();
    let into = empty.scratch().join("into");
    let error = fetch_from(&source, None, &into, FetchLimits::STANDARD)
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::NoCommits), "{error:?}");
}
