//! `drive load`: sends the arrivals of a plan at the times at which they are due, and says what came of them.
//!
//! Open model: nothing that the service does moves an arrival. Every latency counts from the intended time. The
//! generator opens no port, speaks to a literal loopback address only, and prints JSON lines
//! ([`assay_core::load::LoadMessage`]).

mod connections;
mod expect;
mod flow;
mod host;
mod pacer;
mod progress;
mod record;
mod run;
mod script;
mod service;
mod steps;
mod users;

use std::io::{Error, Read as _, Result, Write as _};

use assay_core::load::{LoadJob, LoadMessage};
use tokio::task::LocalSet;

/// Largest job that is read, in bytes.
const MAX_JOB: u64 = 4 << 20;

/// Reads a [`LoadJob`] from the file, or from standard input without one, and carries it out.
///
/// # Errors
///
/// The job cannot be read or nobody reads the results. A job that makes no sense is a last line that says so, and
/// an error too.
pub(crate) async fn main(file: Option<&str>) -> Result<()> {
    let mut text = String::new();
    match file {
        Some(path) => std::fs::File::open(path)?
            .take(MAX_JOB)
            .read_to_string(&mut text)?,
        None => std::io::stdin().take(MAX_JOB).read_to_string(&mut text)?,
    };
    let outcome = match serde_json::from_str::<LoadJob>(&text) {
        Ok(job) => LocalSet::new().run_until(run::run(&job, &say)).await,
        Err(error) => Err(run::RunError::Job(error.to_string())),
    };
    match outcome {
        Ok(summary) => say(&LoadMessage::Summary(Box::new(summary))),
        Err(error) => {
            say(&LoadMessage::Failed(error.to_string()))?;
            Err(Error::other(error))
        }
    }
}

/// Writes one line.
fn say(message: &LoadMessage) -> Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    output.write_all(&line)?;
    output.flush()
}

#[cfg(test)]
mod tests;
