//! `assay exercise`: for those who write exercises.

mod new;
mod schema;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tokio_util::sync::CancellationToken;

use super::folders;
use crate::engine;
use crate::exit::Exit;
use crate::progress;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a small exercise that works, to start from.
    New(new::Arguments),
    /// Report all mistakes of an exercise at once.
    Lint(Lint),
    /// Write the JSON Schemas of the files that people write.
    Schema(schema::Arguments),
    /// Assess every solution, and fail unless each scorecard is as its `expected.yaml` says.
    Verify(verify::Arguments),
    /// Make a Git repository out of a sample solution.
    Checkout(Checkout),
}

#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// Folder of the exercise.
    dir: PathBuf,
    /// Folder with the images' sources; by default the nearest `runner-images`.
    #[arg(long, value_name = "DIR")]
    runner_images: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Checkout {
    /// Folder of the exercise.
    dir: PathBuf,
    /// Which solution, such as `python/reference`; `python/template` is the bare template.
    #[arg(long, value_name = "TRACK/NAME")]
    solution: String,
    /// Folder for the repository; it must not be there yet.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
}

pub(crate) async fn run(
    command: Command,
    engine: &engine::Options,
    cancel: &CancellationToken,
) -> anyhow::Result<Exit> {
    match command {
        Command::New(arguments) => new::run(&arguments),
        Command::Lint(arguments) => lint(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments, engine, cancel).await,
        Command::Checkout(arguments) => checkout(&arguments),
    }
}

fn lint(arguments: &Lint) -> anyhow::Result<Exit> {
    let folder = folders::exercise(&arguments.dir, arguments.runner_images.as_deref())?;
    let mistakes = verify::read_solutions(&arguments.dir, &folder)
        .err()
        .unwrap_or_default();
    if !mistakes.is_empty() {
        return Err(crate::exit::mistakes(&mistakes));
    }
    let spec = &folder.spec;
    let n_bugs = folder.seeded.as_ref().map_or(0, |seeded| seeded.bugs.len());
    progress::say(&format!(
        "{} has no mistakes: {} tracks, {} checks, {} points, {} hidden test files, {n_bugs} seeded bugs",
        spec.slug,
        spec.tracks.len(),
        spec.checks.len(),
        spec.scoring.max(),
        folder.tests.len()
    ));
    Ok(Exit::Done)
}

fn checkout(arguments: &Checkout) -> anyhow::Result<Exit> {
    let Some((track, name)) = arguments.solution.split_once('/') else {
        anyhow::bail!("`{}` is not of the form TRACK/NAME", arguments.solution);
    };
    let commit = assay_git::solution::materialise(&arguments.dir, track, name, &arguments.into)?;
    progress::say(&format!("{commit} {}", arguments.into.display()));
    Ok(Exit::Done)
}
