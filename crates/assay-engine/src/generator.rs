//! The load generator in its container, led line by line (`assay_core::load::LoadAsk`).

use assay_core::fault::Stop;
use assay_core::load::{LoadAsk, LoadMessage, Paused};
use assay_sandbox::{AskError, Exited, Lines, Process};

use crate::faults::Role;

pub(crate) const ROLE: Role<'static> = Role::Trusted("load generator");

/// The generator, told what to do line by line.
pub(crate) struct Led {
    process: Process,
    lines: Lines,
}

/// Why the generator says nothing more.
pub(crate) enum Silence {
    /// It ended: the users could not be made, its time was over, or it broke. Its last line and its exit say which.
    Ended,
    /// Its container is gone.
    Lost(Stop),
}

impl Led {
    /// A generator whose job is cut into windows.
    pub(crate) fn of(process: Process) -> Self {
        Self {
            lines: process.lines(),
            process,
        }
    }

    /// Asks for something and waits until it is done.
    pub(crate) async fn ask(&mut self, ask: &LoadAsk) -> Result<Paused, Silence> {
        self.tell(ask).await?;
        self.paused().await
    }

    /// Asks for something that it does not pause after.
    pub(crate) async fn tell(&self, ask: &LoadAsk) -> Result<(), Silence> {
        let mut line = serde_json::to_vec(ask).unwrap_or_default();
        line.push(b'\n');
        match self.process.feed(line).await {
            Ok(()) => Ok(()),
            Err(_) if !self.process.is_running() => Err(Silence::Ended),
            Err(error) => Err(Silence::Lost(ROLE.ask(&error))),
        }
    }

    /// Waits until it has done what it was asked for; at first, until the users are made.
    pub(crate) async fn paused(&mut self) -> Result<Paused, Silence> {
        loop {
            let line = self.lines.next().await;
            let line = line.map_err(|error| Silence::Lost(ROLE.ask(&error)))?;
            match serde_json::from_slice(&line.ok_or(Silence::Ended)?) {
                Ok(LoadMessage::Paused(paused)) => return Ok(paused),
                _ => continue,
            }
        }
    }

    /// Waits for its end.
    pub(crate) async fn exited(&self) -> Result<Exited, AskError> {
        self.process.exited().await
    }
}
