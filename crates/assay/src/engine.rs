//! Which container engine is meant, and what candidates' code runs under there.

use assay_sandbox::{ConnectError, Engine};

use crate::configuration::EngineSection;

/// What the command line and the environment say.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Options {
    /// The container engine's address; by default `DOCKER_HOST` or the local socket.
    #[arg(long = "engine", global = true, env = "DOCKER_HOST", value_name = "URL")]
    pub(crate) address: Option<String>,
    /// A gVisor that is registered there, such as `runsc`, for candidates' code to run under; by default the engine's own runtime.
    #[arg(long, global = true, env = "ASSAY_ENGINE_RUNTIME", value_name = "NAME")]
    pub(crate) runtime: Option<String>,
}

impl Options {
    /// What holds for a daemon: its configuration says it first.
    pub(crate) fn under(&self, section: &EngineSection) -> Self {
        Self {
            address: section.address.clone().or_else(|| self.address.clone()),
            runtime: section.runtime.clone().or_else(|| self.runtime.clone()),
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// When no engine answers, or it does not know the runtime.
    pub(crate) async fn connect(&self) -> Result<Engine, ConnectError> {
        // A variable that is empty says nothing.
        let runtime = self.runtime.as_deref().filter(|runtime| !runtime.is_empty());
        Engine::connect(self.address.as_deref(), runtime).await
    }
}
