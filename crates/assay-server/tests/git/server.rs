//! A server on a free port with one assignment, and git clients beside it.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use assay_core::assignment::AssignmentState;
use assay_core::event::Event;
use assay_core::exercise::SubmitOn;
use assay_core::id::{AssignmentId, TokenId};
use assay_core::queue::Outcome;
use assay_engine::Exercises;
use assay_server::{App, Settings};
use assay_store::Store;
use assay_store::model::{Assignment, Candidate, Finish, Origin, Run, Token, TokenKind};
use metrics_exporter_prometheus::PrometheusBuilder;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const TOKEN: &str = "assay_git_0123456789abcdefghjkmnpqrstvwxyz";
pub(crate) const SEEDED_AT_S: i64 = 1_790_000_000;

pub(crate) struct Server {
    pub(crate) scratch: TempDir,
    pub(crate) app: App,
    pub(crate) address: String,
    pub(crate) id: AssignmentId,
}

/// How an assignment differs from one that is open, without end and checked at every push.
#[derive(Clone, Copy, Default)]
pub(crate) struct With {
    pub(crate) submit_on: SubmitOn,
    pub(crate) attempts: Option<u32>,
    pub(crate) due_at_ms: Option<i64>,
    pub(crate) max_push_bytes: Option<u64>,
}

impl Server {
    pub(crate) async fn start(with: With) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", scratch.path().join("assay.db").display());
        let store = Store::open(&database, &scratch.path().join("blobs"))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let (exercises, mistakes) = Exercises::read(&root.join("exercises"), &root.join("runner-images"));
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let settings = Settings {
            public_url: address.clone(),
            repositories: scratch.path().join("repositories"),
            archives: scratch.path().join("archives"),
            max_push_bytes: with.max_push_bytes.unwrap_or(100 << 20),
            push_progress: Duration::from_secs(600),
            behind_proxy: false,
            retention: Duration::from_secs(60),
            key: assay_server::hooks::sealing::SealingKey::new([0; 32]),
            oidc: None,
        };
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let app = App::new(
            store,
            exercises,
            settings,
            metrics,
            CancellationToken::new(),
            TaskTracker::new(),
        );
        let id: AssignmentId = "alice".parse().unwrap();
        let server = Self {
            scratch,
            app,
            address,
            id,
        };
        server.invite("alice", TOKEN, with).await;
        let (router, stop) = (
            assay_server::router(server.app.clone()),
            server.app.shutdown().clone(),
        );
        tokio::spawn(async move { assay_server::serve(listener, router, &stop, Duration::ZERO).await });
        server
    }

    pub(crate) async fn invite(&self, id: &str, secret: &str, with: With) {
        let id: AssignmentId = id.parse().unwrap();
        let assignment = Assignment {
            id: id.clone(),
            exercise: "task-sync".to_owned(),
            track: "python".to_owned(),
            candidate: Some(Candidate {
                name: "A".to_owned(),
                email: None,
            }),
            origin: Origin::Hosted,
            state: AssignmentState::Open,
            submit_on: with.submit_on,
            attempts: with.attempts,
            due_at_ms: with.due_at_ms,
            extended_to_ms: None,
            created_by: None,
            created_at_ms: 0,
            retain_until_ms: None,
            archived_at_ms: None,
        };
        self.app.store().create_assignment(&assignment).await.unwrap();
        let token = Token {
            id: TokenId::from_random(rand::random()),
            kind: TokenKind::Git,
            subject: id.to_string(),
            name: String::new(),
            secret_sha256: Sha256::digest(secret.as_bytes()).into(),
            scopes: Vec::new(),
            created_at_ms: 0,
            expires_at_ms: None,
            revoked_at_ms: None,
            last_used_at_ms: None,
        };
        self.app.store().add_token(&token).await.unwrap();
        let files = [
            ("README.md", &b"# Begin\n"[..]),
            ("src/main.py", b"print()\n"),
            ("run", b"#!/bin/sh\n"),
        ];
        let files = files
            .map(|(path, content)| (path.to_owned(), content.to_owned()))
            .into();
        assay_git::host::create(&self.repository_of(&id), &files, "begin", SEEDED_AT_S).unwrap();
    }

    pub(crate) fn repository_of(&self, id: &AssignmentId) -> PathBuf {
        assay_server::git::repository(&self.app, id)
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.repository_of(&self.id)
    }

    pub(crate) fn url_with(&self, secret: &str) -> String {
        let host = self.address.strip_prefix("http://").unwrap();
        format!("http://candidate:{secret}@{host}/git/{}.git", self.id)
    }

    pub(crate) fn url(&self) -> String {
        self.url_with(TOKEN)
    }

    /// A git client in a folder of its own, with nothing of this machine.
    pub(crate) fn git(&self, folder: &str, args: &[&str]) -> Command {
        let dir = self.scratch.path().join(folder);
        std::fs::create_dir_all(&dir).unwrap();
        let mut command = Command::new("git");
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.scratch.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .env("no_proxy", "*")
            .env("GIT_AUTHOR_NAME", "A")
            .env("GIT_AUTHOR_EMAIL", "a@localhost")
            .env("GIT_COMMITTER_NAME", "A")
            .env("GIT_COMMITTER_EMAIL", "a@localhost")
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// What it prints, once it has succeeded.
    pub(crate) async fn ok(&self, folder: &str, args: &[&str]) -> String {
        let output = self.git(folder, args).output().await.unwrap();
        let shown = shown(&output);
        assert!(output.status.success(), "git {args:?}: {shown}");
        shown
    }

    /// What it prints, once it has failed.
    pub(crate) async fn fails(&self, folder: &str, args: &[&str]) -> String {
        let output = self.git(folder, args).output().await.unwrap();
        let shown = shown(&output);
        assert!(!output.status.success(), "git {args:?}: {shown}");
        shown
    }

    pub(crate) async fn clone_into(&self, folder: &str) {
        self.ok(".", &["clone", "-q", &self.url(), folder]).await;
    }

    /// A commit that changes one file to this.
    pub(crate) async fn commit(&self, folder: &str, file: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.scratch.path().join(folder).join(file), content).unwrap();
        self.ok(folder, &["add", "-A"]).await;
        self.ok(folder, &["commit", "-qm", file]).await;
        self.ok(folder, &["rev-parse", "HEAD"]).await.trim().to_owned()
    }

    pub(crate) async fn runs(&self) -> Vec<Run> {
        self.app.store().runs_of(&self.id).await.unwrap()
    }

    /// Waits until there are this many runs.
    pub(crate) async fn until_runs(&self, n: usize) -> Vec<Run> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let runs = self.runs().await;
            if runs.len() >= n {
                return runs;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "there are {} runs",
                runs.len()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A worker that takes the next run and says that these things happen in it.
    pub(crate) async fn play(&self, events: &[Event], outcome: Outcome) -> Run {
        let store = self.app.store();
        let (lease, run, _) = store.claim("w", now_ms(), 60_000).await.unwrap().unwrap();
        assert!(store.append_events(&lease, events, now_ms()).await.unwrap());
        let finish = Finish {
            outcome,
            reason: String::new(),
            score: None,
            files: Vec::new(),
        };
        assert!(store.finish(&lease, &finish, now_ms()).await.unwrap());
        run
    }

    /// Pushes, and plays a run of nothing as soon as there is one more.
    pub(crate) async fn push(&self, folder: &str, args: &[&str]) -> String {
        let n = self.runs().await.len();
        let play = async {
            self.until_runs(n + 1).await;
            self.play(&[], Outcome::Scored).await
        };
        tokio::join!(self.ok(folder, args), play).0
    }

    /// Waits until a reference of the repository is this.
    pub(crate) async fn value(&self, reference: &str) -> String {
        self.ok(
            ".",
            &[
                "--git-dir",
                self.repository().to_str().unwrap(),
                "rev-parse",
                reference,
            ],
        )
        .await
        .trim()
        .to_owned()
    }

    /// Nothing is left of any push: no half-received pack, no lock, no process.
    pub(crate) async fn is_clean(&self) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let left = leftovers(&self.repository());
            let processes = processes_in(self.scratch.path());
            if left.is_empty() && processes.is_empty() && self.app.tasks().is_empty() {
                return;
            }
            let n_tasks = self.app.tasks().len();
            assert!(
                tokio::time::Instant::now() < deadline,
                "left behind: {left:?}, processes {processes:?}, {n_tasks} tasks"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(crate) fn shown(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]]
        .map(String::from_utf8_lossy)
        .concat()
}

/// The `remote:` lines, without the padding that git adds.
pub(crate) fn remote_lines(shown: &str) -> String {
    let lines = shown
        .split(['\n', '\r'])
        .filter_map(|line| line.strip_prefix("remote:"));
    lines.map(str::trim).collect::<Vec<_>>().join("\n")
}

pub(crate) fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn leftovers(dir: &Path) -> Vec<PathBuf> {
    let mut left = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("tmp_") || name.ends_with(".lock") {
                left.push(entry.path());
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                dirs.push(entry.path());
            }
        }
    }
    left
}

/// Processes whose working directory is below this one: git children of the server.
fn processes_in(dir: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        std::fs::read_link(entry.path().join("cwd"))
            .is_ok_and(|cwd| cwd.starts_with(dir.join("repositories")))
    });
    processes
        .map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default())
        .collect()
}

/// Reads a client's stderr on until what it said holds this text.
pub(crate) async fn until_said(child: &mut Child, said: &mut String, text: &str) {
    use tokio::io::AsyncReadExt;
    let stderr = child.stderr.as_mut().unwrap();
    let mut buffer = [0; 1024];
    while !said.contains(text) {
        let n = tokio::time::timeout(Duration::from_secs(60), stderr.read(&mut buffer)).await;
        let n = n.unwrap_or_else(|_| panic!("never said: {said}")).unwrap();
        assert!(n > 0, "ended without {text}: {said}");
        *said += &String::from_utf8_lossy(&buffer[..n]);
    }
}
