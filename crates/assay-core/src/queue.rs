//! The life of a run between a push and a report, and which run comes next. Pure: the store keeps, the worker acts.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::fault::Whose;
use crate::id::{AssignmentId, RunId};

/// What asked for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A push to the graded branch of a hosted repository.
    Push,
    /// A tag that was pushed to a hosted repository.
    Tag,
    /// A forge's webhook.
    Webhook,
    /// Somebody asked for the same checks on the same commit again.
    Rerun,
}

impl Trigger {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Push, Self::Tag, Self::Webhook, Self::Rerun];

    /// The stable name, as in JSON and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Tag => "tag",
            Self::Webhook => "webhook",
            Self::Rerun => "rerun",
        }
    }

    /// Lower runs first: somebody waits at a terminal before those who wait for a page.
    pub fn priority(self) -> i64 {
        match self {
            Self::Push | Self::Tag | Self::Webhook => 0,
            Self::Rerun => 10,
        }
    }

    /// Whether it may use up an attempt. What the interviewers ask for costs the candidate nothing.
    pub fn may_cost(self) -> bool {
        self != Self::Rerun
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It waits for a worker.
    Queued,
    /// A worker has a lease on it.
    Running,
    /// It has an [`Outcome`], for ever.
    Finished,
}

impl RunState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Queued, Self::Running, Self::Finished];

    /// The stable name, as in JSON and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every line of the scorecard was judged.
    Scored,
    /// There is a report, and something in it could not be judged through no fault of the candidate.
    PartlyScored,
    /// There was nothing to check: no commit, no file.
    Nothing,
    /// Somebody cancelled it.
    Cancelled,
    /// A newer commit of the same assignment came before it began.
    Superseded,
    /// It could not be carried out, see the run's reason for whose fault that is.
    Failed(Whose),
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Scored,
        Self::PartlyScored,
        Self::Nothing,
        Self::Cancelled,
        Self::Superseded,
        Self::Failed(Whose::Candidate),
        Self::Failed(Whose::Exercise),
        Self::Failed(Whose::Platform),
    ];

    /// The stable name, as in the store and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scored => "scored",
            Self::PartlyScored => "partly_scored",
            Self::Nothing => "nothing",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
            Self::Failed(Whose::Candidate) => "failed_candidate",
            Self::Failed(Whose::Exercise) => "failed_exercise",
            Self::Failed(Whose::Platform) => "failed_platform",
        }
    }

    /// Whether it used up an attempt. One that was eaten by the platform's or the exercise's fault is given back, as is one
    /// that never began.
    pub fn costs(self) -> bool {
        match self {
            Self::Scored | Self::Nothing | Self::Failed(Whose::Candidate) => true,
            Self::PartlyScored
            | Self::Cancelled
            | Self::Superseded
            | Self::Failed(Whose::Exercise | Whose::Platform) => false,
        }
    }
}

/// A run that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The run.
    pub run: RunId,
    /// Whose it is.
    pub assignment: AssignmentId,
    /// See [`Trigger::priority`].
    pub priority: i64,
    /// When it was queued, milliseconds since 1970.
    pub queued_at_ms: i64,
}

/// The order in which waiting runs begin: by priority, then fair between assignments, then by age and id.
///
/// Fair: an assignment's second run waits behind everybody's first, and behind what it has running already.
pub fn order(mut waiting: Vec<Waiting>, running: &[AssignmentId]) -> Vec<Waiting> {
    waiting.sort_by(|a, b| (a.priority, a.queued_at_ms, &a.run).cmp(&(b.priority, b.queued_at_ms, &b.run)));
    let mut n_ahead: HashMap<AssignmentId, usize> = HashMap::new();
    for assignment in running {
        *n_ahead.entry(assignment.clone()).or_default() += 1;
    }
    let mut turns: Vec<(usize, Waiting)> = Vec::with_capacity(waiting.len());
    for run in waiting {
        let turn = n_ahead.entry(run.assignment.clone()).or_default();
        turns.push((*turn, run));
        *turn += 1;
    }
    turns.sort_by_key(|(turn, run)| (run.priority, *turn));
    turns.into_iter().map(|(_, run)| run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(text: &str) -> Vec<Waiting> {
        let parse = |(i, word): (usize, &str)| {
            let (assignment, priority) = word.split_once(':').unwrap();
            Waiting {
                run: format!("{assignment}{i}").parse().unwrap(),
                assignment: assignment.parse().unwrap(),
                priority: priority.parse().unwrap(),
                queued_at_ms: i as i64,
            }
        };
        text.split_whitespace().enumerate().map(parse).collect()
    }

    #[track_caller]
    fn check(queue: &str, running: &str, expected: &str) {
        let running: Vec<AssignmentId> = running.split_whitespace().map(|id| id.parse().unwrap()).collect();
        let order = order(waiting(queue), &running);
        let order: Vec<&str> = order.iter().map(|run| run.run.as_str()).collect();
        assert_eq!(order.join(" "), expected);
    }

    #[test]
    fn everybody_gets_a_turn_before_anybody_gets_a_second() {
        check("a:0 a:0 b:0", "", "a0 b2 a1");
        check("a:0 b:0", "a", "b1 a0");
        check("a:0 a:0 a:0 b:0 c:0 b:0", "", "a0 b3 c4 a1 b5 a2");
    }

    #[test]
    fn what_somebody_waits_for_comes_before_reruns() {
        check("a:10 b:0", "", "b1 a0");
        check("a:10 b:0 b:0", "b", "b1 b2 a0");
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> =
            Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
        assert_eq!(names.len(), Outcome::ALL.len());
    }
}
