//! Log lines on standard error: text for people, JSON for programs.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::configuration::LogFormat;
use crate::exit::{Exit, Expected};

/// Begins to log what the filter lets through.
pub(crate) fn start(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|error| Expected {
        exit: Exit::BadConfiguration,
        message: format!(
            "`{filter}` is not a log filter: {error} (hint: it looks like `info` or `warn,assay_engine=debug`)"
        ),
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
