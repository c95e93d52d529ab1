//! `assay config`: what can be configured, and whether what is configured is right.

use clap::Args;

use crate::configuration::{Configuration, DEFAULT, Options};
use crate::exit::Exit;
use crate::progress;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Instead of printing the defaults, check the file, the variables and the flags; all mistakes at once.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if arguments.check {
        Configuration::load(&arguments.options)?;
        progress::say("the configuration has no mistakes");
    } else {
        progress::say(DEFAULT.trim_end());
    }
    Ok(Exit::Done)
}
