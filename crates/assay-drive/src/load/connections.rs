//! Connections to the service, as many as are needed at a time, and one exchange over one of them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use assay_core::load::ErrorKind;
use bytes::Bytes;
use hyper::{Method, Request};

use super::connection::{Connection, Failure, Reading, Received};

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
    connection: Connection,
    since: Instant,
}

/// The answer to a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) received: Received,
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
                Ok(connection) => self.give_back(connection),
                Err(_) => return,
            }
        }
    }

    /// Sends a request and reads the answer to its end.
    pub(super) async fn exchange(
        &self,
        request: &Request<Bytes>,
        limit: Duration,
        reading: Reading,
    ) -> Result<Answer, NoAnswer> {
        let attempt = tokio::time::timeout(limit, self.attempt(request, reading));
        let (kind, message) = match attempt.await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failure)) => (failure.kind, failure.message),
            Err(_) => (
                ErrorKind::Timeout,
                format!("no answer within {} ms", limit.as_millis()),
            ),
        };
        Err(NoAnswer {
            kind,
            message,
            done: Instant::now(),
        })
    }

    async fn attempt(&self, request: &Request<Bytes>, reading: Reading) -> Result<Answer, Failure> {
        let idle = self.take_idle();
        // The service may close an idle connection at any time: a second GET does no harm then. A new connection has no
        // such excuse.
        let may_repeat = idle.is_some() && *request.method() == Method::GET;
        let mut connection = match idle {
            Some(idle) => idle,
            None => self.open().await?,
        };
        let mut sent = Instant::now();
        let mut received = connection.exchange(request, reading).await;
        if may_repeat && received.as_ref().is_err_and(|failure| failure.is_unanswered) {
            self.retried.set(self.retried.get() + 1);
            connection = self.open().await?;
            sent = Instant::now();
            received = connection.exchange(request, reading).await;
        }
        let received = received?;
        let done = Instant::now();
        self.give_back(connection);
        Ok(Answer { received, sent, done })
    }

    fn take_idle(&self) -> Option<Connection> {
        loop {
            let idle = self.idle.borrow_mut().pop_front()?;
            if idle.since.elapsed() < MAX_IDLE && idle.connection.is_usable() {
                return Some(idle.connection);
            }
        }
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let connection = Connection::open(self.address).await?;
        self.opened.set(self.opened.get() + 1);
        Ok(connection)
    }

    fn give_back(&self, connection: Connection) {
        if connection.is_usable() {
            self.idle.borrow_mut().push_back(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }
}
