//! A forge from one end to the other: its hook, the clone, the checks in containers, and what it is told. And what a backup is
//! worth: a daemon that starts from it has all of that.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::house::{assay, git, greeting, has_engine, overlay, workspace};

const TOKEN: &str = "the-token-for-the-api-of-the-forge";
/// How long a small run may take on a busy machine.
const RUN_WITHIN: Duration = Duration::from_secs(400);

/// The forge of `forge.py`. Killed when it is dropped.
struct Forge {
    child: Child,
    url: String,
    calls: Arc<Mutex<Vec<Value>>>,
}

fn python(arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(workspace().join("tests/e2e/forge.py"))
        .args(arguments);
    command
}

impl Forge {
    fn start(folder: &Path) -> Result<Self> {
        let mut child = python(&["serve", &folder.display().to_string(), TOKEN])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?);
        let mut port = String::new();
        lines.read_line(&mut port)?;
        let calls: Arc<Mutex<Vec<Value>>> = Arc::default();
        let told = calls.clone();
        std::thread::spawn(move || listen(lines, &told));
        Ok(Self {
            child,
            url: format!("http://127.0.0.1:{}", port.trim()),
            calls,
        })
    }

    /// Sends a hook. Gives the status and the answer.
    fn hook(&self, hooked: &Value, event: &str, delivery: &str, body: &Value) -> Result<(u16, Value)> {
        let text = |name: &str| hooked[name].as_str().unwrap_or_default().to_owned();
        let mut child = python(&["hook", &text("hook_url"), &text("secret"), event, delivery])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no input")?;
        stdin.write_all(body.to_string().as_bytes())?;
        drop(stdin);
        let mut said = String::new();
        child
            .stdout
            .take()
            .context("no output")?
            .read_to_string(&mut said)?;
        child.wait()?;
        let (status, answer) = said.split_once(' ').context("no status")?;
        Ok((status.parse()?, serde_json::from_str(answer)?))
    }

    fn calls(&self) -> Vec<Value> {
        self.calls.lock().map(|calls| calls.clone()).unwrap_or_default()
    }
}

fn listen(lines: BufReader<ChildStdout>, calls: &Mutex<Vec<Value>>) {
    for line in lines.lines().map_while(Result::ok) {
        if let Ok(mut calls) = calls.lock() {
            calls.push(serde_json::from_str(&line).unwrap_or(Value::String(line)));
        }
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The reference solution in a repository of the forge. Gives its commit.
fn publish(folder: &Path) -> Result<String> {
    let bare = folder.join("acme/task.git");
    std::fs::create_dir_all(&bare)?;
    git(&bare, &["init", "--quiet", "--bare"])?;
    let work = TempDir::new()?;
    overlay(&greeting().join("solutions/python/reference"), work.path())?;
    std::fs::remove_file(work.path().join("expected.yaml"))?;
    git(work.path(), &["init", "--quiet"])?;
    git(work.path(), &["add", "--all"])?;
    git(work.path(), &["commit", "--quiet", "--message", "Greet"])?;
    git(
        work.path(),
        &[
            "push",
            "--quiet",
            &bare.display().to_string(),
            "HEAD:refs/heads/main",
        ],
    )?;
    Ok(git(work.path(), &["rev-parse", "HEAD"])?.trim().to_owned())
}

#[test]
fn a_hook_becomes_a_result_at_the_forge_and_a_backup_holds_all() -> Result<()> {
    if !has_engine() {
        println!("skipped: no container engine");
        return Ok(());
    }
    let dir = TempDir::new()?;
    let commit = publish(&dir.path().join("forge"))?;
    let forge = Forge::start(&dir.path().join("forge"))?;
    let data = dir.path().join("data");
    let daemon = Daemon::start(&data, &[])?;
    let token = dir.path().join("forge.token");
    std::fs::write(&token, TOKEN)?;
    let hooked = daemon.json(&[
        "connect",
        "add",
        "--forge",
        "gitea",
        "--base-url",
        &forge.url,
        "--exercise",
        "greeting",
        "--track",
        "python",
        "--repository",
        "acme/t*",
        "--forge-token-file",
        &token.display().to_string(),
        "--allow-private",
    ])?;
    let connections = daemon.json(&["connect", "list"])?;
    assert_eq!(connections[0]["repositories"], json!(["acme/t*"]));

    // The push and the request mean the same commit: one run.
    let repository = json!({"full_name": "acme/task", "default_branch": "main"});
    let push = json!({"ref": "refs/heads/main", "after": commit, "repository": repository});
    let request = json!({
        "action": "opened", "number": 7, "repository": repository,
        "pull_request": {"head": {"ref": "main", "sha": commit, "repo": repository}},
    });
    let (status, pushed) = forge.hook(&hooked, "push", "d1", &push)?;
    assert_eq!(
        (status, pushed["runs"].as_array().map(Vec::len)),
        (202, Some(1)),
        "{pushed}"
    );
    let (status, requested) = forge.hook(&hooked, "pull_request", "d2", &request)?;
    assert_eq!(
        (status, &requested["runs"]),
        (202, &pushed["runs"]),
        "{requested}"
    );
    let forged = json!({"hook_url": hooked["hook_url"], "secret": "another secret"});
    assert_eq!(forge.hook(&forged, "push", "d3", &push)?.0, 401);

    let deadline = Instant::now() + RUN_WITHIN;
    let is_told = |calls: &[Value]| {
        let has = |what: &str| {
            calls
                .iter()
                .any(|call| call["call"].as_str().is_some_and(|call| call.contains(what)))
        };
        has("comments") && calls.iter().any(|call| call["state"] == "success")
    };
    while !is_told(&forge.calls()) {
        ensure!(
            Instant::now() < deadline,
            "it is not told: {:#?}\n{}",
            forge.calls(),
            daemon.log()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    let calls = forge.calls();
    let of = |what: &'static str| {
        calls
            .iter()
            .filter(move |call| call["call"].as_str().is_some_and(|call| call.contains(what)))
    };
    let mut states: Vec<&Value> = of("/statuses/").map(|call| &call["state"]).collect();
    // The request, which came later, has the same said again.
    states.dedup();
    assert_eq!(states, ["pending", "success"], "{calls:#?}");
    assert!(
        of("/statuses/")
            .all(|call| call["call"].as_str().unwrap().ends_with(&commit)
                && call["context"] == "assay/greeting")
    );
    let comments: Vec<&str> = of("/issues/7/comments")
        .filter_map(|call| call["body"].as_str())
        .collect();
    assert_eq!(comments.len(), 1, "{calls:#?}");
    assert!(comments[0].contains("of 100"), "{}", comments[0]);
    let run = pushed["runs"][0].as_str().context("no run")?.to_owned();
    let runs = daemon.json(&["runs"])?;
    assert_eq!(
        (&runs[0]["id"], &runs[0]["outcome"]),
        (&json!(run), &json!("scored")),
        "{runs:#}\n{}",
        daemon.log()
    );

    let backup = dir.path().join("backup");
    let made = assay()
        .arg("backup")
        .arg(&backup)
        .arg("--data")
        .arg(&data)
        .output()?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let story = daemon.assay(&["logs", &run]).output()?.stdout;
    let report = fetched(&daemon, &run, &dir.path().join("report"))?;
    let removed = daemon
        .assay(&["connect", "remove", hooked["id"].as_str().unwrap_or_default()])
        .output()?;
    assert!(
        String::from_utf8_lossy(&removed.stdout).contains("  off  gitea"),
        "{removed:?}"
    );
    assert_eq!(forge.hook(&hooked, "push", "d4", &push)?.0, 404);
    let log = daemon.log();
    for secret in [TOKEN, hooked["secret"].as_str().unwrap_or("none")] {
        assert!(!log.contains(secret), "a secret is in the log:\n{log}");
    }
    daemon.terminate()?;
    std::fs::remove_dir_all(&data)?;

    // Only the backup is left.
    let restored = Daemon::start(&backup, &[])?;
    assert_eq!(restored.json(&["runs"])?, runs);
    // As they were when the backup was made, but for the port that this daemon has.
    let mut kept = restored.json(&["connect", "list"])?;
    kept[0]["hook_url"] = connections[0]["hook_url"].clone();
    assert_eq!(kept, connections);
    assert_eq!(restored.assay(&["logs", &run]).output()?.stdout, story);
    assert_eq!(fetched(&restored, &run, &dir.path().join("again"))?, report);
    // The forge's secrets are open to it, too: a hook is believed, and one that came before is known.
    let here = json!({"hook_url": format!("{}/hooks/{}", restored.url, hooked["id"].as_str().unwrap_or_default()), "secret": hooked["secret"]});
    let (status, answer) = forge.hook(&here, "push", "d1", &push)?;
    assert_eq!((status, &answer["runs"]), (200, &json!([])), "{answer}");
    let again = restored.assay(&["rescore", &run]).output()?;
    assert!(
        again.status.success(),
        "{}",
        String::from_utf8_lossy(&again.stderr)
    );
    Ok(())
}

/// A run's report in every format, by name.
fn fetched(daemon: &Daemon<'_>, run: &str, into: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let output = daemon
        .assay(&["report", run, "--out", &into.display().to_string()])
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut files = Vec::new();
    for entry in std::fs::read_dir(into)? {
        let entry = entry?;
        files.push((
            entry.file_name().to_string_lossy().into_owned(),
            std::fs::read(entry.path())?,
        ));
    }
    ensure!(!files.is_empty(), "no report");
    files.sort();
    Ok(files)
}
