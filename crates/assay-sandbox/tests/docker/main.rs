//! The sandbox against a real engine: what it promises, one promise a test.
//!
//! Needs Docker on `/var/run/docker.sock`, or where `DOCKER_HOST` says, and the static agent (see [`AGENT_HELP`]). Without
//! Docker the tests print that they are skipped; with `ASSAY_REQUIRE_DOCKER=1` they fail instead.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the tests share is a test, too"
)]

mod commands;
mod egress;
mod files;
mod floods;
mod gvisor;
mod images;
mod lifecycle;
mod limits;
mod network;
mod policy;

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use assay_sandbox::images::{BuildOptions, ImageFolder, build};
use assay_sandbox::{Container, ContainerSpec, Engine, Image, Limits, Mount, Pod, Run, RunSpec};
use bollard::Docker;
use bollard::query_parameters::{ListContainersOptionsBuilder, ListVolumesOptionsBuilder};
use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

/// How to get the agent that these tests put into containers.
const AGENT_HELP: &str = "build it with RUSTFLAGS='-C target-feature=+crt-static' cargo build --release -p assay-drive \
                          --target x86_64-unknown-linux-gnu, or say where it is with ASSAY_DRIVE";

/// Two tests at a time build images only once.
static BUILDING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

static RUNS: AtomicU32 = AtomicU32::new(0);

/// What a test works with.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) docker: Docker,
    pub(crate) run: Run,
    pub(crate) cancel: CancellationToken,
    pub(crate) drive: Image,
    pub(crate) tiny: Image,
}

impl Bench {
    /// A container of the tiny image in a pod of its own.
    pub(crate) async fn container(&self) -> Container {
        self.container_with(limits(), vec![]).await
    }

    pub(crate) async fn container_with(&self, limits: Limits, mounts: Vec<Mount>) -> Container {
        let pod = self.run.pod().await.unwrap();
        pod.container(self.spec(limits, mounts)).await.unwrap()
    }

    pub(crate) async fn container_in(&self, pod: &Pod) -> Container {
        pod.container(self.spec(limits(), vec![])).await.unwrap()
    }

    pub(crate) fn spec(&self, limits: Limits, mounts: Vec<Mount>) -> ContainerSpec {
        ContainerSpec {
            role: "test".to_owned(),
            image: self.tiny.clone(),
            env: BTreeMap::new(),
            mounts,
            tmpfs: vec![],
            limits,
            is_foreign: true,
        }
    }
}

pub(crate) fn limits() -> Limits {
    Limits {
        memory_bytes: 128 << 20,
        cpus: 1.0,
        cpuset: None,
        pids: 48,
        open_files: 256,
        file_bytes: 64 << 20,
        tmp_bytes: 16 << 20,
        shm_bytes: 4 << 20,
    }
}

/// Runs a test in a run of its own, and fails when anything of it is left afterwards.
pub(crate) async fn with_bench(test: impl AsyncFnOnce(&Bench)) {
    with(bench().await, test).await;
}

pub(crate) async fn with(bench: Option<Bench>, test: impl AsyncFnOnce(&Bench)) {
    let Some(bench) = bench else { return };
    // A test that fails leaves nothing either.
    let outcome = AssertUnwindSafe(test(&bench)).catch_unwind().await;
    bench.run.destroy(Duration::from_secs(60)).await.unwrap();
    assert_eq!(
        left(&bench.docker, bench.run.id()).await,
        (0, 0),
        "containers and volumes are left"
    );
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// A run, or none where there is no engine and none is required.
pub(crate) async fn bench() -> Option<Bench> {
    bench_under(None, "ASSAY_REQUIRE_DOCKER").await
}

/// One whose containers run under this runtime; which variable says that the test must not be skipped.
pub(crate) async fn bench_under(runtime: Option<&str>, required_by: &str) -> Option<Bench> {
    let engine = match Engine::connect(address().as_deref(), runtime).await {
        Ok(engine) => engine,
        Err(error) if variable(required_by).as_deref() == Some("1") => panic!("{error}"),
        Err(error) => {
            println!("skipped: {error}");
            return None;
        }
    };
    let (drive, tiny) = test_images(&engine).await;
    let id = format!("test-{}", unique());
    let cancel = CancellationToken::new();
    let spec = RunSpec {
        id,
        owner: None,
        expires_in: Duration::from_secs(600),
        drive: drive.clone(),
    };
    let run = Run::start(&engine, spec, cancel.clone()).await.unwrap();
    let docker = Docker::connect_with_unix_defaults().unwrap();
    Some(Bench {
        engine,
        docker,
        run,
        cancel,
        drive,
        tiny,
    })
}

pub(crate) async fn test_images(engine: &Engine) -> (Image, Image) {
    let _turn = BUILDING.lock().await;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = here.ancestors().nth(2).unwrap();
    let agent = variable("ASSAY_DRIVE").map_or_else(
        || workspace.join("target/x86_64-unknown-linux-gnu/release/assay-drive"),
        PathBuf::from,
    );
    let agent =
        std::fs::read(&agent).unwrap_or_else(|error| panic!("no agent at {agent:?}: {error}; {AGENT_HELP}"));
    let options = BuildOptions {
        agent: Some(agent),
        extra_ca: None,
        args: BTreeMap::new(),
        host_network: true,
        timeout: Duration::from_secs(300),
    };
    let drive = folder_named("test-drive", &workspace.join("runner-images/drive/Dockerfile"));
    let drive = build(engine, &drive, &options, &mut |_| {}).await.unwrap();
    let tiny = folder_named("test-tiny", &here.join("tests/docker/image/Dockerfile"));
    let options = BuildOptions {
        agent: None,
        ..options
    };
    let tiny = build(engine, &tiny, &options, &mut |_| {}).await.unwrap();
    (drive, tiny)
}

/// An image folder with a name of its own, so that no test changes what `assay/drive:latest` of this machine is.
fn folder_named(name: &str, dockerfile: &Path) -> ImageFolder {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join(name);
    std::fs::create_dir(&path).unwrap();
    std::fs::copy(dockerfile, path.join("Dockerfile")).unwrap();
    ImageFolder::read(&path).unwrap()
}

/// How many containers and volumes of a run the engine knows.
pub(crate) async fn left(docker: &Docker, run: &str) -> (usize, usize) {
    let filters = HashMap::from([("label", vec![format!("assay.run={run}")])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    let containers = docker.list_containers(Some(options)).await.unwrap();
    let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
    let volumes = docker.list_volumes(Some(options)).await.unwrap();
    (containers.len(), volumes.volumes.unwrap_or_default().len())
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told about their surroundings by the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The engine that Docker's own client would use, too.
pub(crate) fn address() -> Option<String> {
    variable("DOCKER_HOST")
}

/// A number that no other test, here or in another process, uses.
pub(crate) fn unique() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let count = u64::from(RUNS.fetch_add(1, Ordering::Relaxed));
    (u64::from(std::process::id()) << 32) | (count << 20) | u64::from(now.subsec_micros())
}
