//! A worker with scripted checks: what a run does follows from its reference and its seed, so that its end can be foretold.
//!
//! Everything but the containers is real: the store, leases, heartbeats, events, evidence, reports. In place of a run's
//! containers there is a file, which a killed worker leaves behind and the next one has to sweep.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use assay_core::event::Event;
use assay_core::evidence::{CheckEvidence, Evidence, TestCase, TestStatus};
use assay_core::exercise::CheckKind;
use assay_core::fault::{Stop, Whose};
use assay_core::report::{RunInfo, Submission};
use assay_engine::evidence_files::RawFile;
use assay_engine::worker::{Ending, Executor, Settings, Task};
use assay_engine::{Assessment, Events, ExerciseFolder, Scored};
use assay_store::model::Assignment;
use tokio_util::sync::CancellationToken;

/// Number of hidden tests of a scripted run.
pub const N_TESTS: u64 = 7;

/// What a run does, by the last part of its reference.
pub const SCORES: &str = "scores";
/// There is nothing to check.
pub const NOTHING: &str = "nothing";
/// The engine fails at the first execution; the second one scores.
pub const FAILS_ONCE: &str = "fails-once";
/// The engine fails whenever the hidden tests are to run.
pub const FAILS: &str = "fails";
/// A bug of ours.
pub const PANICS: &str = "panics";
/// It goes on until it is told to stop.
pub const WAITS: &str = "waits";

/// How many hidden tests a run with this seed passes.
pub fn n_passed(seed: u64) -> u64 {
    seed % (N_TESTS + 1)
}

/// Carries runs out by their script.
pub struct Script {
    folder: ExerciseFolder,
    data: PathBuf,
    /// What one of a run's three checks takes at most.
    check: Duration,
    live: Mutex<HashSet<String>>,
    n_running: AtomicUsize,
    /// Most runs that were carried out at the same time.
    pub most_running: AtomicUsize,
}

/// Memory that every scripted run takes, in bytes.
pub const MEMORY: u64 = 64 << 20;

impl Script {
    /// With its files below `data`. `workspace` is where the exercises' toolchains are.
    pub fn new(data: &Path, workspace: &Path, check: Duration) -> Self {
        let exercise = data.join("exercise");
        if !exercise.is_dir() {
            write_exercise(&exercise, workspace);
        }
        let folder = ExerciseFolder::read(&exercise, &workspace.join("runner-images")).unwrap();
        std::fs::create_dir_all(data.join("containers")).unwrap();
        Self {
            folder,
            data: data.to_owned(),
            check,
            live: Mutex::default(),
            n_running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
        }
    }

    fn container(&self, name: &str) -> PathBuf {
        self.data.join("containers").join(name)
    }

    async fn play(&self, task: &Task, events: &Events, cancel: &CancellationToken) -> Ending {
        let run = &task.run;
        let script = run.reference.rsplit('/').next().unwrap();
        events.tell(Event::RunStarted {
            run: run.id.to_string(),
            exercise: self.folder.spec.slug.clone(),
            repository: "scripted".into(),
        });
        std::fs::write(task.scratch.join("repository"), "some bytes").unwrap();
        let mut checks = Vec::new();
        for (i, check) in self.folder.spec.checks.iter().enumerate() {
            events.tell(Event::CheckStarted {
                check: check.id.clone(),
            });
            let share = (run.seed >> (8 * i) & 0xff) as f64 / 255.0;
            let time = match script {
                WAITS => Duration::from_secs(3600),
                _ => self.check.mul_f64(share),
            };
            tokio::select! {
                () = cancel.cancelled() => return Ending::Cancelled,
                () = tokio::time::sleep(time) => (),
            }
            let mut evidence = CheckEvidence::new(&check.id, check.kind, check.seen());
            evidence.duration_ms = time.as_millis() as u64;
            if check.kind == CheckKind::Integration {
                evidence.tests = tests(run.seed);
                if script == FAILS || (script == FAILS_ONCE && task.execution == 1) {
                    evidence.stop = Some(Stop::EngineFailed {
                        detail: "it was told to".into(),
                    });
                }
            }
            events.tell(Event::CheckFinished {
                check: check.id.clone(),
                status: evidence.status(),
                fault: evidence.stop.as_ref().map(Stop::fault),
                duration_ms: evidence.duration_ms,
                summary: evidence.summary(),
            });
            checks.push(evidence);
        }
        match script {
            NOTHING => return Ending::Nothing("There is nothing to check.".into()),
            // A panic that nobody reports: the output of a test stays readable.
            PANICS => std::panic::resume_unwind(Box::new("as the script says")),
            SCORES | FAILS_ONCE | FAILS => (),
            other => {
                return Ending::Failed {
                    whose: Whose::Exercise,
                    reason: format!("there is no script {other}"),
                    may_pass: false,
                };
            }
        }
        let assessment = Assessment {
            submission: submission(task),
            evidence: Evidence {
                checks,
                own_source_lines: 10,
            },
            raw: vec![RawFile {
                check: "integration".into(),
                name: "junit.xml".into(),
                bytes: format!("<testsuite name=\"{}\"/>", run.id).into_bytes(),
            }],
            images: BTreeMap::new(),
            advisories: None,
            teardown: None,
        };
        let info = RunInfo {
            id: run.id.to_string(),
            started_at_ms: 0,
            duration_ms: 1,
            seed: run.seed,
            environment: BTreeMap::new(),
        };
        Ending::Scored(Box::new(Scored::new(&self.folder, assessment, info)))
    }
}

impl Executor for Script {
    async fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn memory(&self, _: &Assignment) -> u64 {
        MEMORY
    }

    async fn execute(&self, task: &Task, events: &Events, cancel: &CancellationToken) -> Ending {
        let name = format!("{}-{}", task.run.id, task.execution);
        let live = || self.live.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(live().insert(name.clone()), "{name} is under way already");
        std::fs::write(self.container(&name), "").unwrap();
        let n_running = self.n_running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(n_running, Ordering::SeqCst);
        let played = std::panic::AssertUnwindSafe(self.play(task, events, cancel));
        let played = futures_util::FutureExt::catch_unwind(played).await;
        self.n_running.fetch_sub(1, Ordering::SeqCst);
        std::fs::remove_file(self.container(&name)).unwrap();
        live().remove(&name);
        match played {
            Ok(ending) => ending,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    async fn sweep(&self) -> Result<usize, String> {
        let mut n = 0;
        for entry in std::fs::read_dir(self.data.join("containers")).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
            if !live.contains(&name) {
                std::fs::remove_file(entry.path()).unwrap();
                n += 1;
            }
        }
        Ok(n)
    }
}

/// Settings that fit short runs.
pub fn settings(data: &Path) -> Settings {
    Settings {
        id: "scripted".into(),
        concurrency: 4,
        memory_bytes: 4 * MEMORY,
        lease: Duration::from_secs(10),
        max_executions: 5,
        retry_pause: Duration::from_millis(1),
        drain: Duration::from_secs(10),
        scratch: data.join("scratch"),
    }
}

fn tests(seed: u64) -> Vec<TestCase> {
    let case = |i| TestCase {
        group: "test_greeting".into(),
        name: format!("test_{i}"),
        title: format!("Test {i}"),
        status: match i < n_passed(seed) {
            true => TestStatus::Passed,
            false => TestStatus::Failed,
        },
        message: String::new(),
        duration_ms: 1,
    };
    (0..N_TESTS).map(case).collect()
}

fn submission(task: &Task) -> Submission {
    Submission {
        repository: "scripted".into(),
        reference: task.run.reference.clone(),
        commit: task.run.commit.clone(),
        tree: String::new(),
        track: task.assignment.track.clone(),
        subject: "A commit".into(),
        author: "Sam".into(),
        authored_at_s: 0,
        n_commits: 1,
        own_source_lines: 10,
    }
}

/// An exercise of which seven hidden tests are all that counts.
fn write_exercise(dir: &Path, workspace: &Path) {
    let starter = workspace.join("crates/assay/src/commands/exercise/starter");
    let files = [
        ("verification/tests/test_greeting.py", "test_greeting.py"),
        ("templates/python/README.md", "template_README.md"),
        ("README.md", "README.md"),
    ];
    for (to, from) in files {
        let to = dir.join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(starter.join(from), to).unwrap();
    }
    std::fs::write(dir.join("exercise.yaml"), include_str!("exercise.yaml")).unwrap();
}
