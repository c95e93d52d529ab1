//! From an assessment to its report: the one way there, for the command line, the worker and a re-score.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use assay_core::event::Event;
use assay_core::report::{ExerciseRef, Report, RunInfo};
use assay_core::scoring;
use assay_sandbox::Engine;
use tokio_util::sync::CancellationToken;

use crate::evidence_files::{RawFile, StoredEvidence};
use crate::service::millis;
use crate::{Assessment, Events, ExerciseFolder, Job, RunError, Teardown, assess};

/// What a run comes to: evidence, and the report that follows from it.
#[derive(Debug)]
pub struct Scored {
    /// All that the report can be made from again.
    pub stored: StoredEvidence,
    /// The bytes that the evidence rests on.
    pub raw: Vec<RawFile>,
    /// The report.
    pub report: Report,
    /// The run's clean-up, under way. None: there was nothing to clean up, or somebody else waits for it.
    pub teardown: Option<Teardown>,
}

impl Scored {
    /// Assesses one submission and scores it. What it comes to is told by [`Scored::tell`], once it is kept.
    ///
    /// # Errors
    /// When there is nothing to report on, see [`RunError`].
    pub async fn of(
        engine: &Engine,
        job: &Job<'_>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Self, RunError> {
        let (began, started_at) = (Instant::now(), SystemTime::now());
        let assessment = Box::pin(assess(engine, job, events, cancel)).await?;
        let since_epoch = started_at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let run = RunInfo {
            id: job.run_id.to_owned(),
            started_at_ms: millis(since_epoch),
            duration_ms: millis(began.elapsed()),
            seed: job.seed,
            environment: environment(engine),
        };
        Ok(Self::new(job.folder, assessment, run))
    }

    /// Scores an assessment under the exercise's present scoring.
    pub fn new(folder: &ExerciseFolder, assessment: Assessment, run: RunInfo) -> Self {
        let exercise = ExerciseRef {
            slug: folder.spec.slug.clone(),
            title: folder.spec.title.clone(),
            digest: folder.digest.clone(),
        };
        let images = assessment
            .images
            .into_iter()
            .map(|(name, id)| (format!("image/{name}"), id));
        let program = (
            "program/assay".to_owned(),
            format!("version {}", env!("CARGO_PKG_VERSION")),
        );
        let advisories = assessment
            .advisories
            .map(|database| ("advisories".to_owned(), database));
        let stored = StoredEvidence::new(
            exercise,
            assessment.submission,
            run,
            assessment.evidence,
            images.chain([program]).chain(advisories).collect(),
            &assessment.raw,
        );
        Self {
            report: stored.report(folder),
            raw: assessment.raw,
            teardown: assessment.teardown,
            stored,
        }
    }

    /// Tells the score, and that all is written.
    pub fn tell(&self, events: &Events) {
        let score = &self.report.score;
        events.tell(Event::RunScored {
            total: score.total,
            max: score.max,
            range: score.range,
        });
        events.tell(Event::RunFinished {
            duration_ms: self.report.run.duration_ms,
        });
    }
}

impl StoredEvidence {
    /// The report of this evidence under an exercise's present scoring.
    pub fn report(&self, folder: &ExerciseFolder) -> Report {
        Report::new(
            self.exercise.clone(),
            self.submission.clone(),
            self.run.clone(),
            scoring::score(&folder.spec, &self.evidence),
            &self.evidence,
            self.digests.clone(),
        )
    }
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
