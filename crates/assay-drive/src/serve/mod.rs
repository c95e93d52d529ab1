//! The agent: carries out the engine's requests, one JSON value per line (see [`assay_core::agent`]).
//!
//! It is the container's first process. That makes it the reaper of every orphan, lets no process of the container
//! send it a signal, and lets it kill all of them at once.

mod cgroup;
mod control;
mod files;
mod network;
mod output;
mod process;
mod removal;
mod tree;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;

use assay_core::agent::{
    AgentError, Answer, Ask, ErrorKind, LineBuffer, MAX_LINE_BYTES, Message, Request, VERSION,
};
use nix::errno::Errno;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use control::Control;
use process::Processes;

/// Messages that wait to be written. When the engine does not read, whoever has something to say waits.
const OUTBOX: usize = 64;

/// Bytes asked for in one read of standard input.
const READ_BYTES: usize = 64 << 10;

/// Where every part of the agent puts what it has to say.
pub(super) type Outbox = mpsc::Sender<Message>;

/// Serves until standard input ends or SIGTERM comes, then ends every process that is left.
///
/// # Errors
/// When standard input and output are not pipes, or reading from them fails.
pub(crate) async fn main() -> io::Result<()> {
    // Without this, a process of the same user could open the agent's pipes through /proc and speak in its name.
    nix::sys::prctl::set_dumpable(false)?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let input = pipe::Receiver::from_file(File::from(io::stdin().as_fd().try_clone_to_owned()?))?;
    let output = pipe::Sender::from_file(File::from(io::stdout().as_fd().try_clone_to_owned()?))?;
    tokio::task::LocalSet::new().run_until(serve(input, output)).await
}

async fn serve(mut input: pipe::Receiver, output: pipe::Sender) -> io::Result<()> {
    let (outbox, messages) = mpsc::channel(OUTBOX);
    let agent = Agent {
        processes: Processes::watch(outbox.clone())?,
        control: Control::new(outbox.clone()),
        waits: Rc::default(),
        outbox,
    };
    let mut writer = tokio::task::spawn_local(write(messages, output));
    agent.say(Message::Hello { version: VERSION }).await;

    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut lines = LineBuffer::new(MAX_LINE_BYTES);
    let mut bytes = vec![0; READ_BYTES];
    loop {
        let read = tokio::select! {
            read = input.read(&mut bytes) => read?,
            _ = terminate.recv() => break,
            _ = &mut writer => break,
        };
        if read == 0 {
            break;
        }
        let mut requests = Vec::new();
        lines.push(&bytes[..read], |line| {
            requests.push(line.map_err(|error| error.to_string()).and_then(|line| {
                serde_json::from_slice::<Request>(line).map_err(|error| format!("not a request: {error}"))
            }));
        });
        for request in requests {
            match request {
                Ok(request) => agent.take(request).await,
                Err(message) => agent.say(Message::Unreadable { message }).await,
            }
        }
    }
    agent.processes.kill_all();
    Ok(())
}

/// Writes messages until nobody is left to say anything or nobody reads.
async fn write(mut messages: mpsc::Receiver<Message>, output: pipe::Sender) -> io::Result<()> {
    let mut output = BufWriter::with_capacity(READ_BYTES, output);
    while let Some(message) = messages.recv().await {
        let mut line = serde_json::to_vec(&message)?;
        line.push(b'\n');
        output.write_all(&line).await?;
        if messages.is_empty() {
            output.flush().await?;
        }
    }
    Ok(())
}

/// The parts that requests are handed to.
struct Agent {
    outbox: Outbox,
    processes: Processes,
    control: Control,
    /// Waits under way, by request.
    waits: Rc<RefCell<HashMap<u64, AbortHandle>>>,
}

impl Agent {
    async fn say(&self, message: Message) {
        // The outbox is closed only while the agent ends.
        drop(self.outbox.send(message).await);
    }

    /// Begins a request. Writing happens here and now, so that pieces of files arrive in their order.
    async fn take(&self, Request { id, ask }: Request) {
        let result = match ask {
            Ask::Start(start) => match self.processes.start(id, start) {
                Ok(()) => return,
                Err(error) => Err(error),
            },
            Ask::Feed { process, data } => self.processes.feed(process, data),
            Ask::Signal { process, signal } => self.processes.signal(process, signal),
            Ask::Stop { process, grace_ms } => self.processes.stop(process, grace_ms),
            Ask::Write(write) => files::write(&write),
            Ask::Link(link) => files::link(&link),
            Ask::AnswerControl { connection, line } => self.control.answer(connection, line),
            Ask::OpenControl { path } => self.control.open(id, &path),
            Ask::Abandon { request } => self.abandon(request).await,
            Ask::Wait(wait) => {
                let task = tokio::task::spawn_local(network::wait(wait));
                self.waits.borrow_mut().insert(id, task.abort_handle());
                self.answer_later(id, async move {
                    task.await
                        .map(Answer::Waited)
                        .map_err(|_| failure(ErrorKind::Abandoned, "given up"))
                });
                return;
            }
            Ask::Listeners { ports } => network::listeners(&ports).map(Answer::Listeners),
            Ask::Usage => Ok(Answer::Usage(cgroup::usage())),
            Ask::Reset { wipe } => {
                self.processes.reset();
                return self
                    .answer_blocking(id, move || process::settle().and_then(|()| removal::wipe(&wipe)));
            }
            Ask::Read(read) => {
                let outbox = self.outbox.clone();
                return self.answer_blocking(id, move || {
                    files::read(&read, |data| {
                        outbox
                            .blocking_send(Message::Data { id, data })
                            .map_err(|_| Errno::EPIPE)
                    })
                });
            }
            Ask::Copy(copy) => {
                return self.answer_blocking(id, move || tree::copy(&copy).map(Answer::Copied));
            }
            Ask::Remove { at } => return self.answer_blocking(id, move || removal::remove(&at)),
        };
        self.say(last_message(id, result)).await;
    }

    async fn abandon(&self, request: u64) -> Result<Answer, AgentError> {
        if let Some(wait) = self.waits.borrow_mut().remove(&request) {
            wait.abort();
        }
        Ok(Answer::Nothing)
    }

    fn answer_blocking(&self, id: u64, work: impl FnOnce() -> Result<Answer, AgentError> + Send + 'static) {
        let work = tokio::task::spawn_blocking(work);
        self.answer_later(id, async move {
            work.await
                .unwrap_or_else(|_| Err(failure(ErrorKind::Os, "the agent broke off the request")))
        });
    }

    fn answer_later(&self, id: u64, work: impl Future<Output = Result<Answer, AgentError>> + 'static) {
        let (outbox, waits) = (self.outbox.clone(), Rc::clone(&self.waits));
        tokio::task::spawn_local(async move {
            let result = work.await;
            waits.borrow_mut().remove(&id);
            drop(outbox.send(last_message(id, result)).await);
        });
    }
}

fn last_message(id: u64, result: Result<Answer, AgentError>) -> Message {
    match result {
        Ok(result) => Message::Done { id, result },
        Err(error) => Message::Failed { id, error },
    }
}

/// An error of our own making.
pub(super) fn failure(kind: ErrorKind, message: impl Into<String>) -> AgentError {
    AgentError {
        kind,
        message: message.into(),
    }
}

/// An error of the operating system, and what was being done.
pub(super) fn os_failure(what: &str, errno: Errno) -> AgentError {
    let kind = match errno {
        Errno::ENOENT => ErrorKind::NotFound,
        Errno::ELOOP | Errno::EXDEV => ErrorKind::Escapes,
        Errno::ENOTDIR | Errno::EISDIR | Errno::ENXIO => ErrorKind::WrongType,
        Errno::ENOSPC | Errno::EDQUOT | Errno::EAGAIN | Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM => {
            ErrorKind::Full
        }
        Errno::EFBIG => ErrorKind::TooLarge,
        Errno::EACCES | Errno::EPERM | Errno::EROFS => ErrorKind::Denied,
        Errno::EEXIST | Errno::EINVAL | Errno::ENAMETOOLONG => ErrorKind::BadRequest,
        _ => ErrorKind::Os,
    };
    failure(kind, format!("cannot {what}: {}", errno.desc()))
}

/// The same for the standard library's errors.
pub(super) fn io_failure(what: &str, error: &io::Error) -> AgentError {
    match error.raw_os_error() {
        Some(errno) => os_failure(what, Errno::from_raw(errno)),
        None if error.kind() == io::ErrorKind::InvalidInput => {
            failure(ErrorKind::BadRequest, format!("cannot {what}: {error}"))
        }
        None => failure(ErrorKind::Os, format!("cannot {what}: {error}")),
    }
}
