//! Load: the plan (`verification/load.yaml`), the arrival schedule, templates, thresholds, and the summary that
//! a measurement leaves. Names are those of k6 where k6 has one.
//!
//! The model is open: arrivals come at times that are fixed beforehand, whatever the service does, and the
//! latency of an arrival counts from the time at which it was *intended*. There is a closed model as well, to see how much
//! a service can take; a summary of it says so. Nothing here reads a clock, opens a
//! socket or draws a random number that does not follow from the seed; `assay-drive load` does the sending.

mod compare;
mod crowd;
mod dice;
mod lint;
mod plan;
mod saturation;
mod schedule;
mod session;
mod summary;
pub mod template;
mod threshold;
mod traffic;
mod validity;

pub use compare::{
    Block, Blocks, Estimate, PERCENTILES, Ratio, cuts_ms, drift_percent, estimates, milliseconds, overall,
};
pub use crowd::Crowd;
pub use dice::Dice;
pub use plan::{
    BASE_URL, BaseUrlError, Capture, Executor, Expect, HeaderCheck, JsonCheck, JsonKind, Keep, LoadJob,
    LoadPlan, Method, Request, Scenario, Spacing, Stage, Step, Users, parse_base_url,
};
pub use saturation::{Point, Saturation, Search, Verdict};
pub use schedule::{Arrival, Arrivals, Schedule};
pub use session::{HostAccount, LoadAsk, Paused};
pub use summary::{
    Bucket, CheckFailure, Checks, Counts, ErrorKind, Latency, LoadMessage, LoadProgress, LoadSummary, Model,
    Outcome, Reference, Sender, Setup, ThresholdResult, TimeRow, Timeline, Verification,
};
pub use threshold::{Aggregate, Comparison, Metric, Observed, Selector, Threshold, ThresholdError};
pub use traffic::{ScheduleError, Traffic};
pub use validity::{ContainersUse, HostUse, doubts, excuse, incomparable};
