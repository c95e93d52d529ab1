//! A run: the owner of everything that one assessment creates in the engine.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::models::{self, MountType, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptions,
};
use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::{Agent, Death};
use crate::container::{Container, ContainerSpec, Labels, Mount, StartError};
use crate::engine::{Engine, EngineError, QUICK, SLOW, call, locked};
use crate::policy::{self, AGENT_DIRECTORY, Limits, Network, Shape, UidLease};
use crate::{CacheVolume, Egress, Image, Pod, VolumeSpec, Volumes};

/// The label with the run's id, which everything that a run creates carries.
pub(crate) const RUN_LABEL: &str = "assay.run";

/// The label with the time (Unix seconds) after which the next sweep removes it, whatever it does.
pub(crate) const EXPIRES_LABEL: &str = "assay.expires";

/// The label with the time (Unix seconds) at which something was created.
pub(crate) const CREATED_LABEL: &str = "assay.created";

/// The label with who is responsible for the run, see [`RunSpec::owner`].
pub(crate) const OWNER_LABEL: &str = "assay.owner";

/// The label with what a container is for.
const ROLE_LABEL: &str = "assay.role";

/// The pause before a failed removal is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// What a trusted container that runs nothing but our agent needs, besides what it holds in tmpfs.
pub(crate) const TRUSTED: Limits = Limits {
    memory_bytes: 64 << 20,
    cpus: 1.0,
    cpuset: None,
    pids: 32,
    open_files: 1024,
    file_bytes: 4 << 30,
    tmp_bytes: 1 << 20,
    shm_bytes: 1 << 20,
};

/// What a run needs to begin.
#[derive(Clone, Debug)]
pub struct RunSpec {
    /// Unique; lower-case letters, digits and hyphens, at most 40 characters.
    pub id: String,
    /// The worker that carries it out, by a name that no other worker on this engine has: what [`Engine::sweep_owned`] finds
    /// it by. None: nobody comes back for it.
    pub owner: Option<String>,
    /// When whatever is left of it may be swept, even by another process.
    pub expires_in: Duration,
    /// The image with our agent.
    pub drive: Image,
}

/// The owner of containers and volumes. Call [`Run::destroy`] at the end: dropping it can only leave the work to the
/// next sweep. Cheap to clone.
#[derive(Clone)]
pub struct Run {
    inner: Arc<RunInner>,
}

pub(crate) struct RunInner {
    pub(crate) engine: Engine,
    pub(crate) cancel: CancellationToken,
    /// What has the agent, mounted into every container. Set before the first one starts.
    agent: OnceLock<CacheVolume>,
    pub(crate) drive: Image,
    id: String,
    owner: Option<String>,
    expires: u64,
    next_number: AtomicU32,
    owned: Mutex<Owned>,
    starting: TaskTracker,
}

/// What is to be removed. Entries come before the call that creates the thing, and go after the one that removes it.
#[derive(Default)]
struct Owned {
    containers: BTreeMap<String, Owner>,
    volumes: BTreeSet<String>,
}

/// What belongs to a container until it is removed.
struct Owner {
    _uid: UidLease,
    agent: Option<Agent>,
}

/// What a run could not remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leftovers {
    pub(crate) containers: Vec<String>,
    pub(crate) volumes: Vec<String>,
}

/// Something could not be removed in time. The next sweep tries again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} containers and {} volumes of run {run} were not removed", .containers.len(), .volumes.len())]
pub struct TeardownError {
    /// The run.
    pub run: String,
    /// Names of containers.
    pub containers: Vec<String>,
    /// Names of volumes.
    pub volumes: Vec<String>,
}

impl Run {
    /// Begins a run. When `cancel` is cancelled every wait of the run ends; its removal does not.
    ///
    /// # Errors
    /// When the id is bad or in use, or the drive image cannot be used.
    pub async fn start(
        engine: &Engine,
        spec: RunSpec,
        cancel: CancellationToken,
    ) -> Result<Self, StartError> {
        let bad = |message: &str| StartError::BadSpec {
            role: spec.id.clone(),
            message: message.to_owned(),
        };
        if !is_plain_name(&spec.id) {
            return Err(bad(
                "a run's id is made of lower-case letters, digits and hyphens, at most 40",
            ));
        }
        if !engine.begin_run(&spec.id) {
            return Err(bad("a run with this id is under way"));
        }
        let run = Self {
            inner: Arc::new(RunInner {
                engine: engine.clone(),
                // The run's own end cancels what is below it, never the caller's token.
                cancel: cancel.child_token(),
                agent: OnceLock::new(),
                drive: spec.drive,
                expires: unix_now() + spec.expires_in.as_secs(),
                id: spec.id,
                owner: spec.owner,
                next_number: AtomicU32::new(1),
                owned: Mutex::default(),
                starting: TaskTracker::new(),
            }),
        };
        let inner = Arc::clone(&run.inner);
        let filled = Arc::clone(&inner).in_background(inner.find_agent());
        tokio::select! {
            biased;
            () = run.inner.cancel.cancelled() => Err(StartError::Cancelled),
            filled = filled => filled.unwrap_or(Err(StartError::Cancelled)),
        }?;
        Ok(run)
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Creates volumes, and the trusted container that keeps them mounted and gives access to their files.
    ///
    /// # Errors
    /// When the engine fails or the run is cancelled.
    pub async fn volumes(&self, specs: &[VolumeSpec]) -> Result<Volumes, StartError> {
        Volumes::create(self, specs).await
    }

    /// Creates a network with nothing but loopback, for containers to live in.
    ///
    /// # Errors
    /// When the engine fails or the run is cancelled.
    pub async fn pod(&self) -> Result<Pod, StartError> {
        Pod::create(self).await
    }

    /// Creates a pod whose containers can reach what an egress proxy allows, by way of [`Pod::EGRESS_PROXY`].
    ///
    /// # Errors
    /// When the engine fails or the run is cancelled.
    pub async fn pod_with_egress(&self, egress: &Egress) -> Result<Pod, StartError> {
        Pod::create_with_egress(self, egress).await
    }

    /// Starts a container with a network of its own, in which there is nothing but loopback. Half the time of a pod's first
    /// container, which needs two.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn container(&self, spec: ContainerSpec) -> Result<Container, StartError> {
        Container::start(self, spec, Network::Own).await
    }

    /// Removes everything, containers first. Not affected by cancellation.
    ///
    /// # Errors
    /// With what is left after `limit`; the next sweep tries again.
    pub async fn destroy(&self, limit: Duration) -> Result<(), TeardownError> {
        let inner = &self.inner;
        // Nothing new begins, and what was about to be created is created, so that it can be removed.
        inner.cancel.cancel();
        inner.starting.close();
        let work = async {
            inner.starting.wait().await;
            loop {
                let Leftovers { containers, volumes } = inner.leftovers();
                join_all(containers.iter().map(|name| inner.remove_container(name))).await;
                join_all(volumes.iter().map(|name| inner.remove_volume(name))).await;
                if inner.leftovers().is_empty() {
                    return;
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        // On a time-out the leftovers tell what was not done.
        tokio::time::timeout(limit, work).await.ok();
        let leftovers = inner.leftovers();
        if leftovers.is_empty() {
            inner.engine.end_run(&inner.id);
            return Ok(());
        }
        let Leftovers { containers, volumes } = leftovers;
        Err(TeardownError {
            run: inner.id.clone(),
            containers,
            volumes,
        })
    }

    pub(crate) fn inner(&self) -> &Arc<RunInner> {
        &self.inner
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("id", &self.inner.id)
            .finish_non_exhaustive()
    }
}

impl RunInner {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Runs to its end whoever goes away, and [`Run::destroy`] waits for it.
    pub(crate) fn in_background<T: Send + 'static>(
        self: Arc<Self>,
        work: impl Future<Output = Result<T, StartError>> + Send + 'static,
    ) -> JoinHandle<Result<T, StartError>> {
        if self.starting.is_closed() {
            return tokio::spawn(async { Err(StartError::Cancelled) });
        }
        self.starting.spawn(work)
    }

    /// What the end of the run waits for.
    pub(crate) fn tracker(&self) -> &TaskTracker {
        &self.starting
    }

    pub(crate) fn labels(&self, role: &str) -> Labels {
        let mut labels = self.volume_labels();
        labels.insert(ROLE_LABEL.to_owned(), role.to_owned());
        labels
    }

    fn volume_labels(&self) -> Labels {
        let mut labels = HashMap::from([
            (RUN_LABEL.to_owned(), self.id.clone()),
            (CREATED_LABEL.to_owned(), unix_now().to_string()),
            (EXPIRES_LABEL.to_owned(), self.expires.to_string()),
        ]);
        if let Some(owner) = &self.owner {
            labels.insert(OWNER_LABEL.to_owned(), owner.clone());
        }
        labels
    }

    pub(crate) fn new_name(&self, role: &str) -> String {
        format!(
            "assay-{}-{}-{role}",
            self.id,
            self.next_number.fetch_add(1, Ordering::Relaxed)
        )
    }

    pub(crate) fn register_container(&self, name: &str, uid: UidLease) {
        locked(&self.owned).containers.insert(
            name.to_owned(),
            Owner {
                _uid: uid,
                agent: None,
            },
        );
    }

    pub(crate) fn register_agent(&self, name: &str, agent: Agent) {
        if let Some(owner) = locked(&self.owned).containers.get_mut(name) {
            owner.agent = Some(agent);
        }
    }

    pub(crate) fn register_volume(&self, name: &str) {
        locked(&self.owned).volumes.insert(name.to_owned());
    }

    /// Forgets a volume that outlives the run.
    pub(crate) fn release_volume(&self, name: &str) {
        locked(&self.owned).volumes.remove(name);
    }

    /// Creates a volume with these options of the `local` driver.
    pub(crate) async fn create_volume(
        &self,
        name: &str,
        options: &[(&str, String)],
    ) -> Result<(), EngineError> {
        self.register_volume(name);
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            driver: Some("local".to_owned()),
            driver_opts: Some(
                options
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), value.clone()))
                    .collect(),
            ),
            labels: Some(self.volume_labels()),
            ..VolumeCreateRequest::default()
        };
        call(
            "create a volume",
            QUICK,
            self.engine.docker().create_volume(request),
        )
        .await
        .map(drop)
    }

    pub(crate) async fn remove_container(&self, name: &str) -> Result<(), EngineError> {
        let agent = locked(&self.owned)
            .containers
            .get(name)
            .and_then(|owner| owner.agent.clone());
        if let Some(agent) = agent {
            agent.hang_up(Death::Removed);
        }
        remove_container(&self.engine, name).await?;
        locked(&self.owned).containers.remove(name);
        Ok(())
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        remove_volume(&self.engine, name).await?;
        locked(&self.owned).volumes.remove(name);
        Ok(())
    }

    fn leftovers(&self) -> Leftovers {
        let owned = locked(&self.owned);
        Leftovers {
            containers: owned.containers.keys().cloned().collect(),
            volumes: owned.volumes.iter().cloned().collect(),
        }
    }

    /// The mount of the agent. None: it has not been looked for, so that no container can start yet.
    pub(crate) fn agent(&self) -> Option<Mount> {
        self.agent.get().map(Mount::agent)
    }

    /// Finds the volume with this image's agent, and fills one if there is none.
    async fn find_agent(self: Arc<Self>) -> Result<(), StartError> {
        let key = format!("agent {}", self.drive.id);
        let agent = match self.engine.cached(&key).await? {
            Some(agent) => agent,
            None => {
                let filling = self.begin_cache(&key).await?;
                self.fill_with_agent(&filling).await?;
                self.end_cache(&key, filling).await?
            }
        };
        self.agent.get_or_init(|| agent);
        Ok(())
    }

    /// Puts the agent into a volume: the engine copies what the image has at the mount point into an empty volume when a
    /// container is created.
    async fn fill_with_agent(self: &Arc<Self>, volume: &CacheVolume) -> Result<(), StartError> {
        let uid = self.engine.uids().lease().ok_or(StartError::NoUserLeft)?;
        let mount = models::Mount {
            typ: Some(MountType::VOLUME),
            source: Some(volume.docker_name().to_owned()),
            target: Some(AGENT_DIRECTORY.to_owned()),
            ..models::Mount::default()
        };
        let body = policy::container(Shape {
            image: &self.drive.id,
            uid: uid.uid(),
            env: &BTreeMap::new(),
            mounts: vec![mount],
            tmpfs: &[],
            limits: &TRUSTED,
            network: Network::Own,
            labels: self.labels("fill"),
            runtime: None,
        });
        let name = self.new_name("fill");
        self.register_container(&name, uid);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let docker = self.engine.docker();
        match call(
            "create a container",
            SLOW,
            docker.create_container(Some(options), body),
        )
        .await
        {
            Ok(_) => {}
            Err(error) if error.is_missing() => {
                return Err(StartError::ImageMissing {
                    image: self.drive.name.clone(),
                });
            }
            Err(error) => return Err(error.into()),
        }
        self.remove_container(&name).await?;
        Ok(())
    }
}

impl Drop for RunInner {
    fn drop(&mut self) {
        let leftovers = self.leftovers();
        if !leftovers.is_empty() {
            tracing::error!(
                run = self.id,
                ?leftovers,
                "a run was not destroyed; the next sweep removes what it left"
            );
            self.engine.leave(leftovers);
        }
        self.engine.end_run(&self.id);
    }
}

impl Leftovers {
    pub(crate) fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.volumes.is_empty()
    }
}

/// Removes a container by force. That there is none is as good.
pub(crate) async fn remove_container(engine: &Engine, name: &str) -> Result<(), EngineError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    gone(
        call(
            "remove a container",
            SLOW,
            engine.docker().remove_container(name, Some(options)),
        )
        .await,
    )
}

/// Removes a volume that nothing uses. That there is none is as good.
pub(crate) async fn remove_volume(engine: &Engine, name: &str) -> Result<(), EngineError> {
    let remove = engine.docker().remove_volume(name, None::<RemoveVolumeOptions>);
    gone(call("remove a volume", SLOW, remove).await)
}

fn gone(removed: Result<(), EngineError>) -> Result<(), EngineError> {
    match removed {
        Err(error) if error.is_missing() => Ok(()),
        removed => removed,
    }
}

/// Lower-case letters, digits and hyphens, at most 40.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=40).contains(&name.len()) && name.bytes().all(plain)
}

pub(crate) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
