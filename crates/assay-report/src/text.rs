//! Strings of others, made safe to look at: nothing invisible, nothing endless. Escaping is left to each format's writer.

use std::fmt::Write as _;

/// Longest single line: a title, a path, a reason.
const LINE_CHARS: usize = 400;
/// Longest block: a failure message, a request.
const BLOCK_CHARS: usize = 8_000;
/// Longest log.
const LOG_CHARS: usize = 64_000;

/// One line: line breaks become spaces.
pub fn line(text: &str) -> String {
    let flat: String = text
        .trim()
        .chars()
        .take(LINE_CHARS + 1)
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .collect();
    capped(&flat, LINE_CHARS)
}

/// Several lines.
pub fn block(text: &str) -> String {
    capped(text.trim_end(), BLOCK_CHARS)
}

/// One line of code: its indentation stays.
pub fn line_of_code(text: &str) -> String {
    let flat: String = text
        .trim_end()
        .chars()
        .take(LINE_CHARS + 1)
        .filter(|c| *c != '\n')
        .collect();
    capped(&flat, LINE_CHARS)
}

/// The end of a log, which is where the reason is.
pub fn log(text: &str) -> String {
    let text = text.trim_end();
    let surplus = text.chars().count().saturating_sub(LOG_CHARS);
    let end: String = text.chars().skip(surplus).collect();
    let end = capped(&end, LOG_CHARS);
    if surplus == 0 { end } else { format!("…{end}") }
}

fn capped(text: &str, max_chars: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(4 * max_chars));
    for (n, c) in text.chars().enumerate() {
        if n == max_chars {
            shown.push('…');
            break;
        }
        push_visible(&mut shown, c);
    }
    shown
}

fn push_visible(shown: &mut String, c: char) {
    match c {
        '\n' | '\t' => shown.push(c),
        '\r' => (),
        // The Unicode block "Control Pictures" has a picture of each C0 control, in their order.
        '\0'..='\u{1f}' => shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
        '\u{7f}' => shown.push('\u{2421}'),
        _ if is_invisible(c) => {
            // Writing to a string cannot fail.
            let _ = write!(shown, "⟨U+{:04X}⟩", u32::from(c));
        }
        _ => shown.push(c),
    }
}

/// C1 controls, direction marks, zero-width characters, tags and non-characters: all that makes text read otherwise than
/// it is, and all that XML forbids.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stays_invisible() {
        let cases = [
            ("plain", "plain"),
            ("a\u{202e}b", "a⟨U+202E⟩b"),
            ("\u{1b}[31mred", "␛[31mred"),
            ("nul\0", "nul␀"),
            ("two\nlines", "two lines"),
            ("  Käse 🧀 ", "Käse 🧀"),
        ];
        for (text, shown) in cases {
            assert_eq!(line(text), shown, "{text:?}");
        }
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(line(&"x".repeat(1_000)).chars().count(), LINE_CHARS + 1);
        assert!(log(&format!("{}end", "x".repeat(2 * LOG_CHARS))).ends_with("end"));
    }
}
