//! Names of places in the page. Links are made from these and from nothing else.

/// Longest part of an anchor that comes from somebody's words.
const MAX_CHARS: usize = 60;

/// `kind-name`, where only ASCII letters, digits and `-` are left of the name.
pub(crate) fn anchor(kind: &str, name: &str) -> String {
    let clean = name.chars().take(MAX_CHARS).map(|c| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    });
    let mut id = format!("{kind}-");
    id.extend(clean);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_letters_digits_and_hyphens_are_left() {
        assert_eq!(anchor("check", "Unit tests"), "check-unit-tests");
        assert_eq!(anchor("check", "\"><script>"), "check----script-");
        assert!(anchor("check", &"x".repeat(1_000)).len() < 80);
    }
}
