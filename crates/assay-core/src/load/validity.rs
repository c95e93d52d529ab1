//! Whether a measurement says something about the service, and not about the host.

use super::{Aggregate, Counts, ErrorKind, Metric, Sender, Threshold, ThresholdResult};

/// One in a hundred arrivals may be noticed as late as this...
const LATENESS_FLOOR_US: u64 = 2_000;
/// ...or as late as this share of the tightest limit on a duration, if that is more.
const LATENESS_SHARE: f64 = 0.1;
/// What others may take of the generator's cores, in percent.
const OTHERS_PERCENT: u64 = 50;
/// More refused connections than one in so many arrivals, and the service is gone.
const GONE_FROM: u64 = 20;

/// Why a measurement must not be used; empty when it may.
///
/// A disturbance only ever makes latencies longer. So when every threshold on a duration held in spite of it, the
/// measurement stands; when one did not, nobody knows whose fault that is. Except that of a service that is gone: no
/// host is so busy that it refuses connections.
pub fn doubts(
    sender: &Sender,
    counts: &Counts,
    thresholds: &[Threshold],
    results: &[ThresholdResult],
) -> Vec<String> {
    let on_durations = || {
        let judged = thresholds.iter().zip(results);
        judged.filter(|(threshold, _)| {
            threshold.metric == Metric::Duration && threshold.aggregate != Aggregate::Min
        })
    };
    let held = on_durations().next().is_some() && on_durations().all(|(_, result)| result.ok);
    let refused = counts.errors.get(&ErrorKind::Refused).copied().unwrap_or(0);
    if held || refused.saturating_mul(GONE_FROM) > counts.scheduled {
        return Vec::new();
    }
    let tightest_ms = on_durations()
        .map(|(threshold, _)| threshold.limit)
        .min_by(f64::total_cmp);
    let share_us = tightest_ms.map_or(0, |ms| (ms * 1e3 * LATENESS_SHARE) as u64);
    let allowed_us = share_us.max(LATENESS_FLOOR_US);
    let mut doubts = Vec::new();
    if sender.lateness_p99_us > allowed_us {
        doubts.push(format!(
            "the generator was short of CPU: it noticed one in a hundred arrivals over {:.1} ms late, \
             {:.1} ms are allowed",
            sender.lateness_p99_us as f64 / 1e3,
            allowed_us as f64 / 1e3,
        ));
    }
    if let Some(percent) = sender.others_percent.filter(|percent| *percent > OTHERS_PERCENT) {
        doubts.push(format!(
            "the host was busy: others took {percent} % of the generator's cores, {OTHERS_PERCENT} % are allowed"
        ));
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One threshold that held or did not; none without a limit.
    fn shown(limit_ms: Option<u32>, held: bool, lateness_p99_us: u64, others_percent: Option<u64>) -> String {
        let threshold =
            limit_ms.map(|ms| Threshold::parse("http_req_duration", &format!("p(95)<{ms}")).unwrap());
        let (metric, condition) = Default::default();
        let result = ThresholdResult {
            metric,
            condition,
            observed: None,
            ok: held,
        };
        let sender = Sender {
            lateness_p99_us,
            others_percent,
            ..Sender::default()
        };
        let thresholds: Vec<Threshold> = threshold.into_iter().collect();
        let results = vec![result; thresholds.len()];
        doubts(&sender, &Counts::default(), &thresholds, &results).join("; ")
    }

    #[test]
    fn a_busy_host_is_no_excuse_for_being_gone() {
        let sender = Sender {
            others_percent: Some(99),
            ..Sender::default()
        };
        for (refused, doubtful) in [(0, true), (50, true), (51, false), (1_000, false)] {
            let errors = [(ErrorKind::Refused, refused)].into();
            let counts = Counts {
                scheduled: 1_000,
                errors,
                ..Counts::default()
            };
            assert_eq!(
                !doubts(&sender, &counts, &[], &[]).is_empty(),
                doubtful,
                "{refused}"
            );
        }
    }

    #[test]
    fn a_disturbed_measurement_is_not_used_against_anyone() {
        let late = |ms: &str, allowed: &str| {
            format!(
                "the generator was short of CPU: it noticed one in a hundred arrivals over {ms} ms late, {allowed} ms are allowed"
            )
        };
        for (limit_ms, held, lateness_us, others, expected) in [
            (Some(200), false, 20_000, Some(50), String::new()),
            (Some(200), false, 20_100, None, late("20.1", "20.0")),
            (Some(10), false, 2_100, None, late("2.1", "2.0")),
            (None, true, 2_100, None, late("2.1", "2.0")),
            (
                Some(200),
                false,
                100,
                Some(51),
                "the host was busy: others took 51 % of the generator's cores, 50 % are allowed".to_owned(),
            ),
            // It was fast enough in spite of all that.
            (Some(200), true, 90_000, Some(99), String::new()),
        ] {
            assert_eq!(
                shown(limit_ms, held, lateness_us, others),
                expected,
                "{limit_ms:?} {lateness_us}"
            );
        }
    }
}
