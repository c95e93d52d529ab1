//! The reference solution of the track: built like a candidate's code, and kept by what it was made of.

use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::SystemTime;

use assay_core::evidence::CheckEvidence;
use assay_core::exercise::{Check, CheckKind};
use assay_core::fault::Stop;
use assay_git::{Fetched, solution};
use assay_sandbox::{TreeCaps, VolumeSpec};
use futures_util::stream;
use sha2::{Digest, Sha256};

use crate::build;
use crate::context::{self, Built, Context};
use crate::events;
use crate::faults::{self, Role};
use crate::ground::Trees;
use crate::source::Source;

/// The reference's source and the toolchain with its overrides: what a [`Context`] of its own is made of.
pub(super) struct Reference {
    name: String,
    source: Source,
    toolchain: assay_core::toolchain::Toolchain,
}

impl Reference {
    /// Reads the solution that the check names. None: it names none.
    pub(super) async fn read(context: &Context<'_>, check: &Check) -> Option<Result<Self, Stop>> {
        let name = check.reference.clone()?;
        let (folder, track) = (context.folder, context.track.to_owned());
        let into = context.scratch.join("reference.git");
        let template = folder.templates.get(&track).cloned().unwrap_or_default();
        let toolchain = folder.toolchains.get(&track).cloned()?;
        let (dir, allowed) = (folder.dir.clone(), folder.spec.overrides);
        let read = move || {
            let source = read(&dir, &track, &name, &into, &template, &toolchain.source)?;
            let toolchain = source.overridden(toolchain, allowed)?;
            Ok(Self {
                name,
                source,
                toolchain,
            })
        };
        let broken = |error: tokio::task::JoinError| Stop::EngineFailed {
            detail: error.to_string(),
        };
        Some(tokio::task::spawn_blocking(read).await.map_err(broken).flatten())
    }

    /// Name of the solution.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The run as the reference sees it: nobody follows it and nothing of it is kept.
    pub(super) fn context<'a>(&'a self, candidate: &Context<'a>) -> Context<'a> {
        Context {
            engine: candidate.engine,
            run: candidate.run,
            folder: candidate.folder,
            track: candidate.track,
            scratch: candidate.scratch,
            images: candidate.images,
            source: &self.source,
            toolchain: self.toolchain.clone(),
            toolchain_image: candidate.toolchain_image.clone(),
            trees: candidate.trees.clone(),
            seed: candidate.seed,
            secret: candidate.secret.clone(),
            extra_ca: candidate.extra_ca.clone(),
            advisories: None,
            audited_with: OnceLock::new(),
            cancel: candidate.cancel.clone(),
            events: events::channel().0,
            quiet: candidate.quiet.clone(),
            raw: Mutex::new(Vec::new()),
        }
    }
}

fn read(
    dir: &Path,
    track: &str,
    name: &str,
    into: &Path,
    template: &std::collections::BTreeMap<String, Vec<u8>>,
    globs: &[String],
) -> Result<Source, Stop> {
    let bad = |error: solution::SolutionError| Stop::BadExercise {
        detail: error.to_string(),
    };
    let commit = solution::materialise(dir, track, name, into).map_err(bad)?;
    let fetched = Fetched {
        commit,
        reference: "refs/heads/main".into(),
        received_at: SystemTime::UNIX_EPOCH,
    };
    Source::read(into, &fetched, template, globs)
}

/// Builds the reference, unless a tree made from the very same inputs is there already.
pub(super) async fn build(mut context: Context<'_>) -> Result<(Context<'_>, Built), Stop> {
    let key = cache_key(&context)?;
    let cached = context.engine.cached(&key).await;
    let tree = cached.map_err(|error| faults::engine(&error))?;
    if tree.is_some() {
        let deps = build::dependencies(&context, "reference-deps", &mut no_evidence()).await?;
        return Ok((context, Built { deps, tree }));
    }
    let volume = |name: &str, bytes, inodes| VolumeSpec {
        name: name.into(),
        bytes,
        inodes,
    };
    let specs = [
        volume("reference-src", context::SRC_BYTES, context::TREE_INODES),
        volume("reference-work", context::WORK_BYTES, 2 * context::TREE_INODES),
    ];
    let volumes = context.run.volumes(&specs).await;
    let volumes = volumes.map_err(|error| faults::start(&error))?;
    let (src, work) = (
        context::volume(&volumes, "reference-src")?,
        context::volume(&volumes, "reference-work")?,
    );
    let entries = context.source.entries()?;
    let written = volumes.write_tree("reference-src", stream::iter(entries)).await;
    written.map_err(|error| Role::Trusted("loader").ask(&error))?;
    context.trees = Some(Trees {
        volumes,
        src,
        history: None,
        work: work.clone(),
    });
    let (evidence, built) = Box::pin(build::build(&context)).await;
    let Some(built) = built else {
        return Err(evidence.stop.unwrap_or(Stop::NotBuilt));
    };
    let caps = TreeCaps {
        bytes: context::WORK_BYTES,
        entries: 2 * context::TREE_INODES,
        depth: 64,
    };
    let published = context.run.publish_cache(&key, &work, caps).await;
    let (tree, _) = published.map_err(|error| faults::publish(&error))?;
    let built = Built {
        tree: Some(tree),
        ..built
    };
    Ok((context, built))
}

/// The same image, commands and commit give the same tree.
fn cache_key(context: &Context<'_>) -> Result<String, Stop> {
    let image = context.image(&context.toolchain_image)?;
    let toolchain = serde_json::to_string(&context.toolchain).map_err(|error| Stop::BadExercise {
        detail: error.to_string(),
    })?;
    let commit = context.source.commit().to_string();
    let mut hash = Sha256::new();
    for part in ["reference", &image.id, &toolchain, &commit] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Ok(crate::folder::hex(&hash.finalize()))
}

fn no_evidence() -> CheckEvidence {
    CheckEvidence::new("reference", CheckKind::Build, Default::default())
}
