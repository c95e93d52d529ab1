use insta::assert_snapshot;

use super::*;
use crate::exercise::Exercise;
use crate::toolchain::Toolchain;

fn check<T: DeserializeOwned + Lint>(text: &str) -> String {
    match read::<T>("exercise.yaml", text) {
        Ok(_) => "no mistakes".into(),
        Err(mistakes) => mistakes
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

#[test]
fn all_mistakes_of_shape_come_at_once_with_their_places() {
    let text = "version: 1
slug: x
titel: X
tracks:
  python: {toolchain: python, colour: red}
app:
  port: eighty
  ready: {path: /health, timeout: 30}
checks:
  - {id: build, kind: biuld, timeout: 1m}
scoring: {categories: []}
";
    assert_snapshot!(check::<Exercise>(text), @r#"
    exercise.yaml:3:8: titel: unknown field `titel`, expected one of `version`, `slug`, `title`, `summary`, `tracks`, `services`, `app`, `overrides`, `checks`, `scoring`, `submission`
    exercise.yaml:5:39: tracks.python.colour: unknown field `colour`, expected `toolchain`
    exercise.yaml:7:9: app.port: invalid type: string "eighty", expected u16
    exercise.yaml:8:35: app.ready.timeout: invalid type: integer `30`, expected a time with its unit, such as `30s` (ms, s, m, h)
    exercise.yaml:10:23: checks[0].kind: unknown variant `biuld`, expected one of `build`, `style`, `unit`, `integration`, `load`, `security`, `rigour`, `command`
    exercise.yaml:1:1: missing field `title`
    "#);
}

#[test]
fn mistakes_of_meaning_have_hints() {
    let text = "version: 2
slug: X Y
title: ''
tracks: {}
app: {port: 80, ready: {path: health}}
checks:
  - {id: unit, kind: unit, timeout: 0s, registries: ['https://pypi.org']}
  - {id: unit, kind: integration, timeout: 1m, tests: ../secrets}
scoring:
  categories:
    - id: tests
      title: T
      scaled_by: {category: correctness, full_at: 50}
      lines:
        - {id: a, title: A, points: -1, tests: {check: nowhere}}
        - {id: b, title: B, points: 5}
";
    assert_snapshot!(check::<Exercise>(text), @r"
    exercise.yaml:1:10: version is not 1
      hint: this program reads version 1 of the format
    exercise.yaml:2:7: slug `X Y` is not a slug
      hint: use lower-case letters, digits and hyphens, at most 64
    exercise.yaml:3:8: title is empty
      hint: name the exercise
    exercise.yaml:4:9: tracks is empty
      hint: name at least one track and its toolchain
    exercise.yaml:5:31: app.ready.path does not start with /
      hint: give a path such as /health
    exercise.yaml:5:13: app.port is below 1024
      hint: the service does not run as root; use 8080
    exercise.yaml:7:37: checks[0].timeout is out of range
      hint: use 1s to 1h
    exercise.yaml:7:53: checks[0].registries is for the build only
      hint: remove it
    exercise.yaml:7:53: checks[0].registries `https://pypi.org` is not a host name
      hint: give names such as pypi.org, no URL, no address
    exercise.yaml:8:10: checks[1].id `unit` is there twice
      hint: give each check its own id
    exercise.yaml:8:55: checks[1].tests `../secrets` leaves the exercise
      hint: use a relative path without `..`
    exercise.yaml:7:3: checks has no build
      hint: unit, integration, load, security and rigour need a check of kind build
    exercise.yaml:11:5: scoring.categories the lines' points sum up to 4
      hint: make them sum up to 100
    exercise.yaml:13:29: scoring.categories[0].scaled_by.category is not above
      hint: name a category above this one
    exercise.yaml:15:37: scoring.categories[0].lines[0].points is not above 0
      hint: give it points or remove the line
    exercise.yaml:15:11: scoring.categories[0].lines[0] reads the check `nowhere`, which is not there
      hint: name one of the checks above
    exercise.yaml:16:11: scoring.categories[0].lines[1] has 0 rules
      hint: give exactly one of tests, coverage, ratio, findings, latency, errors, bugs
    ");
}

#[test]
fn hostile_files_are_refused_at_once() {
    assert_snapshot!(check::<Exercise>("a: [b"), @r"exercise.yaml:2:1: did not find expected ',' or ']' at line 2 column 1, while parsing a flow sequence");
    assert_snapshot!(check::<Exercise>(&"{a: ".repeat(100)), @r"exercise.yaml:1:0: brackets are nested deeper than 32");
    assert_snapshot!(check::<Exercise>(&" ".repeat(70_000)), @r"exercise.yaml: is 70000 bytes long; at most 65536 are read");
    assert_snapshot!(check::<Toolchain>("version: 1\nname: x\nname: y\n"), @r#"exercise.yaml:1:1: duplicate entry with key "name""#);
    assert_snapshot!(check::<Toolchain>("- a"), @r"exercise.yaml:1:1: invalid type: sequence, expected struct Toolchain");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[-a-z0-9:{}\\[\\], \n'\"&*!|>]{0,300}") {
        drop(check::<Exercise>(&text));
        drop(check::<Toolchain>(&text));
    }
}

#[test]
fn commands_can_be_there_more_than_once_and_need_no_build() {
    let exercise = |checks: &str| {
        format!(
            "version: 1
slug: x
title: X
tracks: {{ python: {{ toolchain: python }} }}
app: {{ port: 8080, ready: {{ path: /health }} }}
checks:
{checks}scoring:
  categories:
    - id: correctness
      title: Correctness
      lines:
        - {{ id: a, title: A, points: 100, tests: {{ check: a }} }}
"
        )
    };
    let good = "  - { id: a, kind: command, run: make lint, timeout: 10s }
  - { id: b, kind: command, run: test -f Dockerfile, timeout: 10s, isolate: true, limits: { pids: 64 } }
";
    assert_snapshot!(check::<Exercise>(&exercise(good)), @"no mistakes");
    let bad = "  - { id: a, kind: command, timeout: 10s, limits: { pids: 64 } }
  - { id: b, kind: style, run: make, isolate: true, timeout: 10s }
  - { id: c, kind: unit, timeout: 10s }
";
    assert_snapshot!(check::<Exercise>(&exercise(bad)), @r"
    exercise.yaml:7:5: checks[0].run is missing
      hint: give the command, such as `test -f Dockerfile`
    exercise.yaml:7:51: checks[0].limits is of a container that others use
      hint: add isolate: true, or set app.limits
    exercise.yaml:8:32: checks[1].run is for command only
      hint: remove it
    exercise.yaml:8:47: checks[1].isolate is for command only
      hint: remove it; checks of other kinds have containers of their own anyway
    exercise.yaml:7:3: checks has no build
      hint: unit, integration, load, security and rigour need a check of kind build
    exercise.yaml:12:5: scoring.categories rests on the candidate's own word with 100 points
      hint: give own tests and coverage 20 points at most
    ");
}
