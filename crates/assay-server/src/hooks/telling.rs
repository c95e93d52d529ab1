//! What a forge is told of a run. Pure.

use assay_core::fault::Whose;
use assay_core::queue::{Outcome, RunState};
use assay_core::report::Report;
use assay_core::report::candidate::{self, CandidateView};
use assay_store::model::Run;
use serde::{Deserialize, Serialize};

/// Longest description of a status that all forges take, in characters.
const MAX_DESCRIPTION: usize = 140;

/// What stands in the store until the forge has been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    /// When.
    pub(super) moment: Moment,
    /// Full name of the repository that is told.
    pub(super) repository: String,
    /// Number of the pull or merge request that gets a comment.
    pub(super) request: Option<u64>,
}

/// When a forge is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Moment {
    /// When the run begins to wait.
    Begin,
    /// When it has ended.
    End,
}

/// What a commit's status says, in no forge's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is being checked.
    Pending,
    /// It was checked, and the gate passed where there is one.
    Passed,
    /// It was checked and did not pass.
    Failed,
    /// It could not be judged, through no fault of the candidate: never a failure.
    Ours,
    /// It will not be checked: a newer commit came, or somebody cancelled.
    Stopped,
    /// It was not taken as a submission. Has a context of its own, so that it never passes for a check.
    Skipped,
}

/// A commit's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    /// What.
    pub(super) verdict: Verdict,
    /// In a sentence, at most 140 characters.
    pub(super) description: String,
}

impl Status {
    /// With a description of any length.
    pub(super) fn new(verdict: Verdict, description: impl AsRef<str>) -> Self {
        let text = assay_report::text::line(description.as_ref());
        let description = if text.chars().count() > MAX_DESCRIPTION {
            text.chars().take(MAX_DESCRIPTION - 1).chain(['…']).collect()
        } else {
            text
        };
        Self { verdict, description }
    }
}

/// The status of a run. It says of points only what the candidate may know: the report decides, and without one nothing does.
pub(super) fn status(run: &Run, report: Option<&Report>) -> Status {
    let Some(outcome) = run.outcome.filter(|_| run.state == RunState::Finished) else {
        return Status::new(Verdict::Pending, "Waits for its turn or is being checked.");
    };
    match outcome {
        Outcome::Scored => {
            let points = report.and_then(points);
            // A gate is a number too: it speaks of hidden checks.
            let failed = points.is_some() && report.is_some_and(|report| report.score.gate == Some(false));
            let gate = if failed { " Gate failed." } else { "" };
            let points = points.unwrap_or_else(|| "Checked.".to_owned());
            let verdict = if failed { Verdict::Failed } else { Verdict::Passed };
            Status::new(verdict, format!("{points}{gate}"))
        }
        Outcome::PartlyScored => Status::new(
            Verdict::Ours,
            "Not everything could be judged, through no fault of the candidate.",
        ),
        Outcome::Nothing => Status::new(Verdict::Failed, "There was nothing to check."),
        Outcome::Cancelled => Status::new(Verdict::Stopped, "Cancelled."),
        Outcome::Superseded => Status::new(Verdict::Stopped, "Not checked: a newer commit came."),
        Outcome::Failed(Whose::Candidate) => {
            Status::new(Verdict::Failed, "It could not be checked as it is.")
        }
        Outcome::Failed(Whose::Exercise | Whose::Platform) => Status::new(
            Verdict::Ours,
            "It could not be checked, through no fault of the candidate.",
        ),
    }
}

fn points(report: &Report) -> Option<String> {
    let CandidateView { points, .. } = candidate::view(report);
    let score = points?.score;
    Some(format!(
        "{} of {} points.",
        assay_report::number::points(score.total),
        assay_report::number::points(score.max)
    ))
}

/// How long to wait before a message is tried again: 5 s, doubled each time, at most half an hour.
pub(super) fn back_off_ms(n_tries: u32) -> i64 {
    const FIRST_MS: i64 = 5_000;
    const MOST_MS: i64 = 30 * 60_000;
    FIRST_MS
        .saturating_mul(1_i64.checked_shl(n_tries.min(20)).unwrap_or(i64::MAX))
        .min(MOST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_to_half_an_hour() {
        let waits: Vec<i64> = [0, 1, 2, 3, 8, 9, 60].map(back_off_ms).to_vec();
        insta::assert_compact_debug_snapshot!(waits, @"[5000, 10000, 20000, 40000, 1280000, 1800000, 1800000]");
    }

    #[test]
    fn descriptions_are_one_short_line() {
        let status = Status::new(Verdict::Passed, "a\nb".repeat(100));
        assert_eq!(status.description.chars().count(), MAX_DESCRIPTION);
        assert!(!status.description.contains('\n'));
    }
}
