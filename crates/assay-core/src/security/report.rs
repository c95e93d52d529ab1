//! What probing says: one verdict per case, with the evidence for it.

use serde::{Deserialize, Serialize};

use super::rule::Rule;

/// The outcome of one probing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeReport {
    /// Version of this format: 1.
    pub version: u32,
    /// The seed of every random value; the same seed plans the same requests.
    pub seed: u64,
    /// Requests sent.
    pub requests: u32,
    /// Wall time, milliseconds.
    pub elapsed_ms: u64,
    /// Why part of the probing is inconclusive, in plain words; empty when everything could be tried.
    pub problems: Vec<String>,
    /// All cases, in the order of the plan.
    pub cases: Vec<ProbeCase>,
}

impl ProbeReport {
    /// Whether any attack that was planned came to a verdict; true where none was planned.
    pub fn has_judged(&self) -> bool {
        let planned = || {
            self.cases
                .iter()
                .filter(|case| case.variant != ProbeCase::IN_PASSING)
        };
        planned().next().is_none() || planned().any(|case| case.verdict != Verdict::Inconclusive)
    }
}

impl ProbeCase {
    /// The variant of what is looked for in every answer, and is no attack of its own.
    pub const IN_PASSING: &str = "seen in passing";
}

/// One attack on one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeCase {
    /// What was looked for; [`Rule::info`] tells the category, the weakness, the level and the fix.
    pub rule: Rule,
    /// Where, such as `GET /tasks/{id}`.
    pub operation: String,
    /// The attacked input, such as `query q` or `body /title`; empty when it is the operation as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub input: String,
    /// Which attack of the rule, such as `alg: nOnE`.
    pub variant: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What happened, in plain words.
    pub message: String,
    /// The telling exchanges, in order; empty for a safe case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<Excerpt>,
}

/// What an attack showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The attack was refused, or had no effect.
    Safe,
    /// The attack worked, and was confirmed.
    Vulnerable,
    /// It cannot be told.
    Inconclusive,
}

/// A request and its answer, cut to a readable size, without secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excerpt {
    /// Part that it plays in the case: `before`, `control`, `attack` or `read back`.
    pub role: String,
    /// Request line, headers and the beginning of the body.
    pub request: String,
    /// Status line, headers and the beginning of the body; or why there is none.
    pub answer: String,
    /// Time from the first byte sent to the last byte received, milliseconds.
    pub elapsed_ms: u64,
}
