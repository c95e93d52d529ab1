//! Signatures; bodies follow.

use crate::{Store, StoreError};

impl Store {
    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn put_blob(&self, bytes: &[u8]) -> Result<String, StoreError> {
        let _ = bytes;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn blob(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let _ = digest;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn remove_unreferenced_blobs(&self) -> Result<u64, StoreError> {
        Err(StoreError::Pending)
    }
}
