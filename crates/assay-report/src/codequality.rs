//! GitLab's code quality report: the findings that have a place in the tree, so that merge requests show them at their lines.

use std::collections::BTreeMap;

use assay_core::evidence::{Finding, Level};
use assay_core::report::Report;
use serde_json::{Value, json};

use crate::sarif;
use crate::text;

pub(crate) fn issues(report: &Report) -> Value {
    let mut n_equal: BTreeMap<String, usize> = BTreeMap::new();
    let issue = |finding: &Finding| {
        let path = plain_path(finding.file.as_deref()?)?;
        let print = sarif::fingerprint(finding);
        // GitLab shows one of those with the same fingerprint.
        let n = n_equal.entry(print.clone()).or_default();
        *n += 1;
        Some(json!({
            "description": format!("{}: {}", text::line(&finding.tool), text::line(&finding.message)),
            "check_name": text::line(&finding.rule),
            "fingerprint": format!("{print}:{n}"),
            "severity": severity(finding.level),
            "location": {
                "path": path,
                "lines": { "begin": finding.line.unwrap_or(1).max(1) },
            },
        }))
    };
    report.findings.iter().filter_map(issue).collect()
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::Error => "critical",
        Level::Warning => "major",
        Level::Note => "info",
    }
}

/// Relative, without `./`, inside the tree; none when nothing is left of it.
fn plain_path(path: &str) -> Option<String> {
    let segments = path
        .split('/')
        .filter(|segment| !matches!(*segment, "" | "." | ".."));
    let path = segments.collect::<Vec<_>>().join("/");
    (!path.is_empty()).then(|| text::line(&path))
}
