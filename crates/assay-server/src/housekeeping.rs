//! What the daemon does from time to time without being asked.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::{App, Problem, desk, git};

/// How often.
const EVERY: Duration = Duration::from_secs(10 * 60);
/// Blobs of runs that are being written are referenced later than they are stored.
const YOUNG_MS: i64 = 24 * 60 * 60 * 1000;
/// Deliveries of webhooks are remembered for this long.
const DELIVERIES_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Queues pushes that nobody wrote down, archives what is due and forgets what has expired, until the daemon drains.
pub async fn housekeeping(app: App) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.shutdown().cancelled() => return,
            _ = every.tick() => (),
        }
        if let Err(problem) = tidy(&app).await {
            tracing::warn!(
                detail = problem.detail,
                "housekeeping was not finished; it is tried again"
            );
        }
    }
}

async fn tidy(app: &App) -> Result<(), Problem> {
    app.limits().forget();
    let now_ms = app.now_ms();
    let store = app.store();
    git::catch_up(app).await?;
    let n_archived = desk::archive_due(app).await?;
    let n_tokens = store.remove_expired_tokens(now_ms).await?;
    let n_blobs = store.remove_unreferenced_blobs(now_ms - YOUNG_MS).await?;
    store.remove_old_deliveries(now_ms - DELIVERIES_MS).await?;
    tracing::debug!(
        n_archived,
        n_tokens,
        n_blobs,
        "housekeeping: {n_archived} archived, {n_tokens} tokens and {n_blobs} blobs removed"
    );
    Ok(())
}
