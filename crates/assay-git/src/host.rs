//! Temporary repositories over smart HTTP, for the unmodified git client.
//!
//! A request becomes a `git upload-pack` or `git receive-pack` in a bare repository of ours, closed in on every side. No hook
//! ever runs: what a push may change is decided from its first lines ([`commands`]), and what it did change is read from the
//! references while no other push can touch them. The last packet of git's answer is held back ([`packets`]), so that the
//! caller can add remarks of its own before the client hangs up.
//!
//! Whoever serves a request does so in a task that outlives the connection: a client that vanishes leaves git to end by
//! itself ([`child`]), which is what makes it clean up.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

mod archive;
mod child;
mod commands;
mod create;
mod packets;
mod references;
mod rests;

pub use self::archive::ArchiveError;
pub use self::create::{CreateError, create};
pub use self::packets::{KEEPALIVE, remark};
pub use self::references::Update;
pub use crate::object::BRANCH;

pub(crate) use self::commands::Head;
pub(crate) use self::packets::Relay;

use self::child::{Client, Patience};
use self::commands::{HeadError, Refusal};
use crate::ReadError;
use crate::process::ProcessLimits;

/// Most fetches of one repository at a time: nobody can take all children for themselves.
const FETCHES_AT_ONCE: usize = 2;

/// What hosting may take.
#[derive(Debug, Clone, Copy)]
pub struct HostLimits {
    /// Largest push, in bytes.
    pub push_bytes: u64,
    /// Largest repository, in bytes of packs; a push to a larger one is refused.
    pub repository_bytes: u64,
    /// Address space of each git process, in bytes: what a pack may unpack to in memory.
    pub memory_bytes: u64,
    /// Processor time of each git process, in seconds.
    pub cpu_seconds: u64,
    /// Most git processes at a time, those that they start themselves not counted.
    pub children: usize,
    /// How long a client may send or take nothing.
    pub idle: Duration,
    /// How long a request may take in all, and how long one may wait for its turn.
    pub whole: Duration,
}

impl HostLimits {
    /// With pushes up to `push_bytes`: repositories ten times that, 1 GiB of memory, 60 s of processor time, 8 processes,
    /// 30 s of silence, 10 minutes in all.
    pub fn for_pushes_of(push_bytes: u64) -> Self {
        Self {
            push_bytes,
            repository_bytes: push_bytes.saturating_mul(10),
            memory_bytes: 1 << 30,
            cpu_seconds: 60,
            children: 8,
            idle: Duration::from_secs(30),
            whole: Duration::from_secs(600),
        }
    }

    fn process(&self) -> ProcessLimits {
        ProcessLimits {
            memory: self.memory_bytes,
            cpu_seconds: self.cpu_seconds,
            // A thin pack grows by the objects that it leans on.
            file: self.push_bytes.saturating_mul(2).saturating_add(64 << 20),
        }
    }

    fn patience(&self) -> Patience {
        Patience {
            idle: self.idle,
            whole: self.whole,
        }
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// To read: clone and fetch.
    UploadPack,
    /// To write: push.
    ReceivePack,
}

impl Service {
    /// The service of this name, as in the address: `git-upload-pack`.
    pub fn of(name: &str) -> Option<Self> {
        [Self::UploadPack, Self::ReceivePack]
            .into_iter()
            .find(|service| service.name() == name)
    }

    /// The name in addresses and content types.
    pub fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
        }
    }
}

/// The value of a client's `Git-Protocol` header, if it is one that git could have sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protocol(Option<String>);

impl Protocol {
    /// Takes what is well-formed; everything else counts as nothing, and git then speaks its first version.
    pub fn of_header(value: Option<&str>) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '=' | ':' | '.' | '-');
        let value = value.filter(|value| value.len() <= 64 && value.chars().all(plain));
        Self(value.map(str::to_owned))
    }

    fn is_second(&self) -> bool {
        let mut parts = self.0.iter().flat_map(|value| value.split(':'));
        parts.any(|part| part == "version=2")
    }
}

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Too many requests are being served.
    #[error("no git process was free in time")]
    Busy,
    /// The client does not speak the protocol.
    #[error("the request is not git's: {0}")]
    NotGit(&'static str),
    /// The client went away or fell silent before it had said what it wants.
    #[error("the client went away")]
    Gone,
    /// Git ended with an error. The client was told in its own words where the protocol lets it.
    #[error("git {service} failed: {detail}")]
    Failed {
        /// Which one.
        service: &'static str,
        /// The end of its messages, safe to show.
        detail: String,
    },
    /// The repository cannot be read.
    #[error("cannot read the hosted repository")]
    Repository(#[from] ReadError),
    /// The host does not let us.
    #[error("cannot run git")]
    Io(#[from] io::Error),
}

/// A push, before its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Push<'a> {
    /// The bare repository.
    pub dir: &'a Path,
    /// Whom the reference log names: the assignment's id.
    pub by: &'a str,
    /// Why nothing is taken at all, as a short reason and lines for the terminal. None: it is taken.
    pub refusal: Option<(&'a str, &'a [String])>,
}

/// What a push left behind.
#[derive(Debug)]
pub struct Received {
    /// The references that it changed, in the client's order.
    pub updates: Vec<Update>,
    /// Whether it tried to rewrite the graded branch.
    pub rewrites: bool,
    /// Whether the client shows [`remark`]s.
    pub shows_remarks: bool,
    /// What ends the answer: to be sent last.
    pub last: Vec<u8>,
    /// No other push to this repository begins while this is held. To be held until the updates are written down.
    pub turn: Option<Turn>,
}

/// The right to change a repository's references.
#[derive(Debug)]
#[expect(dead_code, reason = "both are held, not read")]
pub struct Turn(OwnedMutexGuard<()>, Arc<Doors>);

/// Who may work on one repository.
#[derive(Debug)]
struct Doors {
    push: Arc<tokio::sync::Mutex<()>>,
    fetches: Arc<Semaphore>,
}

/// All hosted repositories of this process. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    limits: HostLimits,
    children: Arc<Semaphore>,
    doors: Arc<Mutex<HashMap<PathBuf, Weak<Doors>>>>,
}

impl Host {
    /// With these limits for all repositories together and each.
    pub fn new(limits: HostLimits) -> Self {
        Self {
            limits,
            children: Arc::new(Semaphore::new(limits.children)),
            doors: Arc::default(),
        }
    }

    /// The first answer: which references there are, and what the server can do.
    ///
    /// # Errors
    /// [`HostError`] says why.
    pub async fn advertise(
        &self,
        service: Service,
        dir: &Path,
        protocol: &Protocol,
        cancel: &CancellationToken,
    ) -> Result<Vec<u8>, HostError> {
        let _child = self.child().await?;
        let mut command = child::command(dir, &self.limits, "assay");
        if let Some(protocol) = &protocol.0 {
            command.env("GIT_PROTOCOL", protocol);
        }
        command.args([
            service.command(),
            "--stateless-rpc",
            "--http-backend-info-refs",
            ".",
        ]);
        let (client, mut said) = Client::listening(self.limits.idle);
        let patience = self.limits.patience();
        let talk = child::talk(
            command,
            self.limits.process(),
            patience,
            (Vec::new(), tokio::io::empty(), 0),
            client,
            cancel,
        );
        let gather = async {
            let mut answer = Vec::new();
            while let Some(bytes) = said.recv().await {
                answer.extend_from_slice(&bytes);
            }
            answer
        };
        let (talked, body) = tokio::join!(talk, gather);
        talked?.must_succeed(service)?;
        if protocol.is_second() && service == Service::UploadPack {
            return Ok(body);
        }
        let mut answer = packets::packet(format!("# service={}\n", service.name()).as_bytes());
        answer.extend_from_slice(packets::FLUSH);
        answer.extend_from_slice(&body);
        Ok(answer)
    }

    /// Serves one request of a fetch: `input` is the client's, `output` goes back to it.
    ///
    /// # Errors
    /// [`HostError`] says why. What was sent until then stays sent.
    pub async fn upload(
        &self,
        dir: &Path,
        protocol: &Protocol,
        input: impl AsyncRead + Send + Unpin,
        output: mpsc::Sender<Vec<u8>>,
        cancel: &CancellationToken,
    ) -> Result<(), HostError> {
        let doors = self.doors(dir);
        let _own = self.in_time(doors.fetches.clone().acquire_owned()).await?;
        let _child = self.child().await?;
        let mut command = child::command(dir, &self.limits, "assay");
        if let Some(protocol) = &protocol.0 {
            command.env("GIT_PROTOCOL", protocol);
        }
        command.args([Service::UploadPack.command(), "--stateless-rpc", "."]);
        let talked = child::talk(
            command,
            self.limits.process(),
            self.limits.patience(),
            (Vec::new(), input, 0),
            Client::reading(output, self.limits.idle),
            cancel,
        )
        .await?;
        talked.must_succeed(Service::UploadPack)
    }

    /// Serves a push: takes it as far as the rules allow, one after the other in each repository.
    ///
    /// All of git's answer goes to `output` but [`Received::last`]. A push that the rules refuse is answered with the reason
    /// for each reference and is no error here.
    ///
    /// # Errors
    /// [`HostError`] says why. References may have changed all the same: [`Host::unpinned`] finds them.
    pub async fn receive(
        &self,
        push: Push<'_>,
        mut input: impl AsyncRead + Send + Unpin,
        output: mpsc::Sender<Vec<u8>>,
        cancel: &CancellationToken,
    ) -> Result<Received, HostError> {
        let client = Client::pushing(output, self.limits.idle);
        let reading = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(HostError::Gone),
            head = Head::read(&mut input, self.limits.idle) => head,
        };
        let head = reading.map_err(|error| match error {
            HeadError::Gone => HostError::Gone,
            HeadError::NotGit(why) => HostError::NotGit(why),
        })?;
        if head.commands.is_empty() {
            // The probe that git sends before a large push.
            return Ok(head.answered(Vec::new(), None));
        }
        if let Some((reason, remarks)) = push.refusal {
            return Ok(self
                .refuse(&head, Refusal::of_all(&head, reason), remarks, input, client)
                .await);
        }
        if let Some(refusal) = head.judge() {
            return Ok(self.refuse(&head, refusal, &[], input, client).await);
        }

        let doors = self.doors(push.dir);
        let turn = self
            .in_time(async { Ok(doors.push.clone().lock_owned().await) })
            .await;
        let held = match turn {
            Ok(turn) => self.child().await.map(|child| (turn, child)),
            Err(error) => Err(error),
        };
        let Ok((turn, _child)) = held else {
            let refusal = Refusal::of_all(&head, "the server is busy; push again in a minute");
            return Ok(self.refuse(&head, refusal, &[], input, client).await);
        };
        if crate::fetch::packed_bytes(push.dir) >= self.limits.repository_bytes {
            let refusal = Refusal::of_all(&head, "the repository is full; ask whoever invited you");
            return Ok(self.refuse(&head, refusal, &[], input, client).await);
        }
        rests::sweep(push.dir, self.limits.whole);
        let before = references::values(push.dir, &head.commands)?;

        let mut command = child::command(push.dir, &self.limits, push.by);
        command.args([Service::ReceivePack.command(), "--stateless-rpc", "."]);
        let talked = child::talk(
            command,
            self.limits.process(),
            self.limits.patience(),
            (
                head.bytes.clone(),
                input,
                self.limits.push_bytes.saturating_mul(2),
            ),
            client,
            cancel,
        )
        .await?;
        if talked.was_stopped {
            rests::sweep(push.dir, Duration::ZERO);
        }
        let (updates, rewrites) = references::compare(push.dir, &head.commands, &before)?;
        if updates.is_empty() {
            // Git's refusals are answered in its own words; this one left none.
            if talked.held_back.is_empty() {
                talked.must_succeed(Service::ReceivePack)?;
            }
            tracing::debug!(dir = %push.dir.display(), said = %talked.said(), "a push changed nothing");
        }
        let mut received = head.answered(updates, Some(Turn(turn, doors)));
        received.rewrites = rewrites;
        received.last = talked.held_back;
        Ok(received)
    }

    /// Refuses a whole push, after the client has been heard out: it listens only then.
    async fn refuse(
        &self,
        head: &Head,
        refusal: Refusal,
        remarks: &[String],
        input: impl AsyncRead + Send + Unpin,
        mut client: Client,
    ) -> Received {
        child::drain(
            input,
            self.limits.push_bytes.saturating_mul(2),
            self.limits.patience(),
        )
        .await;
        if head.sideband {
            for line in remarks {
                client.tell(remark(line)).await;
            }
        }
        let (report, last) = refusal.report(head);
        client.tell(report).await;
        let mut received = head.answered(Vec::new(), None);
        received.last = last;
        received
    }

    /// Tips of `main` and of tags that no [`Host::pin`] holds: a push whose end nobody saw. Blocking.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn unpinned(dir: &Path) -> Result<Vec<Update>, HostError> {
        Ok(references::unpinned(dir)?)
    }

    /// Keeps what was pushed for as long as the repository lives, whatever happens to its reference: `refs/assay/push/<n>`.
    /// Blocking; the repository's [`Turn`] must be held.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn pin(dir: &Path, update: &Update) -> Result<(), HostError> {
        Ok(references::pin(dir, update)?)
    }

    /// Waits for the repository's turn.
    ///
    /// # Errors
    /// [`HostError::Busy`] when a push takes longer than anybody waits.
    pub async fn turn(&self, dir: &Path) -> Result<Turn, HostError> {
        let doors = self.doors(dir);
        let turn = self.in_time(async { Ok(doors.push.clone().lock_owned().await) });
        let turn = turn.await?;
        Ok(Turn(turn, doors))
    }

    async fn child(&self) -> Result<OwnedSemaphorePermit, HostError> {
        self.in_time(self.children.clone().acquire_owned()).await
    }

    async fn in_time<T>(
        &self,
        wait: impl Future<Output = Result<T, tokio::sync::AcquireError>>,
    ) -> Result<T, HostError> {
        match tokio::time::timeout(self.limits.whole, wait).await {
            Ok(Ok(got)) => Ok(got),
            Ok(Err(_)) | Err(_) => Err(HostError::Busy),
        }
    }

    fn doors(&self, dir: &Path) -> Arc<Doors> {
        let mut all = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(doors) = all.get(dir).and_then(Weak::upgrade) {
            return doors;
        }
        all.retain(|_, doors| doors.strong_count() > 0);
        let doors = Arc::new(Doors {
            push: Arc::default(),
            fetches: Arc::new(Semaphore::new(FETCHES_AT_ONCE)),
        });
        all.insert(dir.to_owned(), Arc::downgrade(&doors));
        doors
    }
}
