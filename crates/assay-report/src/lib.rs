//! A report in every form that people and programs read. Pure: a [`Report`] in, text out.
//!
//! Much of what a report holds was written by a candidate or by their program, so all of it is taken as hostile: [`text`]
//! makes invisible characters visible and caps lengths, the writer of each format escapes, and links lead nowhere but
//! into the page itself.
#![warn(missing_docs)]

use assay_core::report::Report;

pub mod number;
pub mod state;
pub mod text;

mod anchor;
mod chart;
mod codequality;
mod html;
mod junit;
mod markdown;
mod sarif;
mod sureness;

pub use chart::Gauge;

/// The style sheet of the page. Other pages of the product begin with it, so that all look alike.
pub const STYLE: &str = include_str!("../templates/report.css");

/// The shapes that [`state::Mark`] names, as an invisible SVG at the head of a page.
pub const ICONS: &str = include_str!("../templates/icons.svg");

/// A report could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// HTML.
    #[error("the report cannot be written as HTML: {0}")]
    Html(#[from] askama::Error),
    /// JSON.
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// XML.
    #[error("the report cannot be written as XML: {0}")]
    Xml(#[from] std::io::Error),
}

/// One self-contained page for people: no script, nothing loaded from anywhere, light and dark, printable.
///
/// # Errors
/// When the template engine fails, which it does not on any report.
pub fn html(report: &Report) -> Result<String, RenderError> {
    html::render(report)
}

/// A comment for a forge, or a mail: the score, what cost points, what was not judged.
///
/// # Errors
/// Never; the signature is that of the other formats.
pub fn markdown(report: &Report) -> Result<String, RenderError> {
    Ok(markdown::render(report))
}

/// The checks as JUnit XML: one suite per check, so that any CI shows them.
///
/// # Errors
/// When the XML writer fails, which it does not on any report.
pub fn junit(report: &Report) -> Result<String, RenderError> {
    junit::render(report)
}

/// The findings as SARIF 2.1.0: one run per tool.
///
/// # Errors
/// When a value cannot be written as JSON, which does not happen on any report.
pub fn sarif(report: &Report) -> Result<String, RenderError> {
    Ok(serde_json::to_string_pretty(&sarif::log(report))?)
}

/// The findings as GitLab's code quality report.
///
/// # Errors
/// When a value cannot be written as JSON, which does not happen on any report.
pub fn codequality(report: &Report) -> Result<String, RenderError> {
    Ok(serde_json::to_string_pretty(&codequality::issues(report))?)
}
