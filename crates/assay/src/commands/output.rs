//! Reports on disk and in a few lines on the terminal.

use std::path::{Path, PathBuf};

use anyhow::Context;
use assay_core::report::Report;
use clap::ValueEnum;

/// Forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// `report.json`: versioned, for programs.
    Json,
    /// `report.html`: one self-contained file for people.
    Html,
    /// `report.md`: for comments and mails.
    Md,
    /// `junit.xml`: the tests.
    Junit,
    /// `results.sarif`: the findings.
    Sarif,
}

impl Format {
    fn file(self) -> &'static str {
        match self {
            Self::Json => "report.json",
            Self::Html => "report.html",
            Self::Md => "report.md",
            Self::Junit => "junit.xml",
            Self::Sarif => "results.sarif",
        }
    }

    fn render(self, report: &Report) -> anyhow::Result<String> {
        Ok(match self {
            Self::Json => serde_json::to_string_pretty(report)?,
            Self::Html => assay_report::html(report)?,
            Self::Md => assay_report::markdown(report)?,
            Self::Junit => assay_report::junit(report)?,
            Self::Sarif => assay_report::sarif(report)?,
        })
    }
}

/// Writes the report in these forms (all of them when none is named) and gives the files. `json` is what it was read from, and
/// stays as it is: its bytes are signed.
pub(crate) fn write(
    report: &Report,
    json: Option<&[u8]>,
    out: &Path,
    formats: &[Format],
) -> anyhow::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;
    let formats = if formats.is_empty() {
        Format::value_variants()
    } else {
        formats
    };
    let mut files = Vec::new();
    for format in formats {
        let path = out.join(format.file());
        let text = match (format, json) {
            (Format::Json, Some(json)) => json.to_owned(),
            _ => format
                .render(report)
                .with_context(|| format!("{} cannot be rendered", path.display()))?
                .into_bytes(),
        };
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        files.push(path);
    }
    Ok(files)
}

/// A stored report, and its bytes.
pub(crate) fn read(path: &Path) -> anyhow::Result<(Report, Vec<u8>)> {
    let path = if path.is_dir() {
        path.join(Format::Json.file())
    } else {
        path.to_owned()
    };
    let text = std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let report: Report =
        serde_json::from_slice(&text).with_context(|| format!("{} is not a report", path.display()))?;
    if report.schema_version != assay_core::report::SCHEMA_VERSION {
        anyhow::bail!(
            "{} has version {}, which this program does not know",
            path.display(),
            report.schema_version
        );
    }
    Ok((report, text))
}

/// The score, by category, with the reason of every lost point.
pub(crate) fn summary(report: &Report) -> String {
    let mut text = format!(
        "Score {} of {}",
        points(report.score.total),
        points(report.score.max)
    );
    let [low, high] = report.score.range;
    if low < high {
        text += &format!(
            " (between {} and {}: some lines were not scored)",
            points(low),
            points(high)
        );
    }
    match report.score.gate {
        Some(true) => text += ". Gate passed",
        Some(false) => text += ". Gate failed",
        None => (),
    }
    for category in &report.categories {
        text += &format!(
            "\n  {:<18} {:>6} of {}",
            category.title,
            points(category.score),
            points(category.max)
        );
        for line in &category.lines {
            match line.points {
                Some(got) if got < line.max => {
                    text += &format!(
                        "\n      -{:<5} {}: {}",
                        points(line.max - got),
                        line.title,
                        line.reason
                    );
                }
                Some(_) => (),
                None => text += &format!("\n      ?{:<5} {}: {}", points(line.max), line.title, line.reason),
            }
        }
    }
    text
}

fn points(points: f64) -> String {
    let text = format!("{points:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
