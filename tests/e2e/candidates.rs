//! Tiny candidates, each named after what it does, each with the report that it must get.
//!
//! A candidate is the small exercise's reference solution with `tests/candidates/<name>/tree` laid over it. Its report is cut
//! down to what is promised and compared with `report.json` beside the tree; a new one lies in `report.json.actual`.

use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::house;

/// Assesses the candidate and compares.
#[track_caller]
fn check(name: &str, remove: &[&str]) {
    if !house::has_engine() {
        println!("skipped: no container engine answers");
        return;
    }
    let folder = house::workspace().join("tests/candidates").join(name);
    let repository = tempfile::tempdir().unwrap();
    make(&folder, repository.path(), remove).unwrap();
    let assessed = house::assess(&repository.path().to_string_lossy(), &[]).unwrap();
    let Some(report) = assessed.report else {
        panic!("{name} got no report:\n{}", assessed.said)
    };
    house::assert_nothing_left(report["run"]["id"].as_str().unwrap());

    let actual = serde_json::to_string_pretty(&promised(assessed.exit, &report)).unwrap() + "\n";
    let golden = folder.join("report.json");
    if std::fs::read_to_string(&golden).unwrap_or_default() != actual {
        let new = folder.join("report.json.actual");
        std::fs::write(&new, &actual).unwrap();
        panic!(
            "{name} got another report:\n{actual}\nto accept it:\n  cp {} {}",
            new.display(),
            golden.display()
        );
    }
}

fn make(folder: &Path, repository: &Path, remove: &[&str]) -> Result<()> {
    let exercise = house::greeting();
    house::overlay(&exercise.join("templates/python"), repository)?;
    house::git(repository, &["init", "-q"])?;
    house::git(repository, &["add", "-A"])?;
    house::git(repository, &["commit", "-q", "-m", "Start of the exercise"])?;
    house::overlay(&exercise.join("solutions/python/reference"), repository)?;
    std::fs::remove_file(repository.join("expected.yaml"))?;
    for path in remove {
        std::fs::remove_file(repository.join(path))?;
    }
    let tree = folder.join("tree");
    if tree.is_dir() {
        house::overlay(&tree, repository)?;
    }
    house::git(repository, &["add", "-A"])?;
    house::git(repository, &["commit", "-q", "-m", "Greet by name over HTTP"])?;
    Ok(())
}

/// What is promised of a report: points, how checks ended and why, which tests did not pass.
fn promised(exit: i32, report: &Value) -> Value {
    let list = |name: &str| report[name].as_array().cloned().unwrap_or_default();
    let points: Map<String, Value> = list("categories")
        .iter()
        .map(|category| {
            (
                category["id"].as_str().unwrap_or_default().to_owned(),
                category["score"].clone(),
            )
        })
        .collect();
    let checks: Map<String, Value> = list("checks")
        .iter()
        .map(|check| {
            let fault = &check["fault"];
            let ended = match fault["code"].as_str() {
                Some(code) => format!("{}: {} ({})", text(&check["status"]), code, text(&fault["whose"])),
                None => text(&check["status"]).to_owned(),
            };
            let partial = check["partial_faults"].as_object().cloned().unwrap_or_default();
            let partial: Vec<String> = partial
                .iter()
                .map(|(part, fault)| format!("{part}: {}", text(&fault["code"])))
                .collect();
            let value = if partial.is_empty() {
                json!(ended)
            } else {
                json!({"ended": ended, "parts": partial})
            };
            (text(&check["id"]).to_owned(), value)
        })
        .collect();
    let not_passed: Vec<String> = list("tests")
        .iter()
        .filter(|test| test["test"]["status"] != "passed")
        .map(|test| {
            format!(
                "{}: {}",
                text(&test["test"]["name"]),
                text(&test["test"]["status"])
            )
        })
        .collect();
    let mut rules: Vec<String> = list("findings")
        .iter()
        .map(|finding| format!("{} {}", text(&finding["tool"]), text(&finding["rule"])))
        .collect();
    rules.sort();
    rules.dedup();
    json!({
        "exit": exit,
        "total": report["score"]["total"],
        "range": report["score"]["range"],
        "points": points,
        "checks": checks,
        "tests not passed": not_passed,
        "rules broken": rules,
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

macro_rules! candidates {
    ($($test:ident: $name:literal $(without $removed:literal)?;)*) => { $(
        #[test]
        fn $test() {
            check($name, &[$($removed)?]);
        }
    )* };
}

candidates! {
    honest: "honest";
    loops_at_start: "loops-at-start";
    exits_at_once: "exits-at-once";
    eats_memory: "eats-memory";
    forks_forever: "forks-forever";
    floods_output: "floods-output";
    fills_disk: "fills-disk";
    calls_home: "calls-home";
    kills_everything: "kills-everything";
    dies_midway: "dies-midway";
    does_not_build: "does-not-build";
    writes_its_own_junit: "writes-its-own-junit";
    links_its_report: "links-its-report";
    skips_its_tests: "skips-its-tests";
    hides_from_linters: "hides-from-linters";
    overrides_commands: "overrides-commands";
    no_tests: "no-tests" without "tests/test_app.py";
}
