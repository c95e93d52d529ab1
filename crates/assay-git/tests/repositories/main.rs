//! Real repositories, most of them hostile: fetched with the real `git`, read through libgit2.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests may panic as the tests do"
)]

mod fixture;

mod fetching;
mod histories;
mod hosting;
mod servers;
mod solutions;
mod trees;
