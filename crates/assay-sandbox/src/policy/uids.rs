//! Numeric users: each live container has one that no other has.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::engine::locked;

/// The first user given out. Below are users that an image or the host may know.
const FIRST: u32 = 10_000;

/// How many there are.
const COUNT: u32 = 50_000;

/// Gives out numeric users.
#[derive(Clone, Debug)]
pub(crate) struct Uids {
    pool: Arc<Mutex<Pool>>,
}

#[derive(Debug)]
struct Pool {
    next: u32,
    leased: BTreeSet<u32>,
}

/// A user, until it is dropped.
#[derive(Debug)]
pub(crate) struct UidLease {
    uid: u32,
    pool: Arc<Mutex<Pool>>,
}

impl Uids {
    /// Begins to count at a place that depends on `seed`, so that several processes on one machine seldom meet.
    pub(crate) fn new(seed: u32) -> Self {
        // A prime spreads neighbouring process ids.
        let next = seed.wrapping_mul(7919) % COUNT;
        Self {
            pool: Arc::new(Mutex::new(Pool {
                next,
                leased: BTreeSet::new(),
            })),
        }
    }

    /// A user that no live container of this process has; none when all are taken.
    pub(crate) fn lease(&self) -> Option<UidLease> {
        let mut pool = locked(&self.pool);
        let offset = (0..COUNT)
            .map(|i| (pool.next + i) % COUNT)
            .find(|offset| !pool.leased.contains(offset))?;
        pool.next = (offset + 1) % COUNT;
        pool.leased.insert(offset);
        Some(UidLease {
            uid: FIRST + offset,
            pool: Arc::clone(&self.pool),
        })
    }
}

impl UidLease {
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }
}

impl Drop for UidLease {
    fn drop(&mut self) {
        locked(&self.pool).leased.remove(&(self.uid - FIRST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_user_is_given_out_twice_at_once_and_none_is_root() {
        let uids = Uids::new(3);
        let all: Vec<UidLease> = std::iter::from_fn(|| uids.lease()).collect();
        let distinct: BTreeSet<u32> = all.iter().map(UidLease::uid).collect();
        assert_eq!(distinct.len(), COUNT as usize);
        assert!(distinct.iter().all(|uid| (FIRST..FIRST + COUNT).contains(uid)));
        let uid = all[7].uid();
        drop(all);
        let next = uids.lease().unwrap();
        assert_ne!(next.uid(), uid, "a user rests before it is used again");
    }
}
