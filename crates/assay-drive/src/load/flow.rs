//! The measurement itself: arrivals are sent when they are due, whatever has become of the earlier ones.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use assay_core::load::{Arrival, Dice, LoadPlan, Scenario, ScheduleError, Traffic};
use tokio::sync::Notify;

use super::pacer::{Pacer, Window};
use super::progress::{Progress, Say, Tally};
use super::record::{Fate, Place, Record};
use super::script::Endpoint;
use super::service::Service;

/// Between the last preparation and the first arrival, so that the preparation is over when it is due.
const START_DELAY: Duration = Duration::from_millis(100);
/// Arrivals of one scenario that may wait in line; further ones are dropped.
const MAX_WAITING: usize = 65_536;
/// The stream of random numbers of an arrival is its scenario and, in so many bits, its number.
const NUMBER_BITS: u32 = 40;
/// Streams of random numbers of requests outside the schedule.
const ONLY_STREAM: u64 = 1 << 60;

/// One scenario.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) traffic: Traffic,
    pub(super) warm_up: bool,
    max_in_flight: usize,
    /// Index of the endpoint, and the sum of the weights up to and with it.
    mix: Vec<(usize, u64)>,
    /// Requests, or users who are there.
    pub(super) in_flight: Cell<usize>,
    waiting: RefCell<VecDeque<Arrival>>,
    /// Requests of users so far: of all, and by user if their number is limited.
    pub(super) asked: Cell<u64>,
    asked_by: RefCell<Vec<u32>>,
}

/// A scenario that cannot be sent; [`assay_core::yaml::Lint`] would have said so.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaneError {
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error("there is no request `{0}`")]
    Unknown(String),
    #[error("the mix is empty")]
    Empty,
}

impl Lane {
    pub(super) fn of(scenario: &Scenario, plan: &LoadPlan) -> Result<Self, LaneError> {
        let mut total = 0;
        let mut mix = Vec::new();
        for (request, weight) in scenario.mix.iter().filter(|(_, weight)| **weight > 0) {
            let endpoint = plan.requests.keys().position(|name| name == request);
            total += u64::from(*weight);
            mix.push((
                endpoint.ok_or_else(|| LaneError::Unknown(request.clone()))?,
                total,
            ));
        }
        if mix.is_empty() {
            return Err(LaneError::Empty);
        }
        Ok(Self {
            traffic: Traffic::of(scenario)?,
            warm_up: scenario.warm_up,
            max_in_flight: usize::try_from(scenario.max_vus.max(1)).unwrap_or(usize::MAX),
            mix,
            in_flight: Cell::new(0),
            waiting: RefCell::default(),
            asked: Cell::new(0),
            asked_by: RefCell::default(),
        })
    }

    /// Whether the user may ask once more, which is counted.
    pub(super) fn may_ask(&self, user: u32, limit: Option<u32>) -> bool {
        let Some(limit) = limit else { return true };
        let mut all = self.asked_by.borrow_mut();
        let user = usize::try_from(user).unwrap_or(usize::MAX);
        if all.len() <= user {
            all.resize(user + 1, 0);
        }
        let asked = all.get_mut(user).filter(|asked| **asked < limit);
        asked.map(|asked| *asked += 1).is_some()
    }

    fn draw_endpoint(&self, dice: &mut Dice) -> usize {
        let drawn = dice.below(self.mix.last().map_or(0, |(_, total)| *total));
        self.mix
            .iter()
            .find(|(_, up_to)| drawn < *up_to)
            .map_or(0, |(endpoint, _)| *endpoint)
    }
}

/// The measurement under way. One thread, so cells will do; none of them is borrowed across an await.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) seed: u64,
    pub(super) service: Service,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) lanes: Vec<Lane>,
    pub(super) check_every: u64,
    pub(super) record: RefCell<Record>,
    /// Told whenever a scenario has one request less under way.
    pub(super) ended: Notify,
    /// The next arrival, for each scenario.
    pub(super) next: RefCell<Vec<u64>>,
    /// Requests sent outside the schedule.
    pub(super) extra: Cell<u64>,
}

impl Flow {
    /// Starts the clock, sends every arrival between the two times, and waits until all of them are resolved: at most
    /// twice the time limit after the last one.
    pub(super) async fn run(self: &Rc<Self>, from_ns: u64, until_ns: u64, say: Say<'_>) -> io::Result<()> {
        let schedule = |lane: &Lane| match &lane.traffic {
            Traffic::Open(schedule) => Some(schedule.clone()),
            Traffic::Closed(_) => None,
        };
        let schedules = self.lanes.iter().map(schedule).collect();
        let first = self.next.borrow().clone();
        let window = Window {
            from_ns,
            until_ns,
            first,
        };
        let mut pacer = Pacer::start(schedules, self.seed, window, START_DELAY)?;
        let start = pacer.start;
        self.start_users(start, &(from_ns..until_ns));
        let mut progress = Progress::of("load", say);
        loop {
            tokio::select! {
                biased;
                arrival = pacer.next() => match arrival {
                    Some(arrival) => self.due(start, arrival),
                    None => break,
                },
                () = progress.due() => progress.say(self.record.borrow().tally())?,
            }
        }
        while self.has_users() {
            tokio::select! {
                () = self.ended.notified() => (),
                () = progress.due() => progress.say(self.record.borrow().tally())?,
            }
        }
        let mut progress = Progress::of("drain", say);
        let patience = tokio::time::sleep(self.service.timeout);
        tokio::pin!(patience);
        let mut patient = true;
        while self.lanes.iter().any(|lane| lane.in_flight.get() > 0) {
            tokio::select! {
                () = self.ended.notified() => (),
                () = &mut patience, if patient => {
                    patient = false;
                    self.give_up_waiting(start);
                }
                () = progress.due() => progress.say(self.record.borrow().tally())?,
            }
        }
        Ok(())
    }

    /// Sends requests of one kind, one after the other. They are in no number but the one that is returned.
    pub(super) async fn only(&self, endpoint: &Endpoint, count: u32) -> Tally {
        let mut tally = Tally::default();
        for _ in 0..count {
            let mut dice = Dice::new(self.seed, ONLY_STREAM | self.extra.get());
            self.extra.set(self.extra.get() + 1);
            let user = dice
                .index(self.service.users.len())
                .and_then(|i| self.service.users.get(i));
            let Some(user) = user else { break };
            tally.sent += 1;
            match self.service.ask(endpoint, user, &mut dice, true).await {
                (_, Fate::Ok { .. }) => tally.ok += 1,
                _ => tally.errors += 1,
            }
        }
        tally
    }

    /// An arrival is due: it is sent if its scenario may have one more request under way, otherwise it waits in line.
    fn due(self: &Rc<Self>, start: Instant, arrival: Arrival) {
        let late = start
            .elapsed()
            .saturating_sub(Duration::from_nanos(arrival.at_ns));
        self.record.borrow_mut().noticed(late);
        if let Some(next) = self.next.borrow_mut().get_mut(arrival.scenario) {
            *next = arrival.number + 1;
        }
        let Some(lane) = self.lanes.get(arrival.scenario) else {
            return;
        };
        if lane.in_flight.get() < lane.max_in_flight {
            lane.in_flight.set(lane.in_flight.get() + 1);
            tokio::task::spawn_local(Rc::clone(self).send_in_turn(start, arrival));
            return;
        }
        self.record.borrow_mut().waits();
        if lane.waiting.borrow().len() < MAX_WAITING {
            lane.waiting.borrow_mut().push_back(arrival);
        } else {
            self.resolve_unsent(start, arrival, &Fate::Dropped);
        }
    }

    /// Sends the arrival, then those that wait in line, one after the other.
    async fn send_in_turn(self: Rc<Self>, start: Instant, first: Arrival) {
        let mut next = Some(first);
        while let Some(arrival) = next {
            self.send(start, arrival, None).await;
            next = self.next_in_line(start, arrival.scenario);
        }
        if let Some(lane) = self.lanes.get(first.scenario) {
            lane.in_flight.set(lane.in_flight.get().saturating_sub(1));
        }
        self.ended.notify_one();
    }

    /// The next arrival in line that has not waited for too long.
    fn next_in_line(&self, start: Instant, scenario: usize) -> Option<Arrival> {
        loop {
            let arrival = self.lanes.get(scenario)?.waiting.borrow_mut().pop_front()?;
            if start
                .elapsed()
                .saturating_sub(Duration::from_nanos(arrival.at_ns))
                < self.service.timeout
            {
                return Some(arrival);
            }
            self.resolve_unsent(start, arrival, &Fate::Dropped);
        }
    }

    fn give_up_waiting(&self, start: Instant) {
        let drain = |lane: &Lane| lane.waiting.borrow_mut().drain(..).collect::<Vec<_>>();
        for arrival in self.lanes.iter().flat_map(drain) {
            self.resolve_unsent(start, arrival, &Fate::Unsent);
        }
    }

    /// Sends the request of an arrival, for this user or for one by chance.
    pub(super) async fn send(&self, start: Instant, arrival: Arrival, user: Option<u32>) {
        let mut dice = self.dice(arrival);
        let Some(place) = self.place(arrival, &mut dice) else {
            return;
        };
        let users = &self.service.users;
        let chosen = match user {
            Some(number) => usize::try_from(number)
                .ok()
                .and_then(|number| number.checked_rem(users.len())),
            None => dice.index(users.len()),
        };
        let user = chosen.and_then(|chosen| users.get(chosen));
        let (Some(endpoint), Some(user)) = (self.endpoints.get(place.endpoint), user) else {
            return;
        };
        // Drawn, not counted: nobody can tell beforehand which answers are looked at.
        let in_full = dice.below(self.check_every) == 0;
        let (done, fate) = self.service.ask(endpoint, user, &mut dice, in_full).await;
        self.record.borrow_mut().resolved(
            place,
            done.saturating_duration_since(start),
            &fate,
            &endpoint.name,
        );
    }

    fn resolve_unsent(&self, start: Instant, arrival: Arrival, fate: &Fate) {
        let Some(place) = self.place(arrival, &mut self.dice(arrival)) else {
            return;
        };
        self.record
            .borrow_mut()
            .resolved(place, start.elapsed(), fate, "");
    }

    fn dice(&self, arrival: Arrival) -> Dice {
        let scenario = u64::try_from(arrival.scenario).unwrap_or(u64::MAX);
        Dice::new(self.seed, (scenario << NUMBER_BITS) | arrival.number)
    }

    /// Which request an arrival is follows from the seed and its number alone, so also one that is never sent has one.
    fn place(&self, arrival: Arrival, dice: &mut Dice) -> Option<Place> {
        let lane = self.lanes.get(arrival.scenario)?;
        Some(Place {
            endpoint: lane.draw_endpoint(dice),
            scenario: arrival.scenario,
            intended: Duration::from_nanos(arrival.at_ns),
            warm_up: lane.warm_up,
        })
    }
}
