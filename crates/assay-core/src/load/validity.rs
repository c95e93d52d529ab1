//! Whether a measurement says something about the service, and not about the host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Aggregate, ErrorKind, HostAccount, LoadSummary, Metric, Threshold, ThresholdResult};

/// One in a hundred arrivals may be noticed as late as this...
const LATENESS_FLOOR_US: u64 = 2_000;
/// ...or as late as this share of the tightest limit on a duration, if that is more.
const LATENESS_SHARE: f64 = 0.1;
/// What others may take of the generator's cores, in percent.
const OTHERS_PERCENT: u64 = 50;
/// What others may take of all of the host's cores together, in percent.
const HOST_OTHERS_PERCENT: u64 = 25;
/// What other machines on the same hardware may take, in percent.
const STOLEN_PERCENT: u64 = 5;
/// By how much the reference's latency may change from window to window, in percent.
const DRIFT_PERCENT: u64 = 50;
/// More arrivals than one in so many that failed as they do on no host, however busy it is, and it is the service.
const BEYOND_DOUBT_FROM: u64 = 20;
/// A host that is busy makes answers late. It refuses no connection and makes no answer wrong.
const BEYOND_DOUBT: [ErrorKind; 5] = [
    ErrorKind::Refused,
    ErrorKind::Protocol,
    ErrorKind::Status,
    ErrorKind::Body,
    ErrorKind::Check,
];

/// What the host did while a service was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostUse {
    /// What others than the measurement took of its cores, in percent; none when it cannot be told.
    pub others_percent: Option<u64>,
    /// What other machines on the same hardware took, in percent.
    pub stolen_percent: u64,
    /// Share of the time in which at least one task waited for a core, in percent: also those of the measurement itself.
    /// None where the kernel does not count it.
    pub waiting_percent: Option<u64>,
    /// Share of the time slices in which the service wanted more than its own limit, in percent: its own doing.
    pub throttled_percent: Option<u64>,
}

/// What the containers of a measurement used between two moments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContainersUse {
    /// CPU time of all of them together, in milliseconds; none when one of them did not say.
    pub cpu_ms: Option<u64>,
    /// Time slices of the service in which it had something to do, and those in which its limit held it up.
    pub slices: Option<(u64, u64)>,
}

impl HostUse {
    /// From the host's account before and after, and what was used meanwhile. None when no time passed.
    pub fn between(before: HostAccount, after: HostAccount, used: ContainersUse) -> Option<Self> {
        let since = |f: fn(&HostAccount) -> u64| f(&after).saturating_sub(f(&before));
        let all_ms = since(|account| account.all_ms);
        let percent =
            |part: u64, whole: u64| Some(100 * part.min(whole)).and_then(|part| part.checked_div(whole));
        let busy_ms = since(|account| account.busy_ms);
        let waited_ms = after
            .waiting_ms
            .zip(before.waiting_ms)
            .map(|(after, before)| after.saturating_sub(before));
        Some(Self {
            others_percent: used
                .cpu_ms
                .and_then(|own_ms| percent(busy_ms.saturating_sub(own_ms), all_ms)),
            stolen_percent: percent(since(|account| account.stolen_ms), all_ms)?,
            waiting_percent: waited_ms.and_then(|ms| percent(ms, all_ms / after.cores.max(1))),
            throttled_percent: used.slices.and_then(|(all, throttled)| percent(throttled, all)),
        })
    }
}

/// Why a measurement must not be used; empty when it may.
///
/// A disturbance only ever makes latencies longer. So when every threshold on a duration held in spite of it, the
/// measurement stands; when one did not, nobody knows whose fault that is. With two exceptions: no host is so busy that it
/// refuses connections or falsifies answers, so a service that is gone is gone, and one that only looks busy is found out. And when the reference solution, measured in turns with the
/// service, stood still and held the same thresholds, then the host was quiet enough for them.
pub fn doubts(load: &LoadSummary) -> Vec<String> {
    let durations: Vec<(Threshold, bool)> = on_durations(&load.thresholds).collect();
    let held = !durations.is_empty() && durations.iter().all(|(_, ok)| *ok);
    let counts = &load.total.counts;
    let errors = BEYOND_DOUBT.iter().filter_map(|kind| counts.errors.get(kind));
    let errors = errors.fold(0_u64, |sum, n| sum.saturating_add(*n));
    if held || errors.saturating_mul(BEYOND_DOUBT_FROM) > counts.scheduled {
        return Vec::new();
    }
    let tightest_ms = durations
        .iter()
        .map(|(threshold, _)| threshold.limit)
        .min_by(f64::total_cmp);
    let reference = load
        .reference
        .as_ref()
        .filter(|reference| reference.failed.is_none());
    let beside_us = reference.map_or(0, |reference| reference.sender.lateness_p99_us);
    let late = lateness(load.sender.lateness_p99_us.max(beside_us), tightest_ms);
    let drift = reference
        .and_then(|reference| reference.drift_percent)
        .filter(|percent| *percent > DRIFT_PERCENT);
    let is_witness = reference
        .is_some_and(|reference| drift.is_none() && on_durations(&reference.thresholds).all(|(_, ok)| ok));
    let noise = if is_witness { Vec::new() } else { noise(load) };
    late.into_iter().chain(drift.map(unsteady)).chain(noise).collect()
}

/// Why a service must not be compared with the reference solution, although both were measured.
///
/// What comes and goes hits one of the two more than the other, and may make either of them look slow. So here nothing is
/// an excuse: not that the thresholds held, nor that the reference was fast.
pub fn incomparable(load: &LoadSummary) -> Option<String> {
    let reference = load.reference.as_ref()?;
    let late_us = load.sender.lateness_p99_us.max(reference.sender.lateness_p99_us);
    let tightest_ms = on_durations(&load.thresholds)
        .map(|(threshold, _)| threshold.limit)
        .min_by(f64::total_cmp);
    let drift = reference.drift_percent.filter(|percent| *percent > DRIFT_PERCENT);
    lateness(late_us, tightest_ms)
        .or(drift.map(unsteady))
        .or_else(|| noise(load).into_iter().next())
}

/// Why nobody knows whose fault it is that users could not be made, or the load not be ended, in time.
///
/// None: it was the service's. Here is no threshold that could have held, and no measurement of the generator.
pub fn excuse(host: HostUse) -> Option<String> {
    on_host(host).into_iter().next()
}

fn unsteady(percent: u64) -> String {
    format!(
        "the host was not steady: the reference solution's latency changed by {percent} % meanwhile, {DRIFT_PERCENT} % \
         are allowed"
    )
}

/// The thresholds that a busy host can break, and whether they held.
fn on_durations(results: &[ThresholdResult]) -> impl Iterator<Item = (Threshold, bool)> {
    let parsed = results.iter().filter_map(|result| {
        Some((
            Threshold::parse(&result.metric, &result.condition).ok()?,
            result.ok,
        ))
    });
    parsed.filter(|(threshold, _)| {
        threshold.metric == Metric::Duration && threshold.aggregate != Aggregate::Min
    })
}

fn lateness(p99_us: u64, tightest_ms: Option<f64>) -> Option<String> {
    let share_us = tightest_ms.map_or(0, |ms| (ms * 1e3 * LATENESS_SHARE) as u64);
    let allowed_us = share_us.max(LATENESS_FLOOR_US);
    (p99_us > allowed_us).then(|| {
        format!(
            "the generator was short of CPU: it noticed one in a hundred arrivals over {:.1} ms late, {:.1} ms are \
             allowed",
            p99_us as f64 / 1e3,
            allowed_us as f64 / 1e3,
        )
    })
}

fn over(percent: Option<u64>, limit: u64) -> Option<u64> {
    percent.filter(|percent| *percent > limit)
}

fn noise(load: &LoadSummary) -> Vec<String> {
    let beside = over(load.sender.others_percent, OTHERS_PERCENT).map(|percent| {
        format!("the host was busy: others took {percent} % of the generator's cores, {OTHERS_PERCENT} % are allowed")
    });
    beside
        .into_iter()
        .chain(on_host(load.host.unwrap_or_default()))
        .collect()
}

fn on_host(host: HostUse) -> Vec<String> {
    let mut noise = Vec::new();
    if let Some(percent) = over(host.others_percent, HOST_OTHERS_PERCENT) {
        noise.push(format!(
            "the host was busy: others took {percent} % of its cores, {HOST_OTHERS_PERCENT} % are allowed"
        ));
    }
    if let Some(percent) = over(Some(host.stolen_percent), STOLEN_PERCENT) {
        noise.push(format!(
            "the host was slowed down from outside: other machines took {percent} % of its cores, \
             {STOLEN_PERCENT} % are allowed"
        ));
    }
    noise
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Reference;

    const LATE: &str = "the generator was short of CPU: it noticed one in a hundred arrivals over 20.1 ms late, 20.0 ms are allowed";
    const BUSY: &str = "the host was busy: others took 51 % of the generator's cores, 50 % are allowed";
    const OTHERS: &str = "the host was busy: others took 26 % of its cores, 25 % are allowed";
    const STOLEN: &str =
        "the host was slowed down from outside: other machines took 6 % of its cores, 5 % are allowed";
    const DRIFT: &str = "the host was not steady: the reference solution's latency changed by 51 % meanwhile, 50 % are allowed";

    fn results(ok: bool) -> Vec<ThresholdResult> {
        let result = |metric: &str, condition: &str, ok| ThresholdResult {
            metric: metric.to_owned(),
            condition: condition.to_owned(),
            observed: None,
            ok,
        };
        vec![
            result("http_req_duration", "p(95)<200", ok),
            // Neither can be broken by a busy host.
            result("http_req_failed", "rate<0.01", false),
            result("http_req_duration", "min<1", false),
        ]
    }

    /// A measurement that missed its threshold on a quiet host.
    fn missed() -> LoadSummary {
        let mut load = LoadSummary {
            thresholds: results(false),
            host: Some(HostUse {
                others_percent: Some(25),
                stolen_percent: 5,
                waiting_percent: Some(99),
                throttled_percent: Some(99),
            }),
            ..LoadSummary::default()
        };
        load.total.counts.scheduled = 1_000;
        load.sender.lateness_p99_us = 20_000;
        load.sender.others_percent = Some(50);
        load
    }

    fn late(load: &mut LoadSummary) {
        load.sender.lateness_p99_us = 20_100;
    }
    fn busy(load: &mut LoadSummary) {
        load.sender.others_percent = Some(51);
    }
    fn others(load: &mut LoadSummary) {
        load.host.get_or_insert_default().others_percent = Some(26);
    }
    fn stolen(load: &mut LoadSummary) {
        load.host.get_or_insert_default().stolen_percent = 6;
    }
    fn held(load: &mut LoadSummary) {
        load.thresholds = results(true);
    }
    fn gone(load: &mut LoadSummary) {
        load.total.counts.errors.insert(ErrorKind::Refused, 51);
    }
    fn reference(ok: bool, drift_percent: u64, load: &mut LoadSummary) {
        load.reference = Some(Reference {
            thresholds: results(ok),
            drift_percent: Some(drift_percent),
            ..Reference::default()
        });
    }
    fn steady(load: &mut LoadSummary) {
        reference(true, 50, load);
    }
    fn missed_too(load: &mut LoadSummary) {
        reference(false, 50, load);
    }
    fn drifted(load: &mut LoadSummary) {
        reference(true, 51, load);
    }
    fn late_beside(load: &mut LoadSummary) {
        reference(true, 0, load);
        let sender = load.reference.as_mut().map(|reference| &mut reference.sender);
        sender.unwrap().lateness_p99_us = 20_100;
    }
    fn failed(load: &mut LoadSummary) {
        load.reference = Some(Reference {
            failed: Some("it did not build".into()),
            thresholds: results(true),
            ..Reference::default()
        });
    }

    #[test]
    fn a_noisy_host_costs_nothing_and_a_slow_service_is_no_noise() {
        type Change = fn(&mut LoadSummary);
        let all: [Change; 4] = [late, busy, others, stolen];
        let cases: [(&[Change], &[&str]); 20] = [
            // A quiet host: slow is slow, throttled or not, with or without a reference.
            (&[], &[]),
            (&[steady], &[]),
            (&[missed_too], &[]),
            (&[failed], &[]),
            // A noisy one: nobody knows.
            (&[late], &[LATE]),
            (&[busy], &[BUSY]),
            (&[others], &[OTHERS]),
            (&[stolen], &[STOLEN]),
            (&[drifted], &[DRIFT]),
            (
                &[late, busy, others, stolen, drifted],
                &[LATE, DRIFT, BUSY, OTHERS, STOLEN],
            ),
            // The reference was fast enough on the same host at the same time: then slow is slow.
            (&[busy, others, stolen, steady], &[]),
            // Unless the generator did not send what it says.
            (&[late, busy, steady], &[LATE]),
            (&[late_beside], &[LATE]),
            // A reference that is slow as well, drifts or failed is no witness.
            (&[busy, missed_too], &[BUSY]),
            (&[busy, drifted], &[DRIFT, BUSY]),
            (&[busy, failed], &[BUSY]),
            // Fast enough in spite of it all.
            (&[late, busy, others, stolen, drifted, held], &[]),
            (&[held], &[]),
            // No host is so busy that it refuses connections.
            (&[late, busy, others, stolen, gone], &[]),
            (&[late, busy, missed_too, gone], &[]),
        ];
        for (i, (changes, expected)) in cases.into_iter().enumerate() {
            let mut load = missed();
            changes.iter().for_each(|change| change(&mut load));
            assert_eq!(doubts(&load), expected, "case {i}");
        }
        // Without a threshold on a duration there is nothing that could have held.
        let mut load = missed();
        all.iter().for_each(|change| change(&mut load));
        load.thresholds.clear();
        load.sender.lateness_p99_us = 2_100;
        assert_eq!(doubts(&load).len(), 4);
    }

    #[test]
    fn nothing_excuses_a_comparison_on_a_noisy_host() {
        type Change = fn(&mut LoadSummary);
        let cases: [(&[Change], Option<&str>); 9] = [
            (&[steady], None),
            (&[missed_too], None),
            (&[steady, held], None),
            (&[], None),
            (&[steady, late, held], Some(LATE)),
            (&[late_beside], Some(LATE)),
            (&[drifted, held], Some(DRIFT)),
            (&[steady, others, held], Some(OTHERS)),
            (&[steady, stolen, held], Some(STOLEN)),
        ];
        for (i, (changes, expected)) in cases.into_iter().enumerate() {
            let mut load = missed();
            changes.iter().for_each(|change| change(&mut load));
            assert_eq!(incomparable(&load).as_deref(), expected, "case {i}");
        }
    }

    #[test]
    fn only_a_noisy_host_excuses_users_that_were_not_made_in_time() {
        let quiet = HostUse {
            others_percent: Some(25),
            stolen_percent: 5,
            waiting_percent: Some(99),
            throttled_percent: Some(99),
        };
        assert_eq!(excuse(quiet), None);
        assert_eq!(excuse(HostUse::default()), None);
        let others_percent = Some(26);
        assert_eq!(
            excuse(HostUse {
                others_percent,
                ..quiet
            })
            .as_deref(),
            Some(OTHERS)
        );
        let stolen_percent = 6;
        assert_eq!(
            excuse(HostUse {
                stolen_percent,
                ..quiet
            })
            .as_deref(),
            Some(STOLEN)
        );
    }

    #[test]
    fn what_no_host_does_counts_from_one_in_twenty_on() {
        use ErrorKind::{Check, Refused, ServerError, Timeout};
        let cases: [(&[(ErrorKind, u64)], bool); 7] = [
            (&[], true),
            (&[(Refused, 50)], true),
            (&[(Refused, 51)], false),
            (&[(Refused, 1_000)], false),
            (&[(Check, 51)], false),
            (&[(Refused, 25), (Check, 26)], false),
            (&[(Timeout, 500), (ServerError, 500)], true),
        ];
        for (errors, doubtful) in cases {
            let mut load = missed();
            busy(&mut load);
            load.total.counts.errors.extend(errors.iter().copied());
            assert_eq!(!doubts(&load).is_empty(), doubtful, "{errors:?}");
        }
    }

    #[test]
    fn the_host_is_what_is_left_of_its_time() {
        let account = |all_ms, busy_ms, stolen_ms, waiting_ms| HostAccount {
            cores: 2,
            all_ms,
            busy_ms,
            stolen_ms,
            waiting_ms,
        };
        let before = account(1_000, 500, 10, Some(100));
        let after = account(21_000, 10_500, 410, Some(2_600));
        let used = ContainersUse {
            cpu_ms: Some(6_000),
            slices: Some((40, 10)),
        };
        let host = HostUse {
            others_percent: Some(20),
            stolen_percent: 2,
            waiting_percent: Some(25),
            throttled_percent: Some(25),
        };
        assert_eq!(HostUse::between(before, after, used), Some(host));
        let nothing = HostUse {
            stolen_percent: 2,
            ..HostUse::default()
        };
        let after = account(21_000, 10_500, 410, None);
        assert_eq!(
            HostUse::between(before, after, ContainersUse::default()),
            Some(nothing)
        );
        assert_eq!(HostUse::between(before, before, used), None);
    }
}
