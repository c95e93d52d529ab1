//! Two to four assignments side by side, by category. A table: no shape that hides a number.

use askama::Template;
use assay_report::state::Mark;
use assay_report::text;
use assay_store::model::{AssignmentRow, Run};

use super::assets::Assets;
use super::frame::Frame;
use super::mark::{self, ScoreView};
use super::names::{self, Names};
use super::when::When;

/// Fewest and most that can be compared.
pub(super) const FEW: std::ops::RangeInclusive<usize> = 2..=4;

/// An assignment's column.
struct Column {
    id: String,
    name: String,
    exercise: String,
    attempts: String,
    n_runs: u32,
    pushed: Option<When>,
    run: Option<String>,
    score: Option<ScoreView>,
}

/// A category's row: one cell per column.
struct Row {
    name: String,
    cells: Vec<Option<Cell>>,
}

struct Cell {
    points: String,
    max: String,
    band: Mark,
    is_best: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "compare.html", whitespace = "minimize")]
pub(super) struct ComparePage {
    frame: Frame,
    columns: Vec<Column>,
    rows: Vec<Row>,
    /// They answer different exercises, or different versions of one.
    differs: Option<&'static str>,
}

impl ComparePage {
    /// Each assignment with its newest run that has a score.
    pub(super) fn new(frame: Frame, compared: &[(AssignmentRow, Option<Run>)], now_ms: i64) -> Self {
        let names = Names { hidden: frame.blind };
        Self {
            columns: compared
                .iter()
                .map(|(row, run)| column(row, run.as_ref(), names, now_ms))
                .collect(),
            rows: rows(compared),
            differs: differs(compared),
            frame,
        }
    }
}

fn column(row: &AssignmentRow, run: Option<&Run>, names: Names, now_ms: i64) -> Column {
    let assignment = &row.assignment;
    Column {
        id: assignment.id.to_string(),
        name: names.of(assignment),
        exercise: text::line(&format!("{}, {}", assignment.exercise, assignment.track)),
        attempts: names::attempts(row.n_attempts_used, assignment.attempts),
        n_runs: row.n_runs,
        pushed: run.map(|run| When::new(run.received_at_ms, now_ms)),
        run: run.map(|run| run.id.to_string()),
        score: run.and_then(|run| run.score.as_ref()).map(ScoreView::new),
    }
}

fn rows(compared: &[(AssignmentRow, Option<Run>)]) -> Vec<Row> {
    let scores: Vec<_> = compared
        .iter()
        .map(|(_, run)| run.as_ref().and_then(|run| run.score.as_ref()))
        .collect();
    let mut ids: Vec<&str> = Vec::new();
    for category in scores.iter().flatten().flat_map(|score| &score.categories) {
        if !ids.contains(&category.id.as_str()) {
            ids.push(&category.id);
        }
    }
    ids.into_iter()
        .map(|id| {
            let found: Vec<_> = scores
                .iter()
                .map(|score| {
                    score.and_then(|score| score.categories.iter().find(|category| category.id == id))
                })
                .collect();
            let share = |score: i64, max: i64| mark::share(score, max);
            let shares = found
                .iter()
                .flatten()
                .map(|category| share(category.score_hundredths, category.max_hundredths));
            let best = shares.fold(0.0, f64::max);
            Row {
                name: mark::category_name(id),
                cells: found
                    .iter()
                    .map(|category| {
                        category.map(|category| {
                            let reached = share(category.score_hundredths, category.max_hundredths);
                            Cell {
                                points: mark::points(category.score_hundredths),
                                max: mark::points(category.max_hundredths),
                                band: assay_report::state::of_share(
                                    reached,
                                    if category.scored { reached } else { 1.0 },
                                ),
                                is_best: reached >= best && reached > 0.0,
                            }
                        })
                    })
                    .collect(),
            }
        })
        .collect()
}

fn differs(compared: &[(AssignmentRow, Option<Run>)]) -> Option<&'static str> {
    let (first, _) = compared.first()?;
    if compared
        .iter()
        .any(|(row, _)| row.assignment.exercise != first.assignment.exercise)
    {
        return Some("These are answers to different exercises: their points do not mean the same.");
    }
    let mut digests = compared
        .iter()
        .filter_map(|(_, run)| run.as_ref()?.score.as_ref())
        .map(|score| &score.exercise_digest);
    let first = digests.next()?;
    digests
        .any(|digest| digest != first)
        .then_some("These were scored by different versions of the exercise. Score them again to compare like with like.")
}
