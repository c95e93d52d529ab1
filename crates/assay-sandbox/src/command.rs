//! Commands in a container, and the processes that they become.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use assay_core::agent::{AgentError, Ask, Base64, Exit, OutputCap, Reason, Signal, Start, Stream, WhenFull};
use tokio::sync::{oneshot, watch};

use crate::agent::{Agent, AskError, Death, Route};
use crate::engine::{locked, worked};

/// How long the agent may take, past a command's deadline and grace, to report its end.
const SLACK: Duration = Duration::from_secs(20);

/// How long the agent may take to start a process. Exec of a large program from a cold disk takes a while.
const START: Duration = Duration::from_secs(60);

/// What an agent may send over the caps before it counts as nonsense: the caps are kept inside, by the agent.
const CAP_SLACK_BYTES: u64 = 1 << 20;

/// A command to run in a container.
#[derive(Clone, PartialEq)]
#[must_use = "give it to `Container::exec` or `Container::spawn`"]
pub struct Command {
    start: Start,
}

impl Command {
    /// A program and its arguments, run in `/`, with no input, no deadline, 2 s of grace, and 1 MiB of each output
    /// stream kept (3/4 of it from the beginning), the rest dropped.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            start: Start {
                argv: argv.into_iter().map(Into::into).collect(),
                env: BTreeMap::new(),
                cwd: "/".to_owned(),
                stdin: Base64::default(),
                stdin_open: false,
                deadline_ms: None,
                grace_ms: 2000,
                output: OutputCap {
                    head_bytes: 768 << 10,
                    tail_bytes: 256 << 10,
                    when_full: WhenFull::Drop,
                },
            },
        }
    }

    /// A command line for `sh -c`, otherwise like [`Command::new`].
    pub fn shell(line: &str) -> Self {
        Self::new(["sh", "-c", line])
    }

    /// The working directory, an absolute path.
    pub fn cwd(mut self, path: &str) -> Self {
        path.clone_into(&mut self.start.cwd);
        self
    }

    /// Adds environment variables to those of the container.
    pub fn env<K: Into<String>, V: Into<String>>(mut self, env: impl IntoIterator<Item = (K, V)>) -> Self {
        self.start
            .env
            .extend(env.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// What the process reads on its standard input; at most 256 KiB.
    pub fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.start.stdin = Base64(bytes);
        self
    }

    /// Leaves the input open after that, for [`Process::feed`].
    pub fn stdin_open(mut self) -> Self {
        self.start.stdin_open = true;
        self
    }

    /// When its process group is stopped.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.start.deadline_ms = Some(millis(deadline));
        self
    }

    /// The time between SIGTERM and SIGKILL at the deadline or the output cap.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.start.grace_ms = millis(grace);
        self
    }

    /// How much of each output stream is kept, and what happens to the rest.
    pub fn output(mut self, cap: OutputCap) -> Self {
        self.start.output = cap;
        self
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.start.fmt(f)
    }
}

/// A running process of a container, or one that has ended. Dropping it does not stop it.
#[derive(Clone)]
pub struct Process {
    id: u64,
    agent: Agent,
    outputs: Outputs,
    exit: watch::Receiver<Option<Exit>>,
    /// Told with every piece of output.
    wrote: watch::Receiver<()>,
    longest: Option<Duration>,
}

/// The lines of a process's standard output, as they come.
#[derive(Debug)]
pub struct Lines {
    process: Process,
    /// Bytes of the output that were handed out.
    n_read: usize,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exited {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// What made it end.
    pub reason: ExitReason,
    /// From its start to its end.
    pub duration: Duration,
    /// Processes of the container that were killed for want of memory in that time; none = it cannot be told.
    pub oom_kills: Option<u64>,
    /// The most memory that the container had in use at once since it started.
    pub memory_peak_bytes: Option<u64>,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
}

impl Exited {
    /// Whether it ended by itself with exit code 0.
    pub fn success(&self) -> bool {
        self.reason == ExitReason::Exit && self.code == Some(0)
    }
}

/// What made a process end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// It ended by itself.
    Exit,
    /// Its deadline passed.
    Deadline,
    /// It wrote more than its cap, which said to kill.
    OutputCap,
    /// It was asked to stop.
    Stopped,
    /// It failed while processes of its container were killed for want of memory.
    OutOfMemory,
}

/// What a process wrote to one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// From the beginning.
    pub head: Vec<u8>,
    /// Bytes left out between head and tail.
    pub omitted: u64,
    /// The end, when anything was left out.
    pub tail: Vec<u8>,
}

impl Output {
    /// As text: what is not UTF-8 is replaced, and a note stands where bytes were left out.
    pub fn text(&self) -> String {
        let head = String::from_utf8_lossy(&self.head);
        if self.omitted == 0 {
            return head.into_owned();
        }
        format!(
            "{head}\n[… {} bytes left out …]\n{}",
            self.omitted,
            String::from_utf8_lossy(&self.tail)
        )
    }
}

impl Process {
    pub(crate) async fn start(agent: &Agent, command: Command) -> Result<Self, AskError> {
        let (started, start) = oneshot::channel();
        let (exited, exit) = watch::channel(None);
        let (writes, wrote) = watch::channel(());
        let outputs = Outputs::default();
        let cap = command.start.output;
        let room = cap
            .head_bytes
            .saturating_add(cap.tail_bytes)
            .saturating_add(CAP_SLACK_BYTES);
        let followed = Followed {
            started: Some(started),
            exited,
            outputs: outputs.clone(),
            writes,
            room: [room; 2],
        };
        let longest = command.start.deadline_ms.map(|deadline| {
            Duration::from_millis(deadline.saturating_add(command.start.grace_ms)).saturating_add(SLACK)
        });
        let id = agent
            .send(Route::Process(followed), Ask::Start(command.start))
            .await?;
        agent.delivered("start a process", START, start).await?;
        Ok(Self {
            id,
            agent: agent.clone(),
            outputs,
            exit,
            wrote,
            longest,
        })
    }

    /// Waits for the end of the process. Can be called again, also after the end.
    ///
    /// # Errors
    /// When the container is gone or the run cancelled before.
    pub async fn exited(&self) -> Result<Exited, AskError> {
        match self.longest {
            None => self.end().await,
            Some(longest) => match tokio::time::timeout(longest, self.end()).await {
                Ok(end) => end,
                Err(_) => {
                    let death = Death::Unresponsive {
                        request: "end a process",
                        after: longest,
                    };
                    Err(AskError::Lost(self.agent.condemn(death).await))
                }
            },
        }
    }

    /// Gives the process more input, which it must have been started for ([`Command::stdin_open`]); at most 256 KiB.
    ///
    /// # Errors
    /// Also when the process has ended or does not read.
    pub async fn feed(&self, bytes: Vec<u8>) -> Result<(), AskError> {
        let feed = Ask::Feed {
            process: self.id,
            data: Base64(bytes),
        };
        self.agent.ask("feed a process", feed).await.map(drop)
    }

    /// Follows its standard output line by line, from the beginning. Only what its cap keeps as the head is seen.
    pub fn lines(&self) -> Lines {
        Lines {
            process: self.clone(),
            n_read: 0,
        }
    }

    /// Asks the process group to end, SIGTERM first, SIGKILL after the grace period, and waits for the end.
    ///
    /// # Errors
    /// When the container is gone or the run cancelled before.
    pub async fn stop(&self, grace: Duration) -> Result<Exited, AskError> {
        let stop = Ask::Stop {
            process: self.id,
            grace_ms: millis(grace),
        };
        match self.agent.ask("stop a process", stop).await {
            // It has ended already.
            Ok(_) | Err(AskError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        let longest = grace.saturating_add(SLACK);
        match tokio::time::timeout(longest, self.end()).await {
            Ok(end) => end,
            Err(_) => {
                let death = Death::Unresponsive {
                    request: "stop a process",
                    after: longest,
                };
                Err(AskError::Lost(self.agent.condemn(death).await))
            }
        }
    }

    /// Sends a signal to the process group.
    ///
    /// # Errors
    /// Also when the process has ended.
    pub async fn signal(&self, signal: Signal) -> Result<(), AskError> {
        self.agent
            .ask(
                "signal a process",
                Ask::Signal {
                    process: self.id,
                    signal,
                },
            )
            .await
            .map(drop)
    }

    /// Whether it has not ended yet, as far as is known.
    pub fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// What it has written so far: standard output and standard error.
    pub fn output(&self) -> (Output, Output) {
        let outputs = locked(&self.outputs);
        (outputs[0].clone(), outputs[1].clone())
    }

    async fn end(&self) -> Result<Exited, AskError> {
        let mut exit = self.exit.clone();
        let exit = tokio::select! {
            biased;
            () = self.agent.cancel().cancelled() => return Err(AskError::Cancelled),
            exit = exit.wait_for(Option::is_some) => exit.map(|exit| *exit),
        };
        let Ok(Some(exit)) = exit else {
            return Err(AskError::Lost(self.agent.death().await));
        };
        let (stdout, stderr) = self.output();
        Ok(Exited {
            code: exit.code,
            signal: exit.signal,
            reason: reason(&exit),
            duration: Duration::from_millis(exit.duration_ms),
            oom_kills: exit.oom_kills,
            memory_peak_bytes: exit.memory_peak_bytes,
            stdout,
            stderr,
        })
    }
}

impl Lines {
    /// The next line, without its end; none when the output is over. A last line without an end is one, too.
    ///
    /// # Errors
    /// When the container is gone or the run cancelled before.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, AskError> {
        loop {
            // Asked before the output is looked at: what was written before the end is there then.
            let has_ended = !self.process.is_running();
            self.process.wrote.mark_unchanged();
            if let Some(line) = self.take(has_ended) {
                return Ok(Some(line));
            }
            if has_ended {
                return Ok(None);
            }
            let mut wrote = self.process.wrote.clone();
            let began = Instant::now();
            tokio::select! {
                biased;
                // Its sender goes with the process.
                Ok(()) = wrote.changed() => (),
                ended = self.process.exited() => drop(ended?),
            }
            worked("line", began);
        }
    }

    /// The next line, if it is there.
    fn take(&mut self, has_ended: bool) -> Option<Vec<u8>> {
        let outputs = locked(&self.process.outputs);
        let rest = outputs[index(Stream::Stdout)].head.get(self.n_read..)?;
        let line = match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => rest.get(..=end)?,
            None if has_ended && !rest.is_empty() => rest,
            None => return None,
        };
        self.n_read += line.len();
        Some(line.strip_suffix(b"\n").unwrap_or(line).to_vec())
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("id", &self.id)
            .field("running", &self.is_running())
            .finish()
    }
}

/// A process that succeeds did not suffer from the kill of one of its helpers; one that fails most likely did.
fn reason(exit: &Exit) -> ExitReason {
    match exit.reason {
        Reason::Exit if exit.code != Some(0) && exit.oom_kills.is_some_and(|kills| kills > 0) => {
            ExitReason::OutOfMemory
        }
        Reason::Exit => ExitReason::Exit,
        Reason::Deadline => ExitReason::Deadline,
        Reason::OutputCap => ExitReason::OutputCap,
        Reason::Stopped => ExitReason::Stopped,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Standard output and standard error.
type Outputs = Arc<Mutex<[Output; 2]>>;

/// What the conversation knows about a process.
pub(crate) struct Followed {
    started: Option<oneshot::Sender<Result<(), AgentError>>>,
    exited: watch::Sender<Option<Exit>>,
    outputs: Outputs,
    writes: watch::Sender<()>,
    room: [u64; 2],
}

impl Followed {
    pub(crate) fn started(&mut self) {
        self.began(Ok(()));
    }

    pub(crate) fn refused(mut self, error: AgentError) {
        self.began(Err(error));
    }

    fn began(&mut self, result: Result<(), AgentError>) {
        if let Some(started) = self.started.take() {
            started.send(result).ok();
        }
    }

    pub(crate) fn output(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), String> {
        let room = &mut self.room[index(stream)];
        *room = room
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| "it sends more of a process's output than its cap".to_owned())?;
        let output = &mut locked(&self.outputs)[index(stream)];
        let part = if output.omitted == 0 {
            &mut output.head
        } else {
            &mut output.tail
        };
        part.extend_from_slice(bytes);
        self.writes.send_replace(());
        Ok(())
    }

    pub(crate) fn omitted(&mut self, stream: Stream, bytes: u64) {
        let output = &mut locked(&self.outputs)[index(stream)];
        output.omitted = output.omitted.saturating_add(bytes);
    }

    pub(crate) fn exited(self, exit: Exit) {
        self.exited.send_replace(Some(exit));
    }
}

fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_blamed_on_memory_only_when_the_kernel_killed() {
        let exit = |reason, code, oom_kills| Exit {
            code,
            signal: None,
            reason,
            duration_ms: 1,
            oom_kills,
            memory_peak_bytes: None,
        };
        for (exit, expected) in [
            (exit(Reason::Exit, Some(0), Some(1)), ExitReason::Exit),
            (exit(Reason::Exit, Some(1), Some(1)), ExitReason::OutOfMemory),
            (exit(Reason::Exit, None, Some(2)), ExitReason::OutOfMemory),
            (exit(Reason::Exit, Some(137), Some(0)), ExitReason::Exit),
            (exit(Reason::Exit, Some(137), None), ExitReason::Exit),
            (exit(Reason::Deadline, None, Some(1)), ExitReason::Deadline),
        ] {
            assert_eq!(reason(&exit), expected, "{exit:?}");
        }
    }

    #[test]
    fn text_shows_where_bytes_are_missing() {
        let output = Output {
            head: b"a\xff".to_vec(),
            omitted: 0,
            tail: vec![],
        };
        assert_eq!(output.text(), "a\u{fffd}");
        let output = Output {
            head: b"a".to_vec(),
            omitted: 7,
            tail: b"z".to_vec(),
        };
        assert_eq!(output.text(), "a\n[… 7 bytes left out …]\nz");
    }
}
