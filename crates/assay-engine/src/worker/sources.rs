//! Where an assignment's commits come from.

use std::path::Path;

use assay_git::{Authorization, Source};
use assay_store::model::{Assignment, Connection, ForgeKind, Origin};
use assay_store::{Store, StoreError};

/// Opens what the daemon has sealed.
pub trait Credentials: Send + Sync + 'static {
    /// How a fetch from this connection's repositories says who asks; None when they are public.
    ///
    /// # Errors
    /// With a text for people when the secrets cannot be opened.
    fn authorization(&self, connection: &Connection) -> Result<Option<Authorization>, String>;
}

/// A repository, as a fetch needs it.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) source: Source,
    /// How a report names it.
    pub(super) shown: String,
    pub(super) authorization: Option<Authorization>,
}

/// There is no way to a repository.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("the connection to the forge is not there any more, or switched off")]
    NoConnection,
    #[error("the address of the repository cannot be used: {0}")]
    Address(#[from] assay_git::BadSource),
    #[error("the forge's credentials cannot be opened: {0}")]
    Credentials(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SourceError {
    /// Whether it may be there another time.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

/// The way to an assignment's repository.
pub(super) async fn locate(
    store: &Store,
    repositories: &Path,
    credentials: &dyn Credentials,
    assignment: &Assignment,
) -> Result<Located, SourceError> {
    match &assignment.origin {
        Origin::Hosted => {
            let name = format!("{}.git", assignment.id);
            Ok(Located {
                source: Source::from(repositories.join(&name).as_path()),
                shown: name,
                authorization: None,
            })
        }
        Origin::Forge {
            connection,
            repository,
        } => {
            let connection = store
                .connection(connection)
                .await?
                .filter(|connection| connection.disabled_at_ms.is_none())
                .ok_or(SourceError::NoConnection)?;
            let address = clone_address(&connection, repository);
            Ok(Located {
                source: address.parse()?,
                shown: address,
                authorization: credentials
                    .authorization(&connection)
                    .map_err(SourceError::Credentials)?,
            })
        }
    }
}

/// Made of what an administrator entered, never of what a hook said.
fn clone_address(connection: &Connection, repository: &str) -> String {
    let base = connection.base_url.trim_end_matches('/');
    match connection.forge {
        ForgeKind::BitbucketServer => format!("{base}/scm/{repository}.git"),
        ForgeKind::GitHub | ForgeKind::GitLab | ForgeKind::Gitea | ForgeKind::Bitbucket => {
            format!("{base}/{repository}.git")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_address_follows_from_the_connection() {
        for (forge, base_url, expected) in [
            (
                ForgeKind::GitHub,
                "https://github.com",
                "https://github.com/team/api.git",
            ),
            (
                ForgeKind::GitLab,
                "https://git.example.org/lab/",
                "https://git.example.org/lab/team/api.git",
            ),
            (
                ForgeKind::BitbucketServer,
                "https://bb.example.org",
                "https://bb.example.org/scm/team/api.git",
            ),
        ] {
            let connection = Connection {
                id: "c".parse().unwrap(),
                forge,
                base_url: base_url.into(),
                api_url: String::new(),
                exercise: String::new(),
                track: String::new(),
                repositories: Vec::new(),
                sealed_secrets: Vec::new(),
                created_at_ms: 0,
                disabled_at_ms: None,
            };
            assert_eq!(clone_address(&connection, "team/api"), expected);
        }
    }
}
