//! Takes runs from the store and carries them out: the same code in the daemon and in a process of its own.
//!
//! A run is in a worker's hands under a lease that heartbeats renew. Whoever has lost it writes nothing, so that a run ends
//! exactly once, whatever dies and when. Wake-ups only mean "look again"; a lost one costs half a second.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use assay_store::Store;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::meters;

mod carry;
mod demand;
mod docker;
mod executor;
mod host_lock;
mod journal;
pub(crate) mod keep;
mod sources;

pub use docker::Docker;
pub use executor::{Ending, Executor, Task};
pub use host_lock::{HostLock, HostLockError};
pub use keep::REPORT_FILE;
pub use sources::Credentials;

use carry::Carry;

/// How often the queue is looked at when nobody says that it changed: another process may have queued something.
const POLL: Duration = Duration::from_millis(500);
/// How often runs are looked for whose worker gives no sign of life.
const EXPIRE_EVERY: Duration = Duration::from_secs(10);
/// How often leftovers of runs are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(300);
/// How long runs wait for an engine that does not answer. After that they are begun all the same, so that they end with a reason.
const ENGINE_PATIENCE: Duration = Duration::from_secs(120);
/// The pause before something that failed is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long carrying a run out may take in all; its containers expire later.
const LONGEST_RUN: Duration = Duration::from_secs(50 * 60);
/// How long a run may take to clean up after it was told to stop.
const CLEAN_UP: Duration = Duration::from_secs(90);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name in leases. No other worker of the same store has it, and it stays over a restart: what runs in its name when it
    /// starts is taken back at once.
    pub id: String,
    /// Runs carried out at the same time, at least 1.
    pub concurrency: usize,
    /// Memory that runs may use together, in bytes. One that needs more than all of it is carried out alone.
    pub memory_bytes: u64,
    /// How long a run belongs to a worker that gives no sign of life. Signs are given four times as often.
    pub lease: Duration,
    /// How often a run is begun before it ends through a fault of ours, at least 1.
    pub max_executions: u32,
    /// The pause before a run is begun again after a fault that may pass, times the number of executions so far.
    pub retry_pause: Duration,
    /// How long runs may go on after the worker was told to stop. What is not done then is given back to the queue.
    pub drain: Duration,
    /// Folder for temporary files, this worker's alone: what is in it when the worker starts is removed.
    pub scratch: PathBuf,
}

/// How a worker came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every run that it had taken came to its own end.
    InTime,
    /// The time limit came first: this many runs were told to stop, and were given back to the queue.
    CutShort(usize),
}

/// Takes runs and carries them out, several at a time.
pub struct Worker<E>(Arc<Shared<E>>);

/// What all runs of a worker share.
struct Shared<E> {
    store: Store,
    executor: E,
    settings: Settings,
    /// No more runs at a time.
    places: Arc<Semaphore>,
    /// Memory, in MiB.
    memory: Arc<Semaphore>,
    /// One run at a time waits for memory, and meanwhile none is taken: another worker may have what this one has not.
    turn: Arc<Mutex<()>>,
    /// Cancelled when the time to drain is over.
    hurry: CancellationToken,
}

impl<E: Executor> Worker<E> {
    /// A worker that does nothing yet.
    pub fn new(store: Store, executor: E, settings: Settings) -> Self {
        let memory = usize::try_from(mebibytes(settings.memory_bytes)).unwrap_or(usize::MAX);
        Self(Arc::new(Shared {
            store,
            executor,
            places: Arc::new(Semaphore::new(settings.concurrency.max(1))),
            memory: Arc::new(Semaphore::new(memory.clamp(1, Semaphore::MAX_PERMITS))),
            turn: Arc::default(),
            hurry: CancellationToken::new(),
            settings,
        }))
    }

    /// Works until `shutdown`, then ends what it has under the time limit of [`Settings::drain`]. Everything that fails
    /// meanwhile is logged and tried again.
    pub async fn run(&self, shutdown: &CancellationToken) -> Drained {
        let shared = &self.0;
        let carried = TaskTracker::new();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Drained::InTime,
            () = shared.begin() => (),
        }
        tracing::info!(
            worker = shared.settings.id,
            "worker {} is at work",
            shared.settings.id
        );
        let tending = async {
            tokio::select! {
                () = shutdown.cancelled() => (),
                () = shared.tend() => (),
            }
        };
        tokio::join!(shared.take(&carried, shutdown), tending);

        carried.close();
        let cut_short = tokio::select! {
            biased;
            () = carried.wait() => 0,
            () = tokio::time::sleep(shared.settings.drain) => carried.len(),
        };
        shared.hurry.cancel();
        // Ends: each run has a deadline of its own for its clean-up and for what it writes.
        carried.wait().await;
        match cut_short {
            0 => Drained::InTime,
            n => Drained::CutShort(n),
        }
    }
}

impl<E: Executor> Shared<E> {
    /// Tidies up after a former life.
    async fn begin(&self) {
        let settings = &self.settings;
        loop {
            let taken_back = self
                .store
                .take_back(&settings.id, now_ms(), settings.max_executions);
            match taken_back.await {
                Ok(runs) => {
                    for run in runs {
                        tracing::warn!(run.id = %run, "run {run} was in this worker's hands when it died; it was taken back");
                    }
                    break;
                }
                Err(error) => tracing::error!(%error, "the store does not answer: {error}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        if let Err(error) = empty(&settings.scratch).await {
            tracing::error!(%error, "{} cannot be emptied: {error}", settings.scratch.display());
        }
        self.sweep().await;
    }

    /// Looks after what nobody else would notice.
    async fn tend(&self) {
        let mut swept = Instant::now();
        loop {
            tokio::time::sleep(EXPIRE_EVERY).await;
            match self.store.expire(now_ms(), self.settings.max_executions).await {
                Ok(runs) => {
                    for run in runs {
                        tracing::warn!(run.id = %run, "run {run}: its worker gave no sign of life; it was taken back");
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "runs without a worker cannot be looked for: {error}");
                }
            }
            if swept.elapsed() >= SWEEP_EVERY {
                swept = Instant::now();
                self.sweep().await;
            }
        }
    }

    async fn sweep(&self) {
        match self.executor.sweep().await {
            Ok(0) => (),
            Ok(n) => tracing::info!("{n} leftovers of runs were removed"),
            Err(error) => tracing::error!(%error, "leftovers of runs cannot be removed: {error}"),
        }
    }

    /// Takes one run after the other, as places allow.
    async fn take(self: &Arc<Self>, carried: &TaskTracker, shutdown: &CancellationToken) {
        let mut changed = self.store.changed();
        let mut engine = EngineWatch::default();
        loop {
            let room = async {
                let place = Arc::clone(&self.places).acquire_owned().await;
                let turn = Arc::clone(&self.turn).lock_owned().await;
                self.until_ready(&mut engine).await;
                (place, turn)
            };
            let (place, turn) = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                room = room => room,
            };
            // The semaphore is never closed.
            let Ok(place) = place else { return };
            // Seen before looking: what comes later wakes us.
            changed.borrow_and_update();
            let lease_ms = millis(self.settings.lease);
            // Not to be dropped half-way: a run could be taken that nobody knows of.
            match self.store.claim(&self.settings.id, now_ms(), lease_ms).await {
                Ok(Some((lease, run, assignment))) => {
                    let waited = u64::try_from(now_ms().saturating_sub(run.queued_at_ms)).unwrap_or(0);
                    meters::run_waited(Duration::from_millis(waited));
                    let carry = Carry::new(Arc::clone(self), lease, run, assignment);
                    carried.spawn(async move {
                        carry.out(turn).await;
                        drop(place);
                    });
                    continue;
                }
                Ok(None) => (),
                Err(error) => {
                    tracing::error!(%error, "no run can be taken: {error}");
                    pause(PAUSE, shutdown).await;
                }
            }
            drop((place, turn));
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                // The sender lives in the store, and so as long as we do.
                _ = changed.changed() => (),
                () = tokio::time::sleep(POLL) => (),
            }
        }
    }

    /// Until the engine answers, or has not for so long that runs had better end with that as their reason.
    async fn until_ready(&self, watch: &mut EngineWatch) {
        loop {
            match self.executor.ready().await {
                Ok(()) => {
                    watch.gone_since = None;
                    return;
                }
                Err(error) => {
                    let since = *watch.gone_since.get_or_insert_with(|| {
                        tracing::error!(%error, "the engine does not answer; runs wait for it: {error}");
                        Instant::now()
                    });
                    if since.elapsed() >= ENGINE_PATIENCE {
                        return;
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Since when the engine does not answer.
#[derive(Default)]
struct EngineWatch {
    gone_since: Option<Instant>,
}

async fn pause(pause: Duration, shutdown: &CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => (),
        () = tokio::time::sleep(pause) => (),
    }
}

/// Makes the folder, and removes what is in it.
async fn empty(folder: &std::path::Path) -> std::io::Result<()> {
    tokio::fs::create_dir_all(folder).await?;
    let mut entries = tokio::fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        if entry.file_type().await?.is_dir() {
            tokio::fs::remove_dir_all(entry.path()).await?;
        } else {
            tokio::fs::remove_file(entry.path()).await?;
        }
    }
    Ok(())
}

/// Rounded up, and no more than a semaphore's step.
fn mebibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970. The only clock of the worker's rows.
fn now_ms() -> i64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
