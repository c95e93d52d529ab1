//! `toolchain.yaml`, `service.yaml` and the candidate's `assay.yaml`: the commands of a language or a database.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exercise::{CategoryId, is_slug};
use crate::units::Span;
use crate::yaml::{Lint, Problem};

/// `runner-images/<name>/toolchain.yaml`: how code of a language is built, started, tested and analysed. A toolchain with
/// nothing but analyses is a scanner for all languages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Toolchain {
    /// Version of this file format: 1.
    pub version: u32,
    /// The folder's name.
    pub name: String,
    /// Title for people, such as `Python 3.13`.
    pub title: String,
    /// Globs of source files, relative to the tree's root.
    #[serde(default)]
    pub source: Vec<String>,
    /// How dependencies are installed into /deps. None: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<Dependencies>,
    /// Build command, run in /work, a writable copy of the source. None: nothing to build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// Command that starts the service in /work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Environment of dependencies, build, start and test.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How the candidate's own tests run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestCommand>,
    /// How the candidate's black-box tests run, against a service at `BASE_URL`; without coverage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blackbox: Option<TestCommand>,
    /// Tools over /src (read-only); they never run candidate code.
    #[serde(default)]
    pub analyses: Vec<Analysis>,
}

/// How dependencies are installed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dependencies {
    /// Files at the tree's root that say what is needed. Only these are visible to the command, and they are the cache's key.
    pub manifests: Vec<String>,
    /// Command that fills /deps; its working directory is writable and holds the manifests.
    pub command: String,
}

/// How the candidate's own tests run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestCommand {
    /// The command, in a private writable copy of the built tree at /work.
    pub command: String,
    /// Where it writes JUnit XML.
    pub junit: String,
    /// Where and how it writes coverage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<CoverageFile>,
    /// Exit codes when all tests passed.
    pub passed_exit_codes: Vec<i64>,
    /// Exit codes when tests failed: a valid result all the same.
    pub failed_exit_codes: Vec<i64>,
    /// Exit codes when there are no tests.
    #[serde(default)]
    pub none_exit_codes: Vec<i64>,
}

/// A coverage report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CoverageFile {
    /// Its format.
    pub format: CoverageFormat,
    /// Its path.
    pub path: String,
}

/// Formats of coverage reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CoverageFormat {
    /// Cobertura XML.
    Cobertura,
    /// LCOV tracefile.
    Lcov,
    /// JaCoCo XML.
    Jacoco,
    /// Clover XML.
    Clover,
    /// Go cover profile.
    Go,
    /// `SimpleCov`'s `.resultset.json`.
    Simplecov,
}

/// A tool over the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Analysis {
    /// Name of the tool in findings and scoring rules.
    pub id: String,
    /// The category its findings count in.
    pub category: CategoryId,
    /// The command, in /src.
    pub command: String,
    /// Format of the output.
    pub format: AnalysisFormat,
    /// Path of the output.
    pub output: String,
    /// Exit codes of a tool that worked. Anything else means that the tool is broken, never that the code is clean.
    pub exit_codes: Vec<i64>,
    /// Rules (prefixes) that count in another category than the tool's.
    #[serde(default)]
    pub rules: BTreeMap<String, CategoryId>,
    /// A message for formats that carry none, such as `file-list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the tool also reads /history, the versions of files that only the history has. Default: no.
    #[serde(default)]
    pub history: bool,
}

/// Formats of tools' output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AnalysisFormat {
    /// SARIF 2.1.0.
    Sarif,
    /// Checkstyle XML.
    Checkstyle,
    /// Clippy's JSON lines.
    Clippy,
    /// `RuboCop`'s JSON.
    Rubocop,
    /// lizard's CSV of functions.
    LizardCsv,
    /// detect-secrets' JSON.
    DetectSecrets,
    /// One path per line: each a file with one finding.
    FileList,
    /// `{"facts": {"name": number}}`.
    Facts,
}

/// `runner-images/<name>/service.yaml`: a database or cache beside the candidate's service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Version of this file format: 1.
    pub version: u32,
    /// The folder's name.
    pub name: String,
    /// Title for people.
    pub title: String,
    /// Command that starts it.
    pub start: String,
    /// Port that it listens on.
    pub port: u16,
    /// When it counts as ready.
    pub ready: ServiceReady,
    /// Folder of its data: in memory, kept when its process restarts.
    pub data: String,
    /// How long that may take. Default 30 s.
    #[serde(default = "thirty_seconds")]
    pub ready_timeout: Span,
    /// Its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How it is closed to others in its pod, where the code beside it is not the service that it belongs to. None: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
    /// Command that prints what it has counted so far, as JSON ([`crate::insight::Snapshot`]). It runs in the service's
    /// own container and must call nothing that the candidate may have put there. None: there is nothing to be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insight: Option<String>,
}

/// How a service is closed to all but who knows its password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Command that sets the password to `$PASSWORD`, letters and digits, once the service is ready.
    pub command: String,
    /// Where the password stands in addresses.
    pub credentials: Credentials,
}

/// The part of an address that has the password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// As exercises have it in the service's environment, such as `app:app@`.
    pub usual: String,
    /// The same with `${password}`: `app:${password}@`.
    pub locked: String,
}

/// A readiness probe inside the service's container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceReady {
    /// Command that exits 0 once the service is ready.
    pub command: String,
}

fn thirty_seconds() -> Span {
    Span::seconds(30)
}

/// `assay.yaml` at the candidate's root: commands instead of the toolchain's, where the exercise allows it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// Build command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// Start command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Test command; it writes its reports where the toolchain's would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// Command of the black-box tests; it writes its report where the toolchain's would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blackbox: Option<String>,
}

impl Overrides {
    /// The toolchain with the candidate's commands in place of its own.
    pub fn apply(&self, mut toolchain: Toolchain) -> Toolchain {
        toolchain.build = self.build.clone().or(toolchain.build);
        toolchain.start = self.start.clone().or(toolchain.start);
        if let (Some(command), Some(test)) = (&self.test, &mut toolchain.test) {
            test.command.clone_from(command);
        }
        if let (Some(command), Some(blackbox)) = (&self.blackbox, &mut toolchain.blackbox) {
            blackbox.command.clone_from(command);
        }
        toolchain
    }
}

impl Lint for Overrides {
    fn lint(&self) -> Vec<Problem> {
        [
            ("build", &self.build),
            ("start", &self.start),
            ("test", &self.test),
            ("blackbox", &self.blackbox),
        ]
        .into_iter()
        .filter(|(_, command)| command.as_ref().is_some_and(|text| text.trim().is_empty()))
        .map(|(name, _)| Problem::new(name, "is empty", "give a command or leave it out"))
        .collect()
    }
}

impl Lint for Toolchain {
    fn lint(&self) -> Vec<Problem> {
        let mut problems = lint_head(self.version, &self.name);
        for (i, glob) in self.source.iter().enumerate() {
            if glob.trim().is_empty() {
                problems.push(Problem::new(
                    format!("source[{i}]"),
                    "is empty",
                    "give a glob such as **/*.py",
                ));
            }
        }
        if let Some(dependencies) = &self.dependencies {
            for (i, name) in dependencies.manifests.iter().enumerate() {
                if name.is_empty() || name.contains('/') {
                    let at = format!("dependencies.manifests[{i}]");
                    problems.push(Problem::new(
                        at,
                        "is not a file name",
                        "name a file at the tree's root",
                    ));
                }
            }
        }
        let mut outputs: Vec<(String, &str)> = Vec::new();
        if let Some(test) = &self.test {
            outputs.push(("test.junit".into(), &test.junit));
            outputs.extend(
                test.coverage
                    .as_ref()
                    .map(|file| ("test.coverage.path".into(), file.path.as_str())),
            );
        }
        if let Some(blackbox) = &self.blackbox {
            outputs.push(("blackbox.junit".into(), &blackbox.junit));
            if blackbox.coverage.is_some() {
                problems.push(Problem::new(
                    "blackbox.coverage",
                    "cannot be measured",
                    "remove it: the service that is tested is not the candidate's",
                ));
            }
        }
        for (i, analysis) in self.analyses.iter().enumerate() {
            outputs.push((format!("analyses[{i}].output"), &analysis.output));
            if self.analyses[..i].iter().any(|other| other.id == analysis.id) {
                problems.push(Problem::new(
                    format!("analyses[{i}].id"),
                    "is there twice",
                    "give each tool its own id",
                ));
            }
            if analysis.exit_codes.is_empty() {
                let hint = "name the codes of a tool that worked";
                problems.push(Problem::new(
                    format!("analyses[{i}].exit_codes"),
                    "is empty",
                    hint,
                ));
            }
        }
        for (at, path) in outputs {
            if !path.starts_with("/out/") || path.contains("..") {
                problems.push(Problem::new(
                    at,
                    "is not in /out",
                    "reports are collected from /out",
                ));
            }
        }
        problems
    }
}

impl Lint for Service {
    fn lint(&self) -> Vec<Problem> {
        let mut problems = lint_head(self.version, &self.name);
        for (name, text) in [
            ("start", &self.start),
            ("ready.command", &self.ready.command),
            ("data", &self.data),
        ] {
            if text.trim().is_empty() {
                problems.push(Problem::new(name, "is empty", "give a command"));
            }
        }
        problems
    }
}

fn lint_head(version: u32, name: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if version != 1 {
        problems.push(Problem::new(
            "version",
            "is not 1",
            "this program reads version 1 of the format",
        ));
    }
    if !is_slug(name) {
        problems.push(Problem::new(
            "name",
            "is not the folder's name",
            "use lower-case letters, digits and hyphens",
        ));
    }
    problems
}
