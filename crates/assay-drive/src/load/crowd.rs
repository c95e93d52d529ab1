//! The closed model: users who ask, wait for the answer, think, and ask again.

use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use assay_core::load::{Arrival, Crowd, Traffic};

use super::flow::{Flow, Lane};

impl Flow {
    /// Starts the users who are there in this part of the measurement, in nanoseconds from its start. They count as under
    /// way until they are gone.
    pub(super) fn start_users(self: &Rc<Self>, start: Instant, part: &Range<u64>) {
        for (scenario, lane) in self.lanes.iter().enumerate() {
            let Traffic::Closed(crowd) = &lane.traffic else {
                continue;
            };
            for user in 0..crowd.len() {
                let shifts = crowd.shifts(user).into_iter();
                let shifts: Vec<Range<u64>> = shifts
                    .map(|shift| shift.start.max(part.start)..shift.end.min(part.end))
                    .filter(|shift| !shift.is_empty())
                    .collect();
                lane.in_flight.set(lane.in_flight.get() + 1);
                tokio::task::spawn_local(Rc::clone(self).be_user(start, scenario, user, shifts));
            }
        }
    }

    /// Whether some user is there still.
    pub(super) fn has_users(&self) -> bool {
        let there = |lane: &Lane| matches!(lane.traffic, Traffic::Closed(_)) && lane.in_flight.get() > 0;
        self.lanes.iter().any(there)
    }

    async fn be_user(self: Rc<Self>, start: Instant, scenario: usize, user: u32, shifts: Vec<Range<u64>>) {
        let Some(lane) = self.lanes.get(scenario) else {
            return;
        };
        if let Traffic::Closed(crowd) = &lane.traffic {
            for shift in shifts {
                self.work(start, lane, crowd, Asker { scenario, user }, shift)
                    .await;
            }
        }
        lane.in_flight.set(lane.in_flight.get().saturating_sub(1));
        self.ended.notify_one();
    }

    async fn work(&self, start: Instant, lane: &Lane, crowd: &Crowd, asker: Asker, shift: Range<u64>) {
        let at = |ns: u64| tokio::time::Instant::from_std(start + Duration::from_nanos(ns));
        tokio::time::sleep_until(at(shift.start)).await;
        loop {
            let now_ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            if now_ns >= shift.end || !lane.may_ask(asker.user, crowd.iterations()) {
                return;
            }
            let arrival = Arrival {
                at_ns: now_ns,
                scenario: asker.scenario,
                number: lane.asked.get(),
            };
            lane.asked.set(arrival.number + 1);
            self.send(start, arrival, Some(asker.user)).await;
            if !crowd.think_time().is_zero() {
                let thought = tokio::time::Instant::now() + crowd.think_time();
                tokio::time::sleep_until(thought.min(at(shift.end))).await;
            }
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
struct Asker {
    scenario: usize,
    user: u32,
}
