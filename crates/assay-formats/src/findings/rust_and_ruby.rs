//! Clippy's JSON lines and `RuboCop`'s JSON.

use assay_core::evidence::Level;
use serde::Deserialize;

use super::{Collector, Remark};
use crate::{Broken, bounded, json};

#[derive(Deserialize)]
struct Line {
    reason: String,
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    message: String,
    level: String,
    code: Option<Code>,
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: u64,
    is_primary: bool,
}

/// `cargo clippy --message-format=json`: one object per line; the last one says that the build finished.
pub(super) fn clippy(bytes: &[u8], collector: &mut Collector<'_>) -> Result<(), Broken> {
    let malformed = |detail: String| Broken::Malformed {
        format: "Clippy's JSON",
        detail,
    };
    let bytes = bounded(bytes, collector.limits)?;
    let mut n_read = 0_usize;
    for line in bytes.split(|byte| *byte == b'\n').take(collector.limits.elements) {
        let Ok(line) = serde_json::from_slice::<Line>(line) else {
            continue;
        };
        n_read += 1;
        let Some(message) = line.message.filter(|_| line.reason == "compiler-message") else {
            continue;
        };
        let Some(span) = message.spans.iter().find(|span| span.is_primary) else {
            continue;
        };
        collector.add(&Remark {
            rule: message.code.as_ref().map_or("rustc", |code| &code.code),
            level: Some(if message.level == "error" {
                Level::Error
            } else {
                Level::Warning
            }),
            path: &span.file_name,
            line: Some(span.line_start),
            message: &message.message,
            help: None,
        });
    }
    if n_read == 0 {
        Err(malformed("there is no message in it".into()))
    } else {
        Ok(())
    }
}

#[derive(Deserialize)]
struct Rubocop {
    files: Vec<RubyFile>,
}

#[derive(Deserialize)]
struct RubyFile {
    path: String,
    offenses: Vec<Offense>,
}

#[derive(Deserialize)]
struct Offense {
    severity: String,
    message: String,
    cop_name: String,
    location: Option<RubyLocation>,
}

#[derive(Deserialize)]
struct RubyLocation {
    start_line: Option<u64>,
}

/// `rubocop --format json`.
pub(super) fn rubocop(bytes: &[u8], collector: &mut Collector<'_>) -> Result<(), Broken> {
    let report: Rubocop = json(bytes, "RuboCop's JSON", collector.limits)?;
    for file in &report.files {
        for offense in &file.offenses {
            collector.add(&Remark {
                rule: &offense.cop_name,
                level: Some(match offense.severity.as_str() {
                    "error" | "fatal" => Level::Error,
                    "info" | "refactor" | "convention" => Level::Note,
                    _ => Level::Warning,
                }),
                path: &file.path,
                line: offense.location.as_ref().and_then(|location| location.start_line),
                message: &offense.message,
                help: None,
            });
        }
    }
    Ok(())
}
