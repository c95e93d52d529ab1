//! A run's events folded into what a page shows of it: one line per check, one sentence for now, and what happened.

use assay_core::event::Event;
use assay_core::exercise::{Check, CheckKind, Visibility};
use assay_core::queue::RunState;
use assay_core::report::CheckStatus;
use assay_report::state::{self, Mark};
use assay_report::{number, text};
use assay_store::model::{Run, RunEvent};

use super::mark;

/// Most lines of what happened: the newest.
const MOST_LINES: usize = 300;

const WAITING: Mark = Mark::new("Waiting", "wait", "muted");
const RUNNING: Mark = Mark::new("Running", "run", "info");
const NOT_RUN: Mark = Mark::new("Not run", "skip", "muted");
const NOT_SHOWN: Mark = Mark::new("Not shown", "none", "muted");

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Progress {
    /// One sentence, which screen readers tell when it changes.
    pub(super) now: String,
    pub(super) steps: Vec<Step>,
    /// Checks that ended, in percent.
    pub(super) percent: usize,
    pub(super) lines: Vec<Line>,
    /// Number of the last event.
    pub(super) seq: i64,
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) mark: Mark,
    pub(super) what: String,
    pub(super) took: String,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// `0:12` since it was queued.
    pub(super) at: String,
    pub(super) words: String,
}

/// Who is looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Eyes {
    /// An interviewer, who sees all.
    Interviewer,
    /// The candidate, who sees what each check's visibility lets through.
    Candidate,
}

impl Progress {
    /// Folds the events of a run on an exercise with these checks; `position` is its place in the queue.
    pub(super) fn new(
        run: &Run,
        checks: &[Check],
        events: &[RunEvent],
        eyes: Eyes,
        position: Option<u32>,
        now_ms: i64,
    ) -> Self {
        let mut progress = Self {
            now: String::new(),
            steps: steps(checks, eyes),
            percent: 0,
            lines: Vec::new(),
            seq: events.last().map_or(0, |event| event.seq),
        };
        let mut started: Vec<Option<i64>> = vec![None; progress.steps.len()];
        for stored in events {
            let seen = match eyes {
                Eyes::Interviewer => Some(stored.event.clone()),
                Eyes::Candidate => assay_core::report::candidate::event(&stored.event, checks),
            };
            let Some(event) = seen else { continue };
            progress.apply(&event, stored.at_ms, &mut started, checks, eyes);
            if let Some(words) = words(&event) {
                let at = clock(stored.at_ms - run.queued_at_ms);
                progress.lines.push(Line { at, words });
            }
        }
        let surplus = progress.lines.len().saturating_sub(MOST_LINES);
        progress.lines.drain(..surplus);
        progress.close(run, &started, position, now_ms);
        progress
    }

    fn apply(
        &mut self,
        event: &Event,
        at_ms: i64,
        started: &mut [Option<i64>],
        checks: &[Check],
        eyes: Eyes,
    ) {
        let step = |steps: &[Step], id: &str| steps.iter().position(|step| step.id == text::line(id));
        match event {
            // Another worker begins from the start.
            Event::RunTaken { .. } | Event::RunGivenBack { .. } => {
                self.steps = steps(checks, eyes);
                started.fill(None);
            }
            Event::CheckStarted { check } => {
                if let Some(i) = step(&self.steps, check) {
                    started[i] = Some(at_ms);
                    if self.steps[i].mark != NOT_SHOWN {
                        self.steps[i].mark = RUNNING;
                    }
                }
            }
            Event::CheckProgressed { check, doing } => {
                if let Some(i) = step(&self.steps, check) {
                    self.steps[i].what = text::line(doing);
                }
            }
            Event::CheckFinished {
                check,
                status,
                duration_ms,
                summary,
                ..
            } => {
                if let Some(i) = step(&self.steps, check) {
                    started[i] = None;
                    let step = &mut self.steps[i];
                    step.mark = state::of_check(*status);
                    step.what = text::line(summary);
                    step.took = number::wall_time(*duration_ms);
                }
            }
            _ => (),
        }
    }

    /// What the run's own row adds: how far it is, and how long a check has been running.
    fn close(&mut self, run: &Run, started: &[Option<i64>], position: Option<u32>, now_ms: i64) {
        let is_over = run.state == RunState::Finished;
        for (step, started) in self.steps.iter_mut().zip(started) {
            let is_unfinished = step.mark == WAITING || step.mark == RUNNING;
            if is_over && is_unfinished {
                step.mark = NOT_RUN;
                step.what.clear();
            } else if let (Some(started), RUNNING) = (started, step.mark) {
                step.took = clock(now_ms - started);
            }
        }
        let n_done = self
            .steps
            .iter()
            .filter(|step| ![WAITING, RUNNING, NOT_SHOWN].contains(&step.mark))
            .count();
        let n_all = self.steps.len();
        self.percent = if is_over { 100 } else { 100 * n_done / n_all.max(1) };
        let running: Vec<&str> = self
            .steps
            .iter()
            .filter(|step| step.mark == RUNNING)
            .map(|step| step.name)
            .collect();
        self.now = match (run.state, run.outcome, position) {
            (RunState::Finished, Some(outcome), _) => mark::sentence(outcome).to_owned(),
            (RunState::Queued, _, Some(1)) => "Queued: it is next.".into(),
            (RunState::Queued, _, Some(place)) => format!("Queued: {} before it.", before(place - 1)),
            (RunState::Queued, ..) => "Queued.".into(),
            (RunState::Running, ..) if run.cancel_requested => "Stopping, as somebody asked.".into(),
            _ if running.is_empty() && n_done == 0 => "Preparing.".into(),
            _ if running.is_empty() => format!("{n_done} of {n_all} checks done."),
            _ => format!(
                "{n_done} of {n_all} checks done. Running: {}.",
                running.join(", ")
            ),
        };
    }
}

fn before(n: u32) -> String {
    if n == 1 {
        "1 run is".into()
    } else {
        format!("{n} runs are")
    }
}

fn steps(checks: &[Check], eyes: Eyes) -> Vec<Step> {
    checks
        .iter()
        .map(|check| {
            let is_hidden = eyes == Eyes::Candidate && check.seen() == Visibility::Hidden;
            Step {
                id: text::line(&check.id),
                name: name(check.kind),
                mark: if is_hidden { NOT_SHOWN } else { WAITING },
                what: if is_hidden {
                    "Its result is for the interviewers.".into()
                } else {
                    String::new()
                },
                took: String::new(),
            }
        })
        .collect()
}

/// A check's kind, short.
pub(super) fn name(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Build => "Build",
        CheckKind::Style => "Style",
        CheckKind::Unit => "Own tests",
        CheckKind::Integration => "Hidden tests",
        CheckKind::Load => "Load",
        CheckKind::Security => "Security",
        CheckKind::Rigour => "Test rigour",
        CheckKind::Command => "Command",
    }
}

/// What happened, in a line. None: it says nothing to people.
fn words(event: &Event) -> Option<String> {
    let line = |words: String| Some(text::line(&words));
    match event {
        Event::RunQueued => Some("Queued".into()),
        Event::RunTaken { execution: 1, .. } => Some("A worker took it".into()),
        Event::RunTaken { execution, .. } => Some(format!("A worker took it again (attempt {execution})")),
        Event::RunGivenBack { reason } if reason.is_empty() => {
            Some("It waits again, through our fault".into())
        }
        Event::RunGivenBack { reason } => line(format!("It waits again: {reason}")),
        Event::RunStarted { .. } | Event::RunFinished { .. } => None,
        Event::SourceRead {
            commit,
            n_files,
            n_bytes,
            ..
        } => line(format!(
            "Commit {} read: {n_files} files, {} kB",
            super::names::commit(commit),
            n_bytes.div_ceil(1_000)
        )),
        Event::CheckStarted { check } => line(format!("{check}: started")),
        Event::CheckProgressed { check, doing } => line(format!("{check}: {doing}")),
        Event::CheckFinished {
            check,
            status,
            duration_ms,
            summary,
            ..
        } => {
            let word = match status {
                CheckStatus::Passed => "passed",
                CheckStatus::Failed => "failed",
                CheckStatus::NotScored => "not scored",
            };
            let took = number::wall_time(*duration_ms);
            line(format!("{check}: {word} in {took}. {summary}"))
        }
        Event::RunScored { total, max, range } => {
            let [total, max, low, high] = [*total, *max, range[0], range[1]].map(number::points);
            Some(if low == high {
                format!("Score {total} of {max}")
            } else {
                format!("Score {total} of {max}, not all could be scored: between {low} and {high}")
            })
        }
        Event::RunEnded { outcome, reason } => {
            let word = mark::of_outcome(*outcome).word;
            line(if reason.is_empty() {
                format!("Ended: {word}")
            } else {
                format!("Ended: {word}. {reason}")
            })
        }
    }
}

/// `0:05`, `12:40`, `1:02:03`.
fn clock(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}
