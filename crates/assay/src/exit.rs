//! Exit codes: what a script may rely on.

use assay_engine::RunError;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; the gate, if one was asked for, passed.
    Done = 0,
    /// Something of the outside world failed.
    Failed = 1,
    /// There was nothing to run: no commit, no file, no such reference.
    NothingToRun = 4,
    /// An exercise or the configuration is wrong.
    BadConfiguration = 96,
    /// The gate failed, or a solution is not as expected.
    GateFailed = 100,
    /// Something could not be judged, through no fault of the candidate: not scored.
    NotScored = 110,
    /// Cancelled by a signal.
    Cancelled = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that has an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Expected {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

/// The code of an error that reached `main`.
pub(crate) fn of_error(error: &anyhow::Error) -> Exit {
    if let Some(expected) = error.downcast_ref::<Expected>() {
        return expected.exit;
    }
    match error.downcast_ref::<RunError>() {
        Some(RunError::NothingSubmitted { .. }) => Exit::NothingToRun,
        Some(RunError::Fetch(
            assay_git::FetchError::MissingReference { .. } | assay_git::FetchError::MissingCommit { .. },
        )) => Exit::NothingToRun,
        Some(RunError::Fetch(_) | RunError::NoTrack { .. }) => Exit::BadConfiguration,
        Some(RunError::Cancelled) => Exit::Cancelled,
        None => Exit::Failed,
    }
}

/// An exercise that cannot be read.
pub(crate) fn mistakes(mistakes: &[assay_core::yaml::Mistake]) -> anyhow::Error {
    let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    let count = if mistakes.len() == 1 {
        "1 mistake".to_owned()
    } else {
        format!("{} mistakes", mistakes.len())
    };
    let message = format!("the exercise has {count}\n{}", shown.join("\n"));
    Expected {
        exit: Exit::BadConfiguration,
        message,
    }
    .into()
}
