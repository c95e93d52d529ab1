//! Connections to forges: what they told us, and what they are still to be told.

use assay_core::id::{ConnectionId, RunId};
use serde_json::Value;

use crate::error::{exists, not_found};
use crate::model::{Connection, ForgeKind, Outgoing};
use crate::names::Named;
use crate::rows::{count, from_json, id, plain, to_json};
use crate::sql::{all, execute, optional};
use crate::{Store, StoreError};

/// When something is due that a forge is told once the run has ended.
pub const AT_THE_END: i64 = i64::MAX;

#[derive(sqlx::FromRow)]
struct ConnectionRow {
    id: String,
    forge: String,
    base_url: String,
    api_url: String,
    exercise: String,
    track: String,
    repositories: String,
    sealed_secrets: Vec<u8>,
    created_at_ms: i64,
    disabled_at_ms: Option<i64>,
}

impl TryFrom<ConnectionRow> for Connection {
    type Error = StoreError;

    fn try_from(row: ConnectionRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: id(row.id)?,
            forge: ForgeKind::of(&row.forge)?,
            base_url: row.base_url,
            api_url: row.api_url,
            exercise: row.exercise,
            track: row.track,
            repositories: from_json("list of repositories", &row.repositories)?,
            sealed_secrets: row.sealed_secrets,
            created_at_ms: row.created_at_ms,
            disabled_at_ms: row.disabled_at_ms,
        })
    }
}

#[derive(sqlx::FromRow)]
struct OutgoingRow {
    id: i64,
    connection: String,
    run: String,
    payload: String,
    n_tries: i64,
    next_at_ms: i64,
}

impl TryFrom<OutgoingRow> for Outgoing {
    type Error = StoreError;

    fn try_from(row: OutgoingRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            connection: id(row.connection)?,
            run: id(row.run)?,
            payload: from_json("message to a forge", &row.payload)?,
            n_tries: count(row.n_tries),
            next_at_ms: row.next_at_ms,
        })
    }
}

impl Store {
    /// Adds a connection.
    ///
    /// # Errors
    ///
    /// When its id is there already.
    pub async fn create_connection(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        execute!(
            &mut tx,
            "INSERT INTO connections (id, forge, base_url, api_url, exercise, track, repositories, sealed_secrets,
                                      created_at_ms, disabled_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            connection.id.as_str(),
            connection.forge.word(),
            plain(&connection.base_url),
            plain(&connection.api_url),
            plain(&connection.exercise),
            plain(&connection.track),
            to_json("list of repositories", &connection.repositories)?,
            connection.sealed_secrets.as_slice(),
            connection.created_at_ms,
            connection.disabled_at_ms,
        )
        .map_err(exists("connection", connection.id.as_str()))?;
        tx.commit().await
    }

    /// A connection.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>, StoreError> {
        let mut tx = self.read().await?;
        let row: Option<ConnectionRow> =
            optional!(&mut tx, "SELECT * FROM connections WHERE id = $1", id.as_str())?;
        row.map(Connection::try_from).transpose()
    }

    /// All connections, the oldest first.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn connections(&self) -> Result<Vec<Connection>, StoreError> {
        let mut tx = self.read().await?;
        let rows: Vec<ConnectionRow> = all!(&mut tx, "SELECT * FROM connections ORDER BY created_at_ms, id")?;
        rows.into_iter().map(Connection::try_from).collect()
    }

    /// Switches a connection off, or with None on again.
    ///
    /// # Errors
    ///
    /// When there is no such connection.
    pub async fn set_connection_disabled(
        &self,
        id: &ConnectionId,
        at_ms: Option<i64>,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let n = execute!(
            &mut tx,
            "UPDATE connections SET disabled_at_ms = $1 WHERE id = $2",
            at_ms,
            id.as_str(),
        )?;
        found(n, id)?;
        tx.commit().await
    }

    /// Replaces a connection's sealed secrets.
    ///
    /// # Errors
    ///
    /// When there is no such connection.
    pub async fn set_connection_secrets(&self, id: &ConnectionId, sealed: &[u8]) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let n = execute!(
            &mut tx,
            "UPDATE connections SET sealed_secrets = $1 WHERE id = $2",
            sealed,
            id.as_str(),
        )?;
        found(n, id)?;
        tx.commit().await
    }

    /// Notes that a webhook's delivery came. False: it came before.
    ///
    /// # Errors
    ///
    /// When there is no such connection, or the database fails.
    pub async fn note_delivery(
        &self,
        connection: &ConnectionId,
        delivery: &str,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let n = execute!(
            &mut tx,
            "INSERT INTO deliveries (connection, delivery, at_ms) VALUES ($1, $2, $3)
             ON CONFLICT (connection, delivery) DO NOTHING",
            connection.as_str(),
            plain(delivery),
            now_ms,
        )?;
        tx.commit().await?;
        Ok(n > 0)
    }

    /// Forgets deliveries that came, and messages that were done, before a moment. Answers how many it were.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn remove_old_deliveries(&self, before_ms: i64) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let n = execute!(&mut tx, "DELETE FROM deliveries WHERE at_ms < $1", before_ms)?;
        let n_done = execute!(&mut tx, "DELETE FROM outgoing WHERE done_at_ms < $1", before_ms)?;
        tx.commit().await?;
        Ok(n + n_done)
    }

    /// Whether a delivery was noted before.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn delivery_came(&self, connection: &ConnectionId, delivery: &str) -> Result<bool, StoreError> {
        let mut tx = self.read().await?;
        let row: Option<(i64,)> = optional!(
            &mut tx,
            "SELECT at_ms FROM deliveries WHERE connection = $1 AND delivery = $2",
            connection.as_str(),
            plain(delivery),
        )?;
        Ok(row.is_some())
    }

    /// Puts something into the line of what a forge is to be told, due at a moment or [`AT_THE_END`].
    ///
    /// # Errors
    ///
    /// When there is no such connection or run, or the database fails.
    pub async fn add_outgoing(
        &self,
        connection: &ConnectionId,
        run: &RunId,
        payload: &Value,
        due_at_ms: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        execute!(
            &mut tx,
            "INSERT INTO outgoing (connection, run, payload, next_at_ms) VALUES ($1, $2, $3, $4)",
            connection.as_str(),
            run.as_str(),
            payload.to_string(),
            due_at_ms,
        )?;
        tx.commit().await
    }

    /// What is due to be told, the longest due first, at most `limit`.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn due_outgoing(&self, now_ms: i64, limit: u32) -> Result<Vec<Outgoing>, StoreError> {
        let mut tx = self.read().await?;
        let rows: Vec<OutgoingRow> = all!(
            &mut tx,
            "SELECT id, connection, run, payload, n_tries, next_at_ms FROM outgoing
             WHERE done_at_ms IS NULL
               AND (next_at_ms <= $1
                    OR (next_at_ms = $2
                        AND EXISTS (SELECT 1 FROM runs WHERE runs.id = outgoing.run AND runs.state = 'finished')))
             ORDER BY next_at_ms, id LIMIT $3",
            now_ms,
            AT_THE_END,
            i64::from(limit),
        )?;
        rows.into_iter().map(Outgoing::try_from).collect()
    }

    /// It has been told, or never will be.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn outgoing_done(&self, id: i64, now_ms: i64) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        execute!(
            &mut tx,
            "UPDATE outgoing SET done_at_ms = $1, n_tries = n_tries + 1 WHERE id = $2 AND done_at_ms IS NULL",
            now_ms,
            id,
        )?;
        tx.commit().await
    }

    /// It could not be told; it is tried again at a later moment.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn outgoing_failed(&self, id: i64, next_at_ms: i64, error: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        execute!(
            &mut tx,
            "UPDATE outgoing SET next_at_ms = $1, last_error = $2, n_tries = n_tries + 1
             WHERE id = $3 AND done_at_ms IS NULL",
            next_at_ms,
            plain(error),
            id,
        )?;
        tx.commit().await
    }

    /// Remembers the one comment that a pull or merge request has from us.
    ///
    /// # Errors
    ///
    /// When there is no such connection, or the database fails.
    pub async fn note_comment(
        &self,
        connection: &ConnectionId,
        repository: &str,
        request: &str,
        comment: &str,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        execute!(
            &mut tx,
            "INSERT INTO comments (connection, repository, request, comment) VALUES ($1, $2, $3, $4)
             ON CONFLICT (connection, repository, request) DO UPDATE SET comment = excluded.comment",
            connection.as_str(),
            plain(repository),
            plain(request),
            plain(comment),
        )?;
        tx.commit().await
    }

    /// The forge's id of that comment.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn comment(
        &self,
        connection: &ConnectionId,
        repository: &str,
        request: &str,
    ) -> Result<Option<String>, StoreError> {
        let mut tx = self.read().await?;
        let row: Option<(String,)> = optional!(
            &mut tx,
            "SELECT comment FROM comments WHERE connection = $1 AND repository = $2 AND request = $3",
            connection.as_str(),
            plain(repository),
            plain(request),
        )?;
        Ok(row.map(|(comment,)| comment))
    }
}

fn found(n: u64, id: &ConnectionId) -> Result<(), StoreError> {
    if n == 0 {
        return Err(not_found("connection", id.as_str()));
    }
    Ok(())
}
