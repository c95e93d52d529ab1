//! What a container uses.

use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt as _;

use crate::container::Container;
use crate::engine::{EngineError, QUICK, call};

/// What a container has used of the processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in milliseconds.
    pub cpu_ms: u64,
    /// Time slices of its limit in which it had something to do.
    pub slices: u64,
    /// Those in which the limit held it up.
    pub throttled_slices: u64,
}

impl Container {
    /// What its processes have used since it started, as the engine counts it.
    ///
    /// # Errors
    /// When the engine fails, or does not count.
    pub async fn usage(&self) -> Result<Usage, EngineError> {
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let mut stats = self.engine().docker().stats(self.id(), Some(options));
        let first = async {
            let missing = || bollard::errors::Error::IOError {
                err: std::io::Error::other("no statistics came"),
            };
            stats.next().await.unwrap_or_else(|| Err(missing()))
        };
        let stats = call("ask what a container used", QUICK, first).await?;
        let cpu = stats.cpu_stats.unwrap_or_default();
        let throttling = cpu.throttling_data.unwrap_or_default();
        let used_ns = cpu.cpu_usage.and_then(|usage| usage.total_usage).unwrap_or(0);
        Ok(Usage {
            cpu_ms: used_ns / 1_000_000,
            slices: throttling.periods.unwrap_or(0),
            throttled_slices: throttling.throttled_periods.unwrap_or(0),
        })
    }
}
