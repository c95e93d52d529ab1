//! Assignments, and their lists.

use assay_core::assignment::AssignmentState;
use assay_core::exercise::SubmitOn;
use assay_core::id::{AssignmentId, ConnectionId};

use crate::error::{exists, not_found};
use crate::model::{
    Assignment, AssignmentChange, AssignmentFilter, AssignmentRow, AssignmentSort, Candidate, Origin, Page,
    PageRequest,
};
use crate::names::Named;
use crate::rows::{count, from_json, id, limit, page, plain, to_json};
use crate::sql::{Tx, all, built, execute, optional};
use crate::{Store, StoreError, runs};

/// Most assignments that one call of [`Store::due_for_archive`] answers.
const MOST_DUE: i64 = 100;

/// Where a candidate without a name is sorted: behind every name.
pub(crate) const NO_NAME: &str = "\u{10FFFF}";

#[derive(sqlx::FromRow)]
struct Columns {
    id: String,
    exercise: String,
    track: String,
    candidate: Option<String>,
    connection: Option<String>,
    repository: Option<String>,
    state: String,
    submit_on: String,
    attempts: Option<i64>,
    due_at_ms: Option<i64>,
    extended_to_ms: Option<i64>,
    created_by: Option<String>,
    created_at_ms: i64,
    retain_until_ms: Option<i64>,
    archived_at_ms: Option<i64>,
}

impl TryFrom<Columns> for Assignment {
    type Error = StoreError;

    fn try_from(row: Columns) -> Result<Self, StoreError> {
        let candidate = row.candidate.as_deref();
        Ok(Self {
            id: id(row.id)?,
            exercise: row.exercise,
            track: row.track,
            candidate: candidate.map(|text| from_json("candidate", text)).transpose()?,
            origin: match row.connection {
                Some(connection) => Origin::Forge {
                    connection: id(connection)?,
                    repository: row.repository.unwrap_or_default(),
                },
                None => Origin::Hosted,
            },
            state: AssignmentState::of(&row.state)?,
            submit_on: SubmitOn::of(&row.submit_on)?,
            attempts: row.attempts.map(count),
            due_at_ms: row.due_at_ms,
            extended_to_ms: row.extended_to_ms,
            created_by: row.created_by.map(id).transpose()?,
            created_at_ms: row.created_at_ms,
            retain_until_ms: row.retain_until_ms,
            archived_at_ms: row.archived_at_ms,
        })
    }
}

/// An assignment, in a transaction.
pub(crate) async fn find(tx: &mut Tx, id: &AssignmentId) -> Result<Option<Assignment>, StoreError> {
    let row: Option<Columns> = optional!(tx, "SELECT * FROM assignments WHERE id = $1", id.as_str())?;
    row.map(Assignment::try_from).transpose()
}

/// An assignment to which something is to be added.
pub(crate) async fn find_live(tx: &mut Tx, id: &AssignmentId) -> Result<Assignment, StoreError> {
    let assignment = find(tx, id).await?;
    let assignment = assignment.ok_or_else(|| not_found("assignment", id.as_str()))?;
    if assignment.state == AssignmentState::Erased {
        return Err(StoreError::Erased(id.to_string()));
    }
    Ok(assignment)
}

/// Brings the columns `latest_…` up to date. Whatever changes a run or a scorecard calls it in the same transaction.
pub(crate) async fn refresh(tx: &mut Tx, id: &AssignmentId) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE assignments SET
           latest_push_ms = COALESCE(
             (SELECT max(received_at_ms) FROM runs WHERE assignment = $1 AND asked_by <> 'rerun'), -1),
           latest_score = COALESCE(
             (SELECT s.total FROM runs r JOIN scorecards s ON s.run = r.id AND s.version = r.n_scorecards
              WHERE r.assignment = $1 AND r.number =
                (SELECT max(number) FROM runs
                 WHERE assignment = $1 AND (outcome IS NULL OR outcome <> 'superseded'))), -1)
         WHERE id = $1",
        id.as_str(),
    )?;
    Ok(())
}

/// What a list is sorted by.
#[derive(sqlx::FromRow)]
struct Keys {
    created_at_ms: i64,
    candidate_key: String,
    latest_score: i64,
    latest_push_ms: i64,
}

impl Store {
    /// Adds an assignment.
    ///
    /// # Errors
    ///
    /// When its id is there already, or another assignment has the same repository at a forge.
    pub async fn create_assignment(&self, assignment: &Assignment) -> Result<(), StoreError> {
        let (connection, repository) = match &assignment.origin {
            Origin::Hosted => (None, None),
            Origin::Forge {
                connection,
                repository,
            } => (Some(connection.as_str()), Some(plain(repository))),
        };
        let candidate = assignment.candidate.as_ref();
        let mut tx = self.write().await?;
        execute!(
            &mut tx,
            "INSERT INTO assignments (id, exercise, track, candidate, candidate_key, connection, repository, state,
                                      submit_on, attempts, due_at_ms, extended_to_ms, created_by, created_at_ms,
                                      retain_until_ms, archived_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            assignment.id.as_str(),
            plain(&assignment.exercise),
            plain(&assignment.track),
            candidate.map(|candidate| to_json("candidate", candidate)).transpose()?,
            key_of(candidate),
            connection,
            repository,
            assignment.state.word(),
            assignment.submit_on.word(),
            assignment.attempts.map(i64::from),
            assignment.due_at_ms,
            assignment.extended_to_ms,
            assignment.created_by.as_ref().map(|user| user.as_str()),
            assignment.created_at_ms,
            assignment.retain_until_ms,
            assignment.archived_at_ms,
        )
        .map_err(exists("assignment", assignment.id.as_str()))?;
        self.publish(tx).await
    }

    /// An assignment.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn assignment(&self, id: &AssignmentId) -> Result<Option<Assignment>, StoreError> {
        find(&mut self.read().await?, id).await
    }

    /// A part of the list of assignments.
    ///
    /// # Errors
    ///
    /// When `page` is none of this list, or the database fails.
    pub async fn assignments(
        &self,
        filter: &AssignmentFilter,
        request: &PageRequest,
    ) -> Result<Page<AssignmentRow>, StoreError> {
        let mut tx = self.read().await?;
        let after = match &request.after {
            Some(place) => {
                let keys: Option<Keys> =
                    optional!(&mut tx, "SELECT * FROM assignments WHERE id = $1", plain(place))?;
                let keys = keys.ok_or_else(|| StoreError::Place(place.clone()))?;
                Some((keys, place.as_str()))
            }
            None => None,
        };
        let (key, order, beyond) = match filter.sort {
            AssignmentSort::Newest => ("created_at_ms", "DESC", "<"),
            AssignmentSort::Candidate => ("candidate_key", "ASC", ">"),
            AssignmentSort::Score => ("latest_score", "DESC", "<"),
            AssignmentSort::Activity => ("latest_push_ms", "DESC", "<"),
        };
        let n = limit(request);
        let rows: Vec<Columns> = built!(&mut tx, |query| {
            query.push("SELECT * FROM assignments WHERE TRUE");
            if let Some(exercise) = &filter.exercise {
                query.push(" AND exercise = ").push_bind(plain(exercise));
            }
            if let Some(state) = filter.state {
                query.push(" AND state = ").push_bind(state.word());
            }
            if let Some(text) = filter.text.as_deref().filter(|text| !text.is_empty()) {
                let pattern = pattern_of(text);
                query.push(" AND (candidate_key LIKE ").push_bind(pattern.clone());
                query.push(" ESCAPE '!' OR id LIKE ").push_bind(pattern);
                query.push(" ESCAPE '!')");
            }
            if let Some((keys, place)) = &after {
                query.push(format!(" AND ({key}, id) {beyond} ("));
                match filter.sort {
                    AssignmentSort::Newest => query.push_bind(keys.created_at_ms),
                    AssignmentSort::Candidate => query.push_bind(keys.candidate_key.as_str()),
                    AssignmentSort::Score => query.push_bind(keys.latest_score),
                    AssignmentSort::Activity => query.push_bind(keys.latest_push_ms),
                };
                query.push(", ").push_bind(*place).push(")");
            }
            query.push(format!(" ORDER BY {key} {order}, id {order} LIMIT {}", n + 1));
        })?;
        let rows = rows
            .into_iter()
            .map(Assignment::try_from)
            .collect::<Result<Vec<_>, _>>()?;
        let rows = page(rows, n, |assignment| assignment.id.to_string());
        Ok(Page {
            rows: with_runs(&mut tx, rows.rows).await?,
            next: rows.next,
        })
    }

    /// An assignment as lists have it.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn assignment_row(&self, id: &AssignmentId) -> Result<Option<AssignmentRow>, StoreError> {
        let mut tx = self.read().await?;
        let assignment = find(&mut tx, id).await?;
        Ok(with_runs(&mut tx, assignment.into_iter().collect()).await?.pop())
    }

    /// Changes an assignment. Answers what it is now.
    ///
    /// # Errors
    ///
    /// When there is none, it was erased, or the change would erase it.
    pub async fn change_assignment(
        &self,
        id: &AssignmentId,
        change: &AssignmentChange,
    ) -> Result<Assignment, StoreError> {
        let mut tx = self.write().await?;
        let mut assignment = find_live(&mut tx, id).await?;
        if change.state == Some(AssignmentState::Erased) {
            return Err(StoreError::Erased(id.to_string()));
        }
        assignment.state = change.state.unwrap_or(assignment.state);
        assignment.extended_to_ms = change.extended_to_ms.unwrap_or(assignment.extended_to_ms);
        assignment.attempts = change.attempts.unwrap_or(assignment.attempts);
        assignment.retain_until_ms = change.retain_until_ms.unwrap_or(assignment.retain_until_ms);
        assignment.archived_at_ms = change.archived_at_ms.or(assignment.archived_at_ms);
        execute!(
            &mut tx,
            "UPDATE assignments SET state = $1, extended_to_ms = $2, attempts = $3, retain_until_ms = $4,
                                    archived_at_ms = $5
             WHERE id = $6",
            assignment.state.word(),
            assignment.extended_to_ms,
            assignment.attempts.map(i64::from),
            assignment.retain_until_ms,
            assignment.archived_at_ms,
            id.as_str(),
        )?;
        self.publish(tx).await?;
        Ok(assignment)
    }

    /// The assignment that a repository at a forge answers.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn forge_assignment(
        &self,
        connection: &ConnectionId,
        repository: &str,
    ) -> Result<Option<Assignment>, StoreError> {
        let mut tx = self.read().await?;
        let row: Option<Columns> = optional!(
            &mut tx,
            "SELECT * FROM assignments WHERE connection = $1 AND repository = $2 AND repository <> ''",
            connection.as_str(),
            plain(repository),
        )?;
        row.map(Assignment::try_from).transpose()
    }

    /// Assignments with a repository of ours that is to be archived: whose retention is over, or which are closed and have
    /// none. At most 100, the longest due first.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn due_for_archive(&self, now_ms: i64) -> Result<Vec<Assignment>, StoreError> {
        let mut tx = self.read().await?;
        let rows: Vec<Columns> = all!(
            &mut tx,
            "SELECT * FROM assignments
             WHERE archived_at_ms IS NULL AND connection IS NULL AND state IN ('open', 'closed')
               AND (retain_until_ms <= $1 OR (retain_until_ms IS NULL AND state = 'closed'))
             ORDER BY COALESCE(retain_until_ms, created_at_ms), id LIMIT $2",
            now_ms,
            MOST_DUE,
        )?;
        rows.into_iter().map(Assignment::try_from).collect()
    }
}

async fn with_runs(tx: &mut Tx, assignments: Vec<Assignment>) -> Result<Vec<AssignmentRow>, StoreError> {
    let ids: Vec<&str> = assignments
        .iter()
        .map(|assignment| assignment.id.as_str())
        .collect();
    let mut latest = runs::latest_of(tx, &ids).await?;
    let mut tallies = runs::tallies_of(tx, &ids).await?;
    let row = |assignment: Assignment| {
        let tally = tallies.remove(&assignment.id).unwrap_or_default();
        AssignmentRow {
            latest: latest.remove(&assignment.id),
            n_runs: tally.n_runs,
            n_attempts_used: tally.n_attempts_used,
            assignment,
        }
    };
    Ok(assignments.into_iter().map(row).collect())
}

/// What a candidate is sorted and found by.
fn key_of(candidate: Option<&Candidate>) -> String {
    match candidate {
        Some(candidate) => plain(&candidate.name.to_lowercase()),
        None => NO_NAME.to_owned(),
    }
}

/// A pattern for LIKE that finds the text anywhere; `!` takes their meaning from the signs that have one.
fn pattern_of(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in plain(&text.to_lowercase()).chars() {
        if matches!(c, '!' | '%' | '_') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
