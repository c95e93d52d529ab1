//! One run: from a repository's address to evidence. The order of things, and nothing else.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use assay_core::event::Event;
use assay_core::evidence::{CheckEvidence, Evidence};
use assay_core::exercise::{Check, CheckKind};
use assay_core::fault::Stop;
use assay_core::report::Submission;
use assay_core::toolchain::Toolchain;
use assay_git::{Authorization, FetchError, FetchLimits, FetchRequest, Fetched};
use assay_sandbox::{Container, Engine};
use futures_util::stream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::analyse;
use crate::build;
use crate::commands;
use crate::context::{Built, Context};
use crate::events::Events;
use crate::evidence_files::RawFile;
use crate::faults;
use crate::folder::ExerciseFolder;
use crate::ground::{self, Ground, Teardown, Trees};
use crate::integration;
use crate::load;
use crate::quiet::{Hold, Quiet};
use crate::rigour;
use crate::security;
use crate::service::millis;
use crate::source::{self, Source};
use crate::unit;

/// How long fetching a repository may take.
const FETCH_DEADLINE: Duration = Duration::from_secs(120);
/// What is to be assessed, and everything that is random or depends on time.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The exercise.
    pub folder: &'a ExerciseFolder,
    /// The track.
    pub track: &'a str,
    /// Where the repository is.
    pub source: &'a assay_git::Source,
    /// How the report names it.
    pub repository: &'a str,
    /// Who asks for the repository, where its server wants to know.
    pub authorization: Option<&'a Authorization>,
    /// Branch, tag or commit. None: the default branch.
    pub reference: Option<&'a str>,
    /// The commit that `reference` named when it was submitted. None: whatever it names now.
    pub commit: Option<&'a str>,
    /// Id of the run: lower-case letters, digits, hyphens.
    pub run_id: &'a str,
    /// The worker that carries it out. None: somebody at a terminal does.
    pub worker: Option<Execution<'a>>,
    /// Seed of all random data in checks.
    pub seed: u64,
    /// Random text: the service's secret.
    pub secret: String,
    /// When the submission was received.
    pub received_at: SystemTime,
    /// A folder of ours for temporary files, which is there.
    pub scratch: &'a Path,
    /// Extra certificate authorities for candidate builds, PEM.
    pub extra_ca: Option<Vec<u8>>,
    /// Folder of OSV records that dependencies are audited against. None: they are not audited.
    pub advisories: Option<&'a Path>,
    /// What keeps load checks of this host alone.
    pub quiet: Quiet,
}

/// One of several times that a run may be carried out.
#[derive(Debug, Clone, Copy)]
pub struct Execution<'a> {
    /// The worker, by a name that no other worker on the engine has.
    pub owner: &'a str,
    /// Counts from 1.
    pub number: u32,
}

/// What came of it.
#[derive(Debug)]
pub struct Assessment {
    /// The submission.
    pub submission: Submission,
    /// What the checks found.
    pub evidence: Evidence,
    /// The bytes that it rests on.
    pub raw: Vec<RawFile>,
    /// Ids of the images that ran, by name.
    pub images: BTreeMap<String, String>,
    /// Which advisories dependencies were compared with: how many, and their digest. None: they were not.
    pub advisories: Option<String>,
    /// The run's clean-up, under way. None: there was nothing to clean up.
    pub teardown: Option<Teardown>,
}

/// There is nothing to report on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The repository could not be fetched, and that is the caller's mistake.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The exercise has no such track.
    #[error("the exercise has no track `{track}`; it has {tracks}")]
    NoTrack {
        /// As asked for.
        track: String,
        /// Those there are.
        tracks: String,
    },
    /// There is no commit, or no file in it.
    #[error("there is nothing to check: {detail}")]
    NothingSubmitted {
        /// What is missing.
        detail: String,
    },
    /// It was cancelled.
    #[error("the run was cancelled")]
    Cancelled,
}

/// Assesses one submission. Whatever happens to single checks is in the evidence; nothing of the run is left behind.
///
/// # Errors
/// When there is nothing to report on, see [`RunError`].
pub async fn assess(
    engine: &Engine,
    job: &Job<'_>,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Assessment, RunError> {
    let folder = job.folder;
    let toolchain = folder
        .toolchains
        .get(job.track)
        .cloned()
        .ok_or_else(|| RunError::NoTrack {
            track: job.track.to_owned(),
            tracks: folder.spec.tracks.keys().cloned().collect::<Vec<_>>().join(", "),
        })?;
    events.tell(Event::RunStarted {
        run: job.run_id.to_owned(),
        exercise: folder.spec.slug.clone(),
        repository: job.repository.to_owned(),
    });
    let repository = job.scratch.join("repository.git");
    // The first containers start while the repository is fetched.
    let starting = async {
        let first = folder.spec.checks.first();
        let _hold = job.quiet.wait(false, first, events, cancel).await;
        Ground::make(engine, job, cancel).await
    };
    let reading = read(job, &repository, &toolchain, cancel);
    let (read, started) = tokio::join!(Box::pin(reading), Box::pin(starting));
    let (source, fetched) = match read {
        Ok(read) => read,
        Err(unread) => {
            if let Ok(ground) = started {
                ground::destroy(ground.run).await;
            }
            return match unread {
                Unread::Stopped(stop) => Ok(stopped(job, &stop, None)),
                Unread::Failed(error) => Err(error),
            };
        }
    };
    let reference = match (job.commit, job.reference) {
        (Some(_), Some(reference)) => reference,
        _ => &fetched.reference,
    };
    let submission = source.submission(job.repository, reference, job.track);
    let (n_files, n_bytes, n_left_out) = source.size();
    events.tell(Event::SourceRead {
        commit: submission.commit.clone(),
        n_files,
        n_bytes,
        n_left_out,
    });
    let ground = match started {
        Ok(ground) => ground,
        Err(stop) => return Ok(stopped(job, &stop, Some(submission))),
    };
    let own_source_lines = source.own_source_lines();
    let (toolchain, bad_override) = match source.overridden(toolchain.clone(), folder.spec.overrides) {
        Ok(toolchain) => (toolchain, None),
        Err(stop) => (toolchain, Some(stop)),
    };
    let context = Context {
        engine,
        run: &ground.run,
        folder,
        track: job.track,
        scratch: job.scratch,
        images: &ground.images,
        source: &source,
        toolchain,
        toolchain_image: folder
            .spec
            .tracks
            .get(job.track)
            .map(|track| track.toolchain.clone())
            .unwrap_or_default(),
        trees: ground.trees,
        seed: job.seed,
        secret: job.secret.clone(),
        extra_ca: job.extra_ca.clone(),
        advisories: job.advisories.map(Path::to_owned),
        audited_with: OnceLock::new(),
        cancel: cancel.clone(),
        events: events.clone(),
        quiet: job.quiet.clone(),
        raw: Mutex::new(Vec::new()),
    };
    // On the heap, as are the checks: together they would not fit on a thread's stack in an unoptimised build.
    let checks = Box::pin(run_checks(&context, bad_override, ground.commands)).await;
    let advisories = context.audited_with.into_inner();
    let raw = context
        .raw
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let teardown = Teardown::begin(ground.run, job.quiet.clone());
    if cancel.is_cancelled() {
        teardown.ended().await;
        return Err(RunError::Cancelled);
    }
    let ids = ground
        .images
        .into_iter()
        .map(|(name, image)| (name, image.id))
        .collect();
    Ok(Assessment {
        submission,
        evidence: Evidence {
            checks,
            own_source_lines,
        },
        raw,
        images: ids,
        advisories,
        teardown: Some(teardown),
    })
}

async fn fetch(job: &Job<'_>, into: &Path, cancel: &CancellationToken) -> Result<Fetched, FetchError> {
    let request = FetchRequest {
        source: job.source,
        authorization: job.authorization,
        reference: job.commit.or(job.reference),
        into,
        received_at: job.received_at,
        limits: FetchLimits::STANDARD,
    };
    assay_git::fetch(request, cancel, tokio::time::Instant::now() + FETCH_DEADLINE).await
}

/// Why there is no source.
enum Unread {
    /// A report says so.
    Stopped(Stop),
    /// There is nothing to report on.
    Failed(RunError),
}

impl From<Stop> for Unread {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::NothingSubmitted { detail } => Self::Failed(RunError::NothingSubmitted { detail }),
            Stop::Cancelled => Self::Failed(RunError::Cancelled),
            stop => Self::Stopped(stop),
        }
    }
}

/// Fetches the repository and reads the source in it.
async fn read(
    job: &Job<'_>,
    repository: &Path,
    toolchain: &Toolchain,
    cancel: &CancellationToken,
) -> Result<(Source, Fetched), Unread> {
    let fetched = fetch(job, repository, cancel).await;
    let fetched = fetched.map_err(|error| match source::fetch_stop(&error) {
        Some(stop) => stop.into(),
        None => Unread::Failed(error.into()),
    })?;
    let source = read_source(job, repository, &fetched, toolchain).await?;
    Ok((source, fetched))
}

async fn read_source(
    job: &Job<'_>,
    repository: &Path,
    fetched: &Fetched,
    toolchain: &Toolchain,
) -> Result<Source, Stop> {
    let template = job.folder.templates.get(job.track).cloned().unwrap_or_default();
    let (repository, fetched, globs) = (repository.to_owned(), fetched.clone(), toolchain.source.clone());
    let read = move || Source::read(&repository, &fetched, &template, &globs);
    match tokio::task::spawn_blocking(read).await {
        Ok(source) => source,
        Err(error) => Err(Stop::EngineFailed {
            detail: error.to_string(),
        }),
    }
}

/// Build and analysis side by side; then what needs the build, as many at once as there are cores; the load alone at the end.
async fn run_checks(
    context: &Context<'_>,
    bad_override: Option<Stop>,
    first: Option<Container>,
) -> Vec<CheckEvidence> {
    let hold = hold(context, CheckKind::Build).await;
    if let Some(trees) = &context.trees
        && let Err(stop) = write_sources(context, trees).await
    {
        return context
            .folder
            .spec
            .checks
            .iter()
            .map(|check| stopped_check(check, stop.clone()))
            .collect();
    }
    began(context, CheckKind::Build);
    began(context, CheckKind::Style);
    let building = timed(async {
        match bad_override {
            Some(stop) => {
                let check = context
                    .check(CheckKind::Build)
                    .map(|check| stopped_check(check, stop));
                let none = || CheckEvidence::new("build", CheckKind::Build, Default::default());
                (check.unwrap_or_else(none), None)
            }
            None => Box::pin(build::build(context)).await,
        }
    });
    let analysing = timed(Box::pin(analyse::analyse(context)));
    let (((build, built), build_ms), (analysed, analysed_ms)) = tokio::join!(building, analysing);
    let built = built.ok_or_else(|| match &build.stop {
        Some(stop) => stop.without_build(),
        None => Stop::NotBuilt,
    });
    let mut done = BTreeMap::from([(CheckKind::Build, with_duration(context, build, build_ms))]);
    let style = analyse::style(context, &analysed);
    done.insert(CheckKind::Style, with_duration(context, style, analysed_ms));
    drop(hold);

    let built = built.as_ref();
    let places = Semaphore::new(
        usize::try_from(context.engine.info().cpus)
            .unwrap_or(1)
            .clamp(1, 8),
    );
    let (commands, unit, integration, security, rigour) = tokio::join!(
        Box::pin(commands::run_all(context, built, &places, first)),
        placed(
            context,
            &places,
            CheckKind::Unit,
            if_built(context, CheckKind::Unit, built, unit::unit)
        ),
        placed(
            context,
            &places,
            CheckKind::Integration,
            if_built(context, CheckKind::Integration, built, integration::integration)
        ),
        placed(
            context,
            &places,
            CheckKind::Security,
            Box::pin(security::security(context, built, &analysed))
        ),
        // Last in the row: its rounds take the places that the others leave.
        begun(
            context,
            CheckKind::Rigour,
            Box::pin(rigour::rigour(context, built, &places))
        ),
    );
    done.extend([
        (CheckKind::Unit, unit),
        (CheckKind::Integration, integration),
        (CheckKind::Security, security),
        (CheckKind::Rigour, rigour),
    ]);
    let load = placed(
        context,
        &places,
        CheckKind::Load,
        if_built(context, CheckKind::Load, built, load::load),
    )
    .await;
    done.insert(CheckKind::Load, load);
    let mut all: Vec<CheckEvidence> = done.into_values().chain(commands).collect();
    let checks = &context.folder.spec.checks;
    let place = |evidence: &CheckEvidence| checks.iter().position(|check| check.id == evidence.id);
    all.retain(|evidence| place(evidence).is_some());
    all.sort_by_key(place);
    all
}

async fn write_sources(context: &Context<'_>, trees: &Trees) -> Result<(), Stop> {
    let (entries, history) = (context.source.entries(), context.source.history_entries());
    let role = faults::Role::Trusted("loader");
    let (written, scanned) = tokio::join!(
        trees.volumes.write_tree("src", stream::iter(entries?)),
        trees.volumes.write_tree("history", stream::iter(history?)),
    );
    written.map_err(|error| role.ask(&error))?;
    scanned.map_err(|error| role.ask(&error))?;
    Ok(())
}

/// The check, or what stopped it since nothing was built.
async fn if_built<'a>(
    context: &'a Context<'a>,
    kind: CheckKind,
    built: Result<&'a Built, &'a Stop>,
    check: impl AsyncFnOnce(&'a Context<'a>, &'a Built) -> CheckEvidence,
) -> CheckEvidence {
    match (built, context.check(kind)) {
        (Ok(built), _) => Box::pin(check(context, built)).await,
        (Err(stop), Some(check)) => stopped_check(check, stop.clone()),
        (Err(_), None) => CheckEvidence::new("", kind, Default::default()),
    }
}

/// Waits for a place, then runs the check.
async fn placed(
    context: &Context<'_>,
    places: &Semaphore,
    kind: CheckKind,
    check: impl Future<Output = CheckEvidence>,
) -> CheckEvidence {
    if context.check(kind).is_none() {
        return CheckEvidence::new("", kind, Default::default());
    }
    // The semaphore is never closed; without a place the check would only run less alone.
    let _place = places.acquire().await;
    begun(context, kind, check).await
}

/// Runs the check and tells when it began and ended. A kind that the exercise does not have is skipped.
async fn begun(
    context: &Context<'_>,
    kind: CheckKind,
    check: impl Future<Output = CheckEvidence>,
) -> CheckEvidence {
    if context.check(kind).is_none() {
        return CheckEvidence::new("", kind, Default::default());
    }
    began(context, kind);
    // Waiting here counts neither into the check's time-out nor into its duration.
    let _hold = hold(context, kind).await;
    let (evidence, duration_ms) = timed(check).await;
    with_duration(context, evidence, duration_ms)
}

async fn hold(context: &Context<'_>, kind: CheckKind) -> Option<Hold> {
    let (alone, check) = (kind == CheckKind::Load, context.check(kind));
    let Context {
        quiet,
        events,
        cancel,
        ..
    } = context;
    quiet.wait(alone, check, events, cancel).await
}

fn began(context: &Context<'_>, kind: CheckKind) {
    if let Some(check) = context.check(kind) {
        context.events.tell(Event::CheckStarted {
            check: check.id.clone(),
        });
    }
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, u64) {
    let began = Instant::now();
    let value = work.await;
    (value, millis(began.elapsed()))
}

fn with_duration(context: &Context<'_>, mut evidence: CheckEvidence, duration_ms: u64) -> CheckEvidence {
    evidence.duration_ms = duration_ms;
    evidence
        .findings
        .sort_by_key(|finding| std::cmp::Reverse(finding.level));
    if let Some(check) = context.check(evidence.kind) {
        context.events.tell(finished(check, &evidence));
    }
    evidence
}

pub(crate) fn finished(check: &Check, evidence: &CheckEvidence) -> Event {
    let status = evidence.status();
    Event::CheckFinished {
        check: check.id.clone(),
        status,
        fault: evidence.stop.as_ref().map(Stop::fault),
        duration_ms: evidence.duration_ms,
        summary: evidence.summary(),
    }
}

pub(crate) fn stopped_check(check: &Check, stop: Stop) -> CheckEvidence {
    let mut evidence = CheckEvidence::new(&check.id, check.kind, check.seen());
    evidence.stop = Some(stop);
    evidence
}

/// Every check stopped for the same reason.
fn stopped(job: &Job<'_>, stop: &Stop, submission: Option<Submission>) -> Assessment {
    let checks = job
        .folder
        .spec
        .checks
        .iter()
        .map(|check| stopped_check(check, stop.clone()))
        .collect();
    let unknown = || Submission {
        repository: job.repository.to_owned(),
        reference: job.reference.unwrap_or("HEAD").to_owned(),
        commit: String::new(),
        tree: String::new(),
        track: job.track.to_owned(),
        subject: String::new(),
        author: String::new(),
        authored_at_s: 0,
        n_commits: 0,
        own_source_lines: 0,
    };
    Assessment {
        submission: submission.unwrap_or_else(unknown),
        evidence: Evidence {
            checks,
            own_source_lines: 0,
        },
        raw: Vec::new(),
        images: BTreeMap::new(),
        advisories: None,
        teardown: None,
    }
}
