//! What a measurement leaves: one bounded JSON value, and the lines that come before it.
//!
//! Latency is counted from the *intended* time of an arrival until the body of the expected answer is read. Every
//! scheduled arrival outside the warm-up is in it exactly once. One that never got the expected answer (an error,
//! dropped, unsent) counts with the time limit of the plan, or with its own time if that was longer: so nothing gets
//! faster by failing quickly or by not being counted.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Blocks, Estimate, HostAccount, HostUse, Paused, Ratio};

/// A line on the generator's standard output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadMessage {
    /// Once a second.
    Progress(LoadProgress),
    /// Of a job in windows: the users are made, or what was asked for is done.
    Paused(Paused),
    /// Just before the summary: what it does not hold.
    Blocks(Blocks),
    /// The last line, when there is something to say about the service.
    Summary(Box<LoadSummary>),
    /// The last line, when the job itself is wrong or the generator broke: never the candidate's fault.
    Failed(String),
}

/// Where the measurement stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoadProgress {
    /// `setup`, `load`, `drain` or `verify`.
    pub phase: String,
    /// Time since the phase began, in milliseconds.
    pub elapsed_ms: u64,
    /// Arrivals so far (requests, in the set-up).
    pub sent: u64,
    /// Answers so far that were as expected.
    pub ok: u64,
    /// Errors so far.
    pub errors: u64,
    /// What the host says of itself then, where it is known.
    #[serde(default)]
    pub host: Option<HostAccount>,
}

/// The whole measurement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadSummary {
    /// Version of this format; 1.
    pub version: u32,
    /// The seed that mix, words and records came from.
    pub seed: u64,
    /// Whether the requests came by schedule.
    #[serde(default)]
    pub model: Model,
    /// How the users were made. With a failure in it nothing was measured and all the rest is empty.
    pub setup: Setup,
    /// From the first intended arrival until the last answer, without warm-up, in milliseconds.
    pub elapsed_ms: u64,
    /// All requests, without the warm-up.
    pub total: Outcome,
    /// By request name, without the warm-up.
    pub endpoints: BTreeMap<String, Outcome>,
    /// By scenario name, without the warm-up.
    pub scenarios: BTreeMap<String, Outcome>,
    /// The warm-up, when the plan has one; it is in none of the other numbers.
    pub warm_up: Option<Counts>,
    /// Latency and throughput over time, warm-up included and marked.
    pub timeline: Timeline,
    /// How well the generator itself did.
    pub sender: Sender,
    /// The conditions of the plan.
    pub thresholds: Vec<ThresholdResult>,
    /// What the service still knew at the end.
    pub verification: Vec<Verification>,
    /// How sure the latencies are; empty where too little was measured to say so.
    #[serde(default)]
    pub estimates: Vec<Estimate>,
    /// All answers together beside the reference's: the ratio of their geometric means, where both were measured.
    #[serde(default)]
    pub overall: Option<Ratio>,
    /// What the host did meanwhile, where that is known.
    #[serde(default)]
    pub host: Option<HostUse>,
    /// The reference solution's measurement, where it was made in turns with this one.
    #[serde(default)]
    pub reference: Option<Reference>,
    /// Why this measurement must not be used; empty when it is valid. Always the platform's fault.
    pub invalid: Vec<String>,
}

/// Who decides when a request is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// The schedule: latency counts from the intended time.
    #[default]
    Open,
    /// The service, by its answers: latency counts from the actual start. This says how much a service can take, and
    /// nothing about arrivals.
    Closed,
}

/// The same load on the reference solution of the same track, window by window in turns with the candidate's service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reference {
    /// Name of the solution.
    pub solution: String,
    /// Why it could not be measured, or does not count: then nothing is compared with it.
    pub failed: Option<String>,
    /// All requests, without the warm-up.
    pub total: Outcome,
    /// The conditions of the plan.
    pub thresholds: Vec<ThresholdResult>,
    /// How well its generator did.
    pub sender: Sender,
    /// By how much its latency changed from window to window at most, in percent.
    pub drift_percent: Option<u64>,
    /// Windows that each of the two had, the warm-up's included.
    pub windows: u64,
}

/// The making of the users.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setup {
    /// Users that are ready.
    pub users: u32,
    /// Requests made.
    pub requests: u64,
    /// Steps that failed, each with the first reason, at most [`LoadSummary::MAX_EXAMPLES`].
    pub failed: Vec<CheckFailure>,
    /// Whether some failed and all of these only because no answer came in time, as may happen on a host that is too busy.
    #[serde(default)]
    pub late: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What became of the arrivals. `scheduled = sent + dropped + unsent` and `sent = ok + all errors`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Arrivals in the schedule.
    pub scheduled: u64,
    /// Arrivals that were handed to a connection.
    pub sent: u64,
    /// Answers that were as expected.
    pub ok: u64,
    /// Everything else that came of a sent arrival, by kind.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Arrivals that waited in line for longer than the time limit, or found the line full.
    pub dropped: u64,
    /// Arrivals that were still in line when the time to drain was over.
    pub unsent: u64,
}

/// Why an arrival that was sent is not `ok`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The connection was refused.
    Refused,
    /// The connection could not be made for another reason.
    Connect,
    /// The connection was closed or reset before the answer was whole.
    Reset,
    /// No whole answer within the time limit.
    Timeout,
    /// The answer is not HTTP.
    Protocol,
    /// Status 500 to 599 that was not expected.
    ServerError,
    /// Another status that was not expected.
    Status,
    /// The body is longer than allowed, or not what a capture needs.
    Body,
    /// The status was right, the content was not.
    Check,
    /// The request could not be made, because earlier answers lacked a value that it needs.
    NoData,
}

/// Numbers of a group of requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// What became of the arrivals.
    pub counts: Counts,
    /// Answers as expected per second of `elapsed_ms`, to two decimals.
    pub throughput: f64,
    /// From the intended time until the expected answer; without one, the time limit.
    pub latency: Latency,
    /// From the time at which it was really sent: what closed-loop tools call latency. Sent arrivals only.
    pub service: Latency,
    /// `latency` as an HDR histogram in microseconds: V2, DEFLATE, base64. Anyone can recompute percentiles from it.
    pub histogram: String,
    /// `latency` in log-spaced buckets, for a plot; empty ones are left out.
    pub buckets: Vec<Bucket>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// The answers that were looked at in full.
    pub checks: Checks,
}

/// A distribution of times in microseconds; percentiles by nearest rank, exact to three digits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "named after what they are")]
pub struct Latency {
    /// Number of samples; with none, all else is 0.
    pub count: u64,
    pub min_us: u64,
    pub mean_us: u64,
    pub p50_us: u64,
    pub p90_us: u64,
    pub p95_us: u64,
    pub p99_us: u64,
    /// Not stated with fewer than 1000 samples.
    pub p999_us: Option<u64>,
    pub max_us: u64,
}

/// A column of a latency plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bucket {
    /// Upper end, included, in microseconds; the lower end is the upper end of the bucket before (five per decade).
    pub up_to_us: u64,
    /// Samples in it.
    pub count: u64,
}

/// Answers that were looked at in full.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checks {
    /// As expected.
    pub passed: u64,
    /// Not so.
    pub failed: u64,
    /// The first errors and failed checks, at most [`LoadSummary::MAX_EXAMPLES`].
    pub examples: Vec<CheckFailure>,
}

/// Something that was not as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckFailure {
    /// Request or step.
    pub name: String,
    /// What was expected and what came, at most [`LoadSummary::MAX_TEXT`] characters. Partly the candidate's words.
    pub message: String,
}

/// Rows of equal length, from the start of the measurement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// Length of a row in milliseconds: 1000, more in measurements of over ten minutes.
    pub step_ms: u64,
    /// The rows, at most [`LoadSummary::MAX_ROWS`].
    pub rows: Vec<TimeRow>,
}

/// The arrivals intended within one row's time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "as in `Counts` and `Latency`")]
pub struct TimeRow {
    /// Start of the row in milliseconds.
    pub at_ms: u64,
    /// Some of it is warm-up.
    pub warm_up: bool,
    pub sent: u64,
    pub ok: u64,
    /// Errors, dropped and unsent.
    pub errors: u64,
    pub p50_us: u64,
    pub p95_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

/// The generator about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sender {
    /// How late it noticed arrivals, in microseconds: median.
    pub lateness_p50_us: u64,
    /// The same, 99th percentile.
    pub lateness_p99_us: u64,
    /// The same, worst.
    pub lateness_max_us: u64,
    /// Arrivals that it noticed over 1 ms late.
    #[serde(default)]
    pub late: u64,
    /// Arrivals that came while `maxVUs` requests of their scenario were under way, and had to wait in line.
    #[serde(default)]
    pub waited: u64,
    /// Connections opened, those before the start included.
    pub connections: u64,
    /// Requests sent a second time, because the service had closed an idle connection at that very moment.
    pub retried: u64,
    /// CPU time of the generator while the clock ran, in milliseconds.
    pub cpu_ms: u64,
    /// What other processes took of the generator's cores meanwhile, in percent; `None` when it has none of its own.
    #[serde(default)]
    pub others_percent: Option<u64>,
}

/// A condition and what was observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdResult {
    /// The metric with its selector, as in the plan.
    pub metric: String,
    /// The condition, as in the plan.
    pub condition: String,
    /// The number that it is about (milliseconds for times), to six decimals; `None` when there was no sample.
    pub observed: Option<f64>,
    /// Whether it holds. It does not when there was no sample.
    pub ok: bool,
}

/// One step of the verification over all users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// The step.
    pub name: String,
    /// Users for which it held, however often it was repeated. Those of whom no record was left to ask about are in
    /// neither number.
    pub passed: u32,
    /// Users for which it did not.
    pub failed: u32,
    /// The first failures, at most [`LoadSummary::MAX_EXAMPLES`].
    pub examples: Vec<CheckFailure>,
}

impl LoadSummary {
    /// The only version there is.
    pub const VERSION: u32 = 1;
    /// Most examples in one list.
    pub const MAX_EXAMPLES: usize = 5;
    /// Longest message, in characters.
    pub const MAX_TEXT: usize = 200;
    /// Most rows of the timeline.
    pub const MAX_ROWS: usize = 600;

    /// Whether the counts add up, in each part and between the parts. A summary for which they do not is the
    /// platform's fault and is never scored.
    pub fn adds_up(&self) -> bool {
        let parts = |parts: &BTreeMap<String, Outcome>| {
            let sum = |f: fn(&Counts) -> u64| parts.values().map(|part| f(&part.counts)).sum::<u64>();
            parts.is_empty() && self.total.counts.scheduled == 0
                || sum(|c| c.scheduled) == self.total.counts.scheduled
                    && sum(|c| c.ok) == self.total.counts.ok
                    && sum(Counts::failed) == self.total.counts.failed()
        };
        let each = || {
            self.endpoints
                .values()
                .chain(self.scenarios.values())
                .chain([&self.total])
        };
        each().all(|outcome| outcome.counts.add_up() && outcome.latency.count == outcome.counts.scheduled)
            && self.warm_up.as_ref().is_none_or(Counts::add_up)
            && parts(&self.endpoints)
            && parts(&self.scenarios)
    }

    /// How sure a percentile of a request, or of all of them, is.
    pub fn estimate(&self, endpoint: Option<&str>, percentile: u8) -> Option<&Estimate> {
        self.estimates
            .iter()
            .find(|estimate| estimate.endpoint.as_deref() == endpoint && estimate.percentile == percentile)
    }

    /// Whether every user was made, so that there is a measurement at all.
    pub fn was_set_up(&self) -> bool {
        self.setup.failed.is_empty()
    }
}

impl Latency {
    /// The 50th, 90th, 95th or 99th percentile in microseconds; any other is taken for the 99th.
    pub const fn percentile_us(&self, percent: u8) -> u64 {
        match percent {
            50 => self.p50_us,
            90 => self.p90_us,
            95 => self.p95_us,
            _ => self.p99_us,
        }
    }
}

impl Counts {
    /// Errors of all kinds.
    pub fn errors(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Arrivals that came to nothing: errors, dropped and unsent.
    pub fn failed(&self) -> u64 {
        self.errors() + self.dropped + self.unsent
    }

    /// Share of the sent arrivals that were errors, 0 to 1: `http_req_failed` of k6. `None` when none was sent.
    pub fn error_rate(&self) -> Option<f64> {
        (self.sent > 0).then(|| self.errors() as f64 / self.sent as f64)
    }

    /// The two sums hold.
    pub fn add_up(&self) -> bool {
        self.scheduled == self.sent + self.dropped + self.unsent && self.sent == self.ok + self.errors()
    }
}
