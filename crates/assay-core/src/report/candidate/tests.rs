use proptest::prelude::*;

use super::*;
use crate::evidence::{CheckEvidence, Evidence};
use crate::exercise::Exercise;
use crate::fault::Stop;
use crate::report::{ExerciseRef, RunInfo, Submission};
use crate::scoring::score;

/// `own` counts in proportion to `works`, as real exercises have it.
const EXERCISE: &str = "
version: 1
slug: x
title: X
tracks: {python: {toolchain: python}}
app: {port: 8080, ready: {path: /health}}
checks:
  - {id: a, kind: integration, timeout: 1m, tests: verification/tests}
  - {id: b, kind: unit, timeout: 1m}
  - {id: c, kind: style, timeout: 1m}
scoring:
  gate: 50
  categories:
    - id: correctness
      title: Works
      lines: [{id: all, title: All, points: 40, tests: {check: a}}]
    - id: tests
      title: Own
      scaled_by: {category: correctness, zero_below: 20, full_at: 50}
      lines: [{id: pass, title: Pass, points: 20, tests: {check: b}}]
    - id: style
      title: Style
      lines: [{id: lint, title: Lint, points: 20, findings: {check: c, tools: [ruff], error: 2, warning: 1}}]
";

const ALL: [Visibility; 3] = [Visibility::Visible, Visibility::Summary, Visibility::Hidden];

/// What a check found: a stop or none, statuses of tests, levels of findings. Every text of it carries `mark`.
#[derive(Debug, Clone)]
struct Found {
    stop: Option<bool>,
    tests: Vec<TestStatus>,
    findings: Vec<Level>,
}

impl Found {
    fn evidence(&self, id: &str, kind: CheckKind, visibility: Visibility, mark: &str) -> CheckEvidence {
        let mut check = CheckEvidence::new(id, kind, visibility);
        let detail = || format!("{mark} detail");
        check.stop = self.stop.map(|ours| match ours {
            true => Stop::EngineFailed { detail: detail() },
            false => Stop::ServiceDied { detail: detail() },
        });
        check.partial_stops =
            BTreeMap::from([(format!("{mark} part"), Stop::NoisyHost { detail: detail() })]);
        check.tests = self
            .tests
            .iter()
            .enumerate()
            .map(|(n, status)| TestCase {
                group: format!("{mark} group"),
                name: format!("{mark} name {n}"),
                title: format!("{mark} title {n}"),
                status: *status,
                message: format!("{mark} message"),
                duration_ms: 5,
            })
            .collect();
        check.findings = self
            .findings
            .iter()
            .map(|level| Finding {
                check: id.into(),
                tool: "ruff".into(),
                rule: format!("{mark} rule"),
                level: *level,
                category: CategoryId::Style,
                file: Some(format!("{mark} file")),
                line: Some(1),
                message: format!("{mark} finding"),
                help: Some(format!("{mark} help")),
                excerpt: None,
                exchange: None,
            })
            .collect();
        check.notes = vec![format!("{mark} note")];
        check.logs = vec![LogExcerpt {
            source: format!("{mark} source"),
            text: format!("{mark} log"),
            cut: false,
        }];
        check.facts = BTreeMap::from([(format!("{mark}.fact"), 1.0)]);
        check
    }
}

fn found() -> impl Strategy<Value = Found> {
    let stop = prop_oneof![3 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let status = prop::sample::select(vec![
        TestStatus::Passed,
        TestStatus::Skipped,
        TestStatus::Failed,
        TestStatus::Broken,
    ]);
    let level = prop::sample::select(vec![Level::Note, Level::Warning, Level::Error]);
    (
        stop,
        prop::collection::vec(status, 0..6),
        prop::collection::vec(level, 0..6),
    )
        .prop_map(|(stop, tests, findings)| Found {
            stop,
            tests,
            findings,
        })
}

fn exercise() -> Exercise {
    serde_yaml::from_str(EXERCISE).unwrap()
}

fn report(found: &[Found; 3], visibility: [Visibility; 3]) -> Report {
    let kinds = [CheckKind::Integration, CheckKind::Unit, CheckKind::Style];
    let checks = ["a", "b", "c"].iter().zip(kinds).zip(found).zip(visibility);
    let evidence = Evidence {
        checks: checks
            .map(|(((id, kind), found), visibility)| {
                found.evidence(id, kind, visibility, &format!("mark-of-{id}"))
            })
            .collect(),
        own_source_lines: 1_000,
    };
    let text = String::new;
    Report::new(
        ExerciseRef {
            slug: "x".into(),
            title: "X".into(),
            digest: text(),
        },
        Submission {
            repository: text(),
            reference: text(),
            tree: text(),
            commit: text(),
            track: text(),
            subject: text(),
            author: text(),
            authored_at_s: 0,
            n_commits: 1,
            own_source_lines: 1_000,
        },
        RunInfo {
            id: text(),
            started_at_ms: 0,
            duration_ms: 0,
            seed: 0,
            environment: BTreeMap::new(),
        },
        score(&exercise(), &evidence),
        &evidence,
        BTreeMap::new(),
    )
}

fn all_found() -> impl Strategy<Value = [Found; 3]> {
    [found(), found(), found()]
}

fn any_visibility() -> impl Strategy<Value = [Visibility; 3]> {
    let one = || prop::sample::select(ALL.to_vec());
    [one(), one(), one()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_of_a_check_that_is_not_visible_is_seen(found in all_found(), visibility in any_visibility()) {
        let seen = serde_json::to_string(&view(&report(&found, visibility))).unwrap();
        for (id, visibility) in ["a", "b", "c"].iter().zip(visibility) {
            let is_seen = seen.contains(&format!("mark-of-{id}"));
            prop_assert_eq!(is_seen, visibility == Visibility::Visible, "{}: {}", id, seen);
        }
    }

    #[test]
    fn what_a_hidden_check_finds_changes_nothing_that_is_seen(
        found in all_found(),
        other in found(),
        visibility in any_visibility(),
        which in 0..3_usize,
    ) {
        let mut visibility = visibility;
        visibility[which] = Visibility::Hidden;
        let mut changed = found.clone();
        changed[which] = other;
        prop_assert_eq!(view(&report(&found, visibility)), view(&report(&changed, visibility)));
    }

    #[test]
    fn events_show_no_text_of_a_check_that_is_not_visible(
        stopped in any::<Option<bool>>(),
        visibility in prop::sample::select(ALL.to_vec()),
    ) {
        let mut checks = exercise().checks;
        checks[0].visibility = visibility;
        let found = Found { stop: stopped, tests: vec![TestStatus::Failed], findings: vec![] };
        let evidence = found.evidence("a", CheckKind::Integration, visibility, "mark");
        let events = [
            Event::CheckProgressed { check: "a".into(), doing: "mark".into() },
            Event::CheckFinished {
                check: "a".into(),
                status: evidence.status(),
                fault: evidence.stop.as_ref().map(Stop::fault),
                duration_ms: 1,
                summary: CheckEvidence { partial_stops: BTreeMap::new(), ..evidence.clone() }.summary(),
            },
            Event::RunScored { total: 1.0, max: 2.0, range: [1.0, 1.0] },
            Event::RunEnded { outcome: crate::queue::Outcome::Scored, reason: "mark".into() },
            Event::RunTaken { worker: "mark".into(), execution: 1 },
            Event::CheckStarted { check: "mark".into() },
        ];
        let seen: Vec<Event> = events.iter().filter_map(|event| super::event(event, &checks)).collect();
        let text = serde_json::to_string(&seen).unwrap();
        prop_assert_eq!(text.contains("mark"), visibility == Visibility::Visible, "{}", text);
        prop_assert_eq!(text.contains("run_scored"), visibility != Visibility::Hidden, "{}", text);
    }
}

#[test]
fn disclosure_says_what_a_candidate_learns_of_seeded_bugs() {
    for disclosure in ["none", "count", "names"] {
        let check = format!("{{id: a, kind: rigour, timeout: 1m, bugs: b, disclosure: {disclosure}}}");
        let check: Check = serde_yaml::from_str(&check).unwrap();
        let found = Found {
            stop: None,
            tests: vec![TestStatus::Passed],
            findings: vec![],
        };
        let mut report = report(
            &[found.clone(), found.clone(), found],
            [check.seen(), Visibility::Visible, Visibility::Visible],
        );
        report.checks[0].kind = CheckKind::Rigour;
        report.bugs = vec![Bug {
            id: "id-of-bug".into(),
            description: "what-is-wrong".into(),
            outcome: crate::rigour::BugOutcome::Caught,
            caught_by: vec!["by-test".into()],
            note: String::new(),
        }];
        let text = serde_json::to_string(&view(&report)).unwrap();
        let names = [
            "id-of-bug",
            "what-is-wrong",
            "by-test",
            "mark-of-a log",
            "mark-of-a note",
        ];
        assert!(
            names
                .iter()
                .all(|name| text.contains(name) == (disclosure == "names")),
            "{text}"
        );
        assert_eq!(
            text.contains(r#""n_bugs":1,"n_caught":1"#),
            disclosure != "none",
            "{text}"
        );
        assert_eq!(text.contains("mark-of-a title 0"), disclosure != "none", "{text}");
        assert_eq!(view(&report).points.is_some(), disclosure != "none");
    }
}

#[test]
fn a_summary_is_counts_and_points() {
    let found = Found {
        stop: None,
        tests: vec![TestStatus::Passed, TestStatus::Failed],
        findings: vec![Level::Warning],
    };
    let report = report(
        &[found.clone(), found.clone(), found],
        [Visibility::Summary, Visibility::Visible, Visibility::Visible],
    );
    let seen = view(&report);
    insta::assert_snapshot!(
        serde_json::to_string(&seen.checks[0]).unwrap(),
        @r#"{"id":"a","kind":"integration","counts":{"status":"failed","stopped_by":null,"n_tests":2,"n_passed":1,"n_errors":0,"n_warnings":1,"n_notes":0,"n_bugs":0,"n_caught":0},"details":null}"#
    );
    let lines = seen.points.iter().flat_map(|points| &points.categories);
    let lines: Vec<String> = lines
        .flat_map(|category| &category.lines)
        .map(|line| format!("{:?} of {}: {:?}", line.points, line.max, line.reason))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    Some(20.0) of 40: None
    Some(10.0) of 20: Some("1 of 2 tests passed. Failed: mark-of-b title 1")
    Some(19.0) of 20: Some("0 errors, 1 warning, 0 notes. First: mark-of-c finding")
    "#);
}
