//! Text of candidates, made fit to be shown: bounded, control characters visible.

use assay_core::evidence::{Excerpt, LogExcerpt};

/// Most characters of a log that a report carries.
const MAX_LOG_CHARS: usize = 12_000;
/// Most characters of a line.
const MAX_LINE_CHARS: usize = 400;
/// Lines before and after a finding.
const AROUND: u32 = 3;

/// The end of a log; none when it is empty.
pub(crate) fn excerpt(source: &str, text: &str) -> Option<LogExcerpt> {
    let text = visible(text);
    let text = text.trim_end();
    if text.is_empty() {
        return None;
    }
    let n_chars = text.chars().count();
    let skip = n_chars.saturating_sub(MAX_LOG_CHARS);
    Some(LogExcerpt {
        source: source.to_owned(),
        text: text.chars().skip(skip).collect(),
        cut: skip > 0,
    })
}

/// The lines around one of a file's.
pub(crate) fn around(file: &[&str], line: u32) -> Option<Excerpt> {
    let first = line.saturating_sub(AROUND).max(1);
    let count = usize::try_from(line.saturating_sub(first) + 1 + AROUND).ok()?;
    let (_, rest) = file.split_at_checked(usize::try_from(first - 1).ok()?)?;
    let lines: Vec<String> = rest
        .iter()
        .take(count)
        .map(|line| visible(line).chars().take(MAX_LINE_CHARS).collect())
        .collect();
    (!lines.is_empty()).then_some(Excerpt {
        first_line: first,
        lines,
    })
}

/// Drops ANSI sequences; makes other control and direction-changing characters visible.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => (),
            '\u{1b}' if chars.peek() == Some(&'[') => {
                chars.next();
                while chars.next_if(|c| !c.is_ascii_alphabetic()).is_some() {}
                chars.next();
            }
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
                out.push('\u{fffd}');
            }
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_visible_and_logs_end_where_they_end() {
        assert_eq!(visible("a\u{1b}[31mred\u{1b}[0m\u{7}b\r\n"), "ared\u{fffd}b\n");
        assert_eq!(visible("a\u{202e}b"), "a\u{fffd}b");
        let long = "x".repeat(20_000) + "end";
        let cut = excerpt("build", &long).unwrap();
        assert!(cut.cut && cut.text.ends_with("end") && cut.text.len() == 12_000);
        assert_eq!(excerpt("build", "\n\n"), None);
    }

    #[test]
    fn excerpts_have_their_line_numbers() {
        let file = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
        assert_eq!(
            around(&file, 5).unwrap(),
            Excerpt {
                first_line: 2,
                lines: ["2", "3", "4", "5", "6", "7", "8"].map(String::from).into()
            }
        );
        assert_eq!(around(&file, 1).unwrap().first_line, 1);
        assert_eq!(around(&file, 900), None);
        assert_eq!(around(&file, u32::MAX), None);
    }
}
