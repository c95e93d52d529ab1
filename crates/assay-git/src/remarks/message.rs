//! Whether a commit's message says what the commit does.

use crate::Commit;

/// A body of this many bytes makes up for a subject that says nothing.
const TELLING_BODY_BYTES: usize = 40;

/// Words that say nothing by themselves, nor next to each other.
const EMPTY_WORDS: &str = "
    a add added again all and asd asdf asdfasdf big bit blah bug bugfix bugs change changed changes
    chore clean cleanup code commit commits done edit edits end feat few file files final finally finish
    finished first fix fixed fixes fixing foo formatting hopefully i improve improved improvements in
    initial issue issues it last latest little minor misc modified modify more my new now of oops other
    please problem progress project push qwerty refactor refactored refactoring save second small some
    still stuff submission task temp test testing tests the thing things this tmp to try trying tweak
    tweaks typo typos up update updated updates updating various version wip work working works xxx
";

/// Why a commit's message says nothing, where that is so.
pub fn says_nothing(commit: &Commit) -> Option<&'static str> {
    if commit.subject.is_empty() {
        return Some("it is empty");
    }
    if commit.body_bytes >= TELLING_BODY_BYTES || (commit.is_root && is_initial(&commit.subject)) {
        return None;
    }
    let words = words(&commit.subject);
    if words.len() < 2 {
        return Some("it is a single word");
    }
    let is_empty = |word: &String| {
        EMPTY_WORDS.split_whitespace().any(|empty| empty == word)
            || word.chars().all(|c| c.is_ascii_digit())
            || is_mashed(word)
    };
    words
        .iter()
        .all(is_empty)
        .then_some("it does not say what was changed")
}

fn is_initial(subject: &str) -> bool {
    let subject = subject.to_lowercase();
    subject.starts_with("initial") || subject.starts_with("first")
}

/// The words of a subject, in lower case and without a prefix such as `feat(api):`. Where a script has no spaces, every
/// character is a word.
fn words(subject: &str) -> Vec<String> {
    let subject = subject.to_lowercase();
    let subject = match subject.split_once(": ") {
        Some((prefix, rest)) if !prefix.contains(' ') => rest,
        _ => &subject,
    };
    let mut words = Vec::new();
    for word in subject
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        match word.chars().all(|c| c >= '\u{2e80}') {
            true => words.extend(word.chars().map(String::from)),
            false => words.push(word.to_owned()),
        }
    }
    words
}

/// `aaaa`, `hjkl`: at most two different characters, or no vowel in a long word.
fn is_mashed(word: &str) -> bool {
    let mut distinct: Vec<char> = word.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    word.len() >= 3
        && word.is_ascii()
        && (distinct.len() == 1 || word.len() >= 5 && !word.contains(['a', 'e', 'i', 'o', 'u', 'y']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectId;

    fn commit(subject: &str) -> Commit {
        Commit {
            id: ObjectId::of_file(subject.as_bytes()).unwrap(),
            author: "Sam <sam@example.com>".to_owned(),
            authored_at: 0,
            subject: subject.to_owned(),
            body_bytes: 0,
            is_merge: false,
            is_root: false,
        }
    }

    #[test]
    fn messages_that_say_something() {
        for subject in [
            "Add keyset pagination",
            "fix: refuse tokens without an expiry",
            "Fix login",
            "Update README",
            "Refactor sync loop",
            "Test tombstones",
            "修复登录错误",
            "Исправить вход",
            "Revert \"Add cache\"",
            "feat(api): cursors for lists",
            "GET /tasks/{id}",
        ] {
            assert_eq!(says_nothing(&commit(subject)), None, "{subject}");
        }
        assert_eq!(
            says_nothing(&Commit {
                body_bytes: 200,
                ..commit("Fix")
            }),
            None
        );
        assert_eq!(
            says_nothing(&Commit {
                is_root: true,
                ..commit("Initial commit")
            }),
            None
        );
    }

    #[test]
    fn messages_that_say_nothing() {
        for (subject, why) in [
            ("", "it is empty"),
            ("wip", "it is a single word"),
            ("fix", "it is a single word"),
            ("feat: stuff", "it is a single word"),
            ("...", "it is a single word"),
            ("asdf", "it is a single word"),
            ("Refactoring", "it is a single word"),
            ("Initial commit", "it does not say what was changed"),
            ("more fixes", "it does not say what was changed"),
            ("final commit 2", "it does not say what was changed"),
            ("fix the bug", "it does not say what was changed"),
            ("Update code.", "it does not say what was changed"),
            ("WIP WIP", "it does not say what was changed"),
            ("aaaa bbbb", "it does not say what was changed"),
            ("hgfdk lkjhg", "it does not say what was changed"),
        ] {
            assert_eq!(says_nothing(&commit(subject)), Some(why), "{subject}");
        }
    }
}
