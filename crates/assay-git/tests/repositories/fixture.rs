//! Repositories made object by object, so that they can be what git itself would never make.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use assay_git::{
    FetchError, FetchLimits, FetchRequest, Fetched, ObjectId, Repository, Source, Tree, TreeError,
    TreeLimits, fetch,
};
use git2::{ObjectType, Oid};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) const FILE: u32 = 0o100_644;
pub(crate) const PROGRAM: u32 = 0o100_755;
pub(crate) const DIRECTORY: u32 = 0o040_000;
pub(crate) const SYMLINK: u32 = 0o120_000;
pub(crate) const SUBMODULE: u32 = 0o160_000;

/// A bare repository in a temporary directory.
pub(crate) struct Fixture {
    directory: TempDir,
    pub(crate) git: git2::Repository,
}

impl Fixture {
    /// Without any commit; `HEAD` points to `main`.
    pub(crate) fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).initial_head("main").external_template(false);
        let git = git2::Repository::init_opts(directory.path().join("source.git"), &options).unwrap();
        Self { directory, git }
    }

    /// With one commit of these files on `main`.
    pub(crate) fn with(entries: &[(u32, &[u8], Oid)], fixture: Self) -> (Self, ObjectId) {
        let tree = fixture.tree(entries);
        let commit = fixture.commit(tree, &[], "Add it all");
        fixture.branch("main", commit);
        (fixture, id(commit))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.git.path().to_owned()
    }

    pub(crate) fn scratch(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn blob(&self, content: impl AsRef<[u8]>) -> Oid {
        self.git.blob(content.as_ref()).unwrap()
    }

    /// A directory as raw bytes: nothing is checked or sorted.
    pub(crate) fn tree(&self, entries: &[(u32, &[u8], Oid)]) -> Oid {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend(format!("{mode:o} ").into_bytes());
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(id.as_bytes());
        }
        self.git.odb().unwrap().write(ObjectType::Tree, &bytes).unwrap()
    }

    pub(crate) fn commit(&self, tree: Oid, parents: &[Oid], message: &str) -> Oid {
        // A clock that goes forward with the history, so that its order is defined.
        let n_before = parents
            .iter()
            .map(|&id| self.git.find_commit(id).unwrap().time().seconds())
            .max();
        let time = git2::Time::new(n_before.unwrap_or(1_700_000_000) + 60, 0);
        let author = git2::Signature::new("Sam", "sam@example.com", &time).unwrap();
        let parents: Vec<_> = parents
            .iter()
            .map(|&id| self.git.find_commit(id).unwrap())
            .collect();
        let tree = self.git.find_tree(tree).unwrap();
        self.git
            .commit(
                None,
                &author,
                &author,
                message,
                &tree,
                &parents.iter().collect::<Vec<_>>(),
            )
            .unwrap()
    }

    pub(crate) fn branch(&self, name: &str, target: Oid) {
        self.reference(&format!("refs/heads/{name}"), target);
    }

    pub(crate) fn reference(&self, name: &str, target: Oid) {
        self.git.reference(name, target, true, "fixture").unwrap();
    }

    /// `n` commits on `main`, each with another content of one file.
    pub(crate) fn with_commits(n: usize) -> Self {
        let fixture = Self::empty();
        let mut parents = Vec::new();
        for i in 0..n {
            let blob = fixture.blob(format!("version {i}\n"));
            let tree = fixture.tree(&[(FILE, b"app.py", blob)]);
            parents = vec![fixture.commit(tree, &parents, &format!("Write version {i}"))];
        }
        fixture.branch("main", parents[0]);
        fixture
    }

    /// Reads it where it is, as if it had been fetched.
    pub(crate) fn read(&self) -> Repository {
        Repository::open(&self.path()).unwrap()
    }

    pub(crate) fn read_tree(&self, commit: ObjectId) -> Result<Tree, TreeError> {
        self.read().tree(commit, TreeLimits::STANDARD)
    }

    pub(crate) async fn fetch(&self, reference: Option<&str>) -> Result<(Fetched, Repository), FetchError> {
        self.fetch_within(reference, FetchLimits::STANDARD).await
    }

    pub(crate) async fn fetch_within(
        &self,
        reference: Option<&str>,
        limits: FetchLimits,
    ) -> Result<(Fetched, Repository), FetchError> {
        let into = self.scratch().join("fetched.git");
        let fetched = fetch_from(&Source::Local(self.path()), reference, &into, limits).await;
        assert_eq!(
            fetched.is_ok(),
            into.exists(),
            "a failed fetch leaves nothing behind"
        );
        Ok((fetched?, Repository::open(&into).unwrap()))
    }
}

pub(crate) fn id(oid: Oid) -> ObjectId {
    oid.to_string().parse().unwrap()
}

pub(crate) async fn fetch_from(
    source: &Source,
    reference: Option<&str>,
    into: &Path,
    limits: FetchLimits,
) -> Result<Fetched, FetchError> {
    let request = FetchRequest {
        source,
        authorization: None,
        reference,
        into,
        received_at: SystemTime::UNIX_EPOCH,
        limits,
    };
    fetch(
        request,
        &CancellationToken::new(),
        Instant::now() + Duration::from_secs(120),
    )
    .await
}

/// The files' paths and what was left out, one per line.
pub(crate) fn listing(tree: &Tree) -> String {
    let files = tree.files.iter().map(|file| {
        let marks = [(file.executable, " executable"), (file.is_lfs_pointer, " lfs")];
        let marks: String = marks
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, mark)| *mark)
            .collect();
        format!("{}{marks}\n", file.path)
    });
    let left_out = tree
        .left_out
        .iter()
        .map(|left| format!("- {} {:?}\n", left.shown_path, left.reason));
    files.chain(left_out).collect()
}
