//! The connection to Docker, and how every call to it is made.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use assay_core::preflight::EngineFacts;
use bollard::models::{SystemInfo, SystemVersion};
use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::sync::Semaphore;

use crate::policy::Uids;
use crate::run::Leftovers;

/// The socket of an engine on this machine.
const LOCAL: &str = "unix:///var/run/docker.sock";

/// Seconds until the client gives up on a call by itself. Longer than any limit of ours, which end calls first.
const CLIENT_TIMEOUT_S: u64 = 3600;

/// For calls that only look something up or make an entry in a table.
pub(crate) const QUICK: Duration = Duration::from_secs(30);

/// For calls that start or remove a container: a busy machine takes seconds.
pub(crate) const SLOW: Duration = Duration::from_secs(60);

/// A connection to Docker. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    docker: Docker,
    info: EngineInfo,
    runtime: Runtime,
    starts: Semaphore,
    uids: Uids,
    live_runs: Mutex<HashSet<String>>,
    leftovers: Mutex<Vec<Leftovers>>,
}

/// What is known about the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineInfo {
    /// Of the Docker daemon.
    pub version: String,
    /// 1 or 2.
    pub cgroup_version: u8,
    /// Processors of its machine.
    pub cpus: u32,
    /// Memory of its machine.
    pub memory_bytes: u64,
    /// What is known about it that the policy rests on.
    pub facts: EngineFacts,
}

/// What containers with candidates' code run under.
#[derive(Debug, Default)]
pub(crate) struct Runtime {
    /// As the engine knows it; none: the engine's own choice, as for all others.
    pub(crate) name: Option<String>,
    /// What the engine said when nothing could be started under it. It is not tried again then: each time would leave processes
    /// behind.
    pub(crate) failure: OnceLock<String>,
}

/// Why there is no connection to an engine.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is of no known form.
    #[error(
        "{address:?} is not the address of a container engine (it looks like {LOCAL} or tcp://127.0.0.1:2375)"
    )]
    Address {
        /// As given.
        address: String,
    },
    /// Nothing useful answers there.
    #[error("no container engine at {address} (is it running, and may this user talk to it?): {source}")]
    Engine {
        /// As given, or the default.
        address: String,
        /// What happened.
        source: EngineError,
    },
    /// It does not know the runtime that is asked for.
    #[error(
        "the container engine has no runtime {runtime:?}, it has {} (register it among the `runtimes` of /etc/docker/daemon.json and reload the engine, or leave engine.runtime empty)",
        .known.join(", ")
    )]
    Runtime {
        /// As asked for.
        runtime: String,
        /// What there is.
        known: Vec<String>,
    },
}

/// Why a call to the engine failed. Never the doing of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The engine cannot be reached, or answers nonsense.
    #[error("cannot {operation}: the container engine does not answer: {detail}")]
    Unreachable {
        /// What was wanted.
        operation: &'static str,
        /// What the client says.
        detail: String,
    },
    /// The engine took too long.
    #[error("cannot {operation}: the container engine took longer than {}", seconds(.after))]
    TimedOut {
        /// What was wanted.
        operation: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The engine answered with an error.
    #[error("cannot {operation}: the container engine says: {message} (status {status})")]
    Refused {
        /// What was wanted.
        operation: &'static str,
        /// HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
}

impl EngineError {
    /// Whether the engine says that there is no such thing.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

impl Engine {
    /// Connects to the engine at an address, or to the local one. Containers with candidates' code run under `runtime`, a
    /// gVisor that is registered at the engine; without one under the engine's own, like all others.
    ///
    /// # Errors
    /// When the address has a wrong form, no engine answers there, or it does not know the runtime.
    pub async fn connect(address: Option<&str>, runtime: Option<&str>) -> Result<Self, ConnectError> {
        let address = address.unwrap_or(LOCAL);
        let failed = |source| ConnectError::Engine {
            address: address.to_owned(),
            source,
        };
        let docker = if address.starts_with("unix://") {
            Docker::connect_with_unix(address, CLIENT_TIMEOUT_S, API_DEFAULT_VERSION)
        } else if address.starts_with("tcp://") || address.starts_with("http://") {
            Docker::connect_with_http(address, CLIENT_TIMEOUT_S, API_DEFAULT_VERSION)
        } else {
            return Err(ConnectError::Address {
                address: address.to_owned(),
            });
        };
        let docker = docker.map_err(|error| failed(translate("connect", error)))?;
        // What the engine says of itself is the same in every version of its interface.
        let (docker, info, version) = tokio::try_join!(
            call("connect", QUICK, docker.clone().negotiate_version()),
            call("ask for its properties", QUICK, docker.info()),
            call("ask for its version", QUICK, docker.version()),
        )
        .map_err(failed)?;
        let facts = facts(&info, version, runtime);
        if let Some(runtime) = runtime.filter(|&runtime| !facts.runtimes.iter().any(|known| known == runtime))
        {
            return Err(ConnectError::Runtime {
                runtime: runtime.to_owned(),
                known: facts.runtimes,
            });
        }
        let info = EngineInfo {
            version: facts.version.clone(),
            cgroup_version: facts.cgroup_version,
            facts,
            cpus: info.ncpu.and_then(|n| u32::try_from(n).ok()).unwrap_or(1).max(1),
            memory_bytes: info.mem_total.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                starts: Semaphore::new(info.cpus as usize),
                docker,
                info,
                runtime: Runtime {
                    name: runtime.map(str::to_owned),
                    failure: OnceLock::new(),
                },
                uids: Uids::new(std::process::id()),
                live_runs: Mutex::default(),
                leftovers: Mutex::default(),
            }),
        })
    }

    /// What is known about the engine.
    pub fn info(&self) -> &EngineInfo {
        &self.inner.info
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// When it gives none.
    pub async fn ping(&self) -> Result<(), EngineError> {
        call("ask for a sign of life", QUICK, self.docker().ping())
            .await
            .map(drop)
    }

    pub(crate) fn docker(&self) -> &Docker {
        &self.inner.docker
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    pub(crate) fn uids(&self) -> &Uids {
        &self.inner.uids
    }

    /// As many containers start at once as there are processors; more only slow each other down.
    pub(crate) fn starts(&self) -> &Semaphore {
        &self.inner.starts
    }

    /// The runs of this process that must not be swept. False when this one was there before.
    pub(crate) fn begin_run(&self, id: &str) -> bool {
        locked(&self.inner.live_runs).insert(id.to_owned())
    }

    pub(crate) fn end_run(&self, id: &str) {
        locked(&self.inner.live_runs).remove(id);
    }

    pub(crate) fn is_live(&self, run: &str) -> bool {
        locked(&self.inner.live_runs).contains(run)
    }

    /// Hands what a run could not remove to the next sweep.
    pub(crate) fn leave(&self, leftovers: Leftovers) {
        locked(&self.inner.leftovers).push(leftovers);
    }

    pub(crate) fn take_leftovers(&self) -> Vec<Leftovers> {
        std::mem::take(&mut locked(&self.inner.leftovers))
    }
}

fn facts(info: &SystemInfo, version: SystemVersion, runtime: Option<&str>) -> EngineFacts {
    let options = info.security_options.clone().unwrap_or_default();
    let has = |name: &str| options.iter().any(|option| option.starts_with(name));
    let warnings = info.warnings.clone().unwrap_or_default();
    let runc = version.components.unwrap_or_default();
    let runc = runc.into_iter().find(|component| component.name == "runc");
    let mut runtimes: Vec<String> = info
        .runtimes
        .iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    runtimes.sort();
    EngineFacts {
        version: info.server_version.clone().unwrap_or_default(),
        runc: runc.map(|component| component.version),
        filters_calls: has("name=seccomp"),
        cgroup_version: match info.cgroup_version {
            Some(bollard::models::SystemInfoCgroupVersionEnum::_2) => 2,
            _ => 1,
        },
        root_is_root: !has("name=userns") && !has("name=rootless"),
        is_exposed: warnings
            .iter()
            .any(|warning| warning.contains("API is accessible on")),
        runtimes,
        runtime: runtime.map(str::to_owned),
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("info", &self.inner.info)
            .finish_non_exhaustive()
    }
}

/// Makes one call to the engine, within a time limit.
pub(crate) async fn call<T>(
    operation: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(|error| translate(operation, error)),
        Err(_) => Err(EngineError::TimedOut {
            operation,
            after: limit,
        }),
    }
}

/// Tells that a container was at work until now, for whoever looks for the time between: `ci/bench/overhead` does.
pub(crate) fn worked(what: &'static str, began: Instant) {
    let us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(target: "assay_sandbox::work", what, us, "a container worked");
}

/// Words the client's error in our terms.
pub(crate) fn translate(operation: &'static str, error: bollard::errors::Error) -> EngineError {
    use bollard::errors::Error;
    match error {
        Error::DockerResponseServerError { status_code, message } => EngineError::Refused {
            operation,
            status: status_code,
            message,
        },
        error => EngineError::Unreachable {
            operation,
            detail: with_causes(&error),
        },
    }
}

/// An error and its causes on one line; the outermost alone often says nothing.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn seconds(duration: &Duration) -> String {
    format!("{} s", duration.as_secs())
}

/// Locks a mutex whose content stays sound even when a thread panicked while it held it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_named() {
        for (address, message) in [
            ("http//x", "\"http//x\" is not the address of a container engine"),
            (
                "unix:///nonexistent/docker.sock",
                "no container engine at unix:///nonexistent/docker.sock",
            ),
        ] {
            let error = Engine::connect(Some(address), None)
                .await
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[tokio::test]
    async fn a_call_that_hangs_is_given_up() {
        let hang = std::future::pending::<Result<(), bollard::errors::Error>>();
        let error = call("do it", Duration::from_millis(5), hang).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot do it: the container engine took longer than 0 s"
        );
    }
}
