//! From what went wrong in a container to whose fault it is. The container's role decides: what breaks a container that
//! runs candidate code is the candidate's doing, what breaks a trusted one is ours.

use assay_core::fault::Stop;
use assay_sandbox::{AskError, Death, EngineError, ExitReason, Exited, Probe, PublishError, StartError};

/// What a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role<'a> {
    /// Candidate code, with this memory limit in bytes.
    Candidate { memory_bytes: u64 },
    /// A tool, a service or a test of ours, by name.
    Trusted(&'a str),
}

impl Role<'_> {
    /// The container is gone.
    pub(crate) fn death(self, death: &Death) -> Stop {
        if death.is_platforms_fault() {
            return Stop::EngineFailed {
                detail: death.to_string(),
            };
        }
        match (self, death) {
            (Self::Candidate { memory_bytes }, Death::OutOfMemory) => Stop::OutOfMemory {
                limit_bytes: memory_bytes,
            },
            (Self::Candidate { .. }, death) => Stop::ServiceDied {
                detail: death.to_string(),
            },
            (Self::Trusted(tool), death) => Stop::ToolBroken {
                tool: tool.to_owned(),
                detail: death.to_string(),
            },
        }
    }

    /// The agent in the container could not do what it was asked for.
    pub(crate) fn ask(self, error: &AskError) -> Stop {
        match (self, error) {
            (_, AskError::Cancelled) => Stop::Cancelled,
            (_, AskError::Lost(death)) => self.death(death),
            (Self::Candidate { .. }, error) => Stop::ServiceDied {
                detail: error.to_string(),
            },
            (Self::Trusted(tool), error) => Stop::ToolBroken {
                tool: tool.to_owned(),
                detail: error.to_string(),
            },
        }
    }

    /// A report could not be read.
    pub(crate) fn report(self, path: &str, error: &AskError) -> Stop {
        match (self, error) {
            (Self::Candidate { .. }, AskError::Refused(error)) => Stop::NoReport {
                detail: format!("{path}: {error}"),
            },
            (_, error) => self.ask(error),
        }
    }

    /// A command did not end by itself. `None`: it did, and its exit code tells the rest.
    pub(crate) fn unfinished(self, exited: &Exited, limit_ms: u64, output_bytes: u64) -> Option<Stop> {
        let stop = match exited.reason {
            ExitReason::Exit => return None,
            ExitReason::Deadline => Stop::TimedOut { limit_ms },
            ExitReason::OutputCap => Stop::OutputFlood {
                limit_bytes: output_bytes,
            },
            ExitReason::Stopped => return Some(Stop::Cancelled),
            ExitReason::OutOfMemory => match self {
                Self::Candidate { memory_bytes } => Stop::OutOfMemory {
                    limit_bytes: memory_bytes,
                },
                Self::Trusted(_) => Stop::OutOfMemory { limit_bytes: 0 },
            },
        };
        Some(match self {
            Self::Candidate { .. } => stop,
            Self::Trusted(tool) => Stop::ToolBroken {
                tool: tool.to_owned(),
                detail: stop.sentence(),
            },
        })
    }
}

/// What stopped a tool of ours that was talking to the candidate's service. Its own times and sizes are bounded by its plan: what
/// exceeds them is what the service made it read or wait for. `None`: it ended by itself.
pub(crate) fn overwhelmed(tool: &str, exited: &Exited, limit_ms: u64) -> Option<Stop> {
    let detail = match exited.reason {
        ExitReason::Exit => return None,
        ExitReason::Deadline => return Some(Stop::TimedOut { limit_ms }),
        ExitReason::Stopped => return Some(Stop::Cancelled),
        ExitReason::OutOfMemory => "it ran out of memory",
        ExitReason::OutputCap => "it had too much to say about them",
    };
    Some(Stop::Overwhelmed {
        tool: tool.to_owned(),
        detail: detail.to_owned(),
    })
}

/// A container did not start: never the candidate's fault, since none of their code ran.
pub(crate) fn start(error: &StartError) -> Stop {
    match error {
        StartError::Cancelled => Stop::Cancelled,
        StartError::ImageMissing { image } => Stop::ImageMissing { image: image.clone() },
        error => Stop::EngineFailed {
            detail: error.to_string(),
        },
    }
}

/// The engine failed.
pub(crate) fn engine(error: &EngineError) -> Stop {
    Stop::EngineFailed {
        detail: error.to_string(),
    }
}

/// A cache could not be filled from what the candidate's installation left.
pub(crate) fn publish(error: &PublishError) -> Stop {
    match error {
        PublishError::Start(error) => start(error),
        PublishError::Engine(error) => engine(error),
        PublishError::Copy(AskError::Refused(error)) => Stop::TreeRefused {
            detail: format!("the installed dependencies could not be kept: {error}"),
        },
        PublishError::Copy(error) => Role::Trusted("cache").ask(error),
    }
}

/// How a process ended, as the end of a sentence.
pub(crate) fn ending(exited: &Exited) -> String {
    match (exited.reason, exited.code, exited.signal) {
        (ExitReason::OutOfMemory, ..) => "it used more memory than its limit".into(),
        (_, Some(code), _) => format!("exit code {code}"),
        (_, None, Some(signal)) => format!("signal {signal}"),
        (_, None, None) => "it ended".into(),
    }
}

/// What a readiness probe saw last, as the end of a sentence.
pub(crate) fn probed(probe: &Probe, port: u16) -> String {
    match probe {
        Probe::Ready => "it was ready".into(),
        Probe::NotListening => format!("nothing listens on port {port}"),
        Probe::OnlyIpv6 => format!("port {port} is only served on ::1; listen on 0.0.0.0"),
        Probe::Refused => format!("port {port} refused or cut the connection"),
        Probe::Silent => format!("port {port} accepted the connection and did not answer"),
        Probe::NotHttp => format!("what port {port} answered is not HTTP"),
        Probe::Status(status) => format!("it answered with status {status}"),
    }
}
