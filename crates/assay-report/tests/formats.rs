//! What each format makes of reports: a usual one, an empty one, a hostile one, and any.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use assay_core::report::Report;
use proptest::prelude::*;
use quick_xml::events::Event;
use serde_json::{Value, json};

const SAMPLE: &str = include_str!("data/sample.json");
const HOSTILE: &str =
    "<script>alert(1)</script>\"'&\u{202e}\u{0}]]>-->|`@all [x](javascript:alert(1)) {{7*7}}";

fn sample() -> Report {
    let mut report: Report = serde_json::from_str(SAMPLE).unwrap();
    report.bugs = serde_json::from_value(json!([
        {"id": "lost-update", "description": "It loses updates.", "outcome": "missed", "caught_by": [], "note": ""},
        {"id": "late", "description": "It is late.", "outcome": "caught", "caught_by": ["test_time"], "note": ""},
    ]))
    .unwrap();
    report
}

fn empty() -> Report {
    let mut report = sample();
    for category in &mut report.categories {
        category.lines.iter_mut().for_each(|line| line.points = None);
        (category.score, category.scored) = (0.0, false);
    }
    (report.score.total, report.score.range, report.score.gate) = (0.0, [0.0, 100.0], None);
    (report.coverage, report.load) = (None, None);
    report.checks.clear();
    report.tests.clear();
    report.findings.clear();
    report.digests.clear();
    report
}

fn all_formats(report: &Report) -> [String; 4] {
    [
        assay_report::html(report).unwrap(),
        assay_report::markdown(report).unwrap(),
        assay_report::junit(report).unwrap(),
        assay_report::sarif(report).unwrap(),
    ]
}

/// Every string of a value, keys of maps left alone.
fn each_string(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_string(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|item| each_string(item, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

fn is_xml(text: &str) {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut depth = 0;
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => {
                assert!(tag.attributes().all(|attribute| attribute.is_ok()));
                depth += 1;
            }
            Event::End(_) => depth -= 1,
            Event::Eof => break,
            _ => (),
        }
    }
    assert_eq!(depth, 0);
}

/// Ids that are linked to, and ids that there are.
fn ids(html: &str) -> (Vec<&str>, Vec<&str>) {
    let all = |before: &str| {
        html.split(before)
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect()
    };
    (all("href=\"#"), all(" id=\""))
}

#[test]
fn the_markdown_is_short_and_whole() {
    insta::assert_snapshot!(assay_report::markdown(&sample()).unwrap());
}

#[test]
fn the_junit_has_a_suite_per_check() {
    let junit = assay_report::junit(&sample()).unwrap();
    is_xml(&junit);
    insta::assert_snapshot!(junit);
}

#[test]
fn the_sarif_has_a_run_per_tool() {
    insta::assert_snapshot!(assay_report::sarif(&sample()).unwrap());
}

#[test]
fn the_page_says_what_matters() {
    let html = assay_report::html(&sample()).unwrap();
    let wanted = [
        "Score 70.9 of 100",
        "Gate passed",
        "the full score lies between 70.9 and 74.9",
        "−10",
        "Expected [3, 1], received [1, 3]",
        "API8:2023 Security Misconfiguration",
        "12-40, 44, 58-95",
        "1 timed out, 3 server errors",
        "aria-label=\"Correctness: 24.5 of 30, solid\"",
        "The service died: signal 11",
        "1 of 2 seeded bugs caught",
        "<code>test_time</code>",
    ];
    for words in wanted {
        assert!(html.contains(&words.replace('\'', "&#39;")), "{words}");
    }
    assert_eq!(html.matches("<h1").count(), 1);
}

#[test]
fn links_lead_to_places_in_the_page_and_ids_are_unique() {
    for report in [sample(), empty()] {
        let html = assay_report::html(&report).unwrap();
        let (links, mut ids) = ids(&html);
        for link in links {
            assert!(ids.contains(&link), "#{link} leads nowhere");
        }
        ids.sort_unstable();
        let n = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), n, "an id is there twice");
        for loaded in ["src=", "<link", "url(", "<script", "@import", " on"] {
            let is_attribute = |rest: &&str| {
                loaded != " on"
                    || rest
                        .split('=')
                        .next()
                        .is_some_and(|name| name.len() < 12 && name.chars().all(|c| c.is_ascii_lowercase()))
            };
            assert!(
                !html.split(loaded).skip(1).any(|rest| is_attribute(&rest)),
                "{loaded} in the page"
            );
        }
    }
}

#[test]
fn an_empty_report_is_a_report() {
    let [html, markdown, junit, sarif] = all_formats(&empty());
    assert!(html.contains("Gate open") && html.contains("What was not scored, and why"));
    assert!(markdown.contains("100 not scored") || markdown.contains("30 not scored"));
    is_xml(&junit);
    assert_eq!(serde_json::from_str::<Value>(&sarif).unwrap()["runs"], json!([]));
}

#[test]
fn nothing_of_a_hostile_report_is_active() {
    let mut value: Value = serde_json::from_str(SAMPLE).unwrap();
    // Enumerations stay what they are; all other strings become hostile.
    let names = [
        "build",
        "style",
        "unit",
        "integration",
        "load",
        "security",
        "visible",
        "summary",
        "hidden",
        "passed",
        "failed",
        "not_scored",
        "broken",
        "skipped",
        "candidate",
        "exercise",
        "platform",
        "correctness",
        "tests",
        "latency",
        "documentation",
        "error",
        "warning",
        "note",
    ];
    each_string(&mut value, &mut |text| {
        if !names.contains(&text.as_str()) {
            HOSTILE.clone_into(text);
        }
    });
    let report: Report = serde_json::from_value(value).unwrap();
    let formats = all_formats(&report);
    let [html, markdown, junit, _] = &formats;
    for text in [html, markdown, junit] {
        assert!(!text.contains("<script") && !text.contains('\u{202e}') && !text.contains('\0'));
    }
    assert!(html.contains("&#60;script&#62;") && html.contains("⟨U+202E⟩"));
    assert!(!html.contains("href=\"javascript"));
    assert!(
        !markdown.contains("@all") && !markdown.contains("x](") && !markdown.contains("javascript:alert")
    );
    is_xml(junit);
}

#[test]
fn numbers_that_are_none_are_not_shown() {
    let mut report = sample();
    report.score.total = f64::NAN;
    report.score.range = [f64::NAN, f64::INFINITY];
    report.categories[0].max = f64::NAN;
    report.categories[0].lines[0].points = Some(f64::NEG_INFINITY);
    report.categories[1].max = 0.0;
    let load = report.load.as_mut().unwrap();
    load.total.throughput = f64::NAN;
    load.thresholds[0].observed = Some(f64::INFINITY);
    for text in all_formats(&report) {
        assert!(!text.contains("NaN") && !text.contains("inf "), "{text}");
    }
}

/// Number of leaves of a value.
fn n_leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(n_leaves).sum::<usize>(),
        Value::Object(fields) => fields.values().map(n_leaves).sum(),
        _ => 1,
    }
}

/// Changes the leaf with this number; lists count as leaves too, and lose their last item.
fn change(value: &mut Value, index: &mut usize, number: u64, words: &str) {
    let here = *index == 0;
    match value {
        Value::Object(fields) => {
            fields
                .values_mut()
                .for_each(|field| change(field, index, number, words));
            return;
        }
        Value::Array(items) => {
            if here && !matches!(number % 2, 0 if items.len() == 2) {
                items.pop();
            }
            *index = index.wrapping_sub(1);
            items
                .iter_mut()
                .for_each(|item| change(item, index, number, words));
            return;
        }
        Value::String(text) if here => words.clone_into(text),
        Value::Number(_) if here => *value = json!(number),
        Value::Bool(is) if here => *is = !*is,
        _ => (),
    }
    *index = index.wrapping_sub(1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_report_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![Just(0), Just(1), Just(u64::MAX), any::<u64>()], "\\PC{0,40}"), 1..60)
    ) {
        let mut value: Value = serde_json::from_str(SAMPLE).unwrap();
        for (index, number, words) in changes {
            let mut changed = value.clone();
            change(&mut changed, &mut index.index(n_leaves(&value)), number, &words);
            // A change that makes it something else than a report is none.
            if serde_json::from_value::<Report>(changed.clone()).is_ok() {
                value = changed;
            }
        }
        let report: Report = serde_json::from_value(value).unwrap();
        let [html, _, junit, _] = all_formats(&report);
        prop_assert!(!html.contains("NaN") && !html.contains(">inf"));
        is_xml(&junit);
    }
}
