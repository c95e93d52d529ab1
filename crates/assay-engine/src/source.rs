//! The submission's source: fetched into a bare repository of ours, read from Git objects, never checked out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use assay_core::evidence::{CheckEvidence, Coverage, Finding};
use assay_core::exercise::CheckKind;
use assay_core::fault::Stop;
use assay_core::report::Submission;
use assay_core::toolchain::{Overrides, Toolchain};
use assay_core::yaml;
use assay_git::template::{Template, TemplateDiff};
use assay_git::{
    Blame, Commit, Entry, FetchError, Fetched, History, HistoryLimits, ObjectId, ReadError, Repository, Tree,
    TreeError, TreeLimits, readme, remarks,
};
use assay_sandbox::{Content, TreeEntry};
use globset::{Glob, GlobSet, GlobSetBuilder};
use tokio::runtime::{Handle, RuntimeFlavor};

/// Most bytes of old versions of files that are scanned for secrets.
const HISTORY_BYTES: u64 = 64 << 20;
/// Largest old version that is scanned.
const HISTORY_FILE_BYTES: u64 = 1 << 20;
/// Largest file whose lines are told apart from the template's, and that excerpts are taken from.
const TEXT_BYTES: u64 = 1 << 20;

/// A commit, ready to be checked.
#[derive(Debug)]
pub(crate) struct Source {
    repository: PathBuf,
    commit: ObjectId,
    tree_id: ObjectId,
    tree: Tree,
    history: History,
    template: Template,
    diff: TemplateDiff,
    seed: Option<ObjectId>,
    /// Lines of source code that the candidate wrote, by path; files that came with the template have none.
    own_source: BTreeMap<String, Vec<RangeInclusive<u32>>>,
}

impl Source {
    /// Reads the tree and the history of what was fetched. Blocks.
    ///
    /// # Errors
    /// The candidate's fault when the tree is over the limits, ours when libgit2 fails.
    pub(crate) fn read(
        repository: &Path,
        fetched: &Fetched,
        template: &BTreeMap<String, Vec<u8>>,
        source_globs: &[String],
    ) -> Result<Self, Stop> {
        let opened = Repository::open(repository).map_err(|error| read_stop(&error))?;
        let commit = fetched.commit;
        let tree = opened
            .tree(commit, TreeLimits::STANDARD)
            .map_err(|error| tree_stop(&error))?;
        if tree.files.is_empty() {
            return Err(Stop::NothingSubmitted {
                detail: "the commit has no file".into(),
            });
        }
        let tree_id = opened.tree_id(commit).map_err(|error| read_stop(&error))?;
        let history = opened
            .history(commit, HistoryLimits::STANDARD)
            .map_err(|error| read_stop(&error))?;
        let template = Template::new(template.clone()).map_err(|error| read_stop(&error))?;
        let seed = opened
            .seed(&history, &template)
            .map_err(|error| read_stop(&error))?;
        let diff = template.diff(&tree);
        let source_files = globs(source_globs)?;
        let own_source = tree
            .files
            .iter()
            .filter(|file| file.size <= TEXT_BYTES && source_files.is_match(&file.path))
            .map(|file| Ok((file.path.clone(), own_lines(&opened, &template, file)?)))
            .collect::<Result<_, _>>()
            .map_err(|error| read_stop(&error))?;
        Ok(Self {
            repository: repository.to_owned(),
            commit,
            tree_id,
            tree,
            history,
            template,
            diff,
            seed,
            own_source,
        })
    }

    /// The commit.
    pub(crate) fn commit(&self) -> ObjectId {
        self.commit
    }

    /// What the report says of the submission.
    pub(crate) fn submission(&self, repository: &str, reference: &str, track: &str) -> Submission {
        let newest: Option<&Commit> = self.history.commits.first();
        Submission {
            repository: repository.to_owned(),
            reference: reference.to_owned(),
            commit: self.commit.to_string(),
            tree: self.tree_id.to_string(),
            track: track.to_owned(),
            subject: newest.map(|commit| commit.subject.clone()).unwrap_or_default(),
            author: newest.map(|commit| commit.author.clone()).unwrap_or_default(),
            authored_at_s: newest.map_or(0, |commit| commit.authored_at),
            n_commits: self.history.commits.len() as u64,
            own_source_lines: self.own_source_lines(),
        }
    }

    /// Files, bytes, and what was left out.
    pub(crate) fn size(&self) -> (u64, u64, u64) {
        let bytes = self.tree.files.iter().map(|file| file.size).sum();
        (
            self.tree.files.len() as u64,
            bytes,
            self.tree.left_out.len() as u64,
        )
    }

    /// Lines of source code that the candidate wrote.
    pub(crate) fn own_source_lines(&self) -> u64 {
        let ranges = self.own_source.values().flatten();
        ranges
            .map(|range| u64::from(range.end() - range.start()) + 1)
            .sum()
    }

    /// Lines of any file that the candidate wrote; none where nobody can tell: it is not there, too large, or cannot be read.
    fn own_lines(&self, path: &str) -> Option<Cow<'_, [RangeInclusive<u32>]>> {
        if let Some(lines) = self.own_source.get(path) {
            return Some(Cow::Borrowed(lines));
        }
        let file = self.file(path).filter(|file| file.size <= TEXT_BYTES)?;
        let repository = Repository::open(&self.repository).ok()?;
        own_lines(&repository, &self.template, file).ok().map(Cow::Owned)
    }

    fn file(&self, path: &str) -> Option<&Entry> {
        self.tree.files.iter().find(|file| file.path == path)
    }

    /// A file's content; none when it is not there, too large, or cannot be read.
    pub(crate) fn content(&self, path: &str) -> Option<Vec<u8>> {
        let file = self.file(path)?;
        Repository::open(&self.repository)
            .ok()?
            .read(file.id, TEXT_BYTES)
            .ok()
    }

    /// The whole tree, for the volume that checks read.
    pub(crate) fn entries(&self) -> Result<Vec<TreeEntry>, Stop> {
        blocking(|| self.read_entries())
    }

    /// Versions of files that only the history has, as `<commit>/<path>`, for secret scanning.
    pub(crate) fn history_entries(&self) -> Result<Vec<TreeEntry>, Stop> {
        blocking(|| self.read_history_entries())
    }

    fn read_entries(&self) -> Result<Vec<TreeEntry>, Stop> {
        let repository = Repository::open(&self.repository).map_err(|error| read_stop(&error))?;
        let read = |file: &assay_git::Entry| -> Result<TreeEntry, Stop> {
            let bytes = repository
                .read(file.id, file.size)
                .map_err(|error| read_stop(&error))?;
            Ok(TreeEntry {
                path: file.path.clone(),
                content: Content::File {
                    bytes,
                    executable: file.executable,
                },
            })
        };
        self.tree.files.iter().map(read).collect()
    }

    fn read_history_entries(&self) -> Result<Vec<TreeEntry>, Stop> {
        let repository = Repository::open(&self.repository).map_err(|error| read_stop(&error))?;
        let introduced = repository
            .introduced_blobs(self.commit, &self.tree, HistoryLimits::STANDARD)
            .map_err(|error| read_stop(&error))?;
        let mut entries = Vec::new();
        let mut n_bytes = 0;
        for blob in introduced
            .blobs
            .iter()
            .filter(|blob| blob.size <= HISTORY_FILE_BYTES)
        {
            n_bytes += blob.size;
            if n_bytes > HISTORY_BYTES {
                break;
            }
            let bytes = repository
                .read(blob.id, blob.size)
                .map_err(|error| read_stop(&error))?;
            let path = format!("{}/{}", blob.commit.short(), blob.path);
            entries.push(TreeEntry {
                path,
                content: Content::File {
                    bytes,
                    executable: false,
                },
            });
        }
        Ok(entries)
    }

    /// The finding with its excerpt, unless it is about lines that came with the template.
    pub(crate) fn own_finding(&self, mut finding: Finding) -> Option<Finding> {
        let Some(path) = &finding.file else {
            return Some(finding);
        };
        if let Some(own) = self.own_lines(path) {
            let is_own = match finding.line {
                Some(line) => own.iter().any(|range| range.contains(&line)),
                None => !own.is_empty(),
            };
            if !is_own {
                return None;
            }
        }
        if let (Some(line), Some(content)) = (finding.line, self.content(path)) {
            finding.excerpt = crate::text::around(&String::from_utf8_lossy(&content), line);
        }
        Some(finding)
    }

    /// Coverage of the candidate's own source lines only.
    pub(crate) fn own_coverage(&self, coverage: Coverage) -> Coverage {
        let own_file = |(path, mut file): (String, assay_core::evidence::FileCoverage)| {
            let own = self.own_source.get(&path)?;
            let is_own = |line: &u32| own.iter().any(|range| range.contains(line));
            file.lines.retain(|line, _| is_own(line));
            file.branches.retain(|line, _| is_own(line));
            (!file.lines.is_empty()).then_some((path, file))
        };
        Coverage {
            files: coverage.files.into_iter().filter_map(own_file).collect(),
        }
    }

    /// What the history, the tree and the README tell, for the `style` check.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub(crate) fn remarks(&self, evidence: &mut CheckEvidence) -> Result<(), Stop> {
        let only_change = match remarks::only_commit(&self.history, self.seed) {
            Some(only) => Repository::open(&self.repository)
                .and_then(|repository| repository.change_size(only.id, HistoryLimits::STANDARD))
                .map_err(|error| read_stop(&error))?,
            None => None,
        };
        let submission = remarks::Submission {
            history: &self.history,
            tree: &self.tree,
            diff: &self.diff,
            seed: self.seed,
            only_change,
        };
        evidence
            .findings
            .extend(remarks::findings(&evidence.id, submission));
        let readme = self
            .tree
            .files
            .iter()
            .find(|file| file.path.eq_ignore_ascii_case("readme.md"));
        let written = readme.filter(|file| self.own_lines(&file.path).is_none_or(|own| !own.is_empty()));
        let found = written.and_then(|file| self.content(&file.path)).map(|bytes| {
            let found = readme::instructions(&String::from_utf8_lossy(&bytes));
            1 + u32::from(found.how_to_run) + u32::from(found.how_to_test)
        });
        evidence
            .facts
            .insert("readme.found".into(), f64::from(found.unwrap_or(0)));
        evidence.facts.insert("readme.wanted".into(), 3.0);
        for left_out in self.tree.left_out.iter().take(20) {
            evidence
                .notes
                .push(format!("{} {}.", left_out.shown_path, left_out.reason.sentence()));
        }
        let n_pointers = self.tree.files.iter().filter(|file| file.is_lfs_pointer).count();
        if n_pointers > 0 {
            evidence.notes.push(format!(
                "{n_pointers} files are pointers of Git LFS; their content was not fetched."
            ));
        }
        Ok(())
    }

    /// The toolchain with the commands of `assay.yaml` at the root, if there is one.
    pub(crate) fn overridden(&self, toolchain: Toolchain, is_allowed: bool) -> Result<Toolchain, Stop> {
        let Some(bytes) = self.content("assay.yaml") else {
            return Ok(toolchain);
        };
        let refused = |detail: String| Stop::BadOverride { detail };
        if !is_allowed {
            return Err(refused("this exercise does not allow it".into()));
        }
        let text = String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8".into()))?;
        match yaml::read::<Overrides>("assay.yaml", &text) {
            Ok(overrides) => Ok(overrides.apply(toolchain)),
            Err(mistakes) => {
                let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                Err(refused(all.join("; ")))
            }
        }
    }

    /// Id of the check that remarks on history count in.
    pub(crate) const REMARKS: CheckKind = CheckKind::Style;
}

/// Reads while other tasks go on, where the runtime has a thread for them: a daemon's has.
fn blocking<T>(read: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => read(),
        _ => tokio::task::block_in_place(read),
    }
}

fn own_lines(
    repository: &Repository,
    template: &Template,
    file: &Entry,
) -> Result<Vec<RangeInclusive<u32>>, ReadError> {
    let content = repository.read(file.id, TEXT_BYTES)?;
    template.owned_lines(file, &content)
}

fn globs(patterns: &[String]) -> Result<GlobSet, Stop> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).map_err(|error| Stop::BadExercise {
            detail: error.to_string(),
        })?);
    }
    set.build().map_err(|error| Stop::BadExercise {
        detail: error.to_string(),
    })
}

/// Why nothing was fetched, as a fault; `None` when it is the caller's mistake and there is nothing to report on.
pub(crate) fn fetch_stop(error: &FetchError) -> Option<Stop> {
    let detail = error.to_string();
    match (error, error.blame()) {
        (FetchError::Cancelled, _) => Some(Stop::Cancelled),
        (FetchError::NoCommits, _) => Some(Stop::NothingSubmitted { detail }),
        (_, Blame::Candidate) => Some(Stop::TreeRefused { detail }),
        (_, Blame::Platform) => Some(Stop::EngineFailed { detail }),
        (_, Blame::Caller) => None,
    }
}

fn tree_stop(error: &TreeError) -> Stop {
    match error.blame() {
        Blame::Candidate => Stop::TreeRefused {
            detail: error.to_string(),
        },
        Blame::Caller | Blame::Platform => Stop::EngineFailed {
            detail: error.to_string(),
        },
    }
}

fn read_stop(error: &ReadError) -> Stop {
    match error.blame() {
        Blame::Candidate => Stop::TreeRefused {
            detail: error.to_string(),
        },
        Blame::Caller | Blame::Platform => Stop::EngineFailed {
            detail: error.to_string(),
        },
    }
}
