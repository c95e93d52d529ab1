//! What a container uses.

use serde::{Deserialize, Serialize};

/// What a container has used of the processors since it started, its agent included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// CPU time in milliseconds.
    pub cpu_ms: u64,
    /// Time slices of its limit in which it had something to do.
    pub slices: u64,
    /// Those in which the limit held it up.
    pub throttled_slices: u64,
}
