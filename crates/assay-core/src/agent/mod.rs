//! What the engine and the agent inside a container (`assay-drive serve`) say to each other.
//!
//! One JSON value per line: [`Request`]s on the agent's standard input, [`Message`]s on its standard output. The agent
//! speaks first, with [`Message::Hello`]. Each request carries an id of the asker's choice; every message that belongs
//! to it carries the same id, and exactly one of them is the last: [`Message::Done`], [`Message::Failed`] or
//! [`Message::Exited`]. The id of a [`Ask::Start`] names the process for as long as it lives.
//!
//! File requests ([`Ask::Write`], [`Ask::Link`]) take effect in the order in which they were sent; everything else runs
//! side by side. Bytes travel as base64. Every size and time is explicit: this module has no defaults to forget.

mod base64;
mod lines;
mod usage;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::base64::Base64;
pub use self::lines::{LineBuffer, OverlongLine};
pub use self::usage::Usage;

/// The protocol's version. Both sides refuse to talk to another one.
pub const VERSION: u32 = 3;

/// The longest line either side accepts, in bytes, its newline included.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// The most raw bytes that one message carries, so that its base64 stays well below [`MAX_LINE_BYTES`].
pub const MAX_CHUNK_BYTES: usize = 256 << 10;

/// One line from the engine to the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Chosen by the asker, never used twice on one connection.
    pub id: u64,
    /// What to do.
    pub ask: Ask,
}

/// What the engine can ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Start a process. Answered by [`Message::Started`], [`Message::Output`] and at last [`Message::Exited`].
    Start(Start),
    /// More input for a process that was started with [`Start::stdin_open`]. Answered when it is in line to be written.
    Feed {
        /// The id of the request that started it.
        process: u64,
        /// The bytes; at most [`MAX_CHUNK_BYTES`].
        data: Base64,
    },
    /// Send a signal to a process's whole group.
    Signal {
        /// The id of the request that started it.
        process: u64,
        /// Which one.
        signal: Signal,
    },
    /// Ask a process group to end: SIGTERM now, SIGKILL after the grace period.
    Stop {
        /// The id of the request that started it.
        process: u64,
        /// Milliseconds between the two signals.
        grace_ms: u64,
    },
    /// Kill every process in the container but the agent, then empty these directories.
    Reset {
        /// Absolute paths of directories whose content goes; the directories stay.
        wipe: Vec<String>,
    },
    /// Create a file, or append to it.
    Write(Write),
    /// Create a symbolic link.
    Link(Link),
    /// Read a regular file. Answered by [`Message::Data`] and at last [`Message::Done`].
    Read(Read),
    /// Copy a tree.
    Copy(Copy),
    /// Remove a file, or a directory with everything below it. Not an error when there is none.
    Remove {
        /// What and where.
        at: Place,
    },
    /// Wait until something answers on a port of this network namespace.
    Wait(Wait),
    /// List who listens on some ports of this network namespace.
    Listeners {
        /// The ports. Of others, anybody in the namespace may open as many as there are numbers.
        ports: Vec<u16>,
    },
    /// Tell what the container's processes have used of the processors.
    Usage,
    /// Listen on a Unix socket and pass on every line that arrives, as [`Message::Control`].
    OpenControl {
        /// Absolute path of the socket to create.
        path: String,
    },
    /// Answer a line that came through the control socket.
    AnswerControl {
        /// The connection that asked.
        connection: u64,
        /// One line, without its newline.
        line: String,
    },
    /// Give up a [`Ask::Wait`], which then fails as [`ErrorKind::Abandoned`].
    Abandon {
        /// The id of the request to give up.
        request: u64,
    },
}

/// A process to start, in a process group of its own.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The program, looked up in `PATH`, and its arguments.
    pub argv: Vec<String>,
    /// Added to the container's environment.
    pub env: BTreeMap<String, String>,
    /// Absolute path of the working directory.
    pub cwd: String,
    /// What the process reads on its standard input, which then ends.
    pub stdin: Base64,
    /// Whether the input does not end then: more of it comes with [`Ask::Feed`].
    pub stdin_open: bool,
    /// Milliseconds until the group is stopped; none = it may run for as long as the container lives.
    pub deadline_ms: Option<u64>,
    /// Milliseconds between SIGTERM and SIGKILL at the deadline or the output cap.
    pub grace_ms: u64,
    /// How much of standard output and of standard error to pass on.
    pub output: OutputCap,
}

impl fmt::Debug for Start {
    /// Shows the names of environment variables only: their values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("argv", &self.argv)
            .field("env", &self.env.keys())
            .field("cwd", &self.cwd)
            .field("deadline_ms", &self.deadline_ms)
            .finish_non_exhaustive()
    }
}

/// How much of each of a process's two output streams is passed on, and what happens to the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputCap {
    /// Bytes passed on as they come.
    pub head_bytes: u64,
    /// Of what comes after the head, the last bytes, passed on when the process ends.
    pub tail_bytes: u64,
    /// What to do once there is more than head and tail hold.
    pub when_full: WhenFull,
}

/// What happens to a process that writes more than its [`OutputCap`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// Drop the middle and go on reading: right for a service that logs every request.
    Drop,
    /// Stop reading, so that the process blocks in its next write.
    Block,
    /// Stop the process group, with [`Reason::OutputCap`].
    Kill,
}

/// The signals that the engine sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// A path below a root. No symbolic link is followed on the way and `..` never leads out of the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Absolute path of an existing directory that is trusted, such as a mount point.
    pub root: String,
    /// Relative path of anything below it; empty = the root itself.
    pub path: String,
}

/// A piece of a file to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Which file; its parent directories are created.
    pub at: Place,
    /// The content, or its next piece; at most [`MAX_CHUNK_BYTES`].
    pub data: Base64,
    /// Whether this is another piece of a file begun before; otherwise the file must not exist yet.
    pub append: bool,
    /// Whether the file is a program: mode 0755 and not 0644.
    pub executable: bool,
}

/// A symbolic link to create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Where; its parent directories are created.
    pub at: Place,
    /// Where it leads: a relative path that stays within the root, else the request is refused.
    pub target: String,
}

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Which file.
    pub at: Place,
    /// A longer file is refused.
    pub max_bytes: u64,
}

/// A tree to copy. Regular files, directories and symbolic links that stay inside the tree are copied; anything else is
/// left out and counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// An existing directory, whose content is copied.
    pub from: Place,
    /// A directory, created when missing. Files that are there already are replaced.
    pub to: Place,
    /// More than this fails the request.
    pub caps: TreeCaps,
}

/// How large a tree may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeCaps {
    /// Sum of the sizes of all files.
    pub bytes: u64,
    /// Number of files, directories and links.
    pub entries: u64,
    /// Levels of directories below the root.
    pub depth: u32,
}

/// Something to wait for on 127.0.0.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// What must answer.
    pub target: Target,
    /// Milliseconds until giving up.
    pub deadline_ms: u64,
    /// Milliseconds between the end of an attempt and the start of the next.
    pub interval_ms: u64,
}

/// What counts as ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// A connection is accepted.
    Tcp {
        /// The port.
        port: u16,
    },
    /// A GET is answered with this status.
    Http {
        /// The port.
        port: u16,
        /// Path and query, beginning with a slash.
        path: String,
        /// The status to wait for.
        status: u16,
    },
}

/// One line from the agent to the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Message {
    /// The first line.
    Hello {
        /// [`VERSION`] of the agent.
        version: u32,
    },
    /// A process runs.
    Started {
        /// The request.
        id: u64,
    },
    /// A piece of a process's output.
    Output {
        /// The request that started it.
        id: u64,
        /// Which of the two.
        stream: Stream,
        /// The bytes, in the order in which they were written.
        data: Base64,
    },
    /// Bytes left out of a process's output at this place of the stream.
    Omitted {
        /// The request that started it.
        id: u64,
        /// Which of the two.
        stream: Stream,
        /// How many.
        bytes: u64,
    },
    /// A process and its output ended. Last message of a [`Ask::Start`].
    Exited {
        /// The request that started it.
        id: u64,
        /// How it ended.
        exit: Exit,
    },
    /// A piece of a file.
    Data {
        /// The request.
        id: u64,
        /// The bytes.
        data: Base64,
    },
    /// A line came through the control socket; it waits for [`Ask::AnswerControl`].
    Control {
        /// The [`Ask::OpenControl`] request.
        id: u64,
        /// To be named in the answer.
        connection: u64,
        /// Without its newline.
        line: String,
    },
    /// The request was carried out. Its last message.
    Done {
        /// The request.
        id: u64,
        /// What came of it.
        result: Answer,
    },
    /// The request was not, or not wholly, carried out. Its last message.
    Failed {
        /// The request.
        id: u64,
        /// Why.
        error: AgentError,
    },
    /// A line was not a request. The agent goes on.
    Unreadable {
        /// What was wrong with it.
        message: String,
    },
}

/// What came of a request that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// Nothing to tell.
    Nothing,
    /// Of [`Ask::Copy`].
    Copied(Copied),
    /// Of [`Ask::Wait`].
    Waited(Waited),
    /// Of [`Ask::Listeners`]: for each port, user and version of IP one socket, ordered.
    Listeners(Vec<Listener>),
    /// Of [`Ask::Usage`]; none: the kernel does not tell.
    Usage(Option<Usage>),
}

/// One of a process's output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exit {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// What made it end.
    pub reason: Reason,
    /// From its start to its end, in milliseconds.
    pub duration_ms: u64,
    /// Processes of the container that the kernel killed for want of memory in that time; none = it cannot be told.
    pub oom_kills: Option<u64>,
    /// The most memory that the container's processes had in use at once since the container started, in bytes.
    pub memory_peak_bytes: Option<u64>,
}

/// What made a process end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It ended by itself.
    Exit,
    /// Its deadline passed.
    Deadline,
    /// It wrote more than its cap.
    OutputCap,
    /// It was asked to stop.
    Stopped,
}

/// What a copy did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copied {
    /// Sum of the sizes of the files.
    pub bytes: u64,
    /// Files, directories and links.
    pub entries: u64,
    /// Left out: links that lead outside, sockets, devices, FIFOs.
    pub left_out: u64,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waited {
    /// What the last attempt found; [`Probe::Ready`] or the deadline passed.
    pub last: Probe,
    /// Attempts made.
    pub attempts: u64,
    /// From the first attempt to the end of the last, in milliseconds.
    pub elapsed_ms: u64,
}

/// What one attempt found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Probe {
    /// What was waited for.
    Ready,
    /// Nothing listens on the port.
    NotListening,
    /// Something listens on the port, but only on an IPv6 address.
    OnlyIpv6,
    /// Something listens, but the connection was refused or cut.
    Refused,
    /// The connection was accepted, but no answer came in time.
    Silent,
    /// What came was not HTTP.
    NotHttp,
    /// Another status came.
    Status(u16),
}

/// A listening socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// The address it is bound to.
    pub address: std::net::IpAddr,
    /// The port.
    pub port: u16,
    /// The user who owns it.
    pub uid: u32,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[serde(deny_unknown_fields)]
pub struct AgentError {
    /// For programs.
    pub kind: ErrorKind,
    /// For people: a lower-case fragment.
    pub message: String,
}

/// The kinds of [`AgentError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The file, directory or program does not exist.
    NotFound,
    /// The way led through a symbolic link or out of its root.
    Escapes,
    /// Not a regular file where one was wanted, or not a directory.
    WrongType,
    /// The file or tree is larger than its cap.
    TooLarge,
    /// No room is left: bytes or files of the file system, or processes.
    Full,
    /// The operating system does not permit it.
    Denied,
    /// The request makes no sense: unknown process, used id, bad path.
    BadRequest,
    /// [`Ask::Abandon`] was sent.
    Abandoned,
    /// Any other failure of the operating system.
    Os,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_line_of_json() {
        let request = Request {
            id: 7,
            ask: Ask::Start(Start {
                argv: vec!["sh".into(), "-c".into(), "true\n".into()],
                env: BTreeMap::from([("PORT".into(), "8080".into())]),
                cwd: "/work".into(),
                stdin: Base64(b"hi".to_vec()),
                stdin_open: false,
                deadline_ms: Some(1500),
                grace_ms: 200,
                output: OutputCap {
                    head_bytes: 10,
                    tail_bytes: 0,
                    when_full: WhenFull::Kill,
                },
            }),
        };
        let line = serde_json::to_string(&request).unwrap();
        assert_eq!(
            line,
            r#"{"id":7,"ask":{"start":{"argv":["sh","-c","true\n"],"env":{"PORT":"8080"},"cwd":"/work","stdin":"aGk=","stdin_open":false,"deadline_ms":1500,"grace_ms":200,"output":{"head_bytes":10,"tail_bytes":0,"when_full":"kill"}}}}"#
        );
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
    }

    #[test]
    fn every_shape_of_a_message_survives_the_wire() {
        for line in [
            r#"{"hello":{"version":1}}"#,
            r#"{"output":{"id":1,"stream":"stderr","data":"AAE="}}"#,
            r#"{"done":{"id":2,"result":"nothing"}}"#,
            r#"{"done":{"id":2,"result":{"waited":{"last":{"status":503},"attempts":3,"elapsed_ms":9}}}}"#,
            r#"{"done":{"id":2,"result":{"listeners":[{"address":"127.0.0.1","port":5432,"uid":10001}]}}}"#,
            r#"{"failed":{"id":3,"error":{"kind":"too_large","message":"more than 9 bytes"}}}"#,
        ] {
            let message: Message = serde_json::from_str(line).unwrap();
            assert_eq!(serde_json::to_string(&message).unwrap(), line);
        }
    }

    #[test]
    fn unknown_fields_and_bad_base64_are_refused() {
        for line in [
            r#"{"id":1,"ask":{"remove":{"at":{"root":"/","path":"x","more":1}}}}"#,
            r#"{"id":1,"ask":"listeners","more":1}"#,
            r#"{"id":1,"ask":{"write":{"at":{"root":"/","path":"x"},"data":"!","append":false,"executable":false}}}"#,
            r#"{"id":-1,"ask":"listeners"}"#,
        ] {
            assert!(serde_json::from_str::<Request>(line).is_err(), "{line}");
        }
    }

    #[test]
    fn debug_output_hides_environment_values() {
        let start = Start {
            argv: vec![],
            env: BTreeMap::from([("JWT_SECRET".into(), "hunter2".into())]),
            cwd: String::new(),
            stdin: Base64(b"hunter2".to_vec()),
            stdin_open: false,
            deadline_ms: None,
            grace_ms: 0,
            output: OutputCap {
                head_bytes: 0,
                tail_bytes: 0,
                when_full: WhenFull::Drop,
            },
        };
        let shown = format!("{start:?}");
        assert!(
            shown.contains("JWT_SECRET") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
