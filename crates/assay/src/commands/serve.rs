//! `assay serve`: the daemon, put together.

use std::time::Duration;

use anyhow::Context;
use assay_engine::Exercises;
use assay_server::hooks::Courier;
use assay_server::hooks::sealing::SealingKey;
use assay_server::{App, Drained, Settings};
use clap::Args;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{backup, worker};
use crate::configuration::{Configuration, Options};
use crate::data_folder::DataFolder;
use crate::engine;
use crate::exit::Exit;
use crate::local_account;

/// How long work that outlives its request (pushes, messages to forges, archives) may take to end after the last request.
const TASKS_WITHIN: Duration = Duration::from_secs(10);
/// How often old samples of histograms are put away.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Bounds of requests' histograms, in seconds.
const REQUEST_SECONDS: &[f64] = &[0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0];
/// Bounds of all others: checks and waiting, in seconds.
const LONG_SECONDS: &[f64] = &[0.1, 1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0];

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) options: Options,
}

/// Serves until `stop` is cancelled, then drains.
pub(crate) async fn serve(
    configuration: &Configuration,
    engine: &engine::Options,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    let data = DataFolder::open(&configuration.data)?;
    let store = backup::open(configuration, &data).await?;
    let n_migrations = store
        .migrate()
        .await
        .context("the database cannot be brought up to date")?;
    if n_migrations > 0 {
        tracing::info!(n_migrations, "the database's schema was brought up to date");
    }
    local_account::ensure(&store, &data).await?;
    let exercises = exercises(configuration);
    let metrics = metrics()?;
    let station = match configuration.worker.enabled {
        true => Some(worker::Station::prepare(
            configuration,
            &data,
            &store,
            &exercises,
        )?),
        false => None,
    };
    let listen = configuration.http.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("{listen} cannot be listened on (hint: see http.listen in `assay config`)")
    })?;
    // Asked for again: port 0 lets the system choose.
    let listen = listener.local_addr()?;

    let url = configuration.public_url(listen);

    let tasks = TaskTracker::new();
    let app = App::new(
        store,
        exercises,
        settings(configuration, &data, &url)?,
        metrics.clone(),
        stop.clone(),
        tasks.clone(),
    );
    tasks.spawn(assay_server::housekeeping(app.clone()));
    tasks.spawn(Courier::new(app.clone()).run());
    tasks.spawn(keep_up(metrics, stop.clone()));
    tracing::info!(%listen, url, "listening on {listen}, serving {url}");
    let serving = assay_server::serve(
        listener,
        assay_server::router(app.clone()),
        stop,
        configuration.http.drain.as_duration(),
    );
    let working = async {
        if let Some(station) = station {
            station
                .work(engine, stop, |note| match note {
                    worker::Note::Usable(usable) => app.note_engine(usable),
                    worker::Note::Concerns(n) => app.note_concerns(n),
                })
                .await;
        }
    };
    let (drained, ()) = tokio::join!(serving, working);
    match drained {
        Drained::Whole => tracing::info!("drained: every request was answered"),
        Drained::Cut { n_open } => {
            tracing::warn!(n_open, "not drained in time: {n_open} connections were cut");
        }
    }
    tasks.close();
    if tokio::time::timeout(TASKS_WITHIN, tasks.wait()).await.is_err() {
        tracing::warn!(
            n_tasks = tasks.len(),
            "{} tasks were left unfinished",
            tasks.len()
        );
    }
    Ok(Exit::Done)
}

/// Those that can be used; the mistakes of the others are told.
pub(super) fn exercises(configuration: &Configuration) -> Exercises {
    let section = &configuration.exercises;
    let (exercises, mistakes) = Exercises::read_within(
        &section.folder,
        &section.runner_images,
        configuration.limits.most(),
    );
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

fn settings(configuration: &Configuration, data: &DataFolder, url: &str) -> anyhow::Result<Settings> {
    Ok(Settings {
        public_url: url.to_owned(),
        repositories: data.join("repositories"),
        archives: data.join("archives"),
        max_push_bytes: configuration.git.max_push.0,
        push_progress: configuration.git.push_progress.as_duration(),
        behind_proxy: configuration.http.behind_proxy,
        retention: Duration::from_secs(u64::from(configuration.git.retention_days) * 24 * 3600),
        key: SealingKey::new(data.key()?),
        oidc: configuration.oidc.provider()?,
    })
}

/// Where everything that is counted goes.
fn metrics() -> anyhow::Result<PrometheusHandle> {
    let requests = Matcher::Prefix("assay_http".to_owned());
    let handle = PrometheusBuilder::new()
        .set_buckets(LONG_SECONDS)?
        .set_buckets_for_metric(requests, REQUEST_SECONDS)?
        .install_recorder()
        .context("the metrics cannot be set up")?;
    assay_engine::meters::describe();
    Ok(handle)
}

async fn keep_up(metrics: PrometheusHandle, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(UPKEEP_EVERY) => metrics.run_upkeep(),
        }
    }
}
