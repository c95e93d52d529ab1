//! The highest rate at which the plan's conditions hold: bracketed by doubling and halving, then bisected.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Executor, LoadPlan, LoadSummary, Scenario, Selector, Stage, Threshold};
use crate::units::Span;

/// How long a rate is approached, and how long it is held.
const APPROACH: Span = Span::seconds(3);
const HOLD: Span = Span::seconds(8);
/// Most requests under way at the same time.
const MAX_VUS: u32 = 2_000;

/// What is searched, and how closely.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// The rate that is measured first, in arrivals per second.
    pub from: u32,
    /// The highest rate that is measured.
    pub up_to: u32,
    /// The search ends when the lowest rate that was too high is at most this share above the highest that was not.
    pub precision: f64,
    /// The search ends after so many rates.
    pub max_points: usize,
}

/// The result, with its curve.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Saturation {
    /// The highest rate at which all conditions held. None: they held at no rate.
    pub holds_at: Option<u32>,
    /// The lowest rate above it at which one did not. None: they held up to the highest rate that was measured.
    pub fails_at: Option<u32>,
    /// All rates that were measured, ascending.
    pub points: Vec<Point>,
}

/// A rate and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// Arrivals per second.
    pub rate: u32,
    /// Whether the conditions held.
    pub verdict: Verdict,
    /// Answers as expected per second.
    pub throughput: f64,
    /// Median of the latency in microseconds.
    pub p50_us: u64,
    /// Its 95th percentile.
    pub p95_us: u64,
    /// Its 99th percentile.
    pub p99_us: u64,
    /// Share of the arrivals that came to nothing, 0 to 1.
    pub failed: f64,
    /// The conditions that did not hold, or why the measurement is not valid.
    pub why: Vec<String>,
}

/// Whether the conditions held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All of them.
    Held,
    /// At least one did not.
    Missed,
    /// One did not, but the measurement is not valid: host or generator may be to blame.
    Unknown,
}

impl Search {
    /// The rate to measure next; none when the search is over.
    pub fn next(&self, points: &[Point]) -> Option<u32> {
        if points.len() >= self.max_points {
            return None;
        }
        let rate = match bracket(points) {
            (None, None) => self.from.clamp(1, self.up_to.max(1)),
            (None, Some(1)) => return None,
            (None, Some(missed)) => missed / 2,
            (Some(held), None) if held >= self.up_to => return None,
            (Some(held), None) => held.saturating_mul(2).min(self.up_to),
            (Some(held), Some(missed)) => {
                let is_close = f64::from(missed) <= f64::from(held) * (1.0 + self.precision);
                if is_close || missed <= held + 1 {
                    return None;
                }
                held + (missed - held) / 2
            }
        };
        Some(rate)
    }
}

impl Saturation {
    /// Sums up what was measured.
    pub fn of(mut points: Vec<Point>) -> Self {
        let (holds_at, fails_at) = bracket(&points);
        points.sort_by_key(|point| point.rate);
        Self {
            holds_at,
            fails_at,
            points,
        }
    }
}

impl Point {
    /// What a measurement at this rate says.
    pub fn of(rate: u32, summary: &LoadSummary) -> Self {
        let missed = summary.thresholds.iter().filter(|threshold| !threshold.ok);
        let missed: Vec<String> = missed
            .map(|threshold| format!("{} {}", threshold.metric, threshold.condition))
            .collect();
        let was_measured = summary.was_set_up() && summary.total.counts.scheduled > 0;
        let (verdict, why) = match (was_measured, missed.is_empty(), summary.invalid.is_empty()) {
            (false, ..) => (Verdict::Missed, vec!["the users could not be made".to_owned()]),
            (true, true, _) => (Verdict::Held, missed),
            (true, false, true) => (Verdict::Missed, missed),
            (true, false, false) => (Verdict::Unknown, summary.invalid.clone()),
        };
        let counts = &summary.total.counts;
        Self {
            rate,
            verdict,
            throughput: summary.total.throughput,
            p50_us: summary.total.latency.p50_us,
            p95_us: summary.total.latency.p95_us,
            p99_us: summary.total.latency.p99_us,
            failed: if counts.scheduled == 0 {
                1.0
            } else {
                counts.failed() as f64 / counts.scheduled as f64
            },
            why,
        }
    }
}

/// The highest rate that held below the lowest that did not, and that one. A rate of which nobody knows is none that holds.
fn bracket(points: &[Point]) -> (Option<u32>, Option<u32>) {
    let failed = points.iter().filter(|point| point.verdict != Verdict::Held);
    let fails_at = failed.map(|point| point.rate).min();
    let held = points.iter().filter(|point| point.verdict == Verdict::Held);
    let holds_at = held
        .map(|point| point.rate)
        .filter(|rate| fails_at.is_none_or(|fails_at| *rate < fails_at))
        .max();
    (holds_at, fails_at)
}

impl LoadPlan {
    /// The scenario whose mix is searched: `steady`, or else the first one that is measured at a constant rate.
    pub fn steady(&self) -> Option<&Scenario> {
        let is_steady =
            |scenario: &&Scenario| !scenario.warm_up && scenario.executor == Executor::ConstantArrivalRate;
        self.scenarios
            .get("steady")
            .filter(is_steady)
            .or_else(|| self.scenarios.values().find(is_steady))
    }

    /// The plan with nothing but the steady mix at this rate per second. Conditions on single scenarios do not apply.
    /// None without a steady scenario.
    pub fn at_rate(&self, rate: u32) -> Option<Self> {
        let steady = self.steady()?;
        let hold = Scenario {
            executor: Executor::ConstantArrivalRate,
            rate: Some(rate),
            duration: Some(HOLD),
            start_rate: None,
            stages: Vec::new(),
            time_unit: Span::seconds(1),
            start_time: APPROACH,
            max_vus: MAX_VUS,
            ..steady.clone()
        };
        let approach = Scenario {
            executor: Executor::RampingArrivalRate,
            rate: None,
            duration: None,
            start_rate: Some(rate / 2),
            stages: vec![Stage {
                target: rate,
                duration: APPROACH,
            }],
            start_time: Span::seconds(0),
            warm_up: true,
            ..hold.clone()
        };
        let of_scenario = |metric: &str, conditions: &[String]| {
            conditions.iter().any(|condition| {
                Threshold::parse(metric, condition)
                    .is_ok_and(|threshold| matches!(threshold.selector, Selector::Scenario(_)))
            })
        };
        Some(Self {
            scenarios: [("approach".to_owned(), approach), ("steady".to_owned(), hold)].into(),
            thresholds: self
                .thresholds
                .iter()
                .filter(|(metric, conditions)| !of_scenario(metric, conditions))
                .map(|(metric, conditions)| (metric.clone(), conditions.clone()))
                .collect(),
            verify: Vec::new(),
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Lint as _, read};

    const SEARCH: Search = Search {
        from: 70,
        up_to: 5_000,
        precision: 0.05,
        max_points: 16,
    };

    fn point(rate: u32, verdict: Verdict) -> Point {
        Point {
            rate,
            verdict,
            throughput: f64::from(rate),
            p50_us: 0,
            p95_us: 0,
            p99_us: 0,
            failed: 0.0,
            why: Vec::new(),
        }
    }

    /// A queue with one server: the 95th percentile of the time in it grows without bound near its capacity.
    fn queue(capacity: f64, rate: u32) -> Verdict {
        let free = capacity - f64::from(rate);
        let p95_ms = 1_000.0 * 20_f64.ln() / free;
        if free > 0.0 && p95_ms < 200.0 {
            Verdict::Held
        } else {
            Verdict::Missed
        }
    }

    fn searched(measure: impl Fn(u32) -> Verdict) -> Saturation {
        let mut points = Vec::new();
        while let Some(rate) = SEARCH.next(&points) {
            assert!(
                points.iter().all(|point: &Point| point.rate != rate),
                "{rate} twice"
            );
            points.push(point(rate, measure(rate)));
        }
        Saturation::of(points)
    }

    #[test]
    fn the_capacity_of_a_simulated_service_is_found() {
        for capacity in [18.0, 60.0, 90.0, 250.0, 1_234.0, 4_900.0] {
            // The rate at which 95 of 100 still take less than 200 ms.
            let truth = capacity - 5.0 * 20_f64.ln();
            let found = searched(|rate| queue(capacity, rate));
            let (holds_at, fails_at) = (found.holds_at.unwrap(), found.fails_at.unwrap());
            assert!(
                f64::from(holds_at) < truth && truth <= f64::from(fails_at),
                "{capacity}"
            );
            let is_close = f64::from(fails_at) <= f64::from(holds_at) * 1.05;
            assert!(is_close || fails_at == holds_at + 1, "{holds_at} {fails_at}");
            assert!(found.points.is_sorted_by_key(|point| point.rate));
            assert!(found.points.len() <= 13, "{capacity}: {}", found.points.len());
        }
    }

    #[test]
    fn the_search_ends_at_its_bounds() {
        let ends = |found: &Saturation| (found.holds_at, found.fails_at);
        assert_eq!(ends(&searched(|_| Verdict::Held)), (Some(5_000), None));
        assert_eq!(ends(&searched(|_| Verdict::Missed)), (None, Some(1)));
        // Nobody knows what is above 200, so nothing above it holds.
        let noisy = searched(|rate| {
            if rate > 200 {
                Verdict::Unknown
            } else {
                Verdict::Held
            }
        });
        assert!(
            noisy.holds_at.is_some_and(|rate| (190..=200).contains(&rate)),
            "{noisy:?}"
        );
        // A service that holds at 140 and 100, and not at 120 in between, is taken at its word below.
        let odd = Saturation::of(vec![
            point(140, Verdict::Held),
            point(100, Verdict::Held),
            point(120, Verdict::Missed),
        ]);
        assert_eq!(ends(&odd), (Some(100), Some(120)));
    }

    #[test]
    fn the_plan_at_a_rate_is_a_plan() {
        let text = include_str!("../../../../exercises/task-sync/verification/load.yaml");
        let plan: LoadPlan = read("load.yaml", text).unwrap();
        for rate in [1, 70, 5_000] {
            let at_rate = plan.at_rate(rate).unwrap();
            assert_eq!(at_rate.lint(), []);
            assert_eq!(at_rate.scenarios["steady"].mix, plan.scenarios["steady"].mix);
            assert!(at_rate.thresholds.contains_key("http_req_duration"));
            assert!(
                !at_rate
                    .thresholds
                    .keys()
                    .any(|metric| metric.contains("scenario"))
            );
        }
    }
}
