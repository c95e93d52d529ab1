//! Who listens in the pod, and whether they answer yet.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use assay_core::agent::{AgentError, Listener, Probe, Target, Wait, Waited};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::io_failure;

/// The longest that one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(2);

/// The shortest pause between two attempts.
const MIN_INTERVAL: Duration = Duration::from_millis(5);

/// Bytes of an answer that are read in search of its status.
const STATUS_LINE_BYTES: usize = 256;

/// How much of a table is asked for at once.
const TABLE_BYTES: usize = 64 << 10;

/// The state of a listening socket in the kernel's tables.
const LISTEN: &str = "0A";

/// Tries until what is waited for is there or the deadline has passed.
pub(super) async fn wait(wait: Wait) -> Waited {
    let began = Instant::now();
    let deadline = Duration::from_millis(wait.deadline_ms);
    let interval = Duration::from_millis(wait.interval_ms).max(MIN_INTERVAL);
    let mut attempts = 0;
    loop {
        attempts += 1;
        let left = deadline.saturating_sub(began.elapsed());
        let last = match tokio::time::timeout(ATTEMPT.min(left), attempt(&wait.target)).await {
            Ok(probe) => probe,
            Err(_) => Probe::Silent,
        };
        let elapsed = began.elapsed();
        if last == Probe::Ready || elapsed + interval >= deadline {
            let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            return Waited {
                last,
                attempts,
                elapsed_ms,
            };
        }
        tokio::time::sleep(interval).await;
    }
}

async fn attempt(target: &Target) -> Probe {
    let (Target::Tcp { port } | Target::Http { port, .. }) = target;
    let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).await else {
        return listeners(&[*port]).map_or(Probe::Refused, |listeners| why_refused(*port, &listeners));
    };
    match target {
        Target::Tcp { .. } => Probe::Ready,
        Target::Http { path, status, .. } => match status_of(stream, *port, path).await {
            Ok(Some(answered)) if answered == *status => Probe::Ready,
            Ok(Some(answered)) => Probe::Status(answered),
            Ok(None) => Probe::NotHttp,
            Err(_) => Probe::Refused,
        },
    }
}

async fn status_of(mut stream: TcpStream, port: u16, path: &str) -> io::Result<Option<u16>> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while answer.len() < STATUS_LINE_BYTES && !answer.contains(&b'\n') {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(parse_status(&answer))
}

fn parse_status(answer: &[u8]) -> Option<u16> {
    let rest = answer.strip_prefix(b"HTTP/1.")?;
    let status = rest.get(1..)?.strip_prefix(b" ")?.get(..3)?;
    std::str::from_utf8(status)
        .ok()?
        .parse()
        .ok()
        .filter(|status| (100..600).contains(status))
}

fn why_refused(port: u16, listeners: &[Listener]) -> Probe {
    let mut on_port = listeners
        .iter()
        .filter(|listener| listener.port == port)
        .peekable();
    if on_port.peek().is_none() {
        Probe::NotListening
    } else if on_port.all(|listener| listener.address.is_ipv6()) {
        Probe::OnlyIpv6
    } else {
        Probe::Refused
    }
}

/// Who listens on these ports of this network namespace: for each port and user one of their sockets, ordered.
///
/// The kernel's tables are as long as whoever shares the namespace makes them, so they are read row by row, and what is kept
/// is bounded by what is asked for.
pub(super) fn listeners(ports: &[u16]) -> Result<Vec<Listener>, AgentError> {
    let mut found = BTreeMap::new();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let failed = |error: &io::Error| io_failure("list listening sockets", error);
        let table = match File::open(path) {
            Ok(file) => BufReader::with_capacity(TABLE_BYTES, file),
            // A kernel without IPv6 has no such table.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&error)),
        };
        for row in table.lines().skip(1) {
            let listener = parse_listener(&row.map_err(|error| failed(&error))?);
            if let Some(listener) = listener.filter(|listener| ports.contains(&listener.port)) {
                let version = listener.address.is_ipv6();
                found
                    .entry((listener.port, listener.uid, version))
                    .or_insert(listener);
            }
        }
    }
    let mut listeners: Vec<Listener> = found.into_values().collect();
    listeners.sort();
    Ok(listeners)
}

fn parse_listener(row: &str) -> Option<Listener> {
    let columns: Vec<&str> = row.split_ascii_whitespace().collect();
    let (local, state, uid) = (columns.get(1)?, columns.get(3)?, columns.get(7)?);
    if *state != LISTEN {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    Some(Listener {
        address: parse_address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        uid: uid.parse().ok()?,
    })
}

/// The kernel prints addresses as 32-bit words in the machine's byte order.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words: Vec<u8> = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn rows_of_the_kernels_tables_are_read() {
        let v4 =
            "   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000 10007        0 4 1";
        let v6 = "   1: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 \
                  00:00000000 00000000 10008        0 5 1";
        let listener = |row| parse_listener(row).map(|l| format!("{} {} {}", l.address, l.port, l.uid));
        assert_eq!(listener(v4).as_deref(), Some("127.0.0.1 5432 10007"));
        assert_eq!(listener(v6).as_deref(), Some("::1 8080 10008"));
        for row in [
            "",
            "x",
            &v4.replace(" 0A ", " 01 "),
            &v4.replace("0100007F", "01"),
            &v4.replace("1538", "FFFFF"),
        ] {
            assert_eq!(listener(row), None, "{row}");
        }
    }

    #[test]
    fn a_refusal_is_explained_by_who_listens() {
        let at = |address: &str| Listener {
            address: address.parse().unwrap(),
            port: 80,
            uid: 1,
        };
        for (listeners, expected) in [
            (vec![], Probe::NotListening),
            (
                vec![Listener {
                    port: 81,
                    ..at("127.0.0.1")
                }],
                Probe::NotListening,
            ),
            (vec![at("::1")], Probe::OnlyIpv6),
            (vec![at("::1"), at("127.0.0.1")], Probe::Refused),
        ] {
            assert_eq!(why_refused(80, &listeners), expected, "{listeners:?}");
        }
    }

    #[test]
    fn only_a_status_line_has_a_status() {
        for (answer, expected) in [
            (&b"HTTP/1.1 200 OK\r\n"[..], Some(200)),
            (b"HTTP/1.0 503\n", Some(503)),
            (b"HTTP/1.1 20", None),
            (b"HTTP/1.1 999 x", None),
            (b"SSH-2.0-x", None),
            (b"", None),
        ] {
            assert_eq!(
                parse_status(answer),
                expected,
                "{:?}",
                answer.escape_ascii().to_string()
            );
        }
    }

    #[tokio::test]
    async fn every_kind_of_answer_is_told_apart() {
        for (answer, expected) in [
            (&b"HTTP/1.1 200 OK\r\n\r\n"[..], Probe::Ready),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", Probe::Status(404)),
            (b"hello\n", Probe::NotHttp),
        ] {
            let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = server.local_addr().unwrap().port();
            tokio::spawn(async move {
                loop {
                    let (mut stream, _) = server.accept().await.unwrap();
                    let mut request = [0; 1024];
                    assert_ne!(stream.read(&mut request).await.unwrap(), 0);
                    stream.write_all(answer).await.unwrap();
                }
            });
            let target = Target::Http {
                port,
                path: "/health".to_owned(),
                status: 200,
            };
            assert_eq!(
                wait(Wait {
                    target,
                    deadline_ms: 1_000,
                    interval_ms: 20
                })
                .await
                .last,
                expected
            );
        }
        let free = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let target = Target::Tcp { port: free };
        let waited = wait(Wait {
            target,
            deadline_ms: 100,
            interval_ms: 20,
        })
        .await;
        assert_eq!(waited.last, Probe::NotListening);
        // One attempt alone can take longer than the deadline on a busy machine.
        assert!((1..=5).contains(&waited.attempts), "{waited:?}");
    }
}
