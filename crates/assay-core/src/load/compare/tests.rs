//! Sureness and windows.

use proptest::prelude::*;

use super::*;
use crate::load::Outcome;

/// A measurement with these latencies, block by block, of one request.
fn measured(blocks: &[Vec<u64>]) -> (LoadSummary, Blocks) {
    let mut all: Vec<u64> = blocks.iter().flatten().copied().collect();
    all.sort_unstable();
    let percentile = |percent: usize| {
        all.get((all.len() * percent).div_ceil(100).saturating_sub(1))
            .copied()
            .unwrap_or(0)
    };
    let latency = Latency {
        count: all.len() as u64,
        p50_us: percentile(50),
        p90_us: percentile(90),
        p95_us: percentile(95),
        p99_us: percentile(99),
        ..Latency::default()
    };
    let outcome = Outcome {
        latency,
        ..Outcome::default()
    };
    let summary = LoadSummary {
        total: outcome.clone(),
        endpoints: BTreeMap::from([("get".to_owned(), outcome)]),
        ..LoadSummary::default()
    };
    let block = |(i, latencies): (usize, &Vec<u64>)| Block {
        at_ms: 1_000 * i as u64,
        requests: BTreeMap::from([(
            "get".to_owned(),
            latencies.iter().map(|us| (Blocks::coarse(*us), 1)).collect(),
        )]),
    };
    let blocks = blocks.iter().enumerate().map(block).collect();
    (
        summary,
        Blocks {
            step_ms: 1_000,
            blocks,
        },
    )
}

fn beside(own: &(LoadSummary, Blocks), reference: &(LoadSummary, Blocks), seed: u64) -> Vec<Estimate> {
    estimates((&own.0, &own.1), Some((&reference.0, &reference.1)), seed)
}

/// Blocks of answers around `ms`, some blocks slower than others.
fn noisy(ms: f64, n_blocks: usize, seed: u64) -> Vec<Vec<u64>> {
    let mut dice = Dice::new(seed, 1);
    let mut share = || dice.below(1_000) as f64 / 1_000.0;
    (0..n_blocks)
        .map(|_| {
            let slow = 1.0 + 0.1 * share();
            (0..50)
                .map(|_| (ms * 1e3 * slow * (0.8 + 0.4 * share())) as u64)
                .collect()
        })
        .collect()
}

#[test]
fn the_same_measurement_is_no_different_from_itself() {
    let one = measured(&noisy(20.0, 16, 3));
    for estimate in beside(&one, &one, 7) {
        let ratio = estimate.ratio.unwrap();
        assert_eq!((ratio.low, ratio.value, ratio.high), (1.0, 1.0, 1.0));
        assert!(!ratio.differs());
    }
    let ratio = overall(&one.1, &one.1, 7).unwrap();
    assert_eq!((ratio.low, ratio.value, ratio.high), (1.0, 1.0, 1.0));
}

#[test]
fn what_is_slower_by_a_factor_has_that_factor_overall() {
    let one = noisy(20.0, 8, 3);
    let twice: Vec<Vec<u64>> = one
        .iter()
        .map(|block| block.iter().map(|us| 2 * us).collect())
        .collect();
    let (one, twice) = (measured(&one), measured(&twice));
    for (own, reference, expected) in [(&twice, &one, 2.0), (&one, &twice, 0.5)] {
        let ratio = overall(&own.1, &reference.1, 1).unwrap();
        assert!((ratio.value / expected - 1.0).abs() < 0.005, "{ratio:?}");
        assert!(ratio.low <= ratio.value && ratio.value <= ratio.high, "{ratio:?}");
    }
}

#[test]
fn a_fifth_slower_is_told_from_the_reference() {
    let mut n_told = 0;
    for seed in 0..10 {
        let (slow, reference) = (
            measured(&noisy(24.0, 16, seed)),
            measured(&noisy(20.0, 16, seed + 100)),
        );
        let estimates = beside(&slow, &reference, seed);
        let p95 = estimates
            .iter()
            .find(|estimate| estimate.percentile == 95)
            .unwrap();
        n_told += u32::from(p95.ratio.unwrap().low > 1.0);
    }
    assert!(n_told >= 9, "{n_told} of 10");
}

/// Blocks of a host whose cores now and then run at two thirds of their speed, for a block or a part of it.
fn at_two_speeds(ms: f64, n_blocks: usize, seed: u64) -> Vec<Vec<u64>> {
    let mut dice = Dice::new(seed, 1);
    let mut share = || dice.below(1_000) as f64 / 1_000.0;
    (0..n_blocks)
        .map(|_| {
            let slow_from = 2.0 * share();
            let slow = |i: usize| if i as f64 / 25.0 < slow_from { 1.0 } else { 1.5 };
            (0..25)
                .map(|i| (ms * 1e3 * slow(i) * (0.98 + 0.04 * share())) as u64)
                .collect()
        })
        .collect()
}

#[test]
fn all_answers_together_tell_more_than_a_percentile() {
    let (mut n_overall, mut n_p95, mut n_wrong) = (0, 0, 0);
    for seed in 0..20 {
        let slow = measured(&at_two_speeds(12.0, 16, seed));
        let same = measured(&at_two_speeds(10.0, 16, seed + 100));
        let reference = measured(&at_two_speeds(10.0, 16, seed + 200));
        let together = |one: &Blocks| overall(one, &reference.1, seed).unwrap();
        let estimates = beside(&slow, &reference, seed);
        let p95 = estimates
            .iter()
            .find(|estimate| estimate.percentile == 95)
            .unwrap();
        n_overall += u32::from(together(&slow.1).low > 1.0);
        n_p95 += u32::from(p95.ratio.unwrap().low > 1.0);
        n_wrong += u32::from(together(&same.1).differs());
    }
    assert!(
        n_overall >= 19 && n_overall > n_p95,
        "{n_overall} and {n_p95} of 20"
    );
    // Nominally one of twenty, and a little more with few blocks.
    assert!(n_wrong <= 3, "{n_wrong} of 20");
}

#[test]
fn two_of_a_kind_are_seldom_told_apart() {
    let told = (0..20).filter(|seed| {
        let (one, two) = (
            measured(&noisy(20.0, 16, *seed)),
            measured(&noisy(20.0, 16, seed + 100)),
        );
        let estimates = beside(&one, &two, *seed);
        let p95 = estimates
            .iter()
            .find(|estimate| estimate.percentile == 95)
            .unwrap();
        p95.ratio.unwrap().differs()
    });
    // Few blocks make an interval a little too narrow: nominally one of twenty.
    let n_told = told.count();
    assert!(n_told <= 4, "{n_told} of 20");
}

#[test]
fn it_is_said_in_words() {
    let estimate = |value_us, low_us, high_us, ratio| Estimate {
        endpoint: None,
        percentile: 95,
        value_us,
        low_us,
        high_us,
        ratio,
    };
    let ratio = Ratio {
        reference_us: 34_000,
        value: 1.118,
        low: 1.051,
        high: 1.19,
    };
    for (estimate, expected) in [
        (
            estimate(38_000, 36_000, 41_000, Some(ratio)),
            "38 ms (95 % sure: 36–41 ms), 1.12 times the reference (1.05–1.19)",
        ),
        (
            estimate(3_810, 3_790, 9_949, None),
            "3.8 ms (95 % sure: 3.8–9.9 ms)",
        ),
        (estimate(38_000, 38_000, 38_400, None), "38 ms (95 % sure)"),
    ] {
        assert_eq!(estimate.sentence(), expected);
    }
}

#[test]
fn with_few_blocks_nothing_is_said() {
    let few = measured(&noisy(20.0, MIN_BLOCKS - 1, 1));
    assert_eq!(beside(&few, &few, 1), []);
    assert_eq!(overall(&few.1, &few.1, 1), None);
    assert_eq!(
        estimates((&LoadSummary::default(), &Blocks::default()), None, 1),
        []
    );
}

#[test]
fn drift_is_the_change_of_medians_from_window_to_window() {
    let windows = |ms: [u64; 4]| {
        let blocks: Vec<Vec<u64>> = ms.iter().map(|ms| vec![ms * 1_000; 10]).collect();
        drift_percent(&measured(&blocks).1, &[2_000])
    };
    assert_eq!(windows([20, 20, 20, 20]), Some(0));
    assert_eq!(windows([20, 20, 40, 40]), Some(100));
    // Below a millisecond nothing drifts.
    let fast = measured(&[vec![200; 10], vec![900; 10]]);
    assert_eq!(drift_percent(&fast.1, &[1_000]), Some(0));
    assert_eq!(drift_percent(&Blocks::default(), &[1_000]), None);
}

#[test]
fn windows_begin_after_the_warm_up_and_come_in_pairs() {
    let cut = |scenarios: &str| {
        let plan = format!(
            "{{version: 1, users: {{count: 1}}, requests: {{a: {{path: /}}}}, scenarios: {{{scenarios}}}}}"
        );
        cuts_ms(&serde_yaml::from_str(&plan).unwrap())
    };
    let steady = |start: &str, duration: &str| {
        format!(
            "s: {{executor: constant-arrival-rate, rate: 9, startTime: {start}, duration: {duration}, mix: {{a: 1}}}}"
        )
    };
    let warm = "w: {executor: constant-arrival-rate, rate: 9, duration: 3s, warmUp: true, mix: {a: 1}}, ";
    for (scenarios, expected) in [
        (steady("0s", "16s"), vec![2_000, 5_000, 8_000, 10_000, 13_000]),
        (
            warm.to_owned() + &steady("3s", "16s"),
            vec![3_000, 5_000, 8_000, 11_000, 13_000, 16_000],
        ),
        (
            warm.to_owned() + &steady("3500ms", "6s"),
            vec![3_000, 4_000, 6_000, 8_000],
        ),
        (steady("0s", "1s"), vec![]),
        (steady("0s", "5s"), vec![2_000]),
    ] {
        assert_eq!(cut(&scenarios), expected, "{scenarios}");
    }
    let long = cut(&steady("0s", "50m"));
    assert_eq!(long.len(), 31);
    let step_ms = Blocks::step_ms(3_000_000);
    assert_eq!(step_ms, 25_000);
    assert!(long.iter().all(|cut| cut % step_ms == 0), "{long:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn coarse_latencies_are_near(us in 0_u64..120_000_000) {
        let coarse = Blocks::coarse(us);
        prop_assert!(coarse.abs_diff(us) as f64 <= us as f64 * 0.004);
        prop_assert_eq!(Blocks::coarse(coarse), coarse);
    }

    #[test]
    fn intervals_hold_their_value_and_follow_from_the_seed(
        own in prop::collection::vec(prop::collection::vec(1_u64..5_000_000, 0..20), 0..12),
        other in prop::collection::vec(prop::collection::vec(1_u64..5_000_000, 0..20), 0..12),
        seed in any::<u64>(),
    ) {
        let (own, other) = (measured(&own), measured(&other));
        let estimates = beside(&own, &other, seed);
        prop_assert_eq!(&estimates, &beside(&own, &other, seed));
        for estimate in estimates {
            prop_assert!(estimate.low_us <= estimate.value_us && estimate.value_us <= estimate.high_us);
            if let Some(ratio) = estimate.ratio {
                prop_assert!(0.0 < ratio.high && ratio.low <= ratio.value && ratio.value <= ratio.high);
                prop_assert!(ratio.high.is_finite());
            }
        }
    }
}
