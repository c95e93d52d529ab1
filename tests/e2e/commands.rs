//! Checks of kind `command`: what they may do to each other.

use std::path::Path;

use serde_json::{Value, json};

use crate::house::{self, git};

/// Id, command, more fields, and how it must end. In the order of the plan: those without `isolate` share a container.
const COMMANDS: [(&str, &str, &str, &str); 9] = [
    ("there", "test -f README.md && test -x run.sh", "{}", "passed"),
    ("fails", "echo because of this; exit 3", "{}", "failed"),
    (
        "litters",
        "echo x >/tmp/left; echo x >kept; sleep 600 >/dev/null 2>&1 &",
        "{}",
        "passed",
    ),
    ("tree-stays", "test -e kept", "{}", "passed"),
    (
        "rest-is-gone",
        "test ! -e /tmp/left && for file in /proc/[0-9]*/comm; do ! grep -qx sleep $file || exit 1; done",
        "{}",
        "passed",
    ),
    ("hangs", "sleep 600", r#"{"timeout": "1s"}"#, "failed: timed_out"),
    (
        "begins-anew",
        "test -f README.md && test ! -e kept",
        "{}",
        "passed",
    ),
    (
        "alone",
        "test -f README.md && test ! -e kept && sleep 1",
        r#"{"isolate": true, "limits": {"pids": 64}}"#,
        "passed",
    ),
    (
        "eats-memory",
        "python3 -c 'x = bytearray(1 << 30)'",
        r#"{"isolate": true}"#,
        "failed: out_of_memory",
    ),
];

#[test]
fn commands_run_one_after_another_in_one_container_or_alone_in_theirs() {
    if !house::has_engine() {
        println!("skipped: no container engine answers");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (exercise, repository) = (dir.path().join("exercise"), dir.path().join("repository"));
    make_exercise(&exercise);
    make_repository(&repository);
    let mut command = house::assay();
    command.args(["run", "--track", "python"]);
    let assessed = house::assessed(command, &exercise, &repository.to_string_lossy()).unwrap();
    let Some(report) = assessed.report else {
        panic!("no report:\n{}", assessed.said)
    };
    house::assert_nothing_left(report["run"]["id"].as_str().unwrap());
    let checks = report["checks"].as_array().unwrap().iter();
    let commands = checks.filter(|check| check["kind"] == "command");
    let ended: Vec<String> = commands.map(ended).collect();
    let expected: Vec<String> = COMMANDS
        .iter()
        .map(|(id, _, _, ended)| format!("{id}: {ended}"))
        .collect();
    assert_eq!(ended, expected, "{}", assessed.said);
    let tests = report["tests"].as_array().unwrap();
    assert!(tests.iter().all(|test| test["self_reported"] == true));
    let failed = tests.iter().find(|test| test["check"] == "fails").unwrap();
    assert_eq!(failed["test"]["message"], "exit code 3\nbecause of this");
}

fn make_exercise(folder: &Path) {
    let mut checks: Vec<Value> = COMMANDS
        .iter()
        .map(|(id, run, more, _)| {
            let mut check = json!({"id": id, "kind": "command", "run": run, "timeout": "30s"});
            let more: Value = serde_json::from_str(more).unwrap();
            check
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            check
        })
        .collect();
    // Commands are the candidate's word, so most points have to rest on something else.
    checks.push(json!({"id": "style", "kind": "style", "timeout": "5m"}));
    let lines = json!([
        {"id": "there", "title": "There", "points": 20, "tests": {"check": "there"}},
        {"id": "style", "title": "Style", "points": 80, "findings": {"check": "style", "tools": ["ruff"], "error": 1, "warning": 1}},
    ]);
    let spec = json!({
        "version": 1, "slug": "commands", "title": "Commands",
        "tracks": {"python": {"toolchain": "python"}},
        "app": {"port": 8080, "ready": {"path": "/health"}},
        "checks": checks,
        "scoring": {"categories": [{"id": "correctness", "title": "Correctness", "lines": lines}]},
    });
    std::fs::create_dir_all(folder.join("templates/python")).unwrap();
    std::fs::write(folder.join("templates/python/NOTES"), "Nothing.\n").unwrap();
    std::fs::write(folder.join("README.md"), "Do it.\n").unwrap();
    // JSON is YAML.
    std::fs::write(folder.join("exercise.yaml"), spec.to_string()).unwrap();
}

fn make_repository(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    git(folder, &["init", "-q"]).unwrap();
    std::fs::write(folder.join("README.md"), "Hello\n").unwrap();
    std::fs::write(folder.join("run.sh"), "echo hello\n").unwrap();
    git(folder, &["add", "-A"]).unwrap();
    git(folder, &["update-index", "--chmod=+x", "run.sh"]).unwrap();
    git(folder, &["commit", "-q", "-m", "All of it"]).unwrap();
}

fn ended(check: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fault = check["fault"]["code"]
        .as_str()
        .map(|code| format!(": {code}"))
        .unwrap_or_default();
    format!("{}: {}{fault}", text(&check["id"]), text(&check["status"]))
}
