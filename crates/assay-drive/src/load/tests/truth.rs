//! A service on loopback that does what a test says, to the millisecond: one blocking thread per connection.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A request as it came.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// What is answered.
pub(super) enum Reply {
    Http {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    Raw(Vec<u8>),
    Close,
}

impl Reply {
    pub(super) fn json(status: u16, body: &str) -> Self {
        Self::Http {
            status,
            headers: Vec::new(),
            body: body.to_owned(),
        }
    }
}

/// A running service; it ends when it is dropped.
pub(super) struct Service {
    base_url: String,
    over: Arc<AtomicBool>,
}

impl Service {
    /// The handler is given each request and the time since the first one came.
    pub(super) fn start(handler: impl Fn(&Request, Duration) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_closing_after(usize::MAX, handler)
    }

    /// Closes each connection after so many requests.
    pub(super) fn start_closing_after(
        requests: usize,
        handler: impl Fn(&Request, Duration) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let over = Arc::new(AtomicBool::new(false));
        let (handler, first, ended) = (Arc::new(handler), Arc::new(OnceLock::new()), Arc::clone(&over));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, first) = (Arc::clone(&handler), Arc::clone(&first));
                std::thread::spawn(move || converse(&stream, requests, &first, &*handler));
            }
        });
        Self { base_url, over }
    }

    /// Nobody listens there.
    pub(super) fn absent(base_url: String) -> Self {
        Self {
            base_url,
            over: Arc::new(AtomicBool::new(true)),
        }
    }

    pub(super) fn base_url(&self) -> String {
        self.base_url.clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listener up, so that it ends and its port is closed.
        while TcpStream::connect(self.base_url.trim_start_matches("http://")).is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn converse(
    stream: &TcpStream,
    requests: usize,
    first: &OnceLock<Instant>,
    handler: &(impl Fn(&Request, Duration) -> Reply + ?Sized),
) {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut reader = BufReader::new(stream);
    for _ in 0..requests {
        let Some(request) = read(&mut reader) else { return };
        let since_first = first.get_or_init(Instant::now).elapsed();
        let bytes = match handler(&request, since_first) {
            Reply::Http {
                status,
                headers,
                body,
            } => {
                let mut text = format!("HTTP/1.1 {status} Some\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    text.push_str(&format!("{name}: {value}\r\n"));
                }
                (text + "\r\n" + &body).into_bytes()
            }
            Reply::Raw(bytes) => bytes,
            Reply::Close => return,
        };
        if { stream }.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = || {
        let mut line = String::new();
        reader
            .read_line(&mut line)
            .ok()
            .filter(|n| *n > 0)
            .map(|_| line.trim_end().to_owned())
    };
    let start = line()?;
    let mut headers = BTreeMap::new();
    while let Some((name, value)) = line()?.split_once(':') {
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut parts = start.split(' ').map(str::to_owned);
    Some(Request {
        method: parts.next()?,
        path: parts.next()?,
        headers,
        body,
    })
}

/// A store of items per user, with versions.
pub(super) fn items() -> Service {
    store(|_| true)
}

/// The same, but it confirms some items that it does not keep in mind.
pub(super) fn forgetful_items() -> Service {
    store(|n| n % 10 != 0)
}

fn store(counts: impl Fn(usize) -> bool + Send + Sync + 'static) -> Service {
    let stored: Mutex<BTreeMap<String, (String, Value)>> = Mutex::default();
    Service::start(move |request, _| {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if request.path == "/token" {
            return Reply::json(200, &json!({"token": body["name"]}).to_string());
        }
        let Some(user) = request
            .headers
            .get("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
        else {
            return Reply::json(401, "{}");
        };
        let mut stored = stored.lock().unwrap();
        let mut create = |title: &Value| {
            let id = format!("i{}", stored.len());
            let item = json!({"id": id, "title": title, "version": 1});
            stored.insert(id, (user.to_owned(), item.clone()));
            item
        };
        let (status, answer) = match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/bulk") => {
                let titles = body["items"].as_array().unwrap();
                (
                    200,
                    json!({"items": titles.iter().map(|item| create(&item["title"])).collect::<Vec<_>>()}),
                )
            }
            ("POST", "/items") => (201, create(&body["title"])),
            ("GET", "/stats") => {
                let own = stored.values().filter(|(owner, _)| owner == user).enumerate();
                (200, json!({"total": own.filter(|(n, _)| counts(*n)).count()}))
            }
            (_, path) => match stored.get_mut(path.trim_start_matches("/items/")) {
                Some((owner, item)) if owner == user => {
                    let version = item["version"].as_u64().unwrap();
                    if request.headers.get("if-match") != Some(&format!("\"{version}\"")) {
                        return Reply::json(412, "{}");
                    }
                    (item["title"], item["version"]) = (body["title"].clone(), json!(version + 1));
                    (200, item.clone())
                }
                _ => return Reply::json(404, "{}"),
            },
        };
        let etag = format!("\"{}\"", answer["version"]);
        Reply::Http {
            status,
            headers: vec![("etag", etag)],
            body: answer.to_string(),
        }
    })
}
