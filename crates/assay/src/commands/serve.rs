//! `assay serve` and `assay worker`: the daemon, put together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use assay_engine::Exercises;
use assay_server::{App, Drained, Settings};
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::configuration::{Configuration, Options};
use crate::data_folder::DataFolder;
use crate::exit::Exit;

/// How long work that outlives its request (tells of forges, archives) may take to end after everything else has ended.
const TASKS_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) options: Options,
}

/// Serves until `stop` is cancelled, then drains.
pub(crate) async fn serve(
    configuration: &Configuration,
    engine: Option<&str>,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    let data = DataFolder::open(&configuration.data)?;
    let store = super::backup::open(configuration, &data).await?;
    let n_migrations = store
        .migrate()
        .await
        .context("the database cannot be brought up to date")?;
    if n_migrations > 0 {
        tracing::info!(n_migrations, "the database's schema was brought up to date");
    }
    let exercises = exercises(configuration);
    let listen = configuration.http.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("{listen} cannot be listened on (hint: see http.listen in `assay config`)")
    })?;
    let tasks = TaskTracker::new();
    let app = App::new(
        store,
        exercises,
        settings(configuration, &data),
        stop.clone(),
        tasks.clone(),
    );
    tracing::info!(%listen, url = configuration.public_url(), "serving at {listen} as {}", configuration.public_url());
    let drained = assay_server::serve(
        listener,
        assay_server::router(app),
        stop,
        configuration.http.drain.as_duration(),
    )
    .await;
    let _ = (engine, Arc::new(()));
    tell(drained);
    tasks.close();
    if tokio::time::timeout(TASKS_WITHIN, tasks.wait()).await.is_err() {
        tracing::warn!(
            n_tasks = tasks.len(),
            "ended with {} tasks unfinished",
            tasks.len()
        );
    }
    Ok(Exit::Done)
}

fn tell(drained: Drained) {
    match drained {
        Drained::Whole => tracing::info!("drained: every request was answered"),
        Drained::Cut { n_open } => {
            tracing::warn!(n_open, "not drained in time: {n_open} connections were cut");
        }
    }
}

/// Those that can be used; the mistakes of the others are told.
fn exercises(configuration: &Configuration) -> Exercises {
    let section = &configuration.exercises;
    let (exercises, mistakes) = Exercises::read(&section.folder, &section.runner_images);
    for mistake in &mistakes {
        tracing::warn!("an exercise cannot be used: {mistake}");
    }
    let slugs: Vec<String> = exercises
        .all()
        .iter()
        .map(|folder| folder.spec.slug.clone())
        .collect();
    tracing::info!(n_exercises = slugs.len(), "exercises: {}", slugs.join(", "));
    exercises
}

fn settings(configuration: &Configuration, data: &DataFolder) -> Settings {
    Settings {
        public_url: configuration.public_url(),
        repositories: data.join("repositories"),
        archives: data.join("archives"),
        max_push_bytes: configuration.git.max_push.0,
        push_progress: configuration.git.push_progress.as_duration(),
        behind_proxy: configuration.http.behind_proxy,
        retention: Duration::from_secs(u64::from(configuration.git.retention_days) * 24 * 3600),
    }
}
