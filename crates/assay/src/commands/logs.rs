//! `assay logs`: what happens, or happened, in a run of a daemon.

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::progress;
use crate::remote::{self, Server};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Id of the run.
    run: assay_core::id::RunId,
    /// Go on until the run has ended; otherwise only what has happened so far is shown.
    #[arg(long, short)]
    follow: bool,
    /// One JSON object per event, with its number and time.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub(crate) async fn run(arguments: &Arguments, cancel: &CancellationToken) -> anyhow::Result<Exit> {
    let client = arguments.server.connect()?;
    let run = arguments.run.as_str();
    let mut began_ms = None;
    let mut tell = |told: &remote::Told, data: &str| {
        if arguments.json {
            progress::say(data);
            return;
        }
        let began_ms = *began_ms.get_or_insert(told.at_ms);
        if let Some(text) = progress::text(&told.event) {
            let seconds = (told.at_ms - began_ms) as f64 / 1000.0;
            progress::say(&format!("[{seconds:>6.1} s] {text}"));
        }
    };
    if arguments.follow {
        remote::follow(&client, run, cancel, &mut tell).await?;
    } else {
        remote::so_far(&client, run, &mut tell).await?;
    }
    Ok(Exit::Done)
}
