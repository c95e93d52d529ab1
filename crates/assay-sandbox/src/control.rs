//! A control socket: a trusted program in a container asks, we answer.

use assay_core::agent::Ask;
use tokio::sync::{mpsc, oneshot};

use crate::agent::{Agent, AskError, Route};

/// Lines that may wait here. The agent passes on one per connection, and serves fewer connections than this.
const WAITING: usize = 64;

/// A Unix socket in a container, whose lines come out here.
#[derive(Debug)]
pub struct ControlSocket {
    lines: mpsc::Receiver<ControlAsk>,
}

/// One line from a program, which waits for its answer.
pub struct ControlAsk {
    agent: Agent,
    connection: u64,
    line: String,
}

impl ControlSocket {
    pub(crate) async fn open(agent: &Agent, path: &str) -> Result<Self, AskError> {
        let (opened, answer) = oneshot::channel();
        let (passed_on, lines) = mpsc::channel(WAITING);
        let route = Route::Control {
            opened: Some(opened),
            lines: passed_on,
        };
        agent
            .send(
                route,
                Ask::OpenControl {
                    path: path.to_owned(),
                },
            )
            .await?;
        agent
            .delivered("open a control socket", crate::engine::QUICK, answer)
            .await?;
        Ok(Self { lines })
    }

    /// The next line; none once the container is gone. Safe to cancel.
    pub async fn next(&mut self) -> Option<ControlAsk> {
        self.lines.recv().await
    }
}

impl ControlAsk {
    pub(crate) fn new(agent: Agent, connection: u64, line: String) -> Self {
        Self {
            agent,
            connection,
            line,
        }
    }

    /// What was asked, without its newline; at most 16 KiB.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Answers with one line, given without its newline.
    ///
    /// # Errors
    /// When the program hung up meanwhile, the container is gone, or the run was cancelled.
    pub async fn answer(self, line: &str) -> Result<(), AskError> {
        let ask = Ask::AnswerControl {
            connection: self.connection,
            line: line.to_owned(),
        };
        self.agent.ask("answer on a control socket", ask).await.map(drop)
    }
}

impl std::fmt::Debug for ControlAsk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlAsk")
            .field("connection", &self.connection)
            .field("line", &self.line)
            .finish()
    }
}
