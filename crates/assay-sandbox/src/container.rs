//! A container: created, attached, started and greeted; then asked for things until it is removed.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use assay_core::agent::{Ask, Copied, Place, TreeCaps};
use bollard::models::{self, MountType, MountVolumeOptions};
use bollard::query_parameters::{AttachContainerOptionsBuilder, CreateContainerOptionsBuilder};
use futures_util::Stream;

use crate::Image;
use crate::agent::{Agent, AskError, Death};
use crate::cache::CacheVolume;
use crate::command::{Command, Exited, Process};
use crate::control::ControlSocket;
use crate::engine::{Engine, EngineError, QUICK, SLOW, call, worked};
use crate::files::{self, TreeEntry, Written};
use crate::policy::{self, AGENT_DIRECTORY, Limits, Network, Shape, Tmpfs};
use crate::run::{Run, RunInner};
use crate::volume::Volume;

/// What is special about one container.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// What it is for, in lower-case letters, digits and hyphens; part of its name.
    pub role: String,
    /// What it is made of.
    pub image: Image,
    /// Environment, on top of the image's. Seen by everyone who may talk to the engine: secrets belong in a
    /// [`Command`]'s.
    pub env: BTreeMap<String, String>,
    /// Volumes. No two may lie in each other.
    pub mounts: Vec<Mount>,
    /// File systems of its own, besides `/tmp`.
    pub tmpfs: Vec<Tmpfs>,
    /// What it may use.
    pub limits: Limits,
    /// Whether a candidate's code runs in it. If so it runs under the engine's `runtime`, where there is one.
    pub is_foreign: bool,
}

/// Something mounted into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    source: Source,
    target: String,
    read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Volume(String),
    /// A volume that may be pruned at any time, so that its presence is checked.
    Cache(String),
    /// The same while it is filled. It takes on the mode of the image's directory at the mount point.
    NewCache(String),
    /// The only directory of the host that is ever mounted: it holds the socket of an egress proxy.
    Egress(PathBuf),
}

impl Mount {
    /// A volume that the container can only read.
    pub fn read_only(volume: &Volume, target: &str) -> Self {
        Self {
            source: Source::Volume(volume.docker_name().to_owned()),
            target: target.to_owned(),
            read_only: true,
        }
    }

    /// A volume that the container can change.
    pub fn writable(volume: &Volume, target: &str) -> Self {
        Self {
            read_only: false,
            ..Self::read_only(volume, target)
        }
    }

    /// A published cache, which containers can only read.
    pub fn cached(cache: &CacheVolume, target: &str) -> Self {
        Self {
            source: Source::Cache(cache.docker_name().to_owned()),
            target: target.to_owned(),
            read_only: true,
        }
    }

    /// A cache that is being filled.
    pub(crate) fn filling(cache: &CacheVolume, target: &str) -> Self {
        Self {
            source: Source::NewCache(cache.docker_name().to_owned()),
            target: target.to_owned(),
            read_only: false,
        }
    }

    /// The directory with the socket of an egress proxy.
    pub(crate) fn egress(directory: PathBuf, target: &str) -> Self {
        Self {
            source: Source::Egress(directory),
            target: target.to_owned(),
            read_only: true,
        }
    }

    /// The volume with the agent.
    pub(crate) fn agent(cache: &CacheVolume) -> Self {
        Self::cached(cache, AGENT_DIRECTORY)
    }

    fn to_docker(&self) -> models::Mount {
        let (typ, source, volume_options) = match &self.source {
            Source::Volume(name) | Source::Cache(name) | Source::NewCache(name) => {
                // What an image has at the mount point must not leak into a shared volume.
                let no_copy = !matches!(self.source, Source::NewCache(_));
                let options = MountVolumeOptions {
                    no_copy: Some(no_copy),
                    ..MountVolumeOptions::default()
                };
                (MountType::VOLUME, name.clone(), Some(options))
            }
            Source::Egress(directory) => (MountType::BIND, directory.display().to_string(), None),
        };
        models::Mount {
            typ: Some(typ),
            source: Some(source),
            target: Some(self.target.clone()),
            read_only: Some(self.read_only),
            volume_options,
            ..models::Mount::default()
        }
    }
}

/// Why a container could not be started.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    /// The specification makes no sense: our fault or the exercise's.
    #[error("the container {role:?} is badly specified: {message}")]
    BadSpec {
        /// Of the container.
        role: String,
        /// What is wrong.
        message: String,
    },
    /// The image is not there (any more).
    #[error("the image {image} is missing")]
    ImageMissing {
        /// Name or id.
        image: String,
    },
    /// A cache was pruned between its look-up and its use. Trying again helps.
    #[error("the cache volume {volume} is gone")]
    CacheGone {
        /// Its name.
        volume: String,
    },
    /// All numeric users are taken.
    #[error("all numeric users are taken by live containers")]
    NoUserLeft,
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It started but did not get as far as to take requests.
    #[error("the container did not come up: {0}")]
    Lost(Death),
    /// The run was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// A live container. Cheap to clone; dropping it does not remove it, ending its run does.
#[derive(Clone)]
pub struct Container {
    inner: Arc<Inner>,
}

struct Inner {
    run: Arc<RunInner>,
    name: String,
    id: String,
    uid: u32,
    socket_owner: u32,
    agent: Agent,
}

impl Container {
    /// Starts a container. The work goes on when the caller goes away, so that nothing is created unseen.
    pub(crate) async fn start(run: &Run, spec: ContainerSpec, network: Network) -> Result<Self, StartError> {
        check(&spec)?;
        let cancel = run.inner().cancel.clone();
        let run = Arc::clone(run.inner());
        let started = Arc::clone(&run).in_background(Self::create(run, spec, network));
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(StartError::Cancelled),
            // The task ends early only with its runtime.
            started = started => started.unwrap_or(Err(StartError::Cancelled)),
        }
    }

    async fn create(run: Arc<RunInner>, spec: ContainerSpec, network: Network) -> Result<Self, StartError> {
        let engine = run.engine.clone();
        let uid = engine.uids().lease().ok_or(StartError::NoUserLeft)?;
        let number = uid.uid();
        let name = run.new_name(&spec.role);
        run.register_container(&name, uid);
        let agent = run.agent().ok_or_else(|| StartError::BadSpec {
            role: spec.role.clone(),
            message: "its run has not begun".to_owned(),
        })?;
        let mounts: Vec<Mount> = std::iter::once(agent)
            .chain(spec.mounts.iter().cloned())
            .collect();
        let runtime = engine.runtime().name.as_deref().filter(|_| spec.is_foreign);
        let socket_owner = runtime.map_or(number, |_| policy::SENTRY_USER);
        let body = policy::container(Shape {
            image: &spec.image.id,
            uid: number,
            env: &spec.env,
            mounts: mounts.iter().map(Mount::to_docker).collect(),
            tmpfs: &spec.tmpfs,
            limits: &spec.limits,
            network,
            labels: run.labels(&spec.role),
            runtime,
        });

        let began = Instant::now();
        // A cancelled run waits for no turn.
        let turn = tokio::select! {
            biased;
            () = run.cancel.cancelled() => return Err(StartError::Cancelled),
            turn = engine.starts().acquire() => turn,
        };
        let docker = engine.docker();
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let created = call(
            "create a container",
            SLOW,
            docker.create_container(Some(options), body),
        )
        .await;
        let id = match created {
            Ok(created) => created.id,
            Err(error) if error.is_missing() => {
                return Err(StartError::ImageMissing {
                    image: spec.image.name.clone(),
                });
            }
            Err(error) => return Err(error.into()),
        };
        check_caches(&run, &mounts).await?;
        let options = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .build();
        let streams = call(
            "attach to a container",
            QUICK,
            docker.attach_container(&id, Some(options)),
        )
        .await?;
        call("start a container", SLOW, docker.start_container(&id, None)).await?;
        let agent = Agent::attach(&engine, id.clone(), streams, run.cancel.clone());
        run.register_agent(&name, agent.clone());
        drop(turn);
        agent.greeted().await.map_err(StartError::Lost)?;
        policy::limit_socket_memory(&engine, &id);
        worked("start", began);
        Ok(Self {
            inner: Arc::new(Inner {
                run,
                name,
                id,
                uid: number,
                socket_owner,
                agent,
            }),
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.run.engine
    }

    /// Its name in the engine.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its id in the engine.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The numeric user that everything in it runs as.
    pub fn uid(&self) -> u32 {
        self.inner.uid
    }

    /// The user that others in its pod see behind its sockets: its own, or for all containers under gVisor the same one, which
    /// no other container has.
    pub fn socket_owner(&self) -> u32 {
        self.inner.socket_owner
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// [`AskError::Refused`] when it cannot be started. How a command ends is never an error.
    pub async fn exec(&self, command: Command) -> Result<Exited, AskError> {
        let began = Instant::now();
        let exited = self.spawn(command).await?.exited().await;
        worked("command", began);
        exited
    }

    /// Starts a command.
    ///
    /// # Errors
    /// [`AskError::Refused`] when it cannot be started.
    pub async fn spawn(&self, command: Command) -> Result<Process, AskError> {
        Process::start(&self.inner.agent, command).await
    }

    /// Kills every process of the container but the agent, and empties these directories. Afterwards the container is
    /// like new, but for its volumes.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub async fn reset(&self, wipe: &[&str]) -> Result<(), AskError> {
        let wipe = wipe.iter().map(|path| (*path).to_owned()).collect();
        self.inner
            .agent
            .ask("reset a container", Ask::Reset { wipe })
            .await
            .map(drop)
    }

    /// Writes a tree below `root`, a trusted directory such as a mount point. Ends with the first entry refused;
    /// entries that exist already are refused.
    ///
    /// # Errors
    /// [`AskError::Refused`] with the entry's path, for instance when the volume is full.
    pub async fn write_tree(
        &self,
        root: &str,
        entries: impl Stream<Item = TreeEntry>,
    ) -> Result<Written, AskError> {
        let began = Instant::now();
        let written = files::write_tree(&self.inner.agent, root, entries).await;
        worked("files", began);
        written
    }

    /// Reads a regular file below `root`, following no link.
    ///
    /// # Errors
    /// [`AskError::Refused`] when it is missing, larger than `max_bytes`, or no regular file.
    pub async fn read_file(&self, root: &str, path: &str, max_bytes: u64) -> Result<Vec<u8>, AskError> {
        files::read_file(&self.inner.agent, place(root, path), max_bytes).await
    }

    /// Copies a tree within the container; both places are (root, relative path).
    ///
    /// # Errors
    /// [`AskError::Refused`] when it is larger than the caps, or does not fit.
    pub async fn copy_tree(
        &self,
        from: (&str, &str),
        to: (&str, &str),
        caps: TreeCaps,
    ) -> Result<Copied, AskError> {
        files::copy_tree(&self.inner.agent, place(from.0, from.1), place(to.0, to.1), caps).await
    }

    /// Removes a file or a tree below `root`; an empty path empties the root.
    ///
    /// # Errors
    /// When something cannot be removed. That there is none is no error.
    pub async fn remove_tree(&self, root: &str, path: &str) -> Result<(), AskError> {
        files::remove(&self.inner.agent, place(root, path)).await
    }

    /// Opens a control socket at an absolute path.
    ///
    /// # Errors
    /// When it cannot be created.
    pub async fn control(&self, path: &str) -> Result<ControlSocket, AskError> {
        ControlSocket::open(&self.inner.agent, path).await
    }

    /// Waits until the container is gone, and says why.
    pub async fn death(&self) -> Death {
        self.inner.agent.death().await
    }

    /// Removes the container now and not only at the end of its run.
    ///
    /// # Errors
    /// When the engine fails; the end of the run tries again.
    pub async fn remove(&self) -> Result<(), EngineError> {
        self.inner.run.remove_container(&self.inner.name).await
    }

    /// The same without being waited for, except by the end of the run.
    pub fn discard(&self) {
        Self::discard_all(vec![self.clone()]);
    }

    /// The same for several of one run, one after the other.
    pub(crate) fn discard_all(containers: Vec<Self>) {
        let Some(run) = containers.first().map(|first| Arc::clone(&first.inner.run)) else {
            return;
        };
        run.tracker().spawn(async move {
            for container in containers {
                if let Err(error) = container.remove().await {
                    tracing::debug!(%error, "{container:?} is left to the end of its run");
                }
            }
        });
    }

    pub(crate) fn agent(&self) -> &Agent {
        &self.inner.agent
    }
}

impl std::fmt::Debug for Container {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Container")
            .field("name", &self.inner.name)
            .field("uid", &self.inner.uid)
            .finish()
    }
}

pub(crate) fn place(root: &str, path: &str) -> Place {
    Place {
        root: root.to_owned(),
        path: path.to_owned(),
    }
}

fn check(spec: &ContainerSpec) -> Result<(), StartError> {
    let bad = |message: String| {
        Err(StartError::BadSpec {
            role: spec.role.clone(),
            message,
        })
    };
    if !crate::run::is_plain_name(&spec.role) {
        return bad("a role is made of lower-case letters, digits and hyphens, at most 40".to_owned());
    }
    let mut targets = vec![AGENT_DIRECTORY, "/tmp"];
    targets.extend(spec.mounts.iter().map(|mount| mount.target.as_str()));
    targets.extend(spec.tmpfs.iter().map(|tmpfs| tmpfs.path.as_str()));
    for (i, target) in targets.iter().enumerate() {
        let plain = target.starts_with('/')
            && target[1..]
                .split('/')
                .all(|component| !matches!(component, "" | "." | ".."));
        if !plain {
            return bad(format!("{target:?} is not a plain absolute path"));
        }
        // Below something that a candidate can write, a mount point could be a trap.
        let nested = |other: &str| {
            target
                .strip_prefix(other)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some((_, other)) = targets
            .iter()
            .enumerate()
            .find(|(j, other)| *j != i && nested(other))
        {
            return bad(format!(
                "the mount points {other:?} and {target:?} lie in each other"
            ));
        }
    }
    Ok(())
}

/// The engine makes up an empty volume where one is missing. A cache that was pruned meanwhile must not look empty.
async fn check_caches(run: &RunInner, mounts: &[Mount]) -> Result<(), StartError> {
    for mount in mounts {
        if let Source::Cache(name) | Source::NewCache(name) = &mount.source {
            let volume = call(
                "inspect a volume",
                QUICK,
                run.engine.docker().inspect_volume(name),
            )
            .await?;
            if !crate::cache::is_ours(&volume.labels) {
                run.register_volume(name);
                return Err(StartError::CacheGone { volume: name.clone() });
            }
        }
    }
    Ok(())
}

/// The labels of everything that a run creates.
pub(crate) type Labels = HashMap<String, String>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_plain_and_apart() {
        let spec = |targets: &[&str]| ContainerSpec {
            role: "app".to_owned(),
            image: Image {
                name: "x".to_owned(),
                id: "sha256:0".to_owned(),
                tag: "x".to_owned(),
            },
            env: BTreeMap::new(),
            mounts: targets
                .iter()
                .map(|target| Mount {
                    source: Source::Volume("v".to_owned()),
                    target: (*target).to_owned(),
                    read_only: true,
                })
                .collect(),
            tmpfs: vec![],
            limits: Limits {
                memory_bytes: 1,
                cpus: 1.0,
                cpuset: None,
                pids: 1,
                open_files: 1,
                file_bytes: 1,
                tmp_bytes: 1,
                shm_bytes: 1,
            },
            is_foreign: false,
        };
        assert!(check(&spec(&["/src", "/srcs", "/work"])).is_ok());
        for bad in [
            &["src"][..],
            &["/src", "/src"],
            &["/src", "/src/x"],
            &["/a/../b"],
            &["/a//b"],
            &["/"],
            &["/tmp/x"],
            &["/assay/x"],
            &["/a/"],
        ] {
            assert!(
                matches!(check(&spec(bad)), Err(StartError::BadSpec { .. })),
                "{bad:?}"
            );
        }
    }
}
