//! Exercises that can be assigned.

use assay_core::exercise::SubmitOn;
use assay_engine::ExerciseFolder;
use axum::Json;
use axum::extract::State;

use super::input::Path;
use super::wire::{Check, Exercise, List};
use crate::auth::{Scoped, right};
use crate::{App, Problem};

fn row(folder: &ExerciseFolder) -> Exercise {
    let spec = &folder.spec;
    Exercise {
        slug: spec.slug.clone(),
        title: spec.title.clone(),
        summary: spec.summary.clone(),
        digest: folder.digest.clone(),
        tracks: spec.tracks.keys().cloned().collect(),
        checks: spec
            .checks
            .iter()
            .map(|check| Check {
                id: check.id.clone(),
                kind: check.kind,
                visibility: check.seen(),
            })
            .collect(),
        submit_on: match spec.submission.on {
            SubmitOn::Push => "push".to_owned(),
            SubmitOn::Tag => "tag".to_owned(),
        },
        attempts: spec.submission.attempts,
    }
}

/// List exercises
///
/// All that can be assigned, by slug. Needs `read`.
#[utoipa::path(get, path = "/api/v1/exercises", tag = "exercises", responses((status = 200, description = "All of them.", body = List<Exercise>)))]
pub(super) async fn list(_: Scoped<right::Read>, State(app): State<App>) -> Json<List<Exercise>> {
    let all = app.exercises().all();
    Json(List::whole(all.iter().map(|folder| row(folder)).collect()))
}

/// Show an exercise
///
/// Needs `read`.
#[utoipa::path(get, path = "/api/v1/exercises/{slug}", tag = "exercises", params(("slug" = String, Path, description = "Its slug.")), responses((status = 200, description = "It.", body = Exercise)))]
pub(super) async fn show(
    _: Scoped<right::Read>,
    State(app): State<App>,
    Path(slug): Path<String>,
) -> Result<Json<Exercise>, Problem> {
    let folder = app.exercises().get(&slug);
    let folder = folder.ok_or_else(|| Problem::not_found("exercise"))?;
    Ok(Json(row(&folder)))
}
