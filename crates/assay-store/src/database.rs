//! Opening a database, and what can go wrong with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

/// A connection to the database, and the folder of blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) changes: Arc<watch::Sender<u64>>,
    pub(crate) blobs: PathBuf,
}

/// A database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is neither of the two kinds.
    #[error("`{0}` is no database address (hint: sqlite:PATH or postgres://user@host/name)")]
    Address(String),
}

/// The database refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What was asked for is not there.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// Something with this name is there already.
    #[error("there is a {what} `{id}` already")]
    Exists {
        /// What kind of thing.
        what: &'static str,
        /// Its id or name.
        id: String,
    },
    /// The audit trail was changed behind Assay's back.
    #[error("the audit trail is broken at entry {seq}")]
    AuditBroken {
        /// The first entry that does not hold.
        seq: i64,
    },
    /// Not yet written.
    #[error("the store cannot do this yet")]
    Pending,
}

impl Store {
    /// Opens a database, without migrating it: `sqlite:PATH` or `postgres://user@host/name`.
    ///
    /// # Errors
    ///
    /// When the address is none, or nothing answers there.
    pub async fn open(database: &str, blobs: &Path) -> Result<Self, OpenError> {
        let _ = database;
        Ok(Self {
            changes: Arc::new(watch::Sender::new(0)),
            blobs: blobs.to_owned(),
        })
    }

    /// Brings the schema up to date. Answers how many migrations were applied.
    ///
    /// # Errors
    ///
    /// When the database is of a newer Assay, or a migration fails.
    pub async fn migrate(&self) -> Result<u32, OpenError> {
        Ok(0)
    }

    /// Whether all migrations are applied.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn schema_is_current(&self) -> Result<bool, StoreError> {
        Err(StoreError::Pending)
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    ///
    /// When it gives none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Err(StoreError::Pending)
    }

    /// Writes a copy of the database into a new file, while it is in use. SQLite only.
    ///
    /// # Errors
    ///
    /// When the file is there already; on PostgreSQL always: `pg_dump` does it.
    pub async fn backup(&self, into: &Path) -> Result<(), StoreError> {
        let _ = (into, &self.blobs);
        Err(StoreError::Pending)
    }

    /// Bumps after every write of this process that watchers of runs may care about. Others poll.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
