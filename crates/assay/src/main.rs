//! The command line of Assay: reads arguments and environment, wires the parts together, turns outcomes into exit codes.
//!
//! `anyhow` is used here and only here: everything that a command cannot go on from ends in one message on standard error.

mod commands;
mod exit;
mod progress;

use std::io::IsTerminal;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::exit::Exit;

/// Assesses backend take-home exercises: builds, tests, loads and attacks a submission in containers, and writes one scored
/// report in which every point can be traced to evidence.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    /// What of Assay's own doings is logged on standard error, such as `debug` or `assay_engine=debug`.
    #[arg(
        long,
        global = true,
        env = "ASSAY_LOG",
        default_value = "warn",
        value_name = "FILTER"
    )]
    log: String,
    /// The container engine's address; by default `DOCKER_HOST` or the local socket.
    #[arg(long, global = true, env = "DOCKER_HOST", value_name = "URL")]
    engine: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Assess one submission and write its report.
    Run(commands::run::Arguments),
    /// Render a stored report again.
    Report(commands::report::Arguments),
    /// Compute the score again from stored evidence, and show what changed.
    Rescore(commands::rescore::Arguments),
    /// Make, check and prove exercises.
    #[command(subcommand)]
    Exercise(commands::exercise::Command),
    /// Build, list and prune the images that checks run in.
    #[command(subcommand)]
    Images(commands::images::Command),
}

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_new(&cli.log).unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let exit = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(error.into()),
    };
    match exit {
        Ok(exit) => exit.into(),
        Err(error) => {
            progress::complain(&format!("error: {error:#}"));
            exit::of_error(&error).into()
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let cancel = CancellationToken::new();
    tokio::spawn(cancel_on_signal(cancel.clone()));
    let engine = cli.engine.as_deref();
    match cli.command {
        Command::Run(arguments) => commands::run::run(arguments, engine, &cancel).await,
        Command::Report(arguments) => commands::report::run(&arguments),
        Command::Rescore(arguments) => commands::rescore::run(&arguments),
        Command::Exercise(command) => commands::exercise::run(command, engine, &cancel).await,
        Command::Images(command) => commands::images::run(command, engine).await,
    }
}

/// The first signal cancels: containers are removed, then the program ends. A second one ends it at once; what it leaves is
/// removed by the next run's sweep.
async fn cancel_on_signal(cancel: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    for n_signals in 1.. {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
        if n_signals > 1 {
            #[expect(clippy::exit, reason = "the second signal asks for exactly this")]
            std::process::exit(130);
        }
        progress::complain("cancelling: removing containers; once more to end at once");
        cancel.cancel();
    }
}
