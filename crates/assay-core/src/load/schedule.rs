//! When arrivals come: a pure function from their number to a time, in whole nanoseconds.
//!
//! Times are computed from the number, never added up, so no rounding error grows. Arrival `i` comes at the first
//! nanosecond at which the integral of the rate reaches `i`.

use std::iter::Peekable;

use super::traffic::{MAX_RATE, changes, check_fields, nanoseconds, start_ns};
use super::{Dice, Executor, Scenario, ScheduleError, Spacing};

/// Streams of random numbers that Poisson arrivals are drawn from; no arrival has them.
const POISSON_STREAM: u64 = 3 << 60;

/// The arrivals of one scenario of the open model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    start_ns: u64,
    time_unit_ns: u64,
    segments: Vec<Segment>,
    /// Twice the integral of the rate over all segments.
    area: i128,
    spacing: Spacing,
}

/// A stretch of time over which the rate changes linearly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    /// From the start of the scenario.
    start_ns: u64,
    duration_ns: u64,
    /// Arrivals per time unit.
    from: u32,
    to: u32,
    /// Twice the integral of the rate up to the start, in arrivals × nanoseconds per time unit: a whole number.
    area_before: i128,
}

impl Schedule {
    /// The schedule of a scenario.
    ///
    /// # Errors
    ///
    /// A field is missing, does not belong to the executor, or is out of range; or the executor has users and no
    /// arrivals of its own.
    pub fn of(scenario: &Scenario) -> Result<Self, ScheduleError> {
        check_fields(scenario)?;
        let executor = scenario.executor.name();
        let needs = |field| ScheduleError::Needs { executor, field };
        let stages = match scenario.executor {
            Executor::RampingArrivalRate => changes(scenario.start_rate.unwrap_or(0), &scenario.stages)?,
            _ => {
                let rate = scenario.rate.ok_or(needs("rate"))?;
                let duration = scenario.duration.ok_or(needs("duration"))?;
                vec![(rate, rate, nanoseconds(duration, "duration")?)]
            }
        };
        let time_unit_ns = nanoseconds(scenario.time_unit, "timeUnit")?;
        let start_ns = start_ns(scenario)?;
        let too_fast =
            |rate: u32| u128::from(rate) * 1_000_000_000 > u128::from(MAX_RATE) * u128::from(time_unit_ns);
        if stages
            .iter()
            .any(|(from, to, _)| too_fast(*from) || too_fast(*to))
        {
            return Err(ScheduleError::Rate);
        }
        let (mut at, mut area) = (0_u64, 0_i128);
        let mut segments = Vec::with_capacity(stages.len());
        for (from, to, duration_ns) in stages {
            segments.push(Segment {
                start_ns: at,
                duration_ns,
                from,
                to,
                area_before: area,
            });
            at += duration_ns;
            area += (i128::from(from) + i128::from(to)) * i128::from(duration_ns);
        }
        if area == 0 {
            return Err(ScheduleError::Empty);
        }
        Ok(Self {
            start_ns,
            time_unit_ns,
            segments,
            area,
            spacing: scenario.arrival,
        })
    }

    /// Number of arrivals: of Poisson arrivals on average, rounded up.
    #[expect(clippy::len_without_is_empty, reason = "an empty schedule cannot be made")]
    pub fn len(&self) -> u64 {
        // Arrival i exists when the whole integral is over i.
        let per_arrival = 2 * i128::from(self.time_unit_ns);
        u64::try_from((self.area + per_arrival - 1) / per_arrival).unwrap_or(u64::MAX)
    }

    /// When arrival `i` is intended if they come at equal distances, in nanoseconds from the start of the measurement;
    /// `None` beyond the last one.
    pub fn at(&self, i: u64) -> Option<u64> {
        self.reaches(2 * i128::from(self.time_unit_ns) * i128::from(i))
    }

    /// When twice the integral reaches `area`; `None` when it never gets beyond.
    fn reaches(&self, area: i128) -> Option<u64> {
        if area >= self.area {
            return None;
        }
        // The last one: a boundary belongs to the segment that goes on, so nothing arrives in an idle one.
        let segment = self
            .segments
            .iter()
            .rev()
            .find(|segment| segment.area_before <= area)?;
        Some(self.start_ns + segment.start_ns + segment.first_at(area))
    }

    /// From the start of the measurement until the last segment is over, in nanoseconds.
    pub fn end_ns(&self) -> u64 {
        self.segments.last().map_or(self.start_ns, |last| {
            self.start_ns + last.start_ns + last.duration_ns
        })
    }

    /// When it begins, in nanoseconds from the start of the measurement.
    pub const fn start_ns(&self) -> u64 {
        self.start_ns
    }
}

impl Segment {
    /// Twice the integral at `t` after the segment's start, times the duration: still a whole number.
    /// Below 2⁷⁷ · 2⁴² for an hour at 20 000 per second.
    fn area_times_duration(&self, t: u64) -> i128 {
        let (from, to) = (i128::from(self.from), i128::from(self.to));
        let (t, duration) = (i128::from(t), i128::from(self.duration_ns));
        self.area_before * duration + 2 * from * t * duration + (to - from) * t * t
    }

    /// The first nanosecond at which the integral reaches `area`.
    fn first_at(&self, area: i128) -> u64 {
        let target = area * i128::from(self.duration_ns);
        // The integral never falls, so bisection finds the exact root of the quadratic without its rounding.
        let (mut low, mut high) = (0, self.duration_ns);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.area_times_duration(middle) >= target {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

/// One intended request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When, in nanoseconds from the start of the measurement.
    pub at_ns: u64,
    /// Which of the schedules, by index.
    pub scenario: usize,
    /// Its number within the scenario, from 0.
    pub number: u64,
}

/// All arrivals of several schedules in the order of time; of two at the same time the one of the first schedule.
#[derive(Debug)]
pub struct Arrivals<'a> {
    streams: Vec<Peekable<Stream<'a>>>,
}

#[derive(Debug)]
struct Stream<'a> {
    schedule: &'a Schedule,
    scenario: usize,
    next: u64,
    /// Of Poisson arrivals: how many are due by the next one on average, in 2⁻³² of an arrival, and what draws it.
    drawn: Option<(u64, Dice)>,
}

impl<'a> Arrivals<'a> {
    /// Merges the schedules; one that is not there has no arrivals. The seed is that of the job.
    pub fn of(schedules: &'a [Option<Schedule>], seed: u64) -> Self {
        Self::from_numbers(schedules, seed, &[])
    }

    /// The same from the arrival of this number on, for each schedule; from the first one where there is no number.
    pub fn from_numbers(schedules: &'a [Option<Schedule>], seed: u64, first: &[u64]) -> Self {
        let stream = |(scenario, schedule): (usize, &'a Option<Schedule>)| {
            let schedule = schedule.as_ref()?;
            let next = first.get(scenario).copied().unwrap_or(0);
            let number = u64::try_from(scenario).unwrap_or(u64::MAX);
            let drawn = match schedule.spacing {
                Spacing::Even => None,
                Spacing::Poisson => {
                    let mut dice = Dice::new(seed, POISSON_STREAM | number);
                    let due = (0..next).fold(0, |due: u64, _| due.saturating_add(dice.exponential()));
                    Some((due, dice))
                }
            };
            let stream = Stream {
                schedule,
                scenario,
                next,
                drawn,
            };
            Some(stream.peekable())
        };
        Self {
            streams: schedules.iter().enumerate().filter_map(stream).collect(),
        }
    }
}

impl Iterator for Stream<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let at_ns = match &mut self.drawn {
            None => self.schedule.at(self.next)?,
            // Through the integral of the rate, a Poisson process of any rate is one with a rate of 1.
            Some((due, dice)) => {
                *due = due.saturating_add(dice.exponential());
                let area = 2 * i128::from(self.schedule.time_unit_ns) * i128::from(*due);
                self.schedule.reaches(area >> 32)?
            }
        };
        let arrival = Arrival {
            at_ns,
            scenario: self.scenario,
            number: self.next,
        };
        self.next += 1;
        Some(arrival)
    }
}

impl Iterator for Arrivals<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let first =
            |(i, stream): (usize, &mut Peekable<Stream<'_>>)| stream.peek().map(|arrival| (arrival.at_ns, i));
        let (_, earliest) = self.streams.iter_mut().enumerate().filter_map(first).min()?;
        self.streams.get_mut(earliest)?.next()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(yaml: &str) -> Result<Schedule, ScheduleError> {
        Schedule::of(&serde_yaml::from_str(&format!("{{mix: {{a: 1}}, {yaml}}}")).unwrap())
    }

    fn times(schedule: &Schedule) -> Vec<u64> {
        (0..schedule.len()).filter_map(|i| schedule.at(i)).collect()
    }

    #[test]
    fn a_constant_rate_is_exact() {
        let constant = "executor: constant-arrival-rate, rate: 3, duration: 1s, startTime: 2s";
        let schedule = schedule(constant).unwrap();
        assert_eq!(times(&schedule), [2_000_000_000, 2_333_333_334, 2_666_666_667]);
        assert_eq!(schedule.at(3), None);
        assert_eq!(schedule.end_ns(), 3_000_000_000);
    }

    #[test]
    fn a_ramp_follows_the_square_root() {
        // From 0 to 8 per second in 2 s: N(t) = 2t², so t = √(i/2).
        let ramp = "executor: ramping-arrival-rate, startRate: 0, stages: [{target: 8, duration: 2s}]";
        let expected = (0..8).map(|i| (f64::from(i) / 2.0).sqrt());
        let times = times(&schedule(ramp).unwrap());
        assert_eq!(times.len(), 8);
        for (time, expected) in times.iter().zip(expected) {
            assert!((*time as f64 / 1e9 - expected).abs() < 2e-9, "{time} {expected}");
        }
    }

    #[test]
    fn nothing_arrives_while_the_rate_is_zero() {
        let idle = "executor: ramping-arrival-rate, startRate: 0, \
            stages: [{target: 0, duration: 1s}, {target: 4, duration: 1s}, {target: 0, duration: 1s}, {target: 0, duration: 9s}]";
        let times = times(&schedule(idle).unwrap());
        assert_eq!(times.len(), 4);
        assert!(
            times.iter().all(|t| (1_000_000_000..3_000_000_000).contains(t)),
            "{times:?}"
        );
    }

    #[test]
    fn a_spike_is_a_jump_up_and_down() {
        let spike = "executor: ramping-arrival-rate, startRate: 2, stages: [{target: 2, duration: 1s}, \
            {target: 40, duration: 0s}, {target: 40, duration: 500ms}, {target: 2, duration: 0s}, {target: 2, duration: 1s}]";
        let times = times(&schedule(spike).unwrap());
        let within = |from: u64, to: u64| {
            times
                .iter()
                .filter(|t| (from..to).contains(&(**t / 1_000_000)))
                .count()
        };
        assert_eq!(
            [within(0, 1_000), within(1_000, 1_500), within(1_500, 2_500)],
            [2, 20, 2]
        );
    }

    #[test]
    fn poisson_arrivals_are_exponentially_far_apart() {
        let yaml = "executor: constant-arrival-rate, rate: 1000, duration: 60s, arrival: poisson";
        let schedules = [schedule(yaml).ok()];
        let times = |seed| {
            Arrivals::of(&schedules, seed)
                .map(|a| a.at_ns)
                .collect::<Vec<_>>()
        };
        assert_eq!(times(7), times(7));
        assert_ne!(times(7), times(8));
        let later = Arrivals::from_numbers(&schedules, 7, &[1_000]).map(|a| a.at_ns);
        assert!(later.eq(times(7).into_iter().skip(1_000)));
        let gaps: Vec<f64> = times(7)
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as f64 / 1e6)
            .collect();
        let (n, mean) = (gaps.len() as f64, gaps.iter().sum::<f64>() / gaps.len() as f64);
        assert!((n - 60_000.0).abs() < 6.0 * 245.0, "{n}");
        // A gap is longer than x times its mean with a probability of e^-x.
        for x in [0.1, 0.5, 1.0, 2.0, 4.0] {
            let longer = gaps.iter().filter(|gap| **gap > x * mean).count() as f64 / n;
            assert!((longer - (-x).exp()).abs() < 0.01, "{x}: {longer}");
        }
    }

    #[test]
    fn fields_must_fit_the_executor() {
        for (yaml, expected) in [
            (
                "executor: constant-arrival-rate, duration: 1s",
                "`constant-arrival-rate` needs `rate`",
            ),
            (
                "executor: constant-arrival-rate, rate: 1, duration: 1s, startRate: 2",
                "`constant-arrival-rate` does not take `startRate`",
            ),
            (
                "executor: ramping-arrival-rate",
                "`ramping-arrival-rate` needs `stages`",
            ),
            (
                "executor: ramping-arrival-rate, stages: [{target: 9, duration: 0s}]",
                "there is no arrival in it",
            ),
            (
                "executor: constant-arrival-rate, rate: 1, duration: 1s, thinkTime: 1s",
                "`constant-arrival-rate` does not take `thinkTime`",
            ),
            (
                "executor: constant-arrival-rate, rate: 1, duration: 2h",
                "`duration` is not between 1 ms and 1 h",
            ),
            (
                "executor: constant-arrival-rate, rate: 30, duration: 1s, timeUnit: 1ms",
                "the rate is over 20000 per second",
            ),
            (
                "executor: constant-arrival-rate, rate: 0, duration: 1s",
                "there is no arrival in it",
            ),
        ] {
            assert_eq!(schedule(yaml).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn streams_merge_in_order() {
        let steady = "executor: constant-arrival-rate, rate: 2, duration: 2s";
        let schedules = [
            schedule(steady).ok(),
            None,
            schedule(&format!("{steady}, startTime: 1s")).ok(),
        ];
        let merged: Vec<_> = Arrivals::of(&schedules, 0)
            .map(|a| (a.at_ns / 1_000_000, a.scenario, a.number))
            .collect();
        let expected = [
            (0, 0, 0),
            (500, 0, 1),
            (1000, 0, 2),
            (1000, 2, 0),
            (1500, 0, 3),
            (1500, 2, 1),
            (2000, 2, 2),
            (2500, 2, 3),
        ];
        assert_eq!(merged, expected);
    }

    proptest! {
        /// t_i = ⌈i · timeUnit / rate⌉, and there are ⌈rate · duration / timeUnit⌉ of them.
        #[test]
        fn constant_rates_match_the_formula(rate in 1_u32..2_000, ms in 1_u64..100_000, unit in 1_u64..60) {
            let yaml = format!("executor: constant-arrival-rate, rate: {rate}, duration: {ms}ms, timeUnit: {unit}s");
            let schedule = schedule(&yaml).unwrap();
            let (rate, unit_ns) = (u64::from(rate), unit * 1_000_000_000);
            prop_assert_eq!(schedule.len(), (rate * ms * 1_000_000).div_ceil(unit_ns));
            for i in [0, 1, schedule.len() / 2, schedule.len() - 1].into_iter().filter(|i| *i < schedule.len()) {
                prop_assert_eq!(schedule.at(i), Some((i * unit_ns).div_ceil(rate)));
            }
        }

        /// However the rate goes: Poisson arrivals never go back in time, stay within the scenario, and of any stretch of
        /// time the integral of the rate says how many are in it on average.
        #[test]
        fn poisson_arrivals_follow_the_integral_on_average(
            start in 0_u32..300, first in 1_u32..300, second in 0_u32..300, ms in 100_u64..2_000, seed in any::<u64>(),
        ) {
            let yaml = format!("executor: ramping-arrival-rate, arrival: poisson, startRate: {start}, \
                stages: [{{target: {first}, duration: {ms}ms}}, {{target: {second}, duration: {ms}ms}}]");
            let schedules = [schedule(&yaml).ok()];
            let (mut early, mut late) = (0_u64, 0_u64);
            for run in 0..50 {
                let times: Vec<u64> = Arrivals::of(&schedules, seed.wrapping_add(run)).map(|a| a.at_ns).collect();
                prop_assert!(times.is_sorted());
                prop_assert!(times.last().is_none_or(|last| *last <= 2 * ms * 1_000_000));
                let half = times.partition_point(|t| *t < ms * 1_000_000);
                early += half as u64;
                late += (times.len() - half) as u64;
            }
            for (arrived, from, to) in [(early, start, first), (late, first, second)] {
                let due = 50.0 * f64::from(from + to) / 2.0 * (ms as f64 / 1e3);
                prop_assert!((arrived as f64 - due).abs() < 7.0 * due.sqrt() + 7.0, "{} arrived, {} due", arrived, due);
            }
        }

        /// However the rate goes: times never fall, stay within the scenario, and no stretch of time holds more or
        /// fewer arrivals than the integral of the rate says.
        #[test]
        fn ramps_keep_to_the_integral(
            start in 0_u32..300,
            stages in prop::collection::vec((0_u32..300, 1_u64..5_000), 1..5),
        ) {
            let list: Vec<_> = stages.iter().map(|(to, ms)| format!("{{target: {to}, duration: {ms}ms}}")).collect();
            let yaml = format!("executor: ramping-arrival-rate, startRate: {start}, stages: [{}]", list.join(", "));
            let Ok(schedule) = schedule(&yaml) else { return Ok(()) };
            let times = times(&schedule);
            prop_assert_eq!(times.len() as u64, schedule.len());
            prop_assert!(times.is_sorted());
            prop_assert!(times.last().is_none_or(|last| *last <= schedule.end_ns()));
            let (mut from, mut at, mut area) = (start, 0_u64, 0.0_f64);
            for (to, ms) in stages {
                area += f64::from(from + to) / 2.0 * (ms as f64 / 1e3);
                at += ms * 1_000_000;
                from = to;
                let arrived = times.iter().filter(|t| **t < at).count() as f64;
                prop_assert!((arrived - area).abs() <= 1.0 + 1e-6, "{} arrived, {} due", arrived, area);
            }
        }
    }
}
