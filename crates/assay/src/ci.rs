//! `assay run` inside a pipeline: what GitHub Actions and GitLab CI show beside the log.
//!
//! A candidate's words may reach the log, and GitHub obeys lines of a log that look like commands: until the end of the
//! assessment it is told not to.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use assay_core::evidence::{Finding, Level};
use assay_core::report::Report;

use crate::exit::Exit;
use crate::progress;

/// GitHub shows at most so many annotations of one kind for a step.
const MAX_ANNOTATIONS: usize = 10;
/// GitHub drops a whole summary above 1 MiB.
const MAX_SUMMARY: usize = 1_000_000;
/// GitLab's usual name.
const CODE_QUALITY: &str = "gl-code-quality-report.json";
/// Name of the folded part of GitLab's log.
const SECTION: &str = "assay";

/// The pipeline around this process.
pub(crate) enum Ci {
    /// GitHub Actions.
    GitHub {
        /// File whose Markdown is shown on the run's page.
        summary: Option<PathBuf>,
        /// File with the step's outputs.
        outputs: Option<PathBuf>,
        /// Word that ends the part of the log in which nothing is a command.
        resume: String,
    },
    /// GitLab CI.
    GitLab,
}

impl Ci {
    /// The one that this process runs in, by the variables that it sets.
    #[expect(
        clippy::disallowed_methods,
        reason = "the binary is where the environment is read"
    )]
    pub(crate) fn detect() -> Option<Self> {
        let is_set = |name: &str| std::env::var(name).is_ok_and(|value| value == "true");
        let path = |name: &str| {
            std::env::var_os(name)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        };
        if is_set("GITHUB_ACTIONS") {
            Some(Self::GitHub {
                summary: path("GITHUB_STEP_SUMMARY"),
                outputs: path("GITHUB_OUTPUT"),
                resume: assay_core::id::from_random(rand::random()),
            })
        } else {
            is_set("GITLAB_CI").then_some(Self::GitLab)
        }
    }

    /// Before anything of the candidate's can be shown.
    pub(crate) fn begin(&self) {
        match self {
            Self::GitHub { resume, .. } => {
                progress::complain(&format!("::group::Assay\n::stop-commands::{resume}"));
            }
            Self::GitLab => progress::complain(&section("start", "Assay")),
        }
    }

    /// After the last of it: annotations, summary, outputs.
    pub(crate) fn end(&self, report: &Report, out: &Path, exit: Exit) -> anyhow::Result<()> {
        match self {
            Self::GitHub {
                summary,
                outputs: file,
                resume,
            } => {
                progress::complain(&format!("::{resume}::\n::endgroup::"));
                progress::say(annotations(report).trim_end());
                if let Some(path) = summary {
                    append(path, &capped(assay_report::markdown(report)?))?;
                }
                if let Some(path) = file {
                    append(path, &outputs(report, exit))?;
                }
            }
            Self::GitLab => {
                progress::complain(&section("end", ""));
                let path = out.join(CODE_QUALITY);
                std::fs::write(&path, assay_report::codequality(report)?)
                    .with_context(|| format!("{} cannot be written", path.display()))?;
            }
        }
        Ok(())
    }
}

fn section(edge: &str, title: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!(
        "\u{1b}[0Ksection_{edge}:{}:{SECTION}\r\u{1b}[0K{title}",
        now.as_secs()
    )
}

fn append(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Whole lines, as far as they fit.
fn capped(mut markdown: String) -> String {
    if markdown.len() > MAX_SUMMARY {
        markdown.truncate(markdown.floor_char_boundary(MAX_SUMMARY));
        markdown.truncate(markdown.rfind('\n').unwrap_or_default());
        markdown += "\n\n… and more: see the report.\n";
    }
    markdown
}

/// The worst findings that have a place, as GitHub's annotations.
fn annotations(report: &Report) -> String {
    let mut text = String::new();
    for level in [Level::Error, Level::Warning, Level::Note] {
        let of_level = |finding: &&Finding| finding.level == level && finding.file.is_some();
        for finding in report.findings.iter().filter(of_level).take(MAX_ANNOTATIONS) {
            let command = match level {
                Level::Error => "error",
                Level::Warning => "warning",
                Level::Note => "notice",
            };
            let file = property(finding.file.as_deref().unwrap_or_default());
            let line = finding
                .line
                .map(|line| format!(",line={line}"))
                .unwrap_or_default();
            let title = property(&format!("{} {}", finding.tool, finding.rule));
            let message = data(&finding.message);
            // Writing to a string does not fail.
            let _ = writeln!(text, "::{command} file={file}{line},title={title}::{message}");
        }
    }
    text
}

/// Text after the `::` of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Numbers and words of ours only: a line break in one would make another output.
fn outputs(report: &Report, exit: Exit) -> String {
    let gate = match exit {
        Exit::GateFailed => "failed",
        Exit::NotScored => "not_scored",
        _ => "passed",
    };
    format!(
        "score={}\nmax={}\ngate={gate}\n",
        report.score.total, report.score.max
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../assay-report/tests/data/sample.json"
        );
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn a_finding_cannot_end_its_annotation() {
        let mut report = report();
        report.findings.truncate(1);
        let finding = &mut report.findings[0];
        finding.level = Level::Error;
        finding.file = Some("a,b:c\n::error::x".into());
        finding.line = Some(3);
        finding.tool = "ruff".into();
        finding.rule = "F401".into();
        finding.message = "100 %\r\n::set-output name=score::100".into();
        let text = annotations(&report);
        assert_eq!(
            text,
            "::error file=a%2Cb%3Ac%0A%3A%3Aerror%3A%3Ax,line=3,title=ruff F401::100 %25%0D%0A::set-output name=score::100\n"
        );
    }

    #[test]
    fn at_most_ten_of_a_kind() {
        let mut report = report();
        let mut finding = report.findings[0].clone();
        finding.file = Some("a.py".into());
        finding.level = Level::Error;
        report.findings = vec![finding; 40];
        assert_eq!(annotations(&report).lines().count(), MAX_ANNOTATIONS);
    }

    #[test]
    fn a_pipeline_is_told_beside_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let github = Ci::GitHub {
            summary: Some(file("summary.md")),
            outputs: Some(file("outputs")),
            resume: "word".into(),
        };
        let report = report();
        std::fs::write(file("outputs"), "before=1\n").unwrap();
        github.end(&report, folder.path(), Exit::GateFailed).unwrap();
        let outputs = std::fs::read_to_string(file("outputs")).unwrap();
        let expected = format!(
            "before=1\nscore={}\nmax={}\ngate=failed\n",
            report.score.total, report.score.max
        );
        assert_eq!(outputs, expected);
        assert!(
            std::fs::read_to_string(file("summary.md"))
                .unwrap()
                .starts_with("## ")
        );

        Ci::GitLab.end(&report, folder.path(), Exit::Done).unwrap();
        let issues = std::fs::read(file(CODE_QUALITY)).unwrap();
        let issues: Vec<serde_json::Value> = serde_json::from_slice(&issues).unwrap();
        assert!(!issues.is_empty());
        let prints: std::collections::BTreeSet<_> = issues
            .iter()
            .map(|issue| issue["fingerprint"].to_string())
            .collect();
        assert_eq!(prints.len(), issues.len());
    }
}
