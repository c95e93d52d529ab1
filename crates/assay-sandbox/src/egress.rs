//! A proxy that lets a build reach a few named hosts, and notes what it reached.
//!
//! It runs in this process and listens on a Unix socket in a directory of its own, which is mounted into one trusted
//! container only: the forwarder of a pod made by [`crate::Run::pod_with_egress`]. It speaks `CONNECT` and nothing else, to port
//! 443 of exactly the hosts allowed. Names are resolved here, and an address that is not public is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::locked;

mod handshake;
mod opinion;

pub use handshake::Handshake;
use handshake::Observer;
pub use opinion::is_well;

/// The only port.
const PORT: u16 = 443;

/// The longest request head, in bytes.
const MAX_HEAD_BYTES: usize = 8 << 10;

/// How long a client may take for its request, and a server to accept the connection.
const SETUP: Duration = Duration::from_secs(15);

/// Different destinations that are noted; further ones are refused.
const MAX_CONTACTS: usize = 1000;

/// How long a host name is noted; a longer one is not a name.
const MAX_HOST_BYTES: usize = 253;

/// What a proxy allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressSpec {
    /// Host names, in lower case, each allowed exactly.
    pub allow: BTreeSet<String>,
    /// Bytes that all connections together may carry, both ways.
    pub max_bytes: u64,
    /// Connections at once; further ones wait.
    pub max_connections: usize,
    /// How long one connection may last.
    pub max_duration: Duration,
    /// Whether names may resolve to private addresses. Only for registries within one's own network.
    pub allow_private: bool,
}

/// A proxy at work. Dropping it ends it.
#[derive(Debug)]
pub struct Egress {
    directory: tempfile::TempDir,
    proxy: Arc<Proxy>,
    tasks: TaskTracker,
}

/// What became of requests for one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// As asked for, at most 253 bytes of it.
    pub host: String,
    /// As asked for.
    pub port: u16,
    /// What the proxy decided.
    pub verdict: Verdict,
    /// How often it was asked.
    pub requests: u64,
    /// Bytes from the pod to the host.
    pub sent_bytes: u64,
    /// Bytes from the host to the pod.
    pub received_bytes: u64,
    /// The furthest that a TLS handshake with the host got.
    pub handshake: Handshake,
}

impl Contact {
    /// Why nothing could be had from an allowed host, where that is not the doing of whoever asked: it did not answer, or no
    /// connection to it got past the TLS handshake.
    pub fn trouble(&self) -> Option<String> {
        let host = &self.host;
        match (self.verdict, self.handshake) {
            (Verdict::Unreachable, _) => Some(format!("{host} cannot be reached")),
            (Verdict::Allowed, Handshake::Unanswered) => {
                Some(format!("{host} did not answer the TLS handshake"))
            }
            (Verdict::Allowed, Handshake::Refused) => Some(format!("{host} refused the TLS handshake")),
            (Verdict::Allowed, Handshake::Abandoned) => Some(format!(
                "the TLS handshake with {host} was given up, as when its certificate is not trusted (hint: behind a proxy with \
                 a certificate authority of its own, set ASSAY_CA_BUNDLE)"
            )),
            (Verdict::Allowed, Handshake::None | Handshake::Completed)
            | (Verdict::Forbidden | Verdict::PrivateAddress, _) => None,
        }
    }
}

/// What the proxy decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Connected.
    Allowed,
    /// Not on the list, an address instead of a name, or another port.
    Forbidden,
    /// The name resolves to an address that is not public.
    PrivateAddress,
    /// The name does not resolve, or nothing accepts the connection.
    Unreachable,
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the egress proxy's socket: {0}")]
pub struct EgressError(#[from] io::Error);

impl Egress {
    /// The name of the socket in the proxy's directory.
    pub(crate) const SOCKET: &str = "proxy.sock";

    /// Starts a proxy.
    ///
    /// # Errors
    /// When its socket cannot be created.
    pub fn open(spec: EgressSpec) -> Result<Self, EgressError> {
        let directory = tempfile::Builder::new().prefix("assay-egress-").tempdir()?;
        let socket = directory.path().join(Self::SOCKET);
        let listener = UnixListener::bind(&socket)?;
        // The forwarder runs as some numeric user. Whoever else gets here may reach what the list allows, no more.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666))?;
        let proxy = Arc::new(Proxy {
            slots: Arc::new(Semaphore::new(spec.max_connections)),
            bytes_left: AtomicU64::new(spec.max_bytes),
            spec,
            contacts: Mutex::default(),
            closed: CancellationToken::new(),
        });
        let tasks = TaskTracker::new();
        tasks.spawn(Arc::clone(&proxy).accept(listener, tasks.clone()));
        Ok(Self {
            directory,
            proxy,
            tasks,
        })
    }

    /// Ends all connections and tells what was reached, or tried in vain, in a fixed order.
    pub async fn close(self) -> Vec<Contact> {
        self.proxy.closed.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let contacts = locked(&self.proxy.contacts);
        contacts
            .iter()
            .map(|((host, port, verdict), tally)| Contact {
                host: host.clone(),
                port: *port,
                verdict: *verdict,
                requests: tally.requests,
                sent_bytes: tally.sent_bytes,
                received_bytes: tally.received_bytes,
                handshake: tally.handshake,
            })
            .collect()
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        self.proxy.closed.cancel();
    }
}

#[derive(Debug)]
struct Proxy {
    spec: EgressSpec,
    slots: Arc<Semaphore>,
    bytes_left: AtomicU64,
    contacts: Mutex<BTreeMap<(String, u16, Verdict), Tally>>,
    closed: CancellationToken,
}

#[derive(Debug, Default)]
struct Tally {
    requests: u64,
    sent_bytes: u64,
    received_bytes: u64,
    handshake: Handshake,
}

impl Proxy {
    async fn accept(self: Arc<Self>, listener: UnixListener, tasks: TaskTracker) {
        loop {
            let slot = tokio::select! {
                biased;
                () = self.closed.cancelled() => return,
                slot = Arc::clone(&self.slots).acquire_owned() => slot,
            };
            let accepted = tokio::select! {
                biased;
                () = self.closed.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((client, _)) = accepted else {
                // Mostly for want of file descriptors, which others will give back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let proxy = Arc::clone(&self);
            tasks.spawn(async move {
                tokio::select! {
                    biased;
                    () = proxy.closed.cancelled() => {}
                    // A broken connection is over; both ends know.
                    _ = proxy.serve(client) => {}
                }
                drop(slot);
            });
        }
    }

    async fn serve(&self, mut client: UnixStream) -> io::Result<()> {
        let Ok(head) = tokio::time::timeout(SETUP, read_head(&mut client)).await else {
            return Ok(());
        };
        let Some((host, port)) = head?.as_deref().and_then(parse_connect) else {
            return client
                .write_all(b"HTTP/1.1 405 Only CONNECT\r\nContent-Length: 0\r\n\r\n")
                .await;
        };
        match self.connect(&host, port).await {
            Ok(server) => {
                let Some(key) = self.note(host, port, Verdict::Allowed) else {
                    return Ok(());
                };
                client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
                // What is over at the time limit is over.
                tokio::time::timeout(self.spec.max_duration, self.relay(client, server, &key))
                    .await
                    .ok();
                Ok(())
            }
            Err(verdict) => {
                self.note(host, port, verdict);
                let status = match verdict {
                    Verdict::Allowed | Verdict::Forbidden => "403 Not on the list",
                    Verdict::PrivateAddress => "403 Private address",
                    Verdict::Unreachable => "502 Unreachable",
                };
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                client.write_all(answer.as_bytes()).await
            }
        }
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Verdict> {
        let EgressSpec {
            allow, allow_private, ..
        } = &self.spec;
        tokio::time::timeout(SETUP, reach(allow, *allow_private, host, port))
            .await
            .unwrap_or(Err(Verdict::Unreachable))
    }

    /// Notes a request; none when too many destinations have been noted already.
    fn note(&self, mut host: String, port: u16, verdict: Verdict) -> Option<(String, u16, Verdict)> {
        if host.len() > MAX_HOST_BYTES {
            host.truncate(host.floor_char_boundary(MAX_HOST_BYTES));
        }
        let key = (host, port, verdict);
        let mut contacts = locked(&self.contacts);
        if contacts.len() >= MAX_CONTACTS && !contacts.contains_key(&key) {
            return None;
        }
        contacts.entry(key.clone()).or_default().requests += 1;
        Some(key)
    }

    async fn relay(&self, client: UnixStream, server: TcpStream, key: &(String, u16, Verdict)) {
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let tally = |add: &dyn Fn(&mut Tally)| {
            if let Some(tally) = locked(&self.contacts).get_mut(key) {
                add(tally);
            }
        };
        let observer = Mutex::new(Observer::default());
        // When one direction breaks, the other is of no use; when one merely ends, the other may go on.
        let sent = self.pump(from_client, to_server, |bytes| {
            let handshake = locked(&observer).client_said(bytes);
            tally(&|tally| {
                tally.sent_bytes += bytes.len() as u64;
                tally.handshake = tally.handshake.max(handshake);
            });
        });
        let received = self.pump(from_server, to_client, |bytes| {
            let handshake = locked(&observer).server_said(bytes);
            tally(&|tally| {
                tally.received_bytes += bytes.len() as u64;
                tally.handshake = tally.handshake.max(handshake);
            });
        });
        tokio::try_join!(sent, received).ok();
    }

    async fn pump(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        saw: impl Fn(&[u8]),
    ) -> io::Result<()> {
        let mut bytes = vec![0; 16 << 10];
        loop {
            let n = from.read(&mut bytes).await?;
            if n == 0 {
                return to.shutdown().await;
            }
            let spend = |left: u64| left.checked_sub(n as u64);
            self.bytes_left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend)
                .map_err(|_| io::Error::other("no bytes left"))?;
            saw(&bytes[..n]);
            to.write_all(&bytes[..n]).await?;
        }
    }
}

/// Connects to an allowed host. May take for ever.
async fn reach(
    allow: &BTreeSet<String>,
    allow_private: bool,
    host: &str,
    port: u16,
) -> Result<TcpStream, Verdict> {
    if port != PORT || !allow.contains(host) || host.parse::<IpAddr>().is_ok() {
        return Err(Verdict::Forbidden);
    }
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|_| Verdict::Unreachable)?;
    let addresses: Vec<SocketAddr> = found.collect();
    if !allow_private && addresses.iter().any(|address| !is_public(address.ip())) {
        return Err(Verdict::PrivateAddress);
    }
    TcpStream::connect(addresses.as_slice())
        .await
        .map_err(|_| Verdict::Unreachable)
}

/// Reads up to the empty line that ends a request's head; none when it is too long or does not end.
async fn read_head(client: &mut UnixStream) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // A client says nothing more before it has its answer, so nothing past the head is read here.
        if head.len() >= MAX_HEAD_BYTES || client.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

/// The destination of a `CONNECT` request.
fn parse_connect(head: &[u8]) -> Option<(String, u16)> {
    let line = std::str::from_utf8(head).ok()?.lines().next()?;
    let mut words = line.split(' ');
    let (method, authority, version) = (words.next()?, words.next()?, words.next()?);
    if method != "CONNECT" || !version.starts_with("HTTP/1.") || words.next().is_some() {
        return None;
    }
    let (host, port) = authority.rsplit_once(':')?;
    Some((host.to_ascii_lowercase(), port.parse().ok()?))
}

/// Whether an address can belong to a host of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || a == 0
                || a >= 240
                || shared)
                && v4 != Ipv4Addr::UNSPECIFIED
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> EgressSpec {
        EgressSpec {
            allow: BTreeSet::from([
                "pypi.org".to_owned(),
                "localhost".to_owned(),
                "127.0.0.1".to_owned(),
            ]),
            max_bytes: 1000,
            max_connections: 4,
            max_duration: Duration::from_secs(5),
            allow_private: false,
        }
    }

    async fn ask(egress: &Egress, request: &str) -> String {
        let mut client = UnixStream::connect(egress.directory().join(Egress::SOCKET))
            .await
            .unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer)
            .unwrap()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    #[tokio::test]
    async fn only_port_443_of_named_hosts_with_public_addresses_is_reached() {
        let egress = Egress::open(spec()).unwrap();
        for (request, answer) in [
            (
                "CONNECT example.org:443 HTTP/1.1\r\n\r\n",
                "HTTP/1.1 403 Not on the list",
            ),
            (
                "CONNECT pypi.org:80 HTTP/1.1\r\n\r\n",
                "HTTP/1.1 403 Not on the list",
            ),
            (
                "CONNECT pypi.org.:443 HTTP/1.1\r\n\r\n",
                "HTTP/1.1 403 Not on the list",
            ),
            (
                "CONNECT 127.0.0.1:443 HTTP/1.1\r\n\r\n",
                "HTTP/1.1 403 Not on the list",
            ),
            (
                "CONNECT LocalHost:443 HTTP/1.1\r\n\r\n",
                "HTTP/1.1 403 Private address",
            ),
            (
                "GET http://pypi.org/ HTTP/1.1\r\n\r\n",
                "HTTP/1.1 405 Only CONNECT",
            ),
            ("rubbish\r\n\r\n", "HTTP/1.1 405 Only CONNECT"),
        ] {
            assert_eq!(ask(&egress, request).await, answer, "{request}");
        }
        let contacts = egress.close().await;
        let shown: Vec<String> = contacts
            .iter()
            .map(|c| format!("{}:{} {:?} {}", c.host, c.port, c.verdict, c.requests))
            .collect();
        insta::assert_debug_snapshot!(shown, @r#"
        [
            "127.0.0.1:443 Forbidden 1",
            "example.org:443 Forbidden 1",
            "localhost:443 PrivateAddress 1",
            "pypi.org:80 Forbidden 1",
            "pypi.org.:443 Forbidden 1",
        ]
        "#);
    }

    #[tokio::test]
    async fn bytes_are_counted_and_capped() {
        let egress = Egress::open(spec()).unwrap();
        let (mine, theirs) = UnixStream::pair().unwrap();
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
        let (mut far, _) = server.accept().await.unwrap();
        let key = egress
            .proxy
            .note("pypi.org".to_owned(), 443, Verdict::Allowed)
            .unwrap();
        let proxy = Arc::clone(&egress.proxy);
        let relay = tokio::spawn(async move { proxy.relay(theirs, client, &key).await });
        let (_reader, mut writer) = mine.into_split();
        writer.write_all(&[1; 600]).await.unwrap();
        far.read_exact(&mut [0; 600]).await.unwrap();
        far.write_all(&[2; 600]).await.unwrap();
        relay.await.unwrap();
        let contacts = egress.close().await;
        assert_eq!((contacts[0].sent_bytes, contacts[0].received_bytes), (600, 0));
    }

    #[test]
    fn private_addresses_are_known_in_every_spelling() {
        for (address, public) in [
            ("93.184.215.14", true),
            ("2606:2800::1", true),
            ("127.0.0.1", false),
            ("10.0.0.1", false),
            ("172.31.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::ffff:10.0.0.1", false),
            ("fd00::1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[tokio::test]
    async fn how_far_a_handshake_got_is_noted() {
        let egress = Egress::open(spec()).unwrap();
        let key = egress
            .proxy
            .note("pypi.org".to_owned(), 443, Verdict::Allowed)
            .unwrap();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (server, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut registry, _) = accepted.unwrap();
        let (mut client, inner) = UnixStream::pair().unwrap();
        let talk = async move {
            let (hello, answer) = ([22, 3, 1, 0, 2, 1, 0], [22, 3, 3, 0, 2, 2, 0]);
            let mut heard = [0; 7];
            client.write_all(&hello).await.unwrap();
            registry.read_exact(&mut heard).await.unwrap();
            registry.write_all(&answer).await.unwrap();
            client.read_exact(&mut heard).await.unwrap();
        };
        tokio::join!(egress.proxy.relay(inner, server.unwrap(), &key), talk);
        let contacts = egress.close().await;
        assert_eq!(contacts.len(), 1);
        assert_eq!((contacts[0].sent_bytes, contacts[0].received_bytes), (7, 7));
        assert_eq!(contacts[0].handshake, Handshake::Abandoned);
        let trouble = contacts[0].trouble().unwrap();
        assert!(
            trouble.starts_with("the TLS handshake with pypi.org was given up"),
            "{trouble}"
        );
    }
}
