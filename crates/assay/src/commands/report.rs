//! `assay report`: render a stored report again, or fetch one from a daemon.

use std::path::{Path, PathBuf};

use assay_core::id::RunId;
use clap::Args;

use super::output::{self, Format};
use super::runs;
use crate::exit::Exit;
use crate::progress;
use crate::remote::Server;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A `report.json`, the folder that it is in, or the id of a run of a daemon.
    report: PathBuf,
    /// Folder to write to; by default the report's own, for a run of a daemon one with its id as its name.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Forms of the report; by default all.
    #[arg(long, value_enum)]
    format: Vec<Format>,
    #[command(flatten)]
    server: Server,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if let Some(run) = run_of_a_daemon(arguments) {
        let out = arguments.out.clone().unwrap_or_else(|| run.as_str().into());
        runs::fetch_report(&run, &out, &arguments.server).await?;
        return write(&out, &out, &arguments.format);
    }
    let own = if arguments.report.is_dir() {
        Some(arguments.report.as_path())
    } else {
        arguments.report.parent()
    };
    let out = arguments.out.as_deref().or(own).unwrap_or_else(|| Path::new("."));
    write(&arguments.report, out, &arguments.format)
}

/// What is no file here is a run there.
fn run_of_a_daemon(arguments: &Arguments) -> Option<RunId> {
    let text = arguments.report.to_str().filter(|_| !arguments.report.exists())?;
    text.parse().ok()
}

fn write(report: &Path, out: &Path, formats: &[Format]) -> anyhow::Result<Exit> {
    let (report, json) = output::read(report)?;
    for file in output::write(&report, Some(&json), out, formats)? {
        progress::say(&format!("wrote {}", file.display()));
    }
    Ok(Exit::Done)
}
