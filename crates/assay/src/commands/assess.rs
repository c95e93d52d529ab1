//! One assessment from the command line's point of view: random values, clock, files around the engine's run.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use assay_core::evidence::Evidence;
use assay_core::preflight::Concern;
use assay_core::report::Report;
use assay_engine::{Events, ExerciseFolder, Job, Quiet, Scored, Teardown, evidence_files};
use assay_sandbox::{ConnectError, Engine};
use tokio_util::sync::CancellationToken;

use crate::exit::{Exit, Expected};
use crate::{engine, preflight};

/// What is left of runs that died is removed once it is older than this.
const LEFTOVERS_AFTER: Duration = Duration::from_secs(2 * 3600);

/// What is to be assessed.
pub(crate) struct Request<'a> {
    pub(crate) folder: &'a ExerciseFolder,
    pub(crate) track: &'a str,
    pub(crate) repository: &'a str,
    pub(crate) reference: Option<&'a str>,
    /// None: drawn by chance.
    pub(crate) seed: Option<u64>,
    pub(crate) extra_ca: Option<Vec<u8>>,
    /// Folder of OSV records.
    pub(crate) advisories: Option<&'a Path>,
    /// Where evidence goes.
    pub(crate) out: &'a Path,
}

/// Connects to the engine. Where it has a runtime for candidates' code, that is tried first: what it does not keep must neither
/// let code out nor be taken for a candidate's fault.
pub(crate) async fn connect(engine: &engine::Options) -> anyhow::Result<Engine> {
    let engine = match engine.connect().await {
        Err(error @ ConnectError::Runtime { .. }) => return Err(unusable(error.to_string())),
        connected => connected.context(
            "no container engine answers (hint: start Docker, or set DOCKER_HOST; ci/engine does it on Debian as root)",
        )?,
    };
    if engine.info().facts.runtime.is_some() {
        let concerns = preflight::examine(&engine).await;
        if let Some(Concern { message, hint, .. }) = concerns.into_iter().find(|concern| concern.is_grave) {
            return Err(unusable(format!("{message} (hint: {hint})")));
        }
    }
    Ok(engine)
}

fn unusable(message: String) -> anyhow::Error {
    Expected {
        exit: Exit::BadConfiguration,
        message,
    }
    .into()
}

/// Removes what dead runs left.
async fn sweep(engine: &Engine) {
    if let Err(error) = engine.sweep(LEFTOVERS_AFTER).await {
        tracing::warn!(%error, "leftovers of dead runs could not be removed: {error}");
    }
}

/// Waits for the clean-up: what is not removed when the program ends stays until the next sweep.
pub(crate) async fn ended(teardown: Option<Teardown>) {
    if let Some(teardown) = teardown {
        teardown.ended().await;
    }
}

/// Assesses, stores the evidence and gives the report. The clean-up may still be under way then, and is to be waited for, see [`ended`].
pub(crate) async fn assess(
    engine: &Engine,
    request: &Request<'_>,
    events: &Events,
    cancel: &CancellationToken,
) -> anyhow::Result<(Report, Option<Teardown>)> {
    let prepared = Prepared::of(request)?;
    let job = prepared.job(request);
    let (scored, ()) = tokio::join!(Scored::of(engine, &job, events, cancel), sweep(engine));
    let scored = scored?;
    if let Err(error) = evidence_files::write(request.out, &scored.stored, &scored.raw) {
        ended(scored.teardown).await;
        return Err(error.into());
    }
    scored.tell(events);
    Ok((scored.report, scored.teardown))
}

/// Assesses and gives what the checks found, without points.
pub(crate) async fn look(
    engine: &Engine,
    request: &Request<'_>,
    events: &Events,
    cancel: &CancellationToken,
) -> anyhow::Result<Evidence> {
    let prepared = Prepared::of(request)?;
    let job = prepared.job(request);
    let (assessment, ()) = tokio::join!(assay_engine::assess(engine, &job, events, cancel), sweep(engine));
    let assessment = assessment?;
    ended(assessment.teardown).await;
    Ok(assessment.evidence)
}

/// What a job needs besides the request.
struct Prepared {
    scratch: tempfile::TempDir,
    source: assay_git::Source,
    run_id: String,
    seed: u64,
    secret: String,
}

impl Prepared {
    fn of(request: &Request<'_>) -> anyhow::Result<Self> {
        let source = request.repository.parse().map_err(|error| Expected {
            exit: Exit::BadConfiguration,
            message: format!(
                "{error} (hint: give a folder, or an https, http or ssh address without credentials)"
            ),
        })?;
        Ok(Self {
            scratch: tempfile::tempdir().context("no temporary folder can be made")?,
            source,
            // Ids and secrets never follow from the seed: a candidate may know it from an earlier report.
            run_id: format!("{:012x}", rand::random::<u64>() >> 16),
            seed: request.seed.unwrap_or_else(rand::random),
            secret: format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>()),
        })
    }

    fn job<'a>(&'a self, request: &Request<'a>) -> Job<'a> {
        Job {
            folder: request.folder,
            track: request.track,
            source: &self.source,
            repository: request.repository,
            authorization: None,
            reference: request.reference,
            commit: None,
            run_id: &self.run_id,
            worker: None,
            seed: self.seed,
            secret: self.secret.clone(),
            received_at: SystemTime::now(),
            scratch: self.scratch.path(),
            extra_ca: request.extra_ca.clone(),
            advisories: request.advisories,
            quiet: Quiet::default(),
        }
    }
}
