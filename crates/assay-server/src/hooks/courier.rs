//! Tells forges what became of their commits, until it is told or a day has passed.
//!
//! What is to be told stands in the store, so a crash loses nothing: whatever was told and not yet noted is told again, which
//! forges take for the same status and the same comment.

use std::sync::OnceLock;
use std::time::Duration;

use assay_core::id::AssignmentId;
use assay_core::queue::RunState;
use assay_core::report::Report;
use assay_store::StoreError;
use assay_store::model::{Connection, Outgoing, Run};
use futures_util::StreamExt;

use super::connections::Secrets;
use super::forge::{self, Forge, ForgeError};
use super::telling::{self, Message, Moment};
use super::{comment, submission};
use crate::App;

/// How often it looks, when nothing wakes it: another process may have ended a run.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How soon it looks again when something keeps happening.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(200);
/// Messages that are on their way at one time.
const MAX_UNDER_WAY: usize = 8;
/// Messages that are read at one time.
const MAX_READ: u32 = 64;
/// How long a message is tried.
const GIVE_UP_AFTER_MS: i64 = 24 * 3600 * 1000;
/// Longest time that a forge may ask to be left alone, in seconds.
const MAX_RETRY_AFTER_S: u32 = 3600;

/// The background task. One for each daemon; a second one tells things twice, which does no harm.
pub struct Courier {
    app: App,
    /// For public addresses, and for private ones too. Made when first needed.
    clients: [OnceLock<reqwest::Client>; 2],
}

/// A message could not be told.
#[derive(Debug, thiserror::Error)]
enum NotTold {
    #[error(transparent)]
    Forge(#[from] ForgeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sealed(#[from] super::sealing::CannotOpen),
    #[error("the report cannot be read: {0}")]
    Report(#[from] serde_json::Error),
}

impl Courier {
    /// Works for this daemon.
    pub fn new(app: App) -> Self {
        Self {
            app,
            clients: Default::default(),
        }
    }

    /// Works until the daemon drains. What is under way then is told again at the next start.
    pub async fn run(self) {
        let stop = self.app.shutdown().clone();
        let mut changed = self.app.store().changed();
        loop {
            let work = async {
                self.deliver(self.app.now_ms()).await;
                tokio::time::sleep(LOOK_AT_MOST_EVERY).await;
                drop(tokio::time::timeout(LOOK_EVERY, changed.changed()).await);
            };
            tokio::select! {
                () = work => (),
                () = stop.cancelled() => return,
            }
        }
    }

    /// Tells everything that is due at this moment, once.
    pub(super) async fn deliver(&self, now_ms: i64) {
        match self.app.store().due_outgoing(now_ms, MAX_READ).await {
            Ok(due) => {
                futures_util::stream::iter(due)
                    .for_each_concurrent(MAX_UNDER_WAY, |outgoing| self.handle(outgoing, now_ms))
                    .await;
            }
            Err(error) => tracing::error!(%error, "what forges are to be told cannot be read: {error}"),
        }
    }

    async fn handle(&self, outgoing: Outgoing, now_ms: i64) {
        let store = self.app.store();
        let (id, run) = (outgoing.id, &outgoing.run);
        let noted = match self.tell(&outgoing).await {
            Ok(()) => store.outgoing_done(id, now_ms).await,
            Err(error) if self.is_too_old(&outgoing, now_ms).await => {
                tracing::error!(%run, %error, "run {run}: its forge was not told within a day: {error}");
                store.outgoing_done(id, now_ms).await
            }
            Err(error) => {
                if outgoing.n_tries == 0 {
                    tracing::warn!(%run, %error, "run {run}: its forge is not told yet: {error}");
                }
                let asked_ms = match &error {
                    NotTold::Forge(ForgeError::Refused {
                        retry_after_s: Some(seconds),
                        ..
                    }) => i64::from((*seconds).min(MAX_RETRY_AFTER_S)) * 1000,
                    _ => 0,
                };
                let wait_ms = telling::back_off_ms(outgoing.n_tries).max(asked_ms);
                store
                    .outgoing_failed(id, now_ms + wait_ms, &error.to_string())
                    .await
            }
        };
        if let Err(error) = noted {
            tracing::error!(%run, %error, "run {run}: what its forge was told is not noted: {error}");
        }
    }

    /// Whether the message's moment is more than a day ago.
    async fn is_too_old(&self, outgoing: &Outgoing, now_ms: i64) -> bool {
        let run = self.app.store().run(&outgoing.run).await.ok().flatten();
        run.is_some_and(|run| now_ms - run.finished_at_ms.unwrap_or(run.queued_at_ms) > GIVE_UP_AFTER_MS)
    }

    /// What can no longer be told counts as told.
    async fn tell(&self, outgoing: &Outgoing) -> Result<(), NotTold> {
        let store = self.app.store();
        let Ok(message) = serde_json::from_value::<Message>(outgoing.payload.clone()) else {
            return Ok(());
        };
        let (Some(run), Some(connection)) = (
            store.run(&outgoing.run).await?,
            store.connection(&outgoing.connection).await?,
        ) else {
            return Ok(());
        };
        let is_over = run.state == RunState::Finished && message.moment == Moment::Begin;
        if is_over || run.commit.is_empty() || connection.disabled_at_ms.is_some() {
            return Ok(());
        }
        let secrets = Secrets::of(&connection, &self.app.settings().key)?;
        if secrets.token.is_empty() {
            return Ok(());
        }
        let forge = Forge::new(self.http(secrets.allow_private)?, &connection, &secrets);
        let report = self.report(&run).await?;
        let status = telling::status(&run, report.as_ref());
        let page = submission::page(&self.app, &run.assignment);
        let context = submission::context(&connection);
        forge
            .set_status(&message.repository, &run.commit, &context, &page, &status)
            .await?;
        let Some(request) = message.request.filter(|_| message.moment == Moment::End) else {
            return Ok(());
        };
        // A newer run of the same request speaks for itself.
        if self.is_outdated(&run.assignment, &run).await? {
            return Ok(());
        }
        let repository = message.repository.as_str();
        let marker = self.marker(&connection, repository, request);
        let body = comment::body(report.as_ref(), &status.description, &page, &marker);
        let number = request.to_string();
        let known = store.comment(&connection.id, repository, &number).await?;
        let made = forge
            .set_comment(repository, request, known.as_deref(), &marker, &body)
            .await?;
        if known.as_deref() != Some(&made) {
            store
                .note_comment(&connection.id, repository, &number, &made)
                .await?;
        }
        Ok(())
    }

    fn http(&self, allow_private: bool) -> Result<reqwest::Client, ForgeError> {
        let client = &self.clients[usize::from(allow_private)];
        if let Some(client) = client.get() {
            return Ok(client.clone());
        }
        let made = forge::http(allow_private)?;
        Ok(client.get_or_init(|| made).clone())
    }

    async fn is_outdated(&self, assignment: &AssignmentId, run: &Run) -> Result<bool, StoreError> {
        let runs = self.app.store().runs_of(assignment).await?;
        Ok(runs.iter().any(|other| {
            other.number > run.number && other.reference == run.reference && other.outcome.is_some()
        }))
    }

    fn marker(&self, connection: &Connection, repository: &str, request: u64) -> String {
        let mark = self
            .app
            .settings()
            .key
            .mark(&format!("{} {repository} {request}", connection.id));
        comment::marker(connection.forge, &connection.exercise, &mark)
    }

    async fn report(&self, run: &Run) -> Result<Option<Report>, NotTold> {
        let Some(score) = run.score.as_ref().filter(|score| !score.report_digest.is_empty()) else {
            return Ok(None);
        };
        match self.app.store().blob(&score.report_digest).await? {
            Some(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            None => Ok(None),
        }
    }
}
