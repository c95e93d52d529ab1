//! Inviting a candidate: the form, and what it gives once.

use askama::Template;
use assay_engine::ExerciseFolder;
use assay_report::text;
use serde::Deserialize;

use super::assets::Assets;
use super::dashboard::Choice;
use super::frame::Frame;
use super::when;

/// The form as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    pub(super) csrf: String,
    /// `slug/track`.
    exercise: String,
    name: String,
    email: String,
    due: String,
    attempts: String,
}

/// What the form asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) exercise: String,
    pub(super) track: String,
    pub(super) name: String,
    pub(super) email: Option<String>,
    pub(super) due_at_ms: Option<i64>,
    /// None: as the exercise says.
    pub(super) attempts: Option<u32>,
}

/// What is wrong with the form, by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    exercise: Option<&'static str>,
    name: Option<&'static str>,
    email: Option<&'static str>,
    due: Option<&'static str>,
    attempts: Option<&'static str>,
}

impl Form {
    /// Reads the form; all mistakes at once.
    pub(super) fn read(
        &self,
        exercises: &[std::sync::Arc<ExerciseFolder>],
        now_ms: i64,
    ) -> Result<Asked, Wrong> {
        let mut wrong = Wrong::default();
        let (slug, track) = self.exercise.split_once('/').unwrap_or_default();
        let is_known = exercises
            .iter()
            .any(|folder| folder.spec.slug == slug && folder.spec.tracks.contains_key(track));
        if !is_known {
            wrong.exercise = Some("Choose an exercise.");
        }
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > 200 {
            wrong.name = Some("Give a name of at most 200 characters, or an alias.");
        }
        let email = self.email.trim();
        let is_address = email.contains('@') && email.len() <= 254;
        if !email.is_empty() && !is_address {
            wrong.email = Some("That is not an address. It may stay empty.");
        }
        let due_at_ms = match when::parse_field(&self.due) {
            Ok(Some(due)) if due <= now_ms => {
                wrong.due = Some("That moment has passed. Mind that it is in UTC.");
                None
            }
            Ok(due) => due,
            Err(()) => {
                wrong.due = Some("That is not a date and a time, such as 2026-12-01T18:00.");
                None
            }
        };
        let attempts = match attempts(&self.attempts) {
            Ok(attempts) => attempts,
            Err(words) => {
                wrong.attempts = Some(words);
                None
            }
        };
        if wrong != Wrong::default() {
            return Err(wrong);
        }
        Ok(Asked {
            exercise: slug.to_owned(),
            track: track.to_owned(),
            name: name.to_owned(),
            email: (!email.is_empty()).then(|| email.to_owned()),
            due_at_ms,
            attempts,
        })
    }
}

/// A number of attempts. `None`: the field is empty.
pub(super) fn attempts(text: &str) -> Result<Option<u32>, &'static str> {
    match text.trim() {
        "" => Ok(None),
        text => match text.parse() {
            Ok(attempts @ 1..=1_000) => Ok(Some(attempts)),
            _ => Err("Give a number from 1 to 1000, or leave it empty."),
        },
    }
}

/// The form.
#[derive(Template)]
#[template(path = "invite.html", whitespace = "minimize")]
pub(super) struct InvitePage {
    frame: Frame,
    exercises: Vec<Choice>,
    form: Form,
    wrong: Wrong,
    has_wrong: bool,
}

impl InvitePage {
    pub(super) fn new(
        frame: Frame,
        exercises: &[std::sync::Arc<ExerciseFolder>],
        form: Form,
        wrong: Wrong,
    ) -> Self {
        let ways = exercises
            .iter()
            .flat_map(|folder| folder.spec.tracks.keys().map(move |track| (&folder.spec, track)));
        Self {
            exercises: ways
                .map(|(spec, track)| {
                    let value = format!("{}/{track}", spec.slug);
                    Choice {
                        is_chosen: value == form.exercise,
                        words: text::line(&format!("{} in {track}", spec.title)),
                        value,
                    }
                })
                .collect(),
            has_wrong: wrong != Wrong::default(),
            frame,
            form,
            wrong,
        }
    }
}

/// Secrets of an assignment, on the only page that ever shows them.
#[derive(Template)]
#[template(path = "invited.html", whitespace = "minimize")]
pub(super) struct InvitedPage {
    pub(super) frame: Frame,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) clone_url: Option<String>,
    pub(super) token: Option<String>,
    pub(super) link: Option<String>,
}
