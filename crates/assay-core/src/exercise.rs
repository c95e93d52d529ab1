//! `exercise.yaml`: what an exercise asks for, how it is checked and how points are given.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Bytes, Span};
use crate::yaml::{Lint, Problem};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exercise {
    /// Version of this file format: 1.
    pub version: u32,
    /// Name in URLs and folders: lower-case letters, digits and hyphens.
    pub slug: String,
    /// Title for people.
    pub title: String,
    /// What the candidate builds, in a sentence.
    #[serde(default)]
    pub summary: String,
    /// Language ways through the exercise, by name.
    pub tracks: BTreeMap<String, Track>,
    /// Databases and caches beside the candidate's service: names of folders in runner-images.
    #[serde(default)]
    pub services: Vec<String>,
    /// The candidate's service.
    pub app: App,
    /// Whether a candidate may override build, start and test commands in `assay.yaml`. Default: no.
    #[serde(default)]
    pub overrides: bool,
    /// The boxes of the plan, in the order of the report.
    pub checks: Vec<Check>,
    /// How evidence becomes points.
    pub scoring: Scoring,
    /// What counts as a submission.
    #[serde(default)]
    pub submission: Submission,
}

/// One language way through an exercise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Track {
    /// Folder in runner-images with the image and the commands.
    pub toolchain: String,
}

/// The candidate's service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// TCP port that it must listen on, on 0.0.0.0. Given to it as `PORT`.
    pub port: u16,
    /// Its environment. `${secret}` becomes a random text of the run.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// When it counts as ready.
    pub ready: Ready,
    /// How long it may take to end after SIGTERM. Default 10 s.
    #[serde(default = "ten_seconds")]
    pub stop_grace: Span,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
}

/// A readiness probe over HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// Path that answers 200 once the service is ready.
    pub path: String,
    /// How long it may take from the start. Default 30 s.
    #[serde(default = "thirty_seconds")]
    pub timeout: Span,
}

/// What candidate code may use. The operator's limits cap these.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory without swap; beyond it the container is killed. Default 512 MiB.
    pub memory: Bytes,
    /// Processor cores. Default 1.
    pub cpus: f64,
    /// Processes and threads. Default 256.
    pub pids: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: Bytes::mebibytes(512), cpus: 1.0, pids: 256 }
    }
}

/// Kind of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckKind {
    /// Dependencies and build.
    Build,
    /// Linters, formatters, complexity, duplication, history and documentation.
    Style,
    /// The candidate's own tests with coverage.
    Unit,
    /// The exercise's hidden tests against the running service.
    Integration,
    /// Load and latency of the running service.
    Load,
    /// Static analysis, secrets, and probing of the running service.
    Security,
}

/// Who may see the details of a check besides the interviewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// The candidate sees everything.
    #[default]
    Visible,
    /// The candidate sees counts and points.
    Summary,
    /// The candidate sees that the check exists.
    Hidden,
}

/// One box of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Name, unique in the exercise.
    pub id: String,
    /// What it does.
    pub kind: CheckKind,
    /// How long it may take in all; beyond it, it is stopped.
    pub timeout: Span,
    /// Who may see its details. Default: the candidate too.
    #[serde(default)]
    pub visibility: Visibility,
    /// `build` only: package registries that may be reached, by host name. None: no network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registries: Vec<String>,
    /// `integration` only: folder with the hidden tests, within the exercise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<String>,
    /// `load` and `security`: the plan's file, within the exercise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// What its containers with candidate code may use, where that differs from `app.limits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// How evidence becomes points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scoring {
    /// The gate passes from this total on, in points. None: no gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<f64>,
    /// The categories, in the order of the report.
    pub categories: Vec<Category>,
}

/// The categories there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CategoryId {
    /// Does it do what the contract says?
    Correctness,
    /// The candidate's own tests: coverage and rigour.
    Tests,
    /// Latency and errors under load.
    Latency,
    /// Flaws an attacker could use.
    Security,
    /// How the code reads.
    Style,
    /// README and comments.
    Documentation,
}

impl CategoryId {
    /// All of them, in the usual order.
    pub const ALL: [Self; 6] =
        [Self::Correctness, Self::Tests, Self::Latency, Self::Security, Self::Style, Self::Documentation];

    /// The id as in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Correctness => "correctness",
            Self::Tests => "tests",
            Self::Latency => "latency",
            Self::Security => "security",
            Self::Style => "style",
            Self::Documentation => "documentation",
        }
    }
}

/// One category of the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Which one.
    pub id: CategoryId,
    /// Title for people.
    pub title: String,
    /// Points count in proportion to another category while that one is low, so that a service which does not work
    /// earns nothing for being tidy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled_by: Option<ScaledBy>,
    /// Where its points come from.
    pub lines: Vec<LineRule>,
}

/// `factor = min(1, (share − zero_below) / (full_at − zero_below))`, in percent of the other category's maximum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaledBy {
    /// The other category.
    pub category: CategoryId,
    /// Percent of its points up to which nothing counts. Default 0.
    #[serde(default)]
    pub zero_below: f64,
    /// Percent of its points from which on all counts.
    pub full_at: f64,
}

/// One source of points: exactly one of the rules is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineRule {
    /// Name, unique in the category.
    pub id: String,
    /// Title for people.
    pub title: String,
    /// Points that it can give.
    pub points: f64,
    /// The share of tests that passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<TestsRule>,
    /// Coverage of the candidate's own lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<CoverageRule>,
    /// A share of two facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<RatioRule>,
    /// Points are taken off for findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<FindingsRule>,
    /// A latency percentile on a log-normal curve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyRule>,
    /// The share of requests that failed under load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<ErrorsRule>,
    /// The points above are multiplied by the share of these two facts, such as tests that assert something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<RatioRule>,
}

/// Points by the weighted share of tests that passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestsRule {
    /// Id of the check.
    pub check: String,
    /// Groups of tests, by name. Empty: all.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Weights of single tests by name; 1 for all others.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
}

/// What of coverage counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CoverageKind {
    /// Lines.
    Lines,
    /// Branches; where the tool knows none, lines.
    Branches,
}

/// Points in proportion to coverage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CoverageRule {
    /// Id of the check.
    pub check: String,
    /// Lines or branches.
    pub of: CoverageKind,
    /// Percent from which on all points are given.
    pub full_at: f64,
}

/// Points in proportion to one fact among another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RatioRule {
    /// Id of the check.
    pub check: String,
    /// Name of the part's fact.
    pub part: String,
    /// Name of the whole's fact. A whole of 0 gives nothing.
    pub whole: String,
    /// Percent from which on all points are given. Default 100.
    #[serde(default = "hundred")]
    pub full_at: f64,
}

/// Points taken off for findings, capped by the line's points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingsRule {
    /// Id of the check.
    pub check: String,
    /// Tools whose findings count.
    pub tools: Vec<String>,
    /// Points for each error.
    pub error: f64,
    /// Points for each warning.
    pub warning: f64,
    /// Points for each note. Default 0.
    #[serde(default)]
    pub note: f64,
    /// Whether the points are per thousand own lines instead of per finding. Fewer than 300 lines count as 300.
    #[serde(default)]
    pub per_kloc: bool,
}

/// Points by a latency percentile: 90 % at `p10`, 50 % at `median`, as web performance tools score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LatencyRule {
    /// Id of the check.
    pub check: String,
    /// Endpoint of the load plan. None: all requests together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Which percentile: 50, 90, 95 or 99.
    pub percentile: u8,
    /// Latency that earns 90 % of the points.
    pub p10: Span,
    /// Latency that earns 50 % of the points.
    pub median: Span,
}

/// Points by the share of requests that failed under load; falls linearly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorsRule {
    /// Id of the check.
    pub check: String,
    /// Percent of failed requests that still gives all points. Default 0.
    #[serde(default)]
    pub full_at: f64,
    /// Percent of failed requests from which on no point is given.
    pub zero_at: f64,
}

/// What counts as a submission.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// Every push, or only tags. Default: every push.
    #[serde(default)]
    pub on: SubmitOn,
    /// How many submissions are checked. None: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
}

/// When a push is a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SubmitOn {
    /// Every push of the default branch.
    #[default]
    Push,
    /// Only pushed tags.
    Tag,
}

fn ten_seconds() -> Span {
    Span::seconds(10)
}

fn thirty_seconds() -> Span {
    Span::seconds(30)
}

fn hundred() -> f64 {
    100.0
}

impl Scoring {
    /// The points of all lines together.
    pub fn max(&self) -> f64 {
        self.categories.iter().flat_map(|category| &category.lines).map(|line| line.points).sum()
    }
}

impl LineRule {
    /// The check that the line's rule reads, and those of its factor.
    pub fn checks(&self) -> Vec<&str> {
        let rules = [
            self.tests.as_ref().map(|rule| &rule.check),
            self.coverage.as_ref().map(|rule| &rule.check),
            self.ratio.as_ref().map(|rule| &rule.check),
            self.findings.as_ref().map(|rule| &rule.check),
            self.latency.as_ref().map(|rule| &rule.check),
            self.errors.as_ref().map(|rule| &rule.check),
        ];
        let times = self.times.as_ref().map(|rule| &rule.check);
        rules.into_iter().chain([times]).flatten().map(String::as_str).collect()
    }

    fn n_rules(&self) -> usize {
        self.checks().len() - usize::from(self.times.is_some())
    }
}

impl Lint for Exercise {
    fn lint(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.version != 1 {
            problems.push(Problem::new("version", "is not 1", "this program reads version 1 of the format"));
        }
        if !is_slug(&self.slug) {
            problems.push(Problem::new(
                "slug",
                format!("`{}` is not a slug", self.slug),
                "use lower-case letters, digits and hyphens, at most 64",
            ));
        }
        if self.title.trim().is_empty() {
            problems.push(Problem::new("title", "is empty", "name the exercise"));
        }
        if self.tracks.is_empty() {
            problems.push(Problem::new("tracks", "is empty", "name at least one track and its toolchain"));
        }
        for (name, track) in &self.tracks {
            if !is_slug(name) || !is_slug(&track.toolchain) {
                let hint = "use lower-case letters, digits and hyphens";
                problems.push(Problem::new(format!("tracks.{name}"), "is not a good name", hint));
            }
        }
        problems.extend(lint_limits("app.limits", &self.app.limits));
        if !self.app.ready.path.starts_with('/') {
            problems.push(Problem::new("app.ready.path", "does not start with /", "give a path such as /health"));
        }
        if self.app.port < 1024 {
            problems.push(Problem::new("app.port", "is below 1024", "the service does not run as root; use 8080"));
        }
        self.lint_checks(&mut problems);
        self.lint_scoring(&mut problems);
        problems
    }
}

impl Exercise {
    fn lint_checks(&self, problems: &mut Vec<Problem>) {
        if self.checks.is_empty() {
            problems.push(Problem::new("checks", "is empty", "an exercise needs at least a build check"));
        }
        for (i, check) in self.checks.iter().enumerate() {
            let at = |field: &str| format!("checks[{i}].{field}");
            if !is_slug(&check.id) {
                problems.push(Problem::new(at("id"), "is not a good name", "use lower-case letters, digits and hyphens"));
            }
            if self.checks[..i].iter().any(|other| other.id == check.id) {
                problems.push(Problem::new(at("id"), format!("`{}` is there twice", check.id), "give each check its own id"));
            }
            if self.checks[..i].iter().any(|other| other.kind == check.kind) {
                problems.push(Problem::new(at("kind"), "is there twice", "each kind of check can be there once"));
            }
            if check.timeout.as_millis() == 0 || check.timeout > Span::seconds(3600) {
                problems.push(Problem::new(at("timeout"), "is out of range", "use 1s to 1h"));
            }
            if !check.registries.is_empty() && check.kind != CheckKind::Build {
                problems.push(Problem::new(at("registries"), "is for the build only", "remove it"));
            }
            for host in &check.registries {
                if !is_host(host) {
                    let message = format!("`{host}` is not a host name");
                    problems.push(Problem::new(at("registries"), message, "give names such as pypi.org, no URL, no address"));
                }
            }
            match (check.kind, &check.tests) {
                (CheckKind::Integration, None) => {
                    problems.push(Problem::new(at("tests"), "is missing", "name the folder of the hidden tests"));
                }
                (CheckKind::Integration, Some(path)) => problems.extend(lint_path(at("tests"), path)),
                (_, Some(_)) => problems.push(Problem::new(at("tests"), "is for integration only", "remove it")),
                (_, None) => (),
            }
            let needs_plan = matches!(check.kind, CheckKind::Load | CheckKind::Security);
            match (needs_plan, &check.plan) {
                (true, None) => problems.push(Problem::new(at("plan"), "is missing", "name the plan's file")),
                (true, Some(path)) => problems.extend(lint_path(at("plan"), path)),
                (false, Some(_)) => problems.push(Problem::new(at("plan"), "is for load and security only", "remove it")),
                (false, None) => (),
            }
            if let Some(limits) = &check.limits {
                problems.extend(lint_limits(&at("limits"), limits));
            }
        }
        if !self.checks.is_empty() && !self.checks.iter().any(|check| check.kind == CheckKind::Build) {
            problems.push(Problem::new("checks", "has no build", "all other checks need a check of kind build"));
        }
    }

    fn lint_scoring(&self, problems: &mut Vec<Problem>) {
        let max = self.scoring.max();
        if (max - 100.0).abs() > 0.001 {
            let message = format!("the lines' points sum up to {max}");
            problems.push(Problem::new("scoring.categories", message, "make them sum up to 100"));
        }
        for (i, category) in self.scoring.categories.iter().enumerate() {
            let at = format!("scoring.categories[{i}]");
            if self.scoring.categories[..i].iter().any(|other| other.id == category.id) {
                problems.push(Problem::new(format!("{at}.id"), "is there twice", "each category can be there once"));
            }
            if let Some(scaled) = &category.scaled_by {
                let known = self.scoring.categories[..i].iter().any(|other| other.id == scaled.category);
                if !known {
                    let hint = "name a category above this one";
                    problems.push(Problem::new(format!("{at}.scaled_by.category"), "is not above", hint));
                }
                let in_order = 0.0 <= scaled.zero_below && scaled.zero_below < scaled.full_at && scaled.full_at <= 100.0;
                if !in_order {
                    let hint = "use 0 <= zero_below < full_at <= 100 (percent)";
                    problems.push(Problem::new(format!("{at}.scaled_by"), "is out of range", hint));
                }
            }
            for (j, line) in category.lines.iter().enumerate() {
                self.lint_line(&format!("{at}.lines[{j}]"), line, problems);
            }
        }
    }

    fn lint_line(&self, at: &str, line: &LineRule, problems: &mut Vec<Problem>) {
        if !(line.points.is_finite() && line.points > 0.0) {
            problems.push(Problem::new(format!("{at}.points"), "is not above 0", "give it points or remove the line"));
        }
        if line.n_rules() != 1 {
            let message = format!("has {} rules", line.n_rules());
            let hint = "give exactly one of tests, coverage, ratio, findings, latency, errors";
            problems.push(Problem::new(at.to_owned(), message, hint));
        }
        for id in line.checks() {
            if !self.checks.iter().any(|check| check.id == id) {
                let message = format!("reads the check `{id}`, which is not there");
                problems.push(Problem::new(at.to_owned(), message, "name one of the checks above"));
            }
        }
        if let Some(rule) = &line.latency {
            if !(rule.p10 < rule.median && rule.p10.as_millis() > 0) {
                problems.push(Problem::new(format!("{at}.latency"), "is out of order", "use 0 < p10 < median"));
            }
            if ![50, 90, 95, 99].contains(&rule.percentile) {
                problems.push(Problem::new(format!("{at}.latency.percentile"), "is unknown", "use 50, 90, 95 or 99"));
            }
        }
        let percents = [
            line.coverage.as_ref().map(|rule| rule.full_at),
            line.ratio.as_ref().map(|rule| rule.full_at),
            line.times.as_ref().map(|rule| rule.full_at),
            line.errors.as_ref().map(|rule| rule.zero_at),
        ];
        if percents.into_iter().flatten().any(|percent| !(percent > 0.0 && percent <= 100.0)) {
            problems.push(Problem::new(at.to_owned(), "has a percentage out of range", "use more than 0, at most 100"));
        }
        if let Some(rule) = &line.findings
            && [rule.error, rule.warning, rule.note].iter().any(|points| !(points.is_finite() && *points >= 0.0))
        {
            problems.push(Problem::new(format!("{at}.findings"), "takes off less than nothing", "use 0 or more"));
        }
    }
}

fn lint_limits(at: &str, limits: &Limits) -> Vec<Problem> {
    let mut problems = Vec::new();
    if limits.memory < Bytes::mebibytes(16) || limits.memory > Bytes::mebibytes(64 << 10) {
        problems.push(Problem::new(format!("{at}.memory"), "is out of range", "use 16MiB to 64GiB"));
    }
    if !(limits.cpus > 0.0 && limits.cpus <= 64.0) {
        problems.push(Problem::new(format!("{at}.cpus"), "is out of range", "use more than 0, at most 64"));
    }
    if !(8..=8192).contains(&limits.pids) {
        problems.push(Problem::new(format!("{at}.pids"), "is out of range", "use 8 to 8192"));
    }
    problems
}

fn lint_path(at: String, path: &str) -> Option<Problem> {
    let good = !path.is_empty() && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    (!good).then(|| Problem::new(at, format!("`{path}` leaves the exercise"), "use a relative path without `..`"))
}

/// Lower-case letters, digits and hyphens, starting with a letter, at most 64.
pub fn is_slug(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_host(text: &str) -> bool {
    text.contains('.')
        && text.len() <= 253
        && !text.chars().all(|c| c.is_ascii_digit() || c == '.')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
}
