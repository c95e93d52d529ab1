//! `assay report`: render a stored report again.

use std::path::PathBuf;

use clap::Args;

use super::output::{self, Format};
use crate::exit::Exit;
use crate::progress;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A `report.json`, or the folder that it is in.
    report: PathBuf,
    /// Folder to write to; by default the report's own.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Forms of the report; by default all.
    #[arg(long, value_enum)]
    format: Vec<Format>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let report = output::read(&arguments.report)?;
    let own = if arguments.report.is_dir() {
        Some(arguments.report.as_path())
    } else {
        arguments.report.parent()
    };
    let out = arguments
        .out
        .as_deref()
        .or(own)
        .unwrap_or_else(|| std::path::Path::new("."));
    for file in output::write(&report, out, &arguments.format)? {
        progress::say(&format!("wrote {}", file.display()));
    }
    Ok(Exit::Done)
}
