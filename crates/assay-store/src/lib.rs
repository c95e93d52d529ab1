//! All that a daemon remembers: users, tokens, assignments, runs with their events and leases, scorecards, evidence, the
//! audit trail. One set of SQL for SQLite and PostgreSQL.
//!
//! This is the only crate that knows SQL. Time and ids are parameters of every call; nothing here draws or looks at a clock.
//! Every change is one transaction. What a caller may see of a row is a plain struct of [`model`].

#![warn(missing_docs)]

pub mod model;
pub mod signing;

mod assignments;
mod attestations;
mod audit;
mod blobs;
mod database;
mod erasure;
mod error;
mod events;
mod forges;
mod idempotency;
mod names;
mod queue;
mod rows;
mod runs;
mod scorecards;
mod sql;
mod tokens;
mod users;

pub use database::Store;
pub use error::{OpenError, StoreError};
pub use forges::AT_THE_END;
