//! Files into a container and out of it, through its agent.

use std::collections::VecDeque;
use std::time::Duration;

use assay_core::agent::{
    AgentError, Answer, Ask, Base64, Copied, Copy, Link, MAX_CHUNK_BYTES, Place, Read, TreeCaps, Write,
};
use futures_util::{Stream, StreamExt};
use tokio::sync::oneshot;

use crate::agent::{Agent, AskError, Route};

/// Pieces of files that may be on their way at once.
const IN_FLIGHT: usize = 64;

/// How long one piece may take.
const PIECE: Duration = Duration::from_secs(60);

/// How long a tree may take to be copied or removed.
const TREE: Duration = Duration::from_secs(300);

/// One entry of a tree to write. Parent directories need no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Relative to the root of the tree: components separated by `/`, none of them `.` or `..`.
    pub path: String,
    /// What it is.
    pub content: Content,
}

/// What an entry of a tree is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A regular file.
    File {
        /// Its content.
        bytes: Vec<u8>,
        /// Whether it is a program.
        executable: bool,
    },
    /// A symbolic link.
    Link {
        /// A relative path that stays in the tree; else the entry is refused.
        target: String,
    },
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Sum of the sizes of the files.
    pub bytes: u64,
    /// Files and links.
    pub entries: u64,
}

/// Writes a tree. It ends with the first entry that is refused.
pub(crate) async fn write_tree(
    agent: &Agent,
    root: &str,
    entries: impl Stream<Item = TreeEntry>,
) -> Result<Written, AskError> {
    let mut written = Written::default();
    let mut writer = Writer {
        agent,
        root,
        in_flight: VecDeque::new(),
    };
    let mut entries = std::pin::pin!(entries);
    while let Some(TreeEntry { path, content }) = entries.next().await {
        written.entries += 1;
        match content {
            Content::File { bytes, executable } => {
                written.bytes += bytes.len() as u64;
                writer.file(&path, bytes, executable).await?;
            }
            Content::Link { target } => {
                let link = Link {
                    at: writer.place(&path),
                    target,
                };
                writer.piece(Ask::Link(link)).await?;
            }
        }
    }
    writer.flush(0).await?;
    Ok(written)
}

/// Reads a regular file of at most `max_bytes`.
pub(crate) async fn read_file(agent: &Agent, at: Place, max_bytes: u64) -> Result<Vec<u8>, AskError> {
    let (done, content) = oneshot::channel();
    let route = Route::File {
        bytes: Vec::new(),
        max_bytes,
        done,
    };
    agent.send(route, Ask::Read(Read { at, max_bytes })).await?;
    agent.delivered("read a file", TREE, content).await
}

/// Copies a tree within the container.
pub(crate) async fn copy_tree(
    agent: &Agent,
    from: Place,
    to: Place,
    caps: TreeCaps,
) -> Result<Copied, AskError> {
    match agent
        .ask_within("copy a tree", TREE, Ask::Copy(Copy { from, to, caps }))
        .await?
    {
        Answer::Copied(copied) => Ok(copied),
        other => Err(AskError::Lost(unexpected(agent, &other).await)),
    }
}

/// Removes a file or a tree.
pub(crate) async fn remove(agent: &Agent, at: Place) -> Result<(), AskError> {
    agent
        .ask_within("remove a tree", TREE, Ask::Remove { at })
        .await
        .map(drop)
}

/// What to make of an answer of the wrong kind.
pub(crate) async fn unexpected(agent: &Agent, answer: &Answer) -> crate::Death {
    agent
        .condemn(crate::Death::Protocol {
            detail: format!("an answer of the wrong kind: {answer:?}"),
        })
        .await
}

struct Writer<'a> {
    agent: &'a Agent,
    root: &'a str,
    in_flight: VecDeque<oneshot::Receiver<Result<Answer, AgentError>>>,
}

impl Writer<'_> {
    fn place(&self, path: &str) -> Place {
        Place {
            root: self.root.to_owned(),
            path: path.to_owned(),
        }
    }

    async fn file(&mut self, path: &str, bytes: Vec<u8>, executable: bool) -> Result<(), AskError> {
        let mut chunks = bytes.chunks(MAX_CHUNK_BYTES);
        // An empty file is one empty piece.
        let mut next = Some(chunks.next().unwrap_or_default());
        let mut append = false;
        while let Some(chunk) = next {
            let data = Base64(chunk.to_vec());
            self.piece(Ask::Write(Write {
                at: self.place(path),
                data,
                append,
                executable,
            }))
            .await?;
            append = true;
            next = chunks.next();
        }
        Ok(())
    }

    async fn piece(&mut self, ask: Ask) -> Result<(), AskError> {
        self.flush(IN_FLIGHT - 1).await?;
        let (done, answer) = oneshot::channel();
        self.agent.send(Route::Answer(done), ask).await?;
        self.in_flight.push_back(answer);
        Ok(())
    }

    /// Waits until no more than `left` pieces are on their way.
    async fn flush(&mut self, left: usize) -> Result<(), AskError> {
        while self.in_flight.len() > left {
            if let Some(answer) = self.in_flight.pop_front() {
                self.agent.delivered("write a file", PIECE, answer).await?;
            }
        }
        Ok(())
    }
}
