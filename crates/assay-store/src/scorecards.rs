//! Scorecards and files that runs left.

use std::collections::HashMap;

use assay_core::id::RunId;
use assay_core::report::Report;

use crate::error::not_found;
use crate::model::{RunFile, ScoreRow};
use crate::rows::{count, from_json, id, plain, to_json};
use crate::sql::{Tx, all, built, execute, push_in, scalar};
use crate::{Store, StoreError, assignments, runs};

#[derive(sqlx::FromRow)]
struct Columns {
    run: String,
    version: i64,
    total: i64,
    max: i64,
    low: i64,
    high: i64,
    gate: Option<bool>,
    categories: String,
    exercise_digest: String,
    report_digest: String,
    created_at_ms: i64,
    created_by: Option<String>,
}

impl TryFrom<Columns> for ScoreRow {
    type Error = StoreError;

    fn try_from(row: Columns) -> Result<Self, StoreError> {
        Ok(Self {
            version: count(row.version),
            total_hundredths: row.total,
            max_hundredths: row.max,
            low_hundredths: row.low,
            high_hundredths: row.high,
            gate: row.gate,
            categories: from_json("list of categories", &row.categories)?,
            exercise_digest: row.exercise_digest,
            report_digest: row.report_digest,
            created_at_ms: row.created_at_ms,
            created_by: row.created_by.map(id).transpose()?,
        })
    }
}

/// The newest scorecard of each of these runs that has one, by the run's id.
pub(crate) async fn newest_of(tx: &mut Tx, runs: &[&str]) -> Result<HashMap<String, ScoreRow>, StoreError> {
    if runs.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Columns> = built!(tx, |query| {
        query.push(
            "SELECT s.* FROM runs r JOIN scorecards s ON s.run = r.id AND s.version = r.n_scorecards WHERE r.id",
        );
        push_in!(query, runs);
    })?;
    let newest = |row: Columns| Ok((row.run.clone(), ScoreRow::try_from(row)?));
    rows.into_iter().map(newest).collect()
}

impl Store {
    /// Adds a scorecard to a run that has ended, after a re-score. Answers its version, which is the next one, whatever
    /// `score.version` says.
    ///
    /// # Errors
    ///
    /// When there is no such run, its candidate was erased, the report's blob is not stored, or the database fails.
    pub async fn add_scorecard(&self, run: &RunId, score: &ScoreRow) -> Result<u32, StoreError> {
        let signed = self.to_sign(score).await?;
        let mut tx = self.write().await?;
        let its = runs::find(&mut tx, run).await?;
        let its = its.ok_or_else(|| not_found("run", run.as_str()))?;
        assignments::find_live(&mut tx, &its.assignment).await?;
        let version = self.add_score(&mut tx, run, score, signed).await?;
        assignments::refresh(&mut tx, &its.assignment).await?;
        self.publish(tx).await?;
        Ok(version)
    }

    /// All scorecards of a run, the oldest first.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn scorecards(&self, run: &RunId) -> Result<Vec<ScoreRow>, StoreError> {
        let mut tx = self.read().await?;
        let rows: Vec<Columns> = all!(
            &mut tx,
            "SELECT * FROM scorecards WHERE run = $1 ORDER BY version",
            run.as_str(),
        )?;
        rows.into_iter().map(ScoreRow::try_from).collect()
    }

    /// What a run left, by name.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn run_files(&self, run: &RunId) -> Result<Vec<RunFile>, StoreError> {
        let mut tx = self.read().await?;
        let rows: Vec<(String, String, i64)> = all!(
            &mut tx,
            "SELECT name, digest, n_bytes FROM run_files WHERE run = $1",
            run.as_str(),
        )?;
        let file = |(name, digest, n_bytes): (String, String, i64)| RunFile {
            name,
            digest,
            n_bytes: n_bytes.unsigned_abs(),
        };
        let mut files: Vec<RunFile> = rows.into_iter().map(file).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    pub(crate) async fn add_score(
        &self,
        tx: &mut Tx,
        run: &RunId,
        score: &ScoreRow,
        signed: Option<Report>,
    ) -> Result<u32, StoreError> {
        self.expect_blob(&score.report_digest).await?;
        let version: i64 = scalar!(
            &mut *tx,
            "UPDATE runs SET n_scorecards = n_scorecards + 1 WHERE id = $1 RETURNING n_scorecards",
            run.as_str(),
        )?;
        execute!(
            &mut *tx,
            "INSERT INTO scorecards (run, version, total, max, low, high, gate, categories, exercise_digest,
                                     report_digest, created_at_ms, created_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            run.as_str(),
            version,
            score.total_hundredths,
            score.max_hundredths,
            score.low_hundredths,
            score.high_hundredths,
            score.gate,
            to_json("list of categories", &score.categories)?,
            plain(&score.exercise_digest),
            &score.report_digest,
            score.created_at_ms,
            score.created_by.as_ref().map(|user| user.as_str()),
        )?;
        if let Some(report) = signed {
            self.attest(tx, run, count(version), score, &report).await?;
        }
        Ok(count(version))
    }

    pub(crate) async fn add_file(&self, tx: &mut Tx, run: &RunId, file: &RunFile) -> Result<(), StoreError> {
        self.expect_blob(&file.digest).await?;
        execute!(
            tx,
            "INSERT INTO run_files (run, name, digest, n_bytes) VALUES ($1, $2, $3, $4)
             ON CONFLICT (run, name) DO UPDATE SET digest = excluded.digest, n_bytes = excluded.n_bytes",
            run.as_str(),
            plain(&file.name),
            &file.digest,
            i64::try_from(file.n_bytes).unwrap_or(i64::MAX),
        )?;
        Ok(())
    }
}
