//! The control socket: lets a program in the container ask the engine something, one line at a time.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use assay_core::agent::{AgentError, Answer, ErrorKind, LineBuffer, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::{Outbox, failure, io_failure};

/// The longest line accepted from a program, in bytes.
const MAX_LINE_BYTES: usize = 16 << 10;

/// Connections served at once; further ones are closed.
const MAX_CONNECTIONS: usize = 16;

/// All control sockets and their connections.
#[derive(Clone)]
pub(super) struct Control {
    outbox: Outbox,
    /// Who waits for an answer, by connection.
    asked: Rc<RefCell<HashMap<u64, oneshot::Sender<String>>>>,
    connections: Rc<Cell<Connections>>,
}

#[derive(Clone, Copy, Default)]
struct Connections {
    last_id: u64,
    open: usize,
}

impl Control {
    pub(super) fn new(outbox: Outbox) -> Self {
        Self {
            outbox,
            asked: Rc::default(),
            connections: Rc::default(),
        }
    }

    /// Listens on `path` for as long as the agent lives.
    pub(super) fn open(&self, id: u64, path: &str) -> Result<Answer, AgentError> {
        if !path.starts_with('/') {
            return Err(failure(
                ErrorKind::BadRequest,
                "the control socket's path is not absolute",
            ));
        }
        let listener =
            UnixListener::bind(path).map_err(|error| io_failure("create the control socket", &error))?;
        let control = self.clone();
        tokio::task::spawn_local(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let control = control.clone();
                tokio::task::spawn_local(async move { control.serve(id, connection).await });
            }
        });
        Ok(Answer::Nothing)
    }

    /// Passes the engine's answer on.
    pub(super) fn answer(&self, connection: u64, line: String) -> Result<Answer, AgentError> {
        let asker = self.asked.borrow_mut().remove(&connection);
        match asker.map(|asker| asker.send(line)) {
            Some(Ok(())) => Ok(Answer::Nothing),
            Some(Err(_)) | None => Err(failure(
                ErrorKind::BadRequest,
                format!("connection {connection} waits for no answer"),
            )),
        }
    }

    async fn serve(&self, id: u64, connection: UnixStream) {
        let Connections { last_id, open } = self.connections.get();
        if open >= MAX_CONNECTIONS {
            return;
        }
        self.connections.set(Connections {
            last_id: last_id + 1,
            open: open + 1,
        });
        // When the program hangs up or writes nonsense, the connection is over; that is all there is to it.
        drop(self.converse(id, last_id + 1, connection).await);
        self.asked.borrow_mut().remove(&(last_id + 1));
        let now = self.connections.get();
        self.connections.set(Connections {
            open: now.open - 1,
            ..now
        });
    }

    async fn converse(&self, id: u64, connection: u64, mut stream: UnixStream) -> io::Result<()> {
        let mut lines = LineBuffer::new(MAX_LINE_BYTES);
        let mut bytes = [0; 4096];
        loop {
            let read = stream.read(&mut bytes).await?;
            if read == 0 {
                return Ok(());
            }
            let mut asked = Vec::new();
            lines.push(&bytes[..read], |line| asked.push(line.map(<[u8]>::to_vec)));
            for line in asked {
                let line = String::from_utf8(line.map_err(io::Error::other)?).map_err(io::Error::other)?;
                let mut answer = self.ask(id, connection, line).await?;
                answer.push('\n');
                stream.write_all(answer.as_bytes()).await?;
            }
        }
    }

    async fn ask(&self, id: u64, connection: u64, line: String) -> io::Result<String> {
        let (answer, answered) = oneshot::channel();
        self.asked.borrow_mut().insert(connection, answer);
        self.outbox
            .send(Message::Control { id, connection, line })
            .await
            .map_err(io::Error::other)?;
        answered.await.map_err(io::Error::other)
    }
}
