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
/// Most bytes of a snapshot.
const SNAPSHOT_BYTES: u64 = 4 << 20;
const DEADLINE: Duration = Duration::from_secs(15);

/// A service that counts, watched during a load. What goes wrong here is said, and costs nobody anything.
pub(crate) struct Watch<'a> {
    container: Container,
    service: &'a str,
    command: &'a str,
    /// Before the load, after it, and after each endpoint; or why there is nothing.
    seen: Result<Vec<Snapshot>, String>,
    /// The endpoints that were sent alone: name, operation, requests.
    alone: Vec<(String, String, u64)>,
    /// All snapshots as they were printed.
    raw: Vec<u8>,
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
            service,
            command,
            seen: Ok(Vec::new()),
            alone: Vec::new(),
            raw: Vec::new(),
        })
    }

    /// Takes a snapshot: one before the load, one after it.
    pub(crate) async fn look(&mut self) {
        let looked = self.snapshot().await;
        match (&mut self.seen, looked) {
            (Ok(seen), Ok(snapshot)) => seen.push(snapshot),
            (Ok(_), Err(why)) => self.seen = Err(why),
            (Err(_), _) => (),
        }
    }

    /// Sends each endpoint of the plan alone and takes a snapshot after each.
    ///
    /// # Errors
    /// What stopped the generator.
    pub(crate) async fn look_at_endpoints(
        &mut self,
        plan: &LoadPlan,
        generator: &mut Session,
    ) -> Result<(), Stop> {
        let began = Instant::now();
        let is_measured = |name: &str| {
            let mut measured = plan.scenarios.values().filter(|scenario| !scenario.warm_up);
            measured.any(|scenario| scenario.mix.get(name).is_some_and(|weight| *weight > 0))
        };
        for (name, request) in plan.requests.iter().filter(|(name, _)| is_measured(name)) {
            if self.seen.is_err() || began.elapsed() > OF_ALL {
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
            // One that fails says nothing of what it costs when it works.
            if first.ok > 0 && rest.errors == 0 {
                self.alone
                    .push((name.clone(), operation(request), first.ok + rest.ok));
                self.look().await;
            }
        }
        Ok(())
    }

    /// What was seen, for a load of so many requests. The snapshots become evidence.
    ///
    /// # Errors
    /// Why nothing was seen.
    pub(crate) fn sum_up(self, requests: u64, raw: &mut Raw) -> Result<Insight, String> {
        let seen = self.seen?;
        raw.push(("database.jsonl", self.raw));
        let [before, after, ..] = seen.as_slice() else {
            return Err("the load did not come to its end".to_owned());
        };
        let windows = seen.iter().skip(1).zip(seen.iter().skip(2));
        let alone: Vec<Alone<'_>> = self
            .alone
            .iter()
            .zip(windows)
            .map(|((endpoint, operation, requests), (before, after))| Alone {
                endpoint,
                operation: operation.clone(),
                requests: *requests,
                before,
                after,
            })
            .collect();
        Ok(Insight::of(self.service, requests, before, after, &alone))
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
