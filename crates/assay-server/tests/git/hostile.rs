//! Clients that break off, race, send too much, or send what is not meant to be sent.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::reading::reqwest_client;
use crate::server::{Server, TOKEN, With, remote_lines};

/// Bytes that no packing makes smaller.
fn noise(n: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..n.div_ceil(8)).flat_map(|_| next()).take(n).collect()
}

/// Memory of this process, the server with it, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_megabytes_in_pieces_with_bounded_memory() {
    let server = Server::start(With::default()).await;
    server.clone_into("a").await;
    let commit = server.commit("a", "big", noise(30 << 20, 7)).await;
    let before = resident();
    let mut most = 0;
    let push = server.push("a", &["push"]);
    let watch = async {
        loop {
            most = most.max(resident());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        said = push => assert!(said.contains("run 1"), "{said}"),
        () = watch => (),
    }
    let grown = most.saturating_sub(before) >> 20;
    println!(
        "memory grew by {grown} MiB from {} MiB while 30 MiB were pushed",
        before >> 20
    );
    assert!(grown < 24, "{grown} MiB");
    assert_eq!(server.value("refs/heads/main").await, commit);
    server.is_clean().await;
}

/// How many processes work in this repository at this moment, none of which was told the secret.
fn processes_in(repository: &std::path::Path, secret: &str) -> usize {
    let place = repository.display().to_string();
    let mut n = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |file: &str| {
            let bytes = std::fs::read(entry.path().join(file)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let arguments = read("cmdline");
        let is_there = std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == repository);
        if is_there || arguments.contains(&place) {
            assert!(!arguments.contains(secret), "{arguments}");
            assert!(!read("environ").contains(secret), "{arguments}");
            n += 1;
        }
    }
    n
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_told_to_a_process() {
    let server = Server::start(With::default()).await;
    server.clone_into("a").await;
    server.commit("a", "big", noise(8 << 20, 11)).await;
    let repository = server.repository().canonicalize().unwrap();
    let mut n_seen = 0;
    let push = server.push("a", &["push"]);
    let watch = async {
        loop {
            n_seen += processes_in(&repository, TOKEN);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        said = push => assert!(said.contains("run 1"), "{said}"),
        () = watch => (),
    }
    assert!(n_seen > 0, "no process was seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_a_push_is_told_why() {
    let server = Server::start(With {
        max_push_bytes: Some(2 << 20),
        ..With::default()
    })
    .await;
    server.clone_into("a").await;
    server.commit("a", "big", noise(3 << 20, 3)).await;
    let said = server.fails("a", &["push"]).await;
    assert!(said.contains("pack exceeds maximum allowed size"), "{said}");
    assert!(server.runs().await.is_empty());
    server.is_clean().await;
    // The repository is as good as before.
    server.ok("a", &["reset", "-q", "--hard", "HEAD~1"]).await;
    server.commit("a", "small", "1").await;
    server.push("a", &["push", "-q"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_at_once_and_one_wins() {
    let server = Server::start(With::default()).await;
    for i in 0..5 {
        let folder = format!("c{i}");
        server.clone_into(&folder).await;
        server.commit(&folder, "f", format!("{i}")).await;
    }
    let pushes = (0..5).map(|i| {
        let mut push = server.git(&format!("c{i}"), &["push"]);
        push.spawn().unwrap()
    });
    let pushes: Vec<_> = pushes.collect();
    server.until_runs(1).await;
    server.play(&[], assay_core::queue::Outcome::Scored).await;
    let mut n_won = 0;
    for push in pushes {
        let output = push.wait_with_output().await.unwrap();
        let said = crate::server::shown(&output);
        match output.status.success() {
            true => n_won += 1,
            false => assert!(
                said.contains("fetch first")
                    || said.contains("non-fast-forward")
                    || said.contains("failed to update ref")
                    || said.contains("stale info"),
                "{said}"
            ),
        }
    }
    assert_eq!(n_won, 1);
    let runs = server.runs().await;
    assert_eq!(
        (runs.len(), &runs[0].commit),
        (1, &server.value("refs/heads/main").await)
    );
    server.is_clean().await;
}

/// The lines before a pack that would make this the value of `main`.
fn head(old: &str, new: &str) -> Vec<u8> {
    let line = format!("{old} {new} refs/heads/main\0 report-status side-band-64k");
    format!("{:04x}{line}0000", line.len() + 4).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_dies_in_the_middle_leaves_nothing() {
    let server = Server::start(With::default()).await;
    let old = server.value("refs/heads/main").await;
    let host = server.address.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    use base64::Engine;
    let credentials = base64::engine::general_purpose::STANDARD.encode(format!("x:{TOKEN}"));
    let request = format!(
        "POST /git/alice.git/git-receive-pack HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {credentials}\r\n\
         Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 99999999\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(&head(&old, &"1".repeat(40))).await.unwrap();
    stream.write_all(b"PACK\0\0\0\x02\0\0\0\x05").await.unwrap();
    stream.write_all(&noise(1 << 20, 5)[..64 << 10]).await.unwrap();
    drop(stream);
    server.is_clean().await;
    assert_eq!(server.value("refs/heads/main").await, old);
    server.clone_into("a").await;
    server.commit("a", "f", "1").await;
    server.push("a", &["push", "-q"]).await;
}

/// A pack of a few kilobytes whose last object is 16 GiB large.
fn bomb() -> Vec<u8> {
    let mut pack = b"PACK\0\0\0\x02\0\0\0\x03".to_vec();
    let mut offsets = Vec::new();
    let mut object = |kind: u8, size: u64, back: Option<u64>, data: &[u8]| {
        let at = pack.len() as u64;
        offsets.push(at);
        let (mut rest, mut byte) = (size >> 4, (kind << 4) | (size & 15) as u8);
        while rest > 0 {
            pack.push(byte | 0x80);
            (byte, rest) = ((rest & 127) as u8, rest >> 7);
        }
        pack.push(byte);
        if let Some(back) = back {
            let mut distance = at - back;
            let mut bytes = vec![(distance & 127) as u8];
            while distance > 127 {
                distance = (distance >> 7) - 1;
                bytes.insert(0, 0x80 | (distance & 127) as u8);
            }
            pack.extend(bytes);
        }
        pack.extend(stored(data));
        at
    };
    let base = vec![b'x'; 60_000];
    let first = object(3, 60_000, None, &base);
    let copies = |of: u64, n: u64| {
        let mut delta = Vec::new();
        for mut size in [of, of * n] {
            while size > 127 {
                delta.push(0x80 | (size & 127) as u8);
                size >>= 7;
            }
            delta.push(size as u8);
        }
        for _ in 0..n {
            // From the beginning, this many bytes (three of them say how many).
            delta.extend([0xf0, of as u8, (of >> 8) as u8, (of >> 16) as u8]);
        }
        delta
    };
    let delta = copies(60_000, 250);
    let second = object(6, delta.len() as u64, Some(first), &delta);
    let delta = copies(15_000_000, 1100);
    object(6, delta.len() as u64, Some(second), &delta);
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &pack);
    pack.extend_from_slice(digest.as_ref());
    pack
}

/// Bytes as a zlib stream that does not compress.
fn stored(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let mut stream = vec![0x78, 0x01, 1];
    stream.extend(length.to_le_bytes());
    stream.extend((!length).to_le_bytes());
    stream.extend_from_slice(data);
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    stream.extend((b << 16 | a).to_be_bytes());
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_unpacks_to_gigabytes_is_refused() {
    let server = Server::start(With::default()).await;
    let old = server.value("refs/heads/main").await;
    let body = [head(&old, &"1".repeat(40)), bomb()].concat();
    println!("{} bytes", body.len());
    let request = reqwest_client()
        .post(format!("{}/git/alice.git/git-receive-pack", server.address))
        .basic_auth("x", Some(TOKEN))
        .header("content-type", "application/x-git-receive-pack-request")
        .body(body);
    let said = request.send().await.unwrap().text().await.unwrap();
    assert!(
        said.contains("ut of memory") && said.contains("ng refs/heads/main"),
        "{said:?}"
    );
    assert_eq!(server.value("refs/heads/main").await, old);
    server.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_no_honest_git_makes_is_refused() {
    let server = Server::start(With::default()).await;
    server.clone_into("a").await;
    let blob = server.ok("a", &["rev-parse", "HEAD:README.md"]).await;
    let input = server.scratch.path().join("tree");
    std::fs::write(&input, format!("100644 blob {}\t.GIT\n", blob.trim())).unwrap();
    let mut make = server.git("a", &["mktree"]);
    make.stdin(std::fs::File::open(&input).unwrap());
    let tree = crate::server::shown(&make.output().await.unwrap());
    let commit = server
        .ok("a", &["commit-tree", "-p", "HEAD", "-m", "x", tree.trim()])
        .await;
    let said = server
        .fails("a", &["push", "origin", &format!("{}:main", commit.trim())])
        .await;
    assert!(said.contains("hasDotgit"), "{said}");
    assert!(server.runs().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_terminal_is_moved() {
    let server = Server::start(With::default()).await;
    server.clone_into("a").await;
    server.commit("a", "f", "1").await;
    let event = assay_core::event::Event::CheckFinished {
        check: "unit".to_owned(),
        status: assay_core::report::CheckStatus::Failed,
        fault: None,
        duration_ms: 1,
        summary: "\u{1b}[2J\u{202e}\r\nremote: forged".to_owned(),
    };
    let play = async {
        server.until_runs(1).await;
        server.play(&[event], assay_core::queue::Outcome::Scored).await
    };
    let (said, _) = tokio::join!(server.ok("a", &["push"]), play);
    assert!(
        !remote_lines(&said).contains('\u{1b}') && !said.contains('\u{202e}'),
        "{said}"
    );
    assert!(said.contains(r"\u{1b}[2J\u{202e}\r\nremote: forged"), "{said}");
}
