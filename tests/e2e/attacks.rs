//! Submissions named after what they do, each with the report that it must get. Most are attacks: on the score, on the tests,
//! on the box, on the machine. Honest ones stand beside them.
//!
//! A submission is an exercise's reference solution with `tests/attacks/<name>/tree` laid over it. Its report is cut down to what
//! is promised and compared with `report.json` beside the tree; a new one lies in `report.json.actual`. Every container of the run
//! is held against the policy, and afterwards the machine is as before: an honest twin on the same exercise gets full marks at once.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::Result;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::house;
use crate::witness::{self, Witness};

/// What a submission begins with.
struct Basis<'a> {
    exercise: &'a Path,
    track: &'a str,
    /// Whether the twin is asked all that the exercise asks, instead of the little that `tests/attacks/twin.yaml` does.
    whole_twin: bool,
    /// Of the containers in which candidates' code runs.
    runtime: &'a str,
}

/// The runtime of all others, and of these where nobody says another.
const USUAL: &str = "runc";

/// The small exercise that `assay exercise new` makes.
fn greeting() -> Basis<'static> {
    Basis {
        exercise: house::greeting(),
        track: "python",
        whole_twin: false,
        runtime: USUAL,
    }
}

/// One with every kind of check, a database, and freedom to choose commands, which nobody but an attacker needs.
fn attacked<'a>(exercise: &'a Path, track: &'a str) -> Basis<'a> {
    Basis {
        exercise,
        track,
        whole_twin: false,
        runtime: USUAL,
    }
}

/// The same with candidates' code under gVisor.
fn under_gvisor(basis: Basis<'_>) -> Basis<'_> {
    Basis {
        runtime: "runsc",
        ..basis
    }
}

/// The same under load and nothing else: what differs lies in `tests/attacks/loaded`.
fn loaded() -> Basis<'static> {
    static EXERCISE: OnceLock<TempDir> = OnceLock::new();
    let dir = EXERCISE.get_or_init(|| {
        let (dir, attacks) = (
            tempfile::tempdir().unwrap(),
            house::workspace().join("tests/attacks"),
        );
        for layer in ["exercise", "loaded"] {
            house::overlay(&attacks.join(layer), dir.path()).unwrap();
        }
        dir
    });
    Basis {
        whole_twin: true,
        ..attacked(dir.path(), "python")
    }
}

/// Assesses the submission and compares.
#[track_caller]
fn check(name: &str, basis: &Basis<'_>, remove: &[&str]) {
    if !house::has_engine() {
        println!("skipped: no container engine answers");
        return;
    }
    if basis.runtime != USUAL && !house::has_gvisor() {
        println!("skipped: the engine has no runtime runsc");
        return;
    }
    let folder = house::workspace().join("tests/attacks").join(name);
    let (repository, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    make(&folder, basis, repository.path(), remove).unwrap();
    let witness = Witness::begin();
    let mut command = house::assay();
    command
        .args(["run", "--track", basis.track])
        .env("TMPDIR", temporary.path());
    if basis.runtime != USUAL {
        command.args(["--runtime", basis.runtime]);
    }
    let assessed = house::assessed(command, basis.exercise, &repository.path().to_string_lossy()).unwrap();
    let Some(report) = assessed.report else {
        panic!("{name} got no report:\n{}", assessed.said)
    };
    let run = report["run"]["id"].as_str().unwrap();
    let containers = witness.containers(run);
    house::assert_nothing_left(run);
    witness::assert_host_as_before(&containers, temporary.path());
    witness::assert_policy(&containers, basis.runtime);

    let actual = serde_json::to_string_pretty(&promised(assessed.exit, &report)).unwrap() + "\n";
    let golden = folder.join("report.json");
    if std::fs::read_to_string(&golden).unwrap_or_default() != actual {
        let new = folder.join("report.json.actual");
        std::fs::write(&new, &actual).unwrap();
        let said: Vec<&Value> = report["checks"].as_array().into_iter().flatten().collect();
        panic!(
            "{name} got another report:\n{actual}\n{said:#?}\nto accept it:\n  cp {} {}",
            new.display(),
            golden.display()
        );
    }
    if folder.join("tree").is_dir() {
        assess_twin(name, basis);
    }
}

/// An honest submission on the same exercise gets full marks, right after an attack.
#[track_caller]
fn assess_twin(after: &str, basis: &Basis<'_>) {
    let (dir, repository) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let exercise = if basis.whole_twin {
        basis.exercise
    } else {
        house::overlay(basis.exercise, dir.path()).unwrap();
        let file = dir.path().join("exercise.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let (head, _) = text.split_once("\nchecks:\n").unwrap();
        let asked = house::workspace().join("tests/attacks/twin.yaml");
        let asked = std::fs::read_to_string(asked).unwrap();
        std::fs::write(&file, format!("{head}\n{asked}")).unwrap();
        dir.path()
    };
    make(Path::new("/nowhere"), basis, repository.path(), &[]).unwrap();
    let mut command = house::assay();
    command.args(["run", "--track", basis.track]);
    let assessed = house::assessed(command, exercise, &repository.path().to_string_lossy()).unwrap();
    let report = assessed.report.unwrap_or_default();
    assert_eq!(
        report["score"]["total"], 100.0,
        "an honest twin after {after}:\n{}\n{report:#}",
        assessed.said
    );
}

fn make(folder: &Path, basis: &Basis<'_>, repository: &Path, remove: &[&str]) -> Result<()> {
    let Basis { exercise, track, .. } = basis;
    house::overlay(&exercise.join("templates").join(track), repository)?;
    house::git(repository, &["init", "-q"])?;
    house::git(repository, &["add", "-A"])?;
    house::git(repository, &["commit", "-q", "-m", "Start of the exercise"])?;
    house::overlay(
        &exercise.join("solutions").join(track).join("reference"),
        repository,
    )?;
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
    let mut promised = json!({
        "exit": exit,
        "total": report["score"]["total"],
        "range": report["score"]["range"],
        "points": points,
        "checks": checks,
        "tests not passed": not_passed,
        "rules broken": rules,
    });
    if let load @ Value::Object(_) = &report["load"] {
        promised["under load"] = under_load(load);
    }
    promised
}

/// Which kinds of errors there were, and what the service no longer knew at the end.
fn under_load(load: &Value) -> Value {
    let errors = load["total"]["counts"]["errors"]
        .as_object()
        .into_iter()
        .flatten();
    let errors: Vec<&String> = errors.map(|(kind, _)| kind).collect();
    let steps = load["verification"].as_array().into_iter().flatten();
    let forgotten: Vec<&str> = steps
        .filter(|step| step["failed"] != 0)
        .map(|step| text(&step["name"]))
        .collect();
    json!({"errors": errors, "forgotten": forgotten})
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

macro_rules! submissions {
    ($basis:expr => $($test:ident: $name:literal $(without $removed:literal)?;)*) => { $(
        #[test]
        fn $test() {
            check($name, &$basis, &[$($removed)?]);
        }
    )* };
}

submissions! { greeting() =>
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
    breaks_its_linters: "breaks-its-linters";
    overrides_commands: "overrides-commands";
    no_tests: "no-tests" without "tests/test_app.py";
    forges_everything: "forges-everything";
}

submissions! { attacked(&house::workspace().join("tests/attacks/exercise"), "python") =>
    honest_with_database: "honest-with-database";
    searches_its_box: "searches-its-box";
    bombs_its_testers: "bombs-its-testers";
    drowns_its_testers: "drowns-its-testers";
    takes_the_databases_place: "takes-the-databases-place";
    drips: "drips";
    sets_traps_in_its_build: "sets-traps-in-its-build";
}

submissions! { attacked(&house::workspace().join("tests/attacks/exercise"), "node") =>
    honest_in_node: "honest-in-node";
    configures_node: "configures-node";
}

submissions! { loaded() =>
    honest_under_load: "honest-under-load";
    recognises_the_load: "recognises-the-load";
    forgets_what_it_confirms: "forgets-what-it-confirms";
    answers_errors_with_200: "answers-errors-with-200";
}

// The same reports as without it. Some others differ: there a process can end the first one of its container, a fork bomb meets the
// limit of memory first, and thousands of sockets take their time. All of it is the candidate's doing.
submissions! { under_gvisor(attacked(&house::workspace().join("tests/attacks/exercise"), "python")) =>
    honest_under_gvisor: "honest-with-database";
}

submissions! { under_gvisor(greeting()) =>
    eats_memory_under_gvisor: "eats-memory";
}
