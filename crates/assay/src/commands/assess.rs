//! One assessment from the command line's point of view: random values, clock, files around the engine's run.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use assay_core::event::Event;
use assay_core::report::{ExerciseRef, Report, RunInfo};
use assay_core::scoring;
use assay_engine::events::Events;
use assay_engine::evidence_files::{self, StoredEvidence};
use assay_engine::{Assessment, ExerciseFolder, Job};
use assay_sandbox::Engine;
use tokio_util::sync::CancellationToken;

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
    /// Where evidence goes.
    pub(crate) out: &'a Path,
}

/// Connects to the engine and removes what dead runs left.
pub(crate) async fn connect(engine: Option<&str>) -> anyhow::Result<Engine> {
    let engine = Engine::connect(engine).await.context(
        "no container engine answers (hint: start Docker, or set DOCKER_HOST; ci/engine does it on Debian as root)",
    )?;
    if let Err(error) = engine.sweep(LEFTOVERS_AFTER).await {
        tracing::warn!(%error, "leftovers of dead runs could not be removed: {error}");
    }
    Ok(engine)
}

/// Assesses, stores the evidence and gives the report.
pub(crate) async fn assess(
    engine: &Engine,
    request: &Request<'_>,
    events: &Events,
    cancel: &CancellationToken,
) -> anyhow::Result<Report> {
    let scratch = tempfile::tempdir().context("no temporary folder can be made")?;
    let source: assay_git::Source = request
        .repository
        .parse()
        .map_err(|error| crate::exit::Expected {
            exit: crate::exit::Exit::BadConfiguration,
            message: format!(
                "{error} (hint: give a folder, or an https, http or ssh address without credentials)"
            ),
        })?;
    let (began, started_at) = (Instant::now(), SystemTime::now());
    let seed = request.seed.unwrap_or_else(rand::random);
    // Ids and secrets never follow from the seed: a candidate may know it from an earlier report.
    let run_id = format!("{:012x}", rand::random::<u64>() >> 16);
    let secret = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
    let job = Job {
        folder: request.folder,
        track: request.track,
        source: &source,
        repository: request.repository,
        reference: request.reference,
        run_id: &run_id,
        seed,
        secret,
        received_at: started_at,
        scratch: scratch.path(),
        extra_ca: request.extra_ca.clone(),
    };
    let assessment = assay_engine::assess(engine, &job, events, cancel).await?;
    let run = RunInfo {
        id: run_id.clone(),
        started_at_ms: millis(started_at.duration_since(UNIX_EPOCH).unwrap_or_default()),
        duration_ms: millis(began.elapsed()),
        seed,
        environment: environment(engine),
    };
    let report = write(request, assessment, run)?;
    let score = &report.score;
    events.tell(Event::RunScored {
        total: score.total,
        max: score.max,
        range: score.range,
    });
    events.tell(Event::RunFinished {
        duration_ms: report.run.duration_ms,
    });
    Ok(report)
}

fn write(request: &Request<'_>, assessment: Assessment, run: RunInfo) -> anyhow::Result<Report> {
    let spec = &request.folder.spec;
    let exercise = ExerciseRef {
        slug: spec.slug.clone(),
        title: spec.title.clone(),
        digest: format!("sha256:{}", request.folder.digest),
    };
    let images = assessment
        .images
        .into_iter()
        .map(|(name, id)| (format!("image/{name}"), id));
    let program = [(
        "program/assay".to_owned(),
        format!("version {}", env!("CARGO_PKG_VERSION")),
    )];
    let digests: BTreeMap<String, String> = images.chain(program).collect();
    let stored = StoredEvidence::new(
        exercise,
        assessment.submission,
        run,
        assessment.evidence,
        digests,
        &assessment.raw,
    );
    evidence_files::write(request.out, &stored, &assessment.raw)?;
    Ok(report(request.folder, stored))
}

/// The report of stored evidence under an exercise's present scoring.
pub(crate) fn report(folder: &ExerciseFolder, stored: StoredEvidence) -> Report {
    let scorecard = scoring::score(&folder.spec, &stored.evidence);
    Report::new(
        stored.exercise,
        stored.submission,
        stored.run,
        scorecard,
        &stored.evidence,
        stored.digests,
    )
}

fn environment(engine: &Engine) -> BTreeMap<String, String> {
    let info = engine.info();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    [
        ("engine", info.version.clone()),
        ("cgroup version", info.cgroup_version.to_string()),
        ("cores", info.cpus.to_string()),
        ("memory", format!("{} MiB", info.memory_bytes >> 20)),
        ("kernel", kernel.trim().to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
