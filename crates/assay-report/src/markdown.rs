//! Markdown.

use assay_core::report::Report;

pub(crate) fn render(report: &Report) -> String {
    let mut text = format!("# {}: {} of {}\n", report.exercise.title, report.score.total, report.score.max);
    for category in &report.categories {
        text += &format!("\n{}: {} of {}", category.title, category.score, category.max);
    }
    text
}
