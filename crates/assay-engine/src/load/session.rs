//! One generator in its pod: told what to send next, line by line.

use std::time::{Duration, Instant};

use assay_core::fault::Stop;
use assay_core::load::{Blocks, HostAccount, LoadAsk, LoadJob, LoadMessage, LoadSummary, Paused};
use assay_sandbox::{Command, Container, Lines, OutputCap, Process, WhenFull};

use crate::faults::{self, Role};

const GENERATOR: &str = "load generator";
const ROLE: Role<'static> = Role::Trusted(GENERATOR);
/// Most bytes that the generator prints.
const OUTPUT_BYTES: u64 = 8 << 20;

/// A generator under way.
pub(crate) struct Session {
    process: Process,
    lines: Lines,
    /// Time that it may still take in all; while nothing is asked for it does not run out.
    left: Duration,
    /// What it may take in all.
    budget: Duration,
    blocks: Blocks,
    summary: Option<LoadSummary>,
    /// What the host said of itself at first and at last.
    host: Option<(HostAccount, HostAccount)>,
}

impl Session {
    /// Starts a generator, which makes the users and then waits. It may take so much time in all, and live for as long as
    /// `longest`.
    pub(super) async fn start(
        generator: &Container,
        job: &LoadJob,
        budget: Duration,
        longest: Duration,
    ) -> Result<Self, Stop> {
        let mut job = serde_json::to_vec(job).map_err(|error| Stop::BadExercise {
            detail: error.to_string(),
        })?;
        job.push(b'\n');
        let command = Command::new(["/assay/drive", "load"])
            .cwd("/tmp")
            .stdin(job)
            .stdin_open()
            .deadline(longest)
            .output(OutputCap {
                head_bytes: OUTPUT_BYTES,
                tail_bytes: 0,
                when_full: WhenFull::Kill,
            });
        let process = generator.spawn(command).await.map_err(|error| ROLE.ask(&error))?;
        Ok(Self {
            lines: process.lines(),
            process,
            left: budget,
            budget,
            blocks: Blocks::default(),
            summary: None,
            host: None,
        })
    }

    /// Asks for something and waits until it is done. None: the generator has ended, with a summary.
    ///
    /// # Errors
    /// As [`Session::pause`].
    pub(crate) async fn ask(&mut self, ask: &LoadAsk) -> Result<Option<Paused>, Stop> {
        if self.summary.is_some() {
            return Ok(None);
        }
        let mut line = serde_json::to_vec(ask).map_err(|error| broken(error.to_string()))?;
        line.push(b'\n');
        // One that has ended takes nothing more; its last words say why.
        self.process.feed(line).await.ok();
        self.pause().await
    }

    /// Waits until it pauses or ends; at first, until the users are made.
    ///
    /// # Errors
    /// The candidate's fault when it takes too long, since its own times are bounded by its plan: it is the service that
    /// is too slow. Ours when the generator breaks.
    pub(super) async fn pause(&mut self) -> Result<Option<Paused>, Stop> {
        let began = Instant::now();
        let paused = tokio::time::timeout(self.left, self.next()).await;
        self.left = self.left.saturating_sub(began.elapsed());
        paused.unwrap_or_else(|_| {
            Err(Stop::TimedOut {
                limit_ms: crate::service::millis(self.budget),
            })
        })
    }

    async fn next(&mut self) -> Result<Option<Paused>, Stop> {
        while let Some(line) = self.lines.next().await.map_err(|error| ROLE.ask(&error))? {
            match serde_json::from_slice(&line) {
                Ok(LoadMessage::Progress(progress)) => self.hear(progress.host),
                Ok(LoadMessage::Paused(paused)) => {
                    self.hear(paused.host);
                    return Ok(Some(paused));
                }
                Ok(LoadMessage::Blocks(blocks)) => self.blocks = blocks,
                Ok(LoadMessage::Summary(summary)) => {
                    self.summary = Some(*summary);
                    return Ok(None);
                }
                Ok(LoadMessage::Failed(detail)) => return Err(broken(detail)),
                Err(error) => return Err(broken(error.to_string())),
            }
        }
        let exited = self.process.exited().await.map_err(|error| ROLE.ask(&error))?;
        let limit_ms = crate::service::millis(self.budget);
        if let Some(stop) = faults::overwhelmed(GENERATOR, &exited, limit_ms) {
            return Err(stop);
        }
        let (ending, stderr) = (faults::ending(&exited), exited.stderr.text());
        Err(broken(format!("{ending}: {stderr}")))
    }

    fn hear(&mut self, host: Option<HostAccount>) {
        if let Some(now) = host {
            self.host = Some((self.host.map_or(now, |(first, _)| first), now));
        }
    }

    /// What the host said of itself at first and at last, so far.
    pub(super) fn host(&self) -> Option<(HostAccount, HostAccount)> {
        self.host
    }

    /// What it has printed.
    pub(super) fn output(&self) -> Vec<u8> {
        self.process.output().0.head
    }

    /// What it ended with, if it has.
    pub(super) fn summary(&self) -> Option<&LoadSummary> {
        self.summary.as_ref()
    }

    /// The latencies in blocks, which come before the summary.
    pub(super) fn blocks(&self) -> Blocks {
        self.blocks.clone()
    }
}

fn broken(detail: String) -> Stop {
    Stop::ToolBroken {
        tool: GENERATOR.into(),
        detail,
    }
}
