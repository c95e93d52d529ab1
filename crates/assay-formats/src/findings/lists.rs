//! Small formats: lizard's CSV, detect-secrets' JSON, lists of files.

use std::collections::BTreeMap;

use assay_core::evidence::Level;
use serde::Deserialize;

use super::{Collector, Remark};
use crate::{Broken, bounded, json};

/// Cyclomatic complexity above which a function is worth a remark, and above which it is an error.
const COMPLEX: u64 = 10;
const VERY_COMPLEX: u64 = 20;
/// Lines of code above which a function is long.
const LONG: u64 = 80;

/// `nloc,ccn,token,param,length,location,file,function,long_name,start,end` per function; a tree without functions gives an
/// empty file.
pub(super) fn lizard(bytes: &[u8], collector: &mut Collector<'_>) -> Result<(), Broken> {
    let bytes = match bounded(bytes, collector.limits) {
        Err(Broken::Empty) => return Ok(()),
        bounded => bounded?,
    };
    let text = String::from_utf8_lossy(bytes);
    let mut n_rows = 0;
    for line in text.lines().take(collector.limits.elements) {
        let fields = csv(line);
        let number = |i: usize| {
            fields
                .get(i)
                .and_then(|field: &String| field.trim().parse::<u64>().ok())
        };
        let (Some(lines), Some(complexity), Some(start)) = (number(0), number(1), number(9)) else {
            continue;
        };
        n_rows += 1;
        let (path, function) = (fields[6].as_str(), fields[7].as_str());
        let mut remark = |rule, level, message: String| {
            let help = Some("Split it into functions that each do one thing.");
            collector.add(&Remark {
                rule,
                level: Some(level),
                path,
                line: Some(start),
                message: &message,
                help,
            });
        };
        if complexity > COMPLEX {
            let level = if complexity > VERY_COMPLEX {
                Level::Error
            } else {
                Level::Warning
            };
            let message =
                format!("`{function}` has a cyclomatic complexity of {complexity} (limit {COMPLEX}).");
            remark("complexity", level, message);
        }
        if lines > LONG {
            remark(
                "length",
                Level::Warning,
                format!("`{function}` has {lines} lines of code (limit {LONG})."),
            );
        }
    }
    if n_rows == 0 && !text.starts_with("NLOC") {
        return Err(Broken::Malformed {
            format: "lizard's CSV",
            detail: "there is no row in it".into(),
        });
    }
    Ok(())
}

/// Fields of one CSV line; quotes are doubled within quotes.
fn csv(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                push(&mut fields, '"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted && fields.len() < 32 => fields.push(String::new()),
            c => push(&mut fields, c),
        }
    }
    fields
}

fn push(fields: &mut [String], c: char) {
    if let Some(last) = fields.last_mut() {
        last.push(c);
    }
}

#[derive(Deserialize)]
struct Secrets {
    results: BTreeMap<String, Vec<Secret>>,
}

#[derive(Deserialize)]
struct Secret {
    #[serde(rename = "type")]
    kind: String,
    line_number: Option<u64>,
}

pub(super) fn detect_secrets(bytes: &[u8], collector: &mut Collector<'_>) -> Result<(), Broken> {
    let secrets: Secrets = json(bytes, "detect-secrets' JSON", collector.limits)?;
    for (path, found) in &secrets.results {
        for secret in found {
            collector.add(&Remark {
                rule: &secret.kind,
                level: Some(Level::Warning),
                path,
                line: secret.line_number,
                message: &format!("Looks like a secret in the source: {}.", secret.kind),
                help: Some("Take it from the environment, and make the leaked one invalid."),
            });
        }
    }
    Ok(())
}

/// One path per line; an empty list is a clean one.
pub(super) fn files(bytes: &[u8], collector: &mut Collector<'_>) -> Result<(), Broken> {
    let bytes = match bounded(bytes, collector.limits) {
        Err(Broken::Empty) => return Ok(()),
        bounded => bounded?,
    };
    let message = collector
        .source
        .message
        .unwrap_or("Not formatted as the formatter would.")
        .to_owned();
    for path in String::from_utf8_lossy(bytes)
        .lines()
        .take(collector.limits.elements)
    {
        let path = path.trim();
        if !path.is_empty() {
            let rule = collector.source.tool;
            collector.add(&Remark {
                rule,
                level: Some(Level::Warning),
                path,
                line: None,
                message: &message,
                help: None,
            });
        }
    }
    Ok(())
}
