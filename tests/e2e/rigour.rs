//! Black-box tests of candidates, honest and not, against a reference service and two seeded bugs of it.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use crate::house;

/// Nothing but what the check needs.
const EXERCISE: &str = "\
version: 1
slug: greeting
title: Greeting
tracks:
  python: {toolchain: python}
app:
  port: 8080
  ready: {path: /health, timeout: 10s}
checks:
  - {id: build, kind: build, timeout: 2m}
  - {id: rigour, kind: rigour, timeout: 8m, bugs: verification/bugs}
  - {id: style, kind: style, timeout: 2m}
scoring:
  categories:
    - {id: tests, title: Own tests, lines: [{id: bugs, title: Bugs, points: 20, bugs: {check: rigour}}]}
    - {id: style, title: Style, lines: [{id: lint, title: Linter, points: 80, findings: {check: style, tools: [ruff], error: 1, warning: 1}}]}
";

/// Each is one replacement in the reference solution's `app/greeter.py`.
const BUGS: [(&str, &str, &str, &str); 2] = [
    (
        "greets-the-world",
        "It greets the world, whoever asks.",
        "    name = parse_qs(query).get(\"name\", [\"world\"])[0]\n",
        "    name = parse_qs(query).get(\"\", [\"world\"])[0]\n",
    ),
    (
        "says-text",
        "It says that JSON is text.",
        "        self.send_header(\"Content-Type\", \"application/json\")\n",
        "        self.send_header(\"Content-Type\", \"text/plain\")\n",
    ),
];

const ASK: &str = "\
import json, os, pathlib, random, urllib.request

def ask(path):
    with urllib.request.urlopen(os.environ['BASE_URL'] + path, timeout=5) as answer:
        return answer.headers['Content-Type'], json.load(answer)
";

/// What a candidate's black-box tests are, and what must come of them.
const CANDIDATES: [(&str, &str); 5] = [
    (
        "honest",
        "def test_name():\n    assert ask('/greeting?name=Ada')[1] == {'greeting': 'Hello, Ada!'}\n\
         def test_type():\n    assert ask('/greeting')[0] == 'application/json'\n",
    ),
    (
        "calls and asserts nothing",
        "def test_all():\n    ask('/greeting')\n",
    ),
    ("always fails", "def test_all():\n    assert False\n"),
    (
        "writes its own report",
        "import atexit\n\
         FAILED = '<testsuite tests=\"1\"><testcase name=\"t\"><failure/></testcase></testsuite>'\n\
         def lie():\n    pathlib.Path('/out/junit.xml').write_text(FAILED)\n    os._exit(1)\n\
         atexit.register(lie)\n\
         def test_all():\n    pass\n",
    ),
    (
        "remembers the rounds before",
        "PLACES = [pathlib.Path(place, 'was-here') for place in ('/tmp', '/dev/shm', '/work', '/built', '/deps', '/out')]\n\
         def test_all():\n    seen = any(place.exists() for place in PLACES)\n    for place in PLACES:\n        try:\n            place.touch()\n        except OSError:\n            pass\n    assert not seen\n",
    ),
];

const EXPECTED: &str = r#"honest: 20.0; 2 of 2 seeded bugs caught.; caught ["test_name"], caught ["test_type"]
calls and asserts nothing: 0.0; 0 of 2 seeded bugs caught. Missed: It greets the world, whoever asks. (and 1 more); missed [], missed []
always fails: 0.0; On a correct service 1 of 1 black-box test did not pass, so that a failure says nothing. First: test_all.; not_run [], not_run []
writes its own report: 0.0; On a correct service 1 of 1 black-box test did not pass, so that a failure says nothing. First: t.; not_run [], not_run []
remembers the rounds before: 0.0; 0 of 2 seeded bugs caught. Missed: It greets the world, whoever asks. (and 1 more); missed [], missed []
"#;

#[test]
fn a_bug_is_caught_by_what_a_service_does_and_by_nothing_else() {
    if !house::has_engine() {
        println!("skipped: no container engine answers");
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let exercise = exercise(work.path()).unwrap();
    let mut text = String::new();
    for (n, (name, tests)) in CANDIDATES.iter().enumerate() {
        let repository = work.path().join(format!("candidate-{n}"));
        candidate(&exercise, &repository, tests).unwrap();
        let report = assess(&exercise, &repository);
        let line = &report["categories"][0]["lines"][0];
        let bugs = report["bugs"].as_array().cloned().unwrap_or_default();
        let bugs: Vec<String> = bugs
            .iter()
            .map(|bug| format!("{} {}", bug["outcome"].as_str().unwrap(), bug["caught_by"]))
            .collect();
        text += &format!(
            "{name}: {}; {}; {}\n",
            line["points"],
            line["reason"].as_str().unwrap(),
            bugs.join(", ")
        );
    }
    assert_eq!(text, EXPECTED);
}

/// The small exercise with seeded bugs.
fn exercise(work: &Path) -> Result<std::path::PathBuf> {
    let dir = work.join("greeting");
    std::fs::create_dir(&dir)?;
    house::overlay(house::greeting(), &dir)?;
    std::fs::write(dir.join("exercise.yaml"), EXERCISE)?;
    let bugs = dir.join("verification/bugs/python");
    std::fs::create_dir_all(&bugs)?;
    // Git writes the patches.
    let reference = work.join("reference");
    std::fs::create_dir(&reference)?;
    house::overlay(&dir.join("solutions/python/reference"), &reference)?;
    house::git(&reference, &["init", "-q"])?;
    house::git(&reference, &["add", "-A"])?;
    house::git(&reference, &["commit", "-q", "-m", "The reference"])?;
    let file = reference.join("app/greeter.py");
    let right = std::fs::read_to_string(&file)?;
    for (id, description, good, bad) in BUGS {
        anyhow::ensure!(right.contains(good), "{id} is not a bug of {right}");
        std::fs::write(&file, right.replace(good, bad))?;
        let patch = house::git(&reference, &["diff"])?;
        std::fs::write(
            bugs.join(format!("{id}.patch")),
            format!("{description}\n\n{patch}"),
        )?;
    }
    Ok(dir)
}

fn candidate(exercise: &Path, repository: &Path, tests: &str) -> Result<()> {
    std::fs::create_dir(repository)?;
    house::overlay(&exercise.join("templates/python"), repository)?;
    std::fs::create_dir(repository.join("blackbox"))?;
    std::fs::write(repository.join("blackbox/test_it.py"), format!("{ASK}\n{tests}"))?;
    house::git(repository, &["init", "-q"])?;
    house::git(repository, &["add", "-A"])?;
    house::git(repository, &["commit", "-q", "-m", "Test from outside"])?;
    Ok(())
}

fn assess(exercise: &Path, repository: &Path) -> Value {
    let out = tempfile::tempdir().unwrap();
    let output = house::assay()
        .args(["run", "--track", "python", "--seed", "7", "--repo"])
        .arg(repository)
        .arg("--exercise")
        .arg(exercise)
        .arg("--runner-images")
        .arg(house::workspace().join("runner-images"))
        .arg("--out")
        .arg(out.path())
        .output()
        .unwrap();
    let report = std::fs::read(out.path().join("report.json"));
    let report = report.unwrap_or_else(|_| panic!("no report: {}", String::from_utf8_lossy(&output.stderr)));
    let report: Value = serde_json::from_slice(&report).unwrap();
    house::assert_nothing_left(report["run"]["id"].as_str().unwrap());
    report
}
