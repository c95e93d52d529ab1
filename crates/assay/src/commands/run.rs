//! `assay run`: one submission, one report.

use std::path::PathBuf;

use assay_core::report::Report;
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::assess::{self, Request};
use super::output::{self, Format};
use super::submission::Submission;
use super::{attest, folders};
use crate::ci::Ci;
use crate::engine;
use crate::exit::Exit;
use crate::progress::{self, Style};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    submission: Submission,
    /// Folder for the report and its evidence.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Forms of the report; by default all.
    #[arg(long, value_enum)]
    format: Vec<Format>,
    /// End with code 100 when the total is below this many points.
    #[arg(long, value_name = "N")]
    fail_under: Option<f64>,
    /// Tell what happens as JSON lines on standard output.
    #[arg(long)]
    json: bool,
    /// Private key (Ed25519, PEM) that the report is signed with; by default the user's own, made at the first run.
    #[arg(long, env = "ASSAY_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Folder of OSV records (JSON), such as an unpacked export of osv.dev, to audit dependencies against; without one they are
    /// not audited.
    #[arg(long, env = "ASSAY_ADVISORIES", value_name = "DIR")]
    advisories: Option<PathBuf>,
}

pub(crate) async fn run(
    arguments: Arguments,
    engine: &engine::Options,
    cancel: &CancellationToken,
) -> anyhow::Result<Exit> {
    let submission = &arguments.submission;
    let (folder, track) = submission.exercise()?;
    attest::check_key(arguments.key.as_deref())?;
    let extra_ca = submission.extra_ca()?;
    let engine = assess::connect(engine).await?;
    let (events, receiver) = assay_engine::events::channel();
    let style = if arguments.json { Style::Json } else { Style::Text };
    let showing = progress::show(receiver, style);
    let request = Request {
        folder: &folder,
        track: &track,
        repository: &submission.repository,
        reference: submission.reference.as_deref(),
        seed: submission.seed,
        extra_ca,
        advisories: folders::advisories(arguments.advisories.as_deref())?,
        out: &arguments.out,
    };
    // A program that reads JSON lines is told nothing else.
    let ci = Ci::detect().filter(|_| !arguments.json);
    if let Some(ci) = &ci {
        ci.begin();
    }
    let report = assess::assess(&engine, &request, &events, cancel).await;
    drop(events);
    drop(showing.await);
    let (report, teardown) = report?;
    let told = tell(&report, &arguments, ci.as_ref());
    assess::ended(teardown).await;
    told
}

/// Writes the report in all its forms, and says what it says.
fn tell(report: &Report, arguments: &Arguments, ci: Option<&Ci>) -> anyhow::Result<Exit> {
    let mut files = output::write(report, None, &arguments.out, &arguments.format)?;
    files.extend(attest::sign(
        report,
        &report.exercise.digest,
        &arguments.out,
        arguments.key.as_deref(),
    )?);
    if !arguments.json {
        progress::say(&output::summary(report));
        for file in files {
            progress::say(&format!("wrote {}", file.display()));
        }
    }
    let exit = verdict(report, arguments.fail_under);
    if let Some(ci) = ci {
        ci.end(report, &arguments.out, exit)?;
    }
    Ok(exit)
}

/// The gate is judged only when nothing of ours leaves it open.
fn verdict(report: &Report, fail_under: Option<f64>) -> Exit {
    let [low, high] = report.score.range;
    match fail_under {
        Some(bar) if high < bar => Exit::GateFailed,
        Some(bar) if low < bar => Exit::NotScored,
        Some(_) => Exit::Done,
        None if report.has_faults_of_ours() => Exit::NotScored,
        None => Exit::Done,
    }
}
