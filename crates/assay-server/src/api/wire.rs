//! What the API answers. Public: fields may be added, never taken away or given another meaning.

use assay_core::queue::Outcome;
use assay_store::model::{self, Origin, Page, ScoreRow};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List<T: ToSchema> {
    /// The rows.
    pub(super) rows: Vec<T>,
    /// Give it back as `after` to go on. Null: this was the last part.
    pub(super) next: Option<String>,
}

impl<T: ToSchema> List<T> {
    pub(super) fn of<R>(page: Page<R>, row: impl Fn(R) -> T) -> Self {
        Self {
            rows: page.rows.into_iter().map(row).collect(),
            next: page.next,
        }
    }

    pub(super) fn whole(rows: Vec<T>) -> Self {
        Self { rows, next: None }
    }
}

/// An exercise that can be assigned.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Exercise {
    /// Its name in addresses.
    pub(super) slug: String,
    /// Title for people.
    pub(super) title: String,
    /// What the candidate builds, in a sentence.
    pub(super) summary: String,
    /// SHA-256 over all that grades depend on: its version.
    pub(super) digest: String,
    /// Its tracks, by name.
    pub(super) tracks: Vec<String>,
    /// Its checks, in the order of the report.
    pub(super) checks: Vec<Check>,
    /// `push`: every push is a submission; `tag`: only tags are.
    pub(super) submit_on: String,
    /// How many submissions are checked, where an invitation does not say. Null: any number.
    pub(super) attempts: Option<u32>,
}

/// A check of an exercise.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Check {
    /// Its id.
    pub(super) id: String,
    /// `build`, `style`, `unit`, `integration`, `load` or `security`.
    #[schema(value_type = String)]
    pub(super) kind: assay_core::exercise::CheckKind,
    /// What the candidate sees: `visible` everything, `summary` counts, `hidden` that it exists.
    #[schema(value_type = String)]
    pub(super) visibility: assay_core::exercise::Visibility,
}

/// One candidate and one exercise.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Assignment {
    /// Id.
    pub(super) id: String,
    /// Slug of the exercise.
    pub(super) exercise: String,
    /// Track.
    pub(super) track: String,
    /// The candidate's name. Null: erased.
    pub(super) candidate: Option<String>,
    /// The candidate's address. Null: none was given, or erased.
    pub(super) email: Option<String>,
    /// `open`, `closed`, `archived` or `erased`.
    #[schema(example = "open")]
    pub(super) state: &'static str,
    /// `push`: every push is a submission; `tag`: only tags are.
    #[schema(value_type = String)]
    pub(super) submit_on: assay_core::exercise::SubmitOn,
    /// How many submissions are checked. Null: any number.
    pub(super) attempts: Option<u32>,
    /// How many were used up.
    pub(super) attempts_used: u32,
    /// Last moment for a push, extension included. Null: no end.
    pub(super) due_at_ms: Option<i64>,
    /// The individual extension. Null: none.
    pub(super) extended_to_ms: Option<i64>,
    /// Repository at a forge. Null: it is hosted here.
    pub(super) repository: Option<String>,
    /// When it was made.
    pub(super) created_at_ms: i64,
    /// Until when its repository is kept.
    pub(super) retain_until_ms: Option<i64>,
    /// When its repository was archived.
    pub(super) archived_at_ms: Option<i64>,
    /// How many runs it has.
    pub(super) n_runs: u32,
    /// Its newest run that no newer commit superseded. Null: none.
    pub(super) latest: Option<Run>,
}

impl Assignment {
    pub(super) fn of(row: model::AssignmentRow) -> Self {
        let assignment = row.assignment;
        let (candidate, email) = match assignment.candidate {
            Some(candidate) => (Some(candidate.name), candidate.email),
            None => (None, None),
        };
        Self {
            id: assignment.id.into(),
            exercise: assignment.exercise,
            track: assignment.track,
            candidate,
            email,
            state: assignment.state.name(),
            submit_on: assignment.submit_on,
            attempts: assignment.attempts,
            attempts_used: row.n_attempts_used,
            due_at_ms: assignment.extended_to_ms.or(assignment.due_at_ms),
            extended_to_ms: assignment.extended_to_ms,
            repository: match assignment.origin {
                Origin::Hosted => None,
                Origin::Forge { repository, .. } => Some(repository),
            },
            created_at_ms: assignment.created_at_ms,
            retain_until_ms: assignment.retain_until_ms,
            archived_at_ms: assignment.archived_at_ms,
            n_runs: row.n_runs,
            latest: row.latest.map(Run::of),
        }
    }
}

/// What came of an invitation. `clone_token` and `page_url` are shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Invited {
    /// The assignment.
    pub(super) assignment: Assignment,
    /// Address for `git clone`.
    pub(super) clone_url: String,
    /// The password that git asks for; the user name is `git`. Null: this answer is a repetition under the same
    /// `Idempotency-Key`; make a new token if the first answer was lost.
    pub(super) clone_token: Option<String>,
    /// The candidate's own page; the link opens it without an account. Null: as above.
    pub(super) page_url: Option<String>,
}

/// A secret for the candidate's repository, shown this once. Those before stopped working.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CloneToken {
    /// Address for `git clone`.
    pub(super) clone_url: String,
    /// The password that git asks for; the user name is `git`.
    pub(super) clone_token: String,
}

/// A link to the candidate's own page, shown this once. Those before stopped working.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PageLink {
    /// Its address.
    pub(super) page_url: String,
}

/// One execution of an exercise's checks on one commit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Run {
    /// Id.
    pub(super) id: String,
    /// Whose.
    pub(super) assignment: String,
    /// Number within the assignment, from 1.
    pub(super) number: u32,
    /// What asked for it: `push`, `tag`, `webhook` or `rerun`.
    #[schema(example = "push")]
    pub(super) trigger: &'static str,
    /// The commit, whole.
    pub(super) commit: String,
    /// The branch or tag that named it.
    pub(super) reference: String,
    /// `queued`, `running` or `finished`.
    #[schema(example = "finished")]
    pub(super) state: &'static str,
    /// How it ended: `scored`, `partly_scored`, `nothing`, `cancelled`, `superseded`, `failed_candidate`, `failed_exercise` or
    /// `failed_platform`. Null: it has not.
    #[schema(example = "scored")]
    pub(super) outcome: Option<&'static str>,
    /// Why, in plain words.
    pub(super) reason: String,
    /// Whether it may use up an attempt.
    pub(super) counts: bool,
    /// Whether somebody asked to cancel it.
    pub(super) cancel_requested: bool,
    /// How often a worker took it.
    pub(super) executions: u32,
    /// Place in the queue, 1 is next. Null: it does not wait, or this is a list.
    pub(super) queue_position: Option<u32>,
    /// When it was queued.
    pub(super) queued_at_ms: i64,
    /// When a worker took it last.
    pub(super) started_at_ms: Option<i64>,
    /// When it ended.
    pub(super) finished_at_ms: Option<i64>,
    /// Its newest scorecard, in numbers. Null: none.
    pub(super) score: Option<Scorecard>,
}

impl Run {
    pub(super) fn of(run: model::Run) -> Self {
        Self {
            id: run.id.into(),
            assignment: run.assignment.into(),
            number: run.number,
            trigger: run.trigger.name(),
            commit: run.commit,
            reference: run.reference,
            state: run.state.name(),
            outcome: run.outcome.map(Outcome::name),
            reason: run.reason,
            counts: run.counts,
            cancel_requested: run.cancel_requested,
            executions: run.executions,
            queue_position: None,
            queued_at_ms: run.queued_at_ms,
            started_at_ms: run.started_at_ms,
            finished_at_ms: run.finished_at_ms,
            score: run.score.map(Scorecard::of),
        }
    }
}

/// The numbers of a scorecard.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Scorecard {
    /// Counts from 1 within the run; scoring again adds one.
    pub(super) version: u32,
    /// Points reached.
    pub(super) total: f64,
    /// Points there are.
    pub(super) max: f64,
    /// Lowest total that is possible, when what was not scored is taken as 0.
    pub(super) low: f64,
    /// Highest total that is possible.
    pub(super) high: f64,
    /// Whether the exercise's gate passed. Null: it has none, or it is open.
    pub(super) gate: Option<bool>,
    /// Points by category, in the exercise's order.
    pub(super) categories: Vec<Category>,
    /// Version of the exercise that it was computed by.
    pub(super) exercise_digest: String,
    /// When it was computed.
    pub(super) created_at_ms: i64,
}

/// Points of one category.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Category {
    /// Id of the category.
    pub(super) id: String,
    /// Points reached.
    pub(super) score: f64,
    /// Points there are.
    pub(super) max: f64,
    /// Whether all of it was judged.
    pub(super) scored: bool,
}

impl Scorecard {
    pub(super) fn of(score: ScoreRow) -> Self {
        let categories = score.categories.into_iter().map(|category| Category {
            id: category.id,
            score: points(category.score_hundredths),
            max: points(category.max_hundredths),
            scored: category.scored,
        });
        Self {
            version: score.version,
            total: points(score.total_hundredths),
            max: points(score.max_hundredths),
            low: points(score.low_hundredths),
            high: points(score.high_hundredths),
            gate: score.gate,
            categories: categories.collect(),
            exercise_digest: score.exercise_digest,
            created_at_ms: score.created_at_ms,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "points are small")]
fn points(hundredths: i64) -> f64 {
    hundredths as f64 / 100.0
}

/// Something that happened in a run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunEvent {
    /// Counts from 1 within the run, without gaps. Also the event's id in the stream.
    pub(super) seq: i64,
    /// When.
    pub(super) at_ms: i64,
    /// What: its name, or an object with its name as the only key. The last one is `run_ended`.
    #[schema(value_type = Object, example = json!({"check_started": {"check": "build"}}))]
    pub(super) event: Value,
}

impl RunEvent {
    pub(super) fn of(event: model::RunEvent) -> Self {
        Self {
            seq: event.seq,
            at_ms: event.at_ms,
            event: serde_json::to_value(event.event).unwrap_or_default(),
        }
    }
}

/// A file that a run left.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct File {
    /// Its name, for `/files/{name}`.
    pub(super) name: String,
    /// SHA-256 of its content.
    pub(super) digest: String,
    /// Its size.
    pub(super) n_bytes: u64,
}

/// A link by which anybody reads one report.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Link {
    /// Id, for taking it back.
    pub(super) id: String,
    /// For people: whom it was made for.
    pub(super) name: String,
    /// Its address. Null, except in the answer to its making.
    pub(super) url: Option<String>,
    /// When it was made.
    pub(super) created_at_ms: i64,
    /// From when on it opens nothing.
    pub(super) expires_at_ms: Option<i64>,
    /// When it was taken back.
    pub(super) revoked_at_ms: Option<i64>,
    /// When it was opened last, to the minute.
    pub(super) last_used_at_ms: Option<i64>,
}

impl Link {
    pub(super) fn of(token: model::Token, url: Option<String>) -> Self {
        Self {
            id: token.id.into(),
            name: token.name,
            url,
            created_at_ms: token.created_at_ms,
            expires_at_ms: token.expires_at_ms,
            revoked_at_ms: token.revoked_at_ms,
            last_used_at_ms: token.last_used_at_ms,
        }
    }
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct User {
    /// Id.
    pub(super) id: String,
    /// Name at sign-in.
    pub(super) login: String,
    /// Name for people.
    pub(super) name: String,
    /// `viewer`, `interviewer` or `admin`.
    #[schema(example = "interviewer")]
    pub(super) role: &'static str,
    /// When the account was made.
    pub(super) created_at_ms: i64,
    /// When it was switched off. Null: it is on.
    pub(super) disabled_at_ms: Option<i64>,
}

impl User {
    pub(super) fn of(user: model::User) -> Self {
        Self {
            id: user.id.into(),
            login: user.login,
            name: user.name,
            role: user.role.name(),
            created_at_ms: user.created_at_ms,
            disabled_at_ms: user.disabled_at_ms,
        }
    }
}

/// An API token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApiToken {
    /// Id, for revoking it.
    pub(super) id: String,
    /// For people: where it is used.
    pub(super) name: String,
    /// What it may do: some of `read`, `invite`, `run` and `admin`.
    pub(super) scopes: Vec<String>,
    /// The secret. Null, except in the answer to its making.
    pub(super) secret: Option<String>,
    /// When it was made.
    pub(super) created_at_ms: i64,
    /// From when on it opens nothing. Null: never.
    pub(super) expires_at_ms: Option<i64>,
    /// When it was revoked.
    pub(super) revoked_at_ms: Option<i64>,
    /// When it was used last, to the minute.
    pub(super) last_used_at_ms: Option<i64>,
}

impl ApiToken {
    pub(super) fn of(token: model::Token, secret: Option<String>) -> Self {
        Self {
            id: token.id.into(),
            name: token.name,
            scopes: token.scopes,
            secret,
            created_at_ms: token.created_at_ms,
            expires_at_ms: token.expires_at_ms,
            revoked_at_ms: token.revoked_at_ms,
            last_used_at_ms: token.last_used_at_ms,
        }
    }
}

/// An entry of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditRow {
    /// Counts from 1.
    pub(super) seq: i64,
    /// When.
    pub(super) at_ms: i64,
    /// Who: an object whose key is `user`, `candidate`, `forge` or `link`, or `system`.
    #[schema(value_type = Object, example = json!({"user": "0123456789abcdef"}))]
    pub(super) actor: Value,
    /// What, as a verb with a dot.
    #[schema(example = "report.viewed")]
    pub(super) action: String,
    /// On what: an id.
    pub(super) subject: String,
    /// More.
    #[schema(value_type = Object)]
    pub(super) detail: Value,
    /// SHA-256 over the hash before and this entry.
    pub(super) hash: String,
}

impl AuditRow {
    pub(super) fn of(row: model::AuditRow) -> Self {
        Self {
            seq: row.seq,
            at_ms: row.entry.at_ms,
            actor: serde_json::to_value(row.entry.actor).unwrap_or_default(),
            action: row.entry.action,
            subject: row.entry.subject,
            detail: row.entry.detail,
            hash: row.hash,
        }
    }
}
