//! Wakes up when an arrival is due.
//!
//! A thread of its own with absolute, high-resolution sleeps: the runtime's timer counts in milliseconds and would
//! make every arrival late by one and a half of them.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use assay_core::load::{Arrival, Arrivals, Schedule};
use nix::errno::Errno;
use nix::sys::prctl::set_timerslack;
use nix::sys::time::{TimeSpec, TimeValLike as _};
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
use tokio::sync::mpsc;

/// Arrivals that may be due and not yet picked up; with more, the pacer waits for the runtime. Nothing is lost by
/// that, since latency counts from the intended time.
const BACKLOG: usize = 1024;

/// A part of the schedules.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// Where it begins, in nanoseconds from the start of the schedules.
    pub(super) from_ns: u64,
    /// Where it ends; an arrival at this very moment belongs to the next one.
    pub(super) until_ns: u64,
    /// The first arrival in it, for each schedule.
    pub(super) first: Vec<u64>,
}

/// A running pacer.
#[derive(Debug)]
pub(super) struct Pacer {
    /// When the clock starts, or would have started without a pause: arrivals are relative to it.
    pub(super) start: Instant,
    arrivals: mpsc::Receiver<Arrival>,
    thread: Option<JoinHandle<()>>,
}

impl Pacer {
    /// Starts the clock, after a little while, at the window's beginning.
    ///
    /// # Errors
    ///
    /// The clock cannot be read or no thread can be started.
    pub(super) fn start(
        schedules: Vec<Option<Schedule>>,
        seed: u64,
        window: Window,
        delay: Duration,
    ) -> std::io::Result<Self> {
        let (sender, arrivals) = mpsc::channel(BACKLOG);
        let first = Instant::now() + delay;
        let start = first
            .checked_sub(Duration::from_nanos(window.from_ns))
            .ok_or_else(|| std::io::Error::other("the clock does not go back as far as the schedule"))?;
        let delay_ns = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
        let start_ns = ClockId::CLOCK_MONOTONIC
            .now()?
            .num_nanoseconds()
            .saturating_add(delay_ns)
            .saturating_sub(i64::try_from(window.from_ns).unwrap_or(i64::MAX));
        let pace = move || {
            // Without it the kernel may be 50 µs late to save energy.
            let _ = set_timerslack(1);
            let arrivals = Arrivals::from_numbers(&schedules, seed, &window.first);
            for arrival in arrivals.take_while(|arrival| arrival.at_ns < window.until_ns) {
                let at_ns = i64::try_from(arrival.at_ns).unwrap_or(i64::MAX);
                sleep_until(start_ns.saturating_add(at_ns));
                if sender.blocking_send(arrival).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("pacer".to_owned()).spawn(pace)?;
        Ok(Self {
            start,
            arrivals,
            thread: Some(thread),
        })
    }

    /// The next arrival, when it is due; `None` after the last one.
    pub(super) async fn next(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        // A pacer that is asleep ends at its next arrival, of which the receiver then is gone; nobody waits for it.
        self.arrivals.close();
        drop(self.thread.take());
    }
}

fn sleep_until(monotonic_ns: i64) {
    let until = TimeSpec::nanoseconds(monotonic_ns);
    while clock_nanosleep(
        ClockId::CLOCK_MONOTONIC,
        ClockNanosleepFlags::TIMER_ABSTIME,
        &until,
    ) == Err(Errno::EINTR)
    {}
}
