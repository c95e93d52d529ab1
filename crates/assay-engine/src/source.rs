//! The submission's source: fetched into a bare repository of ours, read from Git objects, never checked out.

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

use crate::text;

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
            .map(|file| Ok((file.path.clone(), Text::read(&opened, &template, file)?.own)))
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

    /// A file as text; none when it is not there, too large, or cannot be read.
    fn text(&self, repository: &Repository, path: &str) -> Option<Text> {
        Text::read(repository, &self.template, self.file(path)?).ok()
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

    /// The findings with their excerpts, but for those about lines that came with the template. Each file is read once, however
    /// many there are about it.
    pub(crate) fn own_findings(&self, findings: Vec<Finding>) -> Vec<Finding> {
        blocking(|| {
            let repository = Repository::open(&self.repository).ok();
            let mut by_file: BTreeMap<Option<String>, Vec<(usize, Finding)>> = BTreeMap::new();
            for (i, finding) in findings.into_iter().enumerate() {
                by_file
                    .entry(finding.file.clone())
                    .or_default()
                    .push((i, finding));
            }
            let mut own = Vec::new();
            for (path, findings) in by_file {
                let text = path.and_then(|path| self.text(repository.as_ref()?, &path));
                match text {
                    Some(text) => own.extend(text.own_findings(findings)),
                    None => own.extend(findings),
                }
            }
            own.sort_by_key(|(i, _)| *i);
            own.into_iter().map(|(_, finding)| finding).collect()
        })
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
        let repository = Repository::open(&self.repository).map_err(|error| read_stop(&error))?;
        let only = remarks::only_commit(&self.history, self.seed).map(|commit| {
            let change = blocking(|| repository.change_size(commit.id, HistoryLimits::STANDARD));
            change.map(|change| Some((commit.id, change?)))
        });
        let only = only.transpose().map_err(|error| read_stop(&error))?;
        let submission = remarks::Submission {
            history: &self.history,
            tree: &self.tree,
            diff: &self.diff,
            seed: self.seed,
            only: only.flatten(),
        };
        evidence
            .findings
            .extend(remarks::findings(&evidence.id, submission));
        let readme = self
            .tree
            .files
            .iter()
            .find(|file| file.path.eq_ignore_ascii_case("readme.md"));
        let readme = readme.and_then(|file| self.text(&repository, &file.path));
        let found = readme.filter(|text| !text.own.is_empty()).map(|text| {
            let found = readme::instructions(&text.content);
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
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(read),
        _ => read(),
    }
}

/// A file, and the lines of it that the candidate wrote.
struct Text {
    content: String,
    own: Vec<RangeInclusive<u32>>,
}

impl Text {
    fn read(repository: &Repository, template: &Template, file: &Entry) -> Result<Self, ReadError> {
        let bytes = repository.read(file.id, TEXT_BYTES)?;
        Ok(Self {
            own: template.owned_lines(file, &bytes)?,
            content: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    fn own_findings<I>(&self, findings: Vec<(I, Finding)>) -> Vec<(I, Finding)> {
        let lines: Vec<&str> = self.content.lines().collect();
        let own = findings.into_iter().filter_map(|(i, mut finding)| {
            let is_own = match finding.line {
                Some(line) => self.own.iter().any(|range| range.contains(&line)),
                None => !self.own.is_empty(),
            };
            finding.excerpt = finding.line.and_then(|line| text::around(&lines, line));
            is_own.then_some((i, finding))
        });
        own.collect()
    }
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use assay_core::evidence::Level;
    use assay_core::exercise::CategoryId;
    use insta::assert_snapshot;

    use super::*;

    fn finding(file: Option<&str>, line: Option<u32>) -> Finding {
        Finding {
            check: "style".into(),
            tool: "tool".into(),
            rule: "rule".into(),
            level: Level::Warning,
            category: CategoryId::Style,
            file: file.map(str::to_owned),
            line,
            message: String::new(),
            help: None,
            excerpt: None,
            exchange: None,
        }
    }

    #[tokio::test]
    async fn findings_about_the_template_are_nobodys() {
        let files = |files: &[(&str, &str)]| -> BTreeMap<String, Vec<u8>> {
            let files = files.iter();
            files
                .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
                .collect()
        };
        let template = files(&[("app.py", "given\n"), ("given.md", "given\n")]);
        let submitted = files(&[
            ("app.py", "given\nmine\n"),
            ("moved.md", "given\n"),
            ("own.txt", "mine\n"),
        ]);
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path().join("repository.git");
        let commit = assay_git::host::create(&repository, &submitted, "All of it", 0).unwrap();
        let fetched = Fetched {
            commit,
            reference: String::new(),
            received_at: SystemTime::UNIX_EPOCH,
        };
        let source = Source::read(&repository, &fetched, &template, &["*.py".to_owned()]).unwrap();
        assert_eq!(source.own_source_lines(), 1);
        let found = [
            (Some("own.txt"), Some(1)),
            (Some("app.py"), Some(2)),
            (Some("app.py"), Some(1)),
            (None, None),
            (Some("moved.md"), Some(1)),
            (Some("moved.md"), None),
            (Some("own.txt"), None),
            (Some("app.py"), None),
            (Some("not-there"), Some(7)),
        ];
        let found = found.map(|(file, line)| finding(file, line)).into();
        let kept = source.own_findings(found).into_iter().map(|finding| {
            let excerpt = finding.excerpt.map(|excerpt| excerpt.lines);
            format!("{:?} {:?} {excerpt:?}\n", finding.file, finding.line)
        });
        assert_snapshot!(kept.collect::<String>(), @r#"
        Some("own.txt") Some(1) Some(["mine"])
        Some("app.py") Some(2) Some(["given", "mine"])
        None None None
        Some("own.txt") None None
        Some("app.py") None None
        Some("not-there") Some(7) None
        "#);
    }
}
