//! The conversation with the agent of one container.
//!
//! One task owns the attached streams. It hands every message to whoever waits for it, and when the conversation ends
//! it finds out why and tells everyone.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use assay_core::agent::{AgentError, Answer, Ask, LineBuffer, MAX_LINE_BYTES, Message, Request, VERSION};
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::command::Followed;
use crate::control::ControlAsk;
use crate::engine::{Engine, EngineError, QUICK, SLOW, call, locked};

/// How long the agent may take to say hello after its container has started.
const HELLO: Duration = Duration::from_secs(20);

/// How long the agent may take for a request that has no time limit of its own.
const ANSWER: Duration = Duration::from_secs(120);

/// How long a container may take to end after its agent fell silent, before it is killed.
const LINGER: Duration = Duration::from_secs(5);

/// Requests that wait to be written.
const OUTBOX: usize = 64;

/// Why a container is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Death {
    /// It used more memory than its limit, and that ended it.
    #[error("the container ran out of memory")]
    OutOfMemory,
    /// It ended by itself, or was killed from outside.
    #[error("the container ended by itself{}", exit_code(.code))]
    Ended {
        /// Exit code of its first process, 128 and more for a signal; none = the engine does not know it any more.
        code: Option<i64>,
    },
    /// The agent spoke nonsense. Only a process in the container can be behind that.
    #[error("the agent in the container broke the protocol: {detail}")]
    Protocol {
        /// What it did.
        detail: String,
    },
    /// The agent did not answer in time.
    #[error("the container did not respond to a request to {request} within {} s", .after.as_secs())]
    Unresponsive {
        /// What it was asked.
        request: &'static str,
        /// For how long it was waited.
        after: Duration,
    },
    /// The engine failed, so that nothing can be known about the container.
    #[error(transparent)]
    Engine(EngineError),
    /// It was removed by us.
    #[error("the container was removed")]
    Removed,
}

impl Death {
    /// Whether the platform is to blame; otherwise it is what ran in the container, which is the candidate where
    /// candidate code ran.
    pub fn is_platforms_fault(&self) -> bool {
        match self {
            Self::Engine(_) | Self::Removed => true,
            Self::OutOfMemory | Self::Ended { .. } | Self::Protocol { .. } | Self::Unresponsive { .. } => {
                false
            }
        }
    }
}

/// Why a container did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The agent would or could not do it; the container goes on.
    #[error(transparent)]
    Refused(AgentError),
    /// The container is gone.
    #[error(transparent)]
    Lost(Death),
    /// The run was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// One container's agent.
#[derive(Clone)]
pub(crate) struct Agent {
    shared: Arc<Shared>,
}

struct Shared {
    container: String,
    engine: Engine,
    cancel: CancellationToken,
    next_id: AtomicU64,
    outbox: mpsc::Sender<Bytes>,
    routes: Mutex<HashMap<u64, Route>>,
    /// Why we ended the conversation, when it was us.
    verdict: OnceLock<Death>,
    /// Ends the conversation.
    hang_up: CancellationToken,
    hello: watch::Receiver<bool>,
    death: watch::Receiver<Option<Death>>,
}

/// Who waits for the messages of a request.
pub(crate) enum Route {
    /// One answer is expected.
    Answer(oneshot::Sender<Result<Answer, AgentError>>),
    /// The content of a file is expected, of at most so many bytes.
    File {
        bytes: Vec<u8>,
        max_bytes: u64,
        done: oneshot::Sender<Result<Vec<u8>, AgentError>>,
    },
    /// A process is followed.
    Process(Followed),
    /// Lines of a control socket are passed on.
    Control {
        opened: Option<oneshot::Sender<Result<Answer, AgentError>>>,
        lines: mpsc::Sender<ControlAsk>,
    },
}

impl Agent {
    /// Begins the conversation over a container's attached streams.
    pub(crate) fn attach(
        engine: &Engine,
        container: String,
        streams: AttachContainerResults,
        cancel: CancellationToken,
    ) -> Self {
        let (outbox, requests) = mpsc::channel(OUTBOX);
        let (greeted, hello) = watch::channel(false);
        let (died, death) = watch::channel(None);
        let shared = Arc::new(Shared {
            container,
            engine: engine.clone(),
            cancel,
            next_id: AtomicU64::new(1),
            outbox,
            routes: Mutex::default(),
            verdict: OnceLock::new(),
            hang_up: CancellationToken::new(),
            hello,
            death,
        });
        let writer = tokio::spawn(write(requests, streams.input));
        let agent = Self { shared };
        let reader = agent.clone();
        tokio::spawn(async move {
            let end = reader.read(streams.output, &greeted).await;
            let death = reader.post_mortem(end).await;
            died.send_replace(Some(death));
            // Whoever waits sees a dropped sender and asks for the death.
            locked(&reader.shared.routes).clear();
            writer.abort();
        });
        agent
    }

    /// Waits until the agent has said hello.
    pub(crate) async fn greeted(&self) -> Result<(), Death> {
        let mut hello = self.shared.hello.clone();
        let greeting = async {
            if hello.wait_for(|hello| *hello).await.is_err() {
                return Err(self.death().await);
            }
            Ok(())
        };
        match tokio::time::timeout(HELLO, greeting).await {
            Ok(greeted) => greeted,
            Err(_) => Err(self
                .condemn(Death::Unresponsive {
                    request: "say hello",
                    after: HELLO,
                })
                .await),
        }
    }

    /// Waits until the container is gone.
    pub(crate) async fn death(&self) -> Death {
        let mut death = self.shared.death.clone();
        let found = death.wait_for(Option::is_some).await.map(|death| death.clone());
        // The sender is dropped only with the runtime, after it has sent.
        found.ok().flatten().unwrap_or(Death::Removed)
    }

    /// Ends the conversation for a reason of ours and has the container killed. Returns the reason that stands, which
    /// is another one when the container died first.
    pub(crate) async fn condemn(&self, death: Death) -> Death {
        self.hang_up(death);
        self.death().await
    }

    pub(crate) fn hang_up(&self, death: Death) {
        // The first reason stands.
        self.shared.verdict.set(death).ok();
        self.shared.hang_up.cancel();
    }

    pub(crate) fn cancel(&self) -> &CancellationToken {
        &self.shared.cancel
    }

    /// Sends a request whose messages go to `route`.
    pub(crate) async fn send(&self, route: Route, ask: Ask) -> Result<u64, AskError> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let mut line = serde_json::to_vec(&Request { id, ask })
            .map_err(|error| AskError::Refused(bad_request(error.to_string())))?;
        line.push(b'\n');
        if line.len() > MAX_LINE_BYTES {
            return Err(AskError::Refused(bad_request(
                "the request is too long".to_owned(),
            )));
        }
        locked(&self.shared.routes).insert(id, route);
        let sent = tokio::select! {
            biased;
            () = self.shared.cancel.cancelled() => Err(AskError::Cancelled),
            death = self.death() => Err(AskError::Lost(death)),
            sent = self.shared.outbox.send(line.into()) => match sent {
                Ok(()) => Ok(id),
                Err(_) => Err(AskError::Lost(self.death().await)),
            },
        };
        if sent.is_err() {
            locked(&self.shared.routes).remove(&id);
        }
        sent
    }

    /// Sends a request to whose answer nobody listens, if there is room for it.
    pub(crate) fn send_and_forget(&self, ask: Ask) {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut line) = serde_json::to_vec(&Request { id, ask }) {
            line.push(b'\n');
            self.shared.outbox.try_send(line.into()).ok();
        }
    }

    /// Waits for what a route delivers. When it takes longer than `limit`, the container is condemned.
    pub(crate) async fn delivered<T>(
        &self,
        request: &'static str,
        limit: Duration,
        delivery: oneshot::Receiver<Result<T, AgentError>>,
    ) -> Result<T, AskError> {
        let delivered = tokio::select! {
            biased;
            () = self.shared.cancel.cancelled() => return Err(AskError::Cancelled),
            delivered = tokio::time::timeout(limit, delivery) => delivered,
        };
        match delivered {
            Ok(Ok(result)) => result.map_err(AskError::Refused),
            Ok(Err(_)) => Err(AskError::Lost(self.death().await)),
            Err(_) => Err(AskError::Lost(
                self.condemn(Death::Unresponsive {
                    request,
                    after: limit,
                })
                .await,
            )),
        }
    }

    /// Sends a request and waits for its one answer.
    pub(crate) async fn ask(&self, request: &'static str, ask: Ask) -> Result<Answer, AskError> {
        self.ask_within(request, ANSWER, ask).await
    }

    /// The same for a request that may take its time.
    pub(crate) async fn ask_within(
        &self,
        request: &'static str,
        limit: Duration,
        ask: Ask,
    ) -> Result<Answer, AskError> {
        let (done, answer) = oneshot::channel();
        self.send(Route::Answer(done), ask).await?;
        self.delivered(request, limit, answer).await
    }

    /// The same for a request that is given up when nobody waits for it any more.
    pub(crate) async fn ask_abandonable(
        &self,
        request: &'static str,
        limit: Duration,
        ask: Ask,
    ) -> Result<Answer, AskError> {
        struct Abandon<'a>(&'a Agent, u64);
        impl Drop for Abandon<'_> {
            fn drop(&mut self) {
                if locked(&self.0.shared.routes).remove(&self.1).is_some() {
                    self.0.send_and_forget(Ask::Abandon { request: self.1 });
                }
            }
        }
        let (done, answer) = oneshot::channel();
        let _abandon = Abandon(self, self.send(Route::Answer(done), ask).await?);
        self.delivered(request, limit, answer).await
    }

    /// Reads until the conversation ends, and says how it did.
    async fn read(
        &self,
        mut output: Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>,
        greeted: &watch::Sender<bool>,
    ) -> End {
        let mut lines = LineBuffer::new(MAX_LINE_BYTES);
        loop {
            let frame = tokio::select! {
                biased;
                () = self.shared.hang_up.cancelled() => return End::HungUp,
                frame = output.next() => frame,
            };
            let mut nonsense = None;
            match frame {
                None | Some(Err(_)) => return End::Silence,
                Some(Ok(LogOutput::StdErr { message })) => {
                    let container = &self.shared.container;
                    tracing::warn!(container, "the agent says: {}", message.escape_ascii());
                }
                Some(Ok(frame)) => lines.push(&frame.into_bytes(), |line| {
                    let understood = line.map_err(|error| error.to_string()).and_then(|line| {
                        serde_json::from_slice(line).map_err(|error| format!("not a message: {error}"))
                    });
                    if let Err(detail) = understood.and_then(|message| self.take(message, greeted)) {
                        nonsense.get_or_insert(detail);
                    }
                }),
            }
            if let Some(detail) = nonsense {
                return End::Nonsense(detail);
            }
        }
    }

    /// Hands a message to whoever waits for it. An error ends the conversation.
    fn take(&self, message: Message, greeted: &watch::Sender<bool>) -> Result<(), String> {
        let mut routes = locked(&self.shared.routes);
        match message {
            Message::Hello { version: VERSION } => {
                greeted.send_replace(true);
            }
            Message::Hello { version } => return Err(format!("it speaks version {version}, not {VERSION}")),
            Message::Unreadable { message } => return Err(format!("it could not read a request: {message}")),
            Message::Started { id } => {
                if let Some(Route::Process(process)) = routes.get_mut(&id) {
                    process.started();
                }
            }
            Message::Output { id, stream, data } => {
                if let Some(Route::Process(process)) = routes.get_mut(&id) {
                    process.output(stream, &data.0)?;
                }
            }
            Message::Omitted { id, stream, bytes } => {
                if let Some(Route::Process(process)) = routes.get_mut(&id) {
                    process.omitted(stream, bytes);
                }
            }
            Message::Exited { id, exit } => {
                if let Some(Route::Process(process)) = routes.remove(&id) {
                    process.exited(exit);
                }
            }
            Message::Data { id, data } => {
                if let Some(Route::File { bytes, max_bytes, .. }) = routes.get_mut(&id) {
                    bytes.extend(data.0);
                    if bytes.len() as u64 > *max_bytes {
                        return Err("it sends more of a file than was asked for".to_owned());
                    }
                }
            }
            Message::Control { id, connection, line } => {
                if let Some(Route::Control { lines, .. }) = routes.get(&id) {
                    let ask = ControlAsk::new(self.clone(), connection, line);
                    lines
                        .try_send(ask)
                        .map_err(|_| "too many lines on a control socket".to_owned())?;
                }
            }
            Message::Done { id, result } => finish(&mut routes, id, Ok(result)),
            Message::Failed { id, error } => finish(&mut routes, id, Err(error)),
        }
        Ok(())
    }

    /// Finds out why the container is gone, and makes sure that it is.
    async fn post_mortem(&self, end: End) -> Death {
        match end {
            End::Silence => self.why_silent().await,
            End::HungUp => {
                let verdict = self.shared.verdict.get().cloned().unwrap_or(Death::Removed);
                if verdict != Death::Removed {
                    self.kill().await;
                }
                verdict
            }
            End::Nonsense(detail) => {
                self.kill().await;
                Death::Protocol { detail }
            }
        }
    }

    async fn why_silent(&self) -> Death {
        let docker = self.shared.engine.docker();
        let container = &self.shared.container;
        let ended = async {
            let mut exits = docker.wait_container(container, None);
            // An exit code other than 0 comes as an error. It is read from the state below, where OOM stands too.
            while let Some(Ok(_)) = exits.next().await {}
        };
        if tokio::time::timeout(LINGER, ended).await.is_err() {
            self.kill().await;
        }
        let state = call(
            "inspect a container",
            QUICK,
            docker.inspect_container(container, None),
        )
        .await;
        match state.map(|container| container.state.unwrap_or_default()) {
            Err(error) if error.is_missing() => self
                .shared
                .verdict
                .get()
                .cloned()
                .unwrap_or(Death::Ended { code: None }),
            Err(error) => Death::Engine(error),
            Ok(state) if state.running == Some(true) => Death::Protocol {
                detail: "it closed its output".to_owned(),
            },
            Ok(state) => match self.shared.verdict.get() {
                Some(verdict) => verdict.clone(),
                None if state.oom_killed == Some(true) && state.exit_code == Some(137) => Death::OutOfMemory,
                None => Death::Ended {
                    code: state.exit_code,
                },
            },
        }
    }

    async fn kill(&self) {
        let docker = self.shared.engine.docker();
        let killed = call(
            "kill a container",
            SLOW,
            docker.kill_container(&self.shared.container, None),
        )
        .await;
        if let Err(error) = killed {
            // Mostly because it has ended or is being removed already; otherwise its removal will tell.
            tracing::debug!(container = self.shared.container, %error, "a container was not killed");
        }
    }
}

/// How a conversation ended.
enum End {
    /// The other side fell silent.
    Silence,
    /// We ended it.
    HungUp,
    /// The other side broke the protocol.
    Nonsense(String),
}

fn finish(routes: &mut HashMap<u64, Route>, id: u64, result: Result<Answer, AgentError>) {
    // Nobody listens any more when the request was given up.
    match routes.remove(&id) {
        Some(Route::Answer(done)) => {
            done.send(result).ok();
        }
        Some(Route::File { bytes, done, .. }) => {
            done.send(result.map(|_| bytes)).ok();
        }
        Some(Route::Process(process)) => {
            if let Err(error) = result {
                process.refused(error);
            }
        }
        Some(Route::Control { mut opened, lines }) => {
            let succeeded = result.is_ok();
            if let Some(opened) = opened.take() {
                opened.send(result).ok();
            }
            if succeeded {
                routes.insert(id, Route::Control { opened, lines });
            }
        }
        None => {}
    }
}

async fn write(mut requests: mpsc::Receiver<Bytes>, mut input: Pin<Box<dyn AsyncWrite + Send>>) {
    while let Some(line) = requests.recv().await {
        // When the other side is gone, the reader notices and finds out why.
        if input.write_all(&line).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
}

fn bad_request(message: String) -> AgentError {
    AgentError {
        kind: assay_core::agent::ErrorKind::BadRequest,
        message,
    }
}

fn exit_code(code: &Option<i64>) -> String {
    code.map_or_else(String::new, |code| format!(" with exit code {code}"))
}
