//! One text of SQL for both databases: a transaction on either, and how to run a statement in it.
//!
//! Both drivers know `$1`. What the two need differently is in the migrations and in [`crate::database`], nowhere else.

use sqlx::{Postgres, Sqlite, Transaction};

use crate::StoreError;

/// A transaction on either database. Dropped, it is rolled back.
pub(crate) enum Tx {
    /// On SQLite.
    Lite(Transaction<'static, Sqlite>),
    /// On PostgreSQL.
    Pg(Transaction<'static, Postgres>),
}

impl Tx {
    /// Makes all of it stay.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Lite(tx) => tx.commit().await?,
            Self::Pg(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

/// Runs the same query, built by `$query`, on whichever database the transaction is of.
macro_rules! on {
    ($tx:expr, $query:expr, $how:ident) => {
        match $tx {
            $crate::sql::Tx::Lite(tx) => $query.$how(&mut **tx).await,
            $crate::sql::Tx::Pg(tx) => $query.$how(&mut **tx).await,
        }
    };
}

/// All rows of a query, as tuples or rows.
macro_rules! all {
    ($tx:expr, $text:expr $(, $value:expr)* $(,)?) => {
        $crate::sql::on!($tx, sqlx::query_as($text)$(.bind($value))*, fetch_all)
    };
}

/// The only row of a query, if there is one.
macro_rules! optional {
    ($tx:expr, $text:expr $(, $value:expr)* $(,)?) => {
        $crate::sql::on!($tx, sqlx::query_as($text)$(.bind($value))*, fetch_optional)
    };
}

/// The one column of the one row that a query always has.
macro_rules! scalar {
    ($tx:expr, $text:expr $(, $value:expr)* $(,)?) => {
        $crate::sql::on!($tx, sqlx::query_scalar($text)$(.bind($value))*, fetch_one)
    };
}

/// All rows of a query that `$build` puts together in the builder `$query`: for what only some callers ask for. Text that is
/// pushed is the program's own; values are bound.
macro_rules! built {
    ($tx:expr, |$query:ident| $build:block) => {
        match $tx {
            $crate::sql::Tx::Lite(tx) => {
                let mut $query = sqlx::QueryBuilder::<sqlx::Sqlite>::new("");
                $build
                $query.build_query_as().fetch_all(&mut **tx).await
            }
            $crate::sql::Tx::Pg(tx) => {
                let mut $query = sqlx::QueryBuilder::<sqlx::Postgres>::new("");
                $build
                $query.build_query_as().fetch_all(&mut **tx).await
            }
        }
    };
}

/// ` IN (…)` over a list of texts that is not empty.
macro_rules! push_in {
    ($query:expr, $values:expr) => {{
        $query.push(" IN (");
        let mut separated = $query.separated(", ");
        for value in $values {
            separated.push_bind(value);
        }
        $query.push(")");
    }};
}

/// Changes rows. Answers how many.
macro_rules! execute {
    ($tx:expr, $text:expr $(, $value:expr)* $(,)?) => {
        match $tx {
            $crate::sql::Tx::Lite(tx) => {
                sqlx::query($text)$(.bind($value))*.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
            $crate::sql::Tx::Pg(tx) => {
                sqlx::query($text)$(.bind($value))*.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
        }
    };
}

pub(crate) use {all, built, execute, on, optional, push_in, scalar};
