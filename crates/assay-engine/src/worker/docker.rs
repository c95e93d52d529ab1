//! The executor of every day: checks in containers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use assay_core::fault::Whose;
use assay_sandbox::Engine;
use assay_store::Store;
use assay_store::model::Assignment;
use tokio_util::sync::CancellationToken;

use super::executor::{Ending, Executor, Task};
use super::sources::{self, Credentials};
use super::{HostLock, demand};
use crate::{Events, Execution, Exercises, Job, Quiet, RunError, Scored, meters};

/// Carries runs out in containers of one engine.
pub struct Docker {
    /// The engine.
    pub engine: Engine,
    /// What can be assessed.
    pub exercises: Exercises,
    /// Where connections to forges are looked up.
    pub store: Store,
    /// Folder of hosted repositories: `<assignment>.git`.
    pub repositories: PathBuf,
    /// Opens the credentials of forges.
    pub credentials: Arc<dyn Credentials>,
    /// Extra certificate authorities for candidate builds, PEM.
    pub extra_ca: Option<Vec<u8>>,
    /// Folder of OSV records that dependencies are audited against. None: they are not audited.
    pub advisories: Option<PathBuf>,
    /// What makes this worker the only one on its host, and names its containers.
    pub lock: HostLock,
    /// What keeps load checks alone.
    pub quiet: Quiet,
}

impl Docker {
    async fn assess(&self, task: &Task, events: &Events, cancel: &CancellationToken) -> Ending {
        let assignment = &task.assignment;
        let Some(folder) = self.exercises.get(&assignment.exercise) else {
            return Ending::Failed {
                whose: Whose::Exercise,
                reason: format!("There is no exercise `{}`.", assignment.exercise),
                may_pass: false,
            };
        };
        let located = sources::locate(
            &self.store,
            &self.repositories,
            self.credentials.as_ref(),
            assignment,
        );
        let located = match located.await {
            Ok(located) => located,
            Err(error) => {
                return Ending::Failed {
                    whose: Whose::Platform,
                    reason: format!("The repository could not be fetched: {error}."),
                    may_pass: error.may_pass(),
                };
            }
        };
        let run = &task.run;
        let received_at_ms = u64::try_from(run.received_at_ms).unwrap_or(0);
        let job = Job {
            folder: &folder,
            track: &assignment.track,
            source: &located.source,
            repository: &located.shown,
            authorization: located.authorization.as_ref(),
            reference: Some(&run.reference),
            commit: Some(&run.commit),
            run_id: run.id.as_str(),
            worker: Some(Execution {
                owner: self.lock.installation(),
                number: task.execution,
            }),
            seed: run.seed,
            secret: format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>()),
            received_at: UNIX_EPOCH + Duration::from_millis(received_at_ms),
            scratch: &task.scratch,
            extra_ca: self.extra_ca.clone(),
            advisories: self.advisories.as_deref(),
            quiet: self.quiet.clone(),
        };
        match Scored::of(&self.engine, &job, events, cancel).await {
            Ok(scored) => Ending::Scored(Box::new(scored)),
            Err(RunError::Cancelled) => Ending::Cancelled,
            Err(RunError::NothingSubmitted { detail }) => {
                Ending::Nothing(format!("There is nothing to check: {detail}."))
            }
            Err(RunError::Fetch(error)) => Ending::Failed {
                whose: Whose::Platform,
                reason: format!("The repository could not be fetched: {error}."),
                may_pass: true,
            },
            Err(error @ RunError::NoTrack { .. }) => Ending::Failed {
                whose: Whose::Exercise,
                reason: format!("{error}."),
                may_pass: false,
            },
        }
    }
}

impl Executor for Docker {
    async fn ready(&self) -> Result<(), String> {
        self.engine.ping().await.map_err(|error| {
            meters::engine_failed();
            error.to_string()
        })
    }

    fn memory(&self, assignment: &Assignment) -> u64 {
        self.exercises
            .get(&assignment.exercise)
            .map_or(0, |folder| demand::memory(&folder))
    }

    async fn execute(&self, task: &Task, events: &Events, cancel: &CancellationToken) -> Ending {
        self.assess(task, events, cancel).await
    }

    async fn sweep(&self) -> Result<usize, String> {
        match self.engine.sweep_owned(self.lock.installation()).await {
            Ok(swept) => Ok(swept.containers + swept.volumes),
            Err(error) => {
                meters::engine_failed();
                Err(error.to_string())
            }
        }
    }
}
