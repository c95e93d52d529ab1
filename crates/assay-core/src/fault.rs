//! Why something could not be judged, and whose fault that is.
//!
//! A verdict is about the candidate, a fault is about what stopped us; the two are never mixed. [`Stop`] is the closed list
//! of all that can stop a check. A new reason does not compile until [`Stop::whose`] says whose fault it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whose fault it is that something stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    /// Counts as a verdict: the affected lines get no points.
    Candidate,
    /// The exercise is broken: not scored, reported to its author.
    Exercise,
    /// We, the engine or the host failed: not scored, retried where that can help.
    Platform,
}

/// What stopped a check, with what a person needs in order to understand it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The repository has no commit, or the commit has no file.
    NothingSubmitted { detail: String },
    /// The commit cannot be exported: too many files, too large, too deep.
    TreeRefused { detail: String },
    /// `assay.yaml` at the candidate's root is wrong or not allowed.
    BadOverride { detail: String },
    /// The dependencies did not install.
    DependenciesFailed { exit_code: i64 },
    /// The build command failed.
    BuildFailed { exit_code: i64 },
    /// A check that needs the build was not run, as the build did not succeed.
    NotBuilt,
    /// The service ended, or did not answer its readiness probe in time.
    NeverReady { waited_ms: u64, detail: String },
    /// The service died while it was being checked.
    ServiceDied { detail: String },
    /// Candidate code ran into the check's time-out.
    TimedOut { limit_ms: u64 },
    /// Candidate code used more memory than its limit.
    OutOfMemory { limit_bytes: u64 },
    /// Candidate code wrote more output than its limit.
    OutputFlood { limit_bytes: u64 },
    /// A report that only candidate code can write is missing or cannot be read.
    NoReport { detail: String },
    /// A port of the pod is held by somebody who should not hold it.
    PortTaken { port: u16 },
    /// A tool of ours that had begun to talk to the service ran out of time, memory or room for output.
    Overwhelmed { tool: String, detail: String },
    /// The service let the prober do nothing that could be judged.
    NotProbeable { detail: String },
    /// A database of ours came up, and did not come up again: candidate code had filled it.
    ServiceFilled { service: String, bytes: u64 },
    /// An analysis tool of ours breaks on the candidate's source, each time, and not on what candidates start from.
    BreaksTool { tool: String, detail: String },
    /// The hidden tests did not run to their end, or left no readable result.
    HiddenTestsBroken { detail: String },
    /// A file of the exercise is wrong.
    BadExercise { detail: String },
    /// An analysis tool of ours ended in a way that is neither clean nor findings.
    ToolBroken { tool: String, detail: String },
    /// An image is missing or cannot be started.
    ImageMissing { image: String },
    /// Docker does not answer, or answered with an error.
    EngineFailed { detail: String },
    /// A database or cache of ours did not come up.
    ServiceBroken { service: String, detail: String },
    /// A package registry could not be reached.
    RegistryUnreachable { detail: String },
    /// The host was too noisy for a measurement.
    NoisyHost { detail: String },
    /// There is no advisory database, so dependencies were not audited.
    NoAdvisories,
    /// The run was cancelled.
    Cancelled,
}

impl Stop {
    /// Whose fault it is. The only place that decides.
    pub fn whose(&self) -> Whose {
        match self {
            Self::NothingSubmitted { .. }
            | Self::TreeRefused { .. }
            | Self::BadOverride { .. }
            | Self::DependenciesFailed { .. }
            | Self::BuildFailed { .. }
            | Self::NotBuilt
            | Self::NeverReady { .. }
            | Self::ServiceDied { .. }
            | Self::TimedOut { .. }
            | Self::OutOfMemory { .. }
            | Self::OutputFlood { .. }
            | Self::NoReport { .. }
            | Self::PortTaken { .. }
            | Self::Overwhelmed { .. }
            | Self::NotProbeable { .. }
            | Self::ServiceFilled { .. }
            | Self::BreaksTool { .. } => Whose::Candidate,
            Self::HiddenTestsBroken { .. } | Self::BadExercise { .. } => Whose::Exercise,
            Self::ToolBroken { .. }
            | Self::ImageMissing { .. }
            | Self::EngineFailed { .. }
            | Self::ServiceBroken { .. }
            | Self::RegistryUnreachable { .. }
            | Self::NoisyHost { .. }
            | Self::NoAdvisories
            | Self::Cancelled => Whose::Platform,
        }
    }

    /// Whether the same checks on the same commit may well go further at another time.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::EngineFailed { .. } | Self::ServiceBroken { .. } | Self::RegistryUnreachable { .. } => true,
            // Tools break on what they are given, a noisy host was measured twice already, and the rest needs a person.
            Self::ToolBroken { .. }
            | Self::NoisyHost { .. }
            | Self::ImageMissing { .. }
            | Self::NoAdvisories
            | Self::Cancelled
            | Self::HiddenTestsBroken { .. }
            | Self::BadExercise { .. } => false,
            Self::NothingSubmitted { .. }
            | Self::TreeRefused { .. }
            | Self::BadOverride { .. }
            | Self::DependenciesFailed { .. }
            | Self::BuildFailed { .. }
            | Self::NotBuilt
            | Self::NeverReady { .. }
            | Self::ServiceDied { .. }
            | Self::TimedOut { .. }
            | Self::OutOfMemory { .. }
            | Self::OutputFlood { .. }
            | Self::NoReport { .. }
            | Self::PortTaken { .. }
            | Self::Overwhelmed { .. }
            | Self::NotProbeable { .. }
            | Self::ServiceFilled { .. }
            | Self::BreaksTool { .. } => false,
        }
    }

    /// What stops the checks that need the build, when this stopped the build. A fault of ours stays one: nobody knows how
    /// they would have ended.
    pub fn without_build(&self) -> Self {
        match self.whose() {
            Whose::Candidate => Self::NotBuilt,
            Whose::Exercise | Whose::Platform => self.clone(),
        }
    }

    /// The stable name, as in JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NothingSubmitted { .. } => "nothing_submitted",
            Self::TreeRefused { .. } => "tree_refused",
            Self::BadOverride { .. } => "bad_override",
            Self::DependenciesFailed { .. } => "dependencies_failed",
            Self::BuildFailed { .. } => "build_failed",
            Self::NotBuilt => "not_built",
            Self::NeverReady { .. } => "never_ready",
            Self::ServiceDied { .. } => "service_died",
            Self::TimedOut { .. } => "timed_out",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::OutputFlood { .. } => "output_flood",
            Self::NoReport { .. } => "no_report",
            Self::PortTaken { .. } => "port_taken",
            Self::Overwhelmed { .. } => "overwhelmed",
            Self::NotProbeable { .. } => "not_probeable",
            Self::ServiceFilled { .. } => "service_filled",
            Self::BreaksTool { .. } => "breaks_tool",
            Self::HiddenTestsBroken { .. } => "hidden_tests_broken",
            Self::BadExercise { .. } => "bad_exercise",
            Self::ToolBroken { .. } => "tool_broken",
            Self::ImageMissing { .. } => "image_missing",
            Self::EngineFailed { .. } => "engine_failed",
            Self::ServiceBroken { .. } => "service_broken",
            Self::RegistryUnreachable { .. } => "registry_unreachable",
            Self::NoisyHost { .. } => "noisy_host",
            Self::NoAdvisories => "no_advisories",
            Self::Cancelled => "cancelled",
        }
    }

    /// One sentence for the report, in plain words.
    pub fn sentence(&self) -> String {
        match self {
            Self::NothingSubmitted { detail } => format!("There is nothing to check: {detail}."),
            Self::TreeRefused { detail } => format!("The commit was refused: {detail}."),
            Self::BadOverride { detail } => format!("assay.yaml was refused: {detail}."),
            Self::DependenciesFailed { exit_code } => {
                format!("The dependencies did not install (exit code {exit_code}).")
            }
            Self::BuildFailed { exit_code } => format!("The build failed (exit code {exit_code})."),
            Self::NotBuilt => "Not run, as the build did not succeed.".into(),
            Self::NeverReady { waited_ms, detail } => {
                format!(
                    "The service was not ready after {}: {detail}.",
                    seconds(*waited_ms)
                )
            }
            Self::ServiceDied { detail } => format!("The service died: {detail}."),
            Self::TimedOut { limit_ms } => {
                format!(
                    "Stopped after {} (limit {}).",
                    seconds(*limit_ms),
                    seconds(*limit_ms)
                )
            }
            Self::OutOfMemory { limit_bytes } => {
                format!("Killed: used more than {} MiB of memory.", limit_bytes >> 20)
            }
            Self::OutputFlood { limit_bytes } => {
                format!("Stopped: wrote more than {} KiB of output.", limit_bytes >> 10)
            }
            Self::NoReport { detail } => format!("There is no readable report: {detail}."),
            Self::PortTaken { port } => format!("Port {port} was held by a process that should not hold it."),
            Self::Overwhelmed { tool, detail } => {
                format!("The service's answers were too much for the {tool}: {detail}.")
            }
            Self::NotProbeable { detail } => {
                format!("None of the attacks on the service could be judged: {detail}.")
            }
            Self::ServiceFilled { service, bytes } => {
                format!(
                    "{service} did not come back: it had been filled with {} MiB.",
                    bytes >> 20
                )
            }
            Self::BreaksTool { tool, detail } => {
                format!("{tool} breaks on this source, and not on what it began with: {detail}.")
            }
            Self::HiddenTestsBroken { detail } => {
                format!("The exercise's hidden tests could not be judged: {detail}.")
            }
            Self::BadExercise { detail } => format!("The exercise is broken: {detail}."),
            Self::ToolBroken { tool, detail } => format!("{tool} did not work: {detail}."),
            Self::ImageMissing { image } => format!("The image {image} is missing."),
            Self::EngineFailed { detail } => format!("The container engine failed: {detail}."),
            Self::ServiceBroken { service, detail } => format!("{service} did not come up: {detail}."),
            Self::RegistryUnreachable { detail } => {
                format!("A package registry could not be reached: {detail}.")
            }
            Self::NoisyHost { detail } => format!("The host was too noisy to measure: {detail}."),
            Self::NoAdvisories => "There is no advisory database, so dependencies were not audited.".into(),
            Self::Cancelled => "The run was cancelled.".into(),
        }
    }

    /// The serialised form for reports.
    pub fn fault(&self) -> Fault {
        Fault {
            whose: self.whose(),
            code: self.code().to_owned(),
            message: self.sentence(),
        }
    }
}

/// A [`Stop`] as a report shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// Whose fault it is.
    pub whose: Whose,
    /// Stable name of the reason, such as `build_failed`.
    pub code: String,
    /// One sentence in plain words.
    pub message: String,
}

fn seconds(ms: u64) -> String {
    if ms.is_multiple_of(1000) {
        format!("{} s", ms / 1000)
    } else {
        format!("{:.1} s", ms as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_the_build_shares_its_fault_but_not_its_verdict() {
        let failed = Stop::BuildFailed { exit_code: 1 };
        assert_eq!(failed.without_build(), Stop::NotBuilt);
        let unreachable = Stop::RegistryUnreachable { detail: "r".into() };
        assert_eq!(unreachable.without_build(), unreachable);
    }
}
