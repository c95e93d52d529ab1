//! What the generator knows about each user of the service.

use std::collections::{BTreeMap, VecDeque};

use assay_core::load::Dice;
use assay_core::load::template::Record;
use serde_json::Value;

/// One user.
#[derive(Debug, Clone, Default)]
pub(super) struct User {
    /// From 1.
    pub(super) number: u32,
    /// `${user.NAME}`.
    pub(super) values: BTreeMap<String, Value>,
    pools: BTreeMap<String, VecDeque<Record>>,
    counters: BTreeMap<String, Counter>,
}

/// How often something was done: as far as the service confirmed it, and as far as it may have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counter {
    pub(super) confirmed: u64,
    pub(super) possible: u64,
}

impl User {
    pub(super) fn new(number: u32) -> Self {
        Self {
            number,
            ..Self::default()
        }
    }

    /// A record of the pool, at random; it leaves the pool if it is taken. `None` when the pool is empty.
    pub(super) fn draw(&mut self, pool: &str, take: bool, dice: &mut Dice) -> Option<Record> {
        let pool = self.pools.get_mut(pool)?;
        let chosen = dice.index(pool.len())?;
        if take {
            pool.swap_remove_back(chosen)
        } else {
            pool.get(chosen).cloned()
        }
    }

    /// Puts a record into the pool; the oldest makes room.
    pub(super) fn keep(&mut self, pool: &str, record: Record, limit: u32) {
        let pool = self.pools.entry(pool.to_owned()).or_default();
        pool.push_back(record);
        while pool.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
            pool.pop_front();
        }
    }

    /// Raises counters: what is not confirmed is merely possible.
    pub(super) fn count(&mut self, by: &BTreeMap<String, u64>, confirmed: bool) {
        for (name, n) in by {
            let counter = self.counters.entry(name.clone()).or_default();
            counter.possible += n;
            counter.confirmed += if confirmed { *n } else { 0 };
        }
    }

    /// A counter; 0 when nothing was counted yet.
    pub(super) fn counter(&self, name: &str) -> Counter {
        self.counters.get(name).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(id: u32) -> Record {
        Record::from([("id".to_owned(), json!(id))])
    }

    #[test]
    fn pools_are_bounded_and_taken_records_are_gone() {
        let (mut user, mut dice) = (User::new(1), Dice::new(1, 1));
        for id in 0..5 {
            user.keep("task", record(id), 3);
        }
        let mut taken: Vec<Record> = (0..3)
            .filter_map(|_| user.draw("task", true, &mut dice))
            .collect();
        taken.sort_by_key(|record| record["id"].as_u64());
        assert_eq!(taken, [record(2), record(3), record(4)]);
        assert_eq!(user.draw("task", false, &mut dice), None);
        assert_eq!(user.draw("other", false, &mut dice), None);
    }

    #[test]
    fn counters_know_what_is_certain() {
        let mut user = User::new(1);
        let by = BTreeMap::from([("tasks".to_owned(), 5)]);
        user.count(&by, true);
        user.count(&by, false);
        assert_eq!(
            user.counter("tasks"),
            Counter {
                confirmed: 5,
                possible: 10
            }
        );
        assert_eq!(user.counter("none"), Counter::default());
    }
}
