//! Database insight: what a service says of its own work, before and after the load and around each endpoint alone.

use std::time::{Duration, Instant};

use assay_core::fault::Stop;
use assay_core::insight::{Alone, Insight, Snapshot};
use assay_core::load::{LoadAsk, LoadPlan, Method, Paused, Request};
use assay_sandbox::{Command, Container, Exited};

use crate::context::{self, Context};
use crate::faults;
use crate::load::{Raw, Session};
use crate::service::{Running, millis};
use crate::text;

/// Requests of an endpoint that are sent alone: of one that reads, and of one that writes.
const READS: u32 = 20;
const WRITES: u32 = 5;
/// How long the requests of one endpoint may take together; of a slow one fewer are sent.
const OF_ONE: Duration = Duration::from_secs(2);
/// No further endpoint is looked at after so long: the check has a limit, and this must not be what exceeds it.
const OF_ALL: Duration = Duration::from_secs(20);
/// How long a service may go on with requests that nobody waits for any more.
const UNREST: Duration = Duration::from_secs(60);
/// It is at rest when it asks for nothing for so long, and takes at most this share of a core meanwhile, in percent.
const REST: Duration = Duration::from_millis(250);
const REST_PERCENT: u64 = 10;
/// Most bytes of a snapshot.
const SNAPSHOT_BYTES: u64 = 4 << 20;
const DEADLINE: Duration = Duration::from_secs(15);

/// A service that counts, watched during a load. What goes wrong here is said, and costs nobody anything.
pub(crate) struct Watch<'a> {
    container: Container,
    /// The candidate's, which asks it.
    app: Container,
    service: &'a str,
    command: &'a str,
    before: Option<Snapshot>,
    after: Option<Snapshot>,
    /// The endpoints that were sent alone.
    windows: Vec<Window>,
    restless: bool,
    /// Why nothing could be seen.
    blind: Option<String>,
    /// The snapshots that count, as they were printed.
    raw: Vec<u8>,
}

/// Requests of one endpoint.
struct Window {
    endpoint: String,
    operation: String,
    requests: u64,
    before: Snapshot,
    after: Snapshot,
}

impl<'a> Watch<'a> {
    /// Watches the first service that counts; none when there is no such service.
    pub(crate) fn of(context: &'a Context<'a>, running: &Running<'_>) -> Option<Self> {
        let (service, command) = context
            .folder
            .services
            .iter()
            .find_map(|service| Some((service.name.as_str(), service.insight.as_deref()?)))?;
        Some(Self {
            container: running.service_container(service)?.clone(),
            app: running.app_container().clone(),
            service,
            command,
            before: None,
            after: None,
            windows: Vec::new(),
            restless: false,
            blind: None,
            raw: Vec::new(),
        })
    }

    /// Takes the snapshot before the load.
    pub(crate) async fn look_before(&mut self) {
        self.before = self.look().await;
    }

    /// Takes the snapshot after the load, then sends each endpoint of the plan alone and takes one after each.
    ///
    /// # Errors
    /// What stopped the generator.
    pub(crate) async fn look_after(&mut self, plan: &LoadPlan, generator: &mut Session) -> Result<(), Stop> {
        let Some(mut now) = self.look_at_rest().await else {
            return Ok(());
        };
        self.after = Some(now.clone());
        let began = Instant::now();
        let is_measured = |name: &str| {
            let mut measured = plan.scenarios.values().filter(|scenario| !scenario.warm_up);
            measured.any(|scenario| scenario.mix.get(name).is_some_and(|weight| *weight > 0))
        };
        for (name, request) in plan.requests.iter().filter(|(name, _)| is_measured(name)) {
            if self.restless || began.elapsed() > OF_ALL {
                break;
            }
            let only = |count| LoadAsk::Only {
                request: name.clone(),
                count,
            };
            let Some(first) = generator.ask(&only(1)).await? else {
                break;
            };
            let wanted = if request.method == Method::Get {
                READS
            } else {
                WRITES
            };
            let affordable = millis(OF_ONE) / first.took_ms.max(1);
            let count = u32::try_from(affordable).unwrap_or(u32::MAX).min(wanted - 1);
            let rest = if first.ok > 0 && count > 0 {
                generator.ask(&only(count)).await?.unwrap_or_default()
            } else {
                Paused::default()
            };
            // One that fails says nothing of what it costs when it works, and may still be worked on.
            let worked = first.ok > 0 && rest.errors == 0;
            let looked = if worked {
                self.look().await
            } else {
                self.look_at_rest().await
            };
            let Some(after) = looked else { break };
            let before = std::mem::replace(&mut now, after);
            if worked {
                self.windows.push(Window {
                    endpoint: name.clone(),
                    operation: operation(request),
                    requests: first.ok + rest.ok,
                    before,
                    after: now.clone(),
                });
            }
        }
        Ok(())
    }

    /// What was seen, for a load of so many requests. The snapshots become evidence.
    ///
    /// # Errors
    /// Why nothing was seen.
    pub(crate) fn sum_up(self, requests: u64, raw: &mut Raw) -> Result<Insight, String> {
        if let Some(blind) = self.blind {
            return Err(blind);
        }
        raw.push(("database.jsonl", self.raw));
        let (Some(before), Some(after)) = (&self.before, &self.after) else {
            return Err("the load did not come to its end".to_owned());
        };
        let alone = self.windows.iter().map(|window| Alone {
            endpoint: &window.endpoint,
            operation: window.operation.clone(),
            requests: window.requests,
            before: &window.before,
            after: &window.after,
        });
        let alone: Vec<Alone<'_>> = alone.collect();
        Ok(Insight {
            restless: self.restless,
            ..Insight::of(self.service, requests, before, after, &alone)
        })
    }

    /// A snapshot, once the service asks for nothing any more: it may still work on requests that were given up. When it does
    /// not come to rest, the last one.
    async fn look_at_rest(&mut self) -> Option<Snapshot> {
        let began = Instant::now();
        let raw_bytes = self.raw.len();
        let mut last = self.look().await?;
        loop {
            // Of those before the last one nothing is kept, however many there are.
            self.raw.truncate(raw_bytes);
            let (since, used_before) = (Instant::now(), self.app_cpu_ms().await);
            tokio::time::sleep(REST).await;
            let now = self.look().await?;
            let used_ms = self.app_cpu_ms().await.saturating_sub(used_before);
            let is_idle = used_ms * 100 <= millis(since.elapsed()) * REST_PERCENT;
            self.restless = !is_idle || !now.is_at_rest_since(&last);
            if !self.restless || began.elapsed() > UNREST {
                return Some(now);
            }
            last = now;
        }
    }

    /// CPU time of the candidate's service so far; 0 where it is not known.
    async fn app_cpu_ms(&self) -> u64 {
        let usage = self.app.usage().await;
        usage.ok().flatten().map_or(0, |used| used.cpu_ms)
    }

    /// A snapshot; none once something went wrong.
    async fn look(&mut self) -> Option<Snapshot> {
        if self.blind.is_some() {
            return None;
        }
        self.snapshot().await.map_err(|why| self.blind = Some(why)).ok()
    }

    async fn snapshot(&mut self) -> Result<Snapshot, String> {
        let command = Command::shell(self.command)
            .cwd("/tmp")
            .deadline(DEADLINE)
            .output(context::at_most(SNAPSHOT_BYTES));
        let exited: Exited = self
            .container
            .exec(command)
            .await
            .map_err(|error| error.to_string())?;
        if !exited.success() {
            return Err(format!("{}: {}", faults::ending(&exited), exited.stderr.text()));
        }
        let text = exited.stdout.text();
        self.raw.extend_from_slice(text.trim_end().as_bytes());
        self.raw.push(b'\n');
        let mut snapshot: Snapshot = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        make_visible(&mut snapshot);
        Ok(snapshot)
    }
}

/// Names and statements are the candidate's words.
fn make_visible(snapshot: &mut Snapshot) {
    let statements = snapshot
        .statements
        .iter_mut()
        .map(|statement| &mut statement.text);
    let tables = snapshot.tables.iter_mut().map(|table| &mut table.name);
    let keys = snapshot.unindexed.iter_mut().flat_map(|key| {
        key.columns
            .iter_mut()
            .chain([&mut key.table, &mut key.references])
    });
    for name in statements.chain(tables).chain(keys) {
        *name = text::visible(name);
    }
}

/// Method and path for people: `GET /tasks/{id}`.
fn operation(request: &Request) -> String {
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    };
    let path = request.path.split('?').next().unwrap_or_default();
    let mut shown = format!("{method} ");
    let mut rest = path;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let name = name.rsplit('.').next().unwrap_or(name);
        shown.push_str(&format!("{before}{{{name}}}"));
        rest = after;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_readable() {
        for (request, expected) in [
            ("{path: /stats}", "GET /stats"),
            ("{path: '/tasks?cursor=${captured.page.cursor}'}", "GET /tasks"),
            (
                "{method: PATCH, path: '/tasks/${captured.task.id}/x/${uuid}'}",
                "PATCH /tasks/{id}/x/{uuid}",
            ),
            ("{path: '/a/${unfinished'}", "GET /a/{unfinished}"),
        ] {
            let request: Request = assay_core::yaml::read_shape("load.yaml", request).unwrap();
            assert_eq!(operation(&request), expected);
        }
    }
}
