//! Connections to the service, as many as are needed at a time, and one exchange over one of them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use assay_core::load::ErrorKind;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection that has been idle for longer is not used again: servers close idle connections after two seconds or
/// more, and a request that is sent at that very moment is lost.
const MAX_IDLE: Duration = Duration::from_millis(1_500);

/// An elastic pool: the connection that has been idle for longest is used next, and a new one is made when none is
/// idle. So requests spread over all connections, and with them over all workers of a service that has several. How
/// many there are at most follows from how many requests are under way at most.
#[derive(Debug)]
pub(super) struct Connections {
    address: SocketAddrV4,
    idle: RefCell<VecDeque<Idle>>,
    opened: Cell<u64>,
    retried: Cell<u64>,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<Full<Bytes>>,
    since: Instant,
}

/// A connection in use.
struct Busy {
    sender: SendRequest<Full<Bytes>>,
    used_before: bool,
}

/// The answer to a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Empty when nobody wanted it.
    pub(super) body: Bytes,
    /// When the request was handed to a connection.
    pub(super) sent: Instant,
    /// When the last byte was read.
    pub(super) done: Instant,
}

/// No answer came.
#[derive(Debug)]
pub(super) struct NoAnswer {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    /// When it was given up.
    pub(super) done: Instant,
}

/// How an answer's body is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyUse {
    /// Longest body that is read.
    pub(super) max_bytes: u64,
    /// Whether the bytes are kept.
    pub(super) wanted: bool,
}

/// Why an exchange failed, before it is known when.
type Failure = (ErrorKind, String);

impl Connections {
    pub(super) fn to(address: SocketAddrV4) -> Self {
        Self {
            address,
            idle: RefCell::default(),
            opened: Cell::new(0),
            retried: Cell::new(0),
        }
    }

    /// Connections opened so far.
    pub(super) fn opened(&self) -> u64 {
        self.opened.get()
    }

    /// Requests sent twice so far.
    pub(super) fn retried(&self) -> u64 {
        self.retried.get()
    }

    /// Opens connections until `count` are idle. One that cannot be opened is left to the requests to find out.
    pub(super) async fn warm(&self, count: usize) {
        while self.idle.borrow().len() < count {
            match self.open().await {
                Ok(busy) => self.give_back(busy),
                Err(_) => return,
            }
        }
    }

    /// Sends a request and reads the answer to its end.
    pub(super) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        limit: Duration,
        body_use: BodyUse,
    ) -> Result<Answer, NoAnswer> {
        let attempt = tokio::time::timeout(limit, self.attempt(request, body_use));
        let failed = match attempt.await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failure)) => failure,
            Err(_) => (
                ErrorKind::Timeout,
                format!("no answer within {} ms", limit.as_millis()),
            ),
        };
        let (kind, message) = failed;
        Err(NoAnswer {
            kind,
            message,
            done: Instant::now(),
        })
    }

    async fn attempt(&self, request: Request<Full<Bytes>>, body_use: BodyUse) -> Result<Answer, Failure> {
        let again = (*request.method() == Method::GET).then(|| request.clone());
        let mut busy = self.acquire().await?;
        let mut sent = Instant::now();
        let response = match busy.sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut error) => {
                // The service closed an idle connection: no request was lost if hyper still has it, and a second
                // GET does no harm. A new connection has no such excuse.
                let request = error.take_message().or(again).filter(|_| busy.used_before);
                let Some(request) = request.filter(|_| is_closed(error.error())) else {
                    return Err(classify(error.error()));
                };
                self.retried.set(self.retried.get() + 1);
                busy = self.open().await?;
                sent = Instant::now();
                busy.sender
                    .send_request(request)
                    .await
                    .map_err(|error| classify(&error))?
            }
        };
        let (head, body) = response.into_parts();
        let body = read_body(Response::new(body), body_use).await?;
        let done = Instant::now();
        self.give_back(busy);
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            sent,
            done,
        })
    }

    async fn acquire(&self) -> Result<Busy, Failure> {
        loop {
            let oldest = self.idle.borrow_mut().pop_front();
            let Some(mut idle) = oldest else {
                return self.open().await;
            };
            let usable = idle.since.elapsed() < MAX_IDLE && !idle.sender.is_closed();
            if usable && idle.sender.ready().await.is_ok() {
                return Ok(Busy {
                    sender: idle.sender,
                    used_before: true,
                });
            }
        }
    }

    async fn open(&self) -> Result<Busy, Failure> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| {
            let refused = error.kind() == io::ErrorKind::ConnectionRefused;
            let kind = if refused {
                ErrorKind::Refused
            } else {
                ErrorKind::Connect
            };
            (kind, format!("no connection: {error}"))
        })?;
        let unusable =
            |error: &dyn std::fmt::Display| (ErrorKind::Connect, format!("no connection: {error}"));
        stream.set_nodelay(true).map_err(|error| unusable(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unusable(&error))?;
        tokio::task::spawn_local(async move {
            // Whatever ends a connection also ends the exchange on it, which tells it.
            let _ = connection.await;
        });
        sender.ready().await.map_err(|error| unusable(&error))?;
        self.opened.set(self.opened.get() + 1);
        Ok(Busy {
            sender,
            used_before: false,
        })
    }

    fn give_back(&self, busy: Busy) {
        if !busy.sender.is_closed() {
            self.idle.borrow_mut().push_back(Idle {
                sender: busy.sender,
                since: Instant::now(),
            });
        }
    }
}

async fn read_body(response: Response<Incoming>, body_use: BodyUse) -> Result<Bytes, Failure> {
    let mut body = response.into_body();
    let (mut kept, mut length) = (BytesMut::new(), 0_u64);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| classify(&error))?.into_data() else {
            continue;
        };
        length = length.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if length > body_use.max_bytes {
            return Err((
                ErrorKind::Body,
                format!("the body is over {} bytes long", body_use.max_bytes),
            ));
        }
        if body_use.wanted {
            kept.extend_from_slice(&data);
        }
    }
    Ok(kept.freeze())
}

fn is_closed(error: &hyper::Error) -> bool {
    classify(error).0 == ErrorKind::Reset
}

fn classify(error: &hyper::Error) -> Failure {
    let kind = if error.is_parse() {
        ErrorKind::Protocol
    } else {
        ErrorKind::Reset
    };
    let cause = std::error::Error::source(error)
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    (kind, format!("{error}{cause}"))
}
