//! Closed enums as words in the database, by one table each.

use assay_core::assignment::AssignmentState;
use assay_core::exercise::SubmitOn;
use assay_core::queue::{Outcome, RunState, Trigger};

use crate::StoreError;
use crate::model::{ForgeKind, Role, TokenKind};

/// An enum whose every value has a stable name.
pub(crate) trait Named: Copy + 'static {
    /// What it is, for messages.
    const WHAT: &'static str;
    /// All values.
    const VALUES: &'static [Self];

    /// The word.
    fn word(self) -> &'static str;

    /// The value of a word.
    fn of(word: &str) -> Result<Self, StoreError> {
        let value = Self::VALUES.iter().find(|value| value.word() == word);
        value.copied().ok_or_else(|| StoreError::Damaged {
            what: Self::WHAT,
            text: word.to_owned(),
        })
    }
}

macro_rules! named {
    ($($enum:ty: $what:literal)*) => {$(
        impl Named for $enum {
            const WHAT: &'static str = $what;
            const VALUES: &'static [Self] = &Self::ALL;

            fn word(self) -> &'static str {
                self.name()
            }
        }
    )*};
}

named! {
    AssignmentState: "state of an assignment"
    ForgeKind: "kind of forge"
    Outcome: "outcome of a run"
    Role: "role"
    RunState: "state of a run"
    TokenKind: "kind of token"
    Trigger: "trigger of a run"
}

impl Named for SubmitOn {
    const WHAT: &'static str = "kind of submission";
    const VALUES: &'static [Self] = &[Self::Push, Self::Tag];

    fn word(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Tag => "tag",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Named + PartialEq + std::fmt::Debug>() {
        for value in T::VALUES {
            assert_eq!(T::of(value.word()).unwrap(), *value);
        }
        assert!(T::of("nonsense").is_err());
    }

    #[test]
    fn every_value_is_read_back_from_its_word() {
        check::<AssignmentState>();
        check::<ForgeKind>();
        check::<Outcome>();
        check::<Role>();
        check::<RunState>();
        check::<SubmitOn>();
        check::<TokenKind>();
        check::<Trigger>();
    }
}
