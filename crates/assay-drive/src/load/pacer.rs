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

/// A running pacer.
#[derive(Debug)]
pub(super) struct Pacer {
    /// When the clock starts: arrivals are relative to it.
    pub(super) start: Instant,
    arrivals: mpsc::Receiver<Arrival>,
    thread: Option<JoinHandle<()>>,
}

impl Pacer {
    /// Starts the clock, after a little while.
    ///
    /// # Errors
    ///
    /// The clock cannot be read or no thread can be started.
    pub(super) fn start(schedules: Vec<Schedule>, delay: Duration) -> std::io::Result<Self> {
        let (sender, arrivals) = mpsc::channel(BACKLOG);
        let start = Instant::now() + delay;
        let delay_ns = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
        let start_ns = ClockId::CLOCK_MONOTONIC
            .now()?
            .num_nanoseconds()
            .saturating_add(delay_ns);
        let pace = move || {
            // Without it the kernel may be 50 µs late to save energy.
            let _ = set_timerslack(1);
            for arrival in Arrivals::of(&schedules) {
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
