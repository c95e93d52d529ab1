//! Whether an engine keeps what the policy promises: asked before candidates' code runs on it.

use std::collections::BTreeMap;
use std::time::Duration;

use assay_core::preflight::{Concern, Surroundings, concerns};
use tokio_util::sync::CancellationToken;

use crate::command::Command;
use crate::container::ContainerSpec;
use crate::engine::Engine;
use crate::policy::AGENT;
use crate::run::{Run, RunSpec, TRUSTED};
use crate::{AskError, Image, StartError, TeardownError};

/// How long looking around may take.
const WITHIN: Duration = Duration::from_secs(20);
/// How long the container may be there, and how long removing it may take.
const GONE_WITHIN: Duration = Duration::from_secs(60);

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

/// What gives cause for concern about an engine: by what it says of itself, and by what a container under the policy finds.
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
    let looked = look_around(&run, drive).await;
    run.destroy(GONE_WITHIN).await?;
    Ok(concerns(&engine.info().facts, Some(&looked?)))
}

async fn look_around(run: &Run, drive: &Image) -> Result<Surroundings, PreflightError> {
    let pod = run.pod().await?;
    let spec = ContainerSpec {
        role: "preflight".to_owned(),
        image: drive.clone(),
        env: BTreeMap::new(),
        mounts: Vec::new(),
        tmpfs: Vec::new(),
        limits: TRUSTED,
    };
    let container = pod.container(spec).await?;
    let command = Command::new([AGENT, "surroundings"]).deadline(WITHIN);
    let said = container.exec(command).await?;
    let unreadable = |error: serde_json::Error| {
        PreflightError::Unreadable(format!("{error}; {}{}", said.stdout.text(), said.stderr.text()))
    };
    serde_json::from_str(&said.stdout.text()).map_err(unreadable)
}
