//! How evidence becomes points: categories, their lines, and one rule for each line.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

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
    pub const ALL: [Self; 6] = [
        Self::Correctness,
        Self::Tests,
        Self::Latency,
        Self::Security,
        Self::Style,
        Self::Documentation,
    ];

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
    /// The share of seeded bugs that the candidate's black-box tests catch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bugs: Option<BugsRule>,
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
    /// The same points as multiples of the reference solution's latency; they count instead where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative: Option<Relative>,
}

/// Points by how many times the reference solution's latency it is.
///
/// All of them up to once, 90 % at `p10`, 50 % at `median`. What counts is the lower end of the 95 % interval, so that
/// chance costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relative {
    /// Multiple that earns 90 % of the points, above 1.
    pub p10: f64,
    /// Multiple that earns 50 % of the points.
    pub median: f64,
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

/// Points by the share of seeded bugs caught; none unless the tests hold on the correct service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BugsRule {
    /// Id of the check.
    pub check: String,
}

fn hundred() -> f64 {
    100.0
}

impl Scoring {
    /// The points of all lines together.
    pub fn max(&self) -> f64 {
        self.categories
            .iter()
            .flat_map(|category| &category.lines)
            .map(|line| line.points)
            .sum()
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
            self.bugs.as_ref().map(|rule| &rule.check),
        ];
        let times = self.times.as_ref().map(|rule| &rule.check);
        rules
            .into_iter()
            .chain([times])
            .flatten()
            .map(String::as_str)
            .collect()
    }

    pub(super) fn n_rules(&self) -> usize {
        self.checks().len() - usize::from(self.times.is_some())
    }
}
