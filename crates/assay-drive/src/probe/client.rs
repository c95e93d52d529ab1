//! One request, one connection, one bounded answer.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use assay_core::security::{Answer, Failure, Outcome, Wire};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How much of an answer's body is kept, in bytes.
const KEPT_BYTES: usize = 256 << 10;
/// How much of an answer's body is read, in bytes.
const READ_BYTES: usize = 8 << 20;

/// Speaks HTTP/1.1 to one port of the loopback.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    address: SocketAddrV4,
    timeout: Duration,
}

/// HTTP cannot express this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request cannot be expressed in HTTP/1.1")]
pub(super) struct Inexpressible;

impl Client {
    /// A client for a base URL of the form `http://127.0.0.1:8080`; `None` for anything else.
    pub(super) fn new(base_url: &str, timeout: Duration) -> Option<Self> {
        let port = base_url
            .trim_end_matches('/')
            .strip_prefix("http://127.0.0.1:")?
            .parse()
            .ok()?;
        Some(Self {
            address: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
            timeout,
        })
    }

    /// Sends the request with one header more, and waits for the answer, at most for the time-out.
    ///
    /// # Errors
    ///
    /// The request has a method, target or header that HTTP has no way to write.
    pub(super) async fn send(
        &self,
        wire: &Wire,
        credential: Option<(&str, &str)>,
    ) -> Result<Outcome, Inexpressible> {
        let request = self.request(wire, credential).ok_or(Inexpressible)?;
        let outcome = tokio::time::timeout(self.timeout, self.exchange(request)).await;
        Ok(match outcome {
            Ok(Ok(answer)) => Outcome::Answered(answer),
            Ok(Err(failure)) => Outcome::Failed(failure),
            Err(_) => Outcome::Failed(Failure::TimedOut(self.timeout)),
        })
    }

    fn request(&self, wire: &Wire, credential: Option<(&str, &str)>) -> Option<Request<Full<Bytes>>> {
        let method = Method::from_bytes(wire.method.as_bytes()).ok()?;
        let target: Uri = wire.target.parse().ok()?;
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, self.address.to_string())
            .header(CONNECTION, "close");
        let headers = wire
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in headers.chain(credential) {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            request = request.header(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
        request.body(Full::new(Bytes::copy_from_slice(&wire.body))).ok()
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(|_| Failure::NotConnected)?;
        // Latency is measured: a small request must not wait for an acknowledgement.
        stream.set_nodelay(true).map_err(|_| Failure::NotConnected)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Failure::Dropped)?;
        let driving = tokio::task::spawn_local(async move { drop(connection.await) });
        let started = Instant::now();
        let answer = async {
            let response = sender.send_request(request).await.map_err(|_| Failure::Dropped)?;
            read(response, started).await
        };
        let answer = answer.await;
        driving.abort();
        answer
    }
}

async fn read(response: Response<Incoming>, started: Instant) -> Result<Answer, Failure> {
    let (head, mut incoming) = response.into_parts();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| {
        (
            name.to_string(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    let headers = headers.collect();
    let (mut body, mut n_read) = (Vec::new(), 0);
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|_| Failure::Dropped)?;
        let Ok(data) = frame.into_data() else { continue };
        n_read += data.len();
        body.extend_from_slice(&data[..data.len().min(KEPT_BYTES - body.len())]);
        if n_read > READ_BYTES {
            break;
        }
    }
    Ok(Answer {
        status: head.status.as_u16(),
        headers,
        body,
        elapsed: started.elapsed(),
    })
}
