//! What of a submission the candidate wrote, and what came with the template.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use assay_core::assignment::TERMS_FILE;

use crate::object::ReadError;
use crate::{Entry, Folder, FolderError, History, ObjectId, Repository, Tree, TreeError, TreeLimits, lines};

/// The files that a candidate starts from.
#[derive(Debug, Clone, Default)]
pub struct Template {
    files: BTreeMap<String, Vec<u8>>,
    ids: BTreeMap<ObjectId, String>,
}

/// A tree against the template. Each set holds paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateDiff {
    /// The same content as some file of the template, under whatever name: nothing of it is the candidate's.
    pub unchanged: BTreeSet<String>,
    /// A file of the template with other content.
    pub changed: BTreeSet<String>,
    /// Wholly the candidate's.
    pub new: BTreeSet<String>,
    /// Files of the template that are not there any more.
    pub removed: BTreeSet<String>,
}

impl Template {
    /// A template of these files, by relative path.
    ///
    /// # Errors
    /// Only when libgit2 cannot hash.
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Result<Self, ReadError> {
        let mut ids = BTreeMap::new();
        for (path, content) in &files {
            ids.insert(ObjectId::of_file(content)?, path.clone());
        }
        Ok(Self { files, ids })
    }

    /// Reads the template of a track from its folder, such as `templates/python`.
    ///
    /// # Errors
    /// When the folder cannot be read, or holds what a candidate's tree could not hold.
    pub fn open(folder: &Path) -> Result<Self, FolderError> {
        let files = Folder::read(folder)?
            .files
            .into_iter()
            .map(|(path, file)| (path, file.content))
            .collect();
        Self::new(files).map_err(|error| FolderError::Io {
            path: folder.to_owned(),
            source: io::Error::other(error),
        })
    }

    /// Compares a tree with the template.
    pub fn diff(&self, tree: &Tree) -> TemplateDiff {
        let mut diff = TemplateDiff::default();
        for Entry { path, id, .. } in &tree.files {
            let set = match self.ids.contains_key(id) {
                true => &mut diff.unchanged,
                false if self.files.contains_key(path) => &mut diff.changed,
                false => &mut diff.new,
            };
            set.insert(path.clone());
        }
        let is_there = |path: &String| {
            [&diff.unchanged, &diff.changed, &diff.new]
                .into_iter()
                .any(|set| set.contains(path))
        };
        diff.removed = self
            .files
            .keys()
            .filter(|path| !is_there(path))
            .cloned()
            .collect();
        diff
    }

    /// The lines of a file that the candidate wrote: none of a file that came with the template under any name.
    ///
    /// # Errors
    /// Only when libgit2 cannot compare.
    pub fn owned_lines(&self, file: &Entry, content: &[u8]) -> Result<Vec<RangeInclusive<u32>>, ReadError> {
        if self.ids.contains_key(&file.id) {
            return Ok(Vec::new());
        }
        match self.files.get(&file.path) {
            Some(template) => owned_lines(template, content),
            None => Ok(all_lines(content)),
        }
    }
}

/// The lines of `candidate`, counted from 1, that are not in `template`: written or changed by the candidate.
///
/// Lines that differ only in their ends (`\r\n`, trailing spaces) are the template's. Of a binary file no line is owned.
///
/// # Errors
/// Only when libgit2 cannot compare.
pub fn owned_lines(template: &[u8], candidate: &[u8]) -> Result<Vec<RangeInclusive<u32>>, ReadError> {
    let mut options = git2::DiffOptions::new();
    options
        .context_lines(0)
        .interhunk_lines(0)
        .ignore_whitespace_eol(true);
    let patch = git2::Patch::from_buffers(template, None, candidate, None, Some(&mut options))?;
    let mut ranges = Vec::new();
    for i in 0..patch.num_hunks() {
        let (hunk, _) = patch.hunk(i)?;
        if hunk.new_lines() > 0 {
            ranges.push(hunk.new_start()..=hunk.new_start() + (hunk.new_lines() - 1));
        }
    }
    Ok(ranges)
}

/// What [`owned_lines`] are where there is no template: all, without the cost of a comparison.
fn all_lines(content: &[u8]) -> Vec<RangeInclusive<u32>> {
    match u32::try_from(lines::count(content)) {
        Ok(n_lines @ 1..) => vec![1..=n_lines],
        _ => Vec::new(),
    }
}

impl Repository {
    /// The commit that the candidate's work starts from: a root of the history that holds nothing but files of the template,
    /// and perhaps the [`TERMS_FILE`].
    ///
    /// It is found by its content, so nobody gains anything by calling a commit of their own so.
    ///
    /// # Errors
    /// When an object is broken.
    pub fn seed(&self, history: &History, template: &Template) -> Result<Option<ObjectId>, ReadError> {
        for root in history.commits.iter().filter(|commit| commit.is_root) {
            match self.tree(root.id, TreeLimits::STANDARD) {
                Ok(tree) => {
                    let diff = template.diff(&tree);
                    let is_given = |path: &String| path == TERMS_FILE;
                    if !diff.unchanged.is_empty() && diff.changed.is_empty() && diff.new.iter().all(is_given)
                    {
                        return Ok(Some(root.id));
                    }
                }
                Err(TreeError::Read(error)) => return Err(error),
                // No template is so large.
                Err(_) => (),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_nobody_wrote_is_from_the_template(
            template in prop::collection::vec("[abc]", 0..12),
            candidate in prop::collection::vec("[abcd]", 0..12),
        ) {
            let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let owned = owned_lines(text(&template).as_bytes(), text(&candidate).as_bytes()).unwrap();
            let is_owned = |i: usize| owned.iter().any(|range| range.contains(&(i as u32 + 1)));
            let mut rest = template.iter();
            for (i, line) in candidate.iter().enumerate() {
                prop_assert!(is_owned(i) || rest.any(|given| given == line), "line {i} of {candidate:?}");
            }
            prop_assert!(owned.iter().all(|range| *range.start() >= 1 && *range.end() as usize <= candidate.len()));
        }
    }

    proptest! {
        #[test]
        fn without_a_template_all_lines_are_owned(content in prop::collection::vec(prop::sample::select(&b"a \t\r\n\n\0"[..]), 0..40)) {
            prop_assert_eq!(all_lines(&content), owned_lines(b"", &content).unwrap());
        }
    }

    #[test]
    fn lines_that_the_candidate_wrote() {
        for (template, candidate, expected) in [
            ("a\nb\nc\n", "a\nb\nc\n", "[]"),
            ("a\nb\nc\n", "a\nx\nc\n", "[2..=2]"),
            ("a\nb\nc\n", "a\nb\nc\nd\ne\n", "[4..=5]"),
            ("a\nb\nc\n", "x\na\nc\n", "[1..=1]"),
            ("a\nb\nc\n", "a\nc\n", "[]"),
            ("", "a\nb", "[1..=2]"),
            ("a\n", "", "[]"),
            ("a\nb\n", "a\r\nb  \r\nc\r\n", "[3..=3]"),
            ("a\nb", "a\nb\n", "[]"),
            ("a\n", "a\0b\nc\n", "[]"),
            ("a\nb\nc\nd\n", "x\nb\nc\ny\nz\n", "[1..=1, 4..=5]"),
        ] {
            let lines = owned_lines(template.as_bytes(), candidate.as_bytes()).unwrap();
            assert_eq!(format!("{lines:?}"), expected, "{template:?} {candidate:?}");
        }
    }

    fn entry(path: &str, content: &[u8]) -> Entry {
        let id = ObjectId::of_file(content).unwrap();
        Entry {
            path: path.to_owned(),
            executable: false,
            size: 1,
            id,
            is_lfs_pointer: false,
        }
    }

    #[test]
    fn a_tree_against_its_template() {
        let files = [
            ("README.md", "read"),
            ("app.py", "one\n"),
            ("gone.py", "gone\n"),
            ("moved.py", "moved\n"),
        ];
        let files = files.map(|(path, content)| (path.to_owned(), content.as_bytes().to_vec()));
        let template = Template::new(files.into()).unwrap();
        let tree = Tree {
            files: vec![
                entry("README.md", b"read"),
                entry("app.py", b"one\ntwo\n"),
                entry("lib/moved.py", b"moved\n"),
                entry("mine.py", b"mine\n"),
            ],
            left_out: Vec::new(),
        };
        let set = |paths: &[&str]| paths.iter().map(|&path| path.to_owned()).collect::<BTreeSet<_>>();
        let expected = TemplateDiff {
            unchanged: set(&["README.md", "lib/moved.py"]),
            changed: set(&["app.py"]),
            new: set(&["mine.py"]),
            removed: set(&["gone.py", "moved.py"]),
        };
        assert_eq!(template.diff(&tree), expected);
        for (path, content, expected) in [
            ("app.py", "one\ntwo\n", "[2..=2]"),
            ("lib/moved.py", "moved\n", "[]"),
            ("mine.py", "mine\nall\n", "[1..=2]"),
        ] {
            let content = content.as_bytes();
            let lines = template.owned_lines(&entry(path, content), content).unwrap();
            assert_eq!(format!("{lines:?}"), expected, "{path}");
        }
    }
}
