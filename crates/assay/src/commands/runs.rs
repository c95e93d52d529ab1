//! `assay runs`, `rerun`, `cancel`, and `report` and `rescore` of a run: runs of a daemon.

use std::path::Path;

use anyhow::Context;
use assay_core::id::RunId;
use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::attest;
use crate::exit::Exit;
use crate::progress;
use crate::remote::{Server, query};

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this assignment.
    #[arg(long)]
    assignment: Option<String>,
    /// Only those of this exercise.
    #[arg(long)]
    exercise: Option<String>,
    /// Only those in this state: queued, running or finished.
    #[arg(long)]
    state: Option<String>,
    /// Print the rows as one JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// Id of the run.
    run: RunId,
    #[command(flatten)]
    server: Server,
}

/// As far as it is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Run {
    id: String,
    assignment: String,
    number: u32,
    trigger: String,
    commit: String,
    state: String,
    outcome: Option<String>,
    reason: String,
    queued_at_ms: i64,
    score: Option<Score>,
}

#[derive(Debug, Deserialize)]
struct Score {
    version: u32,
    total: f64,
    max: f64,
    low: f64,
    high: f64,
}

pub(crate) async fn list(arguments: &List) -> anyhow::Result<Exit> {
    let client = arguments.server.connect()?;
    let path = query(
        "/api/v1/runs",
        &[
            ("assignment", &arguments.assignment),
            ("exercise", &arguments.exercise),
            ("state", &arguments.state),
        ],
    );
    let rows = client.rows(&path).await?;
    if arguments.json {
        progress::say(&serde_json::to_string_pretty(&rows)?);
        return Ok(Exit::Done);
    }
    for row in rows {
        progress::say(&described(&serde_json::from_value(row)?));
    }
    Ok(Exit::Done)
}

pub(crate) async fn rerun(arguments: &One) -> anyhow::Result<Exit> {
    let client = arguments.server.connect()?;
    let path = format!("/api/v1/runs/{}/rerun", arguments.run);
    let run: Run = client.send(Method::POST, &path, &json!({})).await?;
    progress::say(&described(&run));
    Ok(Exit::Done)
}

pub(crate) async fn cancel(arguments: &One) -> anyhow::Result<Exit> {
    let client = arguments.server.connect()?;
    let path = format!("/api/v1/runs/{}/cancel", arguments.run);
    let answer: Value = client.send(Method::POST, &path, &json!({})).await?;
    progress::say(match answer["state"].as_str() {
        Some("finished") => "it is cancelled",
        _ => "it is told to stop",
    });
    Ok(Exit::Done)
}

/// Scores a run of the daemon again.
pub(super) async fn rescore(run: &RunId, server: &Server) -> anyhow::Result<Exit> {
    let client = server.connect()?;
    let before: Run = client.get(&format!("/api/v1/runs/{run}")).await?;
    let path = format!("/api/v1/runs/{run}/rescore");
    let after: Score = client.send(Method::POST, &path, &json!({})).await?;
    let before = before
        .score
        .map_or("not scored".to_owned(), |score| points(&score));
    progress::say(&format!(
        "{before} -> {} (scorecard {})",
        points(&after),
        after.version
    ));
    Ok(Exit::Done)
}

/// Fetches a run's `report.json` into a folder.
pub(super) async fn fetch_report(run: &RunId, into: &Path, server: &Server) -> anyhow::Result<()> {
    let client = server.connect()?;
    let bytes = client.bytes(&format!("/api/v1/runs/{run}/report.json")).await?;
    std::fs::create_dir_all(into).with_context(|| format!("{} cannot be made", into.display()))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = into.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))
    };
    write("report.json", &bytes)?;
    // Scorecards of before results were signed have none.
    match client.bytes(&format!("/api/v1/runs/{run}/attestation")).await {
        Ok(envelope) => write(attest::FILE, &envelope),
        Err(error) => {
            progress::complain(&format!("not signed: {error:#}"));
            Ok(())
        }
    }
}

fn described(run: &Run) -> String {
    let commit: String = run.commit.chars().take(10).collect();
    format!(
        "{}  {} #{:<3} {:<8} {commit}  {}  {}",
        run.id,
        run.assignment,
        run.number,
        run.trigger,
        super::due::shown(run.queued_at_ms),
        score(run)
    )
}

/// How a run came out, in a few words.
pub(super) fn score(run: &Run) -> String {
    match (&run.score, run.outcome.as_deref()) {
        (Some(score), Some("scored" | "partly_scored")) => points(score),
        (_, None) => run.state.clone(),
        (_, Some(outcome)) if run.reason.is_empty() => outcome.to_owned(),
        (_, Some(outcome)) => format!("{outcome}: {}", run.reason),
    }
}

fn points(score: &Score) -> String {
    let mut text = format!("{:.2} of {}", score.total, score.max);
    if score.low < score.high {
        text += &format!(" (between {:.2} and {:.2})", score.low, score.high);
    }
    text
}
