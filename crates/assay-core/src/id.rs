//! Names of stored things. Ids are drawn at the rim and are never secrets.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest id, in bytes.
const MAX_LEN: usize = 64;

/// Not an id: lower-case letters, digits and hyphens, 1 to 64 of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to {MAX_LEN} lower-case letters, digits and hyphens")]
pub struct BadId;

fn is_id(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=MAX_LEN).contains(&text.len()) && text.chars().all(allowed)
}

/// 80 random bits as 16 characters that are easy to read aloud (Crockford's alphabet: no i, l, o, u).
pub fn from_random(bits: u128) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let character = |i: u32| char::from(ALPHABET[(bits >> (5 * i)) as usize & 31]);
    (0..16).map(character).collect()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// A new id out of randomness.
            pub fn from_random(bits: u128) -> Self {
                Self(from_random(bits))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;

            fn try_from(text: String) -> Result<Self, BadId> {
                if is_id(&text) { Ok(Self(text)) } else { Err(BadId) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// An assignment; also the name of its hosted repository.
    AssignmentId
    /// A run; also in the names of its containers.
    RunId
    /// A person with an account.
    UserId
    /// A token of any kind, without its secret.
    TokenId
    /// A connection to a forge, which its webhooks name.
    ConnectionId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_plain() {
        for (text, ok) in [
            ("a", true),
            ("task-sync-7", true),
            ("", false),
            ("A", false),
            ("../etc", false),
            ("a b", false),
            (&"x".repeat(65), false),
        ] {
            assert_eq!(text.parse::<RunId>().is_ok(), ok, "{text}");
        }
        let drawn = RunId::from_random(u128::MAX);
        assert_eq!(drawn.as_str(), "zzzzzzzzzzzzzzzz");
        assert!(drawn.as_str().parse::<RunId>().is_ok());
    }
}
