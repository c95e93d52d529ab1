//! What all checks of one run share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use assay_core::exercise::{Check, CheckKind, Limits};
use assay_core::fault::Stop;
use assay_core::toolchain::Toolchain;
use assay_sandbox::{
    CacheVolume, Container, ContainerSpec, Engine, Image, Mount, OutputCap, Pod, Run, Tmpfs, Volume,
    VolumeSpec, Volumes, WhenFull,
};
use tokio_util::sync::CancellationToken;

use crate::events::Events;
use crate::evidence_files::RawFile;
use crate::faults::{self, Role};
use crate::folder::ExerciseFolder;
use crate::ground::Trees;
use crate::quiet::Quiet;
use crate::source::Source;

/// Where the candidate's source lies, read-only.
pub(crate) const SRC: &str = "/src";
/// Where the built tree lies.
pub(crate) const WORK: &str = "/work";
/// Where installed dependencies lie, read-only.
pub(crate) const DEPS: &str = "/deps";
/// Where tools write their reports.
pub(crate) const OUT: &str = "/out";

/// Most bytes of one report that is read out of a container.
pub(crate) const MAX_REPORT_BYTES: u64 = 20 << 20;
/// Room for the candidate's tree: the export's cap and as much again for file-system overhead.
pub(crate) const SRC_BYTES: u64 = 200 << 20;
/// Room for the built tree.
pub(crate) const WORK_BYTES: u64 = 512 << 20;
/// Room for all trees of a run, the history's among them.
pub(crate) const TREES_BYTES: u64 = 2 * SRC_BYTES + WORK_BYTES;
/// Most files in either.
pub(crate) const TREE_INODES: u64 = 50_000;

/// One run, as its checks see it.
pub(crate) struct Context<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) run: &'a Run,
    pub(crate) folder: &'a ExerciseFolder,
    /// The track.
    pub(crate) track: &'a str,
    /// A folder of ours for temporary files.
    pub(crate) scratch: &'a Path,
    pub(crate) images: &'a BTreeMap<String, Image>,
    pub(crate) source: &'a Source,
    /// The toolchain, with the candidate's overrides where these are allowed.
    pub(crate) toolchain: Toolchain,
    /// The toolchain image's name.
    pub(crate) toolchain_image: String,
    /// None: no check of the plan shares a tree with another.
    pub(crate) trees: Option<Trees>,
    pub(crate) seed: u64,
    /// Random text of the run: the service's secret.
    pub(crate) secret: String,
    /// Extra certificate authorities for candidate builds, PEM.
    pub(crate) extra_ca: Option<Vec<u8>>,
    /// Folder of OSV records.
    pub(crate) advisories: Option<PathBuf>,
    /// Which database dependencies were compared with, once they were.
    pub(crate) audited_with: OnceLock<String>,
    pub(crate) cancel: CancellationToken,
    pub(crate) events: Events,
    pub(crate) quiet: Quiet,
    pub(crate) raw: Mutex<Vec<RawFile>>,
}

/// What the build left for later checks.
#[derive(Clone, Default)]
pub(crate) struct Built {
    /// Installed dependencies, if the toolchain has any and the candidate names them.
    pub(crate) deps: Option<CacheVolume>,
    /// The built tree, where it is not in the run's own volume.
    pub(crate) tree: Option<CacheVolume>,
}

/// The volumes that every run has.
pub(crate) async fn make_volumes(run: &Run) -> Result<Volumes, Stop> {
    let specs = [
        VolumeSpec {
            name: "src".into(),
            bytes: SRC_BYTES,
            inodes: TREE_INODES,
        },
        VolumeSpec {
            name: "history".into(),
            bytes: SRC_BYTES,
            inodes: TREE_INODES,
        },
        VolumeSpec {
            name: "work".into(),
            bytes: WORK_BYTES,
            inodes: 2 * TREE_INODES,
        },
    ];
    run.volumes(&specs).await.map_err(|error| faults::start(&error))
}

impl Context<'_> {
    /// The volumes with the trees that checks share.
    pub(crate) fn trees(&self) -> Result<&Trees, Stop> {
        let missing = || Stop::EngineFailed {
            detail: "the run has no volumes".into(),
        };
        self.trees.as_ref().ok_or_else(missing)
    }

    /// The image of this name.
    pub(crate) fn image(&self, name: &str) -> Result<Image, Stop> {
        self.images.get(name).cloned().ok_or_else(|| Stop::ImageMissing {
            image: name.to_owned(),
        })
    }

    /// The check of this kind; checks are only run when the exercise has them.
    pub(crate) fn check(&self, kind: CheckKind) -> Option<&Check> {
        self.folder.check(kind)
    }

    /// What candidate code may use in this check.
    pub(crate) fn limits(&self, kind: CheckKind) -> Limits {
        self.check(kind)
            .and_then(|check| check.limits)
            .unwrap_or(self.folder.spec.app.limits)
    }

    /// A pod without network.
    pub(crate) async fn pod(&self) -> Result<Pod, Stop> {
        self.run.pod().await.map_err(|error| faults::start(&error))
    }

    /// A container with a network of its own.
    pub(crate) async fn alone(&self, spec: ContainerSpec) -> Result<Container, Stop> {
        self.run
            .container(spec)
            .await
            .map_err(|error| faults::start(&error))
    }

    /// A container in a pod.
    pub(crate) async fn container(&self, pod: &Pod, spec: ContainerSpec) -> Result<Container, Stop> {
        pod.container(spec).await.map_err(|error| faults::start(&error))
    }

    /// Keeps the bytes that a result rests on.
    pub(crate) fn keep(&self, check: &str, name: &str, bytes: Vec<u8>) {
        let file = RawFile {
            check: check.to_owned(),
            name: name.to_owned(),
            bytes,
        };
        self.raw
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(file);
    }

    /// Reads a report out of a container and keeps its bytes as evidence.
    pub(crate) async fn report(
        &self,
        container: &Container,
        role: Role<'_>,
        check: &str,
        path: &str,
    ) -> Result<Vec<u8>, Stop> {
        let bytes = read_report(container, role, path).await?;
        self.keep(check, in_out(path), bytes.clone());
        Ok(bytes)
    }
}

/// Reads a report out of a container.
pub(crate) async fn read_report(container: &Container, role: Role<'_>, path: &str) -> Result<Vec<u8>, Stop> {
    let read = container.read_file(OUT, in_out(path), MAX_REPORT_BYTES).await;
    read.map_err(|error| role.report(path, &error))
}

/// The path of a report below [`OUT`].
pub(crate) fn in_out(path: &str) -> &str {
    path.strip_prefix("/out/").unwrap_or(path)
}

/// A container's description, with what is the same for all.
pub(crate) fn container_spec(role: &str, image: Image, limits: Limits) -> ContainerSpec {
    ContainerSpec {
        role: role.to_owned(),
        image,
        env: BTreeMap::new(),
        mounts: Vec::new(),
        tmpfs: Vec::new(),
        limits: sandbox_limits(limits),
        is_foreign: false,
    }
}

/// The same for a container in which a candidate's code runs.
pub(crate) fn foreign_spec(role: &str, image: Image, limits: Limits) -> ContainerSpec {
    ContainerSpec {
        is_foreign: true,
        ..container_spec(role, image, limits)
    }
}

/// The exercise's limits in the sandbox's terms, with what exercises cannot set.
pub(crate) fn sandbox_limits(limits: Limits) -> assay_sandbox::Limits {
    assay_sandbox::Limits {
        memory_bytes: limits.memory.0,
        cpus: limits.cpus,
        cpuset: None,
        pids: limits.pids,
        open_files: 4096,
        file_bytes: 512 << 20,
        tmp_bytes: 64 << 20,
        shm_bytes: 64 << 20,
    }
}

/// Limits of our own tools.
pub(crate) fn tool_limits() -> Limits {
    Limits {
        memory: assay_core::units::Bytes::mebibytes(1536),
        cpus: 2.0,
        pids: 256,
    }
}

/// A tmpfs for reports.
pub(crate) fn out_tmpfs() -> Tmpfs {
    Tmpfs {
        path: OUT.into(),
        bytes: 64 << 20,
        inodes: 1024,
        exec: false,
    }
}

/// A place for a source that is not the candidate's.
pub(crate) fn source_tmpfs(path: &str) -> Tmpfs {
    Tmpfs {
        path: path.to_owned(),
        bytes: 32 << 20,
        inodes: 4096,
        exec: false,
    }
}

/// A writable place for a tree at [`WORK`].
pub(crate) fn work_tmpfs() -> Tmpfs {
    Tmpfs {
        path: WORK.into(),
        bytes: WORK_BYTES,
        inodes: 2 * TREE_INODES,
        exec: true,
    }
}

/// Mounts of the built tree and its dependencies, read-only.
pub(crate) fn built_mounts(context: &Context<'_>, built: &Built, work_at: &str) -> Result<Vec<Mount>, Stop> {
    let work = match &built.tree {
        Some(tree) => Mount::cached(tree, work_at),
        None => Mount::read_only(&context.trees()?.work, work_at),
    };
    let deps = built.deps.as_ref().map(|deps| Mount::cached(deps, DEPS));
    Ok(std::iter::once(work).chain(deps).collect())
}

/// Runs a check under its time-out; candidate code that takes longer is stopped, and that is a verdict.
pub(crate) async fn within<T>(check: &Check, work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    match tokio::time::timeout(check.timeout.as_duration(), work).await {
        Ok(result) => result,
        Err(_) => Err(Stop::TimedOut {
            limit_ms: check.timeout.as_millis(),
        }),
    }
}

/// Output of a process that is kept whole up to the limit; one that writes more is stopped.
pub(crate) fn at_most(bytes: u64) -> OutputCap {
    OutputCap {
        head_bytes: bytes / 4,
        tail_bytes: bytes - bytes / 4,
        when_full: WhenFull::Kill,
    }
}

/// Output of a process that may write for as long as it lives: its beginning and its end are kept.
pub(crate) fn both_ends(bytes: u64) -> OutputCap {
    OutputCap {
        head_bytes: bytes / 2,
        tail_bytes: bytes / 2,
        when_full: WhenFull::Drop,
    }
}

/// The volume of this name, which was made at the run's start.
pub(crate) fn volume(volumes: &Volumes, name: &str) -> Result<Volume, Stop> {
    let missing = || Stop::EngineFailed {
        detail: format!("the volume {name} is not there"),
    };
    volumes.get(name).cloned().ok_or_else(missing)
}

/// What a command of ours may take at most when nothing else is said.
pub(crate) const TOOL_DEADLINE: Duration = Duration::from_secs(60);
