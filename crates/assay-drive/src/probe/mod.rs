//! `drive probe`: attacks the service that runs beside it, as `assay_core::security` plans and judges.
//!
//! Requests go to literal 127.0.0.1 only, a bounded number of them, in a bounded time. Prints JSON lines
//! ([`assay_core::security::ProbeMessage`]).

mod client;
mod run;
mod session;
mod token;

use std::io::{Error, Read as _, Result, Write as _};

use assay_core::security::{ProbeJob, ProbeMessage};
use tokio::task::LocalSet;

/// Largest job that is read, in bytes.
const MAX_JOB: u64 = 4 << 20;

/// Reads a [`ProbeJob`] from standard input and carries it out.
///
/// # Errors
///
/// The job cannot be read or nobody reads the results. A job that makes no sense is a last line that says so, and an
/// error too.
pub(crate) async fn main() -> Result<()> {
    let mut text = String::new();
    std::io::stdin().take(MAX_JOB).read_to_string(&mut text)?;
    let outcome = match serde_json::from_str::<ProbeJob>(&text) {
        Ok(job) => LocalSet::new().run_until(run::run(&job, &say)).await,
        Err(error) => Err(run::JobError::Unreadable(error.to_string())),
    };
    match outcome {
        Ok(report) => say(&ProbeMessage::Report(Box::new(report))),
        Err(error) => {
            say(&ProbeMessage::Failed(error.to_string()))?;
            Err(Error::other(error))
        }
    }
}

/// Writes one line.
fn say(message: &ProbeMessage) -> Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    output.write_all(&line)?;
    output.flush()
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
