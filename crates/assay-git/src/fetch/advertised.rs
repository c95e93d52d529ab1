//! What a repository says it has (`git ls-remote --symref`), and which of it is wanted.

use super::FetchError;
use crate::{ObjectId, display};

/// Most names that an error lists.
const MAX_LISTED: usize = 10;

/// The references of a repository. The names are the repository's word and may hold anything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Advertised {
    /// What `HEAD` points to, where it points to a branch that exists.
    head: Option<String>,
    /// There is a `HEAD` that resolves.
    has_head: bool,
    /// Full names, without `HEAD` and without peeled tags.
    names: Vec<String>,
}

/// What to ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Ours: `HEAD`, a name that the caller gave and the repository has, or an id.
    pub(super) name: String,
    /// The name for people.
    pub(crate) shown: String,
}

impl Advertised {
    /// Lines that are not understood are left out.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut advertised = Self::default();
        for line in String::from_utf8_lossy(bytes).lines() {
            let Some((what, name)) = line.split_once('\t') else {
                continue;
            };
            match (what.strip_prefix("ref: "), name) {
                (Some(target), "HEAD") => advertised.head = Some(target.to_owned()),
                (Some(_), _) => (),
                (None, "HEAD") => advertised.has_head = true,
                (None, _) if name.ends_with("^{}") => (),
                (None, _) => advertised.names.push(name.to_owned()),
            }
        }
        advertised
    }

    /// The caller's reference, or the default branch: where `HEAD` points, else the only branch there is.
    pub(crate) fn choose(&self, reference: Option<&str>) -> Result<Wanted, FetchError> {
        if self.names.is_empty() && !self.has_head {
            return Err(FetchError::NoCommits);
        }
        let Some(reference) = reference else {
            return self.default_branch();
        };
        if reference == "HEAD" {
            return self.default_branch();
        }
        if reference.parse::<ObjectId>().is_ok() {
            return Ok(Wanted {
                name: reference.to_owned(),
                shown: reference.to_owned(),
            });
        }
        let candidates = match reference.starts_with("refs/") {
            true => vec![reference.to_owned()],
            false => vec![
                format!("refs/heads/{reference}"),
                format!("refs/tags/{reference}"),
            ],
        };
        match candidates.into_iter().find(|name| self.names.contains(name)) {
            Some(name) => Ok(Wanted {
                shown: display::one_line(name.as_bytes(), 300),
                name,
            }),
            None => Err(FetchError::MissingReference {
                reference: display::one_line(reference.as_bytes(), 100),
                branches: self.branches(),
            }),
        }
    }

    fn default_branch(&self) -> Result<Wanted, FetchError> {
        if self.has_head {
            let shown = self.head.as_deref().unwrap_or("HEAD");
            return Ok(Wanted {
                name: "HEAD".to_owned(),
                shown: display::one_line(shown.as_bytes(), 300),
            });
        }
        let mut branches = self.names.iter().filter(|name| name.starts_with("refs/heads/"));
        match (branches.next(), branches.next()) {
            (Some(only), None) if is_reference(only) => Ok(Wanted {
                name: only.clone(),
                shown: display::one_line(only.as_bytes(), 300),
            }),
            _ => Err(FetchError::NoDefaultBranch {
                branches: self.branches(),
            }),
        }
    }

    /// The branches for an error message: a few names, safe to show.
    fn branches(&self) -> String {
        let mut branches = self
            .names
            .iter()
            .filter_map(|name| name.strip_prefix("refs/heads/"));
        let listed: Vec<String> = branches
            .by_ref()
            .take(MAX_LISTED)
            .map(|name| display::one_line(name.as_bytes(), 60))
            .collect();
        match (listed.is_empty(), branches.count()) {
            (true, _) => "none".to_owned(),
            (false, 0) => listed.join(", "),
            (false, more) => format!("{} and {more} more", listed.join(", ")),
        }
    }
}

/// True for a name that git could have made, and that cannot be read as anything else where it is used.
pub(super) fn is_reference(name: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || display::is_unsafe(c) || "~^:?*[\\".contains(c);
    !name.is_empty()
        && name.len() <= 250
        && !name.starts_with(['-', '/', '.', '+'])
        && !name.ends_with(['/', '.'])
        && !name.ends_with(".lock")
        && !name.contains("..")
        && !name.contains("//")
        && !name.contains("@{")
        && !name.contains(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "88c2ad5f0c0ffee00c0ffee00c0ffee00c0ffee0";

    fn check(lines: &[&str], reference: Option<&str>) -> String {
        let text: String = lines
            .iter()
            .map(|line| format!("{}\n", line.replace("ID", ID)))
            .collect();
        match Advertised::parse(text.as_bytes()).choose(reference) {
            Ok(wanted) => format!("{} as {}", wanted.name, wanted.shown),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_wanted() {
        let usual = [
            "ref: refs/heads/main\tHEAD",
            "ID\tHEAD",
            "ID\trefs/heads/main",
            "ID\trefs/tags/v1",
            "ID\trefs/tags/v1^{}",
        ];
        let unborn_head = ["ID\trefs/heads/trunk", "ID\trefs/tags/v1"];
        let two = ["ID\trefs/heads/a", "ID\trefs/heads/b\x1b[31m"];
        for (lines, reference, expected) in [
            (&usual[..], None, "HEAD as refs/heads/main"),
            (&usual, Some("HEAD"), "HEAD as refs/heads/main"),
            (&["ID\tHEAD", "ID\trefs/heads/x"], None, "HEAD as HEAD"),
            (&usual, Some("main"), "refs/heads/main as refs/heads/main"),
            (&usual, Some("v1"), "refs/tags/v1 as refs/tags/v1"),
            (
                &usual,
                Some("refs/heads/main"),
                "refs/heads/main as refs/heads/main",
            ),
            (
                &usual,
                Some(ID),
                "88c2ad5f0c0ffee00c0ffee00c0ffee00c0ffee0 as 88c2ad5f0c0ffee00c0ffee00c0ffee00c0ffee0",
            ),
            (
                &usual,
                Some("v1^{}"),
                "the repository has no `v1^{}`; its branches: main",
            ),
            (
                &usual,
                Some("dev"),
                "the repository has no `dev`; its branches: main",
            ),
            (&unborn_head, None, "refs/heads/trunk as refs/heads/trunk"),
            (
                &two,
                None,
                r"the repository's default branch does not exist; its branches: a, b\u{1b}[31m",
            ),
            (
                &["ID\trefs/tags/v1"],
                None,
                "the repository's default branch does not exist; its branches: none",
            ),
            (&[], None, "the repository has no commits"),
            (&[], Some("main"), "the repository has no commits"),
            (
                &["junk", "\t", "x\tHEA"],
                Some("main"),
                "the repository has no `main`; its branches: none",
            ),
        ] {
            assert_eq!(check(lines, reference), expected, "{lines:?} {reference:?}");
        }
    }

    #[test]
    fn names_that_are_passed_on() {
        for name in ["main", "feature/x-1", "refs/heads/главная", "v1.0", "a@b", "HEAD"] {
            assert!(is_reference(name), "{name}");
        }
        for name in [
            "",
            "-x",
            "--upload-pack=id",
            "a..b",
            "a b",
            "a\nb",
            "a:b",
            "+a",
            "a^{}",
            "x.lock",
            "a@{1}",
            "a\u{202e}",
            "/a",
        ] {
            assert!(!is_reference(name), "{name}");
        }
        assert!(!is_reference(&"a".repeat(251)));
    }
}
