//! Fetching one commit with its history into a bare repository of ours.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod advertised;
mod failure;

pub use self::failure::FetchError;

pub(crate) use self::advertised::Advertised;
use self::advertised::Wanted;
use crate::process::{self, Invocation, Outcome, ProcessLimits};
use crate::{Blame, ObjectId, Repository, Source};

/// What is fetched lands under this name, whatever it was called where it came from.
const FETCHED: &str = "refs/assay/fetched";

/// Most bytes of references that a repository may announce: some 100 000 of them.
const ADVERTISED_CAP: usize = 8 << 20;

/// The server's side of a fetch from a directory. Git itself calls `upload-pack` safe to run in a repository that is not
/// trusted; the settings make it indifferent to who owns the directory, let a commit be asked for by its id when no branch
/// leads to it any more, and bound what it takes to pack it: from disk to disk, to look for what is alike (`pack.window`) costs
/// more than to copy it. Deltas that the repository has stay.
const UPLOAD_PACK: &str = "--upload-pack=git -c 'safe.directory=*' -c safe.bareRepository=all \
    -c core.hooksPath=/dev/null -c core.fsmonitor=false -c uploadpack.allowAnySHA1InWant=true -c pack.threads=1 -c pack.window=0 -c pack.compression=1 \
    -c core.bigFileThreshold=1m -c core.packedGitWindowSize=32m -c core.packedGitLimit=256m upload-pack";

/// Says to a server who asks: the value of an `Authorization` header. Never shown, and given to git through its environment.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization(String);

impl Authorization {
    /// From the header's value, such as `Bearer …`. None when it holds a control character.
    pub fn new(value: &str) -> Option<Self> {
        (!value.contains(char::is_control)).then(|| Self(format!("Authorization: {value}")))
    }
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authorization(…)")
    }
}

/// What to fetch, and where to.
#[derive(Debug, Clone, Copy)]
pub struct FetchRequest<'a> {
    /// Where the repository is.
    pub source: &'a Source,
    /// Who asks, for a server that wants to know.
    pub authorization: Option<&'a Authorization>,
    /// A branch, a tag, a name that starts with `refs/`, or a whole commit id. Default: the repository's default branch.
    pub reference: Option<&'a str>,
    /// The directory that becomes a bare repository. It must not exist; its parent must.
    pub into: &'a Path,
    /// When the submission was received: handed through, so that a commit and its time stay together.
    pub received_at: SystemTime,
    /// How much may arrive.
    pub limits: FetchLimits,
}

/// How much a fetch may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimits {
    /// Most commits on a way from the fetched one to the beginning; what is older stays away ([`History::truncated`](crate::History)).
    pub depth: u32,
    /// Most bytes of packed objects on disk.
    pub pack_bytes: u64,
    /// Address space of each git process, in bytes: what a pack may unpack to in memory.
    pub memory_bytes: u64,
    /// Processor time of each git process, in seconds.
    pub cpu_seconds: u64,
}

impl FetchLimits {
    /// For take-home exercises: 5000 commits deep, 200 MiB packed, 1 GiB of memory, 60 s of processor time.
    pub const STANDARD: Self = Self {
        depth: 5_000,
        pack_bytes: 200 << 20,
        memory_bytes: 1 << 30,
        cpu_seconds: 60,
    };
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The commit.
    pub commit: ObjectId,
    /// The full name that it was fetched by (`refs/heads/main`), `HEAD` where that names no branch, or the commit's id.
    pub reference: String,
    /// As given in the request.
    pub received_at: SystemTime,
}

/// Fetches one commit and its history, without tags, submodules or large files of other stores (LFS).
///
/// Nothing of the repository is executed or trusted: neither its configuration nor its hooks. On an error, and when the
/// future is dropped, every process is killed and the directory is removed.
///
/// # Errors
/// [`FetchError::blame`] says whose problem it is.
pub async fn fetch(
    request: FetchRequest<'_>,
    cancel: &CancellationToken,
    deadline: Instant,
) -> Result<Fetched, FetchError> {
    let location = Location::of(request.source)?;
    if request
        .reference
        .is_some_and(|reference| !advertised::is_reference(reference))
    {
        return Err(FetchError::BadReference);
    }
    let into = NewRepository::create(request.into)?;
    let git = Git {
        location: &location,
        authorization: request.authorization,
        into: request.into,
        limits: request.limits,
        cancel,
        deadline,
    };

    let advertised = Advertised::parse(&git.list_references().await?);
    let wanted = advertised.choose(request.reference)?;
    git.fetch(&wanted).await?;

    let commit = Repository::open(request.into)
        .and_then(|repository| repository.commit_at(FETCHED))
        .map_err(|error| match error.blame() {
            Blame::Platform => FetchError::Io {
                doing: "read the fetched repository",
                source: io::Error::other(error),
            },
            Blame::Candidate | Blame::Caller => FetchError::NotACommit {
                reference: wanted.shown.clone(),
            },
        })?;
    into.keep();
    Ok(Fetched {
        commit,
        reference: wanted.shown,
        received_at: request.received_at,
    })
}

/// The source as git takes it.
struct Location {
    address: OsString,
    protocol: &'static str,
}

impl Location {
    fn of(source: &Source) -> Result<Self, FetchError> {
        match source {
            Source::Remote(remote) => Ok(Self {
                address: remote.as_str().into(),
                protocol: remote.protocol(),
            }),
            Source::Local(path) => {
                // An absolute path cannot pass for an option, an address or the name of a remote.
                let path = path.canonicalize().map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => FetchError::NotThere,
                    _ => FetchError::NotARepository {
                        detail: error.to_string(),
                    },
                })?;
                if !path.is_dir() {
                    return Err(FetchError::NotARepository {
                        detail: "it is not a directory".to_owned(),
                    });
                }
                Ok(Self {
                    address: path.into_os_string(),
                    protocol: "file",
                })
            }
        }
    }

    fn is_local(&self) -> bool {
        self.protocol == "file"
    }
}

/// The calls of git that a fetch consists of.
struct Git<'a> {
    location: &'a Location,
    authorization: Option<&'a Authorization>,
    into: &'a Path,
    limits: FetchLimits,
    cancel: &'a CancellationToken,
    deadline: Instant,
}

impl Git<'_> {
    /// What the other side has, before anything is transferred: only this tells an empty repository from a wrong name.
    async fn list_references(&self) -> Result<Vec<u8>, FetchError> {
        let outcome = self
            .run(&["ls-remote", "--symref"], Vec::new(), ADVERTISED_CAP)
            .await?;
        match outcome.status.success() {
            true => Ok(outcome.stdout),
            false => Err(failure::of_listing(&outcome, self.location.is_local())),
        }
    }

    async fn fetch(&self, wanted: &Wanted) -> Result<(), FetchError> {
        let depth = format!("--depth={}", self.limits.depth.max(1));
        let args = [
            "fetch",
            "--quiet",
            "--no-progress",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--update-shallow",
            depth.as_str(),
            // Read by git before it starts any other process.
            "--stdin",
        ];
        let outcome = self
            .run(&args, format!("+{}:{FETCHED}\n", wanted.name).into_bytes(), 0)
            .await?;
        if packed_bytes(self.into) >= self.limits.pack_bytes {
            return Err(FetchError::TooLarge {
                limit_bytes: self.limits.pack_bytes,
            });
        }
        match outcome.status.success() {
            true => Ok(()),
            false => Err(failure::of_transfer(
                &outcome,
                self.location.is_local(),
                &wanted.shown,
            )),
        }
    }

    async fn run(&self, args: &[&str], stdin: Vec<u8>, stdout_cap: usize) -> Result<Outcome, FetchError> {
        let mut args: Vec<OsString> = args.iter().map(OsString::from).collect();
        if self.location.is_local() {
            args.push(UPLOAD_PACK.into());
        }
        args.push("--".into());
        args.push(self.location.address.clone());
        let invocation = Invocation {
            args,
            git_dir: self.into,
            protocol: self.location.protocol,
            settings: self
                .authorization
                .filter(|_| !self.location.is_local())
                .map(|authorization| ("http.extraHeader", authorization.0.as_str()))
                .into_iter()
                .collect(),
            stdin,
            stdout_cap,
            limits: ProcessLimits {
                memory: self.limits.memory_bytes,
                cpu_seconds: self.limits.cpu_seconds,
                file: self.limits.pack_bytes,
            },
            watch: &|| packed_bytes(self.into) < self.limits.pack_bytes,
        };
        process::run(invocation, self.cancel, self.deadline)
            .await
            .map_err(|stopped| failure::of_stop(stopped, self.limits.pack_bytes))
    }
}

/// Bytes that have arrived so far. What cannot be seen counts as nothing: the limit of the processes still holds.
pub(crate) fn packed_bytes(git_dir: &Path) -> u64 {
    let files = std::fs::read_dir(git_dir.join("objects/pack"))
        .into_iter()
        .flatten();
    files
        .filter_map(|file| file.ok()?.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

/// A new bare repository; removed again unless it is kept.
struct NewRepository {
    path: Option<PathBuf>,
}

impl NewRepository {
    fn create(path: &Path) -> Result<Self, FetchError> {
        let io = |source| FetchError::Io {
            doing: "create the repository",
            source,
        };
        std::fs::create_dir(path).map_err(io)?;
        let new = Self {
            path: Some(path.to_owned()),
        };
        Repository::create(path).map_err(io)?;
        Ok(new)
    }

    fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for NewRepository {
    fn drop(&mut self) {
        if let Some(path) = self.path.take()
            && let Err(error) = std::fs::remove_dir_all(&path)
        {
            tracing::warn!(path = %path.display(), %error, "a failed fetch left its directory behind");
        }
    }
}
