//! Inviting a candidate: an assignment, its repository, a token and a link.

use assay_core::assignment::AssignmentState;
use assay_core::exercise::SubmitOn;
use assay_core::id::AssignmentId;
use assay_store::model::{Actor, Assignment, Candidate, Origin};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::access::{CloneToken, clone_token};
use super::{note, repository};
use crate::auth::link::{self, Opens};
use crate::{App, Problem};

/// Longest name and address of a candidate, in characters.
const MAX_TEXT: usize = 200;

/// Whom to invite to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// Slug of the exercise.
    pub exercise: String,
    /// Track. Default: the exercise's only one.
    #[serde(default)]
    pub track: Option<String>,
    /// The candidate's name, 1 to 200 characters.
    pub candidate: String,
    /// The candidate's address, for your own use: Assay sends no mail.
    #[serde(default)]
    pub email: Option<String>,
    /// Last moment for a push, milliseconds since 1970. Default: no end.
    #[serde(default)]
    pub due_at_ms: Option<i64>,
    /// How many submissions are checked. Default: as the exercise says.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub attempts: Option<u32>,
}

/// What came of it. Token and link are shown once.
#[derive(Debug, Clone)]
pub struct Invited {
    /// The assignment.
    pub assignment: Assignment,
    /// What to clone and push with.
    pub clone: CloneToken,
    /// Link to the candidate's own page.
    pub page_url: String,
}

/// Invites a candidate: makes the assignment with its repository, a token to push with and a link to their page.
///
/// # Errors
/// 422 when the invitation does not fit the exercise; 500 when the repository cannot be made, and then there is no assignment
/// either.
pub async fn invite(app: &App, by: &Actor, invitation: &Invitation) -> Result<Invited, Problem> {
    let now_ms = app.now_ms();
    let exercise = app.exercises().get(&invitation.exercise);
    let exercise = exercise
        .ok_or_else(|| Problem::unprocessable(format!("There is no exercise `{}`.", invitation.exercise)))?;
    let track = track(invitation, exercise.spec.tracks.keys())?;
    let candidate = candidate(invitation)?;
    if invitation.due_at_ms.is_some_and(|due_at_ms| due_at_ms <= now_ms) {
        return Err(Problem::unprocessable("The due date has passed already."));
    }
    if invitation.attempts == Some(0) {
        return Err(Problem::unprocessable(
            "With no attempts there is nothing to assess.",
        ));
    }

    let id = AssignmentId::from_random(rand::random());
    let assignment = Assignment {
        id: id.clone(),
        exercise: exercise.spec.slug.clone(),
        track: track.clone(),
        candidate: Some(candidate),
        origin: Origin::Hosted,
        state: AssignmentState::Open,
        submit_on: match exercise.spec.submission.on {
            SubmitOn::Push => SubmitOn::Push,
            SubmitOn::Tag => SubmitOn::Tag,
        },
        attempts: invitation.attempts.or(exercise.spec.submission.attempts),
        due_at_ms: invitation.due_at_ms,
        extended_to_ms: None,
        created_by: match by {
            Actor::User(user) => Some(user.clone()),
            _ => None,
        },
        created_at_ms: now_ms,
        retain_until_ms: Some(repository::retain_until_ms(app, invitation.due_at_ms, now_ms)),
        archived_at_ms: None,
    };
    // The repository first: an assignment without one would be an invitation to nothing, a repository without an assignment
    // is only a folder.
    repository::create(app, &id, &exercise, &track, &assignment.terms(), now_ms).await?;
    if let Err(error) = app.store().create_assignment(&assignment).await {
        repository::remove(app, &id).await?;
        return Err(error.into());
    }
    let clone = clone_token(app, &id).await?;
    let (_, page_url) = link::make(app, &Opens::Page(id.clone()), "", None).await?;
    let detail = json!({ "exercise": assignment.exercise, "track": track });
    note(app, by, "assignment.created", id.as_str(), detail).await?;
    tracing::info!(assignment = %id, "assignment {id} was made");
    Ok(Invited {
        assignment,
        clone,
        page_url,
    })
}

fn track<'a>(
    invitation: &Invitation,
    tracks: impl Iterator<Item = &'a String> + Clone,
) -> Result<String, Problem> {
    let named = |wanted: &str| tracks.clone().find(|track| *track == wanted).cloned();
    let all = || tracks.clone().map(String::as_str).collect::<Vec<_>>().join(", ");
    match &invitation.track {
        Some(wanted) => named(wanted).ok_or_else(|| {
            Problem::unprocessable(format!("The exercise has no track `{wanted}`; it has {}.", all()))
        }),
        None if tracks.clone().count() == 1 => Ok(all()),
        None => Err(Problem::unprocessable(format!("Choose a track: {}.", all()))),
    }
}

fn candidate(invitation: &Invitation) -> Result<Candidate, Problem> {
    let name = invitation.candidate.trim();
    let email = invitation.email.as_deref().map(str::trim);
    let email = email.filter(|email| !email.is_empty());
    let fits = |text: &str| text.chars().count() <= MAX_TEXT && !text.contains(char::is_control);
    if name.is_empty() || !fits(name) || !email.is_none_or(|email| fits(email) && email.contains('@')) {
        return Err(Problem::unprocessable(format!(
            "A candidate has a name of 1 to {MAX_TEXT} characters, and an address with an @ or none."
        )));
    }
    Ok(Candidate {
        name: name.to_owned(),
        email: email.map(str::to_owned),
    })
}
