//! JUnit XML: one suite per check. What was not scored is skipped, what the submission broke is an error.

use std::io;

use assay_core::evidence::{Level, TestStatus};
use assay_core::exercise::CheckKind;
use assay_core::fault::{Fault, Whose};
use assay_core::report::{CheckReport, CheckStatus, Report};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::RenderError;
use crate::state;
use crate::text;

/// A test case as JUnit knows it.
struct Case {
    group: String,
    name: String,
    duration_ms: u64,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
    Broken(String),
}

struct Suite {
    name: String,
    duration_ms: u64,
    cases: Vec<Case>,
}

pub(crate) fn render(report: &Report) -> Result<String, RenderError> {
    let suites: Vec<Suite> = report.checks.iter().map(|check| suite(report, check)).collect();
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all: Vec<&Case> = suites.iter().flat_map(|suite| &suite.cases).collect();
    let name = text::line(&report.exercise.title);
    let attributes = totals(&name, report.run.duration_ms, &all);
    let attributes = attributes.iter().map(|(name, value)| (*name, value.as_str()));
    xml.create_element("testsuites")
        .with_attributes(attributes)
        .write_inner_content(|xml| suites.iter().try_for_each(|suite| write_suite(xml, suite)))?;
    let bytes = xml.into_inner();
    let text = String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(text + "\n")
}

fn suite(report: &Report, check: &CheckReport) -> Suite {
    let mut cases: Vec<Case> = report
        .tests
        .iter()
        .filter(|test| test.check == check.id)
        .map(|test| {
            let test = &test.test;
            let outcome = match test.status {
                TestStatus::Passed => Outcome::Passed,
                TestStatus::Skipped => Outcome::Skipped(test.message.clone()),
                TestStatus::Failed => Outcome::Failed(test.message.clone()),
                TestStatus::Broken => Outcome::Broken(test.message.clone()),
            };
            Case {
                group: test.group.clone(),
                name: test.title.clone(),
                duration_ms: test.duration_ms,
                outcome,
            }
        })
        .collect();
    let own = |name: &str, outcome: Outcome| Case {
        group: check.id.clone(),
        name: name.into(),
        duration_ms: 0,
        outcome,
    };
    if let Some(load) = report.load.as_ref().filter(|_| check.kind == CheckKind::Load) {
        let is_valid = load.invalid.is_empty();
        cases.extend(load.thresholds.iter().map(|threshold| {
            let outcome = match threshold.ok {
                _ if !is_valid => Outcome::Skipped(format!(
                    "The measurement is not valid: {}",
                    load.invalid.join("; ")
                )),
                true => Outcome::Passed,
                false => Outcome::Failed(match threshold.observed {
                    Some(value) => format!("observed {}", crate::number::plain(value)),
                    None => "there was no sample".into(),
                }),
            };
            own(&format!("{} {}", threshold.metric, threshold.condition), outcome)
        }));
    }
    cases.extend(
        check
            .partial_faults
            .iter()
            .map(|(part, fault)| own(part, of_fault(fault))),
    );
    match &check.fault {
        Some(fault) => cases.push(own(state::kind(check.kind), of_fault(fault))),
        None if cases.is_empty() => cases.push(own(state::kind(check.kind), as_a_whole(report, check))),
        None => (),
    }
    Suite {
        name: check.id.clone(),
        duration_ms: check.duration_ms,
        cases,
    }
}

fn of_fault(fault: &Fault) -> Outcome {
    match fault.whose {
        Whose::Candidate => Outcome::Broken(fault.message.clone()),
        Whose::Exercise | Whose::Platform => Outcome::Skipped(fault.message.clone()),
    }
}

/// A check without test cases.
fn as_a_whole(report: &Report, check: &CheckReport) -> Outcome {
    match check.status {
        CheckStatus::Passed => Outcome::Passed,
        CheckStatus::NotScored => Outcome::Skipped("Not scored.".into()),
        CheckStatus::Failed => {
            let is_error = |finding: &&assay_core::evidence::Finding| {
                finding.check == check.id && finding.level == Level::Error
            };
            Outcome::Failed(crate::number::count(
                report.findings.iter().filter(is_error).count(),
                "finding of level error",
            ))
        }
    }
}

fn totals(name: &str, duration_ms: u64, cases: &[&Case]) -> Vec<(&'static str, String)> {
    let count = |wanted: fn(&Outcome) -> bool| {
        cases
            .iter()
            .filter(|case| wanted(&case.outcome))
            .count()
            .to_string()
    };
    vec![
        ("name", text::line(name)),
        ("tests", cases.len().to_string()),
        ("failures", count(|outcome| matches!(outcome, Outcome::Failed(_)))),
        ("errors", count(|outcome| matches!(outcome, Outcome::Broken(_)))),
        ("skipped", count(|outcome| matches!(outcome, Outcome::Skipped(_)))),
        ("time", seconds(duration_ms)),
    ]
}

fn write_suite(xml: &mut Writer<Vec<u8>>, suite: &Suite) -> io::Result<()> {
    let cases: Vec<&Case> = suite.cases.iter().collect();
    let attributes = totals(&suite.name, suite.duration_ms, &cases);
    let attributes = attributes.iter().map(|(name, value)| (*name, value.as_str()));
    xml.create_element("testsuite")
        .with_attributes(attributes)
        .write_inner_content(|xml| cases.iter().try_for_each(|case| write_case(xml, case)))?;
    Ok(())
}

fn write_case(xml: &mut Writer<Vec<u8>>, case: &Case) -> io::Result<()> {
    let (group, name, time) = (
        text::line(&case.group),
        text::line(&case.name),
        seconds(case.duration_ms),
    );
    let element = xml.create_element("testcase").with_attributes([
        ("classname", group.as_str()),
        ("name", name.as_str()),
        ("time", time.as_str()),
    ]);
    let (tag, message) = match &case.outcome {
        Outcome::Passed => {
            element.write_empty()?;
            return Ok(());
        }
        Outcome::Skipped(message) => ("skipped", message),
        Outcome::Failed(message) => ("failure", message),
        Outcome::Broken(message) => ("error", message),
    };
    let first = message
        .lines()
        .find(|line| !line.trim().is_empty())
        .map(text::line)
        .unwrap_or_default();
    let message = text::block(message);
    element.write_inner_content(|xml| {
        let outcome = xml
            .create_element(tag)
            .with_attribute(("message", first.as_str()));
        // JUnit's schema allows text in failures and errors, not in skipped tests.
        if tag == "skipped" {
            outcome.write_empty()?
        } else {
            outcome.write_text_content(BytesText::new(&message))?
        };
        Ok(())
    })?;
    Ok(())
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}
