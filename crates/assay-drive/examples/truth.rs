//! A service whose every latency is known beforehand, for `ci/bench/latency`.
//!
//!     truth MODEL RATE SECONDS [LOG]
//!
//! prints its port, answers until its standard input ends, and then prints as JSON what it saw (requests, how late each
//! came for the schedule, its own CPU time) and the latencies that a client *must* report which sends `RATE` requests
//! a second for `SECONDS`. `LOG` gets a line per request: its arrival and its completion, in nanoseconds since the first.
//!
//! One thread, timers in nanoseconds, the last 60 µs are waited for actively. The times do not depend on the client.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;

use anyhow::Context as _;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::prctl::set_timerslack;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeSpec, TimeValLike as _};
use nix::sys::timerfd::{ClockId as TimerClock, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::ClockId;
use serde_json::{Value, json};

const MS: u64 = 1_000_000;
/// How long before a completion it is waited for actively, in nanoseconds.
const SPIN_NS: u64 = 60_000;
/// Longest request that is understood, in bytes.
const MAX_REQUEST: usize = 64 << 10;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: keep-alive\r\n\
    Content-Length: 15\r\n\r\n{\"status\":\"ok\"}";

/// How long requests take. Times are nanoseconds since the first request.
#[derive(Debug, Clone, Copy)]
enum Model {
    /// At once.
    Fast,
    /// `fast`, but every so many `slow`; as many at a time as there are.
    Bimodal { fast: u64, slow: u64, every: u64 },
    /// `fast`, but nothing is answered during `frozen` of each `period`, from `from` on.
    Stall {
        fast: u64,
        period: u64,
        frozen: u64,
        from: u64,
    },
    /// One after the other, `each` long.
    Serial { each: u64 },
}

impl Model {
    fn named(name: &str) -> anyhow::Result<Self> {
        Ok(match name {
            "fast" => Self::Fast,
            "fast1ms" => Self::Bimodal {
                fast: MS,
                slow: MS,
                every: 1,
            },
            "bimodal" => Self::Bimodal {
                fast: 5 * MS,
                slow: 200 * MS,
                every: 50,
            },
            "stall" => Self::Stall {
                fast: 5 * MS,
                period: 10_000 * MS,
                frozen: 1_000 * MS,
                from: 4_500 * MS,
            },
            "overload" => Self::Serial { each: 4 * MS },
            _ => anyhow::bail!("`{name}` is no model: fast, fast1ms, bimodal, stall or overload"),
        })
    }
}

/// What answers have been promised so far.
#[derive(Debug)]
struct Promises {
    model: Model,
    given: u64,
    /// When the single server is free again.
    free_at: u64,
}

impl Promises {
    const fn of(model: Model) -> Self {
        Self {
            model,
            given: 0,
            free_at: 0,
        }
    }

    /// When the request is answered that came now.
    fn next(&mut self, now: u64) -> u64 {
        let number = self.given;
        self.given += 1;
        match self.model {
            Model::Fast => now,
            Model::Bimodal { fast, slow, every } => {
                now + if number % every == every - 1 { slow } else { fast }
            }
            Model::Stall {
                fast,
                period,
                frozen,
                from,
            } => {
                let done = now + fast;
                let phase = done % period;
                if (from..from + frozen).contains(&phase) {
                    done - phase + from + frozen
                } else {
                    done
                }
            }
            Model::Serial { each } => {
                self.free_at = self.free_at.max(now) + each;
                self.free_at
            }
        }
    }
}

/// What a client must see that sends so many a second, so long.
fn truth(model: Model, rate: u64, seconds: u64) -> Value {
    let mut promises = Promises::of(model);
    let latency = |i: u64| {
        let intended = i * 1_000 * MS / rate;
        promises.next(intended) - intended
    };
    spread((0..rate * seconds).map(latency).collect())
}

/// Percentiles by nearest rank, in milliseconds.
fn spread(mut times: Vec<u64>) -> Value {
    times.sort_unstable();
    let at = |share: f64| {
        let rank = (share * times.len() as f64).ceil() as usize;
        times.get(rank.saturating_sub(1)).map(|ns| *ns as f64 / 1e6)
    };
    json!({
        "count": times.len(), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "p99.9": at(0.999), "max": at(1.0),
    })
}

/// A connection and what came over it that is not answered yet.
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// One request, cut off the front.
fn next_request(read: &mut Vec<u8>) -> Option<()> {
    let head = read.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let mut body = 0_usize;
    // A GET has none, and the model `fast` has no time to look.
    if !read.starts_with(b"GET ") {
        let text = String::from_utf8_lossy(read.get(..head)?).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        body = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    }
    (read.len() >= head + body).then(|| drop(read.drain(..head + body)))
}

/// The server.
struct Server {
    listener: TcpListener,
    epoll: Epoll,
    timer: TimerFd,
    /// By number; a number is not used twice.
    connections: Vec<Option<Connection>>,
    promises: Promises,
    /// When the first request came.
    first: Option<u64>,
    /// Completion, arrival and connection of what is to be answered; the next one on top.
    due: BinaryHeap<Reverse<(u64, u64, usize)>>,
    /// Arrivals and completions.
    log: Vec<(u64, u64)>,
}

const LISTENER: u64 = u64::MAX;
const INPUT: u64 = u64::MAX - 1;
const TIMER: u64 = u64::MAX - 2;

impl Server {
    fn start(model: Model) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(TimerClock::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
        let readable = |number| EpollEvent::new(EpollFlags::EPOLLIN, number);
        epoll.add(&listener, readable(LISTENER))?;
        epoll.add(std::io::stdin().as_fd(), readable(INPUT))?;
        epoll.add(&timer, readable(TIMER))?;
        Ok(Self {
            listener,
            epoll,
            timer,
            connections: Vec::new(),
            promises: Promises::of(model),
            first: None,
            due: BinaryHeap::new(),
            log: Vec::new(),
        })
    }

    /// Answers until standard input ends.
    fn run(&mut self) -> anyhow::Result<()> {
        let mut events = [EpollEvent::empty(); 256];
        let mut buffer = vec![0; MAX_REQUEST];
        loop {
            let patience = self.arm()?;
            let count = match self.epoll.wait(&mut events, patience) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(error) => return Err(error.into()),
            };
            for event in events.iter().take(count) {
                match event.data() {
                    LISTENER => self.accept()?,
                    INPUT if std::io::stdin().read(&mut buffer)? == 0 => return Ok(()),
                    // An armed timer is armed anew each time, which also makes it unreadable again.
                    INPUT | TIMER => (),
                    number => self.receive(usize::try_from(number)?, &mut buffer)?,
                }
            }
            self.answer_due()?;
        }
    }

    /// Sets the timer for the next completion; gives how long may be waited at all.
    fn arm(&self) -> anyhow::Result<EpollTimeout> {
        let Some(Reverse((due, ..))) = self.due.peek() else {
            return Ok(EpollTimeout::NONE);
        };
        let wake = due + self.first.unwrap_or_default() - SPIN_NS;
        if wake <= now()? {
            return Ok(EpollTimeout::ZERO);
        }
        let at = Expiration::OneShot(TimeSpec::nanoseconds(i64::try_from(wake)?));
        self.timer.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        Ok(EpollTimeout::NONE)
    }

    fn accept(&mut self) -> anyhow::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let number = u64::try_from(self.connections.len())?;
                    self.epoll
                        .add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number))?;
                    self.connections.push(Some(Connection {
                        stream,
                        read: Vec::new(),
                    }));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn receive(&mut self, number: usize, buffer: &mut [u8]) -> anyhow::Result<()> {
        let Some(slot) = self.connections.get_mut(number) else {
            return Ok(());
        };
        let Some(connection) = slot else { return Ok(()) };
        let length = match connection.stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Ok(length) if length > 0 && connection.read.len() < MAX_REQUEST => length,
            _ => {
                *slot = None;
                return Ok(());
            }
        };
        connection
            .read
            .extend_from_slice(buffer.get(..length).unwrap_or_default());
        let now = now()?;
        let first = *self.first.get_or_insert(now);
        while next_request(&mut connection.read).is_some() {
            let arrival = now - first;
            let due = self.promises.next(arrival);
            if matches!(self.promises.model, Model::Fast) {
                // Who does not read has closed.
                let _ = connection.stream.write(ANSWER);
            } else {
                self.due.push(Reverse((due, arrival, number)));
            }
        }
        Ok(())
    }

    fn answer_due(&mut self) -> anyhow::Result<()> {
        let first = self.first.unwrap_or_default();
        while let Some(Reverse((due, arrival, number))) = self.due.peek().copied() {
            let mut since_first = now()? - first;
            if due > since_first + SPIN_NS {
                break;
            }
            while since_first < due {
                since_first = now()? - first;
            }
            self.due.pop();
            self.log.push((arrival, since_first));
            if let Some(Some(connection)) = self.connections.get_mut(number) {
                let _ = connection.stream.write(ANSWER);
            }
        }
        Ok(())
    }

    /// How late requests came, against so many a second. The one that came earliest for its number was on time.
    fn lags(&self, rate: u64) -> Vec<u64> {
        let mut arrivals: Vec<u64> = self.log.iter().map(|(arrival, _)| *arrival).collect();
        arrivals.sort_unstable();
        let intended = (0_i128..).map(|i| i * 1_000_000_000 / i128::from(rate));
        let late = arrivals
            .iter()
            .zip(intended)
            .map(|(arrival, intended)| i128::from(*arrival) - intended);
        let earliest = late.clone().min().unwrap_or(0);
        late.map(|late| u64::try_from(late - earliest).unwrap_or(0))
            .collect()
    }
}

fn now() -> anyhow::Result<u64> {
    Ok(u64::try_from(ClockId::CLOCK_MONOTONIC.now()?.num_nanoseconds())?)
}

fn say(line: &Value) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, rate, seconds, log @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: truth MODEL RATE SECONDS [LOG]");
    };
    let model = Model::named(model)?;
    let rate: u64 = rate.parse().context("RATE is not a number")?;
    let seconds: u64 = seconds.parse().context("SECONDS is not a number")?;
    anyhow::ensure!(rate > 0 && seconds > 0, "RATE and SECONDS must be over 0");
    // Without it the kernel may be 50 µs late to save energy.
    set_timerslack(1)?;
    let mut server = Server::start(model)?;
    say(&json!({"port": server.listener.local_addr()?.port()}))?;
    server.run()?;
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    say(&json!({
        "requests": server.promises.given,
        "connections": server.connections.len(),
        "cpu_ms": usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds(),
        "lag": spread(server.lags(rate)),
        "truth": truth(model, rate, seconds),
    }))?;
    if let Some(log) = log.first() {
        let lines = server
            .log
            .iter()
            .map(|(arrival, done)| format!("{arrival} {done}\n"));
        std::fs::write(log, lines.collect::<String>())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_is_what_can_be_computed_by_hand() {
        for (name, rate, seconds, expected) in [
            ("fast1ms", 200, 4, [1.0, 1.0, 1.0, 1.0, 1.0]),
            ("bimodal", 200, 5, [5.0, 5.0, 200.0, 200.0, 200.0]),
            ("stall", 200, 10, [5.0, 505.0, 905.0, 995.0, 1005.0]),
            ("overload", 300, 20, [2003.33, 3803.33, 3963.33, 3999.33, 4003.33]),
        ] {
            let truth = truth(Model::named(name).unwrap(), rate, seconds);
            for (key, expected) in ["p50", "p95", "p99", "p99.9", "max"].into_iter().zip(expected) {
                let computed = truth[key].as_f64().unwrap();
                assert!((computed - expected).abs() < 0.01, "{name} {key}: {computed}");
            }
        }
    }

    #[test]
    fn requests_are_cut_off_one_by_one() {
        let mut read =
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab".to_vec();
        assert!(next_request(&mut read).is_some());
        assert!(next_request(&mut read).is_none());
        read.push(b'c');
        assert!(next_request(&mut read).is_some());
        assert!(read.is_empty());
    }
}
