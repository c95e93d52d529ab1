//! The unmodified git client against a real server, a real database and real repositories.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests may panic as the tests do"
)]

mod hostile;
mod progress;
mod pushing;
mod reading;
mod server;
