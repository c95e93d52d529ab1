//! Removing what dead runs left behind.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::{ListContainersOptionsBuilder, ListVolumesOptionsBuilder};

use crate::engine::{Engine, EngineError, QUICK, call};
use crate::run::{
    CREATED_LABEL, EXPIRES_LABEL, OWNER_LABEL, RUN_LABEL, remove_container, remove_volume, unix_now,
};

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Containers.
    pub containers: usize,
    /// Volumes.
    pub volumes: usize,
    /// Things that should go but could not be removed; the next sweep tries again.
    pub failed: usize,
}

impl Engine {
    /// Removes what runs of this process left, and what belongs to dead runs of others: a run is dead when it has
    /// expired, or when none of its containers runs and nothing of it was created for `idle`. (When a process dies,
    /// its containers end, because their agent's standard input does.) Live runs of this process are left alone.
    ///
    /// # Errors
    /// When the engine cannot list containers or volumes.
    pub async fn sweep(&self, idle: Duration) -> Result<Swept, EngineError> {
        let now = unix_now();
        self.sweep_where(|trace| trace.is_dead(now, idle)).await
    }

    /// Removes what runs of this process left, and all runs of this owner that are not under way in this process, whatever
    /// they do: for a worker that is the only one of its name, so that nobody else can be at work on them.
    ///
    /// # Errors
    /// When the engine cannot list containers or volumes.
    pub async fn sweep_owned(&self, owner: &str) -> Result<Swept, EngineError> {
        self.sweep_where(|trace| trace.owner.as_deref() == Some(owner))
            .await
    }

    async fn sweep_where(&self, is_dead: impl Fn(&Trace) -> bool) -> Result<Swept, EngineError> {
        let mut swept = Swept::default();
        for leftovers in self.take_leftovers() {
            self.sweep_these(&mut swept, &leftovers.containers, &leftovers.volumes)
                .await;
        }
        for (run, trace) in self.traces().await? {
            if is_dead(&trace) && !self.is_live(&run) {
                self.sweep_these(&mut swept, &trace.containers, &trace.volumes)
                    .await;
            }
        }
        Ok(swept)
    }

    /// What there is of all runs, by run.
    async fn traces(&self) -> Result<HashMap<String, Trace>, EngineError> {
        let filters = HashMap::from([("label", vec![RUN_LABEL])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let containers = call(
            "list containers",
            QUICK,
            self.docker().list_containers(Some(options)),
        )
        .await?;
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let volumes = call("list volumes", QUICK, self.docker().list_volumes(Some(options))).await?;

        let mut traces: HashMap<String, Trace> = HashMap::new();
        for ContainerSummary {
            id, labels, state, ..
        } in containers
        {
            let labels = labels.unwrap_or_default();
            if let (Some(run), Some(id)) = (labels.get(RUN_LABEL), id) {
                let trace = traces.entry(run.clone()).or_default();
                trace.note(&labels);
                trace.running |= state == Some(ContainerSummaryStateEnum::RUNNING);
                trace.containers.push(id);
            }
        }
        for volume in volumes.volumes.unwrap_or_default() {
            if let Some(run) = volume.labels.get(RUN_LABEL) {
                let trace = traces.entry(run.clone()).or_default();
                trace.note(&volume.labels);
                trace.volumes.push(volume.name);
            }
        }
        Ok(traces)
    }

    async fn sweep_these(&self, swept: &mut Swept, containers: &[String], volumes: &[String]) {
        let mut note = |removed: Result<(), EngineError>, done: fn(&mut Swept)| match removed {
            Ok(()) => done(swept),
            Err(error) => {
                tracing::warn!(%error, "the sweep failed to remove something");
                swept.failed += 1;
            }
        };
        for name in containers {
            note(remove_container(self, name).await, |swept| swept.containers += 1);
        }
        for name in volumes {
            note(remove_volume(self, name).await, |swept| swept.volumes += 1);
        }
    }
}

/// What was found of one run.
#[derive(Default)]
struct Trace {
    containers: Vec<String>,
    volumes: Vec<String>,
    running: bool,
    owner: Option<String>,
    /// Unix seconds, of whatever was created last.
    created: u64,
    expires: u64,
}

impl Trace {
    fn note(&mut self, labels: &HashMap<String, String>) {
        let seconds = |label| labels.get(label).and_then(|text| text.parse().ok()).unwrap_or(0);
        self.created = self.created.max(seconds(CREATED_LABEL));
        self.expires = self.expires.max(seconds(EXPIRES_LABEL));
        if self.owner.is_none() {
            self.owner = labels.get(OWNER_LABEL).cloned();
        }
    }

    fn is_dead(&self, now: u64, idle: Duration) -> bool {
        let idle = !self.running && now.saturating_sub(self.created) >= idle.as_secs();
        idle || self.expires < now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_dead_when_idle_or_expired() {
        let idle = Duration::from_secs(60);
        for (running, created, expires, dead) in [
            (true, 0, 2000, false),
            (true, 0, 999, true),
            (false, 941, 2000, false),
            (false, 940, 2000, true),
        ] {
            let trace = Trace {
                running,
                created,
                expires,
                ..Trace::default()
            };
            assert_eq!(trace.is_dead(1000, idle), dead, "{running} {created} {expires}");
        }
    }
}
