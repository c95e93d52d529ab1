//! Answers byte for byte, from a service that says exactly this.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use super::*;

const READING: Reading = Reading {
    max_body_bytes: 20,
    keep: true,
};

/// A service that reads a head and answers.
struct Service {
    address: SocketAddrV4,
    /// As long as it is there the connection stays open.
    held: Option<Sender<()>>,
    served: JoinHandle<()>,
}

impl Service {
    /// Answers with these bytes, so many at a time.
    fn start(answer: Vec<u8>, at_a_time: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else {
            panic!("an IPv4 address was asked for");
        };
        let (held, is_held) = channel();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            for part in answer.chunks(at_a_time) {
                // Who does not like what was said before listens no more.
                let Ok(()) = stream.write_all(part) else { break };
            }
            let _: Result<(), _> = is_held.recv();
        });
        Self {
            address,
            held: Some(held),
            served,
        }
    }

    /// Closes the connection.
    fn end(mut self) {
        self.held = None;
        self.served.join().unwrap();
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(future)
}

fn request(method: Method) -> Request<Bytes> {
    let request = Request::builder().method(method).uri("/tasks?a=b");
    request.header("host", "service").body(Bytes::new()).unwrap()
}

/// Status, headers, body and whether the connection goes on; or what is wrong.
fn answered(method: &Method, answer: &str, at_a_time: usize, closes: bool) -> String {
    let mut service = Service::start(answer.replace('\n', "\r\n").into_bytes(), at_a_time);
    if closes {
        service.held = None;
    }
    let shown = run(async {
        let mut connection = Connection::open(service.address).await.unwrap();
        match connection.exchange(&request(method.clone()), READING).await {
            Ok(Received {
                status,
                headers,
                body,
            }) => {
                let goes_on = if connection.is_reusable && connection.read.is_empty() {
                    "goes on"
                } else {
                    "ends"
                };
                format!(
                    "{status}, {} headers, {:?}, {goes_on}",
                    headers.len(),
                    String::from_utf8_lossy(&body)
                )
            }
            Err(Failure {
                kind,
                message,
                is_unanswered,
            }) => format!(
                "{kind:?}{}: {message}",
                if is_unanswered { ", unanswered" } else { "" }
            ),
        }
    });
    service.end();
    shown
}

#[test]
fn answers_are_read_to_their_end_however_they_come() {
    let head = |rest: &str| format!("HTTP/1.1 200 OK\n{rest}");
    let long = head(&format!("X: {}\n\n", "x".repeat(HEAD_BYTES)));
    let many = head(&"X: y\n".repeat(101));
    let interim = "HTTP/1.1 102 Processing\n\n".repeat(50_000);
    let extended = format!("1;{}\na\n", "x".repeat(60_000)).repeat(18);
    let extended = head(&format!("Transfer-Encoding: chunked\n\n{extended}0\n\n"));
    let mut shown = String::new();
    for (name, answer) in [
        ("length", head("Content-Length: 5\nX: y\n\nhello")),
        ("no body", head("content-length: 0\n\n")),
        (
            "chunks",
            head("Transfer-Encoding: chunked\n\n3;a=b\nhel\n002\nlo\n0\nTrailer: x\n\n"),
        ),
        ("no content", "HTTP/1.1 204 No Content\n\n".into()),
        (
            "not modified",
            "HTTP/1.1 304 Not Modified\nContent-Length: 5\n\n".into(),
        ),
        ("no reason", "HTTP/1.1 404\nContent-Length: 0\n\n".into()),
        (
            "interim",
            format!(
                "HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nLink: x\n\n{}",
                head("Content-Length: 2\n\nok")
            ),
        ),
        (
            "told to close",
            head("Connection: Keep-Alive, Close\nContent-Length: 2\n\nok"),
        ),
        (
            "same length twice",
            head("Content-Length: 2, 2\nContent-Length: 2\n\nok"),
        ),
        (
            "both framings",
            head("Content-Length: 2\nTransfer-Encoding: gzip, chunked\n\n2\nok\n0\n\n"),
        ),
        ("old", "HTTP/1.0 200 OK\nContent-Length: 2\n\nok".into()),
        (
            "old, kept alive",
            "HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: 2\n\nok".into(),
        ),
        (
            "another length",
            head("Content-Length: 2\nContent-Length: 3\n\nok"),
        ),
        ("signed length", head("Content-Length: +2\n\nok")),
        ("huge length", head("Content-Length: 99999999999999999999\n\nok")),
        ("too long", head("Content-Length: 21\n\n123456789012345678901")),
        (
            "too long in chunks",
            head("Transfer-Encoding: chunked\n\nf\n123456789012345\n6\n123456\n0\n\n"),
        ),
        ("no chunk", head("Transfer-Encoding: chunked\n\nz\n")),
        (
            "overlong chunk",
            head("Transfer-Encoding: chunked\n\n2\nokay\n0\n\n"),
        ),
        (
            "other protocol",
            "HTTP/1.1 101 Switching Protocols\nUpgrade: x\n\n".into(),
        ),
        ("no HTTP", "SSH-2.0-OpenSSH_9.2\n".into()),
        ("HTTP/2", "HTTP/2 200\n\n".into()),
        ("long head", long),
        ("many headers", many),
        ("interim without end", interim),
        ("long lines of chunks", extended),
    ] {
        let whole = answered(&Method::GET, &answer, usize::MAX, false);
        // A head that is too long is found to be so before its end.
        let at_a_time = if answer.len() > HEAD_BYTES { 1 << 10 } else { 1 };
        assert_eq!(
            answered(&Method::GET, &answer, at_a_time, false),
            whole,
            "{name}, in pieces"
        );
        shown.push_str(&format!("{name}: {whole}\n"));
    }
    insta::assert_snapshot!(shown, @r#"
    length: 200, 2 headers, "hello", goes on
    no body: 200, 1 headers, "", goes on
    chunks: 200, 1 headers, "hello", goes on
    no content: 204, 0 headers, "", goes on
    not modified: 304, 1 headers, "", goes on
    no reason: 404, 1 headers, "", goes on
    interim: 200, 1 headers, "ok", goes on
    told to close: 200, 2 headers, "ok", ends
    same length twice: 200, 2 headers, "ok", goes on
    both framings: 200, 2 headers, "ok", ends
    old: 200, 1 headers, "ok", ends
    old, kept alive: 200, 2 headers, "ok", goes on
    another length: Protocol: the answer is not HTTP/1.1: invalid header value
    signed length: Protocol: the answer is not HTTP/1.1: invalid header value
    huge length: Protocol: the answer is not HTTP/1.1: invalid header value
    too long: Body: the body is over 20 bytes long
    too long in chunks: Body: the body is over 20 bytes long
    no chunk: Protocol: the answer is not HTTP/1.1: invalid token
    overlong chunk: Protocol: the answer is not HTTP/1.1: invalid new line
    other protocol: Protocol: the answer is not HTTP/1.1: it changes to another protocol
    no HTTP: Protocol: the answer is not HTTP/1.1: invalid HTTP version
    HTTP/2: Protocol: the answer is not HTTP/1.1: invalid HTTP version
    long head: Protocol: the answer is not HTTP/1.1: a head or the line of a chunk is over 65536 bytes long
    many headers: Protocol: the answer is not HTTP/1.1: too many headers
    interim without end: Protocol: the answer is not HTTP/1.1: what is not of the body is over 1048576 bytes long
    long lines of chunks: Protocol: the answer is not HTTP/1.1: what is not of the body is over 1048576 bytes long
    "#);
}

#[test]
fn the_end_of_the_connection_ends_only_an_answer_that_says_so() {
    let mut shown = String::new();
    for (name, answer) in [
        ("nothing", ""),
        ("part of a head", "HTTP/1.1 200"),
        ("part of a body", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhel"),
        (
            "part of a chunk",
            "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhel",
        ),
        (
            "no last chunk",
            "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n",
        ),
        ("until closed", "HTTP/1.1 200 OK\n\nhello"),
        (
            "coded until closed",
            "HTTP/1.1 200 OK\nTransfer-Encoding: gzip\n\nhello",
        ),
        (
            "too long until closed",
            "HTTP/1.1 200 OK\n\n123456789012345678901",
        ),
    ] {
        let whole = answered(&Method::GET, answer, usize::MAX, true);
        assert_eq!(
            answered(&Method::GET, answer, 1, true),
            whole,
            "{name}, byte by byte"
        );
        shown.push_str(&format!("{name}: {whole}\n"));
    }
    let unasked = "HTTP/1.1 200 OK\nContent-Length: 2\n\nokay";
    let unasked = answered(&Method::GET, unasked, usize::MAX, false);
    shown.push_str(&format!("said unasked: {unasked}\n"));
    let head = answered(
        &Method::HEAD,
        "HTTP/1.1 200 OK\nContent-Length: 5\n\n",
        usize::MAX,
        false,
    );
    shown.push_str(&format!("HEAD: {head}\n"));
    insta::assert_snapshot!(shown, @r#"
    nothing: Reset, unanswered: the connection was closed before its head was complete
    part of a head: Reset: the connection was closed before its head was complete
    part of a body: Reset: the connection was closed before its body was complete
    part of a chunk: Reset: the connection was closed before its body was complete
    no last chunk: Reset: the connection was closed before its body was complete
    until closed: 200, 0 headers, "hello", ends
    coded until closed: 200, 1 headers, "hello", ends
    too long until closed: Body: the body is over 20 bytes long
    said unasked: 200, 1 headers, "ok", ends
    HEAD: 200, 1 headers, "", goes on
    "#);
}

#[test]
fn a_request_says_the_length_of_its_body_where_it_has_a_meaning() {
    for (method, body, length) in [
        (Method::GET, "", None),
        (Method::DELETE, "", None),
        (Method::POST, "", Some("0")),
        (Method::PATCH, "{}", Some("2")),
        (Method::DELETE, "{}", Some("2")),
    ] {
        let request = request(method.clone()).map(|_| Bytes::from(body));
        let length = length.map_or_else(String::new, |length| format!("content-length: {length}\r\n"));
        let expected = format!("{method} /tasks?a=b HTTP/1.1\r\nhost: service\r\n{length}\r\n{body}");
        assert_eq!(String::from_utf8(written(&request)).unwrap(), expected);
    }
}

#[test]
fn an_answer_before_the_end_of_the_request_counts() {
    let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno".to_vec();
    let service = Service::start(answer, usize::MAX);
    run(async {
        let mut connection = Connection::open(service.address).await.unwrap();
        let body = Bytes::from(vec![0; 64 << 20]);
        let request = request(Method::POST).map(|_| body);
        let received = connection.exchange(&request, READING).await.unwrap();
        assert_eq!((received.status, received.body.as_ref()), (413, &b"no"[..]));
        assert!(!connection.is_usable());
    });
    service.end();
}

#[test]
fn a_connection_that_was_closed_while_it_was_idle_is_not_used() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec();
    let service = Service::start(answer, usize::MAX);
    run(async {
        let mut connection = Connection::open(service.address).await.unwrap();
        connection.exchange(&request(Method::GET), READING).await.unwrap();
        assert!(connection.is_usable());
        service.end();
        connection.stream.readable().await.unwrap();
        assert!(!connection.is_usable());
    });
}
