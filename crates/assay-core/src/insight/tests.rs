use super::*;
use crate::evidence::Level;

fn counted(id: &str, text: &str, calls: u64, total_ms: f64, pages: u64) -> Counted {
    Counted {
        id: id.into(),
        text: text.into(),
        calls,
        rows: calls * 20,
        total_ms,
        pages,
    }
}

fn table(name: &str, rows: u64, pages: u64, scans: u64) -> TableCounts {
    TableCounts {
        name: name.into(),
        rows,
        pages,
        scans,
        scanned_rows: scans * rows,
        lookups: 7,
    }
}

const LIST: &str = "SELECT id FROM tasks\n  WHERE user_id = $1";
const ONE: &str = "SELECT * FROM tasks WHERE id = $1 FOR UPDATE";
const WRITE: &str = "INSERT INTO tasks VALUES ($1)";

/// Before the load, after it, after ten requests of `list` and after five of `sync`.
fn snapshots() -> [Snapshot; 4] {
    let at = |list: u64, one: u64, write: u64, tasks: TableCounts| Snapshot {
        statements: vec![
            counted("1", LIST, list, list as f64 * 60.0, list * 1_200),
            counted("2", ONE, one, one as f64 * 0.1, one * 3),
            counted("3", WRITE, write, write as f64 * 0.2, write * 3),
        ],
        tables: vec![tasks, table("users", 20, 1, 9_000)],
        unindexed: vec![ForeignKey {
            table: "tasks".into(),
            columns: vec!["user_id".into()],
            references: "users".into(),
        }],
        ..Snapshot::default()
    };
    [
        at(4, 80, 1_000, table("tasks", 1_000, 50, 3)),
        at(104, 2_080, 1_500, table("tasks", 2_000, 100, 103)),
        at(114, 2_280, 1_500, table("tasks", 2_000, 100, 103)),
        at(114, 2_280, 1_550, table("tasks", 2_010, 100, 103)),
    ]
}

fn alone<'a>(
    endpoint: &'a str,
    operation: &str,
    requests: u64,
    [before, after]: [&'a Snapshot; 2],
) -> Alone<'a> {
    Alone {
        endpoint,
        operation: operation.into(),
        requests,
        before,
        after,
    }
}

fn shown(insight: &Insight) -> String {
    let findings = insight.findings("load");
    let lines = findings.iter().map(|finding| {
        assert_eq!(
            (finding.tool.as_str(), finding.check.as_str()),
            ("database", "load")
        );
        format!("{:?} {}: {}", finding.level, finding.rule, finding.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_moved_between_two_snapshots_belongs_to_the_endpoint() {
    let [before, after, list, sync] = &snapshots();
    let windows = [
        alone("list", "GET /tasks", 10, [after, list]),
        alone("sync", "POST /sync", 5, [list, sync]),
    ];
    let insight = Insight::of("postgres", 400, before, after, &windows);
    assert_eq!(
        (insight.n_statements, insight.statements_per_request()),
        (2_600, 6.5)
    );
    assert!(insight.complete);
    let per_endpoint = insight.endpoints.iter().map(|endpoint| {
        let uses: Vec<String> = endpoint
            .uses
            .iter()
            .map(|used| format!("{} × {} ({} ms)", used.per_request, used.text, used.mean_ms))
            .collect();
        format!(
            "{}: {} per request; {}",
            endpoint.name,
            endpoint.statements,
            uses.join("; ")
        )
    });
    insta::assert_snapshot!(per_endpoint.collect::<Vec<_>>().join("\n"), @"
    list: 21 per request; 20 × SELECT * FROM tasks WHERE id = $1 FOR UPDATE (0.1 ms); 1 × SELECT id FROM tasks WHERE user_id = $1 (60 ms)
    sync: 10 per request; 10 × INSERT INTO tasks VALUES ($1) (0.2 ms)
    ");
    insta::assert_snapshot!(shown(&insight), @"
    Warning repeated-statement: list (GET /tasks): one request runs 21 statements, 20 of them the same: SELECT * FROM tasks WHERE id = $1 FOR UPDATE
    Note repeated-statement: sync (POST /sync): one request runs 10 statements, 10 of them the same: INSERT INTO tasks VALUES ($1)
    Warning sequential-scan: list (GET /tasks): the table tasks was read from end to end 100 times (2000 rows, some 1000 more than before the load): SELECT id FROM tasks WHERE user_id = $1
    Warning slow-statement: list (GET /tasks): a statement takes 60 ms with nothing else under way, and looks at 1200 pages for 20 rows: SELECT id FROM tasks WHERE user_id = $1
    Warning unindexed-foreign-key: the foreign key tasks (user_id) to users has no index (2000 rows)
    ");
    let levels: Vec<Level> = insight
        .findings("load")
        .iter()
        .map(|finding| finding.level)
        .collect();
    assert_eq!(levels.iter().filter(|level| **level == Level::Note).count(), 1);
}

#[test]
fn what_is_small_rare_or_somebody_elses_is_no_finding() {
    // A busy host makes everything slow: 76 ms for a statement that looks at next to nothing.
    let busy = Snapshot {
        statements: vec![counted("1", WRITE, 5, 380.0, 900)],
        ..Snapshot::default()
    };
    let none = Snapshot::default();
    let windows = [alone("sync", "POST /sync", 5, [&none, &busy])];
    assert_eq!(shown(&Insight::of("postgres", 5, &none, &busy, &windows)), "");

    let [before, after, ..] = &snapshots();
    let mut quiet = after.clone();
    // A job in the background: three calls during ten requests.
    quiet.statements[0].calls += 3;
    quiet.statements[0].total_ms += 900.0;
    quiet.statements[1].calls += 49;
    let windows = [alone("list", "GET /tasks", 10, [after, &quiet])];
    let mut insight = Insight::of("postgres", 400, before, after, &windows);
    insight.unindexed.clear();
    // Large and scanned, but not by what was sent alone: it is said without an endpoint.
    assert_eq!(
        shown(&insight),
        "Warning sequential-scan: the table tasks was read from end to end 100 times (2000 rows, some 1000 more than before the load)"
    );
    for (rows, scans, scanned_rows) in [(999, 100, 99_900), (2_000, 9, 18_000), (2_000, 100, 2_000)] {
        let tasks = &mut insight.tables[0];
        (tasks.rows, tasks.scans, tasks.scanned_rows) = (rows, scans, scanned_rows);
        assert_eq!(shown(&insight), "", "{rows} {scans} {scanned_rows}");
    }
}

#[test]
fn hostile_texts_are_bounded_and_change_nothing() {
    let long = format!("SELECT 1 /* {} */ FROM tasks", "\n\t x".repeat(5_000));
    let statement = |text: &str, calls| counted("1", text, calls, 1.0, 0);
    let before = Snapshot::default();
    for (text, level) in [
        (long.as_str(), Level::Warning),
        ("/* INSERT */ SELECT 1", Level::Warning),
        ("-- update\nSELECT 1", Level::Warning),
        (
            "WITH a AS (DELETE FROM b RETURNING *) SELECT * FROM a",
            Level::Note,
        ),
        ("insert into a select 1", Level::Note),
    ] {
        let after = Snapshot {
            statements: vec![statement(text, 50)],
            evicted: 1,
            ..Snapshot::default()
        };
        let windows = [alone("list", "GET /tasks", 10, [&before, &after])];
        let insight = Insight::of("postgres", 10, &before, &after, &windows);
        assert!(!insight.complete);
        assert!(insight.statements[0].text.chars().count() <= MAX_TEXT + 1);
        let findings = insight.findings("load");
        assert_eq!(findings.len(), 1, "{text}");
        assert_eq!(findings[0].level, level, "{text}");
        assert!(findings[0].message.chars().count() < 400);
    }
}

#[test]
fn a_statement_that_was_forgotten_and_counted_anew_is_no_overflow() {
    let snapshot = |calls| Snapshot {
        statements: vec![counted("1", ONE, calls, calls as f64, 1)],
        ..Snapshot::default()
    };
    let insight = Insight::of("postgres", 0, &snapshot(100), &snapshot(3), &[]);
    assert_eq!(insight.n_statements, 3);
    assert_eq!(insight.statements_per_request(), 0.0);
    assert_eq!(
        Insight::of("x", 9, &snapshot(3), &snapshot(3), &[]).statements,
        []
    );
}

#[test]
fn a_service_is_at_rest_when_nothing_runs_and_nothing_has_ended() {
    let snapshot = |calls, running| Snapshot {
        statements: vec![counted("1", ONE, calls, calls as f64, 1)],
        running,
        ..Snapshot::default()
    };
    let earlier = snapshot(3, 4);
    for (now, expected) in [
        (snapshot(3, 0), true),
        (snapshot(3, 1), false),
        (snapshot(4, 0), false),
    ] {
        assert_eq!(now.is_at_rest_since(&earlier), expected, "{now:?}");
    }
}

#[test]
fn without_endpoints_the_load_as_a_whole_tells_of_repeated_statements() {
    let [before, after, ..] = &snapshots();
    let found = |requests| shown(&Insight::of("postgres", requests, before, after, &[]));
    insta::assert_snapshot!(found(250), @"
    Warning repeated-statement: on average a request of the load runs 10.4 statements, 8 of them the same: SELECT * FROM tasks WHERE id = $1 FOR UPDATE
    Warning sequential-scan: the table tasks was read from end to end 100 times (2000 rows, some 1000 more than before the load)
    Warning unindexed-foreign-key: the foreign key tasks (user_id) to users has no index (2000 rows)
    ");
    assert!(!found(500).contains("repeated-statement"), "four per request");
}

#[test]
fn rows_before_the_load_follow_from_the_pages_where_they_were_counted_late() {
    for ((rows, pages), (rows_after, pages_after), expected) in [
        ((1_000, 50), (2_000, 100), 1_000),
        ((10, 50), (2_000, 100), 1_000),
        ((1_500, 50), (2_000, 100), 1_500),
        ((0, 0), (2_000, 100), 0),
        ((0, 0), (0, 0), 0),
        ((10, 100), (2_000, 50), 2_000),
    ] {
        let [before, after] = [(rows, pages), (rows_after, pages_after)].map(|(rows, pages)| Snapshot {
            tables: vec![table("tasks", rows, pages, 0)],
            ..Snapshot::default()
        });
        assert_eq!(tables(&before, &after)[0].rows_before, expected);
    }
}
