//! What candidates are called on a page: by name, or by an alias where names are hidden.

use assay_core::id::AssignmentId;
use assay_report::text;
use assay_store::model::Assignment;

/// Whether names are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Names {
    /// An alias stands for each name, so that a judgement is about the work.
    pub(super) hidden: bool,
}

impl Names {
    /// What the assignment's candidate is called.
    pub(super) fn of(self, assignment: &Assignment) -> String {
        match &assignment.candidate {
            None => "Erased candidate".into(),
            Some(_) if self.hidden => alias(&assignment.id),
            Some(candidate) => text::line(&candidate.name),
        }
    }
}

/// The same for an assignment on all pages: `Candidate 7Q2K`.
pub(super) fn alias(id: &AssignmentId) -> String {
    let id = id.as_str();
    let start = id.len().saturating_sub(4);
    format!("Candidate {}", id[start..].to_ascii_uppercase())
}

/// The first twelve digits of a commit.
pub(super) fn commit(commit: &str) -> String {
    text::line(commit).chars().take(12).collect()
}

/// `main`, `v1.0`: a reference without its folder.
pub(super) fn reference(name: &str) -> String {
    let short = name
        .strip_prefix("refs/heads/")
        .or_else(|| name.strip_prefix("refs/tags/"))
        .unwrap_or(name);
    text::line(short)
}

/// `2 of 5`, `2`.
pub(super) fn attempts(n_used: u32, of: Option<u32>) -> String {
    match of {
        Some(of) => format!("{n_used} of {of}"),
        None => n_used.to_string(),
    }
}
