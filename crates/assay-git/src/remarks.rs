//! What a history and a tree say about care: messages that say nothing, all work in one commit, generated files.
//!
//! Pure judgements. Merges and the commit of the template are not judged.

mod generated;
mod message;

pub use self::generated::generated_by;
pub use self::message::says_nothing;

use std::collections::BTreeMap;

use assay_core::evidence::{Finding, Level};
use assay_core::exercise::CategoryId;

use crate::template::TemplateDiff;
use crate::{ChangeSize, Commit, History, ObjectId, Reason, Tree, display};

/// The name of the tool in findings.
pub const TOOL: &str = "history";

/// One commit with more new lines than this is not a history.
const HUGE_COMMIT_LINES: usize = 400;
/// A file from this size on is large for a repository of source code, in bytes.
const LARGE_FILE_BYTES: u64 = 1_000_000;
/// Most commits and most files that are named one by one.
const MAX_NAMED: usize = 20;

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
    /// The [`only_commit`], and how much it changed.
    pub only: Option<(ObjectId, ChangeSize)>,
}

/// The commit that all of the candidate's work is in, where there is one.
pub fn only_commit(history: &History, seed: Option<ObjectId>) -> Option<&Commit> {
    let mut commits = judged(history, seed);
    match (commits.next(), commits.next(), history.truncated) {
        (only, None, false) => only,
        _ => None,
    }
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

struct Findings<'a> {
    check: &'a str,
    found: Vec<Finding>,
}

impl Findings<'_> {
    fn messages(&mut self, submission: Submission<'_>) {
        let judged = judged(submission.history, submission.seed);
        let telling_nothing = judged.filter_map(|commit| Some((commit, says_nothing(commit)?)));
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
        let only = submission
            .only
            .map(|(commit, change)| (commit, change.insertions));
        if let Some((commit, lines)) = only.filter(|&(_, lines)| lines > HUGE_COMMIT_LINES) {
            let message = format!(
                "All work is in one commit ({}) of {lines} new lines.",
                commit.short()
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
fn judged(history: &History, seed: Option<ObjectId>) -> impl Iterator<Item = &Commit> {
    let commits = history.commits.iter();
    commits.filter(move |commit| !commit.is_merge && Some(commit.id) != seed)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::{Entry, LeftOut};

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
                    ..commit("Merge branch 'x'")
                },
                commit("done"),
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
            only: only_commit(&history, Some(seed.id)).map(|only| (only.id, huge)),
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
                seed: Some(seed.id),
                only: only_commit(&history, Some(seed.id)).map(|only| (
                    only.id,
                    ChangeSize {
                        insertions: 2000,
                        ..ChangeSize::default()
                    }
                )),
            }),
            ""
        );
    }
}
