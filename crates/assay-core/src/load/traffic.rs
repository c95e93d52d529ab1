//! What a scenario sends: arrivals by schedule, or what users ask for one after the other.

use super::{Crowd, Executor, Scenario, Schedule, Spacing, Stage};
use crate::units::Span;

/// Most users, and most requests under way, of one scenario.
pub(super) const MAX_VUS: u32 = 4_000;
/// Highest rate, in arrivals per second: beyond it one connection pool on one core measures itself.
pub(super) const MAX_RATE: u32 = 20_000;
/// Longest part of a schedule, in nanoseconds: one hour.
const MAX_NS: u64 = 3_600_000_000_000;

/// What a scenario sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Traffic {
    /// Arrivals by schedule.
    Open(Schedule),
    /// Users who ask one request after the other.
    Closed(Crowd),
}

impl Traffic {
    /// What the scenario sends.
    ///
    /// # Errors
    ///
    /// A field is missing, does not belong to the executor, or is out of range.
    pub fn of(scenario: &Scenario) -> Result<Self, ScheduleError> {
        Ok(if scenario.executor.is_closed() {
            Self::Closed(Crowd::of(scenario)?)
        } else {
            Self::Open(Schedule::of(scenario)?)
        })
    }

    /// When it begins, in nanoseconds from the start of the measurement.
    pub const fn start_ns(&self) -> u64 {
        match self {
            Self::Open(schedule) => schedule.start_ns(),
            Self::Closed(crowd) => crowd.start_ns(),
        }
    }

    /// When the last arrival has come or the last user is gone, in nanoseconds from the start of the measurement.
    pub fn end_ns(&self) -> u64 {
        match self {
            Self::Open(schedule) => schedule.end_ns(),
            Self::Closed(crowd) => crowd.end_ns(),
        }
    }
}

/// The fields of a scenario make neither a schedule nor a crowd.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// A field that the executor needs is not there.
    #[error("`{executor}` needs `{field}`")]
    Needs {
        /// As in the file.
        executor: &'static str,
        /// As in the file.
        field: &'static str,
    },
    /// A field of another executor.
    #[error("`{executor}` does not take `{field}`")]
    Takes {
        /// As in the file.
        executor: &'static str,
        /// As in the file.
        field: &'static str,
    },
    /// Zero or over an hour.
    #[error("`{0}` is not between 1 ms and 1 h")]
    Duration(&'static str),
    /// Over the limit.
    #[error("the rate is over {MAX_RATE} per second")]
    Rate,
    /// Over the limit.
    #[error("there are over {MAX_VUS} users in it")]
    Users,
    /// Nothing would ever be sent.
    #[error("there is no arrival in it")]
    Empty,
}

/// Refuses a scenario that lacks a field which its executor needs, or has one of another executor.
pub(super) fn check_fields(scenario: &Scenario) -> Result<(), ScheduleError> {
    let given = [
        ("rate", scenario.rate.is_some()),
        ("duration", scenario.duration.is_some()),
        ("startRate", scenario.start_rate.is_some()),
        ("stages", !scenario.stages.is_empty()),
        ("arrival", scenario.arrival != Spacing::Even),
        ("vus", scenario.vus.is_some()),
        ("startVUs", scenario.start_vus.is_some()),
        ("iterations", scenario.iterations.is_some()),
        ("thinkTime", scenario.think_time.is_some()),
    ];
    let (needs, may): (&[&str], &[&str]) = match scenario.executor {
        Executor::ConstantArrivalRate => (&["rate", "duration"], &["arrival"]),
        Executor::RampingArrivalRate => (&["stages"], &["startRate", "arrival"]),
        Executor::ConstantVus => (&["vus", "duration"], &["thinkTime"]),
        Executor::RampingVus => (&["stages"], &["startVUs", "thinkTime"]),
        Executor::PerVuIterations => (&["vus", "iterations"], &["duration", "thinkTime"]),
    };
    let executor = scenario.executor.name();
    for (field, there) in given {
        if there && !needs.contains(&field) && !may.contains(&field) {
            return Err(ScheduleError::Takes { executor, field });
        }
    }
    for (field, there) in given {
        if !there && needs.contains(&field) {
            return Err(ScheduleError::Needs { executor, field });
        }
    }
    Ok(())
}

/// When a scenario starts, in nanoseconds from the start of the measurement.
pub(super) fn start_ns(scenario: &Scenario) -> Result<u64, ScheduleError> {
    u64::try_from(scenario.start_time.as_duration().as_nanos())
        .ok()
        .filter(|ns| *ns <= MAX_NS)
        .ok_or(ScheduleError::Duration("startTime"))
}

/// Start, end and length in nanoseconds of each linear change. Jumps are in none of them, but in where the next begins.
pub(super) fn changes(mut from: u32, stages: &[Stage]) -> Result<Vec<(u32, u32, u64)>, ScheduleError> {
    let (mut all, mut total) = (Vec::new(), 0_u64);
    for stage in stages {
        if !stage.duration.as_duration().is_zero() {
            let length = nanoseconds(stage.duration, "duration")?;
            total = total.saturating_add(length);
            all.push((from, stage.target, length));
        }
        from = stage.target;
    }
    if total > MAX_NS {
        return Err(ScheduleError::Duration("stages"));
    }
    Ok(all)
}

pub(super) fn nanoseconds(span: Span, field: &'static str) -> Result<u64, ScheduleError> {
    u64::try_from(span.as_duration().as_nanos())
        .ok()
        .filter(|ns| (1_000_000..=MAX_NS).contains(ns))
        .ok_or(ScheduleError::Duration(field))
}
