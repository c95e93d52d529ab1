//! Active probing of a running service: what is attacked, how an answer is judged, and what comes out.
//!
//! Everything here is pure. A [`SecurityPlan`] (the exercise's `security.yaml`) and a [`Contract`] (the small part of the
//! OpenAPI document that matters) give a [`ProbePlan`]. `assay-drive` sends its requests and asks [`judge()`] after each
//! answer. A [`ProbeReport`] carries the verdicts; findings are made from it.
//!
//! The first goal is to accuse nobody wrongly: an attack that cannot be told from noise is [`Verdict::Inconclusive`].

mod contract;
mod exchange;
mod finding;
mod judge;
mod lint;
mod operation;
mod plan;
mod planner;
mod probe;
mod report;
mod request;
mod rule;
mod template;
mod wire;

pub use contract::{Contract, ContractError, OperationSpec};
pub use exchange::{Answer, Exchange, Failure, Outcome};
pub use judge::{Judgement, Secrets, judge, observe};
pub use operation::{Operation, OperationError};
pub use plan::{
    Database, Exclusion, JwtAlgorithm, JwtPlan, Limits, ObjectPlan, RequestPlan, SecurityPlan,
    Step as PlanStep, UsersPlan,
};
pub use planner::{OTHER, plan};
pub use probe::{Attack, Oracle, Probe, ProbePlan, Role, Step};
pub use report::{Excerpt, ProbeCase, ProbeReport, Verdict};
pub use request::{Body, Credential, Forgery, Input, Request, Unfilled, User, Wire};
pub use rule::{Rule, RuleInfo};
pub use template::{Dice, Variables, fill};
pub use wire::{ProbeJob, ProbeMessage};
