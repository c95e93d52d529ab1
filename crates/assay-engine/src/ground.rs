//! What the checks of a run stand on: images, volumes, and the first container. All of it is made while the repository is
//! fetched, and taken down once the last check has ended, beside the making of the report.

use std::collections::BTreeMap;
use std::time::Duration;

use assay_core::exercise::CheckKind;
use assay_core::fault::Stop;
use assay_sandbox::{Container, Engine, Image, Run, RunSpec, Volume, Volumes, images};
use futures_util::future::try_join_all;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::commands;
use crate::context;
use crate::faults;
use crate::folder::DRIVE_IMAGE;
use crate::quiet::Quiet;
use crate::run::Job;

/// Nothing of a run outlives this; the sweep removes what does.
const RUN_EXPIRES: Duration = Duration::from_secs(3600);
/// How long cleaning up may take, cancelled or not.
const TEARDOWN_DEADLINE: Duration = Duration::from_secs(60);
/// How long cleaning up waits for another run's load check, at most.
const QUIET_TEARDOWN: Duration = Duration::from_secs(120);

/// What the checks stand on.
pub(crate) struct Ground {
    pub(crate) run: Run,
    pub(crate) images: BTreeMap<String, Image>,
    /// None: no check of the plan shares a tree with another.
    pub(crate) trees: Option<Trees>,
    /// The container for `command` checks, where these can begin as soon as there is a source.
    pub(crate) commands: Option<Container>,
}

/// The volumes with the trees that checks share.
#[derive(Clone)]
pub(crate) struct Trees {
    pub(crate) volumes: Volumes,
    /// The candidate's source.
    pub(crate) src: Volume,
    /// Versions of files that only the history has. None: they are of no interest.
    pub(crate) history: Option<Volume>,
    /// The built tree.
    pub(crate) work: Volume,
}

impl Ground {
    pub(crate) async fn make(
        engine: &Engine,
        job: &Job<'_>,
        cancel: &CancellationToken,
    ) -> Result<Self, Stop> {
        let resolved = job.folder.images(job.track).into_iter().map(async |name| {
            match images::resolve(engine, &name).await {
                Ok(image) => Ok((name, image)),
                Err(images::ImageError::Missing { name }) => Err(Stop::ImageMissing { image: name }),
                Err(error) => Err(Stop::EngineFailed {
                    detail: error.to_string(),
                }),
            }
        });
        let images: BTreeMap<String, Image> = try_join_all(resolved).await?.into_iter().collect();
        let drive = images
            .get(DRIVE_IMAGE)
            .cloned()
            .ok_or_else(|| Stop::ImageMissing {
                image: DRIVE_IMAGE.into(),
            })?;
        let spec = RunSpec {
            // Each execution by a name of its own: what an earlier one left cannot be in its way.
            id: match job.worker {
                Some(execution) => format!("{:.30}-{}", job.run_id, execution.number),
                None => job.run_id.to_owned(),
            },
            owner: job.worker.map(|execution| execution.owner.to_owned()),
            expires_in: RUN_EXPIRES,
            drive,
        };
        let run = Run::start(engine, spec, cancel.clone())
            .await
            .map_err(|error| faults::start(&error))?;
        let made = tokio::try_join!(trees(&run, job), commands::first(&run, job, &images));
        match made {
            Ok((trees, commands)) => Ok(Self {
                run,
                images,
                trees,
                commands,
            }),
            Err(stop) => {
                destroy(run).await;
                Err(stop)
            }
        }
    }
}

/// Clean-up that goes on by itself. Whoever ends the process, or has room for another run only once this one has left, waits
/// for it.
#[derive(Debug)]
#[must_use]
pub struct Teardown(JoinHandle<()>);

impl Teardown {
    /// Removes everything, in the background, at a time when nobody measures.
    pub(crate) fn begin(run: Run, quiet: Quiet) -> Self {
        Self(tokio::spawn(async move {
            let _hold = quiet.hold_within(QUIET_TEARDOWN).await;
            destroy(run).await;
        }))
    }

    /// Waits until nothing of the run is left.
    pub async fn ended(self) {
        if let Err(error) = self.0.await {
            tracing::error!(%error, "the clean-up of a run failed: {error}");
        }
    }
}

/// Clean-up outlives cancellation: it has a deadline of its own. What it leaves, the next sweep takes.
pub(crate) async fn destroy(run: Run) {
    if let Err(error) = run.destroy(TEARDOWN_DEADLINE).await {
        tracing::error!(%error, "something of the run was left behind: {error}");
    }
}

/// The volumes, unless the plan has nothing but commands, each of which has a copy of the tree anyway.
async fn trees(run: &Run, job: &Job<'_>) -> Result<Option<Trees>, Stop> {
    let checks = &job.folder.spec.checks;
    if checks.iter().all(|check| check.kind == CheckKind::Command) {
        return Ok(None);
    }
    let volumes = context::make_volumes(run).await?;
    let of = |name: &str| context::volume(&volumes, name);
    Ok(Some(Trees {
        src: of("src")?,
        history: Some(of("history")?),
        work: of("work")?,
        volumes,
    }))
}
