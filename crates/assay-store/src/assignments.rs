//! Signatures; bodies follow.

use assay_core::id::{AssignmentId, ConnectionId, UserId};
use serde_json::Value;

use crate::model::{
    Assignment, AssignmentChange, AssignmentFilter, AssignmentRow, Page, PageRequest, Remembered,
};
use crate::{Store, StoreError};

impl Store {
    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn create_assignment(&self, assignment: &Assignment) -> Result<(), StoreError> {
        let _ = assignment;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn assignment(&self, id: &AssignmentId) -> Result<Option<Assignment>, StoreError> {
        let _ = id;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn assignments(
        &self,
        filter: &AssignmentFilter,
        page: &PageRequest,
    ) -> Result<Page<AssignmentRow>, StoreError> {
        let _ = filter;
        let _ = page;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn assignment_row(&self, id: &AssignmentId) -> Result<Option<AssignmentRow>, StoreError> {
        let _ = id;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn change_assignment(
        &self,
        id: &AssignmentId,
        change: &AssignmentChange,
    ) -> Result<Assignment, StoreError> {
        let _ = id;
        let _ = change;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn forge_assignment(
        &self,
        connection: &ConnectionId,
        repository: &str,
    ) -> Result<Option<Assignment>, StoreError> {
        let _ = connection;
        let _ = repository;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn due_for_archive(&self, now_ms: i64) -> Result<Vec<Assignment>, StoreError> {
        let _ = now_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn erase_candidate(&self, id: &AssignmentId, now_ms: i64) -> Result<Vec<String>, StoreError> {
        let _ = id;
        let _ = now_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn idempotent(
        &self,
        key: &str,
        user: &UserId,
        request_sha256: &[u8; 32],
        now_ms: i64,
    ) -> Result<Remembered, StoreError> {
        let _ = key;
        let _ = user;
        let _ = request_sha256;
        let _ = now_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn remember(&self, key: &str, user: &UserId, response: &Value) -> Result<(), StoreError> {
        let _ = key;
        let _ = user;
        let _ = response;
        Err(StoreError::Pending)
    }
}
