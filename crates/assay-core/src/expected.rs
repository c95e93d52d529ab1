//! `expected.yaml`: how a sample solution is made, and the bands that its scorecard must fall in.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::Finding;
use crate::exercise::CategoryId;
use crate::scoring::Scorecard;
use crate::yaml::{Lint, Problem};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Version of this file format: 1.
    pub version: u32,
    /// What is special about this solution, in a sentence.
    pub title: String,
    /// `template`, or the name of a sibling solution whose history this one continues.
    pub base: String,
    /// Files of the base that this solution does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// Commits on top of the base's history, oldest first. The last one also takes what is left of the folder's files.
    #[serde(default)]
    pub commits: Vec<SolutionCommit>,
    /// Where the scorecard must fall.
    pub bands: Bands,
    /// Findings that the report must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<ExpectedFinding>,
    /// Tools of which the report must have no finding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_findings: Vec<String>,
}

/// A finding that the report must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedFinding {
    /// The tool, such as `database`.
    pub tool: String,
    /// Its rule.
    pub rule: String,
    /// Words that its message has. Default: any message will do.
    #[serde(default)]
    pub says: String,
}

/// What a report should find and does not, and what it finds and should not.
pub fn compare_findings(
    expected: &[ExpectedFinding],
    no_findings: &[String],
    found: &[Finding],
) -> Vec<String> {
    let is_missing = |expected: &&ExpectedFinding| {
        !found.iter().any(|finding| {
            finding.tool == expected.tool
                && finding.rule == expected.rule
                && finding.message.contains(&expected.says)
        })
    };
    let missing = expected.iter().filter(is_missing).map(|expected| {
        format!(
            "there is no finding {}/{} that says `{}`",
            expected.tool, expected.rule, expected.says
        )
    });
    let surplus = found
        .iter()
        .filter(|finding| no_findings.contains(&finding.tool))
        .map(|finding| {
            format!(
                "{} finds something, and should not: {}",
                finding.tool, finding.message
            )
        });
    missing.chain(surplus).collect()
}

/// One commit of a solution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SolutionCommit {
    /// Its message.
    pub message: String,
    /// Files and folders of the solution's folder that it adds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// A unified diff in the solution's folder, applied to the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
}

/// Bands: `total` in points, the categories in percent of their maximum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bands {
    /// Band of the total, in points.
    pub total: Band,
    /// Band of correctness, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correctness: Option<Band>,
    /// Band of tests, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<Band>,
    /// Band of latency, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Band>,
    /// Band of security, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Band>,
    /// Band of style, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<Band>,
    /// Band of documentation, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documentation: Option<Band>,
}

/// From `min` to `max`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Lowest value. Default 0.
    #[serde(default)]
    pub min: f64,
    /// Highest value. Default 100.
    #[serde(default = "hundred")]
    pub max: f64,
}

fn hundred() -> f64 {
    100.0
}

impl Bands {
    fn named(&self) -> BTreeMap<CategoryId, Band> {
        let bands = [
            self.correctness,
            self.tests,
            self.latency,
            self.security,
            self.style,
            self.documentation,
        ];
        CategoryId::ALL
            .into_iter()
            .zip(bands)
            .filter_map(|(id, band)| Some((id, band?)))
            .collect()
    }

    /// Compares a scorecard with the bands. What could not be scored is left open, never counted as a miss.
    pub fn compare(&self, scorecard: &Scorecard) -> Comparison {
        let mut comparison = Comparison::default();
        let [low, high] = scorecard.score.range;
        comparison.add("the total", "points", self.total, low, high);
        for (id, band) in self.named() {
            if let Some(category) = scorecard.categories.iter().find(|category| category.id == id) {
                let unscored = category.lines.iter().filter(|line| line.points.is_none());
                let open: f64 = unscored.map(|line| line.max).sum();
                let percent = |points: f64| {
                    if category.max > 0.0 {
                        100.0 * points / category.max
                    } else {
                        0.0
                    }
                };
                comparison.add(
                    id.name(),
                    "%",
                    band,
                    percent(category.score),
                    percent(category.score + open),
                );
            }
        }
        comparison
    }
}

/// How a scorecard compares with its bands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// What lies outside its band, as sentences.
    pub misses: Vec<String>,
    /// What may or may not lie in its band, since something was not scored.
    pub open: Vec<String>,
}

impl Comparison {
    /// The value lies somewhere from `low` to `high`.
    fn add(&mut self, name: &str, unit: &str, band: Band, low: f64, high: f64) {
        let shown = if high - low < 0.05 {
            format!("{low:.1}")
        } else {
            format!("{low:.1} to {high:.1}")
        };
        let sentence = format!("{name} is {shown} {unit}, expected {} to {}", band.min, band.max);
        if high < band.min || low > band.max {
            self.misses.push(sentence);
        } else if low < band.min || high > band.max {
            self.open.push(sentence);
        }
    }
}

impl Lint for Expected {
    fn lint(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.version != 1 {
            problems.push(Problem::new(
                "version",
                "is not 1",
                "this program reads version 1 of the format",
            ));
        }
        let bands = self.bands.named().into_iter().map(|(id, band)| (id.name(), band));
        for (name, band) in bands.chain([("total", self.bands.total)]) {
            if !(0.0 <= band.min && band.min <= band.max && band.max <= 100.0) {
                problems.push(Problem::new(
                    format!("bands.{name}"),
                    "is out of order",
                    "use 0 <= min <= max <= 100",
                ));
            }
        }
        for (i, commit) in self.commits.iter().enumerate() {
            let takes_the_rest = i + 1 == self.commits.len() && commit.patch.is_none();
            if commit.patch.is_some() != commit.paths.is_empty() && !takes_the_rest {
                let hint = "give paths or a patch; only the last commit may have neither";
                problems.push(Problem::new(
                    format!("commits[{i}]"),
                    "needs exactly one of paths and patch",
                    hint,
                ));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::{Band, Comparison, Expected, compare_findings};
    use crate::evidence::{Finding, Level};
    use crate::exercise::CategoryId;

    #[test]
    fn a_band_is_met_missed_or_open() {
        for (low, high, expected) in [
            (50.0, 50.0, "met"),
            (40.0, 60.0, "met"),
            (39.0, 39.0, "missed"),
            (61.0, 70.0, "missed"),
            (30.0, 45.0, "open"),
            (0.0, 100.0, "open"),
        ] {
            let mut comparison = Comparison::default();
            comparison.add("style", "%", Band { min: 40.0, max: 60.0 }, low, high);
            let verdict = match (comparison.misses.len(), comparison.open.len()) {
                (0, 0) => "met",
                (1, 0) => "missed",
                _ => "open",
            };
            assert_eq!(verdict, expected, "{low} to {high}");
        }
    }

    #[test]
    fn findings_are_there_or_are_not() {
        let expected = "{version: 1, title: t, base: template, bands: {total: {}},
            findings: [{tool: database, rule: slow, says: list}], no_findings: [eslint]}";
        let expected: Expected = crate::yaml::read("expected.yaml", expected).unwrap();
        let finding = |tool: &str, rule: &str, message: &str| Finding {
            check: "load".into(),
            tool: tool.into(),
            rule: rule.into(),
            level: Level::Note,
            category: CategoryId::Latency,
            file: None,
            line: None,
            message: message.into(),
            help: None,
            excerpt: None,
            exchange: None,
        };
        let shown =
            |found: &[Finding]| compare_findings(&expected.findings, &expected.no_findings, found).join("\n");
        let right = finding("database", "slow", "the list is slow");
        assert_eq!(shown(std::slice::from_ref(&right)), "");
        insta::assert_snapshot!(shown(&[finding("database", "slow", "others are")]), @"there is no finding database/slow that says `list`");
        insta::assert_snapshot!(shown(&[right, finding("eslint", "x", "a semicolon")]), @"eslint finds something, and should not: a semicolon");
    }
}
