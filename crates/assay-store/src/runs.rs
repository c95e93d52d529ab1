//! Runs, as they are read.

use std::collections::HashMap;

use assay_core::id::{AssignmentId, RunId};
use assay_core::queue::{Outcome, RunState, Trigger};

use crate::model::{Page, PageRequest, Run, RunFilter};
use crate::names::Named;
use crate::rows::{count, id, limit, page, plain};
use crate::sql::{Tx, all, built, optional, push_in};
use crate::{Store, StoreError, scorecards};

#[derive(sqlx::FromRow)]
struct Columns {
    id: String,
    assignment: String,
    number: i64,
    asked_by: String,
    commit_id: String,
    reference: String,
    received_at_ms: i64,
    seed: i64,
    counts: bool,
    state: String,
    outcome: Option<String>,
    reason: String,
    executions: i64,
    interruptions: i64,
    cancel_requested: bool,
    queued_at_ms: i64,
    started_at_ms: Option<i64>,
    finished_at_ms: Option<i64>,
}

impl TryFrom<Columns> for Run {
    type Error = StoreError;

    fn try_from(row: Columns) -> Result<Self, StoreError> {
        Ok(Self {
            id: id(row.id)?,
            assignment: id(row.assignment)?,
            number: count(row.number),
            trigger: Trigger::of(&row.asked_by)?,
            commit: row.commit_id,
            reference: row.reference,
            received_at_ms: row.received_at_ms,
            seed: row.seed.cast_unsigned(),
            counts: row.counts,
            state: RunState::of(&row.state)?,
            outcome: row.outcome.as_deref().map(Outcome::of).transpose()?,
            reason: row.reason,
            executions: count(row.executions),
            interruptions: count(row.interruptions),
            cancel_requested: row.cancel_requested,
            queued_at_ms: row.queued_at_ms,
            started_at_ms: row.started_at_ms,
            finished_at_ms: row.finished_at_ms,
            score: None,
        })
    }
}

/// Rows as runs, each with its newest scorecard.
async fn complete(tx: &mut Tx, rows: Vec<Columns>) -> Result<Vec<Run>, StoreError> {
    let mut runs = rows
        .into_iter()
        .map(Run::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    let mut scores = scorecards::newest_of(tx, &ids).await?;
    for run in &mut runs {
        run.score = scores.remove(run.id.as_str());
    }
    Ok(runs)
}

/// A run, in a transaction.
pub(crate) async fn find(tx: &mut Tx, id: &RunId) -> Result<Option<Run>, StoreError> {
    let row: Option<Columns> = optional!(tx, "SELECT * FROM runs WHERE id = $1", id.as_str())?;
    Ok(complete(tx, row.into_iter().collect()).await?.pop())
}

/// The newest run that was not superseded, of each of these assignments that has one.
pub(crate) async fn latest_of(tx: &mut Tx, ids: &[&str]) -> Result<HashMap<AssignmentId, Run>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Columns> = built!(&mut *tx, |query| {
        query.push(
            "SELECT r.* FROM runs r JOIN
               (SELECT assignment, max(number) AS number FROM runs
                WHERE (outcome IS NULL OR outcome <> 'superseded') AND assignment",
        );
        push_in!(query, ids);
        query.push(" GROUP BY assignment) l ON r.assignment = l.assignment AND r.number = l.number");
    })?;
    let runs = complete(tx, rows).await?;
    Ok(runs
        .into_iter()
        .map(|run| (run.assignment.clone(), run))
        .collect())
}

/// How many runs an assignment has.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) n_runs: u32,
    pub(crate) n_attempts_used: u32,
}

/// The tallies of each of these assignments that has a run.
pub(crate) async fn tallies_of(
    tx: &mut Tx,
    ids: &[&str],
) -> Result<HashMap<AssignmentId, Tally>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(String, bool, Option<String>, i64)> = built!(tx, |query| {
        query.push("SELECT assignment, counts, outcome, count(*) FROM runs WHERE assignment");
        push_in!(query, ids);
        query.push(" GROUP BY assignment, counts, outcome");
    })?;
    let mut tallies: HashMap<AssignmentId, Tally> = HashMap::new();
    for (assignment, counts, outcome, n) in rows {
        let tally = tallies.entry(id(assignment)?).or_default();
        let outcome = outcome.as_deref().map(Outcome::of).transpose()?;
        tally.n_runs += count(n);
        if counts && outcome.is_none_or(Outcome::costs) {
            tally.n_attempts_used += count(n);
        }
    }
    Ok(tallies)
}

/// The attempts that an assignment has used up, but for these runs.
pub(crate) async fn attempts_used(
    tx: &mut Tx,
    assignment: &AssignmentId,
    but: &[RunId],
) -> Result<u32, StoreError> {
    let tallies = tallies_of(&mut *tx, &[assignment.as_str()]).await?;
    let n_used = tallies.get(assignment).map_or(0, |tally| tally.n_attempts_used);
    if but.is_empty() {
        return Ok(n_used);
    }
    let ids: Vec<&str> = but.iter().map(RunId::as_str).collect();
    let counting: Vec<(String,)> = built!(tx, |query| {
        query.push("SELECT id FROM runs WHERE counts AND id");
        push_in!(query, &ids);
    })?;
    Ok(n_used.saturating_sub(u32::try_from(counting.len()).unwrap_or(u32::MAX)))
}

impl Store {
    /// A run.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn run(&self, id: &RunId) -> Result<Option<Run>, StoreError> {
        find(&mut self.read().await?, id).await
    }

    /// A part of the list of runs, newest first.
    ///
    /// # Errors
    ///
    /// When `page` is none of this list, or the database fails.
    pub async fn runs(&self, filter: &RunFilter, request: &PageRequest) -> Result<Page<Run>, StoreError> {
        let mut tx = self.read().await?;
        let after = match &request.after {
            Some(place) => {
                let key: Option<(i64,)> = optional!(
                    &mut tx,
                    "SELECT queued_at_ms FROM runs WHERE id = $1",
                    plain(place)
                )?;
                let (queued_at_ms,) = key.ok_or_else(|| StoreError::Place(place.clone()))?;
                Some((queued_at_ms, place.as_str()))
            }
            None => None,
        };
        let n = limit(request);
        let rows: Vec<Columns> = built!(&mut tx, |query| {
            query.push("SELECT * FROM runs WHERE TRUE");
            if let Some(assignment) = &filter.assignment {
                query.push(" AND assignment = ").push_bind(assignment.as_str());
            }
            if let Some(exercise) = &filter.exercise {
                query.push(" AND exercise = ").push_bind(plain(exercise));
            }
            if let Some(state) = filter.state {
                query.push(" AND state = ").push_bind(state.word());
            }
            if let Some((queued_at_ms, place)) = after {
                query.push(" AND (queued_at_ms, id) < (").push_bind(queued_at_ms);
                query.push(", ").push_bind(place).push(")");
            }
            query.push(format!(" ORDER BY queued_at_ms DESC, id DESC LIMIT {}", n + 1));
        })?;
        let runs = complete(&mut tx, rows).await?;
        Ok(page(runs, n, |run| run.id.to_string()))
    }

    /// The runs of an assignment, newest first, at most 1000.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn runs_of(&self, assignment: &AssignmentId) -> Result<Vec<Run>, StoreError> {
        let mut tx = self.read().await?;
        let rows: Vec<Columns> = all!(
            &mut tx,
            "SELECT * FROM runs WHERE assignment = $1 ORDER BY number DESC LIMIT 1000",
            assignment.as_str(),
        )?;
        complete(&mut tx, rows).await
    }

    /// How many attempts of an assignment are used up: of the runs that count, those that wait, run, or ended with an
    /// [`Outcome`] that costs.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn attempts_used(&self, assignment: &AssignmentId) -> Result<u32, StoreError> {
        attempts_used(&mut self.read().await?, assignment, &[]).await
    }
}
