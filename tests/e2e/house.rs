//! What all tests share: the program, an exercise, repositories made with real git, and the promise that nothing stays behind.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

/// The folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The program under test, built beside this test's own binary.
pub(crate) fn assay() -> Command {
    let own = std::env::current_exe().unwrap();
    let program = own.ancestors().nth(2).unwrap().join("assay");
    assert!(
        program.is_file(),
        "{} is missing: build it first (`cargo build -p assay`)",
        program.display()
    );
    let mut command = Command::new(program);
    command.current_dir(workspace());
    command
}

/// Whether there is an engine; a missing one fails where it is required.
pub(crate) fn has_engine() -> bool {
    let answers = Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .output();
    let answers = answers.is_ok_and(|output| output.status.success());
    let required = std::env::var("ASSAY_REQUIRE_DOCKER").is_ok_and(|value| value == "1");
    assert!(answers || !required, "no container engine answers");
    answers
}

/// Whether the engine knows gVisor as `runsc`; a missing one fails where it is required.
pub(crate) fn has_gvisor() -> bool {
    let known = Command::new("docker")
        .args(["info", "--format", "{{json .Runtimes}}"])
        .output();
    let known = known.is_ok_and(|known| String::from_utf8_lossy(&known.stdout).contains("\"runsc\""));
    assert!(
        known || std::env::var("ASSAY_REQUIRE_GVISOR").as_deref() != Ok("1"),
        "ASSAY_REQUIRE_GVISOR=1, but the engine has no runtime runsc"
    );
    known
}

/// The small exercise that `assay exercise new` makes.
pub(crate) fn greeting() -> &'static Path {
    static EXERCISE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, dir) = EXERCISE.get_or_init(|| {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("greeting");
        let made = assay().args(["exercise", "new"]).arg(&dir).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        (temporary, dir)
    });
    dir
}

/// Runs git in a folder with a fixed identity and time.
pub(crate) fn git(dir: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=Candidate",
            "-c",
            "user.email=candidate@example.com",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .env("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z")
        .env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")
        .current_dir(dir)
        .output()
        .context("git does not start")?;
    ensure!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Copies a tree over another.
pub(crate) fn overlay(from: &Path, onto: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = onto.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir_all(&target)?;
            overlay(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// One assessment of a repository.
pub(crate) struct Assessed {
    /// The program's exit code.
    pub(crate) exit: i32,
    /// What it printed, for failures of tests.
    pub(crate) said: String,
    /// `report.json`, when one was written.
    pub(crate) report: Option<Value>,
}

/// Runs `assay run` on a repository with the small exercise.
pub(crate) fn assess(repository: &str, more: &[&str]) -> Result<Assessed> {
    let mut command = assay();
    command.args(["run", "--track", "python"]).args(more);
    assessed(command, greeting(), repository)
}

/// Runs `assay run` on a repository with any exercise; the command says everything but what all have in common.
pub(crate) fn assessed(mut command: Command, exercise: &Path, repository: &str) -> Result<Assessed> {
    let out = tempfile::tempdir()?;
    let output: Output = command
        .args(["--seed", "7", "--repo", repository, "--exercise"])
        .arg(exercise)
        .arg("--runner-images")
        .arg(workspace().join("runner-images"))
        .arg("--out")
        .arg(out.path())
        .output()?;
    let report = std::fs::read(out.path().join("report.json")).ok();
    let report = report.map(|text| serde_json::from_slice(&text)).transpose()?;
    let said = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    Ok(Assessed {
        exit: output.status.code().unwrap_or(-1),
        said,
        report,
    })
}

/// Nothing labelled with this run is left in the engine.
pub(crate) fn assert_nothing_left(run: &str) {
    for list in [&["ps", "-aq"][..], &["volume", "ls", "-q"]] {
        let filter = format!("label=assay.run={run}");
        let left = Command::new("docker")
            .args(list)
            .args(["--filter", &filter])
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&left.stdout),
            "",
            "docker {list:?} after run {run}"
        );
    }
}
