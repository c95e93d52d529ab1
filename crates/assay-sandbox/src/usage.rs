//! What a container uses.

use assay_core::agent::{Answer, Ask, Usage};
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt as _;

use crate::agent::AskError;
use crate::container::Container;
use crate::engine::{EngineError, QUICK, call};
use crate::files::unexpected;

impl Container {
    /// What it has used of the processors since it started: as its agent reads it from the kernel, at once; where that
    /// does not tell, and under gVisor, as the engine counts it, which takes a second. None: the engine does not tell either.
    ///
    /// # Errors
    /// When the container is gone or the run cancelled.
    pub async fn usage(&self) -> Result<Option<Usage>, AskError> {
        if self.socket_owner() != self.uid() {
            // Under gVisor a candidate may speak for the agent.
            return Ok(self.counted().await.ok().flatten());
        }
        let agent = self.agent();
        match agent.ask("tell what a container used", Ask::Usage).await? {
            Answer::Usage(Some(usage)) => Ok(Some(usage)),
            Answer::Usage(None) => Ok(self.counted().await.ok().flatten()),
            other => Err(AskError::Lost(unexpected(agent, &other).await)),
        }
    }

    async fn counted(&self) -> Result<Option<Usage>, EngineError> {
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let mut stats = self.engine().docker().stats(self.id(), Some(options));
        let first = async { stats.next().await.transpose() };
        let counted = call("ask what a container used", QUICK, first).await?;
        let Some(cpu) = counted.and_then(|stats| stats.cpu_stats) else {
            return Ok(None);
        };
        let throttling = cpu.throttling_data.unwrap_or_default();
        let used_ns = cpu.cpu_usage.and_then(|usage| usage.total_usage);
        Ok(used_ns.map(|used_ns| Usage {
            cpu_ms: used_ns / 1_000_000,
            slices: throttling.periods.unwrap_or(0),
            throttled_slices: throttling.throttled_periods.unwrap_or(0),
        }))
    }
}
