//! Text from reports, made fit to be stored: capped, without control characters.

use crate::Limits;

/// Cuts and cleans a text of several lines.
pub(crate) fn clean(text: &str, limits: &Limits) -> String {
    let mut out: String = text
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .take(limits.text_chars)
        .collect();
    out.truncate(out.trim_end().len());
    out
}

/// Cuts and cleans a text to one line.
pub(crate) fn line(text: &str, limits: &Limits) -> String {
    clean(text, limits)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
