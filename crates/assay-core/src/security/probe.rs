//! What is going to be sent: probes, their attacks, and the steps of an attack.

use std::collections::BTreeMap;
use std::time::Duration;

use super::operation::Operation;
use super::request::{Input, Request};
use super::rule::Rule;

/// Everything that one probing sends.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProbePlan {
    /// Per operation, the steps that lead to one valid request, the last of them. An operation that does not answer it with
    /// 2xx cannot be judged.
    pub baselines: BTreeMap<Operation, Vec<Step>>,
    /// In the order of reports.
    pub probes: Vec<Probe>,
}

/// One question: has this operation, at this input, the weakness of this rule?
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// What is looked for.
    pub rule: Rule,
    /// Where.
    pub operation: Operation,
    /// The attacked input; `None` for the operation as a whole.
    pub input: Option<Input>,
    /// Ways to find out, tried in order until one succeeds.
    pub attacks: Vec<Attack>,
}

/// One way to find out.
#[derive(Debug, Clone, PartialEq)]
pub struct Attack {
    /// What tells it from the others of its probe.
    pub variant: String,
    /// How the answers are judged.
    pub oracle: Oracle,
    /// A random word that occurs nowhere else in the probing.
    pub marker: String,
    /// Sent in order, until the judge has heard enough.
    pub steps: Vec<Step>,
    /// From this step on, nothing else may be sent at the same time.
    pub exclusive_from: usize,
}

/// One request of an attack.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its part.
    pub role: Role,
    /// What is sent.
    pub request: Request,
    /// Variable → JSON pointer into the answer.
    pub capture: BTreeMap<String, String>,
}

/// The part of a step in its attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Prepares; must succeed.
    Before,
    /// Shows what the harmless neighbour does.
    Control,
    /// Attacks.
    Attack,
    /// Shows what the attack changed.
    ReadBack,
}

impl Role {
    /// As it is written in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Control => "control",
            Self::Attack => "attack",
            Self::ReadBack => "read back",
        }
    }
}

/// How the answers of an attack are judged.
#[derive(Debug, Clone, PartialEq)]
pub enum Oracle {
    /// The attack must not succeed: any 2xx is the flaw.
    Refused,
    /// Control and read-back (by the owner) show the marker; the attack neither shows it nor changes that.
    Foreign,
    /// The attack's answer must not contain the marker.
    Hidden,
    /// Control, control, (before, attack) twice: the attack's answers equal the controls'.
    Unmoved,
    /// The attack (an object of somebody else) is answered with the same status as the control (no object).
    SameAsUnknown,
    /// Attack with a quote, twice; control without it; control with the quote doubled.
    SqlError,
    /// Attack (true) and control (false) alternate, then change places; then two controls with another quotation mark.
    SqlBoolean,
    /// Attack that sleeps; then control (sleeps 0) and attacks (sleep once and twice this long) alternate.
    SqlDelay(Duration),
    /// No answer that a browser renders contains this text.
    Rendered(String),
    /// Neither the attack's answer nor the read-back has this field with this value.
    Assigned { field: String, value: String },
    /// Control (another object) and read-back (the object of the attack) by the other user are both refused.
    NotGivenAway,
    /// The oversized attack is refused, and the control is answered.
    Bounded,
    /// Attack, attack: no server error, no dropped connection; the control still succeeds.
    Handled,
    /// Control and read-back show the object; it survives the attack.
    NotOverridden,
    /// The answer does not contain the marker.
    NotTraced,
    /// The answer does not allow this origin together with credentials.
    NotShared(String),
    /// Every answer has `X-Content-Type-Options: nosniff`.
    Nosniff,
    /// No answer names the software and its version.
    Unnamed,
    /// The attack is not answered as the control is.
    NotInUrl,
}
