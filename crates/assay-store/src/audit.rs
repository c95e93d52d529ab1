//! Signatures; bodies follow.

use crate::model::{AuditEntry, AuditRow, Page, PageRequest};
use crate::{Store, StoreError};

impl Store {
    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let _ = entry;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn audit_rows(
        &self,
        subject: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<AuditRow>, StoreError> {
        let _ = subject;
        let _ = page;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn verify_audit(&self) -> Result<u64, StoreError> {
        Err(StoreError::Pending)
    }
}
