//! Opening and migrating a database; transactions.
//!
//! Writers come one after the other on both databases. SQLite cannot do otherwise; on PostgreSQL each writing transaction
//! takes one advisory lock first. So a transaction may look, decide in plain Rust and write, and nothing can come between. A
//! write takes milliseconds and a run takes minutes: there is time.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::sync::watch;

use crate::queue::Places;
use crate::signing::Keys;
use crate::sql::{Tx, execute, scalar};
use crate::{OpenError, StoreError};

static LITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static PG_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// The migration since which things are signed.
const ATTESTATIONS: i64 = 3;

/// How long anybody waits for a connection, for a lock, or for another process that writes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections for reading from SQLite. More than cores help nobody.
const LITE_READERS: u32 = 4;

/// Connections to PostgreSQL.
const PG_CONNECTIONS: u32 = 8;

/// The advisory lock of whoever writes: "assay" in ASCII.
const WRITER: i64 = 0x61_73_73_61_79;

/// A database, and the folder of blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
    changes: Arc<watch::Sender<u64>>,
    keys: Option<Arc<Keys>>,
    pub(crate) blobs: PathBuf,
    pub(crate) places: Arc<Places>,
}

#[derive(Debug, Clone)]
enum Database {
    /// One connection writes, so that writers of this process wait in a fair line and not in SQLite's busy loop.
    Lite {
        readers: SqlitePool,
        writer: SqlitePool,
    },
    Pg(PgPool),
}

impl Store {
    /// Opens a database, without migrating it: `sqlite:PATH` (made where there is none) or `postgres://user@host/name`; and
    /// the folder of blobs.
    ///
    /// # Errors
    ///
    /// When the address is of no known kind, nothing answers there, or a folder cannot be made.
    pub async fn open(database: &str, blobs: &Path) -> Result<Self, OpenError> {
        make_folder(blobs).await?;
        let (scheme, rest) = database.split_once(':').unwrap_or((database, ""));
        let database = match scheme {
            "sqlite" if !rest.is_empty() && !rest.starts_with(':') => open_lite(Path::new(rest)).await?,
            "postgres" | "postgresql" => open_pg(database).await?,
            _ => return Err(OpenError::Address(scheme.to_owned())),
        };
        Ok(Self {
            database,
            changes: Arc::new(watch::Sender::new(0)),
            keys: None,
            blobs: blobs.to_owned(),
            places: Arc::default(),
        })
    }

    /// The same store with the installation's keys: scorecards and the end of the audit trail are signed. Without keys nothing
    /// is signed.
    pub fn signing_with(mut self, keys: Keys) -> Self {
        self.keys = Some(Arc::new(keys));
        self
    }

    /// The installation's keys.
    pub fn keys(&self) -> Option<&Keys> {
        self.keys.as_deref()
    }

    /// Brings the schema up to date, one transaction for each migration. Answers how many were applied. An audit trail of before
    /// its end was signed is signed once, now.
    ///
    /// # Errors
    ///
    /// When the database is of a newer Assay, or a migration fails.
    pub async fn migrate(&self) -> Result<u32, OpenError> {
        let before = self.applied().await.map_err(migration)?;
        match &self.database {
            Database::Lite { writer, .. } => LITE_MIGRATIONS.run(writer).await,
            Database::Pg(pool) => PG_MIGRATIONS.run(pool).await,
        }
        .map_err(migration)?;
        let after = self.applied().await.map_err(migration)?;
        if !before.contains(&ATTESTATIONS) {
            self.sign_trail().await.map_err(OpenError::Sign)?;
        }
        Ok(u32::try_from(after.len() - before.len()).unwrap_or(u32::MAX))
    }

    /// Whether exactly the migrations that this program knows are applied.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn schema_is_current(&self) -> Result<bool, StoreError> {
        let applied = self.applied().await.map_err(|error| match error {
            MigrateError::Execute(error) => StoreError::Database(error),
            other => StoreError::Database(sqlx::Error::Migrate(Box::new(other))),
        })?;
        let known = match &self.database {
            Database::Lite { .. } => &LITE_MIGRATIONS,
            Database::Pg(_) => &PG_MIGRATIONS,
        };
        Ok(known.iter().map(|migration| migration.version).eq(applied))
    }

    /// Versions of the migrations that were applied, in order.
    async fn applied(&self) -> Result<Vec<i64>, MigrateError> {
        use sqlx::migrate::Migrate;
        let table = "_sqlx_migrations";
        let applied = match &self.database {
            Database::Lite { writer, .. } => {
                let mut connection = writer.acquire().await?;
                connection.ensure_migrations_table(table).await?;
                connection.list_applied_migrations(table).await?
            }
            Database::Pg(pool) => {
                let mut connection = pool.acquire().await?;
                connection.ensure_migrations_table(table).await?;
                connection.list_applied_migrations(table).await?
            }
        };
        Ok(applied.into_iter().map(|migration| migration.version).collect())
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    ///
    /// When it gives none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let _: i64 = scalar!(&mut self.read().await?, "SELECT CAST(1 AS BIGINT)")?;
        Ok(())
    }

    /// Writes a copy of the database into a new file, while it is in use. SQLite only; blobs are copied as files.
    ///
    /// # Errors
    ///
    /// When the file is there already or cannot be written; on PostgreSQL always: `pg_dump` does it.
    pub async fn backup(&self, into: &Path) -> Result<(), StoreError> {
        let Database::Lite { readers, .. } = &self.database else {
            return Err(StoreError::BackupElsewhere);
        };
        let Some(path) = into.to_str() else {
            return Err(StoreError::File {
                doing: "write a backup to",
                path: into.to_owned(),
                source: std::io::Error::other("the path is not UTF-8"),
            });
        };
        sqlx::query("VACUUM INTO $1").bind(path).execute(readers).await?;
        Ok(())
    }

    /// Bumps after every write of this process that watchers of runs may care about. What other processes write is not seen:
    /// whoever watches looks again from time to time, too.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Begins to read: everything that the transaction sees is of one moment.
    pub(crate) async fn read(&self) -> Result<Tx, StoreError> {
        Ok(match &self.database {
            Database::Lite { readers, .. } => Tx::Lite(readers.begin().await?),
            Database::Pg(pool) => Tx::Pg(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
        })
    }

    /// Begins to write, when nobody else does.
    pub(crate) async fn write(&self) -> Result<Tx, StoreError> {
        Ok(match &self.database {
            Database::Lite { writer, .. } => Tx::Lite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Database::Pg(pool) => {
                let mut tx = Tx::Pg(pool.begin().await?);
                execute!(&mut tx, "SELECT pg_advisory_xact_lock($1)", WRITER)?;
                tx
            }
        })
    }

    /// Makes a change of runs, events or assignments stay, and tells whoever watches.
    pub(crate) async fn publish(&self, tx: Tx) -> Result<(), StoreError> {
        tx.commit().await?;
        self.changes.send_modify(|n| *n = n.wrapping_add(1));
        Ok(())
    }

    /// Takes what was deleted out of SQLite's log of changes as well. PostgreSQL's own clean-up does so there.
    pub(crate) async fn forget_deleted(&self) -> Result<(), StoreError> {
        if let Database::Lite { writer, .. } = &self.database {
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .execute(writer)
                .await?;
        }
        Ok(())
    }
}

async fn open_lite(path: &Path) -> Result<Database, OpenError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder).await?;
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(PATIENCE)
        // A whole page in one hand-over from SQLite's thread.
        .row_buffer_size(256)
        .foreign_keys(true)
        .pragma("trusted_schema", "OFF")
        // What is deleted is overwritten: an erased candidate stays nowhere in the file.
        .pragma("secure_delete", "ON");
    let connect = |source| OpenError::Connect {
        place: path.display().to_string(),
        source,
    };
    let pool = |n| {
        SqlitePoolOptions::new()
            .max_connections(n)
            .acquire_timeout(PATIENCE)
    };
    // The writer first: it makes the file where there is none.
    let writer = pool(1).connect_with(options.clone()).await.map_err(connect)?;
    let readers = pool(LITE_READERS)
        .connect_with(options.create_if_missing(false))
        .await
        .map_err(connect)?;
    Ok(Database::Lite { readers, writer })
}

async fn open_pg(address: &str) -> Result<Database, OpenError> {
    let options = PgConnectOptions::from_str(address).map_err(|source| OpenError::Connect {
        place: "at this address".to_owned(),
        source,
    })?;
    let place = format!(
        "`{}` on {}",
        options.get_database().unwrap_or(options.get_username()),
        options.get_host()
    );
    let patience = PATIENCE.as_millis().to_string();
    let options = options.application_name("assay").options([
        ("lock_timeout", patience.as_str()),
        ("idle_in_transaction_session_timeout", patience.as_str()),
    ]);
    let pool = PgPoolOptions::new()
        .max_connections(PG_CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .connect_with(options)
        .await
        .map_err(|source| OpenError::Connect { place, source })?;
    Ok(Database::Pg(pool))
}

async fn make_folder(path: &Path) -> Result<(), OpenError> {
    tokio::fs::create_dir_all(path)
        .await
        .map_err(|source| OpenError::Folder {
            path: path.to_owned(),
            source,
        })
}

fn migration(error: MigrateError) -> OpenError {
    match error {
        MigrateError::VersionMissing(_) => OpenError::Newer,
        other => OpenError::Migrate(other),
    }
}
