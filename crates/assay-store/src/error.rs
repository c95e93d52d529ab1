//! What can go wrong with a store.

use std::io;
use std::path::PathBuf;

use assay_core::attestation::Refusal;

/// A database cannot be opened or migrated.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is neither of the two kinds. Only its scheme is told: the rest may hold a password.
    #[error("`{0}:` is no kind of database (hint: sqlite:PATH or postgres://user@host/name)")]
    Address(String),
    /// Nothing usable is there.
    #[error("cannot open the database {place}")]
    Connect {
        /// Where it was looked for, without a password.
        place: String,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// The folder of the database or of the blobs cannot be made.
    #[error("cannot make the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database is of a newer Assay.
    #[error(
        "the database was written by a newer version of Assay (hint: run that version, or restore a backup)"
    )]
    Newer,
    /// A migration failed; it was rolled back.
    #[error("cannot migrate the database")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The audit trail's end could not be signed.
    #[error("cannot sign the audit trail")]
    Sign(#[source] StoreError),
}

/// The store refused, or could not do it.
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
    /// Something with this id or name is there already.
    #[error("there is a {what} `{id}` already")]
    Exists {
        /// What kind of thing.
        what: &'static str,
        /// Its id or name.
        id: String,
    },
    /// The assignment was erased: nothing can be added to it or changed about it.
    #[error("the assignment `{0}` was erased")]
    Erased(String),
    /// A run that counts would be one more than the assignment's attempts.
    #[error("all {of} attempts are used")]
    NoAttemptsLeft {
        /// How many there are.
        of: u32,
    },
    /// [`crate::model::PageRequest::after`] names no place in this list.
    #[error("`{0}` is no place in this list (hint: give back `next` of the page before)")]
    Place(String),
    /// The audit trail was changed behind Assay's back.
    #[error("the audit trail is broken at entry {seq}")]
    AuditBroken {
        /// The first entry that does not hold.
        seq: i64,
    },
    /// The audit trail's end is not signed by a key of this installation.
    #[error("the end of the audit trail is not signed by a key of this installation")]
    AuditUnsigned,
    /// A scorecard's manifest, or the chain that it is in, does not hold.
    #[error("{0}")]
    Attestation(#[from] Refusal),
    /// The database holds a word that this program does not know.
    #[error("the database holds `{text}`, which is no {what}")]
    Damaged {
        /// What it should be.
        what: &'static str,
        /// What it is.
        text: String,
    },
    /// A blob is not what its digest says.
    #[error("the blob {0} is damaged (hint: restore it from a backup)")]
    DamagedBlob(String),
    /// A file of the blobs, or of a backup, cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// This kind of database is backed up by its own tool.
    #[error("PostgreSQL is not backed up by Assay (hint: pg_dump --format=custom)")]
    BackupElsewhere,
    /// The database did not do it.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// For an insert: a row with the same key becomes [`StoreError::Exists`].
pub(crate) fn exists(what: &'static str, id: &str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| match &error {
        sqlx::Error::Database(refusal) if refusal.is_unique_violation() => StoreError::Exists {
            what,
            id: id.to_owned(),
        },
        _ => StoreError::Database(error),
    }
}

/// For something that should be there.
pub(crate) fn not_found(what: &'static str, id: &str) -> StoreError {
    StoreError::NotFound {
        what,
        id: id.to_owned(),
    }
}
