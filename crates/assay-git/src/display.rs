//! Hostile bytes as text that is safe to show: valid UTF-8, one line, no control or direction characters, capped.

use std::fmt::Write as _;

/// The bytes as one line of at most `max_chars` characters; a longer text ends in `…`.
///
/// Control characters, line breaks, characters that change the direction of writing and bytes that are not UTF-8 are
/// shown as escapes (`\n`, `\u{202e}`, `\xff`). The result is still text: whoever puts it into HTML or a terminal table
/// escapes it for that place.
pub fn one_line(bytes: &[u8], max_chars: usize) -> String {
    let mut shown = String::new();
    let mut n_chars = 0;
    // An escape is at most ten characters long, so this much input is always enough.
    let enough = bytes.len().min(max_chars.saturating_mul(4).saturating_add(8));
    for chunk in bytes[..enough].utf8_chunks() {
        for c in chunk.valid().chars() {
            let before = shown.len();
            if is_unsafe(c) {
                shown.extend(c.escape_default());
            } else {
                shown.push(c);
            }
            if !fits(&mut shown, before, &mut n_chars, max_chars) {
                return shown;
            }
        }
        // The last character may have been cut by `enough`; what follows it is beyond the cap then.
        for byte in chunk.invalid() {
            let before = shown.len();
            // Writing to a string does not fail.
            let _ = write!(shown, "\\x{byte:02x}");
            if !fits(&mut shown, before, &mut n_chars, max_chars) {
                return shown;
            }
        }
    }
    shown
}

/// True for characters that must not reach a terminal, a log or a page as they are.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Counts what was added since `before`; takes it back and marks the cut when it is too much.
fn fits(shown: &mut String, before: usize, n_chars: &mut usize, max_chars: usize) -> bool {
    *n_chars += shown[before..].chars().count();
    if *n_chars <= max_chars {
        return true;
    }
    shown.truncate(before);
    shown.push('…');
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_bytes_become_harmless_text() {
        for (bytes, max_chars, expected) in [
            (&b"plain.py"[..], 20, "plain.py"),
            ("café/日本.md".as_bytes(), 20, "café/日本.md"),
            (b"a\nb\tc\x1b[31m", 20, r"a\nb\tc\u{1b}[31m"),
            ("gnp.\u{202e}exe".as_bytes(), 20, r"gnp.\u{202e}exe"),
            (b"\xff\xfe", 20, r"\xff\xfe"),
            (b"0123456789", 10, "0123456789"),
            (b"0123456789abc", 10, "0123456789…"),
            (b"012345678\x1bz", 10, "012345678…"),
            (b"x", 0, "…"),
        ] {
            assert_eq!(one_line(bytes, max_chars), expected);
        }
        assert_eq!(one_line(&vec![b'x'; 1 << 20], 3), "xxx…");
    }

    proptest! {
        #[test]
        fn never_longer_than_asked_and_never_unsafe(bytes: Vec<u8>, max in 0_usize..40) {
            let shown = one_line(&bytes, max);
            prop_assert!(shown.chars().count() <= max + 1);
            prop_assert!(!shown.chars().any(is_unsafe));
        }
    }
}
