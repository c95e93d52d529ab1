//! Names that payloads bring: of repositories, references and commits. Nothing else of a payload reaches an address.

/// Longest name of a repository or reference, in bytes.
const MAX_LEN: usize = 255;

/// Whether a full name, such as `group/sub/project`, is plain enough to stand in an address.
pub(crate) fn is_full_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !matches!(part, "." | "..")
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '~'))
    };
    name.len() <= MAX_LEN && name.contains('/') && name.split('/').all(is_part)
}

/// Whether one of the patterns allows this repository. A `*` stands for any letters within one part; case does not matter,
/// as it does not matter to forges.
pub(crate) fn is_allowed(patterns: &[String], name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    patterns.iter().any(|pattern| {
        let pattern = pattern.to_ascii_lowercase();
        pattern.matches('/').count() == name.matches('/').count()
            && pattern
                .split('/')
                .zip(name.split('/'))
                .all(|(pattern, part)| matches_part(pattern.as_bytes(), part.as_bytes()))
    })
}

/// Linear in both but for the last star, to which it comes back.
fn matches_part(pattern: &[u8], part: &[u8]) -> bool {
    let (mut p, mut i) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while i < part.len() {
        if pattern.get(p) == Some(&b'*') {
            back = Some((p, i));
            p += 1;
        } else if pattern.get(p) == part.get(i) {
            p += 1;
            i += 1;
        } else if let Some((star, from)) = back {
            back = Some((star, from + 1));
            p = star + 1;
            i = from + 1;
        } else {
            return false;
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

/// Whether git would take this as a whole reference: `refs/heads/main`.
pub(crate) fn is_reference(name: &str) -> bool {
    let rest = name
        .strip_prefix("refs/heads/")
        .or_else(|| name.strip_prefix("refs/tags/"));
    let is_part = |part: &str| {
        !part.is_empty() && !part.starts_with(['.', '-']) && !part.ends_with('.') && !part.ends_with(".lock")
    };
    let forbidden = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    name.len() <= MAX_LEN
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(forbidden)
        && rest.is_some_and(|rest| rest.split('/').all(is_part))
}

/// A commit's name, in lower case, where it is whole: 40 or 64 hexadecimal digits.
pub(crate) fn commit(text: &str) -> Option<String> {
    let whole = matches!(text.len(), 40 | 64) && text.bytes().all(|c| c.is_ascii_hexdigit());
    whole.then(|| text.to_ascii_lowercase())
}

/// Whether a commit's name stands for none.
pub(crate) fn is_zero(commit: &str) -> bool {
    commit.bytes().all(|c| c == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_matches_part_by_part() {
        for (pattern, name, ok) in [
            ("acme/*", "acme/task", true),
            ("acme/*", "ACME/Task", true),
            ("acme/*", "acme/a/b", false),
            ("acme/*", "evil/task", false),
            ("acme/task-*-x", "acme/task-1-2-x", true),
            ("acme/task-*-x", "acme/task-1-2-y", false),
            ("acme/task", "acme/task2", false),
            ("*/*", "a/b", true),
            ("*", "a/b", false),
            ("acme/**a*", "acme/bbba", true),
            ("", "a/b", false),
        ] {
            assert_eq!(is_allowed(&[pattern.to_owned()], name), ok, "{pattern} {name}");
        }
        assert!(!is_allowed(&[], "a/b"));
    }

    #[test]
    fn names_stay_inside_their_address() {
        for (name, ok) in [
            ("acme/task", true),
            ("a/b/c.d_e-f~g", true),
            ("task", false),
            ("a/../b", false),
            ("a//b", false),
            ("a/b?x=1", false),
            ("a/b#", false),
            ("a/%2e%2e", false),
            ("a@b/c", false),
            ("a/b\n", false),
            ("/a/b", false),
        ] {
            assert_eq!(is_full_name(name), ok, "{name}");
        }
        for (name, ok) in [
            ("refs/heads/main", true),
            ("refs/tags/v1.0", true),
            ("refs/heads/feature/ü", true),
            ("refs/heads/-x", false),
            ("refs/heads/a..b", false),
            ("refs/heads/a b", false),
            ("refs/heads/", false),
            ("refs/heads/a.lock", false),
            ("refs/pull/1/head", false),
            ("main", false),
        ] {
            assert_eq!(is_reference(name), ok, "{name}");
        }
    }
}
