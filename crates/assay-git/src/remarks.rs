//! What a history and a tree say about care: messages that say nothing, all work in one commit, generated files.
//!
//! Pure judgements. Merges and the commit of the template are not judged.

use std::collections::BTreeMap;

use assay_core::evidence::{Finding, Level};
use assay_core::exercise::CategoryId;

use crate::template::TemplateDiff;
use crate::{Commit, History, ObjectId, Reason, Tree, display};

/// The name of the tool in findings.
pub const TOOL: &str = "history";

/// One commit with more new lines than this is not a history.
const HUGE_COMMIT_LINES: usize = 400;
/// A file from this size on is large for a repository of source code, in bytes.
const LARGE_FILE_BYTES: u64 = 1_000_000;
/// A body of this many bytes makes up for a subject that says nothing.
const TELLING_BODY_BYTES: usize = 40;
/// Most commits and most files that are named one by one.
const MAX_NAMED: usize = 20;

/// Words that say nothing by themselves, nor next to each other.
const EMPTY_WORDS: &[&str] = &[
    "a",
    "add",
    "added",
    "again",
    "all",
    "and",
    "asd",
    "asdf",
    "asdfasdf",
    "big",
    "bit",
    "blah",
    "bug",
    "bugfix",
    "bugs",
    "change",
    "changed",
    "changes",
    "chore",
    "clean",
    "cleanup",
    "code",
    "commit",
    "commits",
    "done",
    "edit",
    "edits",
    "end",
    "feat",
    "few",
    "file",
    "files",
    "final",
    "finally",
    "finish",
    "finished",
    "first",
    "fix",
    "fixed",
    "fixes",
    "fixing",
    "foo",
    "formatting",
    "hopefully",
    "i",
    "improve",
    "improved",
    "improvements",
    "in",
    "initial",
    "issue",
    "issues",
    "it",
    "last",
    "latest",
    "little",
    "minor",
    "misc",
    "modified",
    "modify",
    "more",
    "my",
    "new",
    "now",
    "of",
    "oops",
    "other",
    "please",
    "problem",
    "progress",
    "project",
    "push",
    "qwerty",
    "refactor",
    "refactored",
    "refactoring",
    "save",
    "second",
    "small",
    "some",
    "still",
    "stuff",
    "submission",
    "task",
    "temp",
    "test",
    "testing",
    "tests",
    "the",
    "thing",
    "things",
    "this",
    "tmp",
    "to",
    "try",
    "trying",
    "tweak",
    "tweaks",
    "typo",
    "typos",
    "up",
    "update",
    "updated",
    "updates",
    "updating",
    "various",
    "version",
    "wip",
    "work",
    "working",
    "works",
    "xxx",
];

/// Directories that tools make, at any depth.
const GENERATED_DIRECTORIES: &[&str] = &[
    "node_modules",
    "__pycache__",
    ".venv",
    "venv",
    "site-packages",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".tox",
    ".nyc_output",
    ".idea",
    ".vs",
    ".gradle",
    ".next",
    "htmlcov",
    ".hypothesis",
    ".eggs",
    "__MACOSX",
];

/// Directories that tools make at the root, and that could be something else below it.
const GENERATED_AT_ROOT: &[&str] = &["dist", "coverage", "logs", "target", ".cache"];

/// Files that tools, editors and systems make.
const GENERATED_FILES: &[&str] = &[
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    ".env",
    ".coverage",
    "npm-debug.log",
    "nohup.out",
];

/// Endings of files that tools, editors and systems make.
const GENERATED_ENDINGS: &[&str] = &[
    ".pyc",
    ".pyo",
    ".log",
    ".swp",
    ".swo",
    ".orig",
    ".rej",
    ".class",
    ".o",
    ".egg-info",
];

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// The commits.
    pub history: &'a History,
    /// The files.
    pub tree: &'a Tree,
    /// The files against the template: what came with it is nobody's fault.
    pub diff: &'a TemplateDiff,
    /// The commit of the template ([`Repository::seed`](crate::Repository::seed)).
    pub seed: Option<ObjectId>,
}

/// All findings, for the check with this id.
pub fn findings(check: &str, submission: Submission<'_>) -> Vec<Finding> {
    let mut findings = Findings {
        check,
        found: Vec::new(),
    };
    findings.messages(submission);
    findings.single_commit(submission);
    findings.generated_files(submission);
    findings.large_files(submission);
    findings.found
}

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
        EMPTY_WORDS.contains(&word.as_str()) || word.chars().all(|c| c.is_ascii_digit()) || is_mashed(word)
    };
    words
        .iter()
        .all(is_empty)
        .then_some("it does not say what was changed")
}

/// The tool, editor or system that leaves such a path behind, as a name for people (`node_modules/`, `*.pyc`).
///
/// A path of a directory ends in `/`.
pub fn generated_by(path: &str) -> Option<String> {
    let mut components = path.split('/').peekable();
    let mut is_root = true;
    while let Some(component) = components.next() {
        let is_directory = components.peek().is_some();
        if is_directory && GENERATED_DIRECTORIES.contains(&component)
            || is_directory && is_root && GENERATED_AT_ROOT.contains(&component)
            || is_directory && component.ends_with(".egg-info")
        {
            return Some(format!("{component}/"));
        }
        if !is_directory && GENERATED_FILES.contains(&component) {
            return Some(component.to_owned());
        }
        if !is_directory
            && let Some(ending) = GENERATED_ENDINGS
                .iter()
                .find(|ending| component.ends_with(*ending))
        {
            return Some(format!("*{ending}"));
        }
        is_root = false;
    }
    None
}

struct Findings<'a> {
    check: &'a str,
    found: Vec<Finding>,
}

impl Findings<'_> {
    fn messages(&mut self, submission: Submission<'_>) {
        let telling_nothing = judged(submission).filter_map(|commit| Some((commit, says_nothing(commit)?)));
        for (commit, why) in telling_nothing.take(MAX_NAMED) {
            let message = format!(
                "The message of commit {} (`{}`) says nothing: {why}.",
                commit.id.short(),
                commit.subject
            );
            self.add(
                "message",
                Level::Warning,
                None,
                message,
                "Say in the first line what changes and why.",
            );
        }
    }

    fn single_commit(&mut self, submission: Submission<'_>) {
        let mut commits = judged(submission);
        let (Some(only), None, false) = (commits.next(), commits.next(), submission.history.truncated) else {
            return;
        };
        if let Some(lines) = only
            .change
            .map(|change| change.insertions)
            .filter(|&lines| lines > HUGE_COMMIT_LINES)
        {
            let message = format!(
                "All work is in one commit ({}) of {lines} new lines.",
                only.id.short()
            );
            self.add(
                "single-commit",
                Level::Warning,
                None,
                message,
                "Commit in steps that can be read one by one.",
            );
        }
    }

    fn generated_files(&mut self, submission: Submission<'_>) {
        let mut by_kind: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for file in submission
            .tree
            .files
            .iter()
            .filter(|file| !submission.diff.unchanged.contains(&file.path))
        {
            if let Some(kind) = generated_by(&file.path) {
                by_kind.entry(kind).or_default().push(&file.path);
            }
        }
        for (kind, paths) in by_kind {
            let [first, ..] = paths.as_slice() else { continue };
            let shown = display::one_line(first.as_bytes(), 150);
            let message = match paths.len() {
                1 => format!("A generated or private file is checked in: {shown}."),
                n => format!("{n} generated or private files ({kind}) are checked in, the first is {shown}."),
            };
            let help = format!("Remove it with `git rm -r --cached` and put `{kind}` into .gitignore.");
            self.add(
                "generated-file",
                Level::Warning,
                Some((*first).to_owned()),
                message,
                &help,
            );
        }
    }

    fn large_files(&mut self, submission: Submission<'_>) {
        let own = |path: &str| !submission.diff.unchanged.contains(path) && generated_by(path).is_none();
        let files = submission
            .tree
            .files
            .iter()
            .filter(|file| file.size >= LARGE_FILE_BYTES && own(&file.path));
        let kept = files.map(|file| (Some(file.path.clone()), file.path.as_str(), file.size));
        let left_out = submission
            .tree
            .left_out
            .iter()
            .filter_map(|left_out| match left_out.reason {
                Reason::TooLarge { bytes } => Some((None, left_out.shown_path.as_str(), bytes)),
                Reason::Symlink | Reason::Submodule | Reason::OddName => None,
            });
        for (file, path, bytes) in kept.chain(left_out).take(MAX_NAMED) {
            let shown = display::one_line(path.as_bytes(), 150);
            let message = format!(
                "A large file is checked in: {shown} ({:.1} MB).",
                bytes as f64 / 1e6
            );
            let help = "Keep data and binaries out of the repository, or make them with a script.";
            self.add("large-file", Level::Note, file, message, help);
        }
    }

    fn add(&mut self, rule: &str, level: Level, file: Option<String>, message: String, help: &str) {
        self.found.push(Finding {
            check: self.check.to_owned(),
            tool: TOOL.to_owned(),
            rule: rule.to_owned(),
            level,
            category: CategoryId::Style,
            file,
            line: None,
            message,
            help: Some(help.to_owned()),
            excerpt: None,
            exchange: None,
        });
    }
}

/// The candidate's own commits, newest first.
fn judged(submission: Submission<'_>) -> impl Iterator<Item = &Commit> {
    submission
        .history
        .commits
        .iter()
        .filter(move |commit| !commit.is_merge && Some(commit.id) != submission.seed)
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
    use insta::assert_snapshot;

    use super::*;
    use crate::{ChangeSize, Entry, LeftOut};

    fn commit(subject: &str) -> Commit {
        Commit {
            id: ObjectId::of_file(subject.as_bytes()).unwrap(),
            author: "Sam <sam@example.com>".to_owned(),
            authored_at: 0,
            subject: subject.to_owned(),
            body_bytes: 0,
            change: Some(ChangeSize {
                n_files: 1,
                insertions: 10,
                deletions: 0,
            }),
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

    #[test]
    fn paths_that_tools_leave_behind() {
        for (path, expected) in [
            ("node_modules/x/index.js", Some("node_modules/")),
            ("app/__pycache__/a.cpython-313.pyc", Some("__pycache__/")),
            ("a.pyc", Some("*.pyc")),
            ("dist/bundle.js", Some("dist/")),
            ("src/dist/x.py", None),
            ("coverage/lcov.info", Some("coverage/")),
            ("coverage.py", None),
            (".env", Some(".env")),
            (".env.example", None),
            ("sub/.DS_Store", Some(".DS_Store")),
            ("server.log", Some("*.log")),
            ("src/log.py", None),
            ("node_modules", None),
            ("node_modules/", Some("node_modules/")),
            ("app.egg-info/PKG-INFO", Some("app.egg-info/")),
            ("src/main.py", None),
            ("package-lock.json", None),
        ] {
            assert_eq!(generated_by(path).as_deref(), expected, "{path}");
        }
    }

    fn file(path: &str, size: u64) -> Entry {
        let id = ObjectId::of_file(path.as_bytes()).unwrap();
        Entry {
            path: path.to_owned(),
            executable: false,
            size,
            id,
            is_lfs_pointer: false,
        }
    }

    fn shown(submission: Submission<'_>) -> String {
        let lines = findings("style", submission);
        lines
            .iter()
            .map(|f| format!("{} {:?} {:?} {}\n", f.rule, f.level, f.file, f.message))
            .collect()
    }

    #[test]
    fn a_careless_submission() {
        let seed = Commit {
            is_root: true,
            ..commit("x")
        };
        let huge = ChangeSize {
            n_files: 9,
            insertions: 2000,
            deletions: 0,
        };
        let history = History {
            commits: vec![
                Commit {
                    is_merge: true,
                    change: None,
                    ..commit("Merge branch 'x'")
                },
                Commit {
                    change: Some(huge),
                    ..commit("done")
                },
                seed.clone(),
            ],
            truncated: false,
        };
        let tree = Tree {
            files: vec![
                file("data.bin", 2_000_000),
                file("given.log", 1),
                file("node_modules/a/a.js", 1),
                file("node_modules/a/b.js", 1),
                file("src/main.js", 1),
            ],
            left_out: vec![LeftOut {
                shown_path: "film.mp4".to_owned(),
                reason: Reason::TooLarge { bytes: 9_900_000 },
            }],
        };
        let diff = TemplateDiff {
            unchanged: ["given.log".to_owned()].into(),
            ..TemplateDiff::default()
        };
        let submission = Submission {
            history: &history,
            tree: &tree,
            diff: &diff,
            seed: Some(seed.id),
        };
        assert_snapshot!(shown(submission), @r#"
        message Warning None The message of commit 348ebd9491 (`done`) says nothing: it is a single word.
        single-commit Warning None All work is in one commit (348ebd9491) of 2000 new lines.
        generated-file Warning Some("node_modules/a/a.js") 2 generated or private files (node_modules/) are checked in, the first is node_modules/a/a.js.
        large-file Note Some("data.bin") A large file is checked in: data.bin (2.0 MB).
        large-file Note None A large file is checked in: film.mp4 (9.9 MB).
        "#);
    }

    #[test]
    fn a_careful_submission() {
        let seed = Commit {
            is_root: true,
            ..commit("x")
        };
        let history = History {
            commits: vec![
                commit("Add sync with conflicts"),
                commit("Add accounts and tokens"),
                seed.clone(),
            ],
            truncated: false,
        };
        let tree = Tree {
            files: vec![file("src/main.js", 1)],
            left_out: Vec::new(),
        };
        let diff = TemplateDiff::default();
        assert_eq!(
            shown(Submission {
                history: &history,
                tree: &tree,
                diff: &diff,
                seed: Some(seed.id)
            }),
            ""
        );
    }
}
