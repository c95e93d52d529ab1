//! .
pub mod agent;
