//! The list of assignments.

use askama::Template;
use assay_core::assignment::AssignmentState;
use assay_core::queue::RunState;
use assay_report::state::Mark;
use assay_report::text;
use assay_store::model::{AssignmentFilter, AssignmentRow, AssignmentSort, Page};
use serde::Deserialize;

use super::address::encoded;
use super::assets::Assets;
use super::frame::Frame;
use super::mark::{self, ScoreView};
use super::names::{self, Names};
use super::when::When;

/// Rows of a page.
pub(super) const ROWS: u32 = 50;

/// The query of the list. An unknown word of a select is as good as none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    exercise: String,
    state: String,
    text: String,
    sort: String,
    after: String,
}

const SORTS: [(AssignmentSort, &str, &str); 4] = [
    (AssignmentSort::Newest, "newest", "Newest first"),
    (AssignmentSort::Activity, "activity", "Latest push first"),
    (AssignmentSort::Score, "score", "Best score first"),
    (AssignmentSort::Candidate, "candidate", "Candidate"),
];

const STATES: [(AssignmentState, &str); 4] = [
    (AssignmentState::Open, "Open"),
    (AssignmentState::Closed, "Closed"),
    (AssignmentState::Archived, "Archived"),
    (AssignmentState::Erased, "Erased"),
];

impl Query {
    /// The rows that are asked for. Where names are hidden, nobody can search or sort by them.
    pub(super) fn filter(&self, names: Names) -> AssignmentFilter {
        let some = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        let sort = SORTS.iter().find(|(_, name, _)| *name == self.sort);
        let sort = sort.map_or_else(AssignmentSort::default, |(sort, ..)| *sort);
        AssignmentFilter {
            exercise: some(&self.exercise),
            state: AssignmentState::ALL
                .into_iter()
                .find(|state| state.name() == self.state),
            text: some(&self.text).filter(|_| !names.hidden),
            sort: match sort {
                AssignmentSort::Candidate if names.hidden => AssignmentSort::Newest,
                sort => sort,
            },
        }
    }

    /// Where the list begins.
    pub(super) fn after(&self) -> Option<String> {
        (!self.after.is_empty()).then(|| self.after.clone())
    }

    /// The address of the part that begins there, with the same filter.
    fn address(&self, after: Option<&str>) -> String {
        let fields = [
            ("exercise", self.exercise.as_str()),
            ("state", &self.state),
            ("text", &self.text),
            ("sort", &self.sort),
            ("after", after.unwrap_or_default()),
        ];
        let mut address = String::from("/");
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            address.push(if address.len() == 1 { '?' } else { '&' });
            address.push_str(name);
            address.push('=');
            address.push_str(&encoded(value));
        }
        address
    }

    fn has_filter(&self) -> bool {
        [&self.exercise, &self.state, &self.text]
            .iter()
            .any(|field| !field.trim().is_empty())
    }
}

/// An entry of a select.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) words: String,
    pub(super) is_chosen: bool,
}

/// One assignment.
struct Row {
    id: String,
    name: String,
    is_erased: bool,
    exercise: String,
    track: String,
    state: Mark,
    score: Option<ScoreView>,
    attempts: String,
    pushed: Option<When>,
    due: Option<When>,
    can_compare: bool,
}

/// The list.
#[derive(Template)]
#[template(path = "dashboard.html", whitespace = "minimize")]
pub(super) struct Dashboard {
    frame: Frame,
    exercises: Vec<Choice>,
    states: Vec<Choice>,
    sorts: Vec<Choice>,
    text: String,
    has_filter: bool,
    rows: Vec<Row>,
    next: Option<String>,
    first: Option<String>,
    /// The address of this very list, for what keeps it fresh.
    here: String,
    is_live: bool,
}

impl Dashboard {
    pub(super) fn new(
        frame: Frame,
        query: &Query,
        exercises: &[(String, String)],
        page: &Page<AssignmentRow>,
        now_ms: i64,
    ) -> Self {
        let names = Names { hidden: frame.blind };
        let choice = |value: &str, words: &str, chosen: &str| Choice {
            value: value.to_owned(),
            words: text::line(words),
            is_chosen: value == chosen,
        };
        Self {
            exercises: exercises
                .iter()
                .map(|(slug, title)| choice(slug, title, &query.exercise))
                .collect(),
            states: STATES
                .iter()
                .map(|(state, words)| choice(state.name(), words, &query.state))
                .collect(),
            sorts: SORTS
                .iter()
                .filter(|(sort, ..)| !(names.hidden && *sort == AssignmentSort::Candidate))
                .map(|(_, name, words)| choice(name, words, &query.sort))
                .collect(),
            text: query.text.clone(),
            has_filter: query.has_filter(),
            rows: page.rows.iter().map(|row| view(row, names, now_ms)).collect(),
            next: page.next.as_deref().map(|after| query.address(Some(after))),
            first: (!query.after.is_empty()).then(|| query.address(None)),
            here: query.address(Some(&query.after)),
            is_live: page.rows.iter().any(|row| {
                row.latest
                    .as_ref()
                    .is_some_and(|run| run.state != RunState::Finished)
            }),
            frame,
        }
    }
}

fn view(row: &AssignmentRow, names: Names, now_ms: i64) -> Row {
    let assignment = &row.assignment;
    let terms = assignment.terms();
    let latest = row.latest.as_ref();
    let score = latest.and_then(|run| run.score.as_ref());
    Row {
        id: assignment.id.to_string(),
        name: names.of(assignment),
        is_erased: assignment.candidate.is_none(),
        exercise: text::line(&assignment.exercise),
        track: text::line(&assignment.track),
        state: mark::of_assignment(row, now_ms),
        score: score.map(ScoreView::new),
        attempts: names::attempts(row.n_attempts_used, terms.attempts),
        pushed: latest.map(|run| When::new(run.received_at_ms, now_ms)),
        due: terms.due_at_ms.map(|due| When::new(due, now_ms)),
        can_compare: score.is_some(),
    }
}
