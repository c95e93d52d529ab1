//! Coverage reports.

use assay_core::toolchain::CoverageFormat;
use assay_formats::{Limits, coverage};
use insta::assert_snapshot;

fn check(format: CoverageFormat, text: &str) -> String {
    match coverage::read(format, text.as_bytes(), &["/work"], &Limits::default()) {
        Ok(read) => {
            let files = read
                .value
                .files
                .iter()
                .map(|(path, file)| format!("{path} {:?} {:?}", file.lines, file.branches));
            files
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
fn cobertura_of_three_tools() {
    let text = r#"<?xml version="1.0"?><!DOCTYPE coverage SYSTEM "http://example.com/x.dtd"><coverage line-rate="1"><sources><source>/work/app</source></sources>
<packages><package><classes><class filename="db.py"><methods><method><lines><line number="1" hits="9"/></lines></method></methods>
<lines><line number="1" hits="1"/><line number="2" hits="0" branch="true" condition-coverage="50% (1/2)"/><line number="0" hits="1"/><line number="99999999999" hits="1"/></lines></class>
<class filename="../../etc/passwd"><lines><line number="1" hits="1"/></lines></class></classes></package></packages></coverage>"#;
    assert_snapshot!(check(CoverageFormat::Cobertura, text), @r"
    app/db.py {1: 1, 2: 0} {2: (1, 2)}
    problem: 1 files outside the tree are left out
    ");
}

#[test]
fn the_other_formats() {
    let lcov = "TN:\nSF:src/a.js\nDA:1,3\nDA:2,0\nBRDA:1,0,0,2\nBRDA:1,0,1,-\nend_of_record\nSF:/etc/passwd\nDA:1,1\nend_of_record\n";
    assert_snapshot!(check(CoverageFormat::Lcov, lcov), @r"
    src/a.js {1: 3, 2: 0} {1: (1, 2)}
    problem: 1 files outside the tree are left out
    ");
    let jacoco = r#"<report name="x"><package name="com/x"><sourcefile name="A.java"><line nr="3" mi="0" ci="4" mb="1" cb="1"/><line nr="4" mi="2" ci="0" mb="0" cb="0"/></sourcefile></package></report>"#;
    assert_snapshot!(check(CoverageFormat::Jacoco, jacoco), @"src/main/java/com/x/A.java {3: 4, 4: 0} {3: (1, 2)}");
    let clover = r#"<coverage><project><file name="a.php" path="/work/a.php"><line num="1" type="stmt" count="2"/><line num="2" type="cond" truecount="1" falsecount="0"/></file></project></coverage>"#;
    assert_snapshot!(check(CoverageFormat::Clover, clover), @"a.php {1: 2, 2: 1} {2: (1, 2)}");
    let go = "mode: set\nexample.com/me/app/main.go:3.10,5.2 2 1\nexample.com/me/app/main.go:7.1,7.9 1 0\n";
    assert_snapshot!(check(CoverageFormat::Go, go), @"main.go {3: 1, 4: 1, 5: 1, 7: 0} {}");
    let simplecov = r#"{"RSpec": {"coverage": {"/work/a.rb": {"lines": [null, 1, 0]}}}}"#;
    assert_snapshot!(check(CoverageFormat::Simplecov, simplecov), @"a.rb {2: 1, 3: 0} {}");
}

#[test]
fn a_missing_report_is_broken() {
    use CoverageFormat::{Clover, Cobertura, Go, Jacoco, Lcov, Simplecov};
    for format in [Cobertura, Lcov, Jacoco, Clover, Go, Simplecov] {
        assert_eq!(check(format, ""), "broken: the report is empty");
        assert!(check(format, "<html/>").starts_with("broken"), "{format:?}");
    }
}
