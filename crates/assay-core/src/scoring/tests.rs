use std::collections::BTreeMap;

use insta::assert_snapshot;

use super::*;
use crate::evidence::{Coverage, FileCoverage, Finding, Level, TestCase, TestStatus};
use crate::exercise::{CheckKind, LatencyRule, Visibility};
use crate::load::{Counts, ErrorKind, Estimate, Latency, LoadSummary, Outcome, Ratio, Verification};
use crate::rigour::{Bug, BugOutcome};
use crate::yaml;

const EXERCISE: &str = "
version: 1
slug: x
title: X
tracks: {python: {toolchain: python}}
app: {port: 8080, ready: {path: /health}}
checks:
  - {id: build, kind: build, timeout: 1m}
  - {id: style, kind: style, timeout: 1m}
  - {id: unit, kind: unit, timeout: 1m}
  - {id: hidden, kind: integration, timeout: 1m, tests: verification/tests}
  - {id: load, kind: load, timeout: 1m, plan: load.yaml}
scoring:
  gate: 50
  categories:
    - id: correctness
      title: Correctness
      lines:
        - {id: all, title: All, points: 40, tests: {check: hidden, groups: [a], weights: {hard: 3}}}
    - id: tests
      title: Tests
      scaled_by: {category: correctness, zero_below: 20, full_at: 50}
      lines:
        - {id: cov, title: Cov, points: 20, coverage: {check: unit, of: lines, full_at: 80}, times: {check: style, part: asserting, whole: tests}}
    - id: latency
      title: Latency
      lines:
        - {id: p95, title: P95, points: 15, latency: {check: load, percentile: 95, p10: 60ms, median: 200ms}}
        - {id: errors, title: Errors, points: 5, errors: {check: load, zero_at: 2}}
    - id: style
      title: Style
      lines:
        - {id: lint, title: Lint, points: 20, findings: {check: style, tools: [ruff], error: 2, warning: 1, per_kloc: true}}
";

fn evidence() -> Evidence {
    let check = |id, kind| CheckEvidence::new(id, kind, Visibility::Visible);
    let mut checks = vec![
        check("build", CheckKind::Build),
        check("style", CheckKind::Style),
        check("unit", CheckKind::Unit),
        check("hidden", CheckKind::Integration),
        check("load", CheckKind::Load),
    ];
    checks[1].facts = BTreeMap::from([("asserting".into(), 4.0), ("tests".into(), 4.0)]);
    checks[1].findings = vec![finding("ruff", Level::Error), finding("other", Level::Error)];
    let lines = (1..=10).map(|line| (line, u64::from(line <= 8))).collect();
    let file = FileCoverage {
        lines,
        branches: BTreeMap::new(),
    };
    checks[2].coverage = Some(Coverage {
        files: BTreeMap::from([("a.py".into(), file)]),
    });
    checks[3].tests = vec![
        test("a", "easy", TestStatus::Failed),
        test("a", "hard", TestStatus::Passed),
        test("b", "other", TestStatus::Failed),
    ];
    checks[4].load = Some(load(200_000, 0));
    Evidence {
        checks,
        own_source_lines: 2000,
    }
}

fn test(group: &str, name: &str, status: TestStatus) -> TestCase {
    let message = String::new();
    TestCase {
        group: group.into(),
        name: name.into(),
        title: format!("{name} works"),
        status,
        message,
        duration_ms: 1,
    }
}

fn finding(tool: &str, level: Level) -> Finding {
    Finding {
        check: "style".into(),
        tool: tool.into(),
        rule: "F401".into(),
        level,
        category: CategoryId::Style,
        file: None,
        line: None,
        message: "unused import".into(),
        help: None,
        excerpt: None,
        exchange: None,
    }
}

fn load(p95_us: u64, n_failed: u64) -> LoadSummary {
    let errors = BTreeMap::from([(ErrorKind::Timeout, n_failed)]);
    let counts = Counts {
        scheduled: 100,
        sent: 100,
        ok: 100 - n_failed,
        errors,
        ..Counts::default()
    };
    let latency = Latency {
        count: 100,
        p95_us,
        ..Latency::default()
    };
    let outcome = Outcome {
        counts,
        latency,
        ..Outcome::default()
    };
    let parts = BTreeMap::from([("all".to_owned(), outcome.clone())]);
    LoadSummary {
        total: outcome,
        endpoints: parts.clone(),
        scenarios: parts,
        ..LoadSummary::default()
    }
}

fn check(change: impl FnOnce(&mut Evidence)) -> String {
    let exercise: Exercise = yaml::read("exercise.yaml", EXERCISE).unwrap();
    let mut evidence = evidence();
    change(&mut evidence);
    let card = score(&exercise, &evidence);
    let mut text = format!(
        "{} of {}, {:?}, gate {:?}",
        card.score.total, card.score.max, card.score.range, card.score.gate
    );
    for line in card.categories.iter().flat_map(|category| &category.lines) {
        let points = line.points.map_or("-".to_owned(), |points| points.to_string());
        let own = if line.self_reported { " (own word)" } else { "" };
        text += &format!("\n{} {points} of {}{own}: {}", line.id, line.max, line.reason);
    }
    text
}

#[test]
fn every_point_has_its_reason() {
    assert_snapshot!(check(|_| ()), @r"
    81.5 of 100, [81.5, 81.5], gate Some(true)
    all 30 of 40: 1 of 2 tests passed. Failed: easy works
    cov 20 of 20 (own word): 80.0 % of own lines covered (8 of 10); all points from 80 % on.
    p95 7.5 of 15: p95 of all requests is 200 ms (60ms earns 90 %, 200ms earns 50 %).
    errors 5 of 5: 0 of 100 requests failed (0.00 %).
    lint 19 of 20: 1 error, 0 warnings, 0 notes. Per thousand of 2000 own lines. First: unused import
    ");
}

#[test]
fn a_candidates_fault_gives_nothing_and_ours_takes_nothing() {
    let theirs = check(|evidence| evidence.checks[3].stop = Some(Stop::NotBuilt));
    assert_snapshot!(theirs, @r"
    31.5 of 100, [31.5, 31.5], gate Some(false)
    all 0 of 40: Not run, as the build did not succeed.
    cov 0 of 20 (own word): 80.0 % of own lines covered (8 of 10); all points from 80 % on. Counts 0 %, as correctness reached 0 % and all of this counts from 50 % on.
    p95 7.5 of 15: p95 of all requests is 200 ms (60ms earns 90 %, 200ms earns 50 %).
    errors 5 of 5: 0 of 100 requests failed (0.00 %).
    lint 19 of 20: 1 error, 0 warnings, 0 notes. Per thousand of 2000 own lines. First: unused import
    ");
    let ours = check(|evidence| {
        evidence.checks[3].stop = Some(Stop::HiddenTestsBroken {
            detail: "no result".into(),
        })
    });
    assert_snapshot!(ours, @r"
    51.5 of 100, [51.5, 91.5], gate Some(true)
    all - of 40: Not scored. The exercise's hidden tests could not be judged: no result.
    cov 20 of 20 (own word): 80.0 % of own lines covered (8 of 10); all points from 80 % on.
    p95 7.5 of 15: p95 of all requests is 200 ms (60ms earns 90 %, 200ms earns 50 %).
    errors 5 of 5: 0 of 100 requests failed (0.00 %).
    lint 19 of 20: 1 error, 0 warnings, 0 notes. Per thousand of 2000 own lines. First: unused import
    ");
}

#[test]
fn tests_that_assert_nothing_earn_nothing() {
    let text = check(|evidence| {
        evidence.checks[1].facts.insert("asserting".into(), 1.0);
    });
    assert!(text.contains("cov 5 of 20"), "{text}");
    let text = check(|evidence| evidence.checks[1].facts.clear());
    assert!(text.contains("cov - of 20"), "{text}");
}

#[test]
fn requests_that_fail_are_not_fast() {
    let text = check(|evidence| evidence.checks[4].load = Some(load(1_000, 60)));
    assert!(
        text.contains("p95 0 of 15") && text.contains("errors 0 of 5"),
        "{text}"
    );
    let text = check(|evidence| evidence.checks[4].load = Some(load(1_000, 1)));
    assert!(
        text.contains("p95 15 of 15") && text.contains("errors 2.5 of 5"),
        "{text}"
    );
    let text = check(|evidence| {
        if let Some(load) = &mut evidence.checks[4].load {
            load.invalid.push("the generator was starved".into());
        }
    });
    assert!(
        text.contains("p95 - of 15: Not scored. The measurement is not valid: the generator was starved."),
        "{text}"
    );
}

#[test]
fn answers_that_are_wrong_are_no_answers() {
    let with = |change: fn(&mut LoadSummary)| {
        let text = check(|evidence| {
            let mut load = load(1_000, 0);
            change(&mut load);
            evidence.checks[4].load = Some(load);
        });
        let lines = text
            .lines()
            .filter(|line| line.contains("p95 ") || line.contains("errors "));
        lines.map(str::trim).collect::<Vec<_>>().join("\n")
    };
    // One in ten was looked at, and one of those was wrong.
    let sampled = with(|load| {
        load.total.checks.passed = 9;
        load.total.checks.failed = 1;
        load.total.counts.ok = 99;
        load.total.counts.errors = BTreeMap::from([(ErrorKind::Check, 1)]);
        load.endpoints = BTreeMap::from([("all".to_owned(), load.total.clone())]);
        load.scenarios = load.endpoints.clone();
    });
    assert_snapshot!(sampled, @"
    p95 0 of 15: 10 % of all requests failed, so there is no p95 of good answers.
    errors 0 of 5: 1 of 100 requests failed; 1 of the 10 answers looked at in full was wrong, which counts for all (10.00 %).
    ");
    // All answers were good, but some of it was never done.
    let forgotten = with(|load| {
        load.verification = [(4, 0, "held"), (3, 1, "every task is there")]
            .map(|(passed, failed, name)| Verification {
                name: name.into(),
                passed,
                failed,
                examples: Vec::new(),
            })
            .to_vec();
    });
    assert_snapshot!(forgotten, @"
    p95 11.25 of 15: p95 of all requests is 1.0 ms (60ms earns 90 %, 200ms earns 50 %). It counts for 3 of 4 users only: for the others, this did not hold after the load: every task is there.
    errors 3.75 of 5: 0 of 100 requests failed (0.00 %). It counts for 3 of 4 users only: for the others, this did not hold after the load: every task is there.
    ");
}

#[test]
fn broken_tools_are_never_clean() {
    let stop = Stop::ToolBroken {
        tool: "ruff".into(),
        detail: "exit code 2".into(),
    };
    let text = check(|evidence| drop(evidence.checks[1].partial_stops.insert("ruff".into(), stop)));
    assert!(
        text.contains("lint - of 20: Not scored. ruff did not work: exit code 2."),
        "{text}"
    );
}

#[test]
fn beside_a_reference_only_what_is_sure_counts() {
    let rule: LatencyRule = serde_yaml::from_str(
        "{check: load, percentile: 95, p10: 60ms, median: 200ms, relative: {p10: 1.2, median: 2}}",
    )
    .unwrap();
    let scored = |ratio: Option<[f64; 3]>| {
        let mut evidence = evidence();
        let mut load = load(200_000, 0);
        load.estimates = vec![Estimate {
            endpoint: None,
            percentile: 95,
            value_us: 200_000,
            low_us: 190_000,
            high_us: 215_000,
            ratio: ratio.map(|[low, value, high]| Ratio {
                reference_us: 100_000,
                value,
                low,
                high,
            }),
        }];
        evidence.checks[4].load = Some(load);
        match rules::latency(&rule, &evidence.checks[4]) {
            Verdict::Share(share, reason) => format!("{share:.3}: {reason}"),
            other => format!("{other:?}"),
        }
    };
    let shown: Vec<String> = [
        Some([0.5, 0.7, 0.9]),
        Some([0.97, 1.1, 1.3]),
        Some([1.2, 1.3, 1.4]),
        Some([2.0, 2.0, 2.0]),
        None,
    ]
    .into_iter()
    .map(scored)
    .collect();
    assert_snapshot!(shown.join("\n"), @r"
    1.000: p95 of all requests is 200 ms (95 % sure: 190–215 ms), 0.70 times the reference (0.50–0.90): no slower than the reference, as far as is sure; 1.2 times earns 90 %, 2 times earns 50 %.
    1.000: p95 of all requests is 200 ms (95 % sure: 190–215 ms), 1.10 times the reference (0.97–1.30): no slower than the reference, as far as is sure; 1.2 times earns 90 %, 2 times earns 50 %.
    0.900: p95 of all requests is 200 ms (95 % sure: 190–215 ms), 1.30 times the reference (1.20–1.40): 1.20 times is sure and counts; 1.2 times earns 90 %, 2 times earns 50 %.
    0.500: p95 of all requests is 200 ms (95 % sure: 190–215 ms), 2.00 times the reference (2.00–2.00): 2.00 times is sure and counts; 1.2 times earns 90 %, 2 times earns 50 %.
    0.500: p95 of all requests is 200 ms (95 % sure: 190–215 ms): 60ms earns 90 %, 200ms earns 50 %. It counts alone, as there is no reference measurement.
    ");
}

proptest::proptest! {
    /// Whatever the numbers are, the score is a number between nothing and everything.
    #[test]
    fn scores_stay_in_range(
        statuses in proptest::collection::vec(0..4_u8, 0..20),
        p95_us in proptest::num::u64::ANY,
        n_failed in 0..=100_u64,
        facts in proptest::array::uniform2(proptest::num::f64::ANY),
        own_source_lines in proptest::num::u64::ANY,
        n_findings in 0..50_usize,
    ) {
        let exercise: Exercise = yaml::read("exercise.yaml", EXERCISE).unwrap();
        let mut evidence = evidence();
        evidence.own_source_lines = own_source_lines;
        let status = |n| [TestStatus::Passed, TestStatus::Skipped, TestStatus::Failed, TestStatus::Broken][usize::from(n)];
        evidence.checks[3].tests = statuses.iter().map(|n| test("a", "t", status(*n))).collect();
        evidence.checks[4].load = Some(load(p95_us, n_failed));
        evidence.checks[1].facts = BTreeMap::from([("asserting".into(), facts[0]), ("tests".into(), facts[1])]);
        evidence.checks[1].findings = vec![finding("ruff", Level::Warning); n_findings];
        let card = score(&exercise, &evidence);
        proptest::prop_assert!((0.0..=100.0).contains(&card.score.total));
        proptest::prop_assert!(card.score.range[0] <= card.score.range[1] && card.score.range[1] <= card.score.max);
        for line in card.categories.iter().flat_map(|category| &category.lines) {
            proptest::prop_assert!(line.points.is_none_or(|points| (0.0..=line.max).contains(&points)));
        }
    }
}

#[test]
fn bugs_count_only_where_the_tests_hold() {
    let bug = |id: &str, outcome| Bug {
        id: id.into(),
        description: format!("Bug {id}."),
        outcome,
        caught_by: Vec::new(),
        note: String::new(),
    };
    let with = |statuses: &[TestStatus], outcomes: &[BugOutcome]| {
        let mut check = CheckEvidence::new("rigour", CheckKind::Rigour, Visibility::Summary);
        check.tests = statuses.iter().map(|status| test("a", "t", *status)).collect();
        let bugs = ["x", "y", "z"].iter().zip(outcomes);
        check.bugs = bugs.map(|(id, outcome)| bug(id, *outcome)).collect();
        check
    };
    use BugOutcome::{Caught, Missed, NotRun};
    use TestStatus::{Failed, Passed, Skipped};
    let mut fault = with(&[Passed], &[Caught, NotRun]);
    fault.partial_stops.insert(
        "y".into(),
        Stop::EngineFailed {
            detail: "gone".into(),
        },
    );
    let cases = [
        with(&[Passed, Skipped], &[Caught, Caught, Caught]),
        with(&[Passed], &[Caught, Missed, Missed]),
        with(&[Passed, Failed], &[NotRun, NotRun]),
        with(&[], &[NotRun]),
        fault,
    ];
    let verdicts: Vec<String> = cases
        .iter()
        .map(|check| format!("{:?}", rules::bugs(check)))
        .collect();
    assert_snapshot!(verdicts.join("\n"), @r#"
    Share(1.0, "3 of 3 seeded bugs caught.")
    Share(0.3333333333333333, "1 of 3 seeded bugs caught. Missed: Bug y. (and 1 more)")
    Share(0.0, "On a correct service 1 of 2 black-box tests did not pass, so that a failure says nothing. First: t.")
    Share(0.0, "There are no black-box tests.")
    NotScored("The container engine failed: gone.")
    "#);
}
