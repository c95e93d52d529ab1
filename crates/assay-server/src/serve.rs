//! Listening: connections with limits on their number and on how slowly they may be, and an end that drains.

mod resting;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use resting::{Resting, Seat};

/// Most connections at once. One more takes the place of the one that has been without a request for longest; where all are
/// being answered, it waits.
const MOST_CONNECTIONS: usize = 1024;
/// How long a client may take nothing of an answer.
const TAKES_WITHIN: Duration = Duration::from_secs(60);
/// How long a client may take to send a request's headers, and how long a connection may be idle between two requests.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// Largest headers of one request, in bytes.
const MOST_HEADER_BYTES: usize = 64 << 10;
/// Pause after a failed accept: the process has no file handle left, and the next try would fail, too.
const PAUSE: Duration = Duration::from_millis(100);

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every request was answered.
    Whole,
    /// Time ran out with connections still open; they were cut.
    Cut {
        /// How many.
        n_open: usize,
    },
}

/// Answers requests until `stop` is cancelled. Then nothing new is accepted, and what is being answered has `drain` to end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: &CancellationToken,
    drain: Duration,
) -> Drained {
    let open = TaskTracker::new();
    let cut = CancellationToken::new();
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let resting = Arc::new(Resting::default());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places, &resting) => accepted,
        };
        let Some((stream, peer, place)) = accepted else {
            continue;
        };
        let (router, stop) = (router.clone(), stop.clone());
        let seat = Seat::take(&resting, cut.child_token());
        open.spawn(async move {
            tokio::select! {
                () = seat.given_up() => (),
                () = converse(stream, peer, router, &stop, &seat) => (),
            }
            drop(place);
        });
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(drain, open.wait()).await.is_ok() {
        return Drained::Whole;
    }
    let n_open = open.len();
    cut.cancel();
    open.wait().await;
    Drained::Cut { n_open }
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    resting: &Resting,
) -> Option<(TcpStream, SocketAddr, Place)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            if places.available_permits() == 0 {
                resting.cut_longest();
            }
            let place = places.clone().acquire_owned().await.ok()?;
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted: {error}");
            resting.cut_longest();
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

/// Answers the requests of one connection.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    stop: &CancellationToken,
    seat: &Arc<Seat>,
) {
    // Live events are small and should not wait for each other.
    drop(stream.set_nodelay(true));
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TAKES_WITHIN));
    let service = hyper::service::service_fn(|request: Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let (router, working) = (router.clone(), seat.work());
        async move {
            let response = answered(request, router).await;
            // For as long as the answer's body is being sent.
            Ok::<_, std::convert::Infallible>(response.map(|body| {
                body.map_frame(move |frame| {
                    let _ = &working;
                    frame
                })
            }))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(MOST_HEADER_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection broke off: {error}");
    }
}

/// A body that is refused for its size ends its connection: nobody waits for the rest of it. So does a body in pieces. Such a request may have had a length, too, which is not believed; where a proxy in front
/// believed it, what the two of us disagree about is never taken for another request.
async fn answered(request: Request<Body>, router: Router) -> Response {
    let is_in_pieces = request.headers().contains_key(header::TRANSFER_ENCODING);
    let Ok(mut response) = router.oneshot(request).await;
    if is_in_pieces || response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;

    use super::*;

    /// Serves a page that begins to answer (`entered`) and ends when told (`leave`).
    async fn start(
        drain: Duration,
    ) -> (
        SocketAddr,
        CancellationToken,
        Arc<(Notify, Notify)>,
        tokio::task::JoinHandle<Drained>,
    ) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let signals = Arc::new((Notify::new(), Notify::new()));
        let (handlers, token) = (signals.clone(), stop.clone());
        let page = move |ConnectInfo(peer): ConnectInfo<SocketAddr>| {
            let signals = handlers.clone();
            async move {
                signals.0.notify_one();
                signals.1.notified().await;
                peer.ip().to_string()
            }
        };
        let router = Router::new().route("/", get(page));
        let serving = tokio::spawn(async move { serve(listener, router, &token, drain).await });
        (address, stop, signals, serving)
    }

    async fn ask(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        stream
    }

    #[tokio::test]
    async fn what_is_being_answered_is_answered_and_nothing_new_is_accepted() {
        let (address, stop, signals, serving) = start(Duration::from_secs(30)).await;
        let mut stream = ask(address).await;
        let idle = TcpStream::connect(address).await.unwrap();
        signals.0.notified().await;
        stop.cancel();
        signals.1.notify_one();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("127.0.0.1"), "{answer}");
        drop(idle);
        assert_eq!(serving.await.unwrap(), Drained::Whole);
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn who_takes_too_long_is_cut() {
        let (address, stop, signals, serving) = start(Duration::from_millis(10)).await;
        let mut stream = ask(address).await;
        signals.0.notified().await;
        stop.cancel();
        assert_eq!(serving.await.unwrap(), Drained::Cut { n_open: 1 });
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer).await;
        assert!(read.is_err() || answer.is_empty());
    }
}
