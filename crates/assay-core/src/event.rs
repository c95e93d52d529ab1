//! What happens during a run, as a stream of closed events. Terminal, log and (later) store and pages read the same ones.

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::queue::Outcome;
use crate::report::CheckStatus;

/// Something happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It waits for a worker. Only runs of a daemon do.
    RunQueued,
    /// A worker took it; `execution` counts from 1 and grows when an earlier worker was lost.
    RunTaken { worker: String, execution: u32 },
    /// It waits again: its worker was lost, or is shutting down.
    RunGivenBack { reason: String },
    /// The run began.
    RunStarted {
        run: String,
        exercise: String,
        repository: String,
    },
    /// The commit is known and its tree was read.
    SourceRead {
        commit: String,
        n_files: u64,
        n_bytes: u64,
        n_left_out: u64,
    },
    /// A check began.
    CheckStarted { check: String },
    /// A check says what it does now: `installing dependencies`.
    CheckProgressed { check: String, doing: String },
    /// A check ended.
    CheckFinished {
        check: String,
        status: CheckStatus,
        fault: Option<Fault>,
        duration_ms: u64,
        summary: String,
    },
    /// The score is there.
    RunScored { total: f64, max: f64, range: [f64; 2] },
    /// All is written and cleaned up.
    RunFinished { duration_ms: u64 },
    /// The last event of every run of a daemon.
    RunEnded { outcome: Outcome, reason: String },
}
