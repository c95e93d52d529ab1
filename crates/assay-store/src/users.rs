//! People with an account.

use assay_core::id::UserId;

use crate::error::{exists, not_found};
use crate::model::{Role, User};
use crate::names::Named;
use crate::rows::{id, plain};
use crate::sql::{all, execute, optional, scalar};
use crate::{Store, StoreError};

#[derive(sqlx::FromRow)]
struct UserRow {
    id: String,
    login: String,
    name: String,
    password_hash: Option<String>,
    oidc_subject: Option<String>,
    role: String,
    created_at_ms: i64,
    disabled_at_ms: Option<i64>,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: id(row.id)?,
            login: row.login,
            name: row.name,
            password_hash: row.password_hash,
            oidc_subject: row.oidc_subject,
            role: Role::of(&row.role)?,
            created_at_ms: row.created_at_ms,
            disabled_at_ms: row.disabled_at_ms,
        })
    }
}

impl Store {
    /// Makes an account.
    ///
    /// # Errors
    ///
    /// When somebody has this id, login or subject already.
    pub async fn create_user(&self, user: &User) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        execute!(
            &mut tx,
            "INSERT INTO users (id, login, name, password_hash, oidc_subject, role, created_at_ms, disabled_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            user.id.as_str(),
            plain(&user.login),
            plain(&user.name),
            &user.password_hash,
            &user.oidc_subject,
            user.role.word(),
            user.created_at_ms,
            user.disabled_at_ms,
        )
        .map_err(exists("user", &user.login))?;
        tx.commit().await
    }

    /// A user.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let mut tx = self.read().await?;
        let row: Option<UserRow> = optional!(&mut tx, "SELECT * FROM users WHERE id = $1", id.as_str())?;
        row.map(User::try_from).transpose()
    }

    /// The user who signs in with this name.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn user_by_login(&self, login: &str) -> Result<Option<User>, StoreError> {
        let mut tx = self.read().await?;
        let login = plain(login);
        let row: Option<UserRow> = optional!(&mut tx, "SELECT * FROM users WHERE login = $1", login)?;
        row.map(User::try_from).transpose()
    }

    /// The user whom the OpenID provider calls this, see [`User::oidc_subject`].
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn user_by_oidc(&self, subject: &str) -> Result<Option<User>, StoreError> {
        let mut tx = self.read().await?;
        let subject = plain(subject);
        let row: Option<UserRow> =
            optional!(&mut tx, "SELECT * FROM users WHERE oidc_subject = $1", subject)?;
        row.map(User::try_from).transpose()
    }

    /// All users, the oldest account first.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        let mut tx = self.read().await?;
        let rows: Vec<UserRow> = all!(&mut tx, "SELECT * FROM users ORDER BY created_at_ms, id")?;
        rows.into_iter().map(User::try_from).collect()
    }

    /// Sets or, with None, takes away a password (its PHC string).
    ///
    /// # Errors
    ///
    /// When there is no such user.
    pub async fn set_password(&self, id: &UserId, password_hash: Option<String>) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let n = execute!(
            &mut tx,
            "UPDATE users SET password_hash = $1 WHERE id = $2",
            &password_hash,
            id.as_str(),
        )?;
        found(n, id)?;
        tx.commit().await
    }

    /// Changes what somebody may do.
    ///
    /// # Errors
    ///
    /// When there is no such user.
    pub async fn set_role(&self, id: &UserId, role: Role) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let n = execute!(
            &mut tx,
            "UPDATE users SET role = $1 WHERE id = $2",
            role.word(),
            id.as_str(),
        )?;
        found(n, id)?;
        tx.commit().await
    }

    /// Switches an account off, or with None on again. Tokens stay as they are: whoever asks for one looks here, too.
    ///
    /// # Errors
    ///
    /// When there is no such user.
    pub async fn set_disabled(&self, id: &UserId, at_ms: Option<i64>) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let n = execute!(
            &mut tx,
            "UPDATE users SET disabled_at_ms = $1 WHERE id = $2",
            at_ms,
            id.as_str(),
        )?;
        found(n, id)?;
        tx.commit().await
    }

    /// How many accounts there are.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn n_users(&self) -> Result<u64, StoreError> {
        let n: i64 = scalar!(&mut self.read().await?, "SELECT count(*) FROM users")?;
        Ok(n.unsigned_abs())
    }
}

fn found(n: u64, id: &UserId) -> Result<(), StoreError> {
    if n == 0 {
        return Err(not_found("user", id.as_str()));
    }
    Ok(())
}
