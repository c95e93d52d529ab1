//! What the requests cost the database: statements per request by endpoint, the statements that took most, the tables.

use assay_core::insight::Insight;

use crate::number;
use crate::text;

/// The database's part of the load.
pub(super) struct Database {
    pub(super) summary: String,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) statements: Vec<Statement>,
    pub(super) tables: Vec<Table>,
}

/// What one request costs.
pub(super) struct Endpoint {
    pub(super) name: String,
    pub(super) operation: String,
    pub(super) statements: String,
    pub(super) time: String,
    /// The statement that runs most often, and how often.
    pub(super) most: String,
}

/// A statement of the load.
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) calls: String,
    pub(super) mean: String,
    pub(super) rows: String,
    pub(super) share: String,
}

/// A table during the load.
pub(super) struct Table {
    pub(super) name: String,
    pub(super) rows: String,
    pub(super) grown: String,
    pub(super) scans: String,
    pub(super) lookups: String,
}

pub(super) fn database(insight: &Insight) -> Database {
    let all_ms: f64 = insight
        .statements
        .iter()
        .map(|statement| statement.total_ms)
        .sum();
    Database {
        summary: format!(
            "{} ran {} statements for {} requests of the load, {} per request.{} {}",
            text::line(&insight.service),
            number::thousands(insight.n_statements),
            number::thousands(insight.requests),
            decimal(insight.statements_per_request()),
            if insight.complete {
                ""
            } else {
                " There were so many different ones that it forgot some."
            },
            match (insight.restless, insight.endpoints.is_empty()) {
                (false, _) => "After the load each endpoint was sent alone, so its statements are its own.",
                (true, true) =>
                    "The service asked for more long after the load, so no endpoint was sent alone: nobody could say \
                     which statements are whose.",
                (true, false) =>
                    "After the load endpoints were sent alone, so their statements are their own, until the service asked \
                     for more long after one of them.",
            }
        ),
        endpoints: insight
            .endpoints
            .iter()
            .map(|endpoint| Endpoint {
                name: text::line(&endpoint.name),
                operation: text::line(&endpoint.operation),
                statements: decimal(endpoint.statements),
                time: milliseconds(endpoint.database_ms),
                most: endpoint
                    .uses
                    .first()
                    .map(|used| format!("{} × {}", decimal(used.per_request), text::line(&used.text)))
                    .unwrap_or_default(),
            })
            .collect(),
        statements: insight
            .statements
            .iter()
            .map(|statement| Statement {
                text: text::line(&statement.text),
                calls: number::thousands(statement.calls),
                mean: milliseconds(statement.mean_ms),
                rows: decimal(statement.rows),
                share: number::percent(if all_ms > 0.0 {
                    statement.total_ms / all_ms
                } else {
                    0.0
                }),
            })
            .collect(),
        tables: insight
            .tables
            .iter()
            .map(|table| Table {
                name: text::line(&table.name),
                rows: number::thousands(table.rows),
                grown: number::thousands(table.rows.saturating_sub(table.rows_before)),
                scans: number::thousands(table.scans),
                lookups: number::thousands(table.lookups),
            })
            .collect(),
    }
}

/// To one decimal.
pub(crate) fn decimal(value: f64) -> String {
    number::plain((value * 10.0).round() / 10.0)
}

/// Statements may take microseconds.
pub(crate) fn milliseconds(ms: f64) -> String {
    if ms < 0.1 {
        format!("{:.3} ms", ms.max(0.0))
    } else {
        number::latency((ms * 1_000.0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn short_times_are_not_nothing() {
        for (ms, expected) in [
            (0.0, "0.000 ms"),
            (0.0154, "0.015 ms"),
            (0.1, "0.1 ms"),
            (60.0, "60 ms"),
            (2_500.0, "2.5 s"),
        ] {
            assert_eq!(milliseconds(ms), expected);
        }
    }
}
