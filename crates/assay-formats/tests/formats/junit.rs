//! JUnit XML in the shapes that tools give it.

use assay_formats::{Limits, junit};
use insta::assert_snapshot;

/// One line per test, then the problems.
fn check(xml: &str) -> String {
    match junit::read(xml.as_bytes(), &Limits::default()) {
        Ok(read) => {
            let tests = read.value.iter().map(|test| {
                let message = test.message.replace('\n', " / ");
                format!(
                    "{:?} {} | {} | {} | {} ms | {message}",
                    test.status, test.group, test.name, test.title, test.duration_ms
                )
            });
            tests
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
fn pytest() {
    let xml = r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="0" failures="1" skipped="1" tests="3" time="0.512">
<testcase classname="test_sync" name="test_replay" time="0.101"><properties><property name="title" value="A replay applies nothing twice"/></properties></testcase>
<testcase classname="test_sync" name="test_order[1-a]" time="0.002"><failure message="AssertionError: expected &lt;3&gt; &amp; got 2">def test_order():
&gt;   assert 3 == 2</failure></testcase>
<testcase classname="test_sync" name="test_later" time="0"><skipped type="pytest.skip" message="no control socket">here</skipped></testcase>
</testsuite></testsuites>"#;
    assert_snapshot!(check(xml), @r"
    Passed test_sync | test_replay | A replay applies nothing twice | 101 ms | 
    Failed test_sync | test_order[1-a] | test_order[1-a] | 2 ms | AssertionError: expected <3> & got 2 / def test_order(): / >   assert 3 == 2
    Skipped test_sync | test_later | test_later | 0 ms | no control socket / here
    ");
}

#[test]
fn node_puts_cases_under_the_root_and_nests_suites() {
    let xml = r#"<testsuites>
<testcase name="test/broken.test.js" time="0.04" classname="test"><failure type="testCodeFailure" message="cannot import">x</failure></testcase>
<testsuite name="outer"><testsuite name="inner"><testcase name="deep" time="1,234.5" classname=""/></testsuite><testcase name="after"/></testsuite>
</testsuites>"#;
    assert_snapshot!(check(xml), @r"
    Failed test | test/broken.test.js | test/broken.test.js | 40 ms | cannot import / x
    Passed inner | deep | deep | 1234500 ms | 
    Passed outer | after | after | 0 ms | 
    ");
}

#[test]
fn the_worst_outcome_counts() {
    let xml = r#"<testsuite name="s"><testcase name="a"><failure>1</failure><skipped/><failure>2</failure></testcase>
<testcase name="b"><skipped/><error>boom</error></testcase><testcase name="c" status="notrun"/></testsuite>"#;
    assert_snapshot!(check(xml), @r"
    Failed s | a | a | 0 ms | 1 / 2
    Broken s | b | b | 0 ms | boom
    Skipped s | c | c | 0 ms |
    ");
}

#[test]
fn odd_numbers_and_names() {
    let xml = "<j:testsuite xmlns:j=\"x\" name=\"s\"><j:testcase name=\"a&#7;b\" time=\"NaN\"/><j:testcase name=\"c\" time=\"-1\"/><j:testcase name=\"&nbsp;d\" time=\"inf\"/></j:testsuite>";
    assert_snapshot!(check(xml), @r"
    Passed s | ab | ab | 0 ms | 
    Passed s | c | c | 0 ms | 
    Passed s | ?d | ?d | 0 ms | 
    ");
}

#[test]
fn a_cut_file_keeps_what_came_before() {
    let xml = r#"<testsuites><testsuite name="s"><testcase name="a"/><testcase name="b"><failure>half"#;
    assert_snapshot!(check(xml), @r"
    Passed s | a | a | 0 ms | 
    Failed s | b | b | 0 ms | half
    problem: it is incomplete: not all elements are closed
    ");
}

#[test]
fn what_is_no_junit_is_broken() {
    assert_snapshot!(check(""), @"broken: the report is empty");
    assert_snapshot!(check("ok 1 - test"), @"broken: the report is not JUnit XML: there is no element in it");
    assert_snapshot!(check("<html><body/></html>"), @"broken: the report is not JUnit XML: there is no <testsuite> in it");
    assert_snapshot!(check("<testsuites/>"), @"");
}

#[test]
fn utf_16_is_read() {
    let text = "<testsuite name=\"s\"><testcase name=\"ä\"/></testsuite>";
    let bytes: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let read = junit::read(&bytes, &Limits::default()).unwrap();
    assert_eq!(read.value[0].name, "ä");
}
