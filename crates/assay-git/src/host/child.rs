//! A git child that talks with a client for as long as both want to, and ends in an orderly way when one of them does not.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::packets::Relay;
use super::{HostError, HostLimits, Service};
use crate::display::one_line;
use crate::process::{self, Group, ProcessLimits, REAP_WITHIN};

/// How much is read at once, in bytes.
const BUFFER: usize = 32 << 10;

/// How many buffers may wait for a client.
const BUFFERS_AHEAD: usize = 4;

/// How long git may take to end once nothing more comes: it removes what it had received so far.
const END_WITHIN: Duration = Duration::from_secs(10);

/// How long it may take once it was told to.
const TERMINATE_WITHIN: Duration = Duration::from_secs(5);

/// Settings of a `git` that serves a hosted repository.
const HOSTING: &[(&str, &str)] = &[
    ("safe.directory", "*"),
    ("core.fsync", "committed"),
    // The reference log is the timeline of pushes.
    ("core.logAllRefUpdates", "always"),
    // The graded branch and tags; what we keep for ourselves is neither shown nor changed.
    ("transfer.hideRefs", "refs/"),
    ("transfer.hideRefs", "!refs/heads/main"),
    ("transfer.hideRefs", "!refs/tags/"),
    ("transfer.advertiseSID", "false"),
    ("receive.denyDeletes", "true"),
    ("receive.denyNonFastForwards", "true"),
    ("receive.denyCurrentBranch", "ignore"),
    ("receive.autogc", "false"),
    ("receive.keepAlive", "5"),
    ("uploadpack.keepAlive", "5"),
    ("uploadpack.allowFilter", "false"),
    ("uploadpack.allowAnySHA1InWant", "false"),
    ("pack.windowMemory", "64m"),
];

/// How long is waited for a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the next byte.
    pub(super) idle: Duration,
    /// For all of it.
    pub(super) whole: Duration,
}

/// `git` in the hosted repository `dir`; `by` stands in its reference log.
pub(super) fn command(dir: &Path, limits: &HostLimits, by: &str) -> Command {
    let most = limits.push_bytes.to_string();
    let settings = [HOSTING, &[("receive.maxInputSize", most.as_str())]].concat();
    let mut command = process::closed_in(dir, "none", &settings);
    command
        .env("GIT_COMMITTER_NAME", by)
        .env("GIT_COMMITTER_EMAIL", "candidate@localhost");
    command
}

/// Whoever gets git's answer, until they go away.
pub(super) struct Client {
    to: Option<mpsc::Sender<Vec<u8>>>,
    idle: Duration,
    /// Whether git works on without an audience.
    is_pushing: bool,
    /// Whether the end of the answer is held back.
    relay: Option<Relay>,
}

impl Client {
    /// Somebody who fetches: when they go away, git may stop.
    pub(super) fn reading(to: mpsc::Sender<Vec<u8>>, idle: Duration) -> Self {
        Self {
            to: Some(to),
            idle,
            is_pushing: false,
            relay: None,
        }
    }

    /// Somebody who pushes: what they sent is taken even when they do not wait for the answer, whose last packet is held back.
    pub(super) fn pushing(to: mpsc::Sender<Vec<u8>>, idle: Duration) -> Self {
        Self {
            is_pushing: true,
            relay: Some(Relay::default()),
            ..Self::reading(to, idle)
        }
    }

    /// Ourselves.
    pub(super) fn listening(idle: Duration) -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (to, said) = mpsc::channel(BUFFERS_AHEAD);
        (Self::reading(to, idle), said)
    }

    /// Tells them, or finds out that they went away.
    pub(super) async fn tell(&mut self, bytes: Vec<u8>) {
        if let Some(to) = &self.to
            && !bytes.is_empty()
            && !matches!(timeout(self.idle, to.send(bytes)).await, Ok(Ok(())))
        {
            self.to = None;
        }
    }

    fn is_gone(&self) -> bool {
        self.to.as_ref().is_none_or(mpsc::Sender::is_closed)
    }
}

/// How a conversation ended.
#[derive(Debug)]
pub(super) struct Talked {
    status: Option<ExitStatus>,
    stderr: Vec<u8>,
    /// The end of the answer, where it is held back.
    pub(super) held_back: Vec<u8>,
    /// Whether git had to be stopped: it may have left files behind.
    pub(super) was_stopped: bool,
}

impl Talked {
    /// The end of git's messages, safe to show.
    pub(super) fn said(&self) -> String {
        one_line(&self.stderr, 400)
    }

    /// # Errors
    /// When it did not.
    pub(super) fn must_succeed(&self, service: Service) -> Result<(), HostError> {
        match self.status {
            Some(status) if status.success() => Ok(()),
            _ => Err(HostError::Failed {
                service: service.command(),
                detail: self.said(),
            }),
        }
    }
}

/// How the client's part ended.
enum Fed {
    /// It said all that it wanted to say, or git did not want to hear more.
    Whole,
    /// It fell silent, or broke off.
    Broken,
}

/// What a client has to say: what has been read of it already, the rest, and how much of the rest is read only so that
/// the client listens to git's refusal, in bytes.
pub(super) type Saying<I> = (Vec<u8>, I, u64);

/// Lets git and the client talk until git has ended.
///
/// A client that breaks off, the deadline and `cancel` all end it in the same way: nothing more comes, so git fails on the
/// early end and removes what had arrived. Only when that takes too long it is told to end, and at last killed.
pub(super) async fn talk(
    mut command: Command,
    limits: ProcessLimits,
    patience: Patience,
    (head, input, drain_bytes): Saying<impl AsyncRead + Send + Unpin>,
    mut client: Client,
    cancel: &CancellationToken,
) -> Result<Talked, HostError> {
    let mut child = command.spawn()?;
    let not_limited = |stopped| std::io::Error::other(format!("{stopped:?}"));
    let mut group = Group::of(&child).map_err(not_limited)?;
    group.limit(limits).map_err(not_limited)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());

    let mut feeding = Box::pin(feed(stdin, head, input, drain_bytes, patience));
    let speaking = async {
        let (held_back, stderr, status) = tokio::join!(
            pump(stdout, &mut client),
            process::read_tail(stderr),
            child.wait()
        );
        Talked {
            status: status.ok(),
            stderr: stderr.unwrap_or_default(),
            held_back,
            was_stopped: false,
        }
    };
    let mut speaking = std::pin::pin!(speaking);

    let deadline = Instant::now() + patience.whole;
    let (mut is_fed, mut talked) = (false, None);
    while !is_fed || talked.is_none() {
        tokio::select! {
            biased;
            fed = &mut feeding, if !is_fed => match fed {
                Fed::Whole => is_fed = true,
                Fed::Broken => break,
            },
            said = &mut speaking, if talked.is_none() => talked = Some(said),
            () = cancel.cancelled() => break,
            () = tokio::time::sleep_until(deadline) => break,
        }
    }
    // It holds git's stdin, if anybody still does: this is the early end.
    drop(feeding);
    let talked = match talked {
        Some(talked) => talked,
        None => match timeout(END_WITHIN, &mut speaking).await {
            Ok(talked) => talked,
            Err(_) => {
                group.terminate();
                let terminated = timeout(TERMINATE_WITHIN, &mut speaking).await;
                let ended = match terminated {
                    Ok(talked) => Ok(talked),
                    Err(_) => {
                        group.kill();
                        timeout(REAP_WITHIN, &mut speaking).await
                    }
                };
                let mut talked =
                    ended.map_err(|_| std::io::Error::other("a killed git process did not end in time"))?;
                talked.was_stopped = true;
                talked
            }
        },
    };
    group.ended();
    Ok(talked)
}

/// The client's bytes to git's stdin, which is closed at the end, whatever that is.
async fn feed(
    stdin: Option<ChildStdin>,
    head: Vec<u8>,
    mut input: impl AsyncRead + Send + Unpin,
    drain_bytes: u64,
    patience: Patience,
) -> Fed {
    let Some(mut stdin) = stdin else {
        return Fed::Broken;
    };
    let mut listens = stdin.write_all(&head).await.is_ok();
    let mut buffer = vec![0; BUFFER];
    while listens {
        match timeout(patience.idle, input.read(&mut buffer)).await {
            Ok(Ok(0)) => return Fed::Whole,
            Ok(Ok(n)) => listens = stdin.write_all(&buffer[..n]).await.is_ok(),
            Ok(Err(_)) | Err(_) => return Fed::Broken,
        }
    }
    drop(stdin);
    drain(input, drain_bytes, patience).await;
    Fed::Whole
}

/// Hears a client out without taking anything, at most this many bytes of it.
pub(super) async fn drain(mut input: impl AsyncRead + Send + Unpin, most: u64, patience: Patience) {
    let deadline = Instant::now() + patience.whole;
    let mut buffer = vec![0; BUFFER];
    let mut left = most;
    while left > 0 && Instant::now() < deadline {
        match timeout(patience.idle, input.read(&mut buffer)).await {
            Ok(Ok(n)) if n > 0 => left = left.saturating_sub(n as u64),
            _ => return,
        }
    }
}

/// Git's stdout to the client, as far as there is one; what is held back is given back.
async fn pump(stdout: Option<ChildStdout>, client: &mut Client) -> Vec<u8> {
    let Some(mut stdout) = stdout else {
        return Vec::new();
    };
    let mut buffer = vec![0; BUFFER];
    while let Ok(n @ 1..) = stdout.read(&mut buffer).await {
        let said = match &mut client.relay {
            Some(relay) => relay.pass(&buffer[..n]),
            None => buffer[..n].to_vec(),
        };
        client.tell(said).await;
        if client.is_gone() && !client.is_pushing {
            break;
        }
    }
    client.relay.take().map(Relay::rest).unwrap_or_default()
}
