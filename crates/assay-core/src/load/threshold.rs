//! Thresholds as in k6: `http_req_duration{endpoint:list}: ["p(95)<200"]`.

use super::{Counts, ThresholdResult};

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// What is measured.
    pub metric: Metric,
    /// Of which requests.
    pub selector: Selector,
    /// Which number of it.
    pub aggregate: Aggregate,
    /// Compared how.
    pub comparison: Comparison,
    /// With what; times in milliseconds.
    pub limit: f64,
    /// As written, for the report.
    source: (String, String),
}

/// The metrics, with k6's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// `http_req_duration`: latency in milliseconds, from the intended time until the expected answer. Unlike in k6, a
    /// failure counts with the time limit.
    Duration,
    /// `http_req_failed`: share of sent requests that were errors.
    Failed,
    /// `http_reqs`: requests sent.
    Requests,
    /// `dropped_iterations`: arrivals never sent.
    Dropped,
    /// `checks`: share of fully checked answers that were as expected.
    Checks,
}

/// Of which requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// All of them.
    All,
    /// `{endpoint:NAME}`.
    Endpoint(String),
    /// `{scenario:NAME}`.
    Scenario(String),
}

/// Which number of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregate {
    /// `p(N)`, and `med` as `p(50)`.
    Percentile(f64),
    /// `avg`.
    Mean,
    /// `min`.
    Min,
    /// `max`.
    Max,
    /// `rate`: a share from 0 to 1, or of `http_reqs` and `dropped_iterations` a number per second.
    Rate,
    /// `count`.
    Count,
}

/// The comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after what they are")]
pub enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
    Unequal,
}

/// The text is not a threshold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// Not a metric.
    #[error(
        "there is no metric `{0}` (http_req_duration, http_req_failed, http_reqs, dropped_iterations, checks)"
    )]
    Metric(String),
    /// Neither `{endpoint:…}` nor `{scenario:…}`.
    #[error("`{0}` does not select by `{{endpoint:…}}` or `{{scenario:…}}`")]
    Selector(String),
    /// Not of the form.
    #[error("`{0}` is not a condition such as `p(95)<200` or `rate<0.01`")]
    Condition(String),
    /// The metric does not have this number.
    #[error("`{metric}` has no `{aggregate}`")]
    Aggregate {
        /// As written.
        metric: String,
        /// As written.
        aggregate: String,
    },
}

/// What a threshold is judged by.
pub trait Observed {
    /// What became of the selected arrivals; `None` when there is no such part.
    fn counts(&self, selector: &Selector) -> Option<&Counts>;
    /// A number of the latency in milliseconds; `None` without samples.
    fn duration_ms(&self, selector: &Selector, aggregate: Aggregate) -> Option<f64>;
    /// Checks passed and failed.
    fn checks(&self, selector: &Selector) -> Option<(u64, u64)>;
    /// How long the measurement took.
    fn seconds(&self) -> f64;
}

impl Threshold {
    /// Reads a metric with its selector and a condition.
    ///
    /// # Errors
    ///
    /// An unknown metric or selector, an odd condition, or a number that the metric does not have.
    pub fn parse(metric: &str, condition: &str) -> Result<Self, ThresholdError> {
        let source = (metric.to_owned(), condition.to_owned());
        let (name, selector) = match metric.split_once('{') {
            Some((name, rest)) => (name.trim(), parse_selector(metric, rest)?),
            None => (metric.trim(), Selector::All),
        };
        let kind = match name {
            "http_req_duration" => Metric::Duration,
            "http_req_failed" => Metric::Failed,
            "http_reqs" => Metric::Requests,
            "dropped_iterations" => Metric::Dropped,
            "checks" => Metric::Checks,
            _ => return Err(ThresholdError::Metric(name.to_owned())),
        };
        let odd = || ThresholdError::Condition(condition.to_owned());
        let operator = condition.find(['<', '>', '=', '!']).ok_or_else(odd)?;
        let (text, rest) = condition.split_at(operator);
        let (comparison, limit) = COMPARISONS
            .iter()
            .find_map(|(sign, comparison)| Some((*comparison, rest.strip_prefix(sign)?)))
            .ok_or_else(odd)?;
        let limit = limit
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|limit| limit.is_finite())
            .ok_or_else(odd)?;
        let aggregate = parse_aggregate(text.trim()).ok_or_else(odd)?;
        let fits = match kind {
            Metric::Duration => !matches!(aggregate, Aggregate::Rate | Aggregate::Count),
            Metric::Failed | Metric::Checks => aggregate == Aggregate::Rate,
            Metric::Requests | Metric::Dropped => matches!(aggregate, Aggregate::Rate | Aggregate::Count),
        };
        if !fits {
            let aggregate = text.trim().to_owned();
            return Err(ThresholdError::Aggregate {
                metric: name.to_owned(),
                aggregate,
            });
        }
        Ok(Self {
            metric: kind,
            selector,
            aggregate,
            comparison,
            limit,
            source,
        })
    }

    /// Judges the condition. Without a sample it does not hold.
    pub fn judge(&self, observed: &impl Observed) -> ThresholdResult {
        // Rounded, so that it is the same number again when it is read from the summary.
        let value = self.value(observed).map(|value| (value * 1e6).round() / 1e6);
        let (metric, condition) = self.source.clone();
        let ok = value.is_some_and(|value| self.comparison.holds(value, self.limit));
        ThresholdResult {
            metric,
            condition,
            observed: value,
            ok,
        }
    }

    fn value(&self, observed: &impl Observed) -> Option<f64> {
        let counted = |n: u64| match self.aggregate {
            Aggregate::Rate => (observed.seconds() > 0.0).then(|| n as f64 / observed.seconds()),
            _ => Some(n as f64),
        };
        match self.metric {
            Metric::Duration => observed.duration_ms(&self.selector, self.aggregate),
            Metric::Failed => observed.counts(&self.selector)?.error_rate(),
            Metric::Requests => counted(observed.counts(&self.selector)?.sent),
            Metric::Dropped => {
                let counts = observed.counts(&self.selector)?;
                counted(counts.dropped + counts.unsent)
            }
            Metric::Checks => {
                let (passed, failed) = observed.checks(&self.selector)?;
                (passed + failed > 0).then(|| passed as f64 / (passed + failed) as f64)
            }
        }
    }
}

/// Two-character signs first, so that `<=` is not read as `<`.
const COMPARISONS: [(&str, Comparison); 7] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("===", Comparison::Equal),
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    ("<", Comparison::Below),
    (">", Comparison::Above),
];

impl Comparison {
    #[expect(clippy::float_cmp, reason = "`count==0` is about whole numbers")]
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
            Self::Equal => value == limit,
            Self::Unequal => value != limit,
        }
    }
}

fn parse_selector(metric: &str, rest: &str) -> Result<Selector, ThresholdError> {
    let odd = || ThresholdError::Selector(metric.to_owned());
    let (tag, name) = rest
        .strip_suffix('}')
        .and_then(|inner| inner.split_once(':'))
        .ok_or_else(odd)?;
    match tag.trim() {
        "endpoint" => Ok(Selector::Endpoint(name.trim().to_owned())),
        "scenario" => Ok(Selector::Scenario(name.trim().to_owned())),
        _ => Err(odd()),
    }
}

fn parse_aggregate(text: &str) -> Option<Aggregate> {
    Some(match text {
        "avg" => Aggregate::Mean,
        "min" => Aggregate::Min,
        "med" => Aggregate::Percentile(50.0),
        "max" => Aggregate::Max,
        "rate" => Aggregate::Rate,
        "count" => Aggregate::Count,
        _ => {
            let percentile = text
                .strip_prefix("p(")?
                .strip_suffix(')')?
                .trim()
                .parse::<f64>()
                .ok()?;
            Aggregate::Percentile(Some(percentile).filter(|p| (0.0..=100.0).contains(p))?)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::load::ErrorKind;

    struct Fixed(Counts);

    impl Observed for Fixed {
        fn counts(&self, selector: &Selector) -> Option<&Counts> {
            (*selector != Selector::Endpoint("gone".to_owned())).then_some(&self.0)
        }
        fn duration_ms(&self, _: &Selector, aggregate: Aggregate) -> Option<f64> {
            match aggregate {
                Aggregate::Percentile(p) => Some(p * 2.0),
                Aggregate::Max => Some(500.0),
                _ => None,
            }
        }
        fn checks(&self, _: &Selector) -> Option<(u64, u64)> {
            Some((3, 1))
        }
        fn seconds(&self) -> f64 {
            10.0
        }
    }

    #[test]
    fn conditions_are_judged() {
        let errors = BTreeMap::from([(ErrorKind::Timeout, 2)]);
        let counts = Counts {
            scheduled: 105,
            sent: 100,
            ok: 98,
            errors,
            dropped: 4,
            unsent: 1,
        };
        for (metric, condition, value, ok) in [
            ("http_req_duration", "p(95)<200", Some(190.0), true),
            (
                "http_req_duration{endpoint:list}",
                "p(95) <= 189.9",
                Some(190.0),
                false,
            ),
            ("http_req_duration", "med<200", Some(100.0), true),
            ("http_req_duration", "max>=500", Some(500.0), true),
            ("http_req_duration", "avg<1", None, false),
            ("http_req_failed", "rate<0.02", Some(0.02), false),
            ("http_req_failed{endpoint:gone}", "rate<1", None, false),
            ("http_reqs{scenario:steady}", "rate>9", Some(10.0), true),
            ("dropped_iterations", "count==5", Some(5.0), true),
            ("checks", "rate>0.99", Some(0.75), false),
        ] {
            let result = Threshold::parse(metric, condition)
                .unwrap()
                .judge(&Fixed(counts.clone()));
            let expected = ThresholdResult {
                metric: metric.into(),
                condition: condition.into(),
                observed: value,
                ok,
            };
            assert_eq!(result, expected);
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (metric, condition, expected) in [
            (
                "http_req_blocked",
                "p(95)<1",
                "there is no metric `http_req_blocked` (http_req_duration, http_req_failed, http_reqs, dropped_iterations, checks)",
            ),
            (
                "checks{name:x}",
                "rate>1",
                "`checks{name:x}` does not select by `{endpoint:…}` or `{scenario:…}`",
            ),
            (
                "http_req_duration",
                "p95<200",
                "`p95<200` is not a condition such as `p(95)<200` or `rate<0.01`",
            ),
            (
                "http_req_duration",
                "p(101)<200",
                "`p(101)<200` is not a condition such as `p(95)<200` or `rate<0.01`",
            ),
            (
                "http_req_duration",
                "p(95)<200ms",
                "`p(95)<200ms` is not a condition such as `p(95)<200` or `rate<0.01`",
            ),
            (
                "http_req_duration",
                "rate<200",
                "`http_req_duration` has no `rate`",
            ),
            ("checks", "count>2", "`checks` has no `count`"),
        ] {
            assert_eq!(
                Threshold::parse(metric, condition).unwrap_err().to_string(),
                expected
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(metric in "[a-z_{}:]{0,30}", condition in "[a-z()<>=!0-9. ]{0,20}") {
            let _ = Threshold::parse(&metric, &condition);
            let _ = Threshold::parse("http_req_duration", &condition);
        }
    }
}
