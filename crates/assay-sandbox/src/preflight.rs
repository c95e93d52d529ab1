//! Whether an engine keeps what the policy promises: asked before candidates' code runs on it.

use std::collections::BTreeMap;
use std::time::Duration;

use assay_core::agent::Target;
use assay_core::preflight::{Concern, Confined, Surroundings, concerns};
use tokio_util::sync::CancellationToken;

use crate::command::Command;
use crate::container::{Container, ContainerSpec};
use crate::engine::{Engine, EngineError};
use crate::policy::AGENT;
use crate::run::{Run, RunSpec, TRUSTED};
use crate::{AskError, Image, Pod, StartError, TeardownError};

/// How long looking around may take.
const WITHIN: Duration = Duration::from_secs(20);
/// How long the container may be there, and how long removing it may take.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// Where a container under the runtime for candidates' code listens.
const PORT: u16 = 8080;
/// How long it may take until it does.
const LISTENS_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// The container did not start.
    #[error("a container to look around from did not start: {0}")]
    Start(#[from] StartError),
    /// It did not do its work.
    #[error("the container that looks around failed: {0}")]
    Ask(#[from] AskError),
    /// What it said makes no sense.
    #[error("the container that looks around said nothing that can be understood: {0}")]
    Unreadable(String),
    /// It could not be removed, which the next sweep tries again.
    #[error(transparent)]
    Left(#[from] TeardownError),
}

/// What gives cause for concern about an engine: by what it says of itself, and by what containers under the policy find, one
/// of ours and, where there is a runtime for candidates' code, one under that.
///
/// # Errors
/// When no container can be had, and so it is not known.
pub async fn preflight(engine: &Engine, drive: &Image, id: String) -> Result<Vec<Concern>, PreflightError> {
    let spec = RunSpec {
        id,
        owner: None,
        expires_in: GONE_WITHIN,
        drive: drive.clone(),
    };
    let run = Run::start(engine, spec, CancellationToken::new()).await?;
    let found = examine(engine, &run, drive).await;
    run.destroy(GONE_WITHIN).await?;
    found
}

async fn examine(engine: &Engine, run: &Run, drive: &Image) -> Result<Vec<Concern>, PreflightError> {
    let pod = run.pod().await?;
    let ours = pod.container(spec(drive, false)).await?;
    let surroundings = look_around(&ours).await?;
    let runtime = engine.runtime();
    let confined = match (&runtime.name, runtime.failure.get()) {
        (None, _) => None,
        (_, Some(why)) => Some(Confined::Broken(why.clone())),
        _ => match pod.container(spec(drive, true)).await {
            Ok(foreign) => Some(Confined::Works {
                surroundings: look_around(&foreign).await?,
                is_reached: is_reached(&pod, &foreign).await?,
            }),
            Err(StartError::Cancelled) => return Err(StartError::Cancelled.into()),
            Err(error) => {
                let why = error.to_string();
                if let StartError::Engine(EngineError::Refused { .. }) = error {
                    runtime.failure.set(why.clone()).ok();
                }
                Some(Confined::Broken(why))
            }
        },
    };
    Ok(concerns(
        &engine.info().facts,
        Some(&surroundings),
        confined.as_ref(),
    ))
}

fn spec(drive: &Image, is_foreign: bool) -> ContainerSpec {
    ContainerSpec {
        role: "preflight".to_owned(),
        image: drive.clone(),
        env: BTreeMap::new(),
        mounts: Vec::new(),
        tmpfs: Vec::new(),
        limits: TRUSTED,
        is_foreign,
    }
}

async fn look_around(container: &Container) -> Result<Surroundings, PreflightError> {
    let command = Command::new([AGENT, "surroundings"]).deadline(WITHIN);
    let said = container.exec(command).await?;
    let unreadable = |error: serde_json::Error| {
        PreflightError::Unreadable(format!("{error}; {}{}", said.stdout.text(), said.stderr.text()))
    };
    serde_json::from_str(&said.stdout.text()).map_err(unreadable)
}

/// Whether others in the pod reach what listens in a container, and see that it is that container's.
async fn is_reached(pod: &Pod, container: &Container) -> Result<bool, PreflightError> {
    let listen = format!("127.0.0.1:{PORT}");
    let listening = Command::new([AGENT, "forward", "--listen", &listen, "--to", "/nowhere"]);
    container.spawn(listening).await?;
    let waited = pod
        .wait(Target::Tcp { port: PORT }, LISTENS_WITHIN, LOOK_EVERY)
        .await?;
    let listeners = pod.listeners(&[PORT]).await?;
    let is_its = listeners
        .iter()
        .all(|listener| listener.uid == container.socket_owner());
    Ok(waited.is_ready() && !listeners.is_empty() && is_its)
}
