//! No bytes make a reader panic, take long, or give a number that arithmetic must fear.

use std::collections::BTreeMap;

use assay_core::exercise::CategoryId;
use assay_core::toolchain::{AnalysisFormat, CoverageFormat};
use assay_formats::lock::{self, LockFormat};
use assay_formats::{Limits, advisory, coverage, facts, findings, junit};
use proptest::prelude::*;

/// Every reader on the same bytes.
fn read_all(bytes: &[u8]) {
    let limits = Limits::default();
    if let Ok(read) = junit::read(bytes, &limits) {
        assert!(
            read.value
                .iter()
                .all(|test| test.message.chars().count() <= limits.text_chars)
        );
    }
    use CoverageFormat::{Clover, Cobertura, Go, Jacoco, Lcov, Simplecov};
    for format in [Cobertura, Lcov, Jacoco, Clover, Go, Simplecov] {
        if let Ok(read) = coverage::read(format, bytes, &["/work"], &limits) {
            let (hit, all) = read.value.line_counts();
            assert!(hit <= all);
            let (taken, branches) = read.value.branch_counts();
            assert!(taken <= branches);
            assert!(
                read.value
                    .files
                    .keys()
                    .all(|path| !path.starts_with('/') && !path.split('/').any(|part| part == ".."))
            );
        }
    }
    let rules = BTreeMap::new();
    let source = findings::Source {
        check: "style",
        tool: "tool",
        category: CategoryId::Style,
        rules: &rules,
        message: None,
        roots: &["/src"],
    };
    use AnalysisFormat::{Checkstyle, Clippy, DetectSecrets, FileList, LizardCsv, Rubocop, Sarif};
    for format in [
        Sarif,
        Checkstyle,
        Clippy,
        Rubocop,
        LizardCsv,
        DetectSecrets,
        FileList,
    ] {
        if let Ok(read) = findings::read(format, bytes, &source, &limits) {
            assert!(
                read.value
                    .iter()
                    .filter_map(|finding| finding.file.as_ref())
                    .all(|path| !path.starts_with('/'))
            );
        }
    }
    let mut packages = Vec::new();
    for format in [LockFormat::Npm, LockFormat::Requirements] {
        if let Ok(read) = lock::read(format, "lock", bytes, &limits) {
            packages.extend(read.value);
        }
    }
    if let Ok(advisory) = advisory::read(bytes, &limits) {
        let named = advisory.packages().map(|(ecosystem, name)| lock::Package {
            ecosystem,
            name,
            version: "1.0.0".into(),
            file: "lock".into(),
            line: None,
        });
        packages.extend(named);
        drop(advisory::findings("c", &packages, &[advisory]));
    }
    if let Ok(read) = facts::read(bytes, &limits) {
        assert!(
            read.value
                .values()
                .all(|value| value.is_finite() && *value >= 0.0)
        );
    }
}

#[test]
fn bombs_are_refused() {
    let limits = Limits::default();
    let deep = "<testsuite>".repeat(100_000);
    assert!(junit::read(deep.as_bytes(), &limits).is_err());
    let attributes = format!(
        "<testsuite {}/>",
        (0..1000).map(|i| format!("a{i}='1' ")).collect::<String>()
    );
    assert!(junit::read(attributes.as_bytes(), &limits).is_err());
    let laughs = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><testsuite name='&b;'><testcase name='&b;'/></testsuite>";
    assert_eq!(
        junit::read(laughs.as_bytes(), &limits).unwrap().value[0].name,
        "?"
    );
    let large = vec![b' '; limits.bytes + 1];
    assert!(junit::read(&large, &limits).is_err());
    let json = "[".repeat(100_000);
    assert!(facts::read(json.as_bytes(), &limits).is_err());
    assert!(facts::read(br#"{"facts": {"a": 1e999}}"#, &limits).is_err());
    assert_eq!(
        facts::read(br#"{"facts": {"a": -1}}"#, &limits)
            .unwrap()
            .value
            .len(),
        0
    );
}

/// Text that looks like one of the formats for a while.
fn lookalike() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<testsuites>",
        "<testsuite name=\"s\">",
        "<testcase name=\"a\" time=\"1e9\"",
        "/>",
        ">",
        "</testcase>",
        "<failure>",
        "&#0;",
        "&lt;",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "<coverage>",
        "<class filename=\"/work/a\">",
        "<lines>",
        "<line number=\"1\" hits=\"18446744073709551616\" condition-coverage=\"1% (9/0)\"/>",
        "SF:a\n",
        "DA:1,1\n",
        "DA:0,-1\n",
        "BRDA:1,2,3,-\n",
        "end_of_record\n",
        "mode: set\n",
        "a/b/c/d.go:1.1,999999999.1 1 1\n",
        "{\"runs\":[{\"results\":[",
        "{\"ruleId\":\"x\",\"message\":{\"text\":\"y\"}}",
        "]}]}",
        "{\"facts\":{\"a\":",
        "1}}",
        "\u{0}",
        "\u{202e}",
        "\"",
        "\n",
        "<checkstyle>",
        "<file name=\"%2e%2e/x\">",
        "<error line=\"-1\"/>",
        "{\"packages\":{\"node_modules/a\":{\"version\":\"1.0.0-rc.1\"}}}",
        "{\"id\":\"A\",\"affected\":[{\"package\":{\"ecosystem\":\"PyPI\",\"name\":\"a\"},\"versions\":[\"1\"],",
        "\"ranges\":[{\"type\":\"ECOSYSTEM\",\"events\":[{\"introduced\":\"0\"},{\"fixed\":\"1!1.0a1\"}]}]}]}",
        "a==1.0\n",
        "b[c]==1!2.0.post1.dev3+l \\\n",
        "1,99,1,1,1,\"l\",\"f\",\"g\",\"h\",1,2\n",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        read_all(&bytes);
    }

    #[test]
    fn almost_the_format(text in lookalike()) {
        read_all(text.as_bytes());
    }
}
