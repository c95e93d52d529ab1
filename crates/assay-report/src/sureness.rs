//! How sure the latency of all requests is, in words.

use assay_core::load::{Aggregate, Estimate, LoadSummary, Metric, Selector, Threshold};

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

/// `p95 is 38 ms (95 % sure: 36–41 ms), 1.12 times the reference (1.05–1.19): slower than the reference, and that is sure.`
pub(crate) fn sentence(load: &LoadSummary) -> Option<String> {
    let estimate = main(load)?;
    let mut sentence = format!("p{} is {}", estimate.percentile, estimate.sentence());
    match (estimate.ratio, &load.reference) {
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
