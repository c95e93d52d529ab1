//! Active probing of a running service: what is attacked, how an answer is judged, and what comes out.
//!
//! Everything here is pure. A [`plan::SecurityPlan`] (the exercise's `security.yaml`) and a [`contract::Contract`] (the small
//! part of the OpenAPI document that matters) give a list of [`case::Case`]s. `assay-drive` sends them and asks
//! [`judge`](mod@judge) after each answer. [`report::ProbeReport`] carries the verdicts; findings are made from it.
//!
//! The first goal is to accuse nobody wrongly: an attack that cannot be told from noise is [`report::Verdict::Inconclusive`].

pub mod operation;
pub mod plan;
pub mod report;
pub mod rule;
