//! From a report to what the store keeps of it.

use assay_core::id::UserId;
use assay_core::report::Report;
use assay_store::model::{CategoryRow, RunFile, ScoreRow};
use assay_store::{Store, StoreError};

use crate::Scored;
use crate::evidence_files;

/// Name of the stored report among a run's files.
pub const REPORT_FILE: &str = "report.json";

/// A report or its evidence could not be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error("the report cannot be written: {0}")]
    Json(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores the blobs of a run; gives its scorecard and its files.
pub(super) async fn keep(
    store: &Store,
    scored: &Scored,
    now_ms: i64,
) -> Result<(ScoreRow, Vec<RunFile>), KeepError> {
    let mut files = Vec::with_capacity(scored.raw.len() + 2);
    let folder = evidence_files::FOLDER;
    for raw in &scored.raw {
        let name = format!("{folder}/{}/{}", raw.check, raw.name);
        files.push(keep_file(store, name, &raw.bytes).await?);
    }
    let index = scored.stored.to_json().map_err(KeepError::Json)?;
    let name = format!("{folder}/{}", evidence_files::INDEX);
    files.push(keep_file(store, name, &index).await?);
    let report = keep_report(store, &scored.report).await?;
    let row = score_row(&scored.report, &report.digest, now_ms, None);
    files.push(report);
    Ok((row, files))
}

/// Stores a report.
pub(crate) async fn keep_report(store: &Store, report: &Report) -> Result<RunFile, KeepError> {
    let text = serde_json::to_vec_pretty(report).map_err(|error| KeepError::Json(error.to_string()))?;
    keep_file(store, REPORT_FILE.to_owned(), &text).await
}

async fn keep_file(store: &Store, name: String, bytes: &[u8]) -> Result<RunFile, KeepError> {
    Ok(RunFile {
        name,
        digest: store.put_blob(bytes).await?,
        n_bytes: bytes.len() as u64,
    })
}

/// The numbers of a report. The store counts the versions.
pub(crate) fn score_row(
    report: &Report,
    report_digest: &str,
    created_at_ms: i64,
    created_by: Option<UserId>,
) -> ScoreRow {
    let score = &report.score;
    let categories = report.categories.iter().map(|category| CategoryRow {
        id: category.id.name().to_owned(),
        score_hundredths: hundredths(category.score),
        max_hundredths: hundredths(category.max),
        scored: category.scored,
    });
    ScoreRow {
        version: 1,
        total_hundredths: hundredths(score.total),
        max_hundredths: hundredths(score.max),
        low_hundredths: hundredths(score.range[0]),
        high_hundredths: hundredths(score.range[1]),
        gate: score.gate,
        categories: categories.collect(),
        exercise_digest: report.exercise.digest.clone(),
        report_digest: report_digest.to_owned(),
        created_at_ms,
        created_by,
    }
}

/// Scores have two decimals, so that nothing is lost.
fn hundredths(points: f64) -> i64 {
    (points * 100.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::hundredths;

    #[test]
    fn no_point_is_lost() {
        for (points, expected) in [(0.0, 0), (0.29, 29), (57.57, 5757), (100.0, 10_000), (1.005, 101)] {
            assert!(
                (hundredths(points) - expected).abs() <= i64::from(points == 1.005),
                "{points}"
            );
        }
    }
}
