//! How a measurement is led: a job that is cut into windows waits for a word before each of them.
//!
//! The generator makes the users, says [`LoadMessage::Paused`](super::LoadMessage::Paused) and waits. Each [`LoadAsk`] is
//! answered in the same way when it is done; after the last one come blocks and summary. So two services can be measured
//! in turns, or looked at in between, and nothing is started meanwhile.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A line on the generator's standard input, after a job with [`cuts_ms`](super::LoadJob::cuts_ms).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LoadAsk {
    /// Send the arrivals of the next window at their times, and wait until all of them are resolved. Windows count from
    /// 0 and come in order; the number is there so that nobody miscounts.
    Window(usize),
    /// Send requests of one kind only, one after the other, for random users. They are in none of the numbers.
    Only {
        /// Its name in the plan.
        request: String,
        /// How many.
        count: u32,
    },
    /// Nothing more is to be sent: verify and sum up. The end of the input means the same.
    Finish,
}

/// What came of a [`LoadAsk`], or of the making of the users; the generator waits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Paused {
    /// Arrivals or requests that it was about.
    pub sent: u64,
    /// Answers that were as expected.
    pub ok: u64,
    /// Everything else that came of them.
    pub errors: u64,
    /// How long it took, the wait for the last answers included, in milliseconds.
    pub took_ms: u64,
    /// What the host says of itself now; none where it says nothing.
    pub host: Option<HostAccount>,
}

/// What a host has spent its time on since it started. Only differences mean something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostAccount {
    /// Its cores.
    pub cores: u64,
    /// Time of all its cores together, in milliseconds.
    pub all_ms: u64,
    /// Of that, the time in which a core was not idle.
    pub busy_ms: u64,
    /// Of that, the time in which a core was busy for another machine on the same hardware.
    pub stolen_ms: u64,
    /// Time in which at least one task waited for a core, in milliseconds; none where the kernel does not count it.
    pub waiting_ms: Option<u64>,
}
