//! One run: live while it goes on, its result afterwards.

use askama::Template;
use assay_core::queue::RunState;
use assay_report::state::Mark;
use assay_report::{Gauge, number, text};
use assay_store::model::{Assignment, Run, ScoreRow};

use super::assets::Assets;
use super::audit::People;
use super::frame::Frame;
use super::history;
use super::mark::{self, ScoreView};
use super::names::{self, Names};
use super::progress::Progress;
use super::seal::Seal;
use super::when::When;

/// A version of the scorecard.
struct Version {
    number: u32,
    points: String,
    max: String,
    at: When,
    by: String,
}

/// What changes while a run goes on. It is the middle of the page, and what the stream sends anew.
#[derive(Template)]
#[template(path = "run_live.html", whitespace = "minimize")]
pub(super) struct Live {
    frame: Frame,
    id: String,
    state: Mark,
    progress: Progress,
    is_over: bool,
    can_cancel: bool,
    reason: String,
    score: Option<ScoreView>,
    gauge: Option<Gauge>,
    versions: Vec<Version>,
    seal: Option<Seal>,
}

impl Live {
    pub(super) fn new(
        frame: Frame,
        run: &Run,
        progress: Progress,
        versions: &[ScoreRow],
        people: &People,
        seal: Option<Seal>,
        now_ms: i64,
    ) -> Self {
        Self {
            seal,
            frame,
            id: run.id.to_string(),
            state: mark::of_run(run),
            progress,
            is_over: run.state == RunState::Finished,
            can_cancel: run.state != RunState::Finished && !run.cancel_requested,
            reason: text::line(&run.reason),
            score: run.score.as_ref().map(ScoreView::new),
            gauge: run.score.as_ref().map(overall),
            versions: versions
                .iter()
                .filter(|_| versions.len() > 1)
                .map(|row| Version {
                    number: row.version,
                    points: mark::points(row.total_hundredths),
                    max: mark::points(row.max_hundredths),
                    at: When::new(row.created_at_ms, now_ms),
                    by: match &row.created_by {
                        None => "the run itself".into(),
                        Some(id) => people
                            .get(id)
                            .map_or_else(|| id.to_string(), |name| text::line(name)),
                    },
                })
                .collect(),
        }
    }
}

impl askama::filters::HtmlSafe for Live {}

/// The big gauge of a score.
fn overall(row: &ScoreRow) -> Gauge {
    let [low, high] =
        [row.low_hundredths, row.high_hundredths].map(|points| mark::share(points, row.max_hundredths));
    let band = assay_report::state::of_share(low, high);
    let [points, max] = [row.total_hundredths, row.max_hundredths].map(mark::points);
    let label = format!("Overall: {points} of {max}, {}", band.word.to_lowercase());
    Gauge::new(label, points, max, low, high, band)
}

/// The page.
#[derive(Template)]
#[template(path = "run.html", whitespace = "minimize")]
pub(super) struct RunPage {
    frame: Frame,
    id: String,
    assignment: String,
    name: String,
    number: u32,
    exercise: String,
    commit: String,
    reference: String,
    trigger: &'static str,
    received: When,
    took: String,
    cost: &'static str,
    live: Live,
}

impl RunPage {
    pub(super) fn new(live: Live, run: &Run, assignment: &Assignment, now_ms: i64) -> Self {
        let frame = live.frame.clone();
        let names = Names { hidden: frame.blind };
        let took = run
            .started_at_ms
            .map(|started| run.finished_at_ms.unwrap_or(now_ms) - started);
        Self {
            id: run.id.to_string(),
            assignment: assignment.id.to_string(),
            name: names.of(assignment),
            number: run.number,
            exercise: text::line(&assignment.exercise),
            commit: names::commit(&run.commit),
            reference: names::reference(&run.reference),
            trigger: history::trigger(run.trigger),
            received: When::new(run.received_at_ms, now_ms),
            took: took.map_or("–".into(), |ms| {
                number::wall_time(u64::try_from(ms).unwrap_or_default())
            }),
            cost: history::cost(run),
            frame,
            live,
        }
    }
}
