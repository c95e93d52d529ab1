//! Counts and histograms of a measurement in bounded memory, and the summary made of them.

use std::collections::BTreeMap;
use std::time::Duration;

use assay_core::load::{
    Aggregate, Block, Blocks, Bucket, CheckFailure, Checks, Counts, ErrorKind, Latency, LoadSummary,
    Observed, Outcome, Selector, Threshold, TimeRow, Timeline,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};

use super::progress::Tally;

/// Longest time that a histogram tells apart, in microseconds: twice the longest time limit of a plan.
const LONGEST_US: u64 = 120_000_000;
/// Columns of a latency plot for each decade.
const BUCKETS_PER_DECADE: i32 = 5;
/// What is noticed later than this is counted as late, in microseconds.
const LATE_US: u64 = 1_000;
/// Samples from which on a p99.9 is stated.
const ENOUGH_FOR_P999: u64 = 1_000;

/// A histogram that could not be made or written: its bounds are constants, so this is a bug.
#[derive(Debug, thiserror::Error)]
#[error("histogram: {0}")]
pub(super) struct HistogramError(String);

/// What came of one arrival.
#[derive(Debug)]
pub(super) enum Fate {
    /// As expected. `checked` when its content was looked at.
    Ok {
        status: u16,
        service: Duration,
        checked: bool,
    },
    /// Sent, but not as expected.
    Error {
        kind: ErrorKind,
        status: Option<u16>,
        service: Duration,
        message: String,
    },
    /// Never sent: no room in line, or too long in it.
    Dropped,
    /// Never sent: the time was over.
    Unsent,
}

/// Where an arrival belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Index of the request.
    pub(super) endpoint: usize,
    /// Index of the scenario.
    pub(super) scenario: usize,
    /// From the start of the measurement.
    pub(super) intended: Duration,
    /// In none of the numbers but its own.
    pub(super) warm_up: bool,
}

/// All numbers of a measurement.
#[derive(Debug)]
pub(super) struct Record {
    endpoints: Vec<Part>,
    scenarios: Vec<Part>,
    total: Part,
    warm_up: Option<Counts>,
    step: Duration,
    rows: BTreeMap<usize, Row>,
    block_ms: u64,
    /// By number of the block and index of the endpoint: coarse latencies, each with its number.
    blocks: BTreeMap<(u64, usize), BTreeMap<u64, u64>>,
    /// What a new row starts with.
    empty_row: Row,
    lateness: Histogram<u32>,
    /// Arrivals that had to wait in line.
    waited: u64,
    /// First intended arrival and last end outside the warm-up.
    measured: Option<(Duration, Duration)>,
    /// Least latency of what failed.
    limit: Duration,
}

#[derive(Debug)]
struct Part {
    counts: Counts,
    latency: Histogram<u32>,
    service: Histogram<u32>,
    statuses: BTreeMap<u16, u64>,
    checks: Checks,
}

#[derive(Debug, Clone)]
struct Row {
    row: TimeRow,
    latency: Histogram<u32>,
}

/// Three digits for what is reported; two for the many rows of the time line.
fn histogram(digits: u8) -> Result<Histogram<u32>, HistogramError> {
    Histogram::new_with_bounds(1, LONGEST_US, digits).map_err(|error| HistogramError(error.to_string()))
}

impl Record {
    /// An empty record for so many endpoints and scenarios over this length of time.
    pub(super) fn new(
        endpoints: usize,
        scenarios: usize,
        length: Duration,
        limit: Duration,
    ) -> Result<Self, HistogramError> {
        let parts = |n: usize| (0..n).map(|_| Part::new()).collect::<Result<Vec<_>, _>>();
        let seconds = usize::try_from(length.as_secs()).unwrap_or(usize::MAX) + 1;
        let step_s = seconds.div_ceil(LoadSummary::MAX_ROWS).max(1);
        Ok(Self {
            endpoints: parts(endpoints)?,
            scenarios: parts(scenarios)?,
            total: Part::new()?,
            warm_up: None,
            step: Duration::from_secs(u64::try_from(step_s).unwrap_or(u64::MAX)),
            rows: BTreeMap::new(),
            block_ms: Blocks::step_ms(u64::try_from(length.as_millis()).unwrap_or(u64::MAX)),
            blocks: BTreeMap::new(),
            empty_row: Row {
                row: TimeRow::default(),
                latency: histogram(2)?,
            },
            lateness: histogram(3)?,
            waited: 0,
            measured: None,
            limit,
        })
    }

    /// Notes how late an arrival was noticed.
    pub(super) fn noticed(&mut self, late: Duration) {
        self.lateness.saturating_record(micros(late));
    }

    /// Notes that an arrival must wait in line.
    pub(super) const fn waits(&mut self) {
        self.waited += 1;
    }

    /// Arrivals that had to wait in line.
    pub(super) const fn waited(&self) -> u64 {
        self.waited
    }

    /// Arrivals that were noticed too late to call it punctual.
    pub(super) fn late(&self) -> u64 {
        self.lateness.count_between(LATE_US + 1, LONGEST_US)
    }

    /// Notes what came of an arrival, and when (from the start of the measurement).
    pub(super) fn resolved(&mut self, place: Place, done: Duration, fate: &Fate, name: &str) {
        let waited = done.saturating_sub(place.intended);
        // Who got no expected answer would be waiting still.
        let latency = if matches!(fate, Fate::Ok { .. }) {
            waited
        } else {
            waited.max(self.limit)
        };
        self.row(place, latency, fate);
        if place.warm_up {
            count(self.warm_up.get_or_insert_default(), fate);
            return;
        }
        let number = u64::try_from(place.intended.as_millis()).unwrap_or(u64::MAX) / self.block_ms;
        let block = self.blocks.entry((number, place.endpoint)).or_default();
        *block.entry(Blocks::coarse(micros(latency))).or_default() += 1;
        let (first, last) = self.measured.unwrap_or((place.intended, done));
        self.measured = Some((first.min(place.intended), last.max(done)));
        let parts = [
            self.endpoints.get_mut(place.endpoint),
            self.scenarios.get_mut(place.scenario),
            Some(&mut self.total),
        ];
        for part in parts.into_iter().flatten() {
            part.add(latency, fate, name);
        }
    }

    fn row(&mut self, place: Place, latency: Duration, fate: &Fate) {
        let index =
            usize::try_from(place.intended.as_nanos() / self.step.as_nanos().max(1)).unwrap_or(usize::MAX);
        let index = index.min(LoadSummary::MAX_ROWS - 1);
        let Row { row, latency: all } = self.rows.entry(index).or_insert_with(|| self.empty_row.clone());
        all.saturating_record(micros(latency));
        row.warm_up |= place.warm_up;
        match fate {
            Fate::Ok { .. } => (row.sent, row.ok) = (row.sent + 1, row.ok + 1),
            Fate::Error { .. } => (row.sent, row.errors) = (row.sent + 1, row.errors + 1),
            Fate::Dropped | Fate::Unsent => row.errors += 1,
        }
    }

    /// What came of the arrivals so far, warm-up included.
    pub(super) fn tally(&self) -> Tally {
        let all = [Some(&self.total.counts), self.warm_up.as_ref()];
        let sum = |f: fn(&Counts) -> u64| all.iter().flatten().map(|counts| f(counts)).sum();
        Tally {
            sent: sum(|c| c.sent),
            ok: sum(|c| c.ok),
            errors: sum(Counts::failed),
        }
    }

    /// Median, 99th percentile and worst of the lateness.
    pub(super) fn lateness_us(&self) -> [u64; 3] {
        [
            self.lateness.value_at_quantile(0.5),
            self.lateness.value_at_quantile(0.99),
            self.lateness.max(),
        ]
    }

    /// Puts everything that was recorded into the summary.
    pub(super) fn fill(
        &self,
        summary: &mut LoadSummary,
        names: &Names,
        thresholds: &[Threshold],
    ) -> Result<(), HistogramError> {
        let elapsed = self
            .measured
            .map_or(Duration::ZERO, |(first, last)| last.saturating_sub(first));
        let outcomes = |names: &[(String, bool)], parts: &[Part]| {
            let measured = names.iter().zip(parts).filter(|((_, measured), _)| *measured);
            measured
                .map(|((name, _), part)| Ok((name.clone(), part.outcome(elapsed)?)))
                .collect::<Result<_, _>>()
        };
        summary.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        summary.total = self.total.outcome(elapsed)?;
        summary.endpoints = outcomes(&names.endpoints, &self.endpoints)?;
        summary.scenarios = outcomes(&names.scenarios, &self.scenarios)?;
        summary.warm_up = self.warm_up.clone();
        summary.timeline = self.timeline();
        let judge = Judge {
            record: self,
            names,
            elapsed,
        };
        summary.thresholds = thresholds
            .iter()
            .map(|threshold| threshold.judge(&judge))
            .collect();
        Ok(())
    }

    /// The latencies in blocks of time.
    pub(super) fn blocks(&self, names: &Names) -> Blocks {
        let mut blocks: Vec<Block> = Vec::new();
        for ((number, endpoint), latencies) in &self.blocks {
            let Some((name, _)) = names.endpoints.get(*endpoint) else {
                continue;
            };
            let at_ms = number * self.block_ms;
            let latencies = latencies.iter().map(|(us, n)| (*us, *n)).collect();
            match blocks.last_mut().filter(|last| last.at_ms == at_ms) {
                Some(last) => drop(last.requests.insert(name.clone(), latencies)),
                None => blocks.push(Block {
                    at_ms,
                    requests: BTreeMap::from([(name.clone(), latencies)]),
                }),
            }
        }
        Blocks {
            step_ms: self.block_ms,
            blocks,
        }
    }

    fn timeline(&self) -> Timeline {
        let step_ms = u64::try_from(self.step.as_millis()).unwrap_or(u64::MAX);
        let row = |(index, Row { row, latency }): (&usize, &Row)| TimeRow {
            at_ms: u64::try_from(*index).unwrap_or(u64::MAX).saturating_mul(step_ms),
            p50_us: latency.value_at_quantile(0.5),
            p95_us: latency.value_at_quantile(0.95),
            p99_us: latency.value_at_quantile(0.99),
            max_us: latency.max(),
            ..row.clone()
        };
        Timeline {
            step_ms,
            rows: self.rows.iter().map(row).collect(),
        }
    }
}

impl Part {
    fn new() -> Result<Self, HistogramError> {
        Ok(Self {
            counts: Counts::default(),
            latency: histogram(3)?,
            service: histogram(3)?,
            statuses: BTreeMap::new(),
            checks: Checks::default(),
        })
    }

    fn add(&mut self, latency: Duration, fate: &Fate, name: &str) {
        count(&mut self.counts, fate);
        self.latency.saturating_record(micros(latency));
        match fate {
            Fate::Ok {
                status,
                service,
                checked,
            } => {
                self.service.saturating_record(micros(*service));
                *self.statuses.entry(*status).or_default() += 1;
                self.checks.passed += u64::from(*checked);
            }
            Fate::Error {
                kind,
                status,
                service,
                message,
            } => {
                self.service.saturating_record(micros(*service));
                if let Some(status) = status {
                    *self.statuses.entry(*status).or_default() += 1;
                }
                self.checks.failed += u64::from(*kind == ErrorKind::Check);
                if self.checks.examples.len() < LoadSummary::MAX_EXAMPLES {
                    self.checks.examples.push(example(name, message));
                }
            }
            Fate::Dropped | Fate::Unsent => (),
        }
    }

    fn outcome(&self, elapsed: Duration) -> Result<Outcome, HistogramError> {
        let seconds = elapsed.as_secs_f64();
        Ok(Outcome {
            counts: self.counts.clone(),
            throughput: if seconds > 0.0 {
                (self.counts.ok as f64 / seconds * 100.0).round() / 100.0
            } else {
                0.0
            },
            latency: summarised(&self.latency),
            service: summarised(&self.service),
            histogram: encoded(&self.latency)?,
            buckets: buckets(&self.latency),
            statuses: self.statuses.clone(),
            checks: self.checks.clone(),
        })
    }
}

/// A name and a message, cut to what a summary holds.
pub(super) fn example(name: &str, message: &str) -> CheckFailure {
    CheckFailure {
        name: name.to_owned(),
        message: message.chars().take(LoadSummary::MAX_TEXT).collect(),
    }
}

/// Names of endpoints and scenarios by index, and whether they are measured at all.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) endpoints: Vec<(String, bool)>,
    pub(super) scenarios: Vec<(String, bool)>,
}

/// The record as thresholds see it.
struct Judge<'a> {
    record: &'a Record,
    names: &'a Names,
    elapsed: Duration,
}

impl Judge<'_> {
    fn part(&self, selector: &Selector) -> Option<&Part> {
        let named =
            |names: &[(String, bool)], name: &String| names.iter().position(|(other, _)| other == name);
        match selector {
            Selector::All => Some(&self.record.total),
            Selector::Endpoint(name) => self.record.endpoints.get(named(&self.names.endpoints, name)?),
            Selector::Scenario(name) => self.record.scenarios.get(named(&self.names.scenarios, name)?),
        }
    }
}

impl Observed for Judge<'_> {
    fn counts(&self, selector: &Selector) -> Option<&Counts> {
        self.part(selector).map(|part| &part.counts)
    }

    fn duration_ms(&self, selector: &Selector, aggregate: Aggregate) -> Option<f64> {
        let latency = &self.part(selector)?.latency;
        let us = match aggregate {
            _ if latency.is_empty() => return None,
            Aggregate::Percentile(percent) => latency.value_at_quantile(percent / 100.0) as f64,
            Aggregate::Mean => latency.mean(),
            Aggregate::Min => latency.min() as f64,
            Aggregate::Max => latency.max() as f64,
            Aggregate::Rate | Aggregate::Count => return None,
        };
        Some(us / 1e3)
    }

    fn checks(&self, selector: &Selector) -> Option<(u64, u64)> {
        self.part(selector)
            .map(|part| (part.checks.passed, part.checks.failed))
    }

    fn seconds(&self) -> f64 {
        self.elapsed.as_secs_f64()
    }
}

fn count(counts: &mut Counts, fate: &Fate) {
    counts.scheduled += 1;
    match fate {
        Fate::Ok { .. } => (counts.sent, counts.ok) = (counts.sent + 1, counts.ok + 1),
        Fate::Error { kind, .. } => {
            counts.sent += 1;
            *counts.errors.entry(*kind).or_default() += 1;
        }
        Fate::Dropped => counts.dropped += 1,
        Fate::Unsent => counts.unsent += 1,
    }
}

fn summarised(times: &Histogram<u32>) -> Latency {
    if times.is_empty() {
        return Latency::default();
    }
    Latency {
        count: times.len(),
        min_us: times.min(),
        mean_us: times.mean().round() as u64,
        p50_us: times.value_at_quantile(0.5),
        p90_us: times.value_at_quantile(0.9),
        p95_us: times.value_at_quantile(0.95),
        p99_us: times.value_at_quantile(0.99),
        p999_us: (times.len() >= ENOUGH_FOR_P999).then(|| times.value_at_quantile(0.999)),
        max_us: times.max(),
    }
}

fn encoded(times: &Histogram<u32>) -> Result<String, HistogramError> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(times, &mut bytes)
        .map_err(|error| HistogramError(format!("{error:?}")))?;
    Ok(BASE64.encode(bytes))
}

/// The samples by columns that end at 10^(n/5) µs.
fn buckets(times: &Histogram<u32>) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::new();
    for value in times.iter_recorded() {
        let up_to_us = column_end(value.value_iterated_to());
        let count = u64::from(value.count_at_value());
        match buckets.last_mut().filter(|last| last.up_to_us == up_to_us) {
            Some(last) => last.count += count,
            None => buckets.push(Bucket { up_to_us, count }),
        }
    }
    buckets
}

fn column_end(us: u64) -> u64 {
    let ends = (0..).map(|n| 10_f64.powf(f64::from(n) / f64::from(BUCKETS_PER_DECADE)).round() as u64);
    ends.take(64).find(|end| *end >= us).unwrap_or(us)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
