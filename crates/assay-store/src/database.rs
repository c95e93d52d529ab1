//! Opening a database, and what can go wrong with it.

use std::path::PathBuf;

use tokio::sync::watch;

/// A connection to the database, and the folder of blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) changes: std::sync::Arc<watch::Sender<u64>>,
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
}
