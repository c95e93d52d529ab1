//! Seeded bugs, those that were missed first.

use assay_core::report::Report;
use assay_core::rigour::{Bug, BugOutcome};

use crate::chart::Bar;
use crate::number;
use crate::state::{self, Mark};
use crate::text;

/// What the candidate's black-box tests made of the seeded bugs.
pub(super) struct Bugs {
    /// `9 of 12 seeded bugs caught`.
    pub(super) summary: String,
    pub(super) bar: Bar,
    pub(super) rows: Vec<Row>,
}

/// A bug.
pub(super) struct Row {
    pub(super) mark: Mark,
    pub(super) id: String,
    pub(super) description: String,
    /// Tests that caught it.
    pub(super) by: Vec<String>,
    pub(super) note: String,
}

pub(super) fn bugs(report: &Report) -> Option<Bugs> {
    if report.bugs.is_empty() {
        return None;
    }
    let (n_caught, n_bugs) = report.bug_counts();
    let mut bugs: Vec<&Bug> = report.bugs.iter().collect();
    bugs.sort_by_key(|bug| match bug.outcome {
        BugOutcome::Missed => 0,
        BugOutcome::NotRun => 1,
        BugOutcome::Caught => 2,
    });
    let summary = format!("{n_caught} of {} caught", number::count(n_bugs, "seeded bug"));
    let share = number::share(n_caught as u64, n_bugs as u64);
    Some(Bugs {
        bar: Bar::new(summary.clone(), 1.0, &[("pass", share)]),
        summary,
        rows: bugs.into_iter().map(row).collect(),
    })
}

fn row(bug: &Bug) -> Row {
    Row {
        mark: state::of_bug(bug.outcome),
        id: text::line(&bug.id),
        description: text::line(&bug.description),
        by: bug.caught_by.iter().map(|name| text::line(name)).collect(),
        note: text::line(&bug.note),
    }
}
