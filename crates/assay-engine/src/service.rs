//! The running service: its databases first, then itself, ready and attested before anything may talk to it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use assay_core::evidence::LogExcerpt;
use assay_core::exercise::{CheckKind, Limits};
use assay_core::fault::Stop;
use assay_core::toolchain::{Service, Toolchain};
use assay_git::solution::Files;
use assay_sandbox::{AskError, Command, Container, ExitReason, Mount, Pod, Process, Target, Tmpfs};

use crate::context::{self, Built, Context, WORK};
use crate::faults::{self, Role};

/// Memory of a database or cache.
const SERVICE_MEMORY_MIB: u64 = 768;
/// Room for its data.
const DATA_BYTES: u64 = 1 << 30;
/// Output of a service that is kept.
const LOG_BYTES: u64 = 128 << 10;
/// How often readiness is asked for.
const POLL: Duration = Duration::from_millis(25);
/// How long a database may take to end.
const SERVICE_GRACE: Duration = Duration::from_secs(15);

/// Which cores the service and its databases may use; the generator gets the others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cores(pub(crate) Option<String>);

/// What is served, and from what.
pub(crate) struct Program<'a> {
    /// Its start command and environment.
    pub(crate) toolchain: &'a Toolchain,
    /// Name of the toolchain's image.
    pub(crate) image: &'a str,
    /// Where its built tree comes from.
    pub(crate) mounts: Vec<Mount>,
    /// Files that are written to the working directory and built there before it starts. None: they are mounted.
    pub(crate) files: Option<&'a Files>,
    /// What it may use.
    pub(crate) limits: Limits,
    /// Password that closes the databases to all others in the pod. None: they keep the one that everybody knows.
    pub(crate) password: Option<String>,
}

impl<'a> Program<'a> {
    /// The candidate's service.
    pub(crate) fn candidate(context: &'a Context<'_>, kind: CheckKind, built: &Built) -> Result<Self, Stop> {
        Ok(Self {
            toolchain: &context.toolchain,
            image: &context.toolchain_image,
            mounts: context::built_mounts(context, built, WORK)?,
            files: None,
            limits: context.limits(kind),
            password: None,
        })
    }
}

/// A pod with databases and a service, the candidate's unless it says otherwise, all ready.
pub(crate) struct Running<'a> {
    context: &'a Context<'a>,
    memory_bytes: u64,
    pub(crate) pod: Pod,
    pub(crate) app: Part,
    pub(crate) services: BTreeMap<String, Part>,
}

/// A pod with databases, all ready.
pub(crate) struct Backing {
    pub(crate) pod: Pod,
    services: BTreeMap<String, Part>,
}

impl Backing {
    /// Ends it all, without being waited for.
    pub(crate) fn discard(self) {
        self.pod.discard();
    }
}

/// One process of ours or theirs, restartable.
pub(crate) struct Part {
    container: Container,
    command: Command,
    process: Option<Process>,
}

/// How long the two halves of a restart took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Restarted {
    pub(crate) stopped_ms: u64,
    pub(crate) ready_ms: u64,
}

impl<'a> Running<'a> {
    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// The candidate's fault when their service does not become ready; ours when a database does not.
    pub(crate) async fn start(
        context: &'a Context<'a>,
        kind: CheckKind,
        built: &Built,
        cores: &Cores,
    ) -> Result<Self, Stop> {
        Self::start_program(context, Program::candidate(context, kind, built)?, cores).await
    }

    /// Starts the candidate's service beside databases that are ready, and waits until it is ready, too.
    ///
    /// # Errors
    /// As when everything is started.
    pub(crate) async fn start_beside(
        context: &'a Context<'a>,
        backing: Backing,
        kind: CheckKind,
        built: &Built,
    ) -> Result<Self, Stop> {
        let program = Program::candidate(context, kind, built)?;
        Self::start_program_beside(context, backing, program, &Cores::default()).await
    }

    /// The same with another program.
    ///
    /// # Errors
    /// As if it were the candidate's.
    pub(crate) async fn start_program(
        context: &'a Context<'a>,
        program: Program<'_>,
        cores: &Cores,
    ) -> Result<Self, Stop> {
        let backing = Self::services_only(context, cores).await?;
        Self::start_program_beside(context, backing, program, cores).await
    }

    async fn start_program_beside(
        context: &'a Context<'a>,
        Backing { pod, services }: Backing,
        program: Program<'_>,
        cores: &Cores,
    ) -> Result<Self, Stop> {
        let memory_bytes = program.limits.memory.0;
        if let Some(password) = &program.password {
            lock(context, &services, password).await?;
        }
        let app = make_app(context, &pod, program, cores).await?;
        let mut running = Self {
            context,
            memory_bytes,
            pod,
            app,
            services,
        };
        running.attest(false).await?;
        running.spawn_app().await?;
        running.wait_for_app().await?;
        running.attest(true).await?;
        Ok(running)
    }

    /// A pod with the databases, for code that brings no service with it; or before the check's time begins, which is the
    /// candidate's alone.
    pub(crate) async fn services_only(context: &Context<'_>, cores: &Cores) -> Result<Backing, Stop> {
        let pod = context.pod().await?;
        let mut services = BTreeMap::new();
        for service in &context.folder.services {
            services.insert(
                service.name.clone(),
                start_service(context, &pod, service, cores).await?,
            );
        }
        Ok(Backing { pod, services })
    }

    /// Every listening socket belongs to whom it should: the databases' ports to the databases, the service's port to the
    /// service (under gVisor to it or to another container there). Anything else on those ports is the candidate's doing.
    pub(crate) async fn attest(&self, with_app: bool) -> Result<(), Stop> {
        let mut wanted: Vec<(u16, u32)> = Vec::new();
        for service in &self.context.folder.services {
            wanted.extend(
                self.services
                    .get(&service.name)
                    .map(|part| (service.port, part.container.uid())),
            );
        }
        if with_app {
            wanted.push((
                self.context.folder.spec.app.port,
                self.app.container.socket_owner(),
            ));
        }
        let ports: Vec<u16> = wanted.iter().map(|(port, _)| *port).collect();
        let listeners = self
            .pod
            .listeners(&ports)
            .await
            .map_err(|error| Role::Trusted("attestation").ask(&error))?;
        for listener in &listeners {
            let owner = wanted.iter().find(|(port, _)| *port == listener.port);
            if owner.is_some_and(|(_, uid)| *uid != listener.uid) {
                return Err(Stop::PortTaken { port: listener.port });
            }
        }
        Ok(())
    }

    /// Ends the candidate's service, empties its temporary files, starts it again and waits until it is ready.
    pub(crate) async fn restart_app(&mut self) -> Result<Restarted, Stop> {
        let began = Instant::now();
        let grace = self.context.folder.spec.app.stop_grace.as_duration();
        self.app
            .end(grace)
            .await
            .map_err(|error| self.app_role().ask(&error))?;
        let stopped_ms = millis(began.elapsed());
        let began = Instant::now();
        self.spawn_app().await?;
        self.wait_for_app().await?;
        Ok(Restarted {
            stopped_ms,
            ready_ms: millis(began.elapsed()),
        })
    }

    /// Ends a database; its data stays.
    pub(crate) async fn stop_service(&mut self, name: &str) -> Result<u64, Stop> {
        let began = Instant::now();
        let part = self.service(name)?;
        part.end(SERVICE_GRACE)
            .await
            .map_err(|error| Role::Trusted("service").ask(&error))?;
        Ok(millis(began.elapsed()))
    }

    /// Starts a database again and waits until it is ready.
    pub(crate) async fn start_service(&mut self, name: &str) -> Result<u64, Stop> {
        let began = Instant::now();
        let unknown = || Stop::BadExercise {
            detail: format!("there is no service `{name}`"),
        };
        let service = self
            .context
            .folder
            .services
            .iter()
            .find(|service| service.name == name)
            .ok_or_else(unknown)?;
        // While it is away, others can take its port, even answer in its place.
        self.attest(false).await?;
        let part = self.services.get_mut(name).ok_or_else(unknown)?;
        part.spawn()
            .await
            .map_err(|error| Role::Trusted("service").ask(&error))?;
        let came_back = wait_for_service(service, part).await;
        let filled = match &came_back {
            Ok(()) => None,
            Err(_) => part.filled(&service.data).await,
        };
        self.attest(false).await?;
        match (came_back, filled) {
            (Ok(()), _) => Ok(millis(began.elapsed())),
            (Err(_), Some(bytes)) => Err(Stop::ServiceFilled {
                service: name.to_owned(),
                bytes,
            }),
            (Err(stop), None) => Err(stop),
        }
    }

    fn service(&mut self, name: &str) -> Result<&mut Part, Stop> {
        let detail = format!("there is no service `{name}`");
        self.services.get_mut(name).ok_or(Stop::BadExercise { detail })
    }

    async fn spawn_app(&mut self) -> Result<(), Stop> {
        let role = self.app_role();
        self.app.spawn().await.map_err(|error| role.ask(&error))
    }

    fn app_role(&self) -> Role<'static> {
        Role::Candidate {
            memory_bytes: self.memory_bytes,
        }
    }

    /// Ready, dead or late: whichever comes first.
    async fn wait_for_app(&mut self) -> Result<(), Stop> {
        let app = &self.context.folder.spec.app;
        let deadline = app.ready.timeout.as_duration();
        let target = Target::Http {
            port: app.port,
            path: app.ready.path.clone(),
            status: 200,
        };
        let began = Instant::now();
        let waiting = self.pod.wait(target, deadline, POLL);
        let ended = async {
            match &self.app.process {
                Some(process) => process.exited().await,
                None => std::future::pending().await,
            }
        };
        let waited = tokio::select! {
            waited = waiting => waited.map_err(|error| Role::Trusted("readiness probe").ask(&error))?,
            exited = ended => {
                let detail = match exited {
                    Ok(exited) if exited.reason == ExitReason::OutOfMemory => {
                        return Err(Stop::OutOfMemory { limit_bytes: self.memory_bytes });
                    }
                    Ok(exited) => format!("it ended by itself ({})", faults::ending(&exited)),
                    Err(AskError::Cancelled) => return Err(Stop::Cancelled),
                    Err(AskError::Lost(death)) => return Err(self.app_role().death(&death)),
                    Err(error) => error.to_string(),
                };
                return Err(Stop::NeverReady { waited_ms: millis(began.elapsed()), detail });
            }
        };
        if waited.is_ready() {
            return Ok(());
        }
        Err(Stop::NeverReady {
            waited_ms: millis(began.elapsed()),
            detail: faults::probed(&waited.last, app.port),
        })
    }

    /// What became of the service: none while it runs.
    pub(crate) async fn app_ended(&self) -> Option<String> {
        let process = self
            .app
            .process
            .as_ref()
            .filter(|process| !process.is_running())?;
        Some(match process.exited().await {
            Ok(exited) => faults::ending(&exited),
            Err(error) => error.to_string(),
        })
    }

    /// All containers, the service's first.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &Container> {
        let services = self.services.values();
        std::iter::once(&self.app)
            .chain(services)
            .map(|part| &part.container)
    }

    /// A database's container.
    pub(crate) fn service_container(&self, name: &str) -> Option<&Container> {
        self.services.get(name).map(|part| &part.container)
    }

    /// The service's container.
    pub(crate) fn app_container(&self) -> &Container {
        &self.app.container
    }

    /// The ends of all logs.
    pub(crate) fn logs(&self) -> Vec<LogExcerpt> {
        let parts = self.services.iter().map(|(name, part)| (name.as_str(), part));
        let parts = std::iter::once(("service", &self.app)).chain(parts);
        parts
            .filter_map(|(name, part)| crate::text::excerpt(name, &part.output()?))
            .collect()
    }

    /// Ends it all.
    pub(crate) async fn removed(self) {
        if let Err(error) = self.pod.remove().await {
            tracing::debug!(%error, "a pod is left to the end of the run");
        }
    }

    /// Ends it all, without being waited for.
    pub(crate) fn discard(self) {
        self.pod.discard();
    }
}

impl Part {
    async fn spawn(&mut self) -> Result<(), AskError> {
        self.process = Some(self.container.spawn(self.command.clone()).await?);
        Ok(())
    }

    async fn end(&mut self, grace: Duration) -> Result<(), AskError> {
        if let Some(process) = self.process.take() {
            process.stop(grace).await?;
        }
        self.container.reset(&["/tmp", "/dev/shm"]).await
    }

    /// How much data a database holds, in bytes, where that is more than it can come back with.
    async fn filled(&self, data: &str) -> Option<u64> {
        let command = Command::new(["df", "-P", "-k", data])
            .cwd("/tmp")
            .deadline(context::TOOL_DEADLINE);
        let said = self.container.exec(command).await.ok()?.stdout.text();
        let used_kib: u64 = said.lines().last()?.split_whitespace().nth(2)?.parse().ok()?;
        // Data is in memory, so it takes from the server's.
        let used = used_kib.saturating_mul(1024);
        (used > memory() / 2).then_some(used)
    }

    fn output(&self) -> Option<String> {
        let output = self.process.as_ref()?.output();
        Some(format!("{}{}", output.0.text(), output.1.text()))
    }
}

/// Most memory of a database or cache beside the candidate's service, in bytes.
pub(crate) fn memory() -> u64 {
    SERVICE_MEMORY_MIB << 20
}

async fn start_service(
    context: &Context<'_>,
    pod: &Pod,
    service: &Service,
    cores: &Cores,
) -> Result<Part, Stop> {
    let limits = Limits {
        memory: assay_core::units::Bytes::mebibytes(SERVICE_MEMORY_MIB),
        cpus: 2.0,
        pids: 256,
    };
    let mut spec = context::container_spec(&service.name, context.image(&service.name)?, limits);
    spec.env = service.env.clone();
    spec.tmpfs = vec![Tmpfs {
        path: service.data.clone(),
        bytes: DATA_BYTES,
        inodes: 50_000,
        exec: false,
    }];
    spec.limits.cpuset.clone_from(&cores.0);
    spec.limits.shm_bytes = 128 << 20;
    let container = context.container(pod, spec).await?;
    let command = Command::shell(&format!("exec {}", service.start))
        .cwd("/tmp")
        .output(context::both_ends(LOG_BYTES));
    let mut part = Part {
        container,
        command,
        process: None,
    };
    part.spawn()
        .await
        .map_err(|error| Role::Trusted(&service.name).ask(&error))?;
    wait_for_service(service, &part).await?;
    Ok(part)
}

/// Closes the databases to all who do not know the password.
async fn lock(context: &Context<'_>, services: &BTreeMap<String, Part>, password: &str) -> Result<(), Stop> {
    for service in &context.folder.services {
        let (Some(lock), Some(part)) = (&service.lock, services.get(&service.name)) else {
            continue;
        };
        let command = Command::shell(&format!("export PASSWORD={password}; {}", lock.command))
            .cwd("/tmp")
            .deadline(SERVICE_GRACE);
        let exited = part.container.exec(command).await;
        let exited = exited.map_err(|error| Role::Trusted(&service.name).ask(&error))?;
        if !exited.success() {
            let said = exited.stderr.text();
            return Err(Stop::ServiceBroken {
                service: service.name.clone(),
                detail: said
                    .lines()
                    .last()
                    .unwrap_or("its password could not be set")
                    .to_owned(),
            });
        }
    }
    Ok(())
}

async fn wait_for_service(service: &Service, part: &Part) -> Result<(), Stop> {
    let role = Role::Trusted(&service.name);
    let began = Instant::now();
    let timeout = service.ready_timeout.as_duration();
    loop {
        let command = Command::shell(&service.ready.command)
            .cwd("/tmp")
            .deadline(Duration::from_secs(10));
        let asked = part
            .container
            .exec(command)
            .await
            .map_err(|error| role.ask(&error))?;
        if asked.success() {
            return Ok(());
        }
        if began.elapsed() > timeout {
            let said = part.output().unwrap_or_default();
            let detail = said.lines().last().unwrap_or("it said nothing").to_owned();
            return Err(Stop::ServiceBroken {
                service: service.name.clone(),
                detail,
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn make_app(
    context: &Context<'_>,
    pod: &Pod,
    program: Program<'_>,
    cores: &Cores,
) -> Result<Part, Stop> {
    let start = program.toolchain.start.as_deref();
    let start = start.ok_or_else(|| Stop::BadExercise {
        detail: "the toolchain has no start command".into(),
    })?;
    let mut spec = context::foreign_spec("app", context.image(program.image)?, program.limits);
    spec.env = program.toolchain.env.clone();
    spec.env.extend(context.app_env());
    if let Some(password) = &program.password {
        let locks = context
            .folder
            .services
            .iter()
            .filter_map(|service| service.lock.as_ref());
        for credentials in locks.map(|lock| &lock.credentials) {
            let locked = credentials.locked.replace("${password}", password);
            for value in spec.env.values_mut() {
                *value = value.replace(&credentials.usual, &locked);
            }
        }
    }
    spec.mounts = program.mounts;
    spec.tmpfs.extend(program.files.map(|_| context::work_tmpfs()));
    spec.limits.cpuset.clone_from(&cores.0);
    let container = context.container(pod, spec).await?;
    if let Some(files) = program.files {
        let build = program.toolchain.build.as_deref();
        crate::build::in_place(context, &container, files, build).await?;
    }
    Ok(Part {
        container,
        command: Command::shell(start)
            .cwd(WORK)
            .output(context::both_ends(LOG_BYTES)),
        process: None,
    })
}

impl Context<'_> {
    /// The service's environment: the exercise's, with the run's secret filled in.
    pub(crate) fn app_env(&self) -> BTreeMap<String, String> {
        let app = &self.folder.spec.app;
        let named = app
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.replace("${secret}", &self.secret)));
        named.chain([("PORT".to_owned(), app.port.to_string())]).collect()
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
