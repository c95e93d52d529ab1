//! Who saw and did what.

use std::collections::HashMap;

use askama::Template;
use assay_core::id::UserId;
use assay_report::text;
use assay_store::model::{Actor, AuditRow, Page};

use super::address::encoded;
use super::assets::Assets;
use super::frame::Frame;
use super::when::When;

/// Rows of a page.
pub(super) const ROWS: u32 = 100;

/// An entry as people read it.
pub(super) struct Entry {
    pub(super) seq: i64,
    pub(super) at: When,
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) subject: String,
    pub(super) detail: String,
    pub(super) hash: String,
}

/// Names of people with an account, by id.
pub(super) type People = HashMap<UserId, String>;

/// Entries in words.
pub(super) fn entries(rows: &[AuditRow], people: &People, now_ms: i64) -> Vec<Entry> {
    rows.iter()
        .map(|row| Entry {
            seq: row.seq,
            at: When::new(row.entry.at_ms, now_ms),
            actor: actor(&row.entry.actor, people),
            action: text::line(&row.entry.action).replace('.', " "),
            subject: text::line(&row.entry.subject),
            detail: detail(&row.entry.detail),
            hash: row.hash.chars().take(12).collect(),
        })
        .collect()
}

fn actor(actor: &Actor, people: &People) -> String {
    match actor {
        Actor::User(id) => people
            .get(id)
            .map_or_else(|| format!("User {id}"), |name| text::line(name)),
        Actor::Candidate(id) => format!("Candidate of {id}"),
        Actor::Forge(id) => format!("Forge {id}"),
        Actor::Link(id) => format!("Holder of link {id}"),
        Actor::System => "Assay".into(),
    }
}

/// `due_at_ms: 1741014960000, attempts: 3`.
fn detail(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| match value {
                serde_json::Value::String(value) => format!("{name}: {value}"),
                value => format!("{name}: {value}"),
            });
            text::line(&fields.collect::<Vec<_>>().join(", "))
        }
        value => text::line(&value.to_string()),
    }
}

/// The whole trail, for admins.
#[derive(Template)]
#[template(path = "audit.html", whitespace = "minimize")]
pub(super) struct AuditPage {
    frame: Frame,
    subject: String,
    entries: Vec<Entry>,
    next: Option<String>,
}

impl AuditPage {
    pub(super) fn new(
        frame: Frame,
        subject: String,
        page: &Page<AuditRow>,
        people: &People,
        now_ms: i64,
    ) -> Self {
        Self {
            frame,
            entries: entries(&page.rows, people, now_ms),
            next: page
                .next
                .as_deref()
                .map(|after| format!("/audit?subject={}&after={}", encoded(&subject), encoded(after))),
            subject,
        }
    }
}
