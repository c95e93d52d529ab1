//! Output of linters and scanners.

use std::collections::BTreeMap;

use assay_core::exercise::CategoryId;
use assay_core::toolchain::AnalysisFormat;
use assay_formats::{Limits, findings};
use insta::assert_snapshot;

fn check(format: AnalysisFormat, text: &str) -> String {
    let rules = BTreeMap::from([("security/".to_owned(), CategoryId::Security)]);
    let source = findings::Source {
        check: "style",
        tool: "tool",
        category: CategoryId::Style,
        rules: &rules,
        message: None,
        roots: &["/src"],
    };
    match findings::read(format, text.as_bytes(), &source, &Limits::default()) {
        Ok(read) => {
            let lines = read.value.iter().map(|finding| {
                let place = finding.file.clone().unwrap_or("-".into());
                let line = finding.line.map_or(String::new(), |line| format!(":{line}"));
                format!(
                    "{:?} {} {} {place}{line} {}",
                    finding.level,
                    finding.category.name(),
                    finding.rule,
                    finding.message
                )
            });
            lines
                .chain(
                    read.problems
                        .into_iter()
                        .map(|problem| format!("problem: {problem}")),
                )
                .collect::<Vec<_>>()
                .join("\n")
        }
        Err(broken) => format!("broken: {broken}"),
    }
}

#[test]
fn sarif_with_the_quirks_of_real_tools() {
    let text = r#"{"version": "2.1.0", "runs": [{
      "tool": {"driver": {"name": "x", "rules": [{"id": "G1", "defaultConfiguration": {"level": "error"}, "help": {"text": "Mend it."}}]}},
      "results": [
        {"ruleId": "F401", "level": "note", "message": {"text": "unused"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "file:///src/app/a.py"}, "region": {"startLine": 3}}}]},
        {"ruleIndex": 0, "message": {"text": "secret"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "b.py", "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 0}}}]},
        {"ruleId": "security/x", "message": {"text": "eval"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "./c.js"}, "region": {"startLine": 2147483648}}}]},
        {"ruleId": "E", "message": {"text": "outside"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "file:///etc/shadow"}}}]}
      ],
      "invocations": [{"executionSuccessful": true, "toolConfigurationNotifications": [
        {"level": "error", "message": {"text": "Parsing error"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "/src/d.js"}}}]},
        {"level": "error", "message": {"text": "no rule"}}]}]
    }]}"#;
    assert_snapshot!(check(AnalysisFormat::Sarif, text), @r"
    Error style G1 b.py secret
    Error style parse-error d.js Parsing error
    Warning security security/x c.js eval
    Note style F401 app/a.py:3 unused
    problem: tool: no rule
    problem: 1 findings of tool name files outside the tree
    ");
}

#[test]
fn a_missing_report_is_never_clean() {
    for format in [
        AnalysisFormat::Sarif,
        AnalysisFormat::Checkstyle,
        AnalysisFormat::DetectSecrets,
        AnalysisFormat::Clippy,
    ] {
        assert_eq!(check(format, ""), "broken: the report is empty");
        assert!(check(format, "{}").starts_with("broken"), "{format:?}");
    }
    assert_eq!(check(AnalysisFormat::FileList, ""), "");
    assert_eq!(check(AnalysisFormat::LizardCsv, ""), "");
    assert!(check(AnalysisFormat::LizardCsv, "Traceback").starts_with("broken"));
}

#[test]
fn small_formats() {
    let checkstyle = r#"<checkstyle version="8"><file name="/src/A.java"><error line="3" severity="warning" message="Missing &amp; wanted" source="x.Javadoc"/><error line="9" severity="info" message="m" source="y"/></file></checkstyle>"#;
    assert_snapshot!(check(AnalysisFormat::Checkstyle, checkstyle), @r"
    Warning style x.Javadoc A.java:3 Missing & wanted
    Note style y A.java:9 m
    ");
    let lizard = "20,12,100,2,25,\"f@3-28@./a.py\",\"./a.py\",\"f\",\"f( a, b )\",3,28\n90,2,9,0,90,\"g\",\"./a.py\",\"g\",\"g( )\",40,130\n";
    assert_snapshot!(check(AnalysisFormat::LizardCsv, lizard), @r"
    Warning style complexity a.py:3 `f` has a cyclomatic complexity of 12 (limit 10).
    Warning style length a.py:40 `g` has 90 lines of code (limit 80).
    ");
    let secrets =
        r#"{"results": {"conf.py": [{"type": "Secret Keyword", "line_number": 2, "hashed_secret": "x"}]}}"#;
    assert_snapshot!(check(AnalysisFormat::DetectSecrets, secrets), @"Warning style Secret Keyword conf.py:2 Looks like a secret in the source: Secret Keyword.");
    assert_snapshot!(check(AnalysisFormat::FileList, "a.py\n/etc/passwd\n\n"), @r"
    Warning style tool a.py Not formatted as the formatter would.
    problem: 1 findings of tool name files outside the tree
    ");
    let clippy = r#"{"reason":"compiler-message","message":{"message":"unused","level":"warning","code":{"code":"dead_code"},"spans":[{"file_name":"src/a.rs","line_start":4,"is_primary":true}]}}
{"reason":"build-finished","success":true}"#;
    assert_snapshot!(check(AnalysisFormat::Clippy, clippy), @"Warning style dead_code src/a.rs:4 unused");
    let rubocop = r#"{"files": [{"path": "a.rb", "offenses": [{"severity": "convention", "message": "m", "cop_name": "Style/X", "location": {"start_line": 2}}]}]}"#;
    assert_snapshot!(check(AnalysisFormat::Rubocop, rubocop), @"Note style Style/X a.rb:2 m");
}
