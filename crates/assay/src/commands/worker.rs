//! `assay worker`: the part of the daemon that carries runs out, in a process of its own or within `assay serve`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use assay_engine::worker::{Docker, Drained, HostLock, Settings, Worker};
use assay_engine::{Exercises, Quiet};
use assay_sandbox::Engine;
use assay_server::hooks::sealing::SealingKey;
use assay_store::Store;
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{backup, folders, serve};
use crate::configuration::{Configuration, EngineSection, Options, WorkerSection};
use crate::data_folder::DataFolder;
use crate::engine;
use crate::exit::{Exit, Expected};
use crate::preflight;

/// How often an engine that does not answer is asked again, and one that answers whether it still does.
const ASK_ENGINE_EVERY: Duration = Duration::from_secs(5);
/// How often an engine that is not safe to use is looked at again.
const EXAMINE_EVERY: Duration = Duration::from_secs(60);
/// The pause before a run is begun again after a fault of ours, times the number of executions so far.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) options: Options,
}

/// Carries runs out until `stop` is cancelled. The database is the daemon's, and so are data folder and schema.
pub(crate) async fn work(
    configuration: &Configuration,
    engine: &engine::Options,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    let data = DataFolder::open(&configuration.data)?;
    let store = backup::open(configuration, &data).await?;
    if !store.schema_is_current().await? {
        let message = "the database's schema is not that of this program (hint: `assay migrate`)".to_owned();
        return Err(Expected {
            exit: Exit::BadConfiguration,
            message,
        }
        .into());
    }
    let exercises = serve::exercises(configuration);
    Station::prepare(configuration, &data, &store, &exercises)?
        .work(engine, stop, |_| ())
        .await;
    Ok(Exit::Done)
}

/// What is told about the engine.
#[derive(Debug, Clone, Copy)]
pub(super) enum Note {
    /// Whether it answers, and is safe to use.
    Usable(bool),
    /// How many things about it whoever runs Assay should know.
    Concerns(usize),
}

/// All that a worker needs but for an engine, which may come later.
pub(super) struct Station {
    section: WorkerSection,
    name: String,
    engine: EngineSection,
    extra_ca: Option<Vec<u8>>,
    advisories: Option<PathBuf>,
    lock: HostLock,
    store: Store,
    exercises: Exercises,
    repositories: PathBuf,
    scratch: PathBuf,
    key: SealingKey,
}

impl Station {
    /// Takes the lock of the host. Fails when another worker has it.
    pub(super) fn prepare(
        configuration: &Configuration,
        data: &DataFolder,
        store: &Store,
        exercises: &Exercises,
    ) -> anyhow::Result<Self> {
        let section = configuration.worker.clone();
        Ok(Self {
            name: section.name.clone().unwrap_or_else(host_name),
            engine: configuration.engine.clone(),
            extra_ca: folders::ca_bundle(configuration.engine.ca_bundle.as_deref())?,
            advisories: folders::advisories(configuration.engine.advisories.as_deref())?.map(Path::to_owned),
            lock: HostLock::take(&data.join("")).context("no runs can be carried out here")?,
            store: store.clone(),
            exercises: exercises.clone(),
            repositories: data.join("repositories"),
            scratch: data.join("scratch"),
            key: SealingKey::new(data.key()?),
            section,
        })
    }

    /// Waits for an engine that is safe to use, then works. `note` is told about the engine.
    pub(super) async fn work(self, engine: &engine::Options, stop: &CancellationToken, note: impl Fn(Note)) {
        let engine = engine.under(&self.engine);
        let Some(engine) = until_connected(&engine, stop, &note).await else {
            return;
        };
        if !until_safe(&engine, stop, &note).await {
            return;
        }
        let settings = self.settings(&engine);
        tracing::info!(
            worker = settings.id,
            concurrency = settings.concurrency,
            "worker {}: {} runs at a time within {} MiB",
            settings.id,
            settings.concurrency,
            settings.memory_bytes >> 20
        );
        let executor = Docker {
            engine: engine.clone(),
            exercises: self.exercises,
            store: self.store.clone(),
            repositories: self.repositories,
            credentials: Arc::new(self.key),
            extra_ca: self.extra_ca,
            advisories: self.advisories,
            lock: self.lock,
            quiet: Quiet::default(),
        };
        let worker = Worker::new(self.store, executor, settings);
        let watch = async {
            loop {
                note(Note::Usable(engine.ping().await.is_ok()));
                tokio::time::sleep(ASK_ENGINE_EVERY).await;
            }
        };
        let drained = tokio::select! {
            drained = worker.run(stop) => drained,
            () = watch => return,
        };
        match drained {
            Drained::InTime => tracing::info!("drained: every run that had begun has ended"),
            Drained::CutShort(n) => {
                tracing::warn!(
                    n_runs = n,
                    "not drained in time: {n} runs were given back to the queue"
                );
            }
        }
    }

    fn settings(&self, engine: &Engine) -> Settings {
        let (section, info) = (&self.section, engine.info());
        let concurrency = match section.concurrency {
            0 => (info.cpus / 2).max(1),
            n => n,
        };
        Settings {
            id: self.name.clone(),
            concurrency: usize::try_from(concurrency).unwrap_or(1),
            memory_bytes: section
                .memory
                .map_or(info.memory_bytes / 4 * 3, |memory| memory.0),
            lease: section.lease.as_duration(),
            max_executions: section.max_executions,
            retry_pause: RETRY_PAUSE,
            drain: section.drain.as_duration(),
            scratch: self.scratch.clone(),
        }
    }
}

async fn until_connected(
    engine: &engine::Options,
    stop: &CancellationToken,
    note: &impl Fn(Note),
) -> Option<Engine> {
    let mut told = false;
    loop {
        match engine.connect().await {
            Ok(engine) => {
                note(Note::Usable(true));
                return Some(engine);
            }
            Err(error) => {
                note(Note::Usable(false));
                if !told {
                    tracing::error!(%error, "runs wait until there is an engine: {error}");
                }
                told = true;
            }
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(ASK_ENGINE_EVERY) => (),
        }
    }
}

/// Looks at the engine until nothing grave is wrong with it. False: stopped before that.
async fn until_safe(engine: &Engine, stop: &CancellationToken, note: &impl Fn(Note)) -> bool {
    loop {
        let concerns = tokio::select! {
            concerns = preflight::examine(engine) => concerns,
            () = stop.cancelled() => return false,
        };
        note(Note::Concerns(concerns.len()));
        for concern in &concerns {
            let (message, hint) = (&concern.message, &concern.hint);
            if concern.is_grave {
                tracing::error!("no run is begun: {message} (hint: {hint})");
            } else {
                tracing::warn!("{message} (hint: {hint})");
            }
        }
        if !concerns.iter().any(|concern| concern.is_grave) {
            return true;
        }
        note(Note::Usable(false));
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(EXAMINE_EVERY) => (),
        }
    }
}

/// A name that stays over a restart.
fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() {
        "worker".to_owned()
    } else {
        name
    }
}
