//! The `build` check: dependencies into a cached volume, then the build into a volume that later checks only read.

use std::time::Duration;

use assay_core::evidence::{CheckEvidence, LogExcerpt};
use assay_core::exercise::CheckKind;
use assay_core::fault::Stop;
use assay_core::toolchain::{Dependencies, Toolchain};
use assay_git::solution::Files;
use assay_sandbox::{
    CacheVolume, Command, Container, Content, Egress, EgressSpec, Exited, Mount, Pod, Tmpfs, TreeCaps,
    TreeEntry, VolumeSpec, egress,
};
use futures_util::stream;
use sha2::{Digest, Sha256};

use crate::context::{self, Built, Context, DEPS, SRC, WORK};
use crate::faults::{self, Role};

/// Room for installed dependencies.
const DEPS_BYTES: u64 = 1 << 30;
/// Most files of installed dependencies.
const DEPS_INODES: u64 = 200_000;
/// Most bytes that an installation may fetch.
const MAX_FETCHED_BYTES: u64 = 1 << 30;
/// How often dependencies are installed where a registry that is well seems not to be.
const ATTEMPTS: u32 = 2;
/// Output of a build that is kept.
const OUTPUT_BYTES: u64 = 4 << 20;
/// Where the extra certificate authorities lie in a build container.
const CA_FILE: &str = "/tmp/ca.pem";

/// Runs the check. The second value is there when later checks can go on.
pub(crate) async fn build(context: &Context<'_>) -> (CheckEvidence, Option<Built>) {
    let Some(check) = context.check(CheckKind::Build) else {
        return (
            CheckEvidence::new("build", CheckKind::Build, Default::default()),
            None,
        );
    };
    let mut evidence = CheckEvidence::new(&check.id, check.kind, check.seen());
    let result = context::within(check, run(context, &check.id, &mut evidence)).await;
    match result {
        Ok(built) => (evidence, Some(built)),
        Err(stop) => {
            evidence.stop = Some(stop);
            (evidence, None)
        }
    }
}

async fn run(context: &Context<'_>, id: &str, evidence: &mut CheckEvidence) -> Result<Built, Stop> {
    let deps = dependencies(context, "deps", evidence).await?;
    let built = Built { deps, tree: None };
    context.events.doing(id, "building");
    let trees = context.trees()?;
    let mut spec = context::foreign_spec(
        "build",
        context.image(&context.toolchain_image)?,
        context.limits(CheckKind::Build),
    );
    spec.env = context.toolchain.env.clone();
    spec.mounts = vec![
        Mount::read_only(&trees.src, SRC),
        Mount::writable(&trees.work, WORK),
    ];
    spec.mounts
        .extend(built.deps.as_ref().map(|deps| Mount::cached(deps, DEPS)));
    let role = role(context);
    let container = context.alone(spec).await?;
    let copied = shell(
        context,
        &container,
        role,
        "cp -R /src/. /work/",
        Duration::from_secs(60),
    )
    .await?;
    if !copied.success() {
        return Err(Stop::TreeRefused {
            detail: "the tree does not fit into the build's volume".into(),
        });
    }
    if let Some(command) = &context.toolchain.build {
        let exited = shell(context, &container, role, command, deadline(context)).await?;
        evidence.logs.extend(log("build", &exited));
        if exited.code != Some(0) {
            return Err(Stop::BuildFailed {
                exit_code: exited.code.map_or(-1, i64::from),
            });
        }
    }
    container.discard();
    Ok(built)
}

/// Writes a tree to the working directory of a container and builds it there.
pub(crate) async fn in_place(
    context: &Context<'_>,
    container: &Container,
    files: &Files,
    command: Option<&str>,
) -> Result<(), Stop> {
    let role = role(context);
    let entries = files.iter().map(|(path, file)| TreeEntry {
        path: path.clone(),
        content: Content::File {
            bytes: file.content.clone(),
            executable: file.executable,
        },
    });
    let written = container.write_tree(WORK, stream::iter(entries)).await;
    written.map_err(|error| role.ask(&error))?;
    let Some(command) = command else { return Ok(()) };
    let exited = shell(context, container, role, command, deadline(context)).await?;
    match exited.code {
        Some(0) => Ok(()),
        code => Err(Stop::BuildFailed {
            exit_code: code.map_or(-1, i64::from),
        }),
    }
}

/// Whose dependencies are installed.
#[derive(Clone, Copy)]
pub(crate) struct Installation<'a> {
    pub(crate) toolchain: &'a Toolchain,
    /// Name of the toolchain's image.
    pub(crate) image: &'a str,
    /// Content of a file at the tree's root.
    pub(crate) content: &'a (dyn Fn(&str) -> Option<Vec<u8>> + Sync),
    /// Beginning of the name of the volume that they are installed into, unique in the run.
    pub(crate) volume: &'a str,
}

/// The installed dependencies, if the toolchain has any and the tree names them. They are installed into a volume of this
/// name, unique in the run.
pub(crate) async fn dependencies(
    context: &Context<'_>,
    volume: &str,
    evidence: &mut CheckEvidence,
) -> Result<Option<CacheVolume>, Stop> {
    let Some(check) = context.check(CheckKind::Build) else {
        return Ok(None);
    };
    let wanted = Installation {
        toolchain: &context.toolchain,
        image: &context.toolchain_image,
        content: &|name| context.source.content(name),
        volume,
    };
    install(context, &check.id, wanted, &check.registries, evidence).await
}

/// Installs what the manifests name, unless a volume made from the very same inputs is there already.
pub(crate) async fn install(
    context: &Context<'_>,
    id: &str,
    wanted: Installation<'_>,
    registries: &[String],
    evidence: &mut CheckEvidence,
) -> Result<Option<CacheVolume>, Stop> {
    try_to_install(context, id, wanted, registries, 1, evidence).await
}

async fn try_to_install(
    context: &Context<'_>,
    id: &str,
    wanted: Installation<'_>,
    registries: &[String],
    attempt: u32,
    evidence: &mut CheckEvidence,
) -> Result<Option<CacheVolume>, Stop> {
    let Some(dependencies) = &wanted.toolchain.dependencies else {
        return Ok(None);
    };
    let manifests: Vec<(String, Vec<u8>)> = dependencies
        .manifests
        .iter()
        .filter_map(|name| Some((name.clone(), (wanted.content)(name)?)))
        .collect();
    if manifests.is_empty() {
        evidence.notes.push(format!(
            "No {} in the tree: no dependencies.",
            dependencies.manifests.join(" or ")
        ));
        return Ok(None);
    }
    let image = context.image(wanted.image)?;
    let key = cache_key(&image.id, dependencies, &manifests);
    let cached = context.engine.cached(&key).await;
    if let Some(volume) = cached.map_err(|error| faults::engine(&error))? {
        evidence
            .notes
            .push("Dependencies came from the cache of the very same manifests.".into());
        return Ok(Some(volume));
    }
    context.events.doing(id, "installing dependencies");
    let role = role(context);
    let name = format!("{}-{attempt}", wanted.volume);
    let volumes = context
        .run
        .volumes(&[VolumeSpec {
            name: name.clone(),
            bytes: DEPS_BYTES,
            inodes: DEPS_INODES,
        }])
        .await
        .map_err(|error| faults::start(&error))?;
    let volume = context::volume(&volumes, &name)?;
    let proxy = open_egress(context, registries)?;
    let pod = match &proxy {
        Some(egress) => context
            .run
            .pod_with_egress(egress)
            .await
            .map_err(|error| faults::start(&error))?,
        None => context.pod().await?,
    };
    let mut spec = context::foreign_spec("dependencies", image, context.limits(CheckKind::Build));
    spec.env = wanted.toolchain.env.clone();
    spec.mounts = vec![Mount::writable(&volume, DEPS)];
    spec.tmpfs = vec![Tmpfs {
        path: WORK.into(),
        bytes: 256 << 20,
        inodes: 50_000,
        exec: true,
    }];
    // Package managers unpack in their temporary directory.
    spec.limits.tmp_bytes = 1 << 30;
    if proxy.is_some() {
        for name in ["HTTPS_PROXY", "https_proxy"] {
            spec.env.insert(name.into(), Pod::EGRESS_PROXY.into());
        }
    }
    if context.extra_ca.is_some() {
        for name in [
            "SSL_CERT_FILE",
            "PIP_CERT",
            "REQUESTS_CA_BUNDLE",
            "NODE_EXTRA_CA_CERTS",
        ] {
            spec.env.insert(name.into(), CA_FILE.into());
        }
    }
    let container = context.container(&pod, spec).await?;
    let files = manifests.into_iter().map(|(path, bytes)| file(&path, bytes));
    container
        .write_tree(WORK, stream::iter(files))
        .await
        .map_err(|error| role.ask(&error))?;
    let ca = context.extra_ca.iter().map(|ca| file("ca.pem", ca.clone()));
    container
        .write_tree("/tmp", stream::iter(ca))
        .await
        .map_err(|error| role.ask(&error))?;
    let exited = shell(
        context,
        &container,
        role,
        &dependencies.command,
        deadline(context),
    )
    .await;
    if let Ok(exited) = &exited {
        evidence.logs.extend(log("dependencies", exited));
    }
    if let Some(proxy) = proxy {
        let contacts = proxy.close().await;
        let hosts: Vec<&str> = contacts.iter().map(|contact| contact.host.as_str()).collect();
        evidence.notes.push(format!(
            "Hosts that the installation asked for: {}.",
            hosts.join(", ")
        ));
        // A registry that is silent for long enough looks like an installation that takes too long.
        let may_be_its_doing = match &exited {
            Ok(exited) => !exited.success(),
            Err(stop) => matches!(stop, Stop::TimedOut { .. }),
        };
        let mut doubts = Vec::new();
        for contact in contacts.iter().filter(|_| may_be_its_doing) {
            let Some(detail) = contact.trouble() else { continue };
            // What they install runs there, and can break off a handshake, too. So the registry is asked by us.
            if !egress::is_well(&contact.host, context.extra_ca.as_deref()).await {
                return Err(Stop::RegistryUnreachable { detail });
            }
            doubts.push(format!("For the installation {detail}; for us it answered."));
        }
        if !doubts.is_empty() {
            evidence.notes.append(&mut doubts);
            if attempt < ATTEMPTS {
                evidence.notes.push("So it was tried again.".into());
                drop(container.remove().await);
                drop(pod.remove().await);
                drop(volumes);
                let next = attempt + 1;
                return Box::pin(try_to_install(context, id, wanted, registries, next, evidence)).await;
            }
        }
    }
    let exited = exited?;
    if exited.code != Some(0) {
        return Err(Stop::DependenciesFailed {
            exit_code: exited.code.map_or(-1, i64::from),
        });
    }
    pod.discard();
    let caps = TreeCaps {
        bytes: DEPS_BYTES,
        entries: DEPS_INODES,
        depth: 64,
    };
    let (cache, _) = context
        .run
        .publish_cache(&key, &volume, caps)
        .await
        .map_err(|error| faults::publish(&error))?;
    Ok(Some(cache))
}

fn file(path: &str, bytes: Vec<u8>) -> TreeEntry {
    TreeEntry {
        path: path.to_owned(),
        content: Content::File {
            bytes,
            executable: false,
        },
    }
}

fn open_egress(context: &Context<'_>, registries: &[String]) -> Result<Option<Egress>, Stop> {
    if registries.is_empty() {
        return Ok(None);
    }
    let spec = EgressSpec {
        allow: registries.iter().cloned().collect(),
        max_bytes: MAX_FETCHED_BYTES,
        max_connections: 64,
        max_duration: deadline(context),
        allow_private: false,
    };
    Egress::open(spec).map(Some).map_err(|error| Stop::EngineFailed {
        detail: error.to_string(),
    })
}

/// The same image, command and manifests give the same volume; nothing else was visible to the installation.
fn cache_key(image: &str, dependencies: &Dependencies, manifests: &[(String, Vec<u8>)]) -> String {
    let mut hash = Sha256::new();
    let named = manifests
        .iter()
        .flat_map(|(name, bytes)| [name.as_bytes(), bytes.as_slice()]);
    for part in [image.as_bytes(), dependencies.command.as_bytes()]
        .into_iter()
        .chain(named)
    {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    crate::folder::hex(&hash.finalize())
}

async fn shell(
    context: &Context<'_>,
    container: &Container,
    role: Role<'_>,
    command: &str,
    deadline: Duration,
) -> Result<Exited, Stop> {
    let command = Command::shell(command)
        .cwd(WORK)
        .deadline(deadline)
        .output(context::at_most(OUTPUT_BYTES));
    let exited = container.exec(command).await.map_err(|error| role.ask(&error))?;
    let limit_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
    match role.unfinished(&exited, limit_ms, OUTPUT_BYTES) {
        Some(_) if context.cancel.is_cancelled() => Err(Stop::Cancelled),
        Some(stop) => Err(stop),
        None => Ok(exited),
    }
}

fn role(context: &Context<'_>) -> Role<'static> {
    Role::Candidate {
        memory_bytes: context.limits(CheckKind::Build).memory.0,
    }
}

/// A little less than the whole check, so that the command is what is stopped and its output is kept.
fn deadline(context: &Context<'_>) -> Duration {
    let whole = context
        .check(CheckKind::Build)
        .map_or(Duration::from_secs(300), |check| check.timeout.as_duration());
    whole
        .saturating_sub(Duration::from_secs(5))
        .max(Duration::from_secs(1))
}

/// What a command said, standard error last.
pub(crate) fn log(source: &str, exited: &Exited) -> Option<LogExcerpt> {
    let text = format!("{}{}", exited.stdout.text(), exited.stderr.text());
    crate::text::excerpt(source, &text)
}
