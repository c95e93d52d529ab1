//! What a service's requests cost its database, from the database's own statistics.
//!
//! A database counts while it works; [`Snapshot`] is what it has counted so far. The difference of two is what happened in
//! between: the whole load, or the requests of one endpoint that was sent alone, so that every statement has the endpoint
//! that caused it and no clocks need to be compared. Texts come from the candidate's code: they are shown, never obeyed.

mod judge;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Statements of one list in the report.
const MAX_STATEMENTS: usize = 12;
/// Tables, and foreign keys, in the report.
const MAX_TABLES: usize = 30;
/// Statements of one endpoint.
const MAX_USES: usize = 20;
/// Longest text of a statement, in characters.
const MAX_TEXT: usize = 600;

/// What a database has counted since its start. What is missing was not counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The candidate's statements.
    #[serde(default)]
    pub statements: Vec<Counted>,
    /// The candidate's tables.
    #[serde(default)]
    pub tables: Vec<TableCounts>,
    /// Foreign keys that no index begins with.
    #[serde(default)]
    pub unindexed: Vec<ForeignKey>,
    /// How often statements were forgotten to make room for others.
    #[serde(default)]
    pub evicted: u64,
    /// Statements of the candidate's that run at the moment; they are counted when they have ended.
    #[serde(default)]
    pub running: u64,
}

impl Snapshot {
    /// Whether the service asked for nothing between this and the earlier one: no statement runs, and none has ended.
    pub fn is_at_rest_since(&self, earlier: &Self) -> bool {
        self.running == 0 && difference(earlier, self).is_empty()
    }
}

/// A normalised statement in a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// The same in all snapshots of one database.
    pub id: String,
    /// Its text, with placeholders where values were.
    pub text: String,
    /// How often it ran.
    pub calls: u64,
    /// Rows that it returned or changed.
    pub rows: u64,
    /// Time that it ran for, in milliseconds.
    pub total_ms: f64,
    /// Pages that it looked at.
    pub pages: u64,
}

/// A table in a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCounts {
    /// Its name.
    pub name: String,
    /// Rows that it has.
    pub rows: u64,
    /// Pages that it has.
    pub pages: u64,
    /// How often it was read from end to end.
    pub scans: u64,
    /// Rows read in doing so.
    pub scanned_rows: u64,
    /// How often it was read by an index.
    pub lookups: u64,
}

/// A foreign key that no index begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForeignKey {
    /// The table that has it.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table that it refers to.
    pub references: String,
}

/// Requests of one endpoint, sent alone between two snapshots.
#[derive(Debug, Clone)]
pub struct Alone<'a> {
    /// The endpoint's name in the load plan.
    pub endpoint: &'a str,
    /// Method and path.
    pub operation: String,
    /// How many requests were sent.
    pub requests: u64,
    /// What was counted before them.
    pub before: &'a Snapshot,
    /// What was counted after them.
    pub after: &'a Snapshot,
}

/// What the requests cost the database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Insight {
    /// The database.
    pub service: String,
    /// Requests of the load.
    pub requests: u64,
    /// Statements that the database ran for them.
    pub n_statements: u64,
    /// The slowest and the most frequent statements of the load, by the time that all their calls took.
    pub statements: Vec<Statement>,
    /// What one request of each endpoint costs.
    pub endpoints: Vec<Endpoint>,
    /// The tables, those read from end to end most often first.
    pub tables: Vec<Table>,
    /// Foreign keys that no index begins with.
    pub unindexed: Vec<ForeignKey>,
    /// Whether the database counted all statements; it forgets some when there are very many different ones.
    pub complete: bool,
    /// Whether the service did not come to rest after the load: then its statements belong to no endpoint for certain, and
    /// none is named.
    #[serde(default)]
    pub restless: bool,
}

/// A normalised statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// Its text in one line, with placeholders where values were; capped. The candidate's words.
    pub text: String,
    /// How often it ran.
    pub calls: u64,
    /// Rows per call.
    pub rows: f64,
    /// Milliseconds per call.
    pub mean_ms: f64,
    /// Milliseconds of all calls.
    pub total_ms: f64,
}

/// What one request of an endpoint costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// Its name in the load plan.
    pub name: String,
    /// Method and path.
    pub operation: String,
    /// Requests that were sent alone.
    pub requests: u64,
    /// Statements per request.
    pub statements: f64,
    /// Time in the database per request, in milliseconds.
    pub database_ms: f64,
    /// The statements, those that run most often first.
    pub uses: Vec<Use>,
}

/// A statement of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Use {
    /// Its text, as in [`Statement`].
    pub text: String,
    /// Calls per request.
    pub per_request: f64,
    /// Rows per call.
    pub rows: f64,
    /// Milliseconds per call.
    pub mean_ms: f64,
    /// Pages looked at per call.
    pub pages: f64,
}

/// A table during the load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// Its name. The candidate's word.
    pub name: String,
    /// Rows before the load, about: a server may count rows seconds later, but knows its pages at once.
    pub rows_before: u64,
    /// Rows after it.
    pub rows: u64,
    /// Pages after it.
    pub pages: u64,
    /// How often it was read from end to end.
    pub scans: u64,
    /// Rows read in doing so.
    pub scanned_rows: u64,
    /// How often it was read by an index.
    pub lookups: u64,
}

impl Insight {
    /// What happened between the snapshots before and after the load, and in the windows of the single endpoints.
    pub fn of(
        service: &str,
        requests: u64,
        before: &Snapshot,
        after: &Snapshot,
        alone: &[Alone<'_>],
    ) -> Self {
        let counted = difference(before, after);
        let last = alone.last().map_or(after, |alone| alone.after);
        Self {
            service: service.to_owned(),
            requests,
            n_statements: counted.iter().map(|statement| statement.calls).sum(),
            statements: worth_showing(&counted),
            endpoints: alone.iter().map(Endpoint::of).collect(),
            tables: tables(before, after),
            unindexed: after.unindexed.iter().take(MAX_TABLES).cloned().collect(),
            complete: last.evicted == before.evicted,
            restless: false,
        }
    }

    /// Statements per request of the load; 0 without requests.
    pub fn statements_per_request(&self) -> f64 {
        per(self.n_statements as f64, self.requests)
    }
}

impl Endpoint {
    fn of(alone: &Alone<'_>) -> Self {
        let mut counted = difference(alone.before, alone.after);
        counted.sort_by(|a, b| {
            b.calls
                .cmp(&a.calls)
                .then(b.total_ms.total_cmp(&a.total_ms))
                .then(a.text.cmp(&b.text))
        });
        let total_ms: f64 = counted.iter().map(|statement| statement.total_ms).sum();
        let calls: u64 = counted.iter().map(|statement| statement.calls).sum();
        Self {
            name: alone.endpoint.to_owned(),
            operation: alone.operation.clone(),
            requests: alone.requests,
            statements: per(calls as f64, alone.requests),
            database_ms: per(total_ms, alone.requests),
            uses: counted
                .iter()
                .take(MAX_USES)
                .map(|statement| Use {
                    text: one_line(&statement.text),
                    per_request: per(statement.calls as f64, alone.requests),
                    rows: per(statement.rows as f64, statement.calls),
                    mean_ms: per(statement.total_ms, statement.calls),
                    pages: per(statement.pages as f64, statement.calls),
                })
                .collect(),
        }
    }
}

/// The statements that ran in between, with what they did then.
fn difference(before: &Snapshot, after: &Snapshot) -> Vec<Counted> {
    let earlier: BTreeMap<&str, &Counted> = before
        .statements
        .iter()
        .map(|statement| (statement.id.as_str(), statement))
        .collect();
    let moved = after.statements.iter().map(|statement| {
        // One that was forgotten and counted anew has fewer calls than before: then what it has now is what is known.
        let earlier = earlier
            .get(statement.id.as_str())
            .filter(|earlier| earlier.calls <= statement.calls);
        let Some(earlier) = earlier else {
            return statement.clone();
        };
        Counted {
            calls: statement.calls - earlier.calls,
            rows: statement.rows.saturating_sub(earlier.rows),
            total_ms: (statement.total_ms - earlier.total_ms).max(0.0),
            pages: statement.pages.saturating_sub(earlier.pages),
            ..statement.clone()
        }
    });
    moved.filter(|statement| statement.calls > 0).collect()
}

/// The ones that took most time, those that were slowest and those that ran most often.
fn worth_showing(counted: &[Counted]) -> Vec<Statement> {
    let mut chosen = BTreeSet::new();
    let keys: [fn(&Counted) -> f64; 3] = [
        |statement| statement.total_ms,
        |statement| per(statement.total_ms, statement.calls),
        |statement| statement.calls as f64,
    ];
    for key in keys {
        let mut order: Vec<usize> = (0..counted.len()).collect();
        order.sort_by(|a, b| key(&counted[*b]).total_cmp(&key(&counted[*a])));
        chosen.extend(order.into_iter().take(MAX_STATEMENTS / 2));
    }
    let mut chosen: Vec<Statement> = chosen
        .into_iter()
        .map(|i| &counted[i])
        .map(|statement| Statement {
            text: one_line(&statement.text),
            calls: statement.calls,
            rows: per(statement.rows as f64, statement.calls),
            mean_ms: per(statement.total_ms, statement.calls),
            total_ms: statement.total_ms,
        })
        .collect();
    chosen.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms));
    chosen.truncate(MAX_STATEMENTS);
    chosen
}

fn tables(before: &Snapshot, after: &Snapshot) -> Vec<Table> {
    let none = TableCounts::default();
    let of_table = |table: &TableCounts| {
        let earlier = before.tables.iter().find(|earlier| earlier.name == table.name);
        let earlier = earlier.unwrap_or(&none);
        let by_pages = table.rows.saturating_mul(earlier.pages).checked_div(table.pages);
        Table {
            name: table.name.clone(),
            rows_before: earlier.rows.max(by_pages.unwrap_or(0).min(table.rows)),
            rows: table.rows,
            pages: table.pages,
            scans: table.scans.saturating_sub(earlier.scans),
            scanned_rows: table.scanned_rows.saturating_sub(earlier.scanned_rows),
            lookups: table.lookups.saturating_sub(earlier.lookups),
        }
    };
    let mut tables: Vec<Table> = after.tables.iter().map(of_table).collect();
    tables.sort_by(|a, b| {
        let key = |table: &Table| (table.scanned_rows, table.lookups, table.rows);
        key(b).cmp(&key(a)).then(a.name.cmp(&b.name))
    });
    tables.truncate(MAX_TABLES);
    tables
}

/// The text in one line, capped.
fn one_line(text: &str) -> String {
    capped(&text.split_whitespace().collect::<Vec<_>>().join(" "), MAX_TEXT)
}

fn capped(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn per(sum: f64, n: u64) -> f64 {
    if n == 0 { 0.0 } else { sum / n as f64 }
}

#[cfg(test)]
mod tests;
