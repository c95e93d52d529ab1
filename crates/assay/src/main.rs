//! The command line of Assay: reads arguments and environment, wires the parts together, turns outcomes into exit codes.
//!
//! `anyhow` is used here and only here: everything that a command cannot go on from ends in one message on standard error.

mod ci;
mod commands;
mod configuration;
mod data_folder;
mod engine;
mod exit;
mod key_folder;
mod local_account;
mod logging;
mod preflight;
mod progress;
mod remote;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::configuration::{Configuration, LogFormat};
use crate::exit::Exit;

/// Assesses backend take-home exercises: builds, tests, loads and attacks a submission in containers, and writes one scored
/// report in which every point can be traced to evidence.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    /// What of Assay's own doings is logged on standard error, such as `debug` or `assay_engine=debug`; by default `warn`, and
    /// what the configuration says for the daemon.
    #[arg(long, global = true, env = "ASSAY_LOG", value_name = "FILTER")]
    log: Option<String>,
    #[command(flatten)]
    engine: engine::Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Once(Once),
    #[command(flatten)]
    Daemon(Daemon),
}

/// What does one thing and ends.
#[derive(Debug, Subcommand)]
enum Once {
    /// Assess one submission and write its report.
    Run(commands::run::Arguments),
    /// Render a stored report again, or fetch one of a daemon.
    Report(commands::report::Arguments),
    /// Search the highest rate at which a submission's service keeps the load plan's conditions.
    Saturate(commands::saturate::Arguments),
    /// Compute the score again from stored evidence, and show what changed.
    Rescore(commands::rescore::Arguments),
    /// Make, check and prove exercises.
    #[command(subcommand)]
    Exercise(commands::exercise::Command),
    /// Build, list and prune the images that checks run in.
    #[command(subcommand)]
    Images(commands::images::Command),
    /// Verify, without any server, that a report is the one that was signed.
    Verify(commands::verify::Arguments),
    /// Show the keys that results are signed with, or take a new one.
    #[command(subcommand)]
    Key(commands::key::Command),
    /// Invite a candidate: make an assignment with a private repository.
    Invite(commands::assignments::Invite),
    /// List a daemon's assignments, with their latest scores.
    Assignments(commands::assignments::List),
    /// Give a candidate more time or more attempts.
    Extend(commands::assignments::Extend),
    /// Close an assignment: nothing can be pushed any more.
    Close(commands::assignments::Close),
    /// List a daemon's runs.
    Runs(commands::runs::List),
    /// Show what happened in a run of a daemon, or follow it.
    Logs(commands::logs::Arguments),
    /// Check the same commit again, as a new run; it costs the candidate nothing.
    Rerun(commands::runs::One),
    /// Cancel a run of a daemon.
    Cancel(commands::runs::One),
    /// Make, list and switch off a daemon's connections to forges.
    #[command(subcommand)]
    Connect(commands::connect::Command),
    /// Make, list and switch off accounts of the daemon.
    #[command(subcommand)]
    User(commands::user::Command),
    /// Print the daemon's default configuration: all keys with their meaning.
    Config(commands::config::Arguments),
    /// Bring the database's schema up to date. `assay serve` does so by itself when it starts.
    Migrate(commands::backup::Migrate),
    /// Copy the installation into a folder while the daemon runs: database, evidence, repositories, archives, key.
    Backup(commands::backup::Backup),
    /// Examine whether everything that a daemon needs is there.
    Doctor(commands::doctor::Arguments),
}

/// What goes on until a signal ends it.
#[derive(Debug, Subcommand)]
enum Daemon {
    /// Serve: candidates push, forges trigger, interviewers read. Carries runs out, too, unless configured otherwise.
    Serve(commands::serve::Arguments),
    /// Carry out the runs of a daemon whose `worker.enabled` is false, in a process of its own on the same machine.
    Worker(commands::worker::Arguments),
}

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let mut runtime = match cli.command {
        // One assessment mostly waits for its containers: a second thread would cost more in wake-ups than it gains.
        Command::Once(_) => tokio::runtime::Builder::new_current_thread(),
        Command::Daemon(_) => {
            let mut threads = tokio::runtime::Builder::new_multi_thread();
            // As much stack as the main thread has: a run is one deep future, wherever it is polled.
            threads.worker_threads(2).thread_stack_size(8 << 20);
            threads
        }
    };
    let exit = match runtime.enable_all().build() {
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
    let engine = &cli.engine;
    match cli.command {
        Command::Once(command) => {
            let filter = cli.log.as_deref().unwrap_or("warn");
            let logging = logging::start(filter, LogFormat::Text, None)?;
            let doing = "cancelling: removing containers; once more to end at once";
            tokio::spawn(cancel_on_signal(cancel.clone(), doing));
            let exit = once(command, engine, &cancel).await;
            logging.end().await;
            exit
        }
        Command::Daemon(daemon) => {
            let (Daemon::Serve(commands::serve::Arguments { options })
            | Daemon::Worker(commands::worker::Arguments { options })) = &daemon;
            let configuration = Configuration::load(options)?;
            let filter = cli.log.as_deref().unwrap_or(&configuration.log.filter);
            let otlp = configuration.otlp.endpoint.as_deref();
            let logging = logging::start(filter, configuration.log.format, otlp)?;
            let doing = "draining; once more to end at once";
            tokio::spawn(cancel_on_signal(cancel.clone(), doing));
            let exit = match daemon {
                Daemon::Serve(_) => commands::serve::serve(&configuration, engine, &cancel).await,
                Daemon::Worker(_) => commands::worker::work(&configuration, engine, &cancel).await,
            };
            logging.end().await;
            exit
        }
    }
}

async fn once(command: Once, engine: &engine::Options, cancel: &CancellationToken) -> anyhow::Result<Exit> {
    match command {
        Once::Run(arguments) => commands::run::run(arguments, engine, cancel).await,
        Once::Report(arguments) => commands::report::run(&arguments).await,
        Once::Saturate(arguments) => commands::saturate::run(&arguments, engine, cancel).await,
        Once::Rescore(arguments) => commands::rescore::run(&arguments).await,
        Once::Verify(arguments) => commands::verify::run(&arguments),
        Once::Key(command) => commands::key::run(&command),
        Once::Exercise(command) => commands::exercise::run(command, engine, cancel).await,
        Once::Images(command) => commands::images::run(command, engine).await,
        Once::Invite(arguments) => commands::assignments::invite(&arguments).await,
        Once::Assignments(arguments) => commands::assignments::list(&arguments).await,
        Once::Extend(arguments) => commands::assignments::extend(&arguments).await,
        Once::Close(arguments) => commands::assignments::close(&arguments).await,
        Once::Runs(arguments) => commands::runs::list(&arguments).await,
        Once::Logs(arguments) => commands::logs::run(&arguments, cancel).await,
        Once::Rerun(arguments) => commands::runs::rerun(&arguments).await,
        Once::Cancel(arguments) => commands::runs::cancel(&arguments).await,
        Once::Connect(command) => commands::connect::run(command).await,
        Once::User(command) => commands::user::run(command).await,
        Once::Config(arguments) => commands::config::run(&arguments),
        Once::Migrate(arguments) => commands::backup::migrate(&arguments).await,
        Once::Backup(arguments) => commands::backup::backup(&arguments).await,
        Once::Doctor(arguments) => commands::doctor::run(&arguments, engine).await,
    }
}

/// The first signal cancels: containers are removed, then the program ends. A second one ends it at once; what it leaves is
/// removed by the next run's sweep.
async fn cancel_on_signal(cancel: CancellationToken, message: &str) {
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
        progress::complain(message);
        cancel.cancel();
    }
}
