//! What ran, and what it left to read.

use assay_core::exercise::Visibility;
use assay_core::report::{CheckReport, Report};

use super::scores::whose;
use crate::anchor::anchor;
use crate::number;
use crate::state::{self, Mark};
use crate::text;

/// A check.
pub(super) struct Check {
    pub(super) anchor: String,
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) mark: Mark,
    pub(super) duration: String,
    pub(super) visibility: &'static str,
    /// Results in a few words.
    pub(super) results: Vec<String>,
    pub(super) faults: Vec<FaultView>,
    pub(super) notes: Vec<String>,
    pub(super) facts: Vec<(String, String)>,
}

/// What stopped a check or a part of it.
pub(super) struct FaultView {
    /// Empty for the whole check.
    pub(super) part: String,
    pub(super) whose: &'static str,
    pub(super) message: String,
}

/// The end of a log.
pub(super) struct Log {
    pub(super) title: String,
    pub(super) text: String,
    pub(super) cut: bool,
}

pub(super) fn checks(report: &Report) -> Vec<Check> {
    report.checks.iter().map(|check| view(report, check)).collect()
}

fn view(report: &Report, check: &CheckReport) -> Check {
    let whole = check.fault.iter().map(|fault| (String::new(), fault));
    let parts = check
        .partial_faults
        .iter()
        .map(|(part, fault)| (text::line(part), fault));
    Check {
        anchor: anchor("check", &check.id),
        id: text::line(&check.id),
        kind: state::kind(check.kind),
        mark: state::of_check(check.status),
        duration: if check.duration_ms == 0 {
            String::new()
        } else {
            number::wall_time(check.duration_ms)
        },
        visibility: match check.visibility {
            Visibility::Visible => "everything",
            Visibility::Summary => "counts and points",
            Visibility::Hidden => "that it exists",
        },
        results: results(report, check),
        faults: whole
            .chain(parts)
            .map(|(part, fault)| FaultView {
                part,
                whose: whose(fault.whose),
                message: text::line(&fault.message),
            })
            .collect(),
        notes: check.notes.iter().map(|note| text::line(note)).collect(),
        facts: check
            .facts
            .iter()
            .map(|(name, value)| (text::line(name), number::plain(*value)))
            .collect(),
    }
}

fn results(report: &Report, check: &CheckReport) -> Vec<String> {
    use assay_core::evidence::TestStatus;
    use assay_core::exercise::CheckKind;
    let mut words = Vec::new();
    let of_check = || report.tests.iter().filter(|test| test.check == check.id);
    let n_tests = of_check().count();
    if n_tests > 0 {
        let n_passed = of_check()
            .filter(|test| test.test.status == TestStatus::Passed)
            .count();
        words.push(format!(
            "{} of {} passed",
            number::thousands(n_passed as u64),
            number::count(n_tests, "test")
        ));
    }
    let n_findings = report
        .findings
        .iter()
        .filter(|finding| finding.check == check.id)
        .count();
    if n_findings > 0 || matches!(check.kind, CheckKind::Style | CheckKind::Security) && check.fault.is_none()
    {
        words.push(number::count(n_findings, "finding"));
    }
    if let (CheckKind::Unit, Some(coverage)) = (check.kind, &report.coverage) {
        let share = number::share(coverage.lines_covered, coverage.lines_total);
        words.push(format!("{} of own lines covered", number::percent(share)));
    }
    if let (CheckKind::Rigour, (n_caught, n_bugs @ 1..)) = (check.kind, report.bug_counts()) {
        words.push(format!(
            "{n_caught} of {} caught",
            number::count(n_bugs, "seeded bug")
        ));
    }
    if let (CheckKind::Load, Some(load)) = (check.kind, &report.load) {
        let n_met = load.thresholds.iter().filter(|threshold| threshold.ok).count();
        words.push(format!(
            "{n_met} of {} met",
            number::count(load.thresholds.len(), "condition")
        ));
        words.extend(
            load.invalid
                .iter()
                .map(|why| format!("not valid: {}", text::line(why))),
        );
    }
    words
}

pub(super) fn logs(report: &Report) -> Vec<Log> {
    let logs = report
        .checks
        .iter()
        .flat_map(|check| check.logs.iter().map(move |log| (check, log)));
    logs.filter(|(_, log)| !log.text.trim().is_empty())
        .map(|(check, log)| Log {
            title: format!("{}, check {}", text::line(&log.source), text::line(&check.id)),
            text: text::log(&log.text),
            cut: log.cut,
        })
        .collect()
}
