//! Markdown for a comment on a change or for a mail: short, and inert whatever the candidate wrote.

use assay_core::evidence::TestStatus;
use assay_core::exercise::CheckKind;
use assay_core::report::Report;
use assay_core::rigour::BugOutcome;
use assay_core::scoring::CategoryScore;

use crate::html::database::{decimal, milliseconds};
use crate::html::lost_lines;
use crate::number;
use crate::state;
use crate::sureness;
use crate::text;

/// Most lines of one list.
const MAX_ROWS: usize = 12;

pub(crate) fn render(report: &Report) -> String {
    let parts = [
        headline(report),
        categories(report),
        lost(report),
        latency(report),
        tests(report),
        bugs(report),
        database(report),
        faults(report),
        footer(report),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n") + "\n"
}

fn latency(report: &Report) -> String {
    let load = report.load.as_ref().filter(|load| load.invalid.is_empty());
    load.and_then(sureness::sentence)
        .map(|sentence| format!("**Latency.** {}", escape(&sentence)))
        .unwrap_or_default()
}

fn headline(report: &Report) -> String {
    let score = &report.score;
    let [lowest, highest] = score.range;
    let gate = state::of_gate(score.gate, highest > lowest).word;
    let mut text = format!(
        "## {}: {} of {}\n\n**{gate}.**",
        escape(&report.exercise.title),
        number::points(score.total),
        number::points(score.max)
    );
    if highest > lowest {
        text += &format!(
            " Not everything could be scored; the full score lies between {} and {}.",
            number::points(lowest),
            number::points(highest)
        );
    }
    let submission = &report.submission;
    let commit: String = submission.commit.chars().take(12).collect();
    text + &format!(
        " Commit {} ({}), track {}.",
        escape(&commit),
        escape(&submission.subject),
        escape(&submission.track)
    )
}

fn categories(report: &Report) -> String {
    if report.categories.is_empty() {
        return String::new();
    }
    let row = |category: &CategoryScore| {
        let open: f64 = category
            .lines
            .iter()
            .filter(|line| line.points.is_none())
            .map(|line| line.max)
            .sum();
        let open = if open > 0.0 {
            format!("{} not scored", number::points(open))
        } else {
            String::new()
        };
        let band = crate::html::band(category).word;
        format!(
            "| {} | {} of {} | {band} | {open} |",
            escape(&category.title),
            number::points(category.score),
            number::points(category.max)
        )
    };
    let rows: Vec<String> = report.categories.iter().map(row).collect();
    format!(
        "| Category | Points | | |\n| --- | ---: | --- | --- |\n{}",
        rows.join("\n")
    )
}

fn lost(report: &Report) -> String {
    let lost = lost_lines(report);
    if lost.is_empty() {
        return "Nothing cost points.".into();
    }
    let rows = lost.iter().take(MAX_ROWS).map(|(points, category, line)| {
        format!(
            "- **−{}** {}: {}. {}",
            number::points(*points),
            escape(&category.title),
            escape(&line.title),
            escape(&line.reason)
        )
    });
    let rows: Vec<String> = rows.collect();
    format!(
        "### What cost points\n\n{}{}",
        rows.join("\n"),
        and_more(lost.len())
    )
}

fn tests(report: &Report) -> String {
    let mut rows = Vec::new();
    for check in &report.checks {
        let of_check = || report.tests.iter().filter(|test| test.check == check.id);
        let count = |status: TestStatus| of_check().filter(|test| test.test.status == status).count();
        let n_tests = of_check().count();
        let states = [TestStatus::Failed, TestStatus::Broken, TestStatus::Skipped];
        let bad: Vec<String> = states
            .into_iter()
            .filter(|status| count(*status) > 0)
            .map(|status| format!("{} {}", count(status), state::of_test(status).word.to_lowercase()))
            .collect();
        if !bad.is_empty() {
            let noun = match (check.kind, of_check().any(|test| test.self_reported)) {
                (CheckKind::Command, _) => "command",
                (_, true) => "own test",
                (_, false) => "hidden test",
            };
            rows.push(format!(
                "- {} of {} ({})",
                bad.join(", "),
                number::count(n_tests, noun),
                escape(&check.id)
            ));
        }
    }
    if rows.is_empty() {
        String::new()
    } else {
        format!("### Tests that did not pass\n\n{}", rows.join("\n"))
    }
}

fn bugs(report: &Report) -> String {
    let missed: Vec<_> = report
        .bugs
        .iter()
        .filter(|bug| bug.outcome == BugOutcome::Missed)
        .collect();
    if missed.is_empty() {
        return String::new();
    }
    let (n_caught, n_bugs) = report.bug_counts();
    let rows = missed.iter().take(MAX_ROWS);
    let rows: Vec<String> = rows
        .map(|bug| format!("- {}", escape(&bug.description)))
        .collect();
    format!(
        "### Seeded bugs that own tests miss\n\n{n_caught} of {} caught. Missed:\n\n{}{}",
        number::count(n_bugs, "seeded bug"),
        rows.join("\n"),
        and_more(missed.len())
    )
}

fn database(report: &Report) -> String {
    let endpoints = report.database.iter().flat_map(|database| &database.endpoints);
    let rows: Vec<String> = endpoints
        .take(MAX_ROWS)
        .map(|endpoint| {
            format!(
                "| {} ({}) | {} | {} |",
                escape(&endpoint.name),
                escape(&endpoint.operation),
                decimal(endpoint.statements),
                milliseconds(endpoint.database_ms)
            )
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let findings = report
        .findings
        .iter()
        .filter(|finding| finding.tool == "database");
    let findings: Vec<String> = findings
        .map(|finding| format!("- {}", escape(&finding.message)))
        .collect();
    let n = findings.len();
    let shown = findings.into_iter().take(MAX_ROWS).collect::<Vec<_>>().join("\n");
    format!(
        "### Database\n\n| One request of | Statements | Time in the database |\n| --- | ---: | ---: |\n{}\n\n{shown}{}",
        rows.join("\n"),
        and_more(n)
    )
    .trim_end()
    .to_owned()
}

fn faults(report: &Report) -> String {
    let mut rows = Vec::new();
    for check in &report.checks {
        rows.extend(
            check
                .fault
                .iter()
                .map(|fault| format!("- {}: {}", escape(&check.id), escape(&fault.message))),
        );
        rows.extend(check.partial_faults.iter().map(|(part, fault)| {
            format!(
                "- {}, {}: {}",
                escape(&check.id),
                escape(part),
                escape(&fault.message)
            )
        }));
    }
    let n = rows.len();
    rows.truncate(MAX_ROWS);
    if rows.is_empty() {
        String::new()
    } else {
        format!("### What stopped\n\n{}{}", rows.join("\n"), and_more(n))
    }
}

fn footer(report: &Report) -> String {
    format!(
        "<sub>Assay, run {}, {}</sub>",
        escape(&report.run.id),
        number::wall_time(report.run.duration_ms)
    )
}

fn and_more(n: usize) -> String {
    if n > MAX_ROWS {
        format!("\n- … and {} more", n - MAX_ROWS)
    } else {
        String::new()
    }
}

/// Prose that stays prose: no markup, no HTML, no link, and no mention of a person, an issue or a team.
fn escape(prose: &str) -> String {
    let mut text = String::new();
    for c in text::line(prose).chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '!' | '$' => text.extend(['\\', c]),
            // Forges look for these in the finished text, where no escape is left; a zero-width space stops them.
            '@' | '#' | ':' | '/' => text.extend([c, '\u{200b}']),
            'w' | 'W' if text.ends_with(['w', 'W']) => text.extend(['\u{200b}', c]),
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_inert() {
        let cases = [
            ("<b>a</b>", "&lt;b&gt;a&lt;/\u{200b}b&gt;"),
            ("a|b", "a\\|b"),
            ("[x](y)", "\\[x\\](y)"),
            ("@all", "@\u{200b}all"),
            ("https://x", "https:\u{200b}/\u{200b}/\u{200b}x"),
            ("www.x", "w\u{200b}w\u{200b}w.x"),
            ("50 %", "50 %"),
        ];
        for (prose, inert) in cases {
            assert_eq!(escape(prose), inert, "{prose}");
        }
    }
}
