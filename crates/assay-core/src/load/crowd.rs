//! The closed model: users who ask one request after the other. A pure function from a user's number to the times at
//! which it is there.

use std::ops::Range;
use std::time::Duration;

use super::traffic::{MAX_VUS, changes, check_fields, nanoseconds, start_ns};
use super::{Executor, Scenario, ScheduleError};
use crate::units::Span;

/// Longest time that a fixed number of requests may take unless the plan says otherwise, as in k6.
const PATIENCE: Span = Span::seconds(600);

/// The users of one scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crowd {
    start_ns: u64,
    /// Number of users at the start and at the end, and length, of each linear change.
    changes: Vec<(u32, u32, u64)>,
    iterations: Option<u32>,
    think_time: Duration,
}

impl Crowd {
    /// The users of a scenario.
    ///
    /// # Errors
    ///
    /// A field is missing, does not belong to the executor, or is out of range; or the executor has arrivals and no users.
    pub fn of(scenario: &Scenario) -> Result<Self, ScheduleError> {
        check_fields(scenario)?;
        let executor = scenario.executor.name();
        let changes = if scenario.executor == Executor::RampingVus {
            changes(scenario.start_vus.unwrap_or(1), &scenario.stages)?
        } else {
            let field = "vus";
            let vus = scenario.vus.ok_or(ScheduleError::Needs { executor, field })?;
            let length = nanoseconds(scenario.duration.unwrap_or(PATIENCE), "duration")?;
            vec![(vus, vus, length)]
        };
        let crowd = Self {
            start_ns: start_ns(scenario)?,
            changes,
            iterations: scenario.iterations,
            think_time: match scenario.think_time {
                Some(time) => Duration::from_nanos(nanoseconds(time, "thinkTime")?),
                None => Duration::ZERO,
            },
        };
        if crowd.len() > MAX_VUS {
            return Err(ScheduleError::Users);
        }
        if crowd.len() == 0 || crowd.iterations == Some(0) {
            return Err(ScheduleError::Empty);
        }
        Ok(crowd)
    }

    /// Most users at a time.
    #[expect(clippy::len_without_is_empty, reason = "an empty crowd cannot be made")]
    pub fn len(&self) -> u32 {
        let most = self.changes.iter().map(|(from, to, _)| *from.max(to));
        most.max().unwrap_or(0)
    }

    /// When the user of this number, from 0, is there, in nanoseconds from the start of the measurement. A changing
    /// number of users is rounded to the nearest; the first to come is the last to go.
    pub fn shifts(&self, user: u32) -> Vec<Range<u64>> {
        let mut shifts: Vec<Range<u64>> = Vec::new();
        let mut at = self.start_ns;
        for (from, to, length) in &self.changes {
            let there = there(user, i128::from(*from), i128::from(*to), *length);
            let shift = at + there.start..at + there.end;
            match shifts.last_mut().filter(|last| last.end == shift.start) {
                _ if shift.is_empty() => (),
                Some(last) => last.end = shift.end,
                None => shifts.push(shift),
            }
            at += length;
        }
        shifts
    }

    /// How many requests each user makes; `None` when only time ends it.
    pub const fn iterations(&self) -> Option<u32> {
        self.iterations
    }

    /// How long a user waits after an answer.
    pub const fn think_time(&self) -> Duration {
        self.think_time
    }

    /// When it begins, in nanoseconds from the start of the measurement.
    pub const fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// From the start of the measurement until the last user goes, in nanoseconds.
    pub fn end_ns(&self) -> u64 {
        self.start_ns + self.changes.iter().map(|(_, _, length)| length).sum::<u64>()
    }
}

/// When a user is there during a linear change: while the number of users is at least its own number and a half.
fn there(user: u32, from: i128, to: i128, length: u64) -> Range<u64> {
    let needed = 2 * i128::from(user) + 1;
    let whole = i128::from(length);
    let up = |dividend: i128, divisor: i128| (dividend + divisor - 1) / divisor;
    let (start, end) = match (2 * from >= needed, 2 * to >= needed) {
        (true, true) => (0, whole),
        (false, false) => (0, 0),
        // Rounded up in both: the first nanosecond at which it is there, and the first at which it is not.
        (false, true) => (up((needed - 2 * from) * whole, 2 * (to - from)), whole),
        (true, false) => (0, up((2 * from - needed) * whole, 2 * (from - to))),
    };
    let ns = |t: i128| u64::try_from(t.clamp(0, whole)).unwrap_or(length);
    ns(start)..ns(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(yaml: &str) -> Result<Crowd, ScheduleError> {
        Crowd::of(&serde_yaml::from_str(&format!("{{mix: {{a: 1}}, {yaml}}}")).unwrap())
    }

    /// Who is there when, in milliseconds.
    fn shown(yaml: &str) -> String {
        let crowd = crowd(yaml).unwrap();
        let shift = |shift: &Range<u64>| format!("{}-{}", shift.start / 1_000_000, shift.end / 1_000_000);
        let user = |user| crowd.shifts(user).iter().map(shift).collect::<Vec<_>>().join(" ");
        (0..=crowd.len()).map(user).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn users_come_and_go_by_the_stages() {
        insta::assert_snapshot!(shown("executor: constant-vus, vus: 2, duration: 3s, startTime: 1s"), @"1000-4000, 1000-4000, ");
        insta::assert_snapshot!(shown("executor: per-vu-iterations, vus: 1, iterations: 5"), @"0-600000, ");
        insta::assert_snapshot!(
            shown("executor: ramping-vus, stages: [{target: 3, duration: 2s}, {target: 3, duration: 1s}, {target: 0, duration: 3s}]"),
            @"0-5500, 500-4500, 1500-3500, "
        );
        // A jump up, a jump down, a second coming.
        insta::assert_snapshot!(
            shown("executor: ramping-vus, startVUs: 1, stages: [{target: 1, duration: 1s}, {target: 2, duration: 0s}, \
                {target: 2, duration: 1s}, {target: 1, duration: 0s}, {target: 2, duration: 2s}]"),
            @"0-4000, 1000-2000 3000-4000, "
        );
    }

    #[test]
    fn fields_must_fit_the_executor() {
        for (yaml, expected) in [
            (
                "executor: constant-vus, vus: 1",
                "`constant-vus` needs `duration`",
            ),
            (
                "executor: constant-vus, vus: 1, duration: 1s, rate: 2",
                "`constant-vus` does not take `rate`",
            ),
            (
                "executor: ramping-vus, stages: [{target: 1, duration: 1s}], arrival: poisson",
                "`ramping-vus` does not take `arrival`",
            ),
            (
                "executor: constant-vus, vus: 4001, duration: 1s",
                "there are over 4000 users in it",
            ),
            (
                "executor: constant-vus, vus: 0, duration: 1s",
                "there is no arrival in it",
            ),
            (
                "executor: per-vu-iterations, vus: 1, iterations: 0",
                "there is no arrival in it",
            ),
            (
                "executor: constant-vus, vus: 1, duration: 1s, thinkTime: 0s",
                "`thinkTime` is not between 1 ms and 1 h",
            ),
        ] {
            assert_eq!(crowd(yaml).unwrap_err().to_string(), expected);
        }
    }
}
