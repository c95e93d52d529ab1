//! `expected.yaml`: how a sample solution is made, and the bands that its scorecard must fall in.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

    /// What of the scorecard lies outside its band, as sentences. Empty: all is as expected.
    pub fn misses(&self, scorecard: &Scorecard) -> Vec<String> {
        let mut misses = Vec::new();
        let mut judge = |name: &str, value: f64, band: Band, unit: &str| {
            if !(band.min..=band.max).contains(&value) {
                misses.push(format!(
                    "{name} is {value:.1} {unit}, expected {} to {}",
                    band.min, band.max
                ));
            }
        };
        judge("the total", scorecard.score.total, self.total, "points");
        for (id, band) in self.named() {
            if let Some(category) = scorecard.categories.iter().find(|category| category.id == id) {
                let percent = if category.max > 0.0 {
                    100.0 * category.score / category.max
                } else {
                    0.0
                };
                judge(id.name(), percent, band, "%");
            }
        }
        for category in scorecard.categories.iter().filter(|category| !category.scored) {
            misses.push(format!("{} was not scored", category.id.name()));
        }
        misses
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
