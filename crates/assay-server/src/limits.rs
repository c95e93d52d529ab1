//! How often somebody may knock: rate limits by the client's address, and by account at sign-in. And how much one person may
//! watch at a time.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use governor::clock::Clock;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::{App, Problem};

/// What is being knocked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gate {
    /// The sign-in: 20 at once, then one every 6 s.
    SignIn,
    /// The API: 1000 at once, then 100 a second.
    Api,
    /// Webhooks: 300 at once, then 30 a second.
    Hooks,
    /// Wrong secrets given to git, or in links: 30 at once, then one every 2 s.
    WrongSecret,
}

impl Gate {
    const ALL: [Self; 4] = [Self::SignIn, Self::Api, Self::Hooks, Self::WrongSecret];

    fn quota(self) -> (u32, Duration) {
        match self {
            Self::SignIn => (20, Duration::from_secs(6)),
            Self::Api => (1_000, Duration::from_millis(10)),
            Self::Hooks => (300, Duration::from_millis(33)),
            Self::WrongSecret => (30, Duration::from_secs(2)),
        }
    }
}

/// Tries at the password of one account, wherever they come from.
const OF_ACCOUNT: (u32, Duration) = (10, Duration::from_secs(30));

/// Live streams at a time, of all together.
const STREAMS: usize = 500;
/// Live streams at a time of one person, whatever tokens and browsers they have.
const STREAMS_OF_ONE: usize = 20;

type By<K> = DefaultKeyedRateLimiter<K>;

/// All counters. They live in this process only: a restart forgives.
pub struct Limits {
    addresses: Vec<(Gate, By<IpAddr>)>,
    accounts: By<String>,
    streams: Arc<Streams>,
}

/// Open live streams, by who watches.
#[derive(Debug, Default)]
struct Streams(Mutex<HashMap<String, usize>>);

impl Streams {
    fn counts(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A live stream, counted for as long as this lives.
#[derive(Debug)]
pub(crate) struct Watching {
    streams: Arc<Streams>,
    who: String,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut counts = self.streams.counts();
        if let Some(n) = counts.get_mut(&self.who) {
            *n -= 1;
            if *n == 0 {
                counts.remove(&self.who);
            }
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            addresses: Gate::ALL
                .into_iter()
                .map(|gate| (gate, limiter(gate.quota())))
                .collect(),
            accounts: limiter(OF_ACCOUNT),
            streams: Arc::default(),
        }
    }
}

fn limiter<K: Clone + std::hash::Hash + Eq>((burst, every): (u32, Duration)) -> By<K> {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    // There is a quota for every period that is not zero.
    let quota = Quota::with_period(every).unwrap_or(Quota::per_second(burst));
    RateLimiter::keyed(quota.allow_burst(burst))
}

fn ask<K: Clone + std::hash::Hash + Eq>(limiter: &By<K>, key: &K) -> Result<(), Problem> {
    limiter.check_key(key).map_err(|not_until| {
        let wait = not_until.wait_time_from(governor::clock::DefaultClock::default().now());
        Problem::too_many(wait)
    })
}

impl Limits {
    /// Counts one more from this address.
    ///
    /// # Errors
    /// 429, with the time after which one more is let through.
    pub fn check(&self, gate: Gate, address: IpAddr) -> Result<(), Problem> {
        let counted = |(of, limiter): &(Gate, By<IpAddr>)| (*of == gate).then(|| ask(limiter, &key(address)));
        self.addresses.iter().find_map(counted).unwrap_or(Ok(()))
    }

    /// Counts one more try at this account.
    ///
    /// # Errors
    /// 429, with the time after which one more is let through.
    pub(crate) fn check_account(&self, login: &str) -> Result<(), Problem> {
        ask(&self.accounts, &login.chars().take(100).collect::<String>())
    }

    /// Counts one more live stream of this person: the id of an account, or of a candidate's assignment.
    ///
    /// # Errors
    /// 429 when they watch enough already; 503 when all together do.
    pub(crate) fn watch(&self, who: &str) -> Result<Watching, Problem> {
        let refused = |status, detail| Err(Problem::new(status, "too_many_streams", detail));
        let mut counts = self.streams.counts();
        if counts.values().sum::<usize>() >= STREAMS {
            let detail = "Too many pages are live at the moment. Reload this one to see what is new.";
            return refused(StatusCode::SERVICE_UNAVAILABLE, detail.to_owned());
        }
        let n = counts.get(who).copied().unwrap_or(0);
        if n >= STREAMS_OF_ONE {
            let detail = format!("You watch {n} runs live already. Close one of them.");
            return refused(StatusCode::TOO_MANY_REQUESTS, detail);
        }
        counts.insert(who.to_owned(), n + 1);
        Ok(Watching {
            streams: self.streams.clone(),
            who: who.to_owned(),
        })
    }

    /// Forgets those who have not knocked for long. To be called from time to time.
    pub(crate) fn forget(&self) {
        for (_, limiter) in &self.addresses {
            limiter.retain_recent();
        }
        self.accounts.retain_recent();
    }
}

/// Whoever has an IPv6 address has 2^64 of them.
fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// Where a request comes from: the connection's other end, or what the proxy in front says, where there is one.
#[derive(Debug, Clone, Copy)]
pub struct Client(pub IpAddr);

impl FromRequestParts<App> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.ip());
        Ok(Self(address(peer, &parts.headers, app.settings().behind_proxy)))
    }
}

/// The last entry is the one that our own proxy wrote; all before it may be anything.
fn address(peer: IpAddr, headers: &HeaderMap, behind_proxy: bool) -> IpAddr {
    let last = headers.get_all("x-forwarded-for").iter().next_back();
    let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    last.filter(|_| behind_proxy).unwrap_or(peer)
}

/// Counts every request to the API.
pub(crate) async fn api(
    State(app): State<App>,
    client: Client,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    app.limits().check(Gate::Api, client.0)?;
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_is_believed_where_there_is_one() {
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        for (forwarded, behind_proxy, expected) in [
            ("1.2.3.4", false, "10.0.0.1"),
            ("1.2.3.4", true, "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4", true, "1.2.3.4"),
            ("1.2.3.4, nonsense", true, "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            let found = address(peer, &headers, behind_proxy);
            assert_eq!(found.to_string(), expected, "{forwarded} {behind_proxy}");
        }
    }

    #[test]
    fn one_address_does_not_use_up_what_others_have() {
        let limits = Limits::default();
        let [a, near_a, b] =
            ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|text| text.parse::<IpAddr>().unwrap());
        let n = (0..100).filter(|_| limits.check(Gate::SignIn, a).is_ok()).count();
        assert_eq!(n, 20);
        assert!(limits.check(Gate::SignIn, near_a).is_err());
        assert!(limits.check(Gate::SignIn, b).is_ok());
        assert!(limits.check(Gate::Hooks, a).is_ok());
        let problem = limits.check(Gate::SignIn, a).unwrap_err();
        assert_eq!(problem.status, 429);
        assert!(problem.retry_after.unwrap() <= Duration::from_secs(6));
    }
}
