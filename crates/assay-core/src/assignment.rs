//! What an assignment allows, and what a push to it would cost.

use serde::{Deserialize, Serialize};

use crate::exercise::SubmitOn;

/// The file that tells a candidate their [`Terms`]. Hosted repositories begin with it, each with its own, so that it is part of
/// no template and still nobody's work.
pub const TERMS_FILE: &str = "SUBMITTING.md";

/// How far an assignment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignmentState {
    /// The candidate may push.
    Open,
    /// An interviewer closed it: what is there can be read, nothing can be pushed.
    Closed,
    /// The repository was archived and removed.
    Archived,
    /// The candidate's data and code were erased; what remains is without a name.
    Erased,
}

impl AssignmentState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Closed, Self::Archived, Self::Erased];

    /// The stable name, as in JSON and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Archived => "archived",
            Self::Erased => "erased",
        }
    }
}

/// The rules of one assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// How far it is.
    pub state: AssignmentState,
    /// What counts as a submission.
    pub submit_on: SubmitOn,
    /// How many submissions are checked. None: any number.
    pub attempts: Option<u32>,
    /// Last moment for a push, milliseconds since 1970, individual extensions included. None: no end.
    pub due_at_ms: Option<i64>,
}

/// What is being pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The graded branch.
    Branch,
    /// A tag.
    Tag,
}

/// What a push means under the [`Terms`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weight {
    /// It is kept and checked.
    Submission {
        /// Which attempt it is, from 1.
        attempt: u32,
        /// Of how many. None: any number.
        of: Option<u32>,
    },
    /// It is kept; it costs nothing and is not checked.
    KeptOnly(KeptOnly),
    /// It is refused before anything is received.
    Refused(Refused),
}

/// Why a push is kept and not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptOnly {
    /// The exercise checks tags only.
    NotATag,
    /// The exercise checks pushes of the branch; a tag is a name and no submission.
    NotTheBranch,
    /// All attempts are used.
    NoAttemptsLeft {
        /// How many there were.
        of: u32,
    },
}

/// Why a push is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The due date has passed.
    Late {
        /// It was then, milliseconds since 1970.
        due_at_ms: i64,
    },
    /// The assignment is not open.
    NotOpen(AssignmentState),
}

/// What a push at this moment means. `n_used` attempts have been used up (see [`crate::queue::Outcome::costs`]), those that
/// wait or run included.
pub fn weigh(terms: &Terms, pushed: Pushed, n_used: u32, now_ms: i64) -> Weight {
    if terms.state != AssignmentState::Open {
        return Weight::Refused(Refused::NotOpen(terms.state));
    }
    if let Some(due_at_ms) = terms.due_at_ms.filter(|due_at_ms| now_ms > *due_at_ms) {
        return Weight::Refused(Refused::Late { due_at_ms });
    }
    match (terms.submit_on, pushed) {
        (SubmitOn::Tag, Pushed::Branch) => return Weight::KeptOnly(KeptOnly::NotATag),
        (SubmitOn::Push, Pushed::Tag) => return Weight::KeptOnly(KeptOnly::NotTheBranch),
        (SubmitOn::Push, Pushed::Branch) | (SubmitOn::Tag, Pushed::Tag) => (),
    }
    match terms.attempts {
        Some(of) if n_used >= of => Weight::KeptOnly(KeptOnly::NoAttemptsLeft { of }),
        of => Weight::Submission {
            attempt: n_used.saturating_add(1),
            of,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_weighed_by_state_then_time_then_kind_then_attempts() {
        use AssignmentState::{Closed, Open};
        let late = Weight::Refused(Refused::Late { due_at_ms: 100 });
        let full = Weight::KeptOnly(KeptOnly::NoAttemptsLeft { of: 2 });
        let submission = |attempt, of| Weight::Submission { attempt, of };
        for (state, on, attempts, pushed, n_used, now_ms, expected) in [
            (
                Open,
                SubmitOn::Push,
                None,
                Pushed::Branch,
                7,
                100,
                submission(8, None),
            ),
            (
                Open,
                SubmitOn::Push,
                Some(2),
                Pushed::Branch,
                1,
                0,
                submission(2, Some(2)),
            ),
            (Open, SubmitOn::Push, Some(2), Pushed::Branch, 2, 0, full.clone()),
            (
                Open,
                SubmitOn::Push,
                Some(2),
                Pushed::Branch,
                2,
                101,
                late.clone(),
            ),
            (
                Open,
                SubmitOn::Tag,
                Some(2),
                Pushed::Branch,
                2,
                0,
                Weight::KeptOnly(KeptOnly::NotATag),
            ),
            (
                Open,
                SubmitOn::Push,
                Some(2),
                Pushed::Tag,
                0,
                0,
                Weight::KeptOnly(KeptOnly::NotTheBranch),
            ),
            (
                Open,
                SubmitOn::Tag,
                Some(2),
                Pushed::Tag,
                0,
                0,
                submission(1, Some(2)),
            ),
            (
                Closed,
                SubmitOn::Push,
                None,
                Pushed::Branch,
                0,
                101,
                Weight::Refused(Refused::NotOpen(Closed)),
            ),
        ] {
            let terms = Terms {
                state,
                submit_on: on,
                attempts,
                due_at_ms: Some(100),
            };
            assert_eq!(
                weigh(&terms, pushed, n_used, now_ms),
                expected,
                "{terms:?} {pushed:?} {n_used} {now_ms}"
            );
        }
    }
}
