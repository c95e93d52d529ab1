//! From what the database counted to findings.

use super::{Endpoint, Insight, Table, Use, capped, per};
use crate::evidence::{Finding, Level};
use crate::exercise::CategoryId;

/// The tool in findings and scoring rules.
const TOOL: &str = "database";
/// A statement that one request runs so often could be one statement.
const REPEATED: f64 = 5.0;
/// A table is worth an index from so many rows on...
const MANY_ROWS: u64 = 1_000;
/// ...when so many rows are read at a time, and it happened so often. A scan that ends early, at a LIMIT, is cheap.
const ROWS_PER_SCAN: u64 = 500;
const SCANS: u64 = 10;
/// A statement that looks at this share of a table's pages has read it from end to end.
const SHARE_OF_PAGES: f64 = 0.8;
/// A statement is the endpoint's own when at least this share of its requests runs it; else something in the background may.
const OWN: f64 = 0.5;
/// A statement that takes so long when nothing else is asked is slow, in milliseconds, if it also looks at so many pages:
/// time alone may be the host's fault.
const SLOW_MS: f64 = 50.0;
const SLOW_PAGES: f64 = 1_000.0;
/// Longest text of a statement in a finding, in characters.
const MAX_TEXT: usize = 200;
/// Most findings of one rule.
const MAX_FINDINGS: usize = 10;

impl Insight {
    /// What should be mended, by rule. `check` is the id of the check that measured.
    pub fn findings(&self, check: &str) -> Vec<Finding> {
        let rules = [self.repeated(), self.scanned(), self.slow(), self.without_index()];
        let capped = rules
            .into_iter()
            .flat_map(|found| found.into_iter().take(MAX_FINDINGS));
        capped
            .map(|found| Finding {
                check: check.to_owned(),
                tool: TOOL.to_owned(),
                rule: found.rule.to_owned(),
                level: found.level,
                category: CategoryId::Latency,
                file: None,
                line: None,
                message: found.message,
                help: Some(found.help.to_owned()),
                excerpt: None,
                exchange: None,
            })
            .collect()
    }

    /// One request, many times the same statement.
    fn repeated(&self) -> Vec<Found> {
        let found = |whose: &str, statements: f64, times: f64, text: &str| Found {
            rule: "repeated-statement",
            level: if writes(text) { Level::Note } else { Level::Warning },
            message: format!(
                "{whose} runs {} statements, {} of them the same: {}",
                number(statements),
                number(times),
                capped(text, MAX_TEXT)
            ),
            help: if writes(text) {
                "Write all rows with one statement; each one costs a round trip."
            } else {
                "Ask for all of them at once, with a JOIN or a list of keys: each statement costs a round trip, and \
                 their number grows with the data."
            },
        };
        if self.endpoints.is_empty() {
            // Nobody knows whose they are.
            let repeated = self.statements.iter().filter_map(|statement| {
                let times = per(statement.calls as f64, self.requests);
                let whose = "on average a request of the load";
                (times >= REPEATED)
                    .then(|| found(whose, self.statements_per_request(), times, &statement.text))
            });
            return repeated.collect();
        }
        let of_endpoint = |endpoint: &Endpoint| {
            let whose = format!("{}: one request", shown(endpoint));
            let repeated = endpoint.uses.iter().filter(|used| used.per_request >= REPEATED);
            let repeated =
                repeated.map(|used| found(&whose, endpoint.statements, used.per_request, &used.text));
            repeated.collect::<Vec<_>>()
        };
        self.endpoints.iter().flat_map(of_endpoint).collect()
    }

    /// Large tables that were read from end to end.
    fn scanned(&self) -> Vec<Found> {
        let is_large = |table: &&Table| {
            table.rows >= MANY_ROWS
                && table.scans >= SCANS
                && table.scanned_rows >= table.scans.saturating_mul(ROWS_PER_SCAN)
        };
        let of_table = |table: &Table| {
            let causes: Vec<(&Endpoint, &Use)> = self
                .endpoints
                .iter()
                .flat_map(|endpoint| endpoint.uses.iter().map(move |used| (endpoint, used)))
                .filter(|(_, used)| {
                    used.per_request >= OWN
                        && used.pages >= table.pages as f64 * SHARE_OF_PAGES
                        && mentions(&used.text, &table.name)
                })
                .collect();
            let mut names: Vec<String> = causes.iter().map(|(endpoint, _)| shown(endpoint)).collect();
            names.dedup();
            let grown = match table.rows.saturating_sub(table.rows_before) {
                0 => String::new(),
                n => format!(", some {n} more than before the load"),
            };
            Found {
                rule: "sequential-scan",
                level: Level::Warning,
                message: format!(
                    "{}the table {} was read from end to end {} times ({} rows{grown}){}",
                    if names.is_empty() {
                        String::new()
                    } else {
                        format!("{}: ", names.join(", "))
                    },
                    table.name,
                    table.scans,
                    table.rows,
                    match causes.first() {
                        Some((_, used)) => format!(": {}", capped(&used.text, MAX_TEXT)),
                        None => String::new(),
                    },
                ),
                help: "An index on the columns that are filtered and sorted by lets the database read only the rows \
                       that are asked for.",
            }
        };
        self.tables.iter().filter(is_large).map(of_table).collect()
    }

    /// Statements that take long even when nothing else is asked.
    fn slow(&self) -> Vec<Found> {
        let mut found = Vec::new();
        for endpoint in &self.endpoints {
            let slow =
                |used: &&Use| used.per_request >= OWN && used.mean_ms >= SLOW_MS && used.pages >= SLOW_PAGES;
            found.extend(endpoint.uses.iter().filter(slow).map(|used| Found {
                rule: "slow-statement",
                level: Level::Warning,
                message: format!(
                    "{}: a statement takes {} ms with nothing else under way, and looks at {} pages for {} rows: {}",
                    shown(endpoint),
                    number(used.mean_ms),
                    number(used.pages),
                    number(used.rows),
                    capped(&used.text, MAX_TEXT)
                ),
                help: "EXPLAIN (ANALYZE, BUFFERS) shows where the time goes.",
            }));
        }
        found
    }

    /// Foreign keys without an index.
    fn without_index(&self) -> Vec<Found> {
        let of_key = |key: &super::ForeignKey| {
            let rows = self.tables.iter().find(|table| table.name == key.table);
            let rows = rows.map_or(0, |table| table.rows);
            Found {
                rule: "unindexed-foreign-key",
                level: if rows >= MANY_ROWS {
                    Level::Warning
                } else {
                    Level::Note
                },
                message: format!(
                    "the foreign key {} ({}) to {} has no index ({rows} rows)",
                    key.table,
                    key.columns.join(", "),
                    key.references
                ),
                help: "Whoever deletes or joins from the other side reads the whole table for each row; an index that \
                       begins with these columns mends it.",
            }
        };
        self.unindexed.iter().map(of_key).collect()
    }
}

/// A finding without what all of them share.
struct Found {
    rule: &'static str,
    level: Level,
    message: String,
    help: &'static str,
}

fn shown(endpoint: &Endpoint) -> String {
    format!("{} ({})", endpoint.name, endpoint.operation)
}

/// Whether a statement changes rows, as far as its first word says (`WITH`: any word). A comment before it is not read.
fn writes(text: &str) -> bool {
    let changes = |word: &str| {
        ["insert", "update", "delete", "merge"]
            .iter()
            .any(|change| word.eq_ignore_ascii_case(change))
    };
    let first = words(text).next().unwrap_or_default();
    changes(first) || first.eq_ignore_ascii_case("with") && words(text).any(changes)
}

/// Whether the table's name is one of the statement's words.
fn mentions(text: &str, table: &str) -> bool {
    words(text).any(|word| word.eq_ignore_ascii_case(table))
        // A name with other characters stands in quotes.
        || text.contains(&format!("\"{table}\""))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// To one decimal, without a trailing zero.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}
