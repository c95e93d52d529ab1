//! The score again from a stored run's evidence, after weights changed. What was stays: a re-score adds.

use assay_core::id::{RunId, UserId};
use assay_store::model::ScoreRow;
use assay_store::{Store, StoreError};

use crate::Exercises;
use crate::evidence_files::{self, StoredEvidence};
use crate::worker::keep::{KeepError, keep_report, score_row};

/// There is no new scorecard.
#[derive(Debug, thiserror::Error)]
pub enum RescoreError {
    /// No such run, or none with evidence.
    #[error("run {run} has no evidence that a score could be computed from")]
    NoEvidence {
        /// The run.
        run: RunId,
    },
    /// The exercise is gone.
    #[error("there is no exercise `{slug}` any more")]
    NoExercise {
        /// Its slug.
        slug: String,
    },
    /// What was stored is not what this program writes.
    #[error("the evidence of run {run} cannot be read: {detail}")]
    Malformed {
        /// The run.
        run: RunId,
        /// What is wrong.
        detail: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Scores the stored evidence of a run under its exercise's present weights. Answers the new scorecard; nothing is overwritten.
///
/// # Errors
/// When there is no evidence, no exercise, or the store refuses.
pub async fn rescore(
    store: &Store,
    exercises: &Exercises,
    run: &RunId,
    by: Option<UserId>,
    now_ms: i64,
) -> Result<ScoreRow, RescoreError> {
    let malformed = |detail: String| RescoreError::Malformed {
        run: run.clone(),
        detail,
    };
    let none = || RescoreError::NoEvidence { run: run.clone() };
    let name = format!("{}/{}", evidence_files::FOLDER, evidence_files::INDEX);
    let files = store.run_files(run).await?;
    let index = files.iter().find(|file| file.name == name).ok_or_else(none)?;
    let bytes = store.blob(&index.digest).await?.ok_or_else(none)?;
    let stored = StoredEvidence::parse(&bytes).map_err(malformed)?;
    let slug = &stored.exercise.slug;
    let folder = exercises
        .get(slug)
        .ok_or_else(|| RescoreError::NoExercise { slug: slug.clone() })?;
    let report = stored.report(&folder);
    let kept = keep_report(store, &report).await.map_err(|error| match error {
        KeepError::Json(detail) => malformed(detail),
        KeepError::Store(error) => error.into(),
    })?;
    let mut row = score_row(&report, &kept.digest, now_ms, by);
    // The evidence names the exercise that it was gathered by; the points follow from the one of today.
    row.exercise_digest = folder.digest.clone();
    row.version = store.add_scorecard(run, &row).await?;
    Ok(row)
}
