//! What is counted and timed, for dashboards and alarms: the one place with the names.
//!
//! Names and labels are stable. Whoever wants the numbers installs a recorder of the `metrics` crate; without one they go
//! nowhere.

use std::time::Duration;

use assay_core::evidence::Evidence;
use assay_core::exercise::CheckKind;
use assay_core::queue::Outcome;
use assay_store::model::GivenBack;
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

/// Runs that ended in this process, by `outcome` and, where they failed, `whose` fault it was.
pub const RUNS: &str = "assay_runs_total";
/// Executions that were given back to the queue, by `why`: `fault`, `drain`.
pub const RUNS_GIVEN_BACK: &str = "assay_runs_given_back_total";
/// Seconds from queued to taken.
pub const RUN_WAIT: &str = "assay_run_wait_seconds";
/// Seconds that a check took, by `kind`.
pub const CHECK_DURATION: &str = "assay_check_duration_seconds";
/// Failures of the container engine.
pub const ENGINE_ERRORS: &str = "assay_engine_errors_total";

/// Tells the recorder what the numbers mean. Once, after it was installed.
pub fn describe() {
    describe_counter!(RUNS, "Runs that ended, by outcome and by whose fault it was");
    describe_counter!(
        RUNS_GIVEN_BACK,
        "Executions that were given back to the queue, by why"
    );
    describe_histogram!(RUN_WAIT, Unit::Seconds, "Time from queued to taken");
    describe_histogram!(CHECK_DURATION, Unit::Seconds, "Time that a check took, by kind");
    describe_counter!(ENGINE_ERRORS, "Failures of the container engine");
    // From the start there is a zero that rates can be computed from.
    counter!(ENGINE_ERRORS).absolute(0);
}

pub(crate) fn run_ended(outcome: Outcome) {
    let whose = match outcome {
        Outcome::Failed(whose) => match whose {
            assay_core::fault::Whose::Candidate => "candidate",
            assay_core::fault::Whose::Exercise => "exercise",
            assay_core::fault::Whose::Platform => "platform",
        },
        _ => "",
    };
    counter!(RUNS, "outcome" => outcome.name(), "whose" => whose).increment(1);
}

pub(crate) fn run_given_back(why: GivenBack) {
    let why = match why {
        GivenBack::Interrupted => "drain",
        GivenBack::Failed => "fault",
    };
    counter!(RUNS_GIVEN_BACK, "why" => why).increment(1);
}

pub(crate) fn run_waited(wait: Duration) {
    histogram!(RUN_WAIT).record(wait.as_secs_f64());
}

pub(crate) fn checks_done(evidence: &Evidence) {
    for check in &evidence.checks {
        let kind = match check.kind {
            CheckKind::Build => "build",
            CheckKind::Style => "style",
            CheckKind::Unit => "unit",
            CheckKind::Integration => "integration",
            CheckKind::Load => "load",
            CheckKind::Security => "security",
            CheckKind::Rigour => "rigour",
            CheckKind::Command => "command",
        };
        let seconds = Duration::from_millis(check.duration_ms).as_secs_f64();
        histogram!(CHECK_DURATION, "kind" => kind).record(seconds);
    }
}

pub(crate) fn engine_failed() {
    counter!(ENGINE_ERRORS).increment(1);
}
