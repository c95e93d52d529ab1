//! The runs of an assignment: as rows, and their scores over time as a small chart beside the table that says the same.

use askama::Template;
use assay_core::queue::{Outcome, RunState, Trigger};
use assay_report::state::Mark;
use assay_report::text;
use assay_store::model::Run;

use super::mark::{self, ScoreView};
use super::names;
use super::when::When;

/// One run in a table.
pub(super) struct RunRow {
    pub(super) href: String,
    pub(super) number: u32,
    pub(super) trigger: &'static str,
    pub(super) commit: String,
    pub(super) reference: String,
    pub(super) state: Mark,
    pub(super) reason: String,
    pub(super) score: Option<ScoreView>,
    /// Points gained since the scored run before, `+2.5`.
    pub(super) delta: Option<Delta>,
    pub(super) received: When,
    pub(super) cost: &'static str,
}

/// A change of the score.
pub(super) struct Delta {
    pub(super) words: String,
    pub(super) class: &'static str,
}

/// Rows of runs that are ordered newest first. `link` makes a run's address.
pub(super) fn rows(runs: &[Run], now_ms: i64, link: impl Fn(&Run) -> String) -> Vec<RunRow> {
    runs.iter()
        .enumerate()
        .map(|(i, run)| {
            let before = runs[i + 1..].iter().find_map(|older| older.score.as_ref());
            RunRow {
                href: link(run),
                number: run.number,
                trigger: trigger(run.trigger),
                commit: names::commit(&run.commit),
                reference: names::reference(&run.reference),
                state: mark::of_run(run),
                reason: text::line(&run.reason),
                score: run.score.as_ref().map(ScoreView::new),
                delta: run
                    .score
                    .as_ref()
                    .zip(before)
                    .and_then(|(score, before)| delta(score.total_hundredths - before.total_hundredths)),
                received: When::new(run.received_at_ms, now_ms),
                cost: cost(run),
            }
        })
        .collect()
}

fn delta(hundredths: i64) -> Option<Delta> {
    let points = mark::points(hundredths.abs());
    match hundredths {
        0 => None,
        1.. => Some(Delta {
            words: format!("+{points}"),
            class: "delta-up",
        }),
        _ => Some(Delta {
            words: format!("−{points}"),
            class: "delta-down",
        }),
    }
}

/// What asked for a run, for people.
pub(super) fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Push => "Push",
        Trigger::Tag => "Tag",
        Trigger::Webhook => "Webhook",
        Trigger::Rerun => "Run again",
    }
}

/// What a run cost the candidate.
pub(super) fn cost(run: &Run) -> &'static str {
    match run.outcome {
        _ if !run.counts => "nothing",
        None => "one attempt",
        Some(outcome) if outcome.costs() => "one attempt",
        Some(Outcome::PartlyScored | Outcome::Failed(_) | Outcome::Cancelled) => "given back",
        Some(_) => "nothing",
    }
}

const LEFT: f64 = 34.0;
const RIGHT: f64 = 590.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 126.0;
/// Most runs in the chart: the newest.
const MOST: usize = 60;

/// The scores of an assignment's runs, oldest at the left.
#[derive(Template)]
#[template(path = "trend.svg", escape = "html", whitespace = "minimize")]
pub(super) struct Trend {
    label: String,
    max: String,
    path: String,
    dots: Vec<Dot>,
}

struct Dot {
    x: String,
    y: String,
    title: String,
    is_last: bool,
}

impl askama::filters::HtmlSafe for Trend {}

impl Trend {
    /// The chart of runs that are ordered newest first; none when fewer than two have a score.
    pub(super) fn new(runs: &[Run]) -> Option<Self> {
        let scored = runs.iter().filter(|run| run.state == RunState::Finished);
        let mut scored: Vec<_> = scored
            .filter_map(|run| Some((run.number, run.score.as_ref()?)))
            .take(MOST)
            .collect();
        scored.reverse();
        let (_, last) = scored.last()?;
        if scored.len() < 2 {
            return None;
        }
        let step = (RIGHT - LEFT) / (scored.len() - 1) as f64;
        let dots: Vec<Dot> = scored
            .iter()
            .enumerate()
            .map(|(i, (number, score))| {
                let share = mark::share(score.total_hundredths, score.max_hundredths);
                Dot {
                    x: format!("{:.1}", LEFT + step * i as f64),
                    y: format!("{:.1}", BOTTOM - share * (BOTTOM - TOP)),
                    title: format!("Run {number}: {} points", mark::points(score.total_hundredths)),
                    is_last: i + 1 == scored.len(),
                }
            })
            .collect();
        let path: Vec<String> = dots.iter().map(|dot| format!("{} {}", dot.x, dot.y)).collect();
        let first = scored.first().map_or(0, |(_, score)| score.total_hundredths);
        Some(Self {
            label: format!(
                "Score over {} runs: from {} to {} of {}",
                scored.len(),
                mark::points(first),
                mark::points(last.total_hundredths),
                mark::points(last.max_hundredths)
            ),
            max: mark::points(last.max_hundredths),
            path: format!("M{}", path.join("L")),
            dots,
        })
    }
}
