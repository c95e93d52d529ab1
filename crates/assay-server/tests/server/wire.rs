//! Bytes that no honest client sends, and clients that take their time: over real connections.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use assay_store::model::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::daemon::{Caller, Daemon};

/// Nothing that is waited for here takes longer.
const DEADLINE: Duration = Duration::from_secs(20);

/// Sends the bytes, then an honest request that ends the connection. Gives all that came back.
async fn say(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let last = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    // Who was cut off already does not hear the rest.
    let _ = stream.write_all(bytes).await;
    let _ = stream.write_all(last).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    // A connection that is closed with something unread breaks off; what came before it counts.
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(read.is_ok(), "the connection does not end after {answer}");
    answer
}

/// The statuses of all answers.
fn statuses(answer: &str) -> String {
    let parts = answer.split("HTTP/1.1 ").skip(1);
    let words: Vec<&str> = parts.map(|part| part.get(..3).unwrap_or("?")).collect();
    words.join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_hides_in_another() {
    let daemon = Daemon::new().await;
    let address = daemon.listen().await;
    let hidden = "GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n";
    let n = hidden.len() + 5;
    // The last `200` is the honest request's that follows: it is answered only where the connection lives on.
    for (name, head, body, expected) in [
        (
            "honest",
            "content-length: 5\r\n\r\n",
            "12345".to_owned(),
            "404 200",
        ),
        (
            "a length, then pieces",
            &format!("content-length: {n}\r\ntransfer-encoding: chunked\r\n\r\n"),
            format!("0\r\n\r\n{hidden}"),
            "404",
        ),
        (
            "pieces, then a length",
            &format!("transfer-encoding: chunked\r\ncontent-length: {n}\r\n\r\n"),
            format!("0\r\n\r\n{hidden}"),
            "404",
        ),
        (
            "pieces",
            "transfer-encoding: chunked\r\n\r\n",
            format!("0\r\n\r\n{hidden}"),
            "404",
        ),
        (
            "two lengths",
            "content-length: 0\r\ncontent-length: 39\r\n\r\n",
            hidden.to_owned(),
            "400",
        ),
        (
            "two lengths in one",
            "content-length: 0, 39\r\n\r\n",
            hidden.to_owned(),
            "400",
        ),
        (
            "a length with a sign",
            "content-length: +5\r\n\r\n",
            "12345".to_owned(),
            "400",
        ),
        (
            "a length below zero",
            "content-length: -1\r\n\r\n",
            String::new(),
            "400",
        ),
        (
            "pieces of another kind",
            "transfer-encoding: xchunked\r\n\r\n",
            format!("0\r\n\r\n{hidden}"),
            "400",
        ),
        (
            "pieces, then something else",
            "transfer-encoding: chunked, identity\r\n\r\n",
            hidden.to_owned(),
            "400",
        ),
        (
            "a space before the colon",
            "transfer-encoding : chunked\r\n\r\n",
            format!("0\r\n\r\n{hidden}"),
            "400",
        ),
        (
            "a folded line",
            "x-a: b\r\n transfer-encoding: chunked\r\n\r\n",
            String::new(),
            "400",
        ),
        (
            "a bare return",
            "x-a: b\rtransfer-encoding: chunked\r\n\r\n",
            String::new(),
            "400",
        ),
        ("a zero", "x-a: \0\r\n\r\n", String::new(), "400"),
        (
            "a bare line feed hides nothing",
            "x-a: b\ncontent-length: 4\ntransfer-encoding: chunked\r\n\r\n",
            format!("0\r\n\r\n{hidden}"),
            "404",
        ),
        (
            "a piece beyond all numbers",
            "transfer-encoding: chunked\r\n\r\n",
            "FFFFFFFFFFFFFFFFFF\r\n".to_owned(),
            "404",
        ),
    ] {
        let answer = say(
            address,
            format!("POST /nowhere HTTP/1.1\r\nhost: x\r\n{head}{body}").as_bytes(),
        )
        .await;
        assert_eq!(statuses(&answer), expected, "{name}: {answer}");
    }
    let old = b"POST /nowhere HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(statuses(&say(address, old).await), "400", "pieces in HTTP/1.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leads_out_of_its_place() {
    let daemon = Daemon::new().await;
    let invited = daemon.invite("Ada").await;
    let run = daemon.queue(&invited.assignment.id, "a").await;
    let lease = daemon.take().await;
    daemon.finish(&lease).await;
    let admin = daemon.admin().await;
    let address = daemon.listen().await;
    let id = &invited.assignment.id;
    let bearer = admin.token.unwrap();
    use base64::Engine;
    let basic =
        base64::engine::general_purpose::STANDARD.encode(format!("x:{}", invited.clone.secret.text()));
    let long = "a".repeat(8 << 10);
    let tails = [
        "../assay.db",
        "..%2fassay.db",
        "%2e%2e%2fassay.db",
        "%2e%2e/assay.db",
        "..%5cassay.db",
        "..\\assay.db",
        "..;/assay.db",
        ".//assay.db",
        "%00",
        "..%c0%afassay.db",
        "%c0%ae%c0%ae/assay.db",
        "....//assay.db",
        "%252e%252e%252fassay.db",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "HEAD",
        "config",
        "objects/info/alternates",
        "packed-refs",
        "hooks/x",
        &long,
    ];
    let mut n = 0;
    for base in [
        "/".to_owned(),
        "/assets/".to_owned(),
        format!("/api/v1/runs/{run}/files/"),
        "/api/v1/runs/".to_owned(),
        format!("/my/{id}/"),
        "/git/".to_owned(),
        format!("/git/{id}.git/"),
        format!("/git/../git/{id}.git/"),
    ] {
        for tail in tails {
            let (scheme, secret) = if base.starts_with("/git") {
                ("Basic", &basic)
            } else {
                ("Bearer", &bearer)
            };
            let request =
                format!("GET {base}{tail} HTTP/1.1\r\nhost: x\r\nauthorization: {scheme} {secret}\r\n\r\n");
            let answer = say(address, request.as_bytes()).await;
            let first = statuses(&answer);
            let first = first.split(' ').next().unwrap_or_default();
            assert!(matches!(first, "400" | "404" | "405"), "{base}{tail}: {answer}");
            for inside in ["SQLite format", "root:", "ref: refs/"] {
                assert!(!answer.contains(inside), "{base}{tail}: {answer}");
            }
            n += 1;
        }
    }
    assert_eq!(n, 8 * tails.len());
}

/// Memory of this process, the daemon with it, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let daemon = Daemon::new().await;
    let admin = daemon.admin().await;
    let address = daemon.listen().await;
    let bearer = format!(
        "authorization: Bearer {}\r\ncontent-type: application/json\r\n",
        admin.token.unwrap()
    );
    let post = format!("POST /api/v1/assignments HTTP/1.1\r\nhost: x\r\n{bearer}");
    let with_length = |body: &str| format!("{post}content-length: {}\r\n\r\n{body}", body.len());
    let keys: String = (0..1_000_000).map(|i| format!("\"{i}\":1,")).collect();
    let deep = "[".repeat(100_000);
    let before = resident();
    for (name, request, expected) in [
        (
            "a header of 300 KiB",
            format!(
                "GET /health HTTP/1.1\r\nhost: x\r\nx-a: {}\r\n\r\n",
                "a".repeat(300 << 10)
            ),
            "431",
        ),
        (
            "10 000 headers",
            format!(
                "GET /health HTTP/1.1\r\nhost: x\r\n{}\r\n",
                "a: b\r\n".repeat(10_000)
            ),
            "431",
        ),
        (
            "an address of 70 KiB",
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70 << 10)),
            "414",
        ),
        (
            "a body of 1 GB, announced",
            format!("{post}content-length: 1000000000\r\n\r\n{{"),
            "413",
        ),
        (
            "a body without end, in pieces",
            format!(
                "{post}transfer-encoding: chunked\r\n\r\n{}",
                "1000\r\n".to_owned()
                    + &"{".repeat(0x1000)
                    + "\r\n"
                    + &("1000\r\n".to_owned() + &" ".repeat(0x1000) + "\r\n").repeat(100)
            ),
            "413",
        ),
        ("10^6 keys", with_length(&format!("{{{keys}\"a\":1}}")), "413"),
        ("10^5 levels", with_length(&deep), "422"),
    ] {
        println!("{name}");
        let answer = say(address, request.as_bytes()).await;
        let first = statuses(&answer);
        assert!(
            first.starts_with(expected) || first.is_empty(),
            "{name}: {answer}"
        );
        // Where much was left unread, the connection may break before the answer is heard.
        assert!(!first.is_empty() || request.len() > 60 << 10, "{name}");
    }
    let grown = resident().saturating_sub(before) >> 20;
    println!("memory grew by {grown} MiB");
    assert!(grown < 32, "{grown} MiB");
    assert_eq!(statuses(&say(address, b"").await), "200");
}

/// As many files as the system lets this process have.
fn many_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, most).unwrap();
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_take_their_time_keep_nobody_out() {
    // Each connection is two files of this process.
    assert!(
        many_files() > 6_000,
        "too few files for this test (hint: ulimit -Hn)"
    );
    let daemon = Daemon::new().await;
    let address = daemon.listen().await;
    let mut held = Vec::new();
    for i in 0..2_000 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let begun: &[u8] = match i % 4 {
            0 => b"GET /health HTTP/1.1\r\nhost: x\r\nx-a: b",
            // A body that does not come.
            1 if i < 1_000 => b"POST /sign-in HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\nlog",
            _ => b"",
        };
        stream.write_all(begun).await.unwrap();
        held.push(stream);
    }
    let mut times = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(statuses(&say(address, b"").await), "200");
        times.push(began.elapsed());
    }
    times.sort();
    println!(
        "with 2000 slow connections /health answers in {:?}, at worst {:?}",
        times[10], times[19]
    );
    assert!(times[10] < Duration::from_millis(100), "{times:?}");
    drop(held);
}

#[tokio::test]
async fn a_person_watches_twenty_runs_at_a_time() {
    let daemon = Daemon::new().await;
    let invited = daemon.invite("Ada").await;
    let run = daemon.queue(&invited.assignment.id, "a").await;
    let path = format!("/api/v1/runs/{run}/events");
    let ada = daemon.user("ada", Role::Viewer).await;
    let bob = daemon.user("bob", Role::Viewer).await;
    let follow = |by: Caller| by.with("accept", "text/event-stream");
    let read = [assay_server::auth::Right::Read];
    let one = follow(daemon.program(&ada, &read).await);
    let other = follow(daemon.program(&ada, &read).await);
    let bob = follow(daemon.program(&bob, &read).await);
    let mut open = Vec::new();
    for i in 0..20 {
        let by = if i % 2 == 0 { &one } else { &other };
        let response = daemon.open("GET", &path, by, "").await;
        assert_eq!(response.status(), 200);
        open.push(response);
    }
    for by in [&one, &other] {
        let reply = daemon.get(&path, by).await.is(429);
        assert_eq!(reply.json()["type"], "urn:assay:problem:too_many_streams");
    }
    assert_eq!(daemon.open("GET", &path, &bob, "").await.status(), 200);
    // Not a stream: that is still answered.
    daemon.get(&path, &one.with("accept", "application/json")).await;
    drop(open.pop());
    assert_eq!(daemon.open("GET", &path, &one, "").await.status(), 200);
}
