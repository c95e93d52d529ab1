//! What all handlers share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use assay_engine::Exercises;
use assay_git::host::{Host, HostLimits};
use assay_store::Store;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::oidc::Oidc;
use crate::auth::password::Passwords;
use crate::hooks::sealing::SealingKey;
use crate::limits::Limits;

/// What the operator decides. There is no default: the binary's documented configuration file is the only place for those.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address under which people reach the daemon, without a slash at its end: `https://assay.example.org`.
    pub public_url: String,
    /// Folder of hosted repositories.
    pub repositories: PathBuf,
    /// Folder of archived repositories, one bundle each.
    pub archives: PathBuf,
    /// Largest push, in bytes.
    pub max_push_bytes: u64,
    /// How long a push is held open to show progress.
    pub push_progress: std::time::Duration,
    /// Whether `X-Forwarded-For` of a proxy in front is believed.
    pub behind_proxy: bool,
    /// How long repositories are kept after the due date, or after the invitation where there is none.
    pub retention: std::time::Duration,
    /// The installation's key, which seals the secrets of connections to forges.
    pub key: SealingKey,
    /// Where else people may sign in. None: with passwords only.
    pub oidc: Option<Oidc>,
}

/// What all handlers share. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    store: Store,
    exercises: Exercises,
    host: Host,
    settings: Settings,
    metrics: PrometheusHandle,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    limits: Limits,
    passwords: Passwords,
    engine_answers: AtomicBool,
    n_concerns: AtomicUsize,
}

impl App {
    /// Puts it together. `metrics` are what `/metrics` shows. Work that outlives its request is tracked in `tasks` and ends, or
    /// is told to end, on `shutdown`.
    pub fn new(
        store: Store,
        exercises: Exercises,
        settings: Settings,
        metrics: PrometheusHandle,
        shutdown: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self(Arc::new(Shared {
            store,
            exercises,
            host: Host::new(HostLimits::for_pushes_of(settings.max_push_bytes)),
            settings,
            metrics,
            shutdown,
            tasks,
            limits: Limits::default(),
            passwords: Passwords::default(),
            engine_answers: AtomicBool::new(true),
            n_concerns: AtomicUsize::new(0),
        }))
    }

    /// What the daemon remembers.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The exercises that can be assigned.
    pub fn exercises(&self) -> &Exercises {
        &self.0.exercises
    }

    /// The hosted repositories.
    pub fn host(&self) -> &Host {
        &self.0.host
    }

    /// What the operator decided.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Cancelled when the daemon drains.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }

    /// Work that outlives its request.
    pub fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// How often somebody may knock.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Whether people reach the daemon over https. Only then do cookies get `Secure`.
    pub fn is_https(&self) -> bool {
        self.0.settings.public_url.starts_with("https://")
    }

    /// Notes whether the container engine answers; `/ready` tells. Where no worker runs in this process, it is left alone.
    pub fn note_engine(&self, answers: bool) {
        self.0.engine_answers.store(answers, Ordering::Relaxed);
    }

    /// Notes how many things about the engine whoever runs the daemon should know; `/ready` counts them, the log and
    /// `assay doctor` name them.
    pub fn note_concerns(&self, n: usize) {
        self.0.n_concerns.store(n, Ordering::Relaxed);
    }

    pub(crate) fn n_concerns(&self) -> usize {
        self.0.n_concerns.load(Ordering::Relaxed)
    }

    pub(crate) fn engine_answers(&self) -> bool {
        self.0.engine_answers.load(Ordering::Relaxed)
    }

    pub(crate) fn metrics(&self) -> &PrometheusHandle {
        &self.0.metrics
    }

    pub(crate) fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// Milliseconds since 1970. The only clock of the handlers.
    pub fn now_ms(&self) -> i64 {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }
}
