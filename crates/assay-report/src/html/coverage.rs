//! Coverage by file, the least covered first.

use assay_core::report::{CoverageReport, FileCoverageReport};

use crate::chart::Bar;
use crate::number;
use crate::text;

/// Files with lines or branches that no test reaches.
pub(super) struct Coverage {
    pub(super) lines: Measure,
    pub(super) branches: Option<Measure>,
    /// Files with something left to cover.
    pub(super) open: Vec<File>,
    /// Files that are covered in full.
    pub(super) full: Vec<File>,
    /// `3 files`.
    pub(super) n_full: String,
}

/// A share with its counts.
pub(super) struct Measure {
    pub(super) percent: String,
    pub(super) counts: String,
    pub(super) bar: Bar,
}

/// A file.
pub(super) struct File {
    pub(super) path: String,
    pub(super) lines: Measure,
    pub(super) branches: Option<Measure>,
    pub(super) uncovered: String,
}

pub(super) fn coverage(coverage: &CoverageReport) -> Coverage {
    let mut files: Vec<&FileCoverageReport> = coverage.files.iter().collect();
    let missing = |file: &FileCoverageReport| file.lines_total.saturating_sub(file.lines_covered);
    files.sort_by_key(|file| std::cmp::Reverse(missing(file)));
    let (full, open): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| {
        file.lines_covered >= file.lines_total && file.branches_covered >= file.branches_total
    });
    Coverage {
        lines: measure("lines", coverage.lines_covered, coverage.lines_total),
        branches: branches(coverage.branches_covered, coverage.branches_total),
        open: open.into_iter().map(file_view).collect(),
        n_full: number::count(full.len(), "file"),
        full: full.into_iter().map(file_view).collect(),
    }
}

fn file_view(file: &FileCoverageReport) -> File {
    File {
        path: text::line(&file.path),
        lines: measure("lines", file.lines_covered, file.lines_total),
        branches: branches(file.branches_covered, file.branches_total),
        uncovered: text::line(&file.uncovered),
    }
}

fn branches(covered: u64, total: u64) -> Option<Measure> {
    (total > 0).then(|| measure("branches", covered, total))
}

fn measure(what: &str, covered: u64, total: u64) -> Measure {
    let share = number::share(covered, total);
    let percent = if total == 0 {
        "–".into()
    } else {
        number::percent(share)
    };
    let counts = format!("{} of {}", number::thousands(covered), number::thousands(total));
    Measure {
        bar: Bar::new(format!("{counts} {what}"), 1.0, &[("info", share)]),
        percent,
        counts,
    }
}
