//! The daemon as people use it: the real program, real git, and for the whole way the real container engine.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::house::{assay, git, greeting, has_engine, overlay, workspace};

/// How long the daemon may take to listen, or to end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Most memory of the daemon while a hundred pushes come in, in KiB.
const MOST_KIB: u64 = 100 << 10;

/// A running `assay serve` with a data folder of its own. Killed when it is dropped.
pub(crate) struct Daemon<'a> {
    child: Child,
    pub(crate) url: String,
    data: &'a Path,
}

impl<'a> Daemon<'a> {
    pub(crate) fn start(data: &'a Path, settings: &[&str]) -> Result<Self> {
        let log = std::fs::File::create(data.with_extension("log"))?;
        let mut command = assay();
        command
            .args(["serve", "--set", "http.listen=127.0.0.1:0"])
            .args(["--set", "worker.name=e2e", "--data"])
            .arg(data)
            .arg("--set")
            .arg(format!(
                "exercises.folder={}",
                greeting().parent().unwrap().display()
            ));
        for setting in settings {
            command.args(["--set", setting]);
        }
        let child = command.stderr(log).stdin(Stdio::null()).spawn()?;
        let mut daemon = Self {
            child,
            url: String::new(),
            data,
        };
        let line = daemon.until_logged("listening on ")?;
        let address = line.split("listening on ").nth(1).unwrap_or_default();
        let address = address.split([',', ' ']).next().unwrap_or_default();
        daemon.url = format!("http://{address}");
        Ok(daemon)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.data.with_extension("log")).unwrap_or_default()
    }

    fn until_logged(&mut self, text: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.log().lines().find(|line| line.contains(text)) {
                return Ok(line.to_owned());
            }
            let ended = self.child.try_wait()?;
            ensure!(
                ended.is_none() && Instant::now() < deadline,
                "the daemon does not say {text:?}: {ended:?}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A verb of the command line against this daemon.
    pub(crate) fn assay(&self, arguments: &[&str]) -> Command {
        let mut command = assay();
        command
            .args(arguments)
            .args(["--server", &self.url, "--token-file"])
            .arg(self.data.join("admin.token"))
            .env_remove("ASSAY_TOKEN");
        command
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.assay(arguments).arg("--json").output()?;
        ensure!(
            output.status.success(),
            "assay {arguments:?}: {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            self.log()
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Invites somebody and clones their repository: the folder, and the token that it was cloned with.
    fn invite_and_clone(&self, candidate: &str, into: &Path) -> Result<(Value, String)> {
        let invited = self.json(&["invite", "--exercise", "greeting", "--candidate", candidate])?;
        let token = invited["clone_token"].as_str().context("no token")?.to_owned();
        let url = invited["clone_url"].as_str().context("no address")?;
        let url = url.replacen("http://", &format!("http://git:{token}@"), 1);
        let parent = into.parent().context("no parent")?;
        git(parent, &["clone", "--quiet", &url, &into.display().to_string()])?;
        Ok((invited, token))
    }

    /// The most memory that it has had, in KiB.
    fn peak_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let line = line.context("no VmHWM")?.trim().trim_end_matches("kB");
        Ok(line.trim().parse()?)
    }

    pub(crate) fn terminate(mut self) -> Result<(ExitStatus, String)> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, self.log()));
            }
            ensure!(Instant::now() < deadline, "it does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Pushes, and gives what the terminal showed.
fn push(dir: &Path) -> Result<String> {
    let mut child = Command::new("git")
        .args(["push", "origin", "main"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_string(&mut said)?;
    }
    let status = child.wait()?;
    ensure!(status.success(), "git push: {status}\n{said}");
    Ok(said)
}

/// A page as a browser with cookies gets it.
fn read_page(url: &str) -> Result<String> {
    const READ: &str = "import sys, urllib.request as web; \
        print(web.build_opener(web.HTTPCookieProcessor()).open(sys.argv[1]).read().decode())";
    let read = Command::new("python3").args(["-c", READ, url]).output()?;
    ensure!(
        read.status.success(),
        "{url}: {}",
        String::from_utf8_lossy(&read.stderr)
    );
    Ok(String::from_utf8(read.stdout)?)
}

#[test]
fn a_candidate_pushes_and_an_interviewer_reads_the_report() -> Result<()> {
    if !has_engine() {
        println!("skipped: no container engine");
        return Ok(());
    }
    let dir = TempDir::new()?;
    let data = dir.path().join("data");
    let daemon = Daemon::start(&data, &[])?;
    let repository = dir.path().join("clone");
    let (invited, token) = daemon.invite_and_clone("Ada", &repository)?;
    let assignment = invited["assignment"]["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();

    overlay(&greeting().join("solutions/python/reference"), &repository)?;
    std::fs::remove_file(repository.join("expected.yaml"))?;
    git(&repository, &["add", "--all"])?;
    git(&repository, &["commit", "--quiet", "--message", "Greet"])?;
    let terminal = push(&repository)?;
    for shown in ["remote: Assay: ", "build", "integration", "success: "] {
        assert!(
            terminal.contains(shown),
            "no {shown:?} in\n{terminal}\n{}",
            daemon.log()
        );
    }

    let runs = daemon.json(&["runs", "--assignment", &assignment])?;
    assert_eq!(runs[0]["outcome"], "scored", "{runs:#}\n{}", daemon.log());
    assert!(runs[0]["score"]["total"].as_f64() > Some(60.0), "{runs:#}");
    let run = runs[0]["id"].as_str().context("no id")?.to_owned();
    let logs = daemon.assay(&["logs", &run, "--follow"]).output()?;
    let logs = String::from_utf8_lossy(&logs.stdout).into_owned();
    assert!(logs.trim_end().ends_with("ended: scored"), "{logs}");
    let out = dir.path().join("report");
    let fetched = daemon
        .assay(&["report", &run, "--out", &out.display().to_string()])
        .output()?;
    assert!(
        fetched.status.success(),
        "{}",
        String::from_utf8_lossy(&fetched.stderr)
    );
    let page = std::fs::read_to_string(out.join("report.html"))?;
    assert!(page.contains("Greeting"));
    let total = runs[0]["score"]["total"].as_f64().unwrap_or_default();
    let page = read_page(invited["page_url"].as_str().context("no page")?)?;
    assert!(
        page.contains(&format!("score-cell\">{total}<")),
        "no {total} in\n{page}"
    );

    let (status, log) = daemon.terminate()?;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("drained: every run that had begun has ended"),
        "{log}"
    );
    assert!(log.contains("drained: every request was answered"), "{log}");
    let admin = std::fs::read_to_string(data.join("admin.token"))?;
    for secret in [
        token.as_str(),
        admin.trim(),
        invited["page_url"].as_str().unwrap_or("no page"),
    ] {
        assert!(!log.contains(secret), "a secret is in the log:\n{log}");
    }

    // All is there after a restart, and a wrong token opens nothing.
    let daemon = Daemon::start(&data, &[])?;
    assert_eq!(daemon.json(&["runs", "--assignment", &assignment])?, runs);
    std::fs::write(data.join("wrong.token"), "assay_wrong")?;
    let refused = assay()
        .args(["runs", "--server", &daemon.url, "--token-file"])
        .arg(data.join("wrong.token"))
        .output()?;
    assert!(!refused.status.success());
    let wrong = daemon.url.replacen("http://", "http://git:assay_git_wrong@", 1);
    let refused = git(
        &repository,
        &["ls-remote", &format!("{wrong}/git/{assignment}.git")],
    );
    assert!(refused.is_err());
    Ok(())
}

#[test]
fn none_of_a_hundred_pushes_is_lost() -> Result<()> {
    const CANDIDATES: usize = 20;
    const PUSHES: usize = 5;
    let dir = TempDir::new()?;
    let data = dir.path().join("data");
    // Nobody carries runs out, and nobody waits for them.
    let daemon = Daemon::start(&data, &["worker.enabled=false", "git.push_progress=1ms"])?;
    let clones: Vec<_> = (0..CANDIDATES)
        .map(|i| dir.path().join(format!("clone-{i}")))
        .collect();
    for (i, clone) in clones.iter().enumerate() {
        daemon.invite_and_clone(&format!("Candidate {i}"), clone)?;
    }
    std::thread::scope(|scope| -> Result<()> {
        let pushing: Vec<_> = clones
            .iter()
            .map(|clone| {
                scope.spawn(move || -> Result<()> {
                    for n in 0..PUSHES {
                        let message = format!("Commit {n}");
                        git(
                            clone,
                            &["commit", "--quiet", "--allow-empty", "--message", &message],
                        )?;
                        push(clone)?;
                    }
                    Ok(())
                })
            })
            .collect();
        for thread in pushing {
            thread.join().map_err(|_| anyhow::anyhow!("a push panicked"))??;
        }
        Ok(())
    })?;
    let runs = daemon.json(&["runs"])?;
    let runs = runs.as_array().context("no list")?;
    let count = |key: &str, value: &str| runs.iter().filter(|run| run[key] == value).count();
    assert_eq!(runs.len(), CANDIDATES * PUSHES);
    assert_eq!(count("state", "queued"), CANDIDATES);
    assert_eq!(count("outcome", "superseded"), CANDIDATES * (PUSHES - 1));
    let peak = daemon.peak_kib()?;
    assert!(peak < MOST_KIB, "the daemon had {peak} KiB");
    let (status, log) = daemon.terminate()?;
    assert_eq!(status.code(), Some(0), "{log}");
    Ok(())
}

#[test]
fn mistakes_are_told_before_anything_starts() -> Result<()> {
    let output = assay()
        .args(["serve", "--set", "http.listn=x", "--set", "worker.lease=1s"])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(96), "{said}");
    assert!(
        said.contains("there is no key `http.listn`") && said.contains("worker.lease"),
        "{said}"
    );
    let printed = assay().arg("config").output()?;
    let checked = workspace().join("crates/assay/src/configuration/default.toml");
    assert_eq!(printed.stdout, std::fs::read(checked)?);
    Ok(())
}
