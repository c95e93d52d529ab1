//! SARIF 2.1.0: one run per tool, so that forges and editors show findings at their lines.

use std::collections::BTreeMap;

use assay_core::evidence::{Finding, Level};
use assay_core::report::Report;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::text;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// Hexadecimal digits of a fingerprint.
const FINGERPRINT_DIGITS: usize = 32;

pub(crate) fn log(report: &Report) -> Value {
    let mut by_tool: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        by_tool.entry(&finding.tool).or_default().push(finding);
    }
    let runs: Vec<Value> = by_tool
        .into_iter()
        .map(|(tool, findings)| run(report, tool, &findings))
        .collect();
    json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": runs })
}

fn run(report: &Report, tool: &str, findings: &[&Finding]) -> Value {
    let mut rules: Vec<Value> = Vec::new();
    let mut index_of_rule: BTreeMap<&str, usize> = BTreeMap::new();
    let mut n_equal: BTreeMap<String, usize> = BTreeMap::new();
    let mut results = Vec::new();
    for finding in findings {
        let index = *index_of_rule.entry(&finding.rule).or_insert_with(|| {
            rules.push(rule(finding));
            rules.len() - 1
        });
        let print = fingerprint(finding);
        let n = n_equal.entry(print.clone()).or_default();
        *n += 1;
        results.push(result(finding, index, &format!("{print}:{n}")));
    }
    json!({
        "tool": { "driver": { "name": text::line(tool), "rules": rules } },
        "automationDetails": { "id": format!("assay/{}/", crate::anchor::anchor("tool", tool)) },
        "columnKind": "unicodeCodePoints",
        "properties": {
            "exercise": text::line(&report.exercise.slug),
            "commit": text::line(&report.submission.commit),
            "run": text::line(&report.run.id),
        },
        "results": results,
    })
}

fn rule(finding: &Finding) -> Value {
    let owasp = finding
        .exchange
        .as_ref()
        .map(|exchange| text::line(&exchange.owasp))
        .filter(|owasp| !owasp.is_empty());
    let tags: Vec<String> = std::iter::once(finding.category.name().to_owned())
        .chain(owasp)
        .collect();
    let mut rule = json!({
        "id": text::line(&finding.rule),
        "shortDescription": { "text": not_empty(&text::line(&finding.message)) },
        "defaultConfiguration": { "level": level(finding.level) },
        "properties": { "tags": tags },
    });
    if let Some(help) = finding.help.as_deref().filter(|help| !help.trim().is_empty()) {
        rule["help"] = json!({ "text": text::block(help) });
    }
    rule
}

fn result(finding: &Finding, rule_index: usize, fingerprint: &str) -> Value {
    let mut location = json!({});
    if let Some(uri) = finding.file.as_deref().and_then(relative_uri) {
        location["physicalLocation"] =
            json!({ "artifactLocation": { "uri": uri, "uriBaseId": "%SRCROOT%" } });
        if let Some(line) = finding.line.filter(|line| *line > 0) {
            location["physicalLocation"]["region"] = json!({ "startLine": line });
        }
    }
    if let Some(exchange) = &finding.exchange {
        location["logicalLocations"] =
            json!([{ "fullyQualifiedName": text::line(&exchange.operation), "kind": "member" }]);
    }
    let mut result = json!({
        "ruleId": text::line(&finding.rule),
        "ruleIndex": rule_index,
        "level": level(finding.level),
        "message": { "text": not_empty(&text::line(&finding.message)) },
        "partialFingerprints": { "assay/v1": fingerprint },
        "properties": { "check": text::line(&finding.check), "category": finding.category.name() },
    });
    if location.as_object().is_some_and(|location| !location.is_empty()) {
        result["locations"] = json!([location]);
    }
    result
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// SARIF does not allow an empty message.
fn not_empty(text: &str) -> &str {
    if text.is_empty() { "no message" } else { text }
}

/// The same for the same finding when lines move: of the tool, the rule, the file, and the line's own text.
pub(crate) fn fingerprint(finding: &Finding) -> String {
    let code = finding.excerpt.as_ref().and_then(|excerpt| {
        let index = finding.line?.checked_sub(excerpt.first_line)?;
        excerpt.lines.get(usize::try_from(index).ok()?)
    });
    let operation = finding
        .exchange
        .as_ref()
        .map(|exchange| exchange.operation.as_str());
    let words = [
        Some(finding.tool.as_str()),
        Some(&finding.rule),
        finding.file.as_deref(),
        operation,
        Some(code.map_or(finding.message.as_str(), |code| code.trim())),
    ];
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word.unwrap_or_default().as_bytes());
        hash.update([0]);
    }
    let digits = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    digits.chars().take(FINGERPRINT_DIGITS).collect()
}

/// A path as a relative reference that stays inside the tree; none when nothing is left of it.
fn relative_uri(path: &str) -> Option<String> {
    let segments = path
        .split(['/', '\\'])
        .filter(|segment| !matches!(*segment, "" | "." | ".."));
    let uri = segments.map(percent_encoded).collect::<Vec<_>>().join("/");
    (!uri.is_empty()).then_some(uri)
}

fn percent_encoded(segment: &str) -> String {
    let mut uri = String::new();
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_stay_inside_the_tree() {
        let cases = [
            ("app/db.py", Some("app/db.py")),
            ("/etc/passwd", Some("etc/passwd")),
            ("../../x y.py", Some("x%20y.py")),
            ("javascript:alert(1)", Some("javascript%3Aalert%281%29")),
            ("..", None),
            ("", None),
        ];
        for (path, uri) in cases {
            assert_eq!(relative_uri(path).as_deref(), uri, "{path}");
        }
    }
}
