//! The one place that starts host processes: the `git` program, closed in on every side.
//!
//! Nothing of the host's environment or configuration reaches it, it cannot ask questions, it starts no hook, its group of
//! processes has limits and dies when its caller is cancelled, dropped or late.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Where `git`, `ssh` and the shell are looked for; the caller's PATH does not count.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How often [`Invocation::watch`] is asked. Between two questions a local transfer may bring some tens of megabytes.
const WATCH_EVERY: Duration = Duration::from_millis(50);

/// How much of the end of stderr is kept, in bytes.
const STDERR_TAIL: usize = 4 << 10;

/// How long a killed group may take to disappear before we go on without it.
pub(crate) const REAP_WITHIN: Duration = Duration::from_secs(5);

/// Settings of every `git` that we start, whatever the repository says. A later setting of the same name wins.
const EVERYWHERE: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("safe.bareRepository", "all"),
    // What does not arrive whole and well-formed does not arrive at all.
    ("transfer.fsckObjects", "true"),
    // Always one pack, never a flood of loose objects, and large blobs are streamed.
    ("transfer.unpackLimit", "1"),
    ("core.bigFileThreshold", "1m"),
    ("pack.threads", "1"),
    ("core.packedGitWindowSize", "32m"),
    ("core.packedGitLimit", "256m"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
];

/// Settings of a `git` that fetches into a repository of ours.
const FETCHING: &[(&str, &str)] = &[
    ("core.sshCommand", "ssh -oBatchMode=yes -oConnectTimeout=20"),
    // A repository that is lost in a crash is fetched again.
    ("core.fsync", "none"),
    ("core.logAllRefUpdates", "false"),
    ("fetch.recurseSubmodules", "false"),
    // The address that was checked is the address that is asked.
    ("http.followRedirects", "false"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "30"),
];

/// What one `git` process group may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessLimits {
    /// Address space of each process, in bytes.
    pub(crate) memory: u64,
    /// Processor time of each process, in seconds.
    pub(crate) cpu_seconds: u64,
    /// Largest file that a process may write, in bytes.
    pub(crate) file: u64,
}

/// One call of `git`.
pub(crate) struct Invocation<'a> {
    /// Arguments, without `git` itself.
    pub(crate) args: Vec<OsString>,
    /// The bare repository of ours that it works in.
    pub(crate) git_dir: &'a Path,
    /// The only transport it may use.
    pub(crate) protocol: &'static str,
    /// Settings of this call besides those of all. They go through the environment, which only we can read.
    pub(crate) settings: Vec<(&'static str, &'a str)>,
    /// Given on stdin, after the limits are in force.
    pub(crate) stdin: Vec<u8>,
    /// Most bytes taken from stdout.
    pub(crate) stdout_cap: usize,
    pub(crate) limits: ProcessLimits,
    /// Asked again and again while it runs; false ends it.
    pub(crate) watch: &'a (dyn Fn() -> bool + Sync),
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    /// The end of what it wrote there; hostile, as servers' messages are relayed.
    pub(crate) stderr: Vec<u8>,
}

/// Why there is no [`Outcome`].
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The caller's token.
    Cancelled,
    /// The caller's deadline.
    TimedOut,
    /// [`Invocation::watch`] said so.
    Watch,
    /// More output than [`Invocation::stdout_cap`].
    OutputCap,
    /// The program is not there.
    Missing,
    /// It could not be started, limited or read.
    Io(io::Error),
}

/// Runs `git` to its end.
///
/// # Errors
/// In every case the whole process group is gone, or has been killed, when this returns or is dropped.
pub(crate) async fn run(
    invocation: Invocation<'_>,
    cancel: &CancellationToken,
    deadline: Instant,
) -> Result<Outcome, Stopped> {
    let mut child = command(&invocation).spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Stopped::Missing,
        _ => Stopped::Io(error),
    })?;
    let mut group = Group::of(&child)?;
    group.limit(invocation.limits)?;

    let result = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Stopped::Cancelled),
        () = tokio::time::sleep_until(deadline) => Err(Stopped::TimedOut),
        () = until_refused(invocation.watch) => Err(Stopped::Watch),
        outcome = converse(&mut child, &invocation.stdin, invocation.stdout_cap) => outcome,
    };
    if result.is_err() {
        group.kill();
        // Not worth an error of its own: the group has been told, and the first reason is the one that counts.
        if tokio::time::timeout(REAP_WITHIN, child.wait()).await.is_err() {
            tracing::warn!(pid = child.id(), "a killed git process did not end in time");
        }
    }
    group.ended();
    result
}

fn command(invocation: &Invocation<'_>) -> Command {
    let settings: Vec<(&str, &str)> = FETCHING.iter().chain(&invocation.settings).copied().collect();
    let mut command = closed_in(invocation.git_dir, invocation.protocol, &settings);
    command.args(&invocation.args);
    command
}

/// `git` in a bare repository of ours, with pipes, a process group and settings of its own, and nothing else of the host.
/// `protocol` is the only transport it may use.
pub(crate) fn closed_in(git_dir: &Path, protocol: &str, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(git());
    command
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_DIR", ".")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_LFS_SKIP_SMUDGE", "1")
        .env("GIT_ALLOW_PROTOCOL", protocol)
        .env(
            "GIT_CONFIG_COUNT",
            (EVERYWHERE.len() + settings.len()).to_string(),
        );
    for (i, (key, value)) in EVERYWHERE.iter().chain(settings).enumerate() {
        command
            .env(format!("GIT_CONFIG_KEY_{i}"), key)
            .env(format!("GIT_CONFIG_VALUE_{i}"), value);
    }
    command
        .current_dir(git_dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Where `git` is. A name that has to be looked for in the child's own PATH would make the standard library fork, which
/// copies this process's page tables, instead of spawning.
fn git() -> PathBuf {
    let folders = SEARCH_PATH.split(':');
    let found = folders
        .map(|folder| Path::new(folder).join("git"))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| "git".into())
}

/// Gives stdin, takes stdout and stderr, waits.
async fn converse(child: &mut Child, input: &[u8], stdout_cap: usize) -> Result<Outcome, Stopped> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let give = async {
        if let Some(mut stdin) = stdin {
            match stdin.write_all(input).await {
                // It ended without reading: its exit status says why.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => (),
                written => written.map_err(Stopped::Io)?,
            }
        }
        Ok(())
    };
    let wait = async { child.wait().await.map_err(Stopped::Io) };
    let ((), stdout, stderr, status) =
        tokio::try_join!(give, read_at_most(stdout, stdout_cap), read_tail(stderr), wait)?;
    Ok(Outcome {
        status,
        stdout,
        stderr,
    })
}

async fn read_at_most(from: Option<impl AsyncRead + Unpin>, cap: usize) -> Result<Vec<u8>, Stopped> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(cap as u64 + 1)
            .read_to_end(&mut bytes)
            .await
            .map_err(Stopped::Io)?;
    }
    if bytes.len() > cap {
        Err(Stopped::OutputCap)
    } else {
        Ok(bytes)
    }
}

/// The end of what it writes there.
pub(crate) async fn read_tail(from: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, Stopped> {
    let mut tail = Vec::new();
    let Some(mut from) = from else { return Ok(tail) };
    let mut buffer = [0; 4096];
    loop {
        let n = from.read(&mut buffer).await.map_err(Stopped::Io)?;
        if n == 0 {
            return Ok(tail);
        }
        tail.extend_from_slice(&buffer[..n]);
        tail.drain(..tail.len().saturating_sub(STDERR_TAIL));
    }
}

async fn until_refused(watch: &(dyn Fn() -> bool + Sync)) {
    while watch() {
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// The processes that `git` and its children are. Dropped while they run, it kills them.
pub(crate) struct Group(Option<Pid>);

impl Group {
    pub(crate) fn of(child: &Child) -> Result<Self, Stopped> {
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        pid.map(|pid| Self(Some(pid)))
            .ok_or_else(|| Stopped::Io(io::Error::other("git has no process id")))
    }

    /// Puts the limits in force. Children inherit them; those that matter are started after stdin has been read.
    pub(crate) fn limit(&self, limits: ProcessLimits) -> Result<(), Stopped> {
        let set = [
            (Resource::As, limits.memory, limits.memory),
            // Between the two numbers it dies of SIGXCPU, which tells this limit from a kill.
            (Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds + 5),
            (Resource::Fsize, limits.file, limits.file),
            (Resource::Core, 0, 0),
        ];
        for (resource, soft, hard) in set {
            let limit = Rlimit {
                current: Some(soft),
                maximum: Some(hard),
            };
            match rustix::process::prlimit(self.0, resource, limit) {
                Ok(_) => (),
                // It has already ended.
                Err(rustix::io::Errno::SRCH) => (),
                Err(error) => return Err(Stopped::Io(error.into())),
            }
        }
        Ok(())
    }

    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Asks it to end: `git` then removes its lock files.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            // Fails only when there is nobody left.
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }

    /// It has ended and was waited for: its id may be somebody else's by now.
    pub(crate) fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
