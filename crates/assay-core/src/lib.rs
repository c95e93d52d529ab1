//! The language of the product: what exercises say, what checks leave, how points are given, what a report holds.
//!
//! No IO, no clock, no async, no randomness: they are parameters. Everything here is a value or a pure function.

pub mod id;
pub mod units;
pub mod yaml;

pub mod exercise;
pub mod expected;
pub mod load;
pub mod security;
pub mod toolchain;

pub mod assignment;
pub mod attestation;
pub mod queue;

pub mod agent;
pub mod event;
pub mod evidence;
pub mod fault;
pub mod insight;
pub mod preflight;
pub mod report;
pub mod rigour;
pub mod scoring;
