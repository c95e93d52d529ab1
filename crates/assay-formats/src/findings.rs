//! Output of linters and scanners, in whichever format, to findings.

use std::collections::BTreeMap;

use assay_core::evidence::{Finding, Level};
use assay_core::exercise::CategoryId;
use assay_core::toolchain::AnalysisFormat;

use crate::{Broken, Limits, Problems, Read, path, text};

mod checkstyle;
mod lists;
mod rust_and_ruby;
mod sarif;

/// Longest message of a finding, in characters.
const MESSAGE_CHARS: usize = 600;
/// Most findings of one tool.
const MOST: usize = 5_000;

/// Where findings come from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Id of the check.
    pub check: &'a str,
    /// Name of the tool.
    pub tool: &'a str,
    /// The category that they count in.
    pub category: CategoryId,
    /// Rules, by prefix, that count in another category.
    pub rules: &'a BTreeMap<String, CategoryId>,
    /// Message for formats that carry none.
    pub message: Option<&'a str>,
    /// Where the tree lay when the tool ran.
    pub roots: &'a [&'a str],
}

/// Reads a tool's output. [`AnalysisFormat::Facts`] gives no findings; read it with [`crate::facts`].
///
/// # Errors
/// When the output is empty where the format never is, beyond the limits, or another format.
pub fn read(
    format: AnalysisFormat,
    bytes: &[u8],
    source: &Source<'_>,
    limits: &Limits,
) -> Result<Read<Vec<Finding>>, Broken> {
    let mut collector = Collector {
        source,
        limits,
        findings: Vec::new(),
        problems: Problems::default(),
        n_outside: 0,
    };
    match format {
        AnalysisFormat::Sarif => sarif::read(bytes, &mut collector)?,
        AnalysisFormat::Checkstyle => checkstyle::read(bytes, &mut collector)?,
        AnalysisFormat::Clippy => rust_and_ruby::clippy(bytes, &mut collector)?,
        AnalysisFormat::Rubocop => rust_and_ruby::rubocop(bytes, &mut collector)?,
        AnalysisFormat::LizardCsv => lists::lizard(bytes, &mut collector)?,
        AnalysisFormat::DetectSecrets => lists::detect_secrets(bytes, &mut collector)?,
        AnalysisFormat::FileList => lists::files(bytes, &mut collector)?,
        AnalysisFormat::Facts => (),
    }
    Ok(collector.finish())
}

/// A remark as a format has it.
#[derive(Debug, Default)]
struct Remark<'a> {
    rule: &'a str,
    level: Option<Level>,
    /// Path as the tool wrote it; empty when there is none.
    path: &'a str,
    line: Option<u64>,
    message: &'a str,
    help: Option<&'a str>,
}

/// Turns remarks into findings, under the limits.
struct Collector<'a> {
    source: &'a Source<'a>,
    limits: &'a Limits,
    findings: Vec<Finding>,
    problems: Problems,
    n_outside: usize,
}

impl Collector<'_> {
    fn add(&mut self, remark: &Remark<'_>) {
        if self.findings.len() >= MOST {
            if self.findings.len() == MOST {
                self.problems.add(format!(
                    "only the first {MOST} findings of {} are kept",
                    self.source.tool
                ));
            }
            return;
        }
        let file = path::relative(remark.path, self.source.roots);
        if file.is_none() && !remark.path.is_empty() {
            self.n_outside += 1;
            return;
        }
        let short = Limits {
            text_chars: MESSAGE_CHARS,
            ..*self.limits
        };
        let rule = text::line(
            remark.rule,
            &Limits {
                text_chars: 200,
                ..*self.limits
            },
        );
        let category = self
            .source
            .rules
            .iter()
            .find(|(prefix, _)| rule.starts_with(prefix.as_str()));
        self.findings.push(Finding {
            check: self.source.check.to_owned(),
            tool: self.source.tool.to_owned(),
            rule,
            level: remark.level.unwrap_or(Level::Warning),
            category: category.map_or(self.source.category, |(_, category)| *category),
            file,
            line: remark
                .line
                .and_then(|line| u32::try_from(line).ok())
                .filter(|line| (1..10_000_000).contains(line)),
            message: text::clean(remark.message, &short),
            help: remark
                .help
                .map(|help| text::clean(help, &short))
                .filter(|help| !help.is_empty()),
            excerpt: None,
            exchange: None,
        });
    }

    fn finish(mut self) -> Read<Vec<Finding>> {
        if self.n_outside > 0 {
            self.problems.add(format!(
                "{} findings of {} name files outside the tree",
                self.n_outside, self.source.tool
            ));
        }
        self.findings.sort_by(|a, b| {
            (std::cmp::Reverse(a.level), &a.file, a.line, &a.rule).cmp(&(
                std::cmp::Reverse(b.level),
                &b.file,
                b.line,
                &b.rule,
            ))
        });
        self.problems.with(self.findings)
    }
}
