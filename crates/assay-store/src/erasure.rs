//! Forgetting a candidate. What remains says that there was somebody, when, and how it ended; not who, and not what they wrote.

use std::collections::HashSet;

use assay_core::event::Event;
use assay_core::id::{AssignmentId, RunId};
use assay_core::queue::Outcome;

use crate::assignments::NO_NAME;
use crate::error::not_found;
use crate::rows::{id, plain, to_json};
use crate::sql::{Tx, all, execute};
use crate::{Store, StoreError, assignments};

impl Store {
    /// Erases a candidate: their name and address, the name of their repository, their tokens; of their runs the commit, the
    /// reason, all events but the end, all files, reports and messages to forges. Runs that are not finished end as cancelled.
    ///
    /// In the place of a forge's repository's name stands `tombstone`, by which [`Store::forge_assignment`] still finds the
    /// assignment: who was erased does not come back with the next hook.
    /// Answers the digests of the blobs that nothing refers to any more; their files are removed. Ids, outcomes, points and the
    /// audit trail stay. Erasing again is harmless.
    ///
    /// # Errors
    ///
    /// When there is no such assignment, a file cannot be removed, or the database fails: then nothing is erased but files, and
    /// it is to be tried again.
    pub async fn erase_candidate(
        &self,
        id: &AssignmentId,
        tombstone: &str,
        now_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        let mut tx = self.write().await?;
        if assignments::find(&mut tx, id).await?.is_none() {
            return Err(not_found("assignment", id.as_str()));
        }
        let mut digests = HashSet::new();
        for run in self.ended_runs_of(&mut tx, id, now_ms).await? {
            erase_run(&mut tx, &run, &mut digests).await?;
        }
        erase_assignment(&mut tx, id, tombstone, now_ms).await?;
        let removed = self.remove_blobs(&mut tx, digests).await?;
        self.publish(tx).await?;
        self.forget_deleted().await?;
        Ok(removed)
    }

    /// The runs of an assignment, each of which is finished then.
    async fn ended_runs_of(
        &self,
        tx: &mut Tx,
        assignment: &AssignmentId,
        now_ms: i64,
    ) -> Result<Vec<RunId>, StoreError> {
        let unfinished: Vec<(String,)> = all!(
            &mut *tx,
            "SELECT id FROM runs WHERE assignment = $1 AND state <> 'finished'",
            assignment.as_str(),
        )?;
        for (run,) in unfinished {
            self.end(tx, &id(run)?, Outcome::Cancelled, "", now_ms).await?;
        }
        let runs: Vec<(String,)> = all!(
            tx,
            "SELECT id FROM runs WHERE assignment = $1",
            assignment.as_str()
        )?;
        runs.into_iter().map(|(run,)| id(run)).collect()
    }
}

async fn erase_run(tx: &mut Tx, run: &RunId, digests: &mut HashSet<String>) -> Result<(), StoreError> {
    let run = run.as_str();
    let referenced: Vec<(String,)> = all!(
        &mut *tx,
        "SELECT digest FROM run_files WHERE run = $1 UNION SELECT report_digest FROM scorecards WHERE run = $1",
        run,
    )?;
    digests.extend(referenced.into_iter().map(|(digest,)| digest));
    execute!(&mut *tx, "DELETE FROM run_files WHERE run = $1", run)?;
    execute!(
        &mut *tx,
        "UPDATE scorecards SET report_digest = '' WHERE run = $1",
        run
    )?;
    execute!(&mut *tx, "DELETE FROM outgoing WHERE run = $1", run)?;
    execute!(
        &mut *tx,
        "UPDATE tokens SET name = '' WHERE kind = 'share' AND subject = $1",
        run
    )?;
    // The end keeps its place, so that whoever still watches the run sees it.
    execute!(
        &mut *tx,
        "DELETE FROM events WHERE run = $1 AND seq < (SELECT n_events FROM runs WHERE id = $1)",
        run,
    )?;
    let outcomes: Vec<(String,)> = all!(&mut *tx, "SELECT outcome FROM runs WHERE id = $1", run)?;
    for (outcome,) in outcomes {
        let end = Event::RunEnded {
            outcome: crate::names::Named::of(&outcome)?,
            reason: String::new(),
        };
        execute!(
            &mut *tx,
            "UPDATE events SET event = $1 WHERE run = $2",
            to_json("event", &end)?,
            run
        )?;
    }
    execute!(
        tx,
        "UPDATE runs SET commit_id = '', reference = '', reason = '' WHERE id = $1",
        run,
    )?;
    Ok(())
}

async fn erase_assignment(
    tx: &mut Tx,
    id: &AssignmentId,
    tombstone: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let id = id.as_str();
    execute!(
        &mut *tx,
        "DELETE FROM comments WHERE EXISTS
           (SELECT 1 FROM assignments a
            WHERE a.id = $1 AND a.connection = comments.connection AND a.repository = comments.repository)",
        id,
    )?;
    execute!(
        &mut *tx,
        "UPDATE tokens SET name = '' WHERE kind IN ('git', 'page') AND subject = $1",
        id
    )?;
    execute!(
        &mut *tx,
        "UPDATE tokens SET revoked_at_ms = $1
         WHERE revoked_at_ms IS NULL
           AND ((kind IN ('git', 'page') AND subject = $2)
                OR (kind = 'share' AND subject IN (SELECT id FROM runs WHERE assignment = $2)))",
        now_ms,
        id,
    )?;
    // The response to an invitation names the candidate.
    execute!(
        &mut *tx,
        "DELETE FROM idempotency WHERE response LIKE $1",
        format!("%{id}%")
    )?;
    execute!(
        tx,
        "UPDATE assignments SET candidate = NULL, candidate_key = $1,
                                repository = CASE WHEN connection IS NULL THEN NULL
                                                  WHEN state = 'erased' THEN repository
                                                  ELSE $2 END,
                                state = 'erased'
         WHERE id = $3",
        NO_NAME,
        plain(tombstone),
        id,
    )?;
    Ok(())
}
