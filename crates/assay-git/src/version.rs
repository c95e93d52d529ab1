//! Which `git` is there.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::process::{self, Invocation, ProcessLimits, Stopped};

/// How long `git version` may take; a machine under load takes seconds to start anything.
const WITHIN: Duration = Duration::from_secs(20);

/// Why there is no version.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// There is no such program.
    #[error("git is not installed")]
    Missing,
    /// It is there and does not work.
    #[error("git does not work: {0}")]
    Broken(String),
}

/// The version of the `git` that everything here uses, such as `2.47.3`.
///
/// # Errors
/// When there is none, or it cannot even say that.
pub async fn version() -> Result<String, VersionError> {
    let invocation = Invocation {
        args: vec!["version".into()],
        git_dir: Path::new("/"),
        protocol: "none",
        settings: Vec::new(),
        stdin: Vec::new(),
        stdout_cap: 4096,
        limits: ProcessLimits {
            memory: 1 << 30,
            cpu_seconds: 10,
            file: 0,
        },
        watch: &|| true,
    };
    match process::run(invocation, &CancellationToken::new(), Instant::now() + WITHIN).await {
        Ok(outcome) => read(&outcome.stdout),
        Err(Stopped::Missing) => Err(VersionError::Missing),
        Err(stopped) => Err(VersionError::Broken(format!("{stopped:?}"))),
    }
}

fn read(stdout: &[u8]) -> Result<String, VersionError> {
    let said = String::from_utf8_lossy(stdout);
    match said.trim().strip_prefix("git version ") {
        Some(version) => Ok(version.to_owned()),
        None => Err(VersionError::Broken(format!("it says {:?}", said.trim()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_has_one() {
        let version = version().await.unwrap();
        assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{version}");
        assert!(read(b"fatal: no").is_err());
    }
}
