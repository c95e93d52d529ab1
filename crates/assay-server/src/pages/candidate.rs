//! The candidate's own pages: what is asked of them, what the next push would cost, and of each run what the exercise lets
//! them see.

use askama::Template;
use assay_core::assignment::{KeptOnly, Pushed, Refused, Weight, weigh};
use assay_core::evidence::{Finding, TestCase, TestStatus};
use assay_core::exercise::{Exercise, SubmitOn};
use assay_core::queue::RunState;
use assay_core::report::candidate::{self, CandidateView, SeenCheck, SeenCounts, SeenDetails, SeenPoints};
use assay_core::report::{CheckStatus, Report};
use assay_report::state::{self, Mark};
use assay_report::{Gauge, number, text};
use assay_store::model::{AssignmentRow, Origin, Run};

use super::assets::Assets;
use super::assignment::clone_url;
use super::frame::Frame;
use super::history::{self, RunRow};
use super::mark;
use super::names;
use super::progress::Progress;
use super::when::When;

/// Most tests and findings of a check that are listed.
const MOST: usize = 200;

/// What the next push means, before it is made.
struct Next {
    mark: Mark,
    sentence: String,
}

fn next(row: &AssignmentRow, now_ms: i64) -> Next {
    let terms = row.assignment.terms();
    let (pushed, what) = match terms.submit_on {
        SubmitOn::Push => (Pushed::Branch, "push to main"),
        SubmitOn::Tag => (Pushed::Tag, "pushed tag"),
    };
    let (mark, sentence) = match weigh(&terms, pushed, row.n_attempts_used, now_ms) {
        Weight::Submission {
            attempt,
            of: Some(of),
        } => (
            Mark::new("Open", "pass", "pass"),
            format!("Your next {what} is checked and uses attempt {attempt} of {of}."),
        ),
        Weight::Submission { of: None, .. } => (
            Mark::new("Open", "pass", "pass"),
            format!("Every {what} is checked. There is no limit."),
        ),
        Weight::KeptOnly(KeptOnly::NoAttemptsLeft { of }) => (
            Mark::new("No attempts left", "warn", "warn"),
            format!("All {of} attempts are used. What you push is kept and not checked."),
        ),
        Weight::KeptOnly(KeptOnly::NotATag | KeptOnly::NotTheBranch) => (
            Mark::new("Kept only", "note", "info"),
            "What you push is kept and not checked.".into(),
        ),
        Weight::Refused(Refused::Late { .. }) => (
            Mark::new("Over", "skip", "muted"),
            "The due date has passed. You can still read and clone; nothing can be pushed.".into(),
        ),
        Weight::Refused(Refused::NotOpen(_)) => (
            Mark::new("Closed", "skip", "muted"),
            "The assignment is closed. Nothing can be pushed.".into(),
        ),
    };
    Next { mark, sentence }
}

/// The candidate's page.
#[derive(Template)]
#[template(path = "my.html", whitespace = "minimize")]
pub(super) struct MyPage {
    frame: Frame,
    title: String,
    summary: String,
    track: String,
    next: Next,
    due: Option<When>,
    attempts: String,
    submits_tags: bool,
    clone_url: Option<String>,
    runs: Vec<RunRow>,
    is_live: bool,
    here: String,
}

impl MyPage {
    /// `runs` have only the scores that are theirs to see; `exercise` is as it is now.
    pub(super) fn new(
        frame: Frame,
        row: &AssignmentRow,
        runs: &[Run],
        exercise: Option<&Exercise>,
        public_url: &str,
        now_ms: i64,
    ) -> Self {
        let assignment = &row.assignment;
        let terms = assignment.terms();
        let here = format!("/my/{}", assignment.id);
        Self {
            frame,
            title: text::line(exercise.map_or(&assignment.exercise, |spec| &spec.title)),
            summary: text::line(exercise.map_or("", |spec| &spec.summary)),
            track: text::line(&assignment.track),
            next: next(row, now_ms),
            due: terms.due_at_ms.map(|due| When::new(due, now_ms)),
            attempts: names::attempts(row.n_attempts_used, terms.attempts),
            submits_tags: terms.submit_on == SubmitOn::Tag,
            clone_url: (assignment.origin == Origin::Hosted)
                .then(|| clone_url(public_url, assignment.id.as_str())),
            runs: history::rows(runs, now_ms, |run| format!("{here}/runs/{}", run.number)),
            is_live: runs.iter().any(|run| run.state != RunState::Finished),
            here,
        }
    }
}

/// A category of the candidate's view.
struct Category {
    title: String,
    gauge: Gauge,
    band: Mark,
    lines: Vec<Line>,
}

struct Line {
    title: String,
    points: String,
    max: String,
    reason: String,
}

/// A check of the candidate's view.
struct CheckView {
    name: &'static str,
    mark: Option<Mark>,
    counts: String,
    details: Option<Details>,
}

struct Details {
    fault: Option<String>,
    took: String,
    facts: Vec<String>,
    tests: Vec<Test>,
    findings: Vec<FindingView>,
    n_more: usize,
    notes: Vec<String>,
    logs: Vec<(String, String)>,
}

struct Test {
    mark: Mark,
    title: String,
    message: String,
}

struct FindingView {
    mark: Mark,
    message: String,
    place: String,
    rule: String,
    help: String,
}

/// What changes while a run goes on.
#[derive(Template)]
#[template(path = "my_run_live.html", whitespace = "minimize")]
pub(super) struct MyLive {
    state: Mark,
    progress: Progress,
    is_over: bool,
    points: Option<Overall>,
    categories: Vec<Category>,
    checks: Vec<CheckView>,
}

struct Overall {
    gauge: Gauge,
    band: Mark,
    gate: Option<Mark>,
    range: Option<String>,
}

impl askama::filters::HtmlSafe for MyLive {}

impl MyLive {
    pub(super) fn new(run: &Run, progress: Progress, report: Option<&Report>) -> Self {
        let view = report.map(candidate::view);
        let points = view.as_ref().and_then(|view| view.points.as_ref());
        Self {
            state: mark::of_run(run),
            progress,
            is_over: run.state == RunState::Finished,
            points: points.map(overall),
            categories: points.map_or(Vec::new(), categories),
            checks: view.as_ref().map_or(Vec::new(), checks),
        }
    }
}

fn overall(points: &SeenPoints) -> Overall {
    let score = &points.score;
    let is_open = score.range[1] > score.range[0];
    let [low, high] = score.range.map(|points| ratio(points, score.max));
    let band = state::of_share(low, high);
    let [total, max] = [score.total, score.max].map(number::points);
    let label = format!("Overall: {total} of {max}, {}", band.word.to_lowercase());
    let [from, to] = score.range.map(number::points);
    Overall {
        gauge: Gauge::new(label, total, max, low, high, band),
        band,
        gate: match score.gate {
            None if !is_open => None,
            gate => Some(state::of_gate(gate, is_open)),
        },
        range: is_open.then(|| format!("{from} and {to}")),
    }
}

fn ratio(points: f64, max: f64) -> f64 {
    let share = points / max;
    if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    }
}

fn categories(points: &SeenPoints) -> Vec<Category> {
    points
        .categories
        .iter()
        .map(|category| {
            let reached = ratio(category.score, category.max);
            let highest = if category.scored { reached } else { 1.0 };
            let band = state::of_share(reached, highest);
            let title = text::line(&category.title);
            let [score, max] = [category.score, category.max].map(number::points);
            let label = format!("{title}: {score} of {max}, {}", band.word.to_lowercase());
            Category {
                gauge: Gauge::new(label, score, max, reached, highest, band),
                title,
                band,
                lines: category
                    .lines
                    .iter()
                    .map(|line| Line {
                        title: text::line(&line.title),
                        points: line.points.map_or("not scored".into(), number::points),
                        max: number::points(line.max),
                        reason: line
                            .reason
                            .as_deref()
                            .map_or("Details are for the interviewers.".into(), text::line),
                    })
                    .collect(),
            }
        })
        .collect()
}

fn checks(view: &CandidateView) -> Vec<CheckView> {
    view.checks.iter().map(check).collect()
}

fn check(check: &SeenCheck) -> CheckView {
    CheckView {
        name: state::kind(check.kind),
        mark: check.counts.as_ref().map(|counts| state::of_check(counts.status)),
        counts: check.counts.as_ref().map_or(
            "This check ran. Its result is for the interviewers.".into(),
            counts,
        ),
        details: check.details.as_ref().map(details),
    }
}

fn counts(counts: &SeenCounts) -> String {
    let mut words = Vec::new();
    if let Some(whose) = counts.stopped_by {
        words.push(match whose {
            assay_core::fault::Whose::Candidate => "stopped by what the submission did".to_owned(),
            _ => "could not be judged, through no fault of yours".to_owned(),
        });
    }
    if counts.n_tests > 0 {
        let failing = counts.n_tests - counts.n_passed;
        words.push(match failing {
            0 => format!("all {} passed", number::count(counts.n_tests, "test")),
            failing => format!("{}, {failing} failing", number::count(counts.n_tests, "test")),
        });
    }
    if counts.n_bugs > 0 {
        words.push(format!(
            "{} of {} caught",
            counts.n_caught,
            number::count(counts.n_bugs, "seeded bug")
        ));
    }
    for (n, word) in [
        (counts.n_errors, "error"),
        (counts.n_warnings, "warning"),
        (counts.n_notes, "note"),
    ] {
        if n > 0 {
            words.push(number::count(n, word));
        }
    }
    match (words.is_empty(), counts.status) {
        (false, _) => words.join(", "),
        (true, CheckStatus::Failed) => "its limits were not kept".into(),
        (true, CheckStatus::Passed | CheckStatus::NotScored) => "nothing to remark".into(),
    }
}

fn details(details: &SeenDetails) -> Details {
    let faults = details
        .partial_faults
        .iter()
        .map(|(part, fault)| format!("{part}: {}", fault.message));
    let mut facts: Vec<String> = Vec::new();
    if let Some(coverage) = &details.coverage {
        facts.push(format!(
            "{} of your own lines are covered ({} of {}).",
            number::percent(number::share(coverage.lines_covered, coverage.lines_total)),
            number::thousands(coverage.lines_covered),
            number::thousands(coverage.lines_total)
        ));
    }
    if let Some(load) = &details.load {
        let latency = &load.total.latency;
        let [p50, p95, p99] = [latency.p50_us, latency.p95_us, latency.p99_us].map(number::latency);
        facts.push(format!(
            "Half of the requests within {p50}, 95 % within {p95}, 99 % within {p99}; {} of {} failed. It may vary from run to run.",
            number::thousands(load.total.counts.failed()),
            number::thousands(load.total.counts.scheduled)
        ));
    }
    facts.extend(details.bugs.iter().map(|bug| {
        let outcome = state::of_bug(bug.outcome).word;
        format!("{outcome}: {}", text::line(&bug.description))
    }));
    let not_passed = details
        .tests
        .iter()
        .filter(|test| test.status != TestStatus::Passed);
    let passed = details
        .tests
        .iter()
        .filter(|test| test.status == TestStatus::Passed);
    let n_all = details.tests.len().max(details.findings.len());
    Details {
        fault: details.fault.as_ref().map(|fault| text::line(&fault.message)),
        took: number::wall_time(details.duration_ms),
        facts,
        tests: not_passed.chain(passed).take(MOST).map(test).collect(),
        findings: details.findings.iter().take(MOST).map(finding).collect(),
        n_more: n_all.saturating_sub(MOST),
        notes: faults
            .chain(details.notes.iter().cloned())
            .map(|note| text::line(&note))
            .collect(),
        logs: details
            .logs
            .iter()
            .map(|log| (text::line(&log.source), text::log(&log.text)))
            .collect(),
    }
}

fn test(test: &TestCase) -> Test {
    Test {
        mark: state::of_test(test.status),
        title: text::line(&test.title),
        message: text::block(&test.message),
    }
}

fn finding(finding: &Finding) -> FindingView {
    let place = match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.clone(),
        _ => String::new(),
    };
    FindingView {
        mark: state::of_level(finding.level),
        message: text::block(&finding.message),
        place: text::line(&place),
        rule: text::line(&format!("{} {}", finding.tool, finding.rule)),
        help: text::block(finding.help.as_deref().unwrap_or_default()),
    }
}

/// One run on the candidate's page.
#[derive(Template)]
#[template(path = "my_run.html", whitespace = "minimize")]
pub(super) struct MyRunPage {
    frame: Frame,
    title: String,
    home: String,
    number: u32,
    commit: String,
    reference: String,
    received: When,
    cost: &'static str,
    live: MyLive,
}

impl MyRunPage {
    pub(super) fn new(
        frame: Frame,
        title: &str,
        row: &AssignmentRow,
        run: &Run,
        live: MyLive,
        now_ms: i64,
    ) -> Self {
        Self {
            frame,
            title: text::line(title),
            home: format!("/my/{}", row.assignment.id),
            number: run.number,
            commit: names::commit(&run.commit),
            reference: names::reference(&run.reference),
            received: When::new(run.received_at_ms, now_ms),
            cost: history::cost(run),
            live,
        }
    }
}
