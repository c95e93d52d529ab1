//! Passwords: argon2id, off the threads that answer requests, a few at a time.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use axum::http::StatusCode;
use tokio::sync::Semaphore;

use crate::Problem;

/// Fewest and most characters. Length is the only rule: others make passwords worse.
pub const LENGTH: std::ops::RangeInclusive<usize> = 10..=200;

/// How many are hashed at a time: each takes 19 MiB and some tens of milliseconds of a core.
const AT_A_TIME: usize = 2;

/// How long somebody waits for their turn before they are asked to try again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is compared where there is no account, so that the time tells nobody which names exist.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash("nobody has this password").unwrap_or_default());

/// A password that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum BadPassword {
    /// Too short or too long.
    #[error("a password has {} to {} characters", LENGTH.start(), LENGTH.end())]
    Length,
    /// The hash function refused, which it does only when the system gives no randomness.
    #[error("the password cannot be hashed: {0}")]
    Hash(argon2::password_hash::Error),
}

/// The PHC string to be stored of a password. Takes some tens of milliseconds.
///
/// # Errors
/// When it is too short or too long.
pub fn hash(password: &str) -> Result<String, BadPassword> {
    if !LENGTH.contains(&password.chars().count()) {
        return Err(BadPassword::Length);
    }
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(BadPassword::Hash)
}

fn is_of(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

/// Hashes and compares passwords of requests.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
        }
    }
}

impl Passwords {
    /// The PHC string of a new password.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, Problem> {
        let password = password.to_owned();
        let hashed = self.in_turn(move || hash(&password)).await?;
        hashed.map_err(|error| match error {
            BadPassword::Length => Problem::unprocessable(format!(
                "A password has {} to {} characters.",
                LENGTH.start(),
                LENGTH.end()
            )),
            error @ BadPassword::Hash(_) => Problem::internal("hashing a password", &error),
        })
    }

    /// Whether it is the one with this hash. Takes as long where there is none.
    pub(crate) async fn is_right(&self, password: &str, hash: Option<&str>) -> Result<bool, Problem> {
        let could_be = password.chars().count() <= *LENGTH.end();
        let is_there = hash.is_some() && could_be;
        let password = if could_be {
            password.to_owned()
        } else {
            String::new()
        };
        let hash = hash.map(str::to_owned);
        let is_right = self
            .in_turn(move || is_of(&password, hash.as_ref().unwrap_or(&NOBODY)))
            .await?;
        Ok(is_there && is_right)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(PATIENCE, turn).await else {
            return Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "Many people are signing in just now. Try again in a moment.",
            ));
        };
        // The turn goes with the work: a client that hangs up does not make room for another one before it is done.
        let work = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        work.await
            .map_err(|error| Problem::internal("hashing a password", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_alone() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse battery").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        for (password, hash, is_right) in [
            ("correct horse battery", Some(hash.as_str()), true),
            ("correct horse batterY", Some(hash.as_str()), false),
            ("", Some(hash.as_str()), false),
            ("nobody has this password", None, false),
            ("correct horse battery", Some("no hash"), false),
        ] {
            assert_eq!(
                passwords.is_right(password, hash).await.unwrap(),
                is_right,
                "{password}"
            );
        }
        assert!(passwords.hash("short").await.is_err());
        assert!(passwords.hash(&"x".repeat(1_000)).await.is_err());
    }
}
