//! What a worker asks of whoever carries runs out.

use std::path::PathBuf;

use assay_core::evidence::Evidence;
use assay_core::fault::{Stop, Whose};
use assay_core::queue::Outcome;
use assay_store::model::{Assignment, Run};

use crate::{Events, Scored};
use tokio_util::sync::CancellationToken;

/// Carries runs out. [`super::Docker`] does it in containers; tests script it.
pub trait Executor: Send + Sync + 'static {
    /// Whether a run could be carried out now. The text says why not.
    fn ready(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Most memory that a run of this assignment uses, in bytes.
    fn memory(&self, assignment: &Assignment) -> u64;

    /// Carries it out. When `cancel` is cancelled it ends soon, and cleans up all the same.
    fn execute(
        &self,
        task: &Task,
        events: &Events,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Ending> + Send;

    /// Removes what is left of runs that are not under way in this process. How many things it removed.
    fn sweep(&self) -> impl Future<Output = Result<usize, String>> + Send;
}

/// A run to be carried out.
#[derive(Debug, Clone)]
pub struct Task {
    /// The run.
    pub run: Run,
    /// Whose it is.
    pub assignment: Assignment,
    /// How often it was begun, this time included.
    pub execution: u32,
    /// A folder for temporary files, which is there and empty. The worker removes it.
    pub scratch: PathBuf,
}

/// What came of carrying a run out.
#[derive(Debug)]
pub enum Ending {
    /// There is a report.
    Scored(Box<Scored>),
    /// There was nothing to check, for this reason.
    Nothing(String),
    /// It was told to stop, and did.
    Cancelled,
    /// There is no report.
    Failed {
        /// Whose fault that is.
        whose: Whose,
        /// Why, in plain words.
        reason: String,
        /// Whether it may go better another time.
        may_pass: bool,
    },
}

/// What becomes of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// It ends.
    End(Outcome, String),
    /// Something of ours failed that may pass: it is begun again.
    Again(String),
}

impl Ending {
    /// What becomes of a run that ended so, when this was its `execution` of at most `max`.
    pub(super) fn next(&self, execution: u32, max: u32) -> Next {
        let (outcome, reason, may_pass) = match self {
            Self::Scored(scored) => {
                let (reason, may_pass) = faults(&scored.stored.evidence);
                let outcome = match scored.report.has_faults_of_ours() {
                    true => Outcome::PartlyScored,
                    false => Outcome::Scored,
                };
                // A fault that costs no line is told in the report, and is no reason to do it all again.
                let counts = outcome == Outcome::PartlyScored;
                (
                    outcome,
                    if counts { reason } else { String::new() },
                    counts && may_pass,
                )
            }
            Self::Nothing(reason) => (Outcome::Nothing, reason.clone(), false),
            Self::Cancelled => (Outcome::Cancelled, String::new(), false),
            Self::Failed {
                whose,
                reason,
                may_pass,
            } => (Outcome::Failed(*whose), reason.clone(), *may_pass),
        };
        if may_pass && execution < max {
            Next::Again(reason)
        } else {
            Next::End(outcome, reason)
        }
    }
}

/// What of ours failed, in a sentence each, and whether one of it may pass.
fn faults(evidence: &Evidence) -> (String, bool) {
    let mut sentences: Vec<String> = Vec::new();
    let mut may_pass = false;
    for stop in evidence.faults_of_ours() {
        may_pass |= stop.may_pass();
        let sentence = Stop::sentence(stop);
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    if sentences.is_empty() {
        sentences.push("A measurement was not valid.".to_owned());
    }
    (sentences.join(" "), may_pass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ending: &Ending, execution: u32, expected: &str) {
        let next = match ending.next(execution, 3) {
            Next::End(outcome, reason) => format!("{}: {reason}", outcome.name()),
            Next::Again(reason) => format!("again: {reason}"),
        };
        assert_eq!(next, expected);
    }

    #[test]
    fn what_may_pass_is_tried_again_and_ends_with_a_reason() {
        let failed = |whose, may_pass| Ending::Failed {
            whose,
            reason: "It rains.".into(),
            may_pass,
        };
        check(&failed(Whose::Platform, true), 1, "again: It rains.");
        check(&failed(Whose::Platform, true), 2, "again: It rains.");
        check(&failed(Whose::Platform, true), 3, "failed_platform: It rains.");
        check(&failed(Whose::Platform, true), 4, "failed_platform: It rains.");
        check(&failed(Whose::Exercise, false), 1, "failed_exercise: It rains.");
        check(&Ending::Nothing("No file.".into()), 1, "nothing: No file.");
        check(&Ending::Cancelled, 1, "cancelled: ");
    }
}
