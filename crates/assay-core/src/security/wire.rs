//! What `drive probe` reads on standard input, and the lines that it prints.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::plan::SecurityPlan;
use super::report::ProbeReport;

/// Everything that one probing needs; one JSON document on standard input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeJob {
    /// The OpenAPI document, as JSON.
    pub contract: Value,
    /// The exercise's `security.yaml`.
    pub plan: SecurityPlan,
    /// Where the service listens: `http://127.0.0.1:8080`. No other host is accepted.
    pub base_url: String,
    /// The service's environment variables that the plan names (the JWT key), and no others.
    pub secrets: BTreeMap<String, String>,
    /// Seed of every random value.
    pub seed: u64,
}

/// One line on standard output; the last is a report or a failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProbeMessage {
    /// So many of so many probes are decided.
    Progress { done: usize, of: usize },
    /// The probing is over.
    Report(Box<ProbeReport>),
    /// The job makes no sense.
    Failed(String),
}
