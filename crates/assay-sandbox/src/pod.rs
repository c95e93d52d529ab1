//! A pod: one network with nothing but loopback, and the containers in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use assay_core::agent::{Answer, Ask, Listener, Probe, Target, Wait};

use crate::Egress;
use crate::agent::AskError;
use crate::command::Command;
use crate::container::{Container, ContainerSpec, Mount, StartError};
use crate::engine::{EngineError, locked, worked};
use crate::files::unexpected;
use crate::policy::{AGENT, Network};
use crate::run::{Run, TRUSTED};

/// The address in a pod at which its egress proxy listens.
const EGRESS_ADDRESS: &str = "127.0.0.1:3128";

/// Where the forwarder has the directory with the proxy's socket.
const EGRESS_DIRECTORY: &str = "/egress";

/// How long the forwarder may take to listen.
const FORWARDER: Duration = Duration::from_secs(10);

/// Between two looks at something that is not ready yet.
const FORWARDER_INTERVAL: Duration = Duration::from_millis(20);

/// What the agent may need past the deadline of a wait.
const SLACK: Duration = Duration::from_secs(15);

/// A network namespace, held by a trusted container that runs nothing but our agent. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pod {
    run: Run,
    holder: Container,
    forwarder: Option<Container>,
    /// All but the holder.
    joined: Arc<Mutex<Vec<Container>>>,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waited {
    /// What the last attempt found: [`Probe::Ready`], or what was wrong when the deadline passed.
    pub last: Probe,
    /// Attempts made.
    pub attempts: u64,
    /// From the first attempt to the end of the last.
    pub elapsed: Duration,
}

impl Waited {
    /// Whether what was waited for is there.
    pub fn is_ready(&self) -> bool {
        self.last == Probe::Ready
    }
}

impl Pod {
    /// What `HTTP_PROXY` and `HTTPS_PROXY` should be in containers of a pod with egress.
    pub const EGRESS_PROXY: &str = "http://127.0.0.1:3128";

    pub(crate) async fn create(run: &Run) -> Result<Self, StartError> {
        let holder = run.container(trusted(run, "pod", vec![])).await?;
        Ok(Self {
            run: run.clone(),
            holder,
            forwarder: None,
            joined: Arc::default(),
        })
    }

    pub(crate) async fn create_with_egress(run: &Run, egress: &Egress) -> Result<Self, StartError> {
        let mut pod = Self::create(run).await?;
        let mount = Mount::egress(egress.directory().to_owned(), EGRESS_DIRECTORY);
        let forwarder = pod.container(trusted(run, "egress", vec![mount])).await?;
        let socket = format!("{EGRESS_DIRECTORY}/{}", Egress::SOCKET);
        let forward = [AGENT, "forward", "--listen", EGRESS_ADDRESS, "--to", &socket];
        let lost = |error| match error {
            AskError::Lost(death) => StartError::Lost(death),
            AskError::Cancelled => StartError::Cancelled,
            AskError::Refused(error) => StartError::BadSpec {
                role: "egress".to_owned(),
                message: error.to_string(),
            },
        };
        forwarder.spawn(Command::new(forward)).await.map_err(lost)?;
        let listens = Target::Tcp { port: 3128 };
        let waited = pod
            .wait(listens, FORWARDER, FORWARDER_INTERVAL)
            .await
            .map_err(lost)?;
        if !waited.is_ready() {
            let message = format!("the forwarder does not listen: {:?}", waited.last);
            return Err(StartError::BadSpec {
                role: "egress".to_owned(),
                message,
            });
        }
        pod.forwarder = Some(forwarder);
        Ok(pod)
    }

    /// Starts a container in the pod.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn container(&self, spec: ContainerSpec) -> Result<Container, StartError> {
        let network = Network::Of(self.holder.id().to_owned());
        let container = Container::start(&self.run, spec, network).await?;
        locked(&self.joined).push(container.clone());
        Ok(container)
    }

    /// Waits until something answers on a port of the pod, asking from the trusted container. Not being ready at the
    /// deadline is no error. Safe to cancel: then nothing asks any more.
    ///
    /// # Errors
    /// When the pod is gone or the run cancelled.
    pub async fn wait(
        &self,
        target: Target,
        deadline: Duration,
        interval: Duration,
    ) -> Result<Waited, AskError> {
        let agent = self.holder.agent();
        let wait = Wait {
            target,
            deadline_ms: millis(deadline),
            interval_ms: millis(interval),
        };
        let began = Instant::now();
        let limit = deadline.saturating_add(SLACK);
        let waited = agent
            .ask_abandonable("wait for a port", limit, Ask::Wait(wait))
            .await;
        worked("wait", began);
        match waited? {
            Answer::Waited(waited) => Ok(Waited {
                last: waited.last,
                attempts: waited.attempts,
                elapsed: Duration::from_millis(waited.elapsed_ms),
            }),
            other => Err(AskError::Lost(unexpected(agent, &other).await)),
        }
    }

    /// Who listens on these ports of the pod: for each port and user one of their sockets.
    ///
    /// # Errors
    /// When the pod is gone or the run cancelled.
    pub async fn listeners(&self, ports: &[u16]) -> Result<Vec<Listener>, AskError> {
        let agent = self.holder.agent();
        let ports = ports.to_vec();
        match agent
            .ask("list listening sockets", Ask::Listeners { ports })
            .await?
        {
            Answer::Listeners(listeners) => Ok(listeners),
            other => Err(AskError::Lost(unexpected(agent, &other).await)),
        }
    }

    /// The user of the forwarder, which listens on the proxy's port in a pod with egress.
    pub fn forwarder_uid(&self) -> Option<u32> {
        self.forwarder.as_ref().map(Container::uid)
    }

    /// Removes the pod with all its containers, without being waited for except by the end of the run: one after the other,
    /// so that whatever starts next has cores left.
    pub fn discard(&self) {
        let mut containers = std::mem::take(&mut *locked(&self.joined));
        containers.push(self.holder.clone());
        Container::discard_all(containers);
    }

    /// Removes the pod with all its containers.
    ///
    /// # Errors
    /// When the engine fails; the end of the run tries again.
    pub async fn remove(&self) -> Result<(), EngineError> {
        let joined = std::mem::take(&mut *locked(&self.joined));
        for container in joined {
            container.remove().await?;
        }
        self.holder.remove().await
    }
}

fn trusted(run: &Run, role: &str, mounts: Vec<Mount>) -> ContainerSpec {
    ContainerSpec {
        role: role.to_owned(),
        image: run.inner().drive.clone(),
        env: BTreeMap::new(),
        mounts,
        tmpfs: vec![],
        limits: TRUSTED,
        is_foreign: false,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
