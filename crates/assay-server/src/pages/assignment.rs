//! One assignment: its terms, its runs, and what can be done about it.

use askama::Template;
use assay_core::assignment::AssignmentState;
use assay_core::exercise::SubmitOn;
use assay_core::queue::RunState;
use assay_report::state::Mark;
use assay_report::text;
use assay_store::model::{AssignmentRow, AuditRow, Origin, Run};

use super::assets::Assets;
use super::audit::{self, Entry, People};
use super::frame::Frame;
use super::history::{self, RunRow, Trend};
use super::mark::{self, ScoreView};
use super::names::Names;
use super::when::{self, When};

/// What an assignment's candidate agreed to.
pub(super) struct Facts {
    pub(super) exercise: String,
    pub(super) track: String,
    /// Where commits come from; without a credential.
    pub(super) repository: String,
    pub(super) submit_on: &'static str,
    pub(super) attempts: String,
    pub(super) due: Option<When>,
    /// The due date before it was extended.
    pub(super) first_due: Option<When>,
    pub(super) created: When,
    pub(super) retain_until: Option<When>,
    pub(super) email: Option<String>,
}

impl Facts {
    pub(super) fn new(row: &AssignmentRow, public_url: &str, names: Names, now_ms: i64) -> Self {
        let assignment = &row.assignment;
        let when = |at_ms: Option<i64>| at_ms.map(|at_ms| When::new(at_ms, now_ms));
        let terms = assignment.terms();
        let candidate = assignment.candidate.as_ref().filter(|_| !names.hidden);
        Self {
            exercise: text::line(&assignment.exercise),
            track: text::line(&assignment.track),
            repository: match &assignment.origin {
                Origin::Hosted => clone_url(public_url, assignment.id.as_str()),
                Origin::Forge { .. } if names.hidden => "at a forge (its name is hidden)".into(),
                Origin::Forge { repository, .. } => text::line(repository),
            },
            submit_on: match terms.submit_on {
                SubmitOn::Push => "every push to main",
                SubmitOn::Tag => "every pushed tag",
            },
            attempts: match terms.attempts {
                Some(of) => format!("{} of {of} used", row.n_attempts_used),
                None => format!("{} used, any number allowed", row.n_attempts_used),
            },
            due: when(terms.due_at_ms),
            first_due: when(assignment.extended_to_ms.and(assignment.due_at_ms)),
            created: When::new(assignment.created_at_ms, now_ms),
            retain_until: when(assignment.retain_until_ms),
            email: candidate
                .and_then(|candidate| candidate.email.as_deref())
                .map(text::line),
        }
    }
}

/// Where a hosted repository is cloned from.
pub(super) fn clone_url(public_url: &str, id: &str) -> String {
    format!("{public_url}/git/{id}.git")
}

/// The page.
#[derive(Template)]
#[template(path = "assignment.html", whitespace = "minimize")]
pub(super) struct AssignmentPage {
    frame: Frame,
    id: String,
    name: String,
    state: Mark,
    facts: Facts,
    latest: Option<ScoreView>,
    latest_run: Option<RunRow>,
    runs: Vec<RunRow>,
    trend: Option<Trend>,
    is_live: bool,
    is_open: bool,
    is_closed: bool,
    is_hosted: bool,
    is_erased: bool,
    is_archived: bool,
    due_field: String,
    attempts_field: String,
    audit: Vec<Entry>,
}

impl AssignmentPage {
    pub(super) fn new(
        frame: Frame,
        row: &AssignmentRow,
        runs: &[Run],
        audit: &[AuditRow],
        people: &People,
        public_url: &str,
        now_ms: i64,
    ) -> Self {
        let names = Names { hidden: frame.blind };
        let assignment = &row.assignment;
        let link = |run: &Run| format!("/runs/{}", run.id);
        let scored = runs.iter().find(|run| run.score.is_some());
        Self {
            id: assignment.id.to_string(),
            name: names.of(assignment),
            state: mark::of_assignment(row, now_ms),
            facts: Facts::new(row, public_url, names, now_ms),
            latest: scored.and_then(|run| run.score.as_ref()).map(ScoreView::new),
            latest_run: scored.and_then(|run| {
                history::rows(std::slice::from_ref(run), now_ms, link)
                    .into_iter()
                    .next()
            }),
            runs: history::rows(runs, now_ms, link),
            trend: Trend::new(runs),
            is_live: runs.iter().any(|run| run.state != RunState::Finished),
            is_open: assignment.state == AssignmentState::Open,
            is_closed: assignment.state == AssignmentState::Closed,
            is_hosted: assignment.origin == Origin::Hosted,
            is_erased: assignment.state == AssignmentState::Erased,
            is_archived: assignment.state == AssignmentState::Archived,
            due_field: when::field(assignment.terms().due_at_ms),
            attempts_field: assignment
                .attempts
                .map_or(String::new(), |attempts| attempts.to_string()),
            audit: audit::entries(audit, people, now_ms),
            frame,
        }
    }
}

/// Asks before something that cannot be undone.
#[derive(Template)]
#[template(path = "confirm.html", whitespace = "minimize")]
pub(super) struct Confirm {
    pub(super) frame: Frame,
    pub(super) id: String,
    pub(super) name: String,
    /// Address that does it.
    pub(super) action: String,
    /// `Erase this candidate`.
    pub(super) verb: &'static str,
    /// What will be gone and what stays.
    pub(super) consequences: &'static [&'static str],
    /// What has to be typed.
    pub(super) word: &'static str,
    pub(super) wrong: Option<&'static str>,
}

/// What erasing does.
pub(super) const ERASING: &[&str] = &[
    "The candidate's name and address are removed.",
    "The repository, its archive, reports, logs and all other evidence are removed.",
    "What stays: ids, times, outcomes and points, and the audit trail, which holds no names.",
    "It cannot be undone.",
];

/// What archiving does.
pub(super) const ARCHIVING: &[&str] = &[
    "The repository is written into one bundle beside the evidence, then removed.",
    "Nothing can be cloned or pushed any more. Reports stay.",
];
