//! One HTTP/1.1 connection (RFC 9112): a request is written, its answer is read to the end, and nothing runs in between.
//!
//! A general client needs a task for each connection and a channel to it, which costs a generator more than its own work
//! does; here who waits for the answer reads it. The parsing is httparse's, the framing follows RFC 9112 §6.3.

mod framing;

use std::io;
use std::net::SocketAddrV4;
use std::pin::pin;

use assay_core::load::ErrorKind;
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::future::{Either, select};
use httparse::Status;
use hyper::header::{CONTENT_LENGTH, HeaderName};
use hyper::{HeaderMap, Method, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;

use framing::{Framing, Head};

/// Read at a time.
const READ_BYTES: usize = 16 << 10;
/// Longest head, trailer, or line between two chunks.
const HEAD_BYTES: usize = 64 << 10;
/// Most bytes of an answer that are not of its body: interim answers, lines between chunks. Who reads without end is late
/// with everything else.
const OVERHEAD_BYTES: usize = 1 << 20;

/// A connection that nobody else uses meanwhile.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// What was read and is not used yet.
    read: BytesMut,
    is_reusable: bool,
}

/// An answer as it was received.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) status: u16,
    /// Empty, like the body, when nobody wanted them.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// How an answer is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Longest body that is read.
    pub(super) max_body_bytes: u64,
    /// Whether headers and body are kept.
    pub(super) keep: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    /// Whether the connection was closed before a byte of the answer came.
    pub(super) is_unanswered: bool,
}

impl Failure {
    fn of(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            is_unanswered: false,
        }
    }

    fn protocol(message: impl std::fmt::Display) -> Self {
        Self::of(
            ErrorKind::Protocol,
            format!("the answer is not HTTP/1.1: {message}"),
        )
    }
}

impl Connection {
    pub(super) async fn open(address: SocketAddrV4) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            let kind = match error.kind() {
                io::ErrorKind::ConnectionRefused => ErrorKind::Refused,
                _ => ErrorKind::Connect,
            };
            Failure::of(kind, format!("no connection: {error}"))
        };
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Self {
            stream,
            read: BytesMut::new(),
            is_reusable: true,
        })
    }

    /// Whether another request may be sent: the last answer left nothing behind, and the service has neither closed the
    /// connection nor said anything unasked.
    pub(super) fn is_usable(&self) -> bool {
        let is_silent = || match self.stream.try_read(&mut [0]) {
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            Ok(_) => false,
        };
        self.is_reusable && self.read.is_empty() && is_silent()
    }

    /// Sends a request and reads the answer to its end. One that comes before all of the request is written counts.
    pub(super) async fn exchange(
        &mut self,
        request: &Request<Bytes>,
        reading: Reading,
    ) -> Result<Received, Failure> {
        self.is_reusable = false;
        let bytes = written(request);
        let (reader, mut writer) = self.stream.split();
        let mut incoming = Incoming {
            reader,
            read: &mut self.read,
            overhead_bytes: 0,
        };
        let write = pin!(writer.write_all(&bytes));
        let answer = pin!(incoming.answer(request.method(), reading));
        // What the service says counts even where it does not listen; where it says nothing, reading tells why.
        let (answered, is_written) = match select(write, answer).await {
            Either::Left((written, answer)) => (answer.await, written.is_ok()),
            Either::Right((answered, _)) => (answered, false),
        };
        let (received, keeps_alive) = answered?;
        self.is_reusable = is_written && keeps_alive;
        Ok(received)
    }
}

/// A request in bytes.
fn written(request: &Request<Bytes>) -> Vec<u8> {
    let body = request.body();
    let mut bytes = Vec::with_capacity(512 + body.len());
    bytes.extend_from_slice(request.method().as_str().as_bytes());
    bytes.push(b' ');
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    bytes.extend_from_slice(target.as_bytes());
    bytes.extend_from_slice(b" HTTP/1.1\r\n");
    let mut header = |name: &HeaderName, value: &[u8]| {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    };
    for (name, value) in request.headers() {
        header(name, value.as_bytes());
    }
    // RFC 9110 §8.6: also an empty body has a length where the method gives it a meaning.
    let has_meaning = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    if (has_meaning || !body.is_empty()) && !request.headers().contains_key(CONTENT_LENGTH) {
        header(&CONTENT_LENGTH, body.len().to_string().as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// What comes from the service.
struct Incoming<'a> {
    reader: ReadHalf<'a>,
    read: &'a mut BytesMut,
    overhead_bytes: usize,
}

impl Incoming<'_> {
    /// The answer, and whether the connection goes on after it.
    async fn answer(&mut self, method: &Method, reading: Reading) -> Result<(Received, bool), Failure> {
        let head = loop {
            let head = self.head(reading.keep).await?;
            match head.status {
                // An interim answer; the final one follows.
                100 | 102..=199 => (),
                101 => return Err(Failure::protocol("it changes to another protocol")),
                _ => break head,
            }
        };
        let framing = head.framing(method);
        let body = self.body(framing, reading).await?;
        let received = Received {
            status: head.status,
            headers: head.headers,
            body,
        };
        Ok((received, head.keeps_alive && framing != Framing::UntilClose))
    }

    async fn head(&mut self, keep: bool) -> Result<Head, Failure> {
        let mut is_unanswered = self.read.is_empty();
        loop {
            let parsed = Head::parse(self.read, keep);
            if let Some(head) = self.used_up(parsed)? {
                return Ok(head);
            }
            self.more("its head was complete")
                .await
                .map_err(|failure| Failure {
                    is_unanswered,
                    ..failure
                })?;
            is_unanswered = false;
        }
    }

    async fn body(&mut self, framing: Framing, reading: Reading) -> Result<Bytes, Failure> {
        let mut sink = Sink {
            kept: BytesMut::new(),
            length: 0,
            reading,
        };
        match framing {
            Framing::Length(length) => self.exactly(length, &mut sink).await?,
            Framing::Chunked => self.chunks(&mut sink).await?,
            Framing::UntilClose => loop {
                sink.take(self.read)?;
                self.read.clear();
                if self.fill().await? == 0 {
                    break;
                }
            },
        }
        Ok(sink.kept.freeze())
    }

    async fn exactly(&mut self, length: u64, sink: &mut Sink) -> Result<(), Failure> {
        let mut left = length;
        while left > 0 {
            if self.read.is_empty() {
                self.more("its body was complete").await?;
            }
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.read.len());
            sink.take(self.read.get(..here).unwrap_or_default())?;
            self.read.advance(here);
            left -= u64::try_from(here).unwrap_or(left);
        }
        Ok(())
    }

    async fn chunks(&mut self, sink: &mut Sink) -> Result<(), Failure> {
        loop {
            let size = self.parsed(framing::chunk_size).await?;
            if size == 0 {
                return self.parsed(framing::trailer).await;
            }
            self.exactly(size, sink).await?;
            self.parsed(framing::line_end).await?;
        }
    }

    /// What the parser makes of the next bytes.
    async fn parsed<T>(&mut self, parse: fn(&[u8]) -> httparse::Result<(usize, T)>) -> Result<T, Failure> {
        loop {
            let parsed = parse(self.read);
            if let Some(value) = self.used_up(parsed)? {
                return Ok(value);
            }
            self.more("its body was complete").await?;
        }
    }

    /// What was parsed, whose bytes are used up then; none when some of them are still to come.
    fn used_up<T>(&mut self, parsed: httparse::Result<(usize, T)>) -> Result<Option<T>, Failure> {
        let too_long = |what, bytes| Failure::protocol(format_args!("{what} is over {bytes} bytes long"));
        match parsed.map_err(Failure::protocol)? {
            Status::Partial if self.read.len() < HEAD_BYTES => Ok(None),
            Status::Complete((length, value)) if length <= HEAD_BYTES => {
                self.read.advance(length);
                self.overhead_bytes += length;
                if self.overhead_bytes > OVERHEAD_BYTES {
                    return Err(too_long("what is not of the body", OVERHEAD_BYTES));
                }
                Ok(Some(value))
            }
            Status::Partial | Status::Complete(_) => {
                Err(too_long("a head or the line of a chunk", HEAD_BYTES))
            }
        }
    }

    /// Reads more, which must come.
    async fn more(&mut self, expected: &str) -> Result<(), Failure> {
        match self.fill().await? {
            0 => Err(Failure::of(
                ErrorKind::Reset,
                format!("the connection was closed before {expected}"),
            )),
            _ => Ok(()),
        }
    }

    /// Reads what is there, at least a byte; 0 at the end.
    async fn fill(&mut self) -> Result<usize, Failure> {
        self.read.reserve(READ_BYTES);
        self.reader
            .read_buf(self.read)
            .await
            .map_err(|error| Failure::of(ErrorKind::Reset, format!("the connection broke: {error}")))
    }
}

/// Where a body goes.
struct Sink {
    kept: BytesMut,
    length: u64,
    reading: Reading,
}

impl Sink {
    fn take(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.length = self
            .length
            .saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if self.length > self.reading.max_body_bytes {
            return Err(Failure::of(
                ErrorKind::Body,
                format!("the body is over {} bytes long", self.reading.max_body_bytes),
            ));
        }
        if self.reading.keep {
            self.kept.extend_from_slice(data);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
