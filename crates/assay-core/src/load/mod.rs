//! Load: the plan (`verification/load.yaml`), the arrival schedule, templates, thresholds, and the summary that
//! a measurement leaves. Names are those of k6 where k6 has one.
//!
//! The model is open: arrivals come at times that are fixed beforehand, whatever the service does, and the
//! latency of an arrival counts from the time at which it was *intended*. Nothing here reads a clock, opens a
//! socket or draws a random number that does not follow from the seed; `assay-drive load` does the sending.

mod dice;
mod lint;
mod plan;
mod schedule;
mod session;
mod summary;
pub mod template;
mod threshold;
mod validity;

pub use dice::Dice;
pub use plan::{
    BASE_URL, BaseUrlError, Capture, Executor, Expect, HeaderCheck, JsonCheck, JsonKind, Keep, LoadJob,
    LoadPlan, Method, Request, Scenario, Stage, Step, Users, parse_base_url,
};
pub use schedule::{Arrival, Arrivals, Schedule, ScheduleError};
pub use session::{HostAccount, LoadAsk, Paused};
pub use summary::{
    Bucket, CheckFailure, Checks, Counts, ErrorKind, Latency, LoadMessage, LoadProgress, LoadSummary,
    Outcome, Sender, Setup, ThresholdResult, TimeRow, Timeline, Verification,
};
pub use threshold::{Aggregate, Comparison, Metric, Observed, Selector, Threshold, ThresholdError};
pub use validity::doubts;
