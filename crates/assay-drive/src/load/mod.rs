//! `drive load`: sends the arrivals of a plan at the times at which they are due, and says what came of them.
//!
//! Open model: nothing that the service does moves an arrival. Every latency counts from the intended time. In the closed
//! model users ask one request after the other, and latency counts from the actual start; the summary says so. The
//! generator opens no port, speaks to a literal loopback address only, and prints JSON lines
//! ([`assay_core::load::LoadMessage`]).

mod connection;
mod connections;
mod crowd;
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

use std::io::{BufReader, Error, Read, Result, Write as _};
use std::sync::{Arc, Mutex};

use assay_core::load::{LoadJob, LoadMessage};
use serde::Deserialize as _;
use tokio::task::LocalSet;

/// Largest job that is read, in bytes.
const MAX_JOB: u64 = 4 << 20;
/// Most bytes that may be asked for after it.
const MAX_ASKS: u64 = 1 << 20;

/// Reads a [`LoadJob`] from the file, or from standard input without one, and carries it out. A job in windows goes on
/// reading standard input: one [`assay_core::load::LoadAsk`] a line.
///
/// # Errors
///
/// The job cannot be read or nobody reads the results. A job that makes no sense is a last line that says so, and
/// an error too.
pub(crate) async fn main(file: Option<&str>) -> Result<()> {
    let mut input = BufReader::new(std::io::stdin());
    let job = match file {
        Some(path) => read_job(BufReader::new(std::fs::File::open(path)?)),
        // One value and no byte more: what follows is asked for later.
        None => read_job(&mut input),
    };
    let asks: run::Asks = Arc::new(Mutex::new(input.take(MAX_ASKS)));
    let outcome = match job {
        Ok(job) => LocalSet::new().run_until(run::run(&job, &asks, &say)).await,
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

fn read_job(input: impl Read) -> serde_json::Result<LoadJob> {
    LoadJob::deserialize(&mut serde_json::Deserializer::from_reader(input.take(MAX_JOB)))
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
