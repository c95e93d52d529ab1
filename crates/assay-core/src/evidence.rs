//! What checks leave behind, in the product's own terms: tests, coverage, findings, facts and measurements.
//!
//! Scores are computed from these values and from nothing else, so a stored [`Evidence`] can be scored again at any time.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exercise::{CategoryId, CheckKind, Visibility};
use crate::fault::{Stop, Whose};
use crate::insight::Insight;
use crate::load::LoadSummary;
use crate::report::CheckStatus;
use crate::rigour::{Bug, BugOutcome};

/// All that is known of one submission after its checks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// One entry per check of the plan, in the plan's order.
    pub checks: Vec<CheckEvidence>,
    /// Lines of source code that the candidate wrote (template lines not counted).
    pub own_source_lines: u64,
}

impl Evidence {
    /// The evidence of the check with this id.
    pub fn check(&self, id: &str) -> Option<&CheckEvidence> {
        self.checks.iter().find(|check| check.id == id)
    }

    /// All that stopped a check or a part of one and is not the candidate's fault.
    pub fn faults_of_ours(&self) -> impl Iterator<Item = &Stop> {
        self.checks
            .iter()
            .flat_map(|check| check.stop.iter().chain(check.partial_stops.values()))
            .filter(|stop| stop.whose() != Whose::Candidate)
    }
}

/// What one check found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckEvidence {
    /// The check's id in the exercise.
    pub id: String,
    /// Its kind.
    pub kind: CheckKind,
    /// Who may see its details.
    pub visibility: Visibility,
    /// What stopped the check as a whole, if anything did.
    pub stop: Option<Stop>,
    /// Parts of the check that could not be judged although the rest could, by the id of the tool or part.
    pub partial_stops: BTreeMap<String, Stop>,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// Test cases, in the order of the report they come from.
    pub tests: Vec<TestCase>,
    /// Findings, worst first.
    pub findings: Vec<Finding>,
    /// Coverage of the candidate's own lines, where the check measures it.
    pub coverage: Option<Coverage>,
    /// The load measurement, where the check makes one.
    pub load: Option<LoadSummary>,
    /// Seeded bugs that the candidate's tests had to catch, in the exercise's order.
    #[serde(default)]
    pub bugs: Vec<Bug>,
    /// What the requests cost the database, where the check measures it.
    #[serde(default)]
    pub database: Option<Insight>,
    /// Named numbers, such as `docstrings.documented`. Always finite and not negative.
    pub facts: BTreeMap<String, f64>,
    /// Excerpts of logs, for people.
    pub logs: Vec<LogExcerpt>,
    /// Remarks for the reader, in plain words, without effect on the score.
    pub notes: Vec<String>,
}

impl CheckEvidence {
    /// An empty record of a check.
    pub fn new(id: &str, kind: CheckKind, visibility: Visibility) -> Self {
        Self {
            id: id.to_owned(),
            kind,
            visibility,
            stop: None,
            partial_stops: BTreeMap::new(),
            duration_ms: 0,
            tests: Vec::new(),
            findings: Vec::new(),
            coverage: None,
            load: None,
            bugs: Vec::new(),
            database: None,
            facts: BTreeMap::new(),
            logs: Vec::new(),
            notes: Vec::new(),
        }
    }
}

impl CheckEvidence {
    /// How the check ended.
    pub fn status(&self) -> CheckStatus {
        let speaks_against = self.tests.iter().any(|test| test.status != TestStatus::Passed)
            || self.findings.iter().any(|finding| finding.level == Level::Error)
            || self
                .bugs
                .iter()
                .any(|bug| bug.outcome != BugOutcome::Caught && !self.partial_stops.contains_key(&bug.id))
            || matches!(self.kind, CheckKind::Style | CheckKind::Security)
                && self
                    .partial_stops
                    .values()
                    .any(|stop| stop.whose() == Whose::Candidate)
            || self.load.as_ref().is_some_and(|load| {
                load.thresholds.iter().any(|threshold| !threshold.ok)
                    || load.verification.iter().any(|step| step.failed > 0)
            });
        match self.stop.as_ref().map(Stop::whose) {
            Some(Whose::Candidate) => CheckStatus::Failed,
            Some(Whose::Exercise | Whose::Platform) => CheckStatus::NotScored,
            None if self.load.as_ref().is_some_and(|load| !load.invalid.is_empty()) => CheckStatus::NotScored,
            None if speaks_against => CheckStatus::Failed,
            None => CheckStatus::Passed,
        }
    }

    /// Seeded bugs caught, seeded bugs there are.
    pub fn bug_counts(&self) -> (usize, usize) {
        let is_caught = |bug: &&Bug| bug.outcome == BugOutcome::Caught;
        (self.bugs.iter().filter(is_caught).count(), self.bugs.len())
    }

    /// What came of it, in a few words.
    pub fn summary(&self) -> String {
        if let Some(stop) = &self.stop {
            return stop.sentence();
        }
        let mut parts = Vec::new();
        if !self.tests.is_empty() {
            let n_passed = self
                .tests
                .iter()
                .filter(|test| test.status == TestStatus::Passed)
                .count();
            parts.push(format!("{n_passed} of {} tests passed", self.tests.len()));
        }
        if let Some(coverage) = &self.coverage {
            let (hit, all) = coverage.line_counts();
            parts.push(format!(
                "{:.0} % of own lines covered",
                100.0 * hit as f64 / all.max(1) as f64
            ));
        }
        if let Some(load) = &self.load {
            let p95_ms = load.total.latency.p95_us as f64 / 1000.0;
            parts.push(format!(
                "p95 {p95_ms:.0} ms, {} of {} failed",
                load.total.counts.failed(),
                load.total.counts.scheduled
            ));
        }
        if !self.bugs.is_empty() {
            let (n_caught, n_bugs) = self.bug_counts();
            parts.push(format!("{n_caught} of {n_bugs} seeded bugs caught"));
        }
        if matches!(self.kind, CheckKind::Style | CheckKind::Security) {
            parts.push(match self.findings.len() {
                1 => "1 finding".to_owned(),
                n => format!("{n} findings"),
            });
        }
        if !self.partial_stops.is_empty() {
            let names: Vec<&str> = self.partial_stops.keys().map(String::as_str).collect();
            parts.push(format!("not judged: {}", names.join(", ")));
        }
        parts.join(", ")
    }
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TestStatus {
    /// It passed.
    Passed,
    /// It was skipped; a hidden test that is skipped earns nothing.
    Skipped,
    /// An assertion failed.
    Failed,
    /// The test itself errored (set-up, import, crash).
    Broken,
}

/// One test case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestCase {
    /// Group, usually the class or file: `test_sync`.
    pub group: String,
    /// Name within the group.
    pub name: String,
    /// What it tests, in plain words; the name where the report has no title.
    pub title: String,
    /// How it ended.
    pub status: TestStatus,
    /// Failure text, capped and free of control characters; empty when it passed.
    pub message: String,
    /// Duration in milliseconds as the report says.
    pub duration_ms: u64,
}

/// Weight of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For information.
    Note,
    /// Should be mended.
    Warning,
    /// Must be mended.
    Error,
}

/// A normalised, SARIF-like remark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Id of the check it comes from.
    pub check: String,
    /// The tool, such as `ruff`.
    pub tool: String,
    /// The tool's rule, such as `F401`.
    pub rule: String,
    /// Weight.
    pub level: Level,
    /// The category it counts in.
    pub category: CategoryId,
    /// Path in the candidate's tree, where it has one.
    pub file: Option<String>,
    /// First line, from 1.
    pub line: Option<u32>,
    /// What is wrong, in one or two sentences.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// The lines of code around it, for the report.
    pub excerpt: Option<Excerpt>,
    /// Request and answer that show it, for findings of the running service.
    pub exchange: Option<Exchange>,
}

/// Lines of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Excerpt {
    /// Number of the first line.
    pub first_line: u32,
    /// The lines, capped in number and length.
    pub lines: Vec<String>,
}

/// What was sent to the running service and what came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exchange {
    /// The operation, such as `GET /tasks/{id}`.
    pub operation: String,
    /// The request, capped, without secrets.
    pub request: String,
    /// The answer, capped, without secrets.
    pub answer: String,
    /// OWASP API Security category, such as `API1:2023 Broken Object Level Authorization`.
    pub owasp: String,
}

/// Coverage of the lines that count.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// Per file, by path in the candidate's tree.
    pub files: BTreeMap<String, FileCoverage>,
}

/// Coverage of one file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FileCoverage {
    /// Hits by line number, for the lines that can be executed.
    pub lines: BTreeMap<u32, u64>,
    /// Branches taken and branches there are, by line number.
    pub branches: BTreeMap<u32, (u32, u32)>,
}

impl FileCoverage {
    /// Lines hit, lines there are.
    pub fn line_counts(&self) -> (u64, u64) {
        (
            self.lines.values().filter(|hits| **hits > 0).count() as u64,
            self.lines.len() as u64,
        )
    }

    /// Branches taken, branches there are.
    pub fn branch_counts(&self) -> (u64, u64) {
        self.branches.values().fold((0, 0), |(taken, all), (t, n)| {
            (taken + u64::from(*t.min(n)), all + u64::from(*n))
        })
    }
}

impl Coverage {
    /// Lines hit and lines there are, over all files.
    pub fn line_counts(&self) -> (u64, u64) {
        self.files
            .values()
            .map(FileCoverage::line_counts)
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    }

    /// Branches taken and branches there are, over all files.
    pub fn branch_counts(&self) -> (u64, u64) {
        self.files
            .values()
            .map(FileCoverage::branch_counts)
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    }
}

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogExcerpt {
    /// Whose log: `service`, `build`, `postgres`.
    pub source: String,
    /// The text, capped, control characters made visible.
    pub text: String,
    /// Whether something before it was cut.
    pub cut: bool,
}
