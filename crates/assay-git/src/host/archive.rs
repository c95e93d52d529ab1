//! The end of a hosted repository: one bundle, then nothing.

use std::io;
use std::path::{Path, PathBuf};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Host, HostError};
use crate::display::one_line;
use crate::process::{self, Invocation, ProcessLimits};

/// Why a repository was not archived or removed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Somebody pushes to it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The host does not let us.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Git could not write it.
    #[error("git bundle failed: {0}")]
    Bundle(String),
}

impl Host {
    /// Writes all references with all that they lead to, what was pushed and overwritten included, into one bundle that git
    /// can clone. It is there as a whole or not at all; one that is there already is replaced.
    ///
    /// # Errors
    /// [`ArchiveError`] says why.
    pub async fn archive(
        &self,
        dir: &Path,
        bundle: &Path,
        cancel: &CancellationToken,
    ) -> Result<(), ArchiveError> {
        let _turn = self.turn(dir).await?;
        let _child = self.child().await?;
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| ArchiveError::Io { doing, path, source }
        };
        if let Some(parent) = bundle.parent() {
            std::fs::create_dir_all(parent).map_err(io("create", parent))?;
        }
        let parent = bundle.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent
            .unwrap_or(Path::new("."))
            .canonicalize()
            .map_err(io("find", bundle))?;
        let new = parent.join(bundle.with_extension("new").file_name().unwrap_or_default());
        let invocation = Invocation {
            args: vec![
                "bundle".into(),
                "create".into(),
                "--quiet".into(),
                new.clone().into_os_string(),
                "--all".into(),
            ],
            git_dir: dir,
            protocol: "none",
            settings: Vec::new(),
            stdin: Vec::new(),
            stdout_cap: 4096,
            limits: ProcessLimits {
                file: u64::MAX,
                ..self.limits.process()
            },
            watch: &|| true,
        };
        let deadline = Instant::now() + self.limits.whole;
        let done = match process::run(invocation, cancel, deadline).await {
            Ok(outcome) if outcome.status.success() => Ok(()),
            Ok(outcome) => Err(ArchiveError::Bundle(one_line(&outcome.stderr, 400))),
            Err(stopped) => Err(ArchiveError::Bundle(format!("{stopped:?}"))),
        };
        let done = done.and_then(|()| {
            let file = std::fs::File::open(&new).map_err(io("open", &new))?;
            file.sync_all().map_err(io("write", &new))?;
            std::fs::rename(&new, bundle).map_err(io("rename", &new))
        });
        if done.is_err() {
            // The error that is given back says more than one about this.
            let _ = std::fs::remove_file(&new);
        }
        done
    }

    /// Removes a repository. One that is not there is no error.
    ///
    /// # Errors
    /// [`ArchiveError`] says why. What is left is no repository any more, and calling again removes it.
    pub async fn remove(&self, dir: &Path) -> Result<(), ArchiveError> {
        let _turn = self.turn(dir).await?;
        let gone = dir.with_extension("gone");
        let io = |source| ArchiveError::Io {
            doing: "remove",
            path: dir.to_owned(),
            source,
        };
        let there = |result: io::Result<()>| match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        };
        there(tokio::fs::remove_dir_all(&gone).await).map_err(io)?;
        there(tokio::fs::rename(dir, &gone).await).map_err(io)?;
        there(tokio::fs::remove_dir_all(&gone).await).map_err(io)
    }
}
