//! The one comment that a pull or merge request gets, edited at each new result.

use assay_core::exercise::Visibility;
use assay_core::report::candidate;
use assay_core::report::{CheckStatus, Report};
use assay_report::number;
use assay_report::text;
use assay_store::model::ForgeKind;

/// Longest comment that all forges take, in bytes (Bitbucket's limit is 32 KiB).
const MAX_BYTES: usize = 30_000;

/// The line by which a comment of ours is found again. It shows nowhere. Its mark can be made by this installation only, so
/// nobody can put up a comment that we would take for ours.
pub(super) fn marker(forge: ForgeKind, exercise: &str, mark: &str) -> String {
    match forge {
        // Bitbucket shows HTML comments as text.
        ForgeKind::Bitbucket | ForgeKind::BitbucketServer => format!("[assay-{exercise}-{mark}]: #"),
        ForgeKind::GitHub | ForgeKind::GitLab | ForgeKind::Gitea => {
            format!("<!-- assay:run:{exercise}:{mark} -->")
        }
    }
}

/// The comment's text. Whoever reads the request may be the candidate: unless every check is visible to them, it says what
/// their own page says and no more.
pub(super) fn body(report: Option<&Report>, sentence: &str, page: &str, marker: &str) -> String {
    let text = match report {
        None => format!("## Assay\n\n{sentence}\n"),
        Some(report)
            if report
                .checks
                .iter()
                .all(|check| check.visibility == Visibility::Visible) =>
        {
            assay_report::markdown(report).unwrap_or_else(|_| sentence.to_owned())
        }
        Some(report) => seen(report, sentence),
    };
    format!("{}\n\n[Details]({page})\n\n{marker}\n", capped(text.trim_end()))
}

/// Texts of the exercise and numbers only: nothing that a candidate or their program wrote.
fn seen(report: &Report, sentence: &str) -> String {
    let view = candidate::view(report);
    let mut lines = vec![
        format!("## {}", plain(&report.exercise.title)),
        String::new(),
        sentence.to_owned(),
        String::new(),
        "| Check | State | Tests passed |".to_owned(),
        "| --- | --- | --- |".to_owned(),
    ];
    for check in &view.checks {
        let (state, tests) = match &check.counts {
            None => ("not shown", String::new()),
            Some(counts) => {
                let state = match counts.status {
                    CheckStatus::Passed => "passed",
                    CheckStatus::Failed => "failed",
                    CheckStatus::NotScored => "not scored",
                };
                let tests = match counts.n_tests {
                    0 => String::new(),
                    n => format!("{} of {}", counts.n_passed, number::count(n, "test")),
                };
                (state, tests)
            }
        };
        lines.push(format!("| {} | {state} | {tests} |", plain(&check.id)));
    }
    lines.join("\n")
}

fn plain(prose: &str) -> String {
    text::line(prose)
        .chars()
        .filter(|c| c.is_alphanumeric() || " .,-_()".contains(*c))
        .collect()
}

fn capped(text: &str) -> String {
    if text.len() <= MAX_BYTES {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MAX_BYTES);
    let whole = text.get(..end).unwrap_or_default();
    let whole = whole.rsplit_once('\n').map_or(whole, |(lines, _)| lines);
    format!("{whole}\n\n… and more: see the details.")
}
