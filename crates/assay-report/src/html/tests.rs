//! Hidden tests and own tests: what did not pass in full, what passed folded.

use std::collections::BTreeMap;

use assay_core::evidence::{TestCase, TestStatus};
use assay_core::exercise::CheckKind;
use assay_core::report::{CheckReport, Report};

use crate::anchor::anchor;
use crate::chart::Bar;
use crate::number;
use crate::state::{self, Mark};
use crate::text;

/// Most tests of one check that the page lists; the rest is in report.json.
const MAX_LISTED: usize = 2_000;
/// Failures whose message is shown unfolded.
const MAX_UNFOLDED: usize = 5;

/// The tests of a check.
pub(super) struct Suite {
    pub(super) anchor: String,
    pub(super) title: String,
    pub(super) self_reported: bool,
    pub(super) bar: Bar,
    pub(super) counts: Vec<(Mark, String)>,
    /// Groups with tests that did not pass.
    pub(super) failing: Vec<Group>,
    /// All groups with tests that passed.
    pub(super) passing: Vec<Group>,
    pub(super) n_passed: String,
    pub(super) n_left_out: usize,
}

/// Tests of a file or a class.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) count: String,
    pub(super) tests: Vec<Test>,
}

/// A test.
pub(super) struct Test {
    pub(super) mark: Mark,
    pub(super) title: String,
    /// Empty when it is the title.
    pub(super) name: String,
    pub(super) message: String,
    /// The message's first line.
    pub(super) gist: String,
    pub(super) duration: String,
    pub(super) unfolded: bool,
}

pub(super) fn suites(report: &Report) -> Vec<Suite> {
    let mut suites = Vec::new();
    for check in &report.checks {
        let tests: Vec<&TestCase> = report
            .tests
            .iter()
            .filter(|test| test.check == check.id)
            .map(|test| &test.test)
            .collect();
        let self_reported = report
            .tests
            .iter()
            .any(|test| test.check == check.id && test.self_reported);
        if !tests.is_empty() {
            suites.push(suite(check, self_reported, &tests));
        }
    }
    // Hidden tests are the stronger evidence.
    suites.sort_by_key(|suite| suite.self_reported);
    suites
}

fn suite(check: &CheckReport, self_reported: bool, tests: &[&TestCase]) -> Suite {
    let all = [
        TestStatus::Passed,
        TestStatus::Failed,
        TestStatus::Broken,
        TestStatus::Skipped,
    ];
    let count = |status: TestStatus| tests.iter().filter(|test| test.status == status).count();
    let parts = all.map(|status| (state::of_test(status).color, count(status) as f64));
    let counts = all.into_iter().filter(|status| count(*status) > 0);
    let listed = &tests[..tests.len().min(MAX_LISTED)];
    let (passed, bad): (Vec<&TestCase>, Vec<&TestCase>) =
        listed.iter().partition(|test| test.status == TestStatus::Passed);
    let mut n_unfolded = 0;
    let kind = match (check.kind, self_reported) {
        (CheckKind::Command, _) => "Command",
        (_, true) => "Own tests",
        (_, false) => "Hidden tests",
    };
    let n_passed = number::thousands(count(TestStatus::Passed) as u64);
    Suite {
        anchor: anchor("tests", &check.id),
        title: format!("{kind} ({})", text::line(&check.id)),
        self_reported,
        bar: Bar::new(
            format!("{n_passed} of {} passed", number::count(tests.len(), "test")),
            tests.len() as f64,
            &parts,
        ),
        counts: counts
            .map(|status| (state::of_test(status), number::thousands(count(status) as u64)))
            .collect(),
        failing: groups(&bad, &mut n_unfolded, "not passed"),
        passing: groups(&passed, &mut n_unfolded, "passed"),
        n_passed,
        n_left_out: tests.len() - listed.len(),
    }
}

/// Tests by group, within a group the worst first.
fn groups(tests: &[&TestCase], n_unfolded: &mut usize, word: &str) -> Vec<Group> {
    let mut groups: BTreeMap<&str, Vec<&TestCase>> = BTreeMap::new();
    for test in tests {
        groups.entry(&test.group).or_default().push(test);
    }
    let view = |(name, mut tests): (&str, Vec<&TestCase>)| {
        tests.sort_by_key(|test| std::cmp::Reverse(test.status));
        Group {
            name: text::line(name),
            count: format!("{} {word}", tests.len()),
            tests: tests.iter().map(|test| test_view(test, n_unfolded)).collect(),
        }
    };
    groups.into_iter().map(view).collect()
}

fn test_view(test: &TestCase, n_unfolded: &mut usize) -> Test {
    let message = text::block(&test.message);
    let has_failed = matches!(test.status, TestStatus::Failed | TestStatus::Broken) && !message.is_empty();
    *n_unfolded += usize::from(has_failed);
    Test {
        mark: state::of_test(test.status),
        title: text::line(&test.title),
        name: if test.name == test.title {
            String::new()
        } else {
            text::line(&test.name)
        },
        gist: message
            .lines()
            .find(|line| !line.trim().is_empty())
            .map(text::line)
            .unwrap_or_default(),
        message,
        duration: number::wall_time(test.duration_ms),
        unfolded: has_failed && *n_unfolded <= MAX_UNFOLDED,
    }
}
