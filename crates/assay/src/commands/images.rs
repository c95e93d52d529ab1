//! `assay images`: what checks run in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use assay_engine::DRIVE_IMAGE;
use assay_sandbox::images::{self, BuildOptions, ImageFolder};
use clap::{Args, Subcommand};

use super::{assess, folders};
use crate::engine;
use crate::exit::Exit;
use crate::progress;

/// How long building one image may take.
const BUILD_TIMEOUT: Duration = Duration::from_secs(1800);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build images from `runner-images`; those that did not change are left alone.
    Build(Build),
    /// List the images there are.
    List,
    /// Remove images of earlier versions.
    Prune,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Which ones; by default all.
    names: Vec<String>,
    /// Certificate authorities (PEM) that package managers trust while images are built; none of it stays in an image.
    #[arg(long, env = "ASSAY_CA_BUNDLE", value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// The static program for the drive image; by default `assay-drive` beside this program.
    #[arg(long, value_name = "FILE")]
    drive: Option<PathBuf>,
    /// Folder with the images' sources; by default the nearest `runner-images`.
    #[arg(long, value_name = "DIR")]
    runner_images: Option<PathBuf>,
    /// Build in the host's network, for engines without a bridge.
    #[arg(long)]
    host_network: bool,
    /// Show what the builds say.
    #[arg(long, short)]
    verbose: bool,
}

pub(crate) async fn run(command: Command, engine: &engine::Options) -> anyhow::Result<Exit> {
    // Nothing of a candidate's runs.
    let engine = engine::Options {
        runtime: None,
        ..engine.clone()
    };
    let engine = assess::connect(&engine).await?;
    match command {
        Command::Build(arguments) => build(&engine, &arguments).await?,
        Command::List => {
            for image in images::list(&engine).await? {
                let mebibytes = image.size_bytes >> 20;
                progress::say(&format!(
                    "{:<12} {mebibytes:>5} MiB  {}",
                    image.name,
                    image.tags.join(" ")
                ));
            }
        }
        Command::Prune => {
            let pruned = images::prune(&engine).await?;
            progress::say(&format!("removed {} images", pruned.len()));
        }
    }
    Ok(Exit::Done)
}

async fn build(engine: &assay_sandbox::Engine, arguments: &Build) -> anyhow::Result<()> {
    let root = folders::runner_images(arguments.runner_images.as_deref(), Path::new("."))?;
    let names = if arguments.names.is_empty() {
        all(&root)?
    } else {
        arguments.names.clone()
    };
    let extra_ca = folders::ca_bundle(arguments.ca_bundle.as_deref())?;
    for name in names {
        let folder = ImageFolder::read(&root.join(&name))?;
        let agent = if name == DRIVE_IMAGE {
            Some(drive_program(arguments)?)
        } else {
            None
        };
        let options = BuildOptions {
            agent,
            extra_ca: extra_ca.clone(),
            host_network: arguments.host_network,
            timeout: BUILD_TIMEOUT,
            args: Default::default(),
        };
        let began = std::time::Instant::now();
        let mut said: Vec<String> = Vec::new();
        let mut on_line = |line: &str| {
            if arguments.verbose {
                progress::complain(&format!("{name}: {}", line.trim_end()));
            }
            said.push(line.to_owned());
        };
        let built = images::build(engine, &folder, &options, &mut on_line).await;
        if built.is_err() && !arguments.verbose {
            let skip = said.len().saturating_sub(40);
            said.iter()
                .skip(skip)
                .for_each(|line| progress::complain(line.trim_end()));
        }
        let image = built.with_context(|| format!("the image {name} could not be built"))?;
        progress::say(&format!(
            "{name:<12} {} ({:.1} s)",
            image.tag,
            began.elapsed().as_secs_f64()
        ));
    }
    Ok(())
}

fn all(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut names: Vec<String> = std::fs::read_dir(root)
        .with_context(|| format!("{} cannot be read", root.display()))?
        .flatten()
        .filter(|entry| entry.path().join("Dockerfile").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// The bytes of the static program.
fn drive_program(arguments: &Build) -> anyhow::Result<Vec<u8>> {
    let path = match &arguments.drive {
        Some(given) => given.clone(),
        None => std::env::current_exe()
            .context("this program's own path is not known")?
            .with_file_name("assay-drive"),
    };
    std::fs::read(&path).with_context(|| {
        format!(
            "{} cannot be read (hint: build assay-drive as a static program, and name it with --drive; ci/setup does both)",
            path.display()
        )
    })
}
