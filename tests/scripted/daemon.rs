//! A worker process with scripted checks, to be killed: `scripted-daemon DATA WORKSPACE CHECK_MS DRAIN_MS`.
#![expect(clippy::unwrap_used, reason = "a program for tests fails by panicking")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use assay_engine::worker::{Drained, HostLock, Worker};
use assay_store::Store;
use scripted::{Script, settings};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// 0: all that was taken was done; 3: something was given back; 4: another worker is there.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, workspace, check_ms, drain_ms] = arguments.as_slice() else {
        return ExitCode::FAILURE;
    };
    let (data, millis) = (PathBuf::from(data), |text: &str| {
        Duration::from_millis(text.parse().unwrap())
    });
    let Ok(_lock) = HostLock::take(&data) else {
        return ExitCode::from(4);
    };
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        stop.cancel();
    });
    let database = format!("sqlite:{}", data.join("assay.db").display());
    let store = Store::open(&database, &data.join("blobs")).await.unwrap();
    let script = Script::new(&data, PathBuf::from(workspace).as_path(), millis(check_ms));
    let mut settings = settings(&data);
    settings.drain = millis(drain_ms);
    match Worker::new(store, script, settings).run(&shutdown).await {
        Drained::InTime => ExitCode::SUCCESS,
        Drained::CutShort(_) => ExitCode::from(3),
    }
}
