//! The load measurement: conditions, percentiles, plots, what the service still knew, and how well we measured.

use assay_core::load::{
    Aggregate, CheckFailure, ErrorKind, LoadSummary, Metric, Model, Outcome, Reference, Selector, Threshold,
};

use crate::chart::{Histogram, Timeline};
use crate::number;
use crate::state::{self, Mark};
use crate::sureness;
use crate::text;

/// What the closed model leaves out.
const CLOSED: &str = " Closed model: each request waited for the answer to the one before, and its latency counts from its \
    actual start. This says how much the service takes, and nothing about how long people wait who come when they like.";

/// A measurement.
pub(super) struct Load {
    pub(super) invalid: Vec<String>,
    pub(super) setup_failures: Vec<Failure>,
    pub(super) summary: String,
    pub(super) warm_up: String,
    pub(super) conditions: Vec<Condition>,
    /// The sum first.
    pub(super) rows: Vec<Row>,
    pub(super) histogram: Option<Histogram>,
    pub(super) timeline: Option<Timeline>,
    pub(super) verification: Vec<Verified>,
    pub(super) examples: Vec<Failure>,
    pub(super) sender: Vec<(&'static str, String)>,
    pub(super) has_reference: bool,
    /// How sure the percentile with a limit is, in words.
    pub(super) sureness: String,
    /// It is slower than the reference, and that is sure.
    pub(super) slower: bool,
    pub(super) estimates: Vec<Sure>,
    pub(super) evidence: Vec<Witness>,
}

/// A percentile and how sure it is.
pub(super) struct Sure {
    pub(super) name: String,
    pub(super) percentile: String,
    pub(super) value: String,
    pub(super) interval: String,
    pub(super) reference: String,
    pub(super) ratio: String,
    pub(super) ratio_interval: String,
    pub(super) is_total: bool,
}

/// What was observed of the measurement itself.
pub(super) struct Witness {
    pub(super) what: &'static str,
    pub(super) value: String,
    pub(super) meaning: &'static str,
}

/// A condition of the plan.
pub(super) struct Condition {
    pub(super) mark: Mark,
    pub(super) metric: String,
    pub(super) condition: String,
    pub(super) observed: String,
}

/// Numbers of a kind of request.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) requests: String,
    /// p50, p90, p95, p99, p99.9, max.
    pub(super) latencies: [String; 6],
    pub(super) throughput: String,
    pub(super) errors: String,
    pub(super) unsent: String,
    pub(super) is_total: bool,
}

/// A step of the verification.
pub(super) struct Verified {
    pub(super) mark: Mark,
    pub(super) name: String,
    pub(super) counts: String,
    pub(super) examples: Vec<Failure>,
}

/// Something that was not as expected.
pub(super) struct Failure {
    pub(super) name: String,
    pub(super) message: String,
}

pub(super) fn load(load: &LoadSummary) -> Load {
    let counts = &load.total.counts;
    let closed = load.model == Model::Closed;
    let limit = limit_us(load);
    let limit_words = limit.as_ref().map(|(name, us)| (name.as_str(), *us));
    Load {
        invalid: load.invalid.iter().map(|why| text::line(why)).collect(),
        setup_failures: failures(&load.setup.failed),
        summary: format!(
            "{} {} in {}, {} answered as expected per second. {} users were made beforehand with {} requests in {}.{}",
            number::thousands(counts.scheduled),
            if closed { "requests" } else { "arrivals" },
            number::wall_time(load.elapsed_ms),
            number::plain(load.total.throughput.round()),
            load.setup.users,
            number::thousands(load.setup.requests),
            number::wall_time(load.setup.took_ms),
            if closed { CLOSED } else { "" },
        ),
        warm_up: load
            .warm_up
            .as_ref()
            .map(|counts| {
                let errors = counts.errors.values().fold(0u64, |sum, n| sum.saturating_add(*n));
                format!(
                    "Before that came a warm-up of {} arrivals with {} errors, which counts nowhere.",
                    number::thousands(counts.scheduled),
                    number::thousands(errors)
                )
            })
            .unwrap_or_default(),
        conditions: load
            .thresholds
            .iter()
            .map(|threshold| Condition {
                mark: state::of_condition(threshold.ok),
                metric: text::line(&threshold.metric),
                condition: text::line(&threshold.condition),
                observed: observed(&threshold.metric, threshold.observed),
            })
            .collect(),
        rows: std::iter::once(row("All requests", &load.total, true))
            .chain(
                load.endpoints
                    .iter()
                    .map(|(name, outcome)| row(name, outcome, false)),
            )
            .collect(),
        histogram: Histogram::new(
            &load.total.buckets,
            reference(load).map_or(&[], |reference| &reference.total.buckets),
            limit_words,
        ),
        timeline: Timeline::new(&load.timeline, limit.map(|limit| limit.1)),
        verification: load
            .verification
            .iter()
            .map(|step| Verified {
                mark: state::of_condition(step.failed == 0 && step.passed > 0),
                name: text::line(&step.name),
                counts: format!(
                    "held for {} of {} users",
                    step.passed,
                    u64::from(step.passed) + u64::from(step.failed)
                ),
                examples: failures(&step.examples),
            })
            .collect(),
        examples: failures(&load.total.checks.examples),
        sender: sender(load),
        has_reference: reference(load).is_some(),
        sureness: sureness::sentence(load).unwrap_or_default(),
        slower: sureness::beside_reference(load).is_some_and(|ratio| ratio.low > 1.0),
        estimates: estimates(load),
        evidence: evidence(load),
    }
}

/// The reference, if it was measured.
fn reference(load: &LoadSummary) -> Option<&Reference> {
    load.reference
        .as_ref()
        .filter(|reference| reference.failed.is_none())
}

/// All percentiles of all requests together, and the 95th of each.
fn estimates(load: &LoadSummary) -> Vec<Sure> {
    let shown = load
        .estimates
        .iter()
        .filter(|estimate| estimate.endpoint.is_none() || estimate.percentile == 95);
    let none = || "–".to_owned();
    shown
        .map(|estimate| Sure {
            name: estimate
                .endpoint
                .as_deref()
                .map_or_else(|| "All requests".to_owned(), text::line),
            percentile: format!("p{}", estimate.percentile),
            value: number::latency(estimate.value_us),
            interval: format!(
                "{} to {}",
                number::latency(estimate.low_us),
                number::latency(estimate.high_us)
            ),
            reference: estimate
                .ratio
                .map_or_else(none, |ratio| number::latency(ratio.reference_us)),
            ratio: estimate
                .ratio
                .map_or_else(none, |ratio| format!("{:.2}", ratio.value)),
            ratio_interval: estimate
                .ratio
                .map_or_else(none, |ratio| format!("{:.2} to {:.2}", ratio.low, ratio.high)),
            is_total: estimate.endpoint.is_none(),
        })
        .collect()
}

/// What tells whether the numbers are about the service, or about the host.
fn evidence(load: &LoadSummary) -> Vec<Witness> {
    let percent = |percent: u64| format!("{percent} %");
    let host = load.host.as_ref();
    let rows = [
        (
            "Generator late, 99th percentile",
            Some(number::latency(load.sender.lateness_p99_us)),
            "how punctual requests were sent",
        ),
        (
            "CPU time of the generator",
            Some(number::wall_time(load.sender.cpu_ms)),
            "what sending and reading cost",
        ),
        (
            "Others on the generator's cores",
            load.sender.others_percent.map(percent),
            "of these cores' time",
        ),
        (
            "Others on the host",
            host.and_then(|host| host.others_percent).map(percent),
            "of all its cores' time, without this measurement",
        ),
        (
            "Taken by other machines",
            host.map(|host| percent(host.stolen_percent)),
            "of all its cores' time (steal)",
        ),
        (
            "Waiting for a core",
            host.and_then(|host| host.waiting_percent).map(percent),
            "of the time at least one task did, the service's own among them",
        ),
        (
            "Service held up by its own limit",
            host.and_then(|host| host.throttled_percent).map(percent),
            "of its time slices: its own doing, and counted",
        ),
        (
            "Drift of the reference",
            reference(load)
                .and_then(|reference| reference.drift_percent)
                .map(percent),
            "change of its latency from window to window, at most",
        ),
    ];
    let known = rows.into_iter().filter_map(|(what, value, meaning)| {
        Some(Witness {
            what,
            value: value?,
            meaning,
        })
    });
    known.collect()
}

/// The limit of all requests' latency, where the plan has one.
fn limit_us(load: &LoadSummary) -> Option<(String, u64)> {
    load.thresholds.iter().find_map(|threshold| {
        let parsed = Threshold::parse(&threshold.metric, &threshold.condition).ok()?;
        let is_latency = parsed.metric == Metric::Duration && parsed.selector == Selector::All;
        let us = parsed.limit * 1_000.0;
        let name = match parsed.aggregate {
            Aggregate::Percentile(p) => format!("p{}", number::plain(p)),
            _ => text::line(&threshold.condition),
        };
        (is_latency && us.is_finite() && us >= 1.0).then_some((name, us as u64))
    })
}

/// Times are in milliseconds; rates and counts have no unit.
fn observed(metric: &str, value: Option<f64>) -> String {
    match value {
        None => "no sample".into(),
        Some(ms) if metric.starts_with("http_req_duration") => {
            number::latency((ms.max(0.0) * 1_000.0) as u64)
        }
        Some(share) if metric.starts_with("http_req_failed") || metric.starts_with("checks") => {
            format!("{} %", number::plain((share * 1_000.0).round() / 10.0))
        }
        Some(value) => number::plain(value),
    }
}

fn row(name: &str, outcome: &Outcome, is_total: bool) -> Row {
    let latency = &outcome.latency;
    let counts = &outcome.counts;
    let all = [latency.p50_us, latency.p90_us, latency.p95_us, latency.p99_us];
    let [p50, p90, p95, p99] = all.map(|us| {
        if latency.count == 0 {
            "–".into()
        } else {
            number::latency(us)
        }
    });
    let p999 = latency.p999_us.map(number::latency).unwrap_or_else(|| "–".into());
    let max = if latency.count == 0 {
        "–".into()
    } else {
        number::latency(latency.max_us)
    };
    let errors: Vec<String> = counts
        .errors
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(kind, n)| format!("{} {}", number::thousands(*n), error_kind(*kind)))
        .collect();
    Row {
        name: text::line(name),
        requests: number::thousands(counts.scheduled),
        latencies: [p50, p90, p95, p99, p999, max],
        throughput: number::plain((outcome.throughput * 10.0).round() / 10.0),
        errors: if errors.is_empty() {
            "0".into()
        } else {
            errors.join(", ")
        },
        unsent: number::thousands(counts.dropped.saturating_add(counts.unsent)),
        is_total,
    }
}

fn error_kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Refused => "refused",
        ErrorKind::Connect => "not connected",
        ErrorKind::Reset => "cut off",
        ErrorKind::Timeout => "timed out",
        ErrorKind::Protocol => "not HTTP",
        ErrorKind::ServerError => "server errors",
        ErrorKind::Status => "other status",
        ErrorKind::Body => "wrong body",
        ErrorKind::Check => "wrong content",
        ErrorKind::NoData => "without data",
    }
}

fn failures(failures: &[CheckFailure]) -> Vec<Failure> {
    failures
        .iter()
        .map(|failure| Failure {
            name: text::line(&failure.name),
            message: text::line(&failure.message),
        })
        .collect()
}

fn sender(load: &LoadSummary) -> Vec<(&'static str, String)> {
    let sender = &load.sender;
    vec![
        ("Late by, median", number::latency(sender.lateness_p50_us)),
        (
            "Late by, 99th percentile",
            number::latency(sender.lateness_p99_us),
        ),
        ("Late by, worst", number::latency(sender.lateness_max_us)),
        ("Over 1 ms late", number::thousands(sender.late)),
        ("Waited for others to end", number::thousands(sender.waited)),
        ("Connections", number::thousands(sender.connections)),
        ("Sent a second time", number::thousands(sender.retried)),
        ("CPU time", number::wall_time(sender.cpu_ms)),
        ("Seed", load.seed.to_string()),
    ]
}
