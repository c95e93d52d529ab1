//! States of assignments and runs as people see them: a word, a shape and a colour each.

use assay_core::assignment::AssignmentState;
use assay_core::fault::Whose;
use assay_core::queue::{Outcome, RunState};
use assay_report::state::Mark;
use assay_report::{number, state};
use assay_store::model::{AssignmentRow, CategoryRow, Run, ScoreRow};

/// How far a run is, and how it ended.
pub(super) fn of_run(run: &Run) -> Mark {
    match (run.state, run.outcome) {
        (RunState::Queued, _) => Mark::new("Queued", "wait", "muted"),
        (RunState::Running, _) if run.cancel_requested => Mark::new("Stopping", "run", "warn"),
        (RunState::Running, _) => Mark::new("Running", "run", "info"),
        (RunState::Finished, Some(outcome)) => of_outcome(outcome),
        (RunState::Finished, None) => Mark::new("Ended", "none", "muted"),
    }
}

/// How a run ended.
pub(super) fn of_outcome(outcome: Outcome) -> Mark {
    match outcome {
        Outcome::Scored => Mark::new("Scored", "pass", "pass"),
        Outcome::PartlyScored => Mark::new("Partly scored", "none", "warn"),
        Outcome::Nothing => Mark::new("Nothing to check", "warn", "warn"),
        Outcome::Cancelled => Mark::new("Cancelled", "skip", "muted"),
        Outcome::Superseded => Mark::new("Superseded", "skip", "muted"),
        Outcome::Failed(Whose::Candidate) => Mark::new("Could not be checked", "fail", "fail"),
        Outcome::Failed(Whose::Exercise) => Mark::new("Exercise broken", "warn", "warn"),
        Outcome::Failed(Whose::Platform) => Mark::new("Not run, our fault", "warn", "warn"),
    }
}

/// What an outcome means, in a sentence.
pub(super) fn sentence(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Scored => "Every line of the scorecard was judged.",
        Outcome::PartlyScored => {
            "Something could not be judged, through no fault of the candidate. The attempt is given back."
        }
        Outcome::Nothing => "There was nothing to check: no commit, or no file in it.",
        Outcome::Cancelled => "Somebody cancelled it. The attempt is given back.",
        Outcome::Superseded => "A newer commit came before this one began. It cost nothing.",
        Outcome::Failed(Whose::Candidate) => "The submission could not be checked.",
        Outcome::Failed(Whose::Exercise) => "The exercise is broken. The attempt is given back.",
        Outcome::Failed(Whose::Platform) => "Something of ours failed. The attempt is given back.",
    }
}

/// How far an assignment is, by its own state and its latest run.
pub(super) fn of_assignment(row: &AssignmentRow, now_ms: i64) -> Mark {
    match row.assignment.state {
        AssignmentState::Closed => return Mark::new("Closed", "skip", "muted"),
        AssignmentState::Archived => return Mark::new("Archived", "none", "muted"),
        AssignmentState::Erased => return Mark::new("Erased", "none", "muted"),
        AssignmentState::Open => (),
    }
    let is_over = row.assignment.terms().due_at_ms.is_some_and(|due| now_ms > due);
    match row.latest.as_ref().map(|run| run.state) {
        Some(RunState::Queued) => Mark::new("Queued", "wait", "muted"),
        Some(RunState::Running) => Mark::new("Running", "run", "info"),
        Some(RunState::Finished) => Mark::new("Submitted", "pass", "pass"),
        None if is_over => Mark::new("Expired", "warn", "warn"),
        None => Mark::new("Invited", "note", "info"),
    }
}

/// A score in a list.
pub(super) struct ScoreView {
    /// `82.5`.
    pub(super) points: String,
    /// `100`.
    pub(super) max: String,
    /// Strong, solid, weak or open.
    pub(super) band: Mark,
    /// Where the exercise has a gate.
    pub(super) gate: Option<Mark>,
    /// `70.9 to 74.9` where something was not scored.
    pub(super) range: Option<String>,
    /// By category.
    pub(super) categories: Vec<CategoryView>,
}

/// A category's points in a list.
pub(super) struct CategoryView {
    /// Name for people.
    pub(super) name: String,
    /// Its band; `Open` where not all of it was judged.
    pub(super) band: Mark,
    /// The share as a gauge.
    pub(super) gauge: assay_report::Gauge,
}

impl ScoreView {
    /// The score of a scorecard's row.
    pub(super) fn new(row: &ScoreRow) -> Self {
        let is_open = row.high_hundredths > row.low_hundredths;
        let [low, high] =
            [row.low_hundredths, row.high_hundredths].map(|points| share(points, row.max_hundredths));
        Self {
            points: points(row.total_hundredths),
            max: points(row.max_hundredths),
            band: state::of_share(low, high),
            gate: match row.gate {
                None if !is_open => None,
                gate => Some(state::of_gate(gate, is_open)),
            },
            range: is_open.then(|| {
                format!(
                    "{} to {}",
                    points(row.low_hundredths),
                    points(row.high_hundredths)
                )
            }),
            categories: row.categories.iter().map(CategoryView::new).collect(),
        }
    }
}

impl CategoryView {
    fn new(row: &CategoryRow) -> Self {
        let reached = share(row.score_hundredths, row.max_hundredths);
        let highest = if row.scored { reached } else { 1.0 };
        let band = state::of_share(reached, highest);
        let name = category_name(&row.id);
        let [points, max] = [row.score_hundredths, row.max_hundredths].map(points);
        let label = format!("{name}: {points} of {max}, {}", band.word.to_lowercase());
        Self {
            gauge: assay_report::Gauge::new(label, points, max, reached, highest, band),
            name,
            band,
        }
    }
}

/// A category's name for people, by its id in the store.
pub(super) fn category_name(id: &str) -> String {
    let known = assay_core::exercise::CategoryId::ALL
        .into_iter()
        .find(|category| category.name() == id);
    known.map_or_else(
        || assay_report::text::line(id),
        |category| state::category(category).to_owned(),
    )
}

/// Hundredths of points as people write them.
pub(super) fn points(hundredths: i64) -> String {
    number::points(hundredths as f64 / 100.0)
}

/// A share from 0 to 1, whatever the numbers are.
pub(super) fn share(part: i64, all: i64) -> f64 {
    if all <= 0 {
        0.0
    } else {
        (part as f64 / all as f64).clamp(0.0, 1.0)
    }
}
