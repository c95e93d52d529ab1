//! The gate for authors: what the sample solutions score is what their author expects.

use std::path::{Path, PathBuf};

use anyhow::Context;
use assay_core::expected::{Band, Bands, Comparison, Expected, ExpectedFinding, compare_findings};
use assay_core::report::Report;
use assay_core::rigour::BugOutcome;
use assay_core::scoring::Scorecard;
use assay_core::yaml::Mistake;
use assay_engine::ExerciseFolder;
use clap::Args;
use globset::Glob;
use tokio_util::sync::CancellationToken;

use super::super::assess::{self, Request};
use super::super::{folders, output};
use crate::engine;
use crate::exit::Exit;
use crate::progress::{self, Style};

/// The bare template may score at most so many points.
const TEMPLATE_AT_MOST: f64 = 5.0;
/// The reference solution of each track must score at least so many points.
const REFERENCE_AT_LEAST: f64 = 95.0;
const REFERENCE: &str = assay_git::solution::REFERENCE;
const TEMPLATE: &str = assay_git::solution::TEMPLATE;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Folder of the exercise.
    dir: PathBuf,
    /// Only solutions whose `track/name` matches this glob.
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    /// Folder for the reports; by default a temporary one that is removed.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of random data in checks; by default drawn by chance for each solution.
    #[arg(long)]
    seed: Option<u64>,
    /// Certificate authorities (PEM) that package managers trust besides the usual ones.
    #[arg(long, env = "ASSAY_CA_BUNDLE", value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// Folder of OSV records (JSON), such as an unpacked export of osv.dev, to audit dependencies against; without one they are
    /// not audited.
    #[arg(long, env = "ASSAY_ADVISORIES", value_name = "DIR")]
    advisories: Option<PathBuf>,
    /// Folder with the images' sources; by default the nearest `runner-images`.
    #[arg(long, value_name = "DIR")]
    runner_images: Option<PathBuf>,
}

/// A solution and what its author expects of it.
pub(crate) struct Solution {
    track: String,
    name: String,
    bands: Bands,
    findings: Vec<ExpectedFinding>,
    no_findings: Vec<String>,
}

impl Solution {
    fn path(&self) -> String {
        format!("{}/{}", self.track, self.name)
    }
}

pub(crate) async fn run(
    arguments: &Arguments,
    engine: &engine::Options,
    cancel: &CancellationToken,
) -> anyhow::Result<Exit> {
    let folder = folders::exercise(&arguments.dir, arguments.runner_images.as_deref())?;
    let all = read_solutions(&arguments.dir, &folder).map_err(|mistakes| crate::exit::mistakes(&mistakes))?;
    let chosen = choose(all, &arguments.only)?;
    let extra_ca = folders::ca_bundle(arguments.ca_bundle.as_deref())?;
    let engine = assess::connect(engine).await?;
    let temporary = tempfile::tempdir().context("no temporary folder can be made")?;
    let out = arguments.out.as_deref().unwrap_or(temporary.path());
    let (mut n_failed, mut n_open) = (0, 0);
    for solution in &chosen {
        let out = out.join(&solution.track).join(&solution.name);
        let repository = temporary
            .path()
            .join(format!("{}-{}.git", solution.track, solution.name));
        assay_git::solution::materialise(&arguments.dir, &solution.track, &solution.name, &repository)?;
        let request = Request {
            folder: &folder,
            track: &solution.track,
            repository: &repository.to_string_lossy(),
            reference: None,
            seed: arguments.seed,
            extra_ca: extra_ca.clone(),
            advisories: folders::advisories(arguments.advisories.as_deref())?,
            out: &out,
        };
        let (events, receiver) = assay_engine::events::channel();
        let showing = progress::show(receiver, Style::Quiet);
        let report = assess::assess(&engine, &request, &events, cancel).await;
        drop(events);
        drop(showing.await);
        let (report, teardown) =
            report.with_context(|| format!("{} could not be assessed", solution.path()))?;
        assess::ended(teardown).await;
        output::write(&report, None, &out, &[])?;
        let mut comparison = solution.bands.compare(&scorecard(&report));
        if solution.name == REFERENCE {
            comparison.misses.extend(uncaught(&report));
        }
        let misses = compare_findings(&solution.findings, &solution.no_findings, &report.findings);
        comparison.misses.extend(misses);
        progress::say(&row(solution, &report, &comparison));
        n_failed += usize::from(!comparison.misses.is_empty());
        n_open += usize::from(comparison.misses.is_empty() && !comparison.open.is_empty());
    }
    let n_passed = chosen.len() - n_failed - n_open;
    progress::say(&format!("{n_passed} passed, {n_failed} failed, {n_open} skipped"));
    Ok(match (n_failed, n_open) {
        (0, 0) => Exit::Done,
        (0, _) => Exit::NotScored,
        _ => Exit::GateFailed,
    })
}

/// All solutions of all tracks, the bare templates first.
pub(crate) fn read_solutions(dir: &Path, folder: &ExerciseFolder) -> Result<Vec<Solution>, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let mut solutions = Vec::new();
    for track in folder.spec.tracks.keys() {
        let root = dir.join("solutions").join(track);
        let mut names: Vec<String> = std::fs::read_dir(&root)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        if !names.iter().any(|name| name == REFERENCE) {
            let hint = "every track needs a reference solution";
            mistakes.push(Mistake::of_file(
                &root.display().to_string(),
                "has no folder `reference`",
                hint,
            ));
        }
        // A solution of this name says more about the bare template than the rule for all of them.
        if !names.iter().any(|name| name == TEMPLATE) {
            solutions.push(Solution {
                track: track.clone(),
                name: TEMPLATE.into(),
                bands: template_bands(),
                findings: Vec::new(),
                no_findings: Vec::new(),
            });
        }
        for name in names {
            let path = root.join(&name).join("expected.yaml");
            if let Some(expected) = assay_engine::read_yaml::<Expected>(&path, &mut mistakes) {
                let mut bands = expected.bands;
                if name == REFERENCE {
                    bands.total.min = bands.total.min.max(REFERENCE_AT_LEAST);
                }
                solutions.push(Solution {
                    track: track.clone(),
                    name,
                    bands,
                    findings: expected.findings,
                    no_findings: expected.no_findings,
                });
            }
        }
    }
    if mistakes.is_empty() {
        Ok(solutions)
    } else {
        Err(mistakes)
    }
}

fn template_bands() -> Bands {
    let total = Band {
        min: 0.0,
        max: TEMPLATE_AT_MOST,
    };
    Bands {
        total,
        correctness: None,
        tests: None,
        latency: None,
        security: None,
        style: None,
        documentation: None,
    }
}

fn choose(all: Vec<Solution>, globs: &[String]) -> anyhow::Result<Vec<Solution>> {
    if globs.is_empty() {
        return Ok(all);
    }
    let mut matchers = Vec::new();
    for glob in globs {
        matchers.push(
            Glob::new(glob)
                .with_context(|| format!("`{glob}` is not a glob"))?
                .compile_matcher(),
        );
    }
    let chosen: Vec<Solution> = all
        .into_iter()
        .filter(|solution| matchers.iter().any(|glob| glob.is_match(solution.path())))
        .collect();
    anyhow::ensure!(!chosen.is_empty(), "no solution matches");
    Ok(chosen)
}

/// A seeded bug that the reference's own black-box tests do not catch is not proven to be one.
fn uncaught(report: &Report) -> impl Iterator<Item = String> {
    let missed = report.bugs.iter().filter(|bug| bug.outcome == BugOutcome::Missed);
    missed.map(|bug| format!("its black-box tests do not catch the seeded bug {}", bug.id))
}

fn scorecard(report: &Report) -> Scorecard {
    Scorecard {
        score: report.score.clone(),
        categories: report.categories.clone(),
    }
}

fn row(solution: &Solution, report: &Report, comparison: &Comparison) -> String {
    let verdict = match (comparison.misses.is_empty(), comparison.open.is_empty()) {
        (true, true) => "as expected",
        (true, false) => "open: not all was scored",
        (false, _) => "NOT AS EXPECTED",
    };
    let percents: Vec<String> = report
        .categories
        .iter()
        .map(|category| {
            format!(
                "{} {:.0} %",
                category.id.name(),
                100.0 * category.score / category.max.max(0.01)
            )
        })
        .collect();
    let seconds = report.run.duration_ms as f64 / 1000.0;
    let mut row = format!(
        "{:<36} {:>6.2}  {verdict}  [{}]  {seconds:.0} s",
        solution.path(),
        report.score.total,
        percents.join(", ")
    );
    for miss in comparison.misses.iter().chain(&comparison.open) {
        row += &format!("\n    {miss}");
    }
    row
}
