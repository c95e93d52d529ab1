//! A line a second about where the measurement stands.

use std::io;
use std::time::{Duration, Instant};

use assay_core::load::{LoadMessage, LoadProgress};
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use super::host;

/// Where lines go.
pub(super) type Say<'a> = &'a dyn Fn(&LoadMessage) -> io::Result<()>;

/// Requests so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) ok: u64,
    pub(super) errors: u64,
}

impl Tally {
    /// What has been added since.
    pub(super) const fn since(self, earlier: Self) -> Self {
        Self {
            sent: self.sent.saturating_sub(earlier.sent),
            ok: self.ok.saturating_sub(earlier.ok),
            errors: self.errors.saturating_sub(earlier.errors),
        }
    }
}

/// The lines of one phase.
pub(super) struct Progress<'a> {
    phase: &'static str,
    began: Instant,
    seconds: Interval,
    say: Say<'a>,
}

impl<'a> Progress<'a> {
    pub(super) fn of(phase: &'static str, say: Say<'a>) -> Self {
        let mut seconds = interval_at(
            tokio::time::Instant::now() + Duration::from_secs(1),
            Duration::from_secs(1),
        );
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            phase,
            began: Instant::now(),
            seconds,
            say,
        }
    }

    /// Waits until it is time for the next line.
    pub(super) async fn due(&mut self) {
        self.seconds.tick().await;
    }

    /// Writes a line.
    pub(super) fn say(&self, tally: Tally) -> io::Result<()> {
        let Tally { sent, ok, errors } = tally;
        let elapsed_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let phase = self.phase.to_owned();
        (self.say)(&LoadMessage::Progress(LoadProgress {
            phase,
            elapsed_ms,
            sent,
            ok,
            errors,
            host: host::account(),
        }))
    }
}
