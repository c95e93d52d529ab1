//! Processes: each in a group of its own, with a deadline, and with nothing of the group left when its leader ends.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use assay_core::agent::{
    AgentError, Answer, Base64, ErrorKind, Exit, Message, OutputCap, Reason, Signal, Start, Stream,
};
use nix::sys::signal::{kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::SignalKind;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::output::Pump;
use super::{Outbox, cgroup, failure, io_failure};

/// Processes that may run at once.
const MAX_PROCESSES: usize = 64;

/// Pieces of input that may wait for a process to read them.
const MAX_INPUT_WAITING: usize = 16;

/// How long output may still come after the leader ended. A process that left the group can hold the stream open.
const DRAIN: Duration = Duration::from_millis(250);

/// How long killed processes may take to be gone. A large address space takes some time to tear down.
const SETTLE: Duration = Duration::from_secs(10);

/// Milliseconds after which a wait can just as well be for ever (a hundred years); keeps arithmetic on times safe.
const FOREVER_MS: u64 = 100 * 365 * 86_400_000;

/// The processes that were asked for, and the reaping of all others.
#[derive(Clone)]
pub(super) struct Processes {
    outbox: Outbox,
    table: Rc<RefCell<Table>>,
}

#[derive(Default)]
struct Table {
    /// Those that are alive, by request.
    running: HashMap<u64, Handle>,
    /// Who waits for the end of a process.
    waiting: HashMap<Pid, oneshot::Sender<WaitStatus>>,
}

struct Handle {
    group: Pid,
    stop: mpsc::Sender<Duration>,
    /// Where more input goes, while it is open.
    input: Option<mpsc::Sender<Vec<u8>>>,
}

impl Processes {
    /// Begins to reap.
    pub(super) fn watch(outbox: Outbox) -> io::Result<Self> {
        let processes = Self {
            outbox,
            table: Rc::default(),
        };
        let mut children = tokio::signal::unix::signal(SignalKind::child())?;
        let table = Rc::clone(&processes.table);
        tokio::task::spawn_local(async move {
            while children.recv().await.is_some() {
                reap(&table);
            }
        });
        Ok(processes)
    }

    /// Starts a process; all else that there is to say about it comes as messages.
    pub(super) fn start(&self, id: u64, start: Start) -> Result<(), AgentError> {
        let mut table = self.table.borrow_mut();
        if table.running.contains_key(&id) {
            return Err(failure(
                ErrorKind::BadRequest,
                format!("process {id} runs already"),
            ));
        }
        if table.running.len() >= MAX_PROCESSES {
            return Err(failure(
                ErrorKind::Full,
                format!("{MAX_PROCESSES} processes run already"),
            ));
        }
        let oom_kills = cgroup::oom_kills();
        let (group, stdin, streams) = spawn(&start)?;
        let (ended, end) = oneshot::channel();
        let (stop, stops) = mpsc::channel(4);
        table.waiting.insert(group, ended);
        let (input, more) = mpsc::channel(MAX_INPUT_WAITING);
        let input = start.stdin_open.then_some(input);
        table.running.insert(id, Handle { group, stop, input });
        let supervisor = Supervisor {
            id,
            group,
            started: Instant::now(),
            oom_kills,
            grace: Duration::from_millis(start.grace_ms.min(FOREVER_MS)),
            deadline: start
                .deadline_ms
                .map(|ms| Duration::from_millis(ms.min(FOREVER_MS))),
            cap: start.output,
            outbox: self.outbox.clone(),
        };
        if let Some(stdin) = stdin {
            tokio::task::spawn_local(feed(stdin, start.stdin.0, more));
        }
        let processes = Rc::clone(&self.table);
        tokio::task::spawn_local(async move {
            supervisor.run(streams, end, stops).await;
            processes.borrow_mut().running.remove(&id);
        });
        Ok(())
    }

    /// Gives a process more input.
    pub(super) fn feed(&self, process: u64, data: Base64) -> Result<Answer, AgentError> {
        let table = self.table.borrow();
        let handle = table.running.get(&process).ok_or_else(|| unknown(process))?;
        let closed = || failure(ErrorKind::BadRequest, format!("process {process} takes no input"));
        let input = handle.input.as_ref().ok_or_else(closed)?;
        input.try_send(data.0).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => closed(),
            mpsc::error::TrySendError::Full(_) => failure(
                ErrorKind::Full,
                format!("process {process} does not read its input"),
            ),
        })?;
        Ok(Answer::Nothing)
    }

    /// Sends a signal to the group of a process.
    pub(super) fn signal(&self, process: u64, signal: Signal) -> Result<Answer, AgentError> {
        let table = self.table.borrow();
        let handle = table.running.get(&process).ok_or_else(|| unknown(process))?;
        // Once the leader is reaped the number may belong to someone else.
        if table.waiting.contains_key(&handle.group) {
            send(handle.group, signal);
        }
        Ok(Answer::Nothing)
    }

    /// Asks a process to end.
    pub(super) fn stop(&self, process: u64, grace_ms: u64) -> Result<Answer, AgentError> {
        let table = self.table.borrow();
        let handle = table.running.get(&process).ok_or_else(|| unknown(process))?;
        // When the queue is full the process is being stopped already.
        handle
            .stop
            .try_send(Duration::from_millis(grace_ms.min(FOREVER_MS)))
            .ok();
        Ok(Answer::Nothing)
    }

    /// Kills whatever runs in the container, or what was asked for when this is not the first process of one.
    pub(super) fn kill_all(&self) {
        if is_first() {
            kill_everything();
        } else {
            for group in self.table.borrow().waiting.keys() {
                send(*group, Signal::Kill);
            }
        }
    }

    /// Marks every process as stopped, so that its end is not mistaken for its own doing.
    pub(super) fn reset(&self) {
        for handle in self.table.borrow().running.values() {
            handle.stop.try_send(Duration::ZERO).ok();
        }
    }
}

/// Kills every process of the container until none is left but this one.
pub(super) fn settle() -> Result<(), AgentError> {
    if !is_first() {
        return Err(failure(ErrorKind::Denied, "not the first process of a container"));
    }
    let give_up = Instant::now() + SETTLE;
    loop {
        kill_everything();
        if !others_live().map_err(|error| io_failure("list processes", &error))? {
            return Ok(());
        }
        if Instant::now() > give_up {
            return Err(failure(ErrorKind::Os, "some processes outlive SIGKILL"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether any process but this one is in the container, zombies included: they may hold nothing, but are not reaped.
fn others_live() -> io::Result<bool> {
    let mut numbers =
        std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(numbers.any(|name| name != "1" && name.bytes().all(|byte| byte.is_ascii_digit())))
}

fn is_first() -> bool {
    Pid::this().as_raw() == 1
}

fn kill_everything() {
    // Everything in the PID namespace but the first process. "No such process" means that the work is done.
    kill(Pid::from_raw(-1), nix::sys::signal::Signal::SIGKILL).ok();
}

fn unknown(process: u64) -> AgentError {
    failure(ErrorKind::BadRequest, format!("process {process} does not run"))
}

fn send(group: Pid, signal: Signal) {
    let signal = match signal {
        Signal::Interrupt => nix::sys::signal::Signal::SIGINT,
        Signal::Terminate => nix::sys::signal::Signal::SIGTERM,
        Signal::Kill => nix::sys::signal::Signal::SIGKILL,
    };
    // The group may be gone already, which is as good.
    killpg(group, signal).ok();
}

/// Collects every child that has ended. What is left of a leader's group dies while the zombie still holds the number.
fn reap(table: &RefCell<Table>) {
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(ended) = waitid(Id::All, peek) {
        let Some(pid) = ended.pid() else { return };
        let waiting = table.borrow_mut().waiting.remove(&pid);
        if waiting.is_some() {
            send(pid, Signal::Kill);
        }
        let Ok(status) = waitpid(pid, Some(WaitPidFlag::WNOHANG)) else {
            return;
        };
        if let Some(waiting) = waiting {
            // Nobody listens any more only while the agent ends.
            waiting.send(status).ok();
        }
    }
}

type Streams = [(Stream, pipe::Receiver); 2];

fn spawn(start: &Start) -> Result<(Pid, Option<pipe::Sender>, Streams), AgentError> {
    let [program, arguments @ ..] = start.argv.as_slice() else {
        return Err(failure(ErrorKind::BadRequest, "no program is named"));
    };
    let what = format!("start {program:?} in {:?}", start.cwd);
    let stdin = if start.stdin.0.is_empty() && !start.stdin_open {
        Stdio::null()
    } else {
        Stdio::piped()
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "inside the container, starting processes is what the agent is for"
    )]
    let mut child = Command::new(program)
        .args(arguments)
        .envs(&start.env)
        .current_dir(&start.cwd)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| io_failure(&what, &error))?;
    let group = Pid::from_raw(child.id().cast_signed());
    pipes(&mut child)
        .map(|(stdin, streams)| (group, stdin, streams))
        .map_err(|error| {
            send(group, Signal::Kill);
            io_failure(&what, &error)
        })
}

fn pipes(child: &mut Child) -> io::Result<(Option<pipe::Sender>, Streams)> {
    let receiver = |fd: Option<OwnedFd>| {
        fd.ok_or_else(|| io::Error::other("no pipe"))
            .and_then(pipe::Receiver::from_owned_fd)
    };
    let stdin = child
        .stdin
        .take()
        .map(|stdin| pipe::Sender::from_owned_fd(stdin.into()))
        .transpose()?;
    let stdout = receiver(child.stdout.take().map(OwnedFd::from))?;
    let stderr = receiver(child.stderr.take().map(OwnedFd::from))?;
    Ok((stdin, [(Stream::Stdout, stdout), (Stream::Stderr, stderr)]))
}

async fn feed(mut stdin: pipe::Sender, bytes: Vec<u8>, mut more: mpsc::Receiver<Vec<u8>>) {
    let mut next = Some(bytes);
    while let Some(bytes) = next {
        // A process need not read its input.
        if stdin.write_all(&bytes).await.is_err() {
            return;
        }
        next = more.recv().await;
    }
}

/// Follows one process from its start to the end of its output.
struct Supervisor {
    id: u64,
    group: Pid,
    started: Instant,
    oom_kills: Option<u64>,
    grace: Duration,
    deadline: Option<Duration>,
    cap: OutputCap,
    outbox: Outbox,
}

impl Supervisor {
    async fn run(
        self,
        streams: Streams,
        end: oneshot::Receiver<WaitStatus>,
        stops: mpsc::Receiver<Duration>,
    ) {
        drop(self.outbox.send(Message::Started { id: self.id }).await);
        let (full, overflows) = mpsc::channel(1);
        let (finish, finished) = watch::channel(false);
        let pumps = streams.map(|(stream, pipe)| {
            let pump = Pump {
                id: self.id,
                stream,
                cap: self.cap,
                outbox: self.outbox.clone(),
                full: full.clone(),
                finish: finished.clone(),
            };
            tokio::task::spawn_local(pump.run(pipe))
        });
        let (status, reason) = self.until_end(end, stops, overflows).await;
        let duration = self.started.elapsed();
        drain(pumps, &finish).await;
        let exit = Exit {
            code: if let WaitStatus::Exited(_, code) = status {
                Some(code)
            } else {
                None
            },
            signal: if let WaitStatus::Signaled(_, signal, _) = status {
                Some(signal as i32)
            } else {
                None
            },
            reason,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            oom_kills: self
                .oom_kills
                .zip(cgroup::oom_kills())
                .map(|(before, after)| after.saturating_sub(before)),
            memory_peak_bytes: cgroup::memory_peak_bytes(),
        };
        drop(self.outbox.send(Message::Exited { id: self.id, exit }).await);
    }

    /// Waits for the end of the leader: signal, grace, kill. The first reason to stop is the one that counts.
    async fn until_end(
        &self,
        mut end: oneshot::Receiver<WaitStatus>,
        mut stops: mpsc::Receiver<Duration>,
        mut overflows: mpsc::Receiver<()>,
    ) -> (WaitStatus, Reason) {
        let far = Duration::from_millis(FOREVER_MS);
        let alarm = tokio::time::sleep(self.deadline.unwrap_or(far));
        tokio::pin!(alarm);
        let mut stopping: Option<Reason> = None;
        loop {
            let (reason, grace) = tokio::select! {
                biased;
                status = &mut end => {
                    // A request to stop may have come at the same moment, and be the cause.
                    let stopped = || stops.try_recv().map_or(Reason::Exit, |_| Reason::Stopped);
                    let reason = stopping.unwrap_or_else(stopped);
                    return (status.unwrap_or(WaitStatus::StillAlive), reason);
                }
                Some(grace) = stops.recv() => (Reason::Stopped, grace),
                Some(()) = overflows.recv(), if stopping.is_none() => (Reason::OutputCap, self.grace),
                () = &mut alarm => match stopping {
                    None => (Reason::Deadline, self.grace),
                    Some(_) => {
                        send(self.group, Signal::Kill);
                        alarm.as_mut().reset(tokio::time::Instant::now() + far);
                        continue;
                    }
                },
            };
            stopping.get_or_insert(reason);
            send(
                self.group,
                if grace.is_zero() {
                    Signal::Kill
                } else {
                    Signal::Terminate
                },
            );
            alarm.as_mut().reset(tokio::time::Instant::now() + grace);
        }
    }
}

/// Lets the streams run dry, but not for ever.
async fn drain(pumps: [JoinHandle<()>; 2], finish: &watch::Sender<bool>) {
    let [mut stdout, mut stderr] = pumps;
    let dry = async {
        // Neither task panics; if one did, its stream would be over.
        let _: [Result<(), tokio::task::JoinError>; 2] = [(&mut stdout).await, (&mut stderr).await];
    };
    if tokio::time::timeout(DRAIN, dry).await.is_err() {
        finish.send_replace(true);
        for pump in [stdout, stderr] {
            if !pump.is_finished() {
                drop(pump.await);
            }
        }
    }
}
