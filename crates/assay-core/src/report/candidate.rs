//! What a candidate may see of a report and of a run's events: what each check's [`Visibility`] lets through, and no more.
//!
//! Everything is built up from what may be seen; nothing is cut out of the whole. Points are shown only when no check is
//! hidden: a category may count in proportion to another one, so any number could speak of a hidden check.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{CheckReport, CheckStatus, CoverageReport, Report};
use crate::event::Event;
use crate::evidence::{Finding, Level, LogExcerpt, TestCase, TestStatus};
use crate::exercise::{CategoryId, Check, CheckKind, Visibility};
use crate::fault::{Fault, Whose};
use crate::load::LoadSummary;
use crate::rigour::Bug;
use crate::scoring::{CategoryScore, Line, Score};

/// A report through the candidate's eyes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CandidateView {
    /// The points. None: a check is hidden, so there are none to show.
    pub points: Option<SeenPoints>,
    /// The checks, in the exercise's order.
    pub checks: Vec<SeenCheck>,
}

/// Points, where no check is hidden.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenPoints {
    /// The sum.
    pub score: Score,
    /// By category.
    pub categories: Vec<SeenCategory>,
}

/// Points of a category.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenCategory {
    /// Which one.
    pub id: CategoryId,
    /// Title for people.
    pub title: String,
    /// Points reached.
    pub score: f64,
    /// Points there are.
    pub max: f64,
    /// Whether all of its lines were scored.
    pub scored: bool,
    /// Where they come from.
    pub lines: Vec<SeenLine>,
}

/// One source of points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenLine {
    /// Title for people.
    pub title: String,
    /// Points reached; none when the line could not be scored.
    pub points: Option<f64>,
    /// Points there are.
    pub max: f64,
    /// Why, in plain words. None: it would tell of a check that is not wholly visible.
    pub reason: Option<String>,
}

/// A check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenCheck {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: CheckKind,
    /// How it ended, in numbers. None: it is hidden.
    pub counts: Option<SeenCounts>,
    /// All of it. None: it is not wholly visible.
    pub details: Option<SeenDetails>,
}

/// A check in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenCounts {
    /// How it ended.
    pub status: CheckStatus,
    /// Whose fault stopped it as a whole, if one did.
    pub stopped_by: Option<Whose>,
    /// Tests there are.
    pub n_tests: usize,
    /// Tests that passed.
    pub n_passed: usize,
    /// Findings that must be mended.
    pub n_errors: usize,
    /// Findings that should be mended.
    pub n_warnings: usize,
    /// Findings for information.
    pub n_notes: usize,
    /// Seeded bugs there are.
    pub n_bugs: usize,
    /// Seeded bugs that were caught.
    pub n_caught: usize,
}

/// All that a check left.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenDetails {
    /// What stopped it as a whole.
    pub fault: Option<Fault>,
    /// What stopped parts of it, by tool or part.
    pub partial_faults: BTreeMap<String, Fault>,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// Its tests.
    pub tests: Vec<TestCase>,
    /// Its findings, worst first.
    pub findings: Vec<Finding>,
    /// Coverage, where it is the one that measures it.
    pub coverage: Option<CoverageReport>,
    /// The load measurement, where it is the one that makes it.
    pub load: Option<LoadSummary>,
    /// The seeded bugs, where it is the one that has them.
    pub bugs: Vec<Bug>,
    /// Remarks in plain words.
    pub notes: Vec<String>,
    /// Ends of logs.
    pub logs: Vec<LogExcerpt>,
}

/// What the candidate may see of a report.
pub fn view(report: &Report) -> CandidateView {
    let any_hidden = report
        .checks
        .iter()
        .any(|check| check.visibility == Visibility::Hidden);
    let points = (!any_hidden).then(|| SeenPoints {
        score: report.score.clone(),
        categories: report
            .categories
            .iter()
            .map(|category| seen_category(category, report))
            .collect(),
    });
    CandidateView {
        points,
        checks: report
            .checks
            .iter()
            .map(|check| seen_check(check, report))
            .collect(),
    }
}

fn seen_category(category: &CategoryScore, report: &Report) -> SeenCategory {
    SeenCategory {
        id: category.id,
        title: category.title.clone(),
        score: category.score,
        max: category.max,
        scored: category.scored,
        lines: category
            .lines
            .iter()
            .map(|line| SeenLine {
                title: line.title.clone(),
                points: line.points,
                max: line.max,
                reason: has_visible_evidence(line, report).then(|| line.reason.clone()),
            })
            .collect(),
    }
}

/// Whether all checks behind a line are wholly visible. One that the report does not know is not.
fn has_visible_evidence(line: &Line, report: &Report) -> bool {
    line.evidence.iter().all(|id| {
        report
            .checks
            .iter()
            .any(|check| check.id == *id && check.visibility == Visibility::Visible)
    })
}

fn seen_check(check: &CheckReport, report: &Report) -> SeenCheck {
    SeenCheck {
        id: check.id.clone(),
        kind: check.kind,
        counts: match check.visibility {
            Visibility::Visible | Visibility::Summary => Some(seen_counts(check, report)),
            Visibility::Hidden => None,
        },
        details: match check.visibility {
            Visibility::Visible => Some(seen_details(check, report)),
            // How their own tests did on a correct service tells nothing of the bugs.
            Visibility::Summary if check.kind == CheckKind::Rigour => Some(own_tests(check, report)),
            Visibility::Summary | Visibility::Hidden => None,
        },
    }
}

fn own_tests(check: &CheckReport, report: &Report) -> SeenDetails {
    SeenDetails {
        fault: None,
        partial_faults: BTreeMap::new(),
        findings: Vec::new(),
        coverage: None,
        load: None,
        bugs: Vec::new(),
        notes: Vec::new(),
        logs: Vec::new(),
        ..seen_details(check, report)
    }
}

fn seen_counts(check: &CheckReport, report: &Report) -> SeenCounts {
    let tests = || report.tests.iter().filter(|test| test.check == check.id);
    let n_findings = |level: Level| {
        report
            .findings
            .iter()
            .filter(|finding| finding.check == check.id && finding.level == level)
            .count()
    };
    // A report has one list of bugs; they are of its check of this kind.
    let (n_caught, n_bugs) = match check.kind {
        CheckKind::Rigour => report.bug_counts(),
        _ => (0, 0),
    };
    SeenCounts {
        status: check.status,
        stopped_by: check.fault.as_ref().map(|fault| fault.whose),
        n_tests: tests().count(),
        n_passed: tests()
            .filter(|test| test.test.status == TestStatus::Passed)
            .count(),
        n_errors: n_findings(Level::Error),
        n_warnings: n_findings(Level::Warning),
        n_notes: n_findings(Level::Note),
        n_bugs,
        n_caught,
    }
}

fn seen_details(check: &CheckReport, report: &Report) -> SeenDetails {
    // The report has one coverage and one load measurement and does not say whose: they are shown when they can only be
    // this check's.
    let is_only_one = report
        .checks
        .iter()
        .filter(|other| other.kind == check.kind)
        .count()
        == 1;
    SeenDetails {
        fault: check.fault.clone(),
        partial_faults: check.partial_faults.clone(),
        duration_ms: check.duration_ms,
        tests: report
            .tests
            .iter()
            .filter(|test| test.check == check.id)
            .map(|test| test.test.clone())
            .collect(),
        findings: report
            .findings
            .iter()
            .filter(|finding| finding.check == check.id)
            .cloned()
            .collect(),
        coverage: report
            .coverage
            .clone()
            .filter(|_| is_only_one && check.kind == CheckKind::Unit),
        load: report
            .load
            .clone()
            .filter(|_| is_only_one && check.kind == CheckKind::Load),
        bugs: match check.kind {
            CheckKind::Rigour => report.bugs.clone(),
            _ => Vec::new(),
        },
        notes: check.notes.clone(),
        logs: check.logs.clone(),
    }
}

/// Whether the candidate may see the points of an exercise with these checks: where none of them is hidden.
pub fn are_points_seen(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.seen() != Visibility::Hidden)
}

/// What the candidate may see of an event of a run on an exercise with these checks. None: nothing.
pub fn event(event: &Event, checks: &[Check]) -> Option<Event> {
    let visibility = |id: &str| {
        let check = checks.iter().find(|check| check.id == id);
        check.map_or(Visibility::Hidden, Check::seen)
    };
    let is_known = |id: &str| checks.iter().any(|check| check.id == id);
    match event {
        Event::RunQueued | Event::SourceRead { .. } | Event::RunFinished { .. } => Some(event.clone()),
        Event::RunTaken { execution, .. } => Some(Event::RunTaken {
            worker: String::new(),
            execution: *execution,
        }),
        Event::RunGivenBack { .. } => Some(Event::RunGivenBack {
            reason: String::new(),
        }),
        Event::RunStarted { run, exercise, .. } => Some(Event::RunStarted {
            run: run.clone(),
            exercise: exercise.clone(),
            repository: String::new(),
        }),
        Event::CheckStarted { check } => is_known(check).then(|| event.clone()),
        Event::CheckProgressed { check, .. } => {
            (visibility(check) == Visibility::Visible).then(|| event.clone())
        }
        Event::CheckFinished {
            check,
            status,
            fault,
            duration_ms,
            summary,
        } => match visibility(check) {
            Visibility::Visible => Some(event.clone()),
            Visibility::Summary => Some(Event::CheckFinished {
                check: check.clone(),
                status: *status,
                fault: None,
                duration_ms: *duration_ms,
                // Without a fault it holds numbers only, with one it is the fault's sentence.
                summary: match fault.as_ref().map(|fault| fault.whose) {
                    None => summary.clone(),
                    Some(Whose::Candidate) => "stopped by what the submission did".into(),
                    Some(Whose::Exercise | Whose::Platform) => {
                        "could not be judged, through no fault of the submission".into()
                    }
                },
            }),
            Visibility::Hidden => None,
        },
        Event::RunScored { .. } => are_points_seen(checks).then(|| event.clone()),
        Event::RunEnded { outcome, .. } => Some(Event::RunEnded {
            outcome: *outcome,
            reason: String::new(),
        }),
    }
}

#[cfg(test)]
mod tests;
