//! Signatures; bodies follow.

use assay_core::id::UserId;

use crate::model::{Role, User};
use crate::{Store, StoreError};

impl Store {
    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn create_user(&self, user: &User) -> Result<(), StoreError> {
        let _ = user;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let _ = id;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn user_by_login(&self, login: &str) -> Result<Option<User>, StoreError> {
        let _ = login;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn user_by_oidc(&self, subject: &str) -> Result<Option<User>, StoreError> {
        let _ = subject;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn set_password(&self, id: &UserId, password_hash: Option<String>) -> Result<(), StoreError> {
        let _ = id;
        let _ = password_hash;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn set_role(&self, id: &UserId, role: Role) -> Result<(), StoreError> {
        let _ = id;
        let _ = role;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn set_disabled(&self, id: &UserId, at_ms: Option<i64>) -> Result<(), StoreError> {
        let _ = id;
        let _ = at_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn n_users(&self) -> Result<u64, StoreError> {
        Err(StoreError::Pending)
    }
}
