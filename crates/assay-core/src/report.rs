//! `report.json`: a scorecard with its evidence, for people and programs. Public and versioned.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{CheckEvidence, Evidence, FileCoverage, Finding, LogExcerpt, TestCase};
use crate::exercise::{CheckKind, Visibility};
use crate::fault::Fault;
use crate::insight::Insight;
use crate::load::LoadSummary;
use crate::rigour::{Bug, BugOutcome};
use crate::scoring::{CategoryScore, Score, Scorecard};

pub mod candidate;

/// Version of the format. A reader of version n reads every report of version n.
pub const SCHEMA_VERSION: u32 = 1;

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Version of this format: 1.
    pub schema_version: u32,
    /// The exercise.
    pub exercise: ExerciseRef,
    /// What was assessed.
    pub submission: Submission,
    /// When and where.
    pub run: RunInfo,
    /// The sum.
    pub score: Score,
    /// Points by category, each point with its line.
    pub categories: Vec<CategoryScore>,
    /// What ran.
    pub checks: Vec<CheckReport>,
    /// All tests, hidden and own.
    pub tests: Vec<TestReport>,
    /// Coverage of own lines, where it was measured.
    pub coverage: Option<CoverageReport>,
    /// The load measurement, where one was made.
    pub load: Option<LoadSummary>,
    /// Seeded bugs that the candidate's black-box tests had to catch, where the exercise has some.
    #[serde(default)]
    pub bugs: Vec<Bug>,
    /// What the requests cost the database, where that was measured.
    #[serde(default)]
    pub database: Option<Insight>,
    /// All findings, worst first.
    pub findings: Vec<Finding>,
    /// What the result rests on: digests by name of images, evidence and program.
    pub digests: BTreeMap<String, String>,
}

/// Which exercise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExerciseRef {
    /// Its slug.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// SHA-256 over its content: its version.
    pub digest: String,
}

/// What was assessed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Submission {
    /// Where it came from, without credentials.
    pub repository: String,
    /// The branch, tag or commit that was asked for.
    pub reference: String,
    /// The commit.
    pub commit: String,
    /// Its tree: two commits with the same one have the same files. Empty in reports from before it was kept.
    #[serde(default)]
    pub tree: String,
    /// The track.
    pub track: String,
    /// First line of the commit's message.
    pub subject: String,
    /// Author's name as the commit says.
    pub author: String,
    /// Author's time as the commit says, seconds since 1970.
    pub authored_at_s: i64,
    /// Number of commits up to it.
    pub n_commits: u64,
    /// Lines of source code that the candidate wrote.
    pub own_source_lines: u64,
}

/// When and where it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunInfo {
    /// Id of the run.
    pub id: String,
    /// Start, milliseconds since 1970.
    pub started_at_ms: u64,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// Seed of all randomness in checks.
    pub seed: u64,
    /// Facts of the host, for people: engine, kernel, cores, limits.
    pub environment: BTreeMap<String, String>,
}

/// State of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// It ran, and nothing speaks against the submission.
    Passed,
    /// It ran, and something speaks against the submission.
    Failed,
    /// It could not be judged, through no fault of the candidate.
    NotScored,
}

/// A check in the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckReport {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: CheckKind,
    /// Who besides the interviewers may see it.
    pub visibility: Visibility,
    /// How it ended.
    pub status: CheckStatus,
    /// What stopped it as a whole.
    pub fault: Option<Fault>,
    /// What stopped parts of it, by tool or part.
    pub partial_faults: BTreeMap<String, Fault>,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// Named numbers.
    pub facts: BTreeMap<String, f64>,
    /// Remarks in plain words.
    pub notes: Vec<String>,
    /// Ends of logs.
    pub logs: Vec<LogExcerpt>,
}

/// A test in the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestReport {
    /// Id of its check.
    pub check: String,
    /// Whether it is the candidate's own.
    pub self_reported: bool,
    /// The test.
    pub test: TestCase,
}

/// Coverage in the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CoverageReport {
    /// Own lines covered.
    pub lines_covered: u64,
    /// Own lines that can be covered.
    pub lines_total: u64,
    /// Branches taken.
    pub branches_covered: u64,
    /// Branches there are.
    pub branches_total: u64,
    /// Per file.
    pub files: Vec<FileCoverageReport>,
}

/// Coverage of a file in the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileCoverageReport {
    /// Path in the tree.
    pub path: String,
    /// Own lines covered.
    pub lines_covered: u64,
    /// Own lines that can be covered.
    pub lines_total: u64,
    /// Branches taken.
    pub branches_covered: u64,
    /// Branches there are.
    pub branches_total: u64,
    /// Lines not covered, as ranges: `3-5, 9`.
    pub uncovered: String,
}

impl Report {
    /// Puts a scorecard and its evidence together.
    pub fn new(
        exercise: ExerciseRef,
        submission: Submission,
        run: RunInfo,
        scorecard: Scorecard,
        evidence: &Evidence,
        digests: BTreeMap<String, String>,
    ) -> Self {
        let tests = evidence.checks.iter().flat_map(|check| {
            check.tests.iter().map(|test| TestReport {
                check: check.id.clone(),
                self_reported: check.kind.is_self_reported(),
                test: test.clone(),
            })
        });
        let mut findings: Vec<Finding> = evidence
            .checks
            .iter()
            .flat_map(|check| check.findings.iter().cloned())
            .collect();
        findings.sort_by(|a, b| {
            let key = |finding: &Finding| (std::cmp::Reverse(finding.level), finding.category);
            (key(a), &a.file, a.line, &a.rule).cmp(&(key(b), &b.file, b.line, &b.rule))
        });
        Self {
            schema_version: SCHEMA_VERSION,
            exercise,
            submission,
            run,
            score: scorecard.score,
            categories: scorecard.categories,
            checks: evidence.checks.iter().map(check_report).collect(),
            tests: tests.collect(),
            coverage: evidence
                .checks
                .iter()
                .find_map(|check| check.coverage.as_ref())
                .map(coverage_report),
            load: evidence.checks.iter().find_map(|check| check.load.clone()),
            bugs: evidence
                .checks
                .iter()
                .flat_map(|check| check.bugs.clone())
                .collect(),
            database: evidence.checks.iter().find_map(|check| check.database.clone()),
            findings,
            digests,
        }
    }

    /// Seeded bugs caught, seeded bugs there are.
    pub fn bug_counts(&self) -> (usize, usize) {
        let is_caught = |bug: &&Bug| bug.outcome == BugOutcome::Caught;
        (self.bugs.iter().filter(is_caught).count(), self.bugs.len())
    }

    /// Whether something was not scored that is not the candidate's fault.
    pub fn has_faults_of_ours(&self) -> bool {
        self.categories.iter().any(|category| !category.scored)
    }
}

fn check_report(check: &CheckEvidence) -> CheckReport {
    let status = check.status();
    CheckReport {
        id: check.id.clone(),
        kind: check.kind,
        visibility: check.visibility,
        status,
        fault: check.stop.as_ref().map(crate::fault::Stop::fault),
        partial_faults: check
            .partial_stops
            .iter()
            .map(|(part, stop)| (part.clone(), stop.fault()))
            .collect(),
        duration_ms: check.duration_ms,
        facts: check.facts.clone(),
        notes: check.notes.clone(),
        logs: check.logs.clone(),
    }
}

fn coverage_report(coverage: &crate::evidence::Coverage) -> CoverageReport {
    let (lines_covered, lines_total) = coverage.line_counts();
    let (branches_covered, branches_total) = coverage.branch_counts();
    let files = coverage.files.iter().map(|(path, file)| {
        let (lines_covered, lines_total) = file.line_counts();
        let (branches_covered, branches_total) = file.branch_counts();
        let uncovered = uncovered(file);
        FileCoverageReport {
            path: path.clone(),
            lines_covered,
            lines_total,
            branches_covered,
            branches_total,
            uncovered,
        }
    });
    CoverageReport {
        lines_covered,
        lines_total,
        branches_covered,
        branches_total,
        files: files.collect(),
    }
}

fn uncovered(file: &FileCoverage) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    let mut last_was_uncovered = false;
    for (line, hits) in &file.lines {
        match ranges.last_mut() {
            Some(range) if *hits == 0 && last_was_uncovered => range.1 = *line,
            _ if *hits == 0 => ranges.push((*line, *line)),
            _ => (),
        }
        last_was_uncovered = *hits == 0;
    }
    let texts = ranges
        .iter()
        .map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") });
    texts.collect::<Vec<_>>().join(", ")
}
