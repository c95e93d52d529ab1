//! States and bands: each has a word, a shape and a colour, so that none of the three has to be seen.

use askama::Template;
use assay_core::evidence::{Level, TestStatus};
use assay_core::exercise::{CategoryId, CheckKind};
use assay_core::report::CheckStatus;
use assay_core::rigour::BugOutcome;

/// From this share of the points on a score is strong.
pub const STRONG: f64 = 0.9;
/// From this share of the points on a score is solid.
pub const SOLID: f64 = 0.5;

/// A state as the page shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Template)]
#[template(path = "mark.html", whitespace = "suppress")]
pub struct Mark {
    /// For people.
    pub word: &'static str,
    /// Name of the shape, `#i-…` in the page.
    pub icon: &'static str,
    /// Name of the colour, `.c-…` in the style sheet.
    pub color: &'static str,
}

impl askama::filters::HtmlSafe for Mark {}

impl Mark {
    /// A state of another page. Beside the icons of [`crate::ICONS`] it may name those that the page has itself.
    pub const fn new(word: &'static str, icon: &'static str, color: &'static str) -> Self {
        Self { word, icon, color }
    }
}

const fn mark(word: &'static str, icon: &'static str, color: &'static str) -> Mark {
    Mark::new(word, icon, color)
}

/// The mark of a check.
pub fn of_check(status: CheckStatus) -> Mark {
    match status {
        CheckStatus::Passed => mark("Passed", "pass", "pass"),
        CheckStatus::Failed => mark("Failed", "fail", "fail"),
        CheckStatus::NotScored => mark("Not scored", "none", "muted"),
    }
}

/// The mark of a test.
pub fn of_test(status: TestStatus) -> Mark {
    match status {
        TestStatus::Passed => mark("Passed", "pass", "pass"),
        TestStatus::Skipped => mark("Skipped", "skip", "muted"),
        TestStatus::Failed => mark("Failed", "fail", "fail"),
        TestStatus::Broken => mark("Broken", "warn", "warn"),
    }
}

/// The mark of a seeded bug.
pub fn of_bug(outcome: BugOutcome) -> Mark {
    match outcome {
        BugOutcome::Caught => mark("Caught", "pass", "pass"),
        BugOutcome::Missed => mark("Missed", "fail", "fail"),
        BugOutcome::NotRun => mark("Not run", "none", "muted"),
    }
}

/// The mark of a finding.
pub fn of_level(level: Level) -> Mark {
    match level {
        Level::Error => mark("Error", "fail", "fail"),
        Level::Warning => mark("Warning", "warn", "warn"),
        Level::Note => mark("Note", "note", "info"),
    }
}

/// The mark of a condition.
pub fn of_condition(holds: bool) -> Mark {
    if holds {
        mark("Met", "pass", "pass")
    } else {
        mark("Not met", "fail", "fail")
    }
}

/// The mark of the exercise's gate.
pub fn of_gate(gate: Option<bool>, open: bool) -> Mark {
    match gate {
        Some(true) => mark("Gate passed", "pass", "pass"),
        Some(false) => mark("Gate failed", "fail", "fail"),
        None if open => mark("Gate open", "none", "muted"),
        None => mark("No gate", "none", "muted"),
    }
}

/// The band of a score whose lowest and highest possible shares (0 to 1) are these.
pub fn of_share(lowest: f64, highest: f64) -> Mark {
    let band = |share: f64| match share {
        share if share >= STRONG => mark("Strong", "strong", "pass"),
        share if share >= SOLID => mark("Solid", "solid", "warn"),
        _ => mark("Weak", "weak", "fail"),
    };
    let (low, high) = (band(lowest), band(highest));
    if low == high {
        low
    } else {
        mark("Open", "none", "muted")
    }
}

/// The bands with their limits, for the legend.
pub fn legend() -> [(Mark, &'static str); 4] {
    [
        (of_share(1.0, 1.0), "90 % of the points or more"),
        (of_share(SOLID, SOLID), "50 % or more"),
        (of_share(0.0, 0.0), "less than 50 %"),
        (of_share(0.0, 1.0), "too much was not scored to say"),
    ]
}

/// A category's name for people.
pub fn category(id: CategoryId) -> &'static str {
    match id {
        CategoryId::Correctness => "Correctness",
        CategoryId::Tests => "Own tests",
        CategoryId::Latency => "Latency",
        CategoryId::Security => "Security",
        CategoryId::Style => "Style",
        CategoryId::Documentation => "Documentation",
    }
}

/// A check's kind for people.
pub fn kind(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Build => "Dependencies and build",
        CheckKind::Style => "Style and documentation",
        CheckKind::Unit => "Own tests with coverage",
        CheckKind::Integration => "Hidden tests",
        CheckKind::Load => "Load and latency",
        CheckKind::Security => "Security",
        CheckKind::Rigour => "Own black-box tests on seeded bugs",
        CheckKind::Command => "Command",
    }
}
