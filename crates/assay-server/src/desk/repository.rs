//! The hosted repository of an assignment: where it is, how it begins, how long it stays.

use std::path::PathBuf;
use std::sync::Arc;

use assay_core::assignment::{TERMS_FILE, Terms};
use assay_core::id::AssignmentId;
use assay_engine::ExerciseFolder;
use assay_git::host;

use crate::git::{remarks, repository as path};
use crate::{App, Problem};

/// Where its bundle is, once it is archived.
pub(super) fn bundle(app: &App, id: &AssignmentId) -> PathBuf {
    app.settings().archives.join(format!("{id}.bundle"))
}

/// Address for `git clone`, without a token.
pub fn clone_url(app: &App, id: &AssignmentId) -> String {
    format!("{}/git/{id}.git", app.settings().public_url)
}

/// Until when a repository stays.
pub(super) fn retain_until_ms(app: &App, due_at_ms: Option<i64>, created_at_ms: i64) -> i64 {
    let kept_ms = i64::try_from(app.settings().retention.as_millis()).unwrap_or(i64::MAX);
    due_at_ms
        .unwrap_or(created_at_ms)
        .max(created_at_ms)
        .saturating_add(kept_ms)
}

/// Makes it: what the exercise gives for this track and a page on how to submit, in one commit on `main`.
pub(super) async fn create(
    app: &App,
    id: &AssignmentId,
    exercise: &Arc<ExerciseFolder>,
    track: &str,
    terms: &Terms,
    now_ms: i64,
) -> Result<(), Problem> {
    let (path, exercise, track) = (path(app, id), Arc::clone(exercise), track.to_owned());
    let how = remarks::how_to_submit(terms).into_bytes();
    let made = tokio::task::spawn_blocking(move || {
        let mut files = exercise.templates.get(&track).cloned().unwrap_or_default();
        files.insert(TERMS_FILE.to_owned(), how);
        let message = format!("{}\n", exercise.spec.title);
        host::create(&path, &files, &message, now_ms / 1000)
    });
    let made = made
        .await
        .map_err(|error| Problem::internal("making a repository", &error))?;
    made.map(drop)
        .map_err(|error| Problem::internal("making a repository", &error))
}

/// Writes its bundle.
pub(super) async fn bundle_up(app: &App, id: &AssignmentId) -> Result<(), Problem> {
    let (path, bundle) = (path(app, id), bundle(app, id));
    let done = app.host().archive(&path, &bundle, app.shutdown());
    done.await
        .map_err(|error| Problem::internal("archiving a repository", &error))
}

/// Removes it, if it is there.
pub(super) async fn remove(app: &App, id: &AssignmentId) -> Result<(), Problem> {
    let done = app.host().remove(&path(app, id)).await;
    done.map_err(|error| Problem::internal("removing a repository", &error))
}

/// Removes its bundle, if there is one.
pub(super) async fn remove_bundle(app: &App, id: &AssignmentId) -> Result<(), Problem> {
    match tokio::fs::remove_file(bundle(app, id)).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Problem::internal("removing a bundle", &error))
        }
        _ => Ok(()),
    }
}
