//! JUnit XML, of whichever tool.
//!
//! The file is first brought into one canonical shape (one root, one level of suites, one outcome per test case, clean
//! numbers and texts) and then read with the `junit-parser` crate. By itself that crate loses entities in texts, lets the last
//! of several outcomes win, and overflows the stack on deep nesting.

use assay_core::evidence::{TestCase, TestStatus};
use junit_parser::TestStatus as Parsed;
use quick_xml::Writer;
use quick_xml::events::{BytesCData, BytesEnd, BytesStart, Event};

use crate::xml::{self, Element, Node};
use crate::{Broken, Limits, Problems, Read, text};

/// Reads a report.
///
/// # Errors
/// When the file is empty, beyond the limits, or no JUnit XML at all. A cut file gives the tests before the cut.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Read<Vec<TestCase>>, Broken> {
    let mut problems = Problems::default();
    let mut cases = Cases::default();
    xml::walk(bytes, FORMAT, limits, &mut problems, |node| cases.see(node))?;
    if !cases.is_junit {
        return Err(malformed("there is no <testsuite> in it"));
    }
    let canonical = canonical(&cases.done, limits).map_err(|error| malformed(&error.to_string()))?;
    let suites =
        junit_parser::from_reader(canonical.as_slice()).map_err(|error| malformed(&error.to_string()))?;
    let parsed = suites.suites.iter().flat_map(|suite| suite.cases.iter());
    let tests = parsed
        .zip(&cases.done)
        .map(|(parsed, case)| test_case(parsed, case))
        .collect();
    Ok(problems.with(tests))
}

const FORMAT: &str = "JUnit XML";

fn malformed(detail: &str) -> Broken {
    Broken::Malformed {
        format: FORMAT,
        detail: detail.to_owned(),
    }
}

/// A test case as found, before it is written canonically.
#[derive(Debug, Default)]
struct Case {
    name: String,
    group: String,
    title: Option<String>,
    seconds: f64,
    outcome: Option<Outcome>,
    messages: Vec<String>,
}

/// Worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Skipped,
    Failed,
    Errored,
}

#[derive(Debug, Default)]
struct Cases {
    is_junit: bool,
    suites: Vec<String>,
    current: Option<Case>,
    /// The outcome element that is open in the current case.
    outcome: Option<(Outcome, String)>,
    done: Vec<Case>,
}

impl Cases {
    fn see(&mut self, node: Node) {
        match node {
            Node::Open(element) => self.open(&element),
            Node::Close(name, text) => self.close(&name, &text),
        }
    }

    fn open(&mut self, element: &Element) {
        match element.name.as_str() {
            "testsuites" | "testrun" => self.is_junit = true,
            "testsuite" => {
                self.is_junit = true;
                self.suites.push(element.get("name").to_owned());
            }
            "testcase" => {
                self.finish_case();
                self.current = Some(self.case(element));
            }
            "property" if element.get("name") == "title" => {
                if let Some(case) = &mut self.current {
                    case.title = Some(element.get("value").to_owned());
                }
            }
            name => {
                if let (Some(outcome), Some(_)) = (outcome(name), &self.current) {
                    let said = [element.get("message"), element.get("type")];
                    let said = said.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
                    self.outcome = Some((outcome, said.to_owned()));
                }
            }
        }
    }

    fn case(&self, element: &Element) -> Case {
        let suite = self.suites.last().map_or("", String::as_str);
        let group = [element.get("classname"), element.get("class"), suite]
            .into_iter()
            .find(|text| !text.is_empty());
        let seconds = element
            .get("time")
            .replace(',', "")
            .parse::<f64>()
            .ok()
            .filter(|s| s.is_finite() && *s >= 0.0);
        let not_run = ["notrun", "disabled", "skipped", "ignored"];
        let outcome = not_run
            .contains(&element.get("status").to_ascii_lowercase().as_str())
            .then_some(Outcome::Skipped);
        Case {
            name: element.get("name").to_owned(),
            group: group.unwrap_or_default().to_owned(),
            title: None,
            seconds: seconds.unwrap_or(0.0).min(1e7),
            outcome,
            messages: Vec::new(),
        }
    }

    fn close(&mut self, name: &str, text: &str) {
        match name {
            "testsuite" => drop(self.suites.pop()),
            "testcase" => self.finish_case(),
            name if outcome(name).is_some() => {
                if let (Some((outcome, said)), Some(case)) = (self.outcome.take(), &mut self.current) {
                    case.outcome = case.outcome.max(Some(outcome));
                    let text = if text.trim().is_empty() {
                        said
                    } else {
                        join(&said, text.trim())
                    };
                    if case.messages.len() < 10 && !text.is_empty() {
                        case.messages.push(text);
                    }
                }
            }
            _ => (),
        }
    }

    fn finish_case(&mut self) {
        if let Some(case) = self.current.take() {
            self.done.push(case);
        }
    }
}

/// A message is often the first line of its text.
fn join(said: &str, text: &str) -> String {
    if said.is_empty() || text.contains(said) {
        text.to_owned()
    } else {
        format!("{said}\n{text}")
    }
}

fn outcome(name: &str) -> Option<Outcome> {
    match name {
        "skipped" => Some(Outcome::Skipped),
        "failure" => Some(Outcome::Failed),
        "error" => Some(Outcome::Errored),
        _ => None,
    }
}

fn canonical(cases: &[Case], limits: &Limits) -> std::io::Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new());
    writer.write_event(Event::Start(BytesStart::new("testsuites")))?;
    writer.write_event(Event::Start(
        BytesStart::new("testsuite").with_attributes([("name", "all")]),
    ))?;
    for case in cases {
        let time = format!("{:.3}", case.seconds);
        let name = text::line(&case.name, limits);
        let start =
            BytesStart::new("testcase").with_attributes([("name", name.as_str()), ("time", time.as_str())]);
        writer.write_event(Event::Start(start))?;
        if let Some(outcome) = case.outcome {
            let tag = match outcome {
                Outcome::Skipped => "skipped",
                Outcome::Failed => "failure",
                Outcome::Errored => "error",
            };
            let message = text::clean(&case.messages.join("\n"), limits);
            writer.write_event(Event::Start(BytesStart::new(tag)))?;
            for part in BytesCData::escaped(&message) {
                writer.write_event(Event::CData(part))?;
            }
            writer.write_event(Event::End(BytesEnd::new(tag)))?;
        }
        writer.write_event(Event::End(BytesEnd::new("testcase")))?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuite")))?;
    writer.write_event(Event::End(BytesEnd::new("testsuites")))?;
    Ok(writer.into_inner())
}

fn test_case(parsed: &junit_parser::TestCase, case: &Case) -> TestCase {
    let (status, message) = match &parsed.status {
        Parsed::Success => (TestStatus::Passed, String::new()),
        Parsed::Skipped(skipped) => (TestStatus::Skipped, skipped.text.clone()),
        Parsed::Failure(failure) => (TestStatus::Failed, failure.text.clone()),
        Parsed::Error(error) => (TestStatus::Broken, error.text.clone()),
    };
    let title = case.title.as_deref().map(|title| {
        text::line(
            title,
            &Limits {
                text_chars: 300,
                ..Limits::default()
            },
        )
    });
    TestCase {
        group: text::line(
            &case.group,
            &Limits {
                text_chars: 300,
                ..Limits::default()
            },
        ),
        name: parsed.name.clone(),
        title: title
            .filter(|title| !title.is_empty())
            .unwrap_or_else(|| parsed.name.clone()),
        status,
        message,
        duration_ms: (case.seconds * 1000.0) as u64,
    }
}
