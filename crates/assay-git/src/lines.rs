//! Lines of files, counted as git counts them.

use memchr::memchr_iter;

/// Where git looks for a NUL, which makes a file a binary one, in bytes.
const SEARCHED_FOR_NUL: usize = 8000;

/// How many lines a file has: the last one needs no end. A binary file has none.
pub(crate) fn count(content: &[u8]) -> usize {
    if content.iter().take(SEARCHED_FOR_NUL).any(|&byte| byte == 0) {
        return 0;
    }
    let is_open = content.last().is_some_and(|&byte| byte != b'\n');
    memchr_iter(b'\n', content).count() + usize::from(is_open)
}

/// Lines added and removed. Only what was changed is compared: what is new or gone is counted.
///
/// # Errors
/// Only when libgit2 cannot compare.
pub(crate) fn added_and_removed(old: &[u8], new: &[u8]) -> Result<(usize, usize), git2::Error> {
    if old.is_empty() || new.is_empty() {
        return Ok((count(new), count(old)));
    }
    compared(old, new)
}

fn compared(old: &[u8], new: &[u8]) -> Result<(usize, usize), git2::Error> {
    let patch = git2::Patch::from_buffers(old, None, new, None, None)?;
    let (_, added, removed) = patch.line_stats()?;
    Ok((added, removed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_counted_is_what_git_would_find(content in prop::collection::vec(prop::sample::select(&b"a \t\r\n\n\0"[..]), 0..40)) {
            for (old, new) in [(&[][..], &content[..]), (&content, &[])] {
                prop_assert_eq!(added_and_removed(old, new).unwrap(), compared(old, new).unwrap());
            }
        }
    }

    #[test]
    fn a_nul_is_looked_for_where_git_does() {
        for at in [SEARCHED_FOR_NUL - 1, SEARCHED_FOR_NUL] {
            let mut content = b"a\n".repeat(SEARCHED_FOR_NUL);
            content[at] = 0;
            assert_eq!(
                added_and_removed(b"", &content),
                compared(b"", &content),
                "NUL at {at}"
            );
        }
    }
}
