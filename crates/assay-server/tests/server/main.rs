//! The daemon's face through its router, with a real store: who may do what, sessions, the API, and what the log never holds.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what the tests share is a test, too"
)]

mod access;
mod api;
mod attestations;
mod daemon;
mod house;
mod housekeeping;
mod oidc;
mod sessions;
mod web;
mod wire;
