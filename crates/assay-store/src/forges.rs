//! Signatures; bodies follow.

use assay_core::id::{ConnectionId, RunId};
use serde_json::Value;

use crate::model::{Connection, Outgoing};
use crate::{Store, StoreError};

impl Store {
    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn create_connection(&self, connection: &Connection) -> Result<(), StoreError> {
        let _ = connection;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>, StoreError> {
        let _ = id;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn connections(&self) -> Result<Vec<Connection>, StoreError> {
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn set_connection_disabled(
        &self,
        id: &ConnectionId,
        at_ms: Option<i64>,
    ) -> Result<(), StoreError> {
        let _ = id;
        let _ = at_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn set_connection_secrets(&self, id: &ConnectionId, sealed: &[u8]) -> Result<(), StoreError> {
        let _ = id;
        let _ = sealed;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn note_delivery(
        &self,
        connection: &ConnectionId,
        delivery: &str,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let _ = connection;
        let _ = delivery;
        let _ = now_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn remove_old_deliveries(&self, before_ms: i64) -> Result<u64, StoreError> {
        let _ = before_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn add_outgoing(
        &self,
        connection: &ConnectionId,
        run: &RunId,
        payload: &Value,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let _ = connection;
        let _ = run;
        let _ = payload;
        let _ = now_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn due_outgoing(&self, now_ms: i64, limit: u32) -> Result<Vec<Outgoing>, StoreError> {
        let _ = now_ms;
        let _ = limit;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn outgoing_done(&self, id: i64, now_ms: i64) -> Result<(), StoreError> {
        let _ = id;
        let _ = now_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn outgoing_failed(&self, id: i64, next_at_ms: i64, error: &str) -> Result<(), StoreError> {
        let _ = id;
        let _ = next_at_ms;
        let _ = error;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn note_comment(
        &self,
        connection: &ConnectionId,
        repository: &str,
        request: &str,
        comment: &str,
    ) -> Result<(), StoreError> {
        let _ = connection;
        let _ = repository;
        let _ = request;
        let _ = comment;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn comment(
        &self,
        connection: &ConnectionId,
        repository: &str,
        request: &str,
    ) -> Result<Option<String>, StoreError> {
        let _ = connection;
        let _ = repository;
        let _ = request;
        Err(StoreError::Pending)
    }
}
