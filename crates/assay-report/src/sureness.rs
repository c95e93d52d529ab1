//! How sure the latency of all requests is, in words.

use assay_core::load::{Aggregate, Estimate, LoadSummary, Metric, Ratio, Selector, Threshold};

use crate::number;
use crate::text;

/// The estimate that the plan's limit is about, else the 95th percentile.
pub(crate) fn main(load: &LoadSummary) -> Option<&Estimate> {
    let of_limit = load.thresholds.iter().find_map(|result| {
        let threshold = Threshold::parse(&result.metric, &result.condition).ok()?;
        let percent = match (threshold.metric, &threshold.selector, threshold.aggregate) {
            (Metric::Duration, Selector::All, Aggregate::Percentile(percent)) => percent,
            _ => return None,
        };
        let is_it = |estimate: &&Estimate| {
            estimate.endpoint.is_none() && (f64::from(estimate.percentile) - percent).abs() < 0.01
        };
        load.estimates.iter().find(is_it)
    });
    of_limit.or_else(|| load.estimate(None, 95))
}

/// What tells the service from the reference: all answers together, in reports of old the percentile.
pub(crate) fn beside_reference(load: &LoadSummary) -> Option<Ratio> {
    load.overall.or_else(|| main(load)?.ratio)
}

/// `p95 is 38 ms (95 % sure: 36–41 ms), 1.12 times the reference (1.05–1.19). All answers together take 1.14 times as long as
/// the reference's (1.11–1.17): slower than the reference, and that is sure.`
pub(crate) fn sentence(load: &LoadSummary) -> Option<String> {
    let estimate = main(load)?;
    let mut sentence = format!("p{} is {}", estimate.percentile, estimate.sentence());
    if let Some(Ratio { value, low, high, .. }) = load.overall {
        sentence += &format!(
            ". All answers together take {value:.2} times as long as the reference's ({low:.2}–{high:.2})"
        );
    }
    match (beside_reference(load), &load.reference) {
        (Some(ratio), _) if !ratio.differs() => {
            sentence += ": it cannot be told from the reference.";
        }
        (Some(ratio), _) => {
            let word = if ratio.low > 1.0 { "slower" } else { "faster" };
            sentence += &format!(": {word} than the reference, and that is sure.");
        }
        (None, Some(reference)) => {
            let why = reference.failed.as_deref().unwrap_or_default();
            sentence += &format!(
                ". This counts alone, without the reference solution: {}",
                text::line(why)
            );
        }
        (None, None) => sentence += ".",
    }
    if let Some(reference) = &load.reference
        && reference.failed.is_none()
    {
        sentence += &format!(
            " Both had the same requests, in {} windows each by turns.",
            number::thousands(reference.windows)
        );
    }
    Some(sentence)
}

#[cfg(test)]
mod tests {
    use assay_core::load::Reference;

    use super::*;

    #[test]
    fn all_answers_together_decide_where_they_are_known() {
        let ratio = |value, low, high| Ratio {
            reference_us: 34_000,
            value,
            low,
            high,
        };
        let load = |overall| LoadSummary {
            estimates: vec![Estimate {
                endpoint: None,
                percentile: 95,
                value_us: 38_000,
                low_us: 36_000,
                high_us: 41_000,
                ratio: Some(ratio(1.118, 0.98, 1.31)),
            }],
            overall,
            reference: Some(Reference::default()),
            ..LoadSummary::default()
        };
        let both = [None, Some(ratio(1.14, 1.11, 1.17))].map(|overall| sentence(&load(overall)).unwrap());
        insta::assert_snapshot!(both.join("\n"), @"
        p95 is 38 ms (95 % sure: 36–41 ms), 1.12 times the reference (0.98–1.31): it cannot be told from the reference. Both had the same requests, in 0 windows each by turns.
        p95 is 38 ms (95 % sure: 36–41 ms), 1.12 times the reference (0.98–1.31). All answers together take 1.14 times as long as the reference's (1.11–1.17): slower than the reference, and that is sure. Both had the same requests, in 0 windows each by turns.
        ");
    }
}
