//! `exercise.yaml`: what an exercise asks for, how it is checked and how points are given.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Bytes, Span};

mod lint;
mod scoring;

pub use scoring::{
    BugsRule, Category, CategoryId, CoverageKind, CoverageRule, ErrorsRule, FindingsRule, LatencyRule,
    LineRule, RatioRule, Relative, ScaledBy, Scoring, TestsRule,
};

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

impl Limits {
    /// The most that an exercise can ask for.
    pub const WIDEST: Self = Self {
        memory: Bytes(64 << 30),
        cpus: 64.0,
        pids: 8192,
    };
}

impl Exercise {
    /// Where this exercise allows candidate code more than an operator does, as `(place, allowed, most)`.
    pub fn beyond(&self, most: &Limits) -> Vec<(String, String, String)> {
        let own = std::iter::once(("app".to_owned(), self.app.limits));
        let checks = self
            .checks
            .iter()
            .filter_map(|check| Some((format!("checks.{}", check.id), check.limits?)));
        let mut beyond = Vec::new();
        for (at, limits) in own.chain(checks) {
            let mut compare = |name: &str, is_more: bool, allowed: String, most: String| {
                if is_more {
                    beyond.push((format!("{at}.limits.{name}"), allowed, most));
                }
            };
            let Limits { memory, cpus, pids } = limits;
            compare(
                "memory",
                memory > most.memory,
                memory.to_string(),
                most.memory.to_string(),
            );
            compare("cpus", cpus > most.cpus, cpus.to_string(), most.cpus.to_string());
            compare("pids", pids > most.pids, pids.to_string(), most.pids.to_string());
        }
        beyond
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: Bytes::mebibytes(512),
            cpus: 1.0,
            pids: 256,
        }
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
    /// The candidate's own black-box tests against the reference service and against seeded bugs of it.
    Rigour,
    /// A command of the exercise in the candidate's tree, which passes with exit code 0.
    Command,
}

impl CheckKind {
    /// Whether its result comes out of a container in which candidate code runs, so that it is the candidate's own word.
    pub fn is_self_reported(self) -> bool {
        matches!(self, Self::Unit | Self::Rigour | Self::Command)
    }

    /// Whether it can only judge what was built.
    pub fn needs_build(self) -> bool {
        match self {
            Self::Unit | Self::Integration | Self::Load | Self::Security | Self::Rigour => true,
            Self::Build | Self::Style | Self::Command => false,
        }
    }
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

/// What a candidate learns of the seeded bugs. Interviewers see them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Disclosure {
    /// Nothing; since any number could speak of it, no points are shown either.
    None,
    /// How many there are, and how many were caught.
    #[default]
    Count,
    /// Also what they are, and which tests caught them.
    Names,
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
    /// `rigour` only: folder with the seeded bugs, within the exercise. It holds one folder, named after the track whose
    /// reference solution has the bugs, with a patch of that solution for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bugs: Option<String>,
    /// `rigour` only: what a candidate learns of the seeded bugs, instead of `visibility`. Default: their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disclosure: Option<Disclosure>,
    /// `command` only: what `sh -c` runs in a writable copy of the tree, the built one where there is a build, with the
    /// toolchain's environment. It runs beside candidate code, so a pass is the candidate's own word, as their tests are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// `command` only: in a container and a copy of its own. Default: the commands share one, one after another in the
    /// order of the plan; what one leaves in the tree the next one finds, its processes and temporary files are gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub isolate: bool,
    /// `load` and `security`: the plan's file, within the exercise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// `load` only: the solution of the candidate's track that is measured in turns with their service, such as
    /// `reference`. None: the service is measured alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What its containers with candidate code may use, where that differs from `app.limits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

impl Check {
    /// Who may see its details: for `rigour` what its disclosure says, else its visibility.
    pub fn seen(&self) -> Visibility {
        match (self.kind, self.disclosure.unwrap_or_default()) {
            (CheckKind::Rigour, Disclosure::None) => Visibility::Hidden,
            (CheckKind::Rigour, Disclosure::Count) => Visibility::Summary,
            (CheckKind::Rigour, Disclosure::Names) => Visibility::Visible,
            _ => self.visibility,
        }
    }
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

/// Lower-case letters, digits and hyphens, starting with a letter, at most 64.
pub fn is_slug(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}
