//! How sure a latency is, alone and beside the reference solution's.
//!
//! Latencies that follow each other are alike: a service that is slow now is slow for all who come now. So single answers
//! tell less than their number promises, and what is drawn again and again (the bootstrap) is whole blocks of time. Blocks
//! of candidate and reference with the same place in the schedule stay together: they had the same requests to answer,
//! one shortly after the other, so what disturbed both falls out of their ratio.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Dice, Latency, LoadPlan, LoadSummary, Traffic};

/// Shortest block.
const BLOCK_MS: u64 = 1_000;
/// Most blocks of a measurement; a longer one has longer blocks.
const MAX_BLOCKS: u64 = 120;
/// With fewer blocks nothing can be said.
const MIN_BLOCKS: usize = 4;
/// How often blocks are drawn.
const DRAWS: usize = 1_000;
/// Draws below and above a 95 % interval.
const TAIL: usize = DRAWS / 40;
/// Longest window, where their number is not at its most. The shorter it is, the nearer in time is what is compared, and the less
/// a queue can grow before the other one has its turn.
const WINDOW_MS: u64 = 3_000;
/// Most windows.
const MAX_WINDOWS: u64 = 32;
/// Changes of a median that are no drift: the clock of the matter is not finer.
const STILL_US: u64 = 1_000;

/// The percentiles that estimates are made of.
pub const PERCENTILES: [u8; 4] = [50, 90, 95, 99];

/// All latencies of a measurement in blocks of time, without the warm-up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocks {
    /// Length of a block in milliseconds.
    pub step_ms: u64,
    /// Those in which something was to be sent.
    pub blocks: Vec<Block>,
}

/// The arrivals intended within one block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Block {
    /// Where it begins, in milliseconds from the start of the schedule.
    pub at_ms: u64,
    /// By request name: latencies in microseconds as [`Blocks::coarse`] makes them, each with its number.
    pub requests: BTreeMap<String, Vec<(u64, u64)>>,
}

/// A percentile and how sure it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// Of which request. None: of all.
    pub endpoint: Option<String>,
    /// Which percentile: 50, 90, 95 or 99.
    pub percentile: u8,
    /// What was measured, in microseconds.
    pub value_us: u64,
    /// Lower end of the 95 % interval.
    pub low_us: u64,
    /// Its upper end.
    pub high_us: u64,
    /// Beside the reference solution's, if that was measured.
    pub ratio: Option<Ratio>,
}

/// How many times the reference's latency.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ratio {
    /// The reference's percentile, or the geometric mean of all its latencies, in microseconds.
    pub reference_us: u64,
    /// What was measured, to three decimals.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Ratio {
    /// Whether it can be told from the reference at all.
    pub fn differs(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }
}

impl Estimate {
    /// In words: `38 ms (95 % sure: 36–41 ms), 1.12 times the reference (1.05–1.19)`.
    pub fn sentence(&self) -> String {
        let (low, high) = (milliseconds(self.low_us), milliseconds(self.high_us));
        let value = milliseconds(self.value_us);
        let alone = if low == high {
            format!("{value} ms (95 % sure)")
        } else {
            format!("{value} ms (95 % sure: {low}–{high} ms)")
        };
        match self.ratio {
            None => alone,
            Some(Ratio { value, low, high, .. }) => {
                format!("{alone}, {value:.2} times the reference ({low:.2}–{high:.2})")
            }
        }
    }
}

/// Microseconds as milliseconds for people: to a tenth below ten.
pub fn milliseconds(us: u64) -> String {
    let ms = us as f64 / 1e3;
    if us < 9_950 {
        format!("{ms:.1}")
    } else {
        format!("{ms:.0}")
    }
}

impl Blocks {
    /// Length of the blocks of a measurement that takes so long.
    pub fn step_ms(length_ms: u64) -> u64 {
        length_ms.div_ceil(BLOCK_MS).div_ceil(MAX_BLOCKS).max(1) * BLOCK_MS
    }

    /// A latency as it stands in a block: within half a percent, so that a block is small.
    pub fn coarse(us: u64) -> u64 {
        let shift = (u64::BITS - us.leading_zeros()).saturating_sub(8);
        let half = if shift == 0 { 0 } else { 1 << (shift - 1) };
        ((us >> shift) << shift) + half
    }
}

/// Where a plan's schedule is cut, so that two services can be measured in turns: after the warm-up, then every few seconds
/// between two blocks, into an even number of windows where that is possible.
///
/// The first window is the warm-up, if the plan begins with one.
pub fn cuts_ms(plan: &LoadPlan) -> Vec<u64> {
    let schedules = plan.scenarios.values().filter_map(|scenario| {
        let schedule = Traffic::of(scenario).ok()?;
        Some((
            scenario.warm_up,
            schedule.start_ns() / 1_000_000,
            schedule.end_ns().div_ceil(1_000_000),
        ))
    });
    let schedules: Vec<(bool, u64, u64)> = schedules.collect();
    let end_ms = schedules.iter().map(|(_, _, end)| *end).max().unwrap_or(0);
    let measured = schedules.iter().filter(|(warm_up, _, _)| !warm_up);
    let step_ms = Blocks::step_ms(end_ms);
    // Rounded down: a block belongs to one window only.
    let first_ms = measured.map(|(_, start, _)| *start).min().unwrap_or(0) / step_ms * step_ms;
    let n_blocks = end_ms.saturating_sub(first_ms).div_ceil(step_ms);
    let wanted = (n_blocks * step_ms).div_ceil(WINDOW_MS).clamp(1, MAX_WINDOWS);
    let n_windows = wanted.next_multiple_of(2).min(n_blocks.max(1));
    let window = |i: u64| first_ms + i * n_blocks / n_windows * step_ms;
    let cuts: BTreeSet<u64> = (0..n_windows).map(window).filter(|cut| *cut > 0).collect();
    cuts.into_iter().collect()
}

/// How sure each percentile of a measurement is; nothing where there are too few blocks. With the reference's measurement
/// by the same plan also how many times the reference's it is.
pub fn estimates(
    own: (&LoadSummary, &Blocks),
    reference: Option<(&LoadSummary, &Blocks)>,
    seed: u64,
) -> Vec<Estimate> {
    let places: BTreeSet<u64> = own.1.blocks.iter().map(|block| block.at_ms).collect();
    if places.len() < MIN_BLOCKS {
        return Vec::new();
    }
    let draws = Draws::new(places.len(), seed);
    let endpoints = own.0.endpoints.keys().map(|name| Some(name.as_str()));
    std::iter::once(None)
        .chain(endpoints)
        .flat_map(|endpoint| {
            let measured = Sample::of(own, endpoint, &places);
            let reference = reference.map(|reference| Sample::of(reference, endpoint, &places));
            estimate(endpoint, &measured, reference.as_ref(), &draws)
        })
        .collect()
}

/// How many times the reference's latency all answers together are: the ratio of the geometric means. None where there are too
/// few blocks.
///
/// A percentile rests on the few answers around it, and on a host whose cores change their speed it jumps from one speed's
/// answers to the other's. The mean of the logarithms rests on all answers, so it tells a service from another where a
/// percentile cannot yet. A service that is slower by some factor has that factor here.
pub fn overall(own: &Blocks, reference: &Blocks, seed: u64) -> Option<Ratio> {
    let beside: BTreeMap<u64, Logarithms> = reference.blocks.iter().map(Logarithms::of).collect();
    let pairs: Vec<(Logarithms, Logarithms)> = own
        .blocks
        .iter()
        .map(Logarithms::of)
        .filter_map(|(at_ms, own)| Some((own, *beside.get(&at_ms)?)))
        .collect();
    if pairs.len() < MIN_BLOCKS {
        return None;
    }
    let means = |times: &[u64]| {
        let (mut own, mut reference) = (Logarithms::default(), Logarithms::default());
        for (pair, times) in pairs.iter().zip(times) {
            own.add(pair.0, *times);
            reference.add(pair.1, *times);
        }
        Some((own.mean()?, reference.mean()?))
    };
    let ratio = |(own, reference): (f64, f64)| (own - reference).exp();
    let mut ratios: Vec<f64> = Draws::new(pairs.len(), seed)
        .0
        .iter()
        .filter_map(|times| means(times).map(ratio))
        .collect();
    ratios.sort_by(f64::total_cmp);
    let (low, high) = ends(&ratios)?;
    let measured = means(&vec![1; pairs.len()])?;
    Some(Ratio {
        reference_us: measured.1.exp().round() as u64,
        value: thousandths(ratio(measured)),
        low: thousandths(low),
        high: thousandths(high),
    })
}

/// Sum and number of the logarithms of latencies.
#[derive(Debug, Clone, Copy, Default)]
struct Logarithms {
    sum: f64,
    n: u64,
}

impl Logarithms {
    /// A block's place and what it holds.
    fn of(block: &Block) -> (u64, Self) {
        let mut all = Self::default();
        for (us, n) in block.requests.values().flatten() {
            all.sum += ((*us).max(1) as f64).ln() * *n as f64;
            all.n += n;
        }
        (block.at_ms, all)
    }

    fn add(&mut self, other: Self, times: u64) {
        self.sum += other.sum * times as f64;
        self.n += other.n * times;
    }

    fn mean(self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }
}

/// By how much the reference's latency changed from window to window at most, in percent: the mean over its requests of
/// the change of their medians. None without a window or a sample.
pub fn drift_percent(blocks: &Blocks, cuts_ms: &[u64]) -> Option<u64> {
    let all = medians(blocks.blocks.iter());
    let mut windows: BTreeMap<usize, Vec<&Block>> = BTreeMap::new();
    for block in &blocks.blocks {
        let window = cuts_ms.partition_point(|cut| *cut <= block.at_ms);
        windows.entry(window).or_default().push(block);
    }
    let drifts = windows.values().filter_map(|window| {
        let (mut sum, mut n) = (0.0, 0);
        for (name, (median, count)) in medians(window.iter().copied()) {
            let usual = all.get(name)?.0;
            let change = if median.abs_diff(usual) < STILL_US {
                0.0
            } else {
                median as f64 / usual.max(1) as f64 - 1.0
            };
            sum += change * count as f64;
            n += count;
        }
        (n > 0).then(|| (100.0 * sum / n as f64).abs().round() as u64)
    });
    drifts.max()
}

/// Median and number of the latencies of each request.
fn medians<'a>(blocks: impl Iterator<Item = &'a Block>) -> BTreeMap<&'a str, (u64, u64)> {
    let mut all: BTreeMap<&str, BTreeMap<u64, u64>> = BTreeMap::new();
    for (name, latencies) in blocks.flat_map(|block| &block.requests) {
        let of_name = all.entry(name).or_default();
        for (us, n) in latencies {
            *of_name.entry(*us).or_default() += n;
        }
    }
    let median = |latencies: BTreeMap<u64, u64>| {
        let all: u64 = latencies.values().sum();
        let mut seen = 0;
        let median = latencies.iter().find(|(_, n)| {
            seen += **n;
            2 * seen >= all
        });
        (median.map_or(0, |(us, _)| *us), all)
    };
    all.into_iter()
        .map(|(name, latencies)| (name, median(latencies)))
        .collect()
}

/// How often each block is in each draw.
struct Draws(Vec<Vec<u64>>);

impl Draws {
    fn new(n_blocks: usize, seed: u64) -> Self {
        let draw = |stream: usize| {
            let mut dice = Dice::new(seed, u64::try_from(stream).unwrap_or(u64::MAX));
            let mut times = vec![0; n_blocks];
            for _ in 0..n_blocks {
                if let Some(drawn) = dice.index(n_blocks).and_then(|i| times.get_mut(i)) {
                    *drawn += 1;
                }
            }
            times
        };
        Self((0..DRAWS).map(draw).collect())
    }
}

/// The latencies of one request, or of all, as one measurement has them.
struct Sample<'a> {
    /// As they were reported.
    exact: Option<&'a Latency>,
    /// Latency, block, number; ascending.
    sorted: Vec<(u64, usize, u64)>,
}

impl<'a> Sample<'a> {
    fn of(
        (summary, blocks): (&'a LoadSummary, &Blocks),
        endpoint: Option<&str>,
        places: &BTreeSet<u64>,
    ) -> Self {
        let outcome = match endpoint {
            None => Some(&summary.total),
            Some(name) => summary.endpoints.get(name),
        };
        let places: BTreeMap<u64, usize> = places.iter().enumerate().map(|(i, at)| (*at, i)).collect();
        let mut sorted = Vec::new();
        for block in &blocks.blocks {
            let Some(place) = places.get(&block.at_ms) else {
                continue;
            };
            for (name, latencies) in &block.requests {
                if endpoint.is_none_or(|endpoint| endpoint == name) {
                    sorted.extend(latencies.iter().map(|(us, n)| (*us, *place, *n)));
                }
            }
        }
        sorted.sort_unstable();
        Self {
            exact: outcome
                .map(|outcome| &outcome.latency)
                .filter(|latency| latency.count > 0),
            sorted,
        }
    }

    /// The percentiles when each block counts so many times, by nearest rank; 0 where nothing is left.
    fn percentiles(&self, times: &[u64]) -> [u64; PERCENTILES.len()] {
        let count = |place: usize, n: u64| times.get(place).copied().unwrap_or(0) * n;
        let all: u64 = self.sorted.iter().map(|(_, place, n)| count(*place, *n)).sum();
        let mut found = [0; PERCENTILES.len()];
        let mut wanted = PERCENTILES.iter().zip(&mut found).peekable();
        let mut seen = 0;
        for (us, place, n) in &self.sorted {
            seen += count(*place, *n);
            while let Some((_, value)) =
                wanted.next_if(|(percent, _)| seen > 0 && 100 * seen >= u64::from(**percent) * all)
            {
                *value = *us;
            }
        }
        found
    }
}

fn estimate(
    endpoint: Option<&str>,
    own: &Sample<'_>,
    reference: Option<&Sample<'_>>,
    draws: &Draws,
) -> Vec<Estimate> {
    let Some(exact) = own.exact else {
        return Vec::new();
    };
    let mut values: [Vec<u64>; PERCENTILES.len()] = Default::default();
    let mut ratios: [Vec<f64>; PERCENTILES.len()] = Default::default();
    for times in &draws.0 {
        let drawn = own.percentiles(times);
        let beside = reference.map(|reference| reference.percentiles(times));
        for i in 0..PERCENTILES.len() {
            // A rare request may be in none of the drawn blocks.
            if drawn[i] > 0 {
                values[i].push(drawn[i]);
                let beside = beside.map(|beside| beside[i]).filter(|us| *us > 0);
                ratios[i].extend(beside.map(|us| drawn[i] as f64 / us as f64));
            }
        }
    }
    let beside = reference.and_then(|reference| reference.exact);
    let each = PERCENTILES.into_iter().zip(values).zip(ratios);
    each.filter_map(|((percentile, mut values), mut ratios)| {
        let value_us = exact.percentile_us(percentile);
        values.sort_unstable();
        ratios.sort_by(f64::total_cmp);
        let (low_us, high_us) = ends(&values)?;
        let ratio = || {
            let reference_us = beside?.percentile_us(percentile).max(1);
            let value = value_us as f64 / reference_us as f64;
            let (low, high) = ends(&ratios)?;
            Some(Ratio {
                reference_us,
                value: thousandths(value),
                // The ends come from coarse latencies, the value from exact ones.
                low: thousandths(low.min(value)),
                high: thousandths(high.max(value)),
            })
        };
        Some(Estimate {
            endpoint: endpoint.map(str::to_owned),
            percentile,
            value_us,
            low_us: low_us.min(value_us),
            high_us: high_us.max(value_us),
            ratio: ratio(),
        })
    })
    .collect()
}

/// What is left between the tails of sorted draws.
fn ends<T: Copy>(sorted: &[T]) -> Option<(T, T)> {
    let low = sorted.get(TAIL)?;
    let high = sorted.get(sorted.len().checked_sub(TAIL + 1)?)?;
    Some((*low, *high))
}

fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests;
