//! The rows, as the rest of the program sees them. Times are milliseconds since 1970.

use assay_core::assignment::{AssignmentState, Terms};
use assay_core::event::Event;
use assay_core::exercise::SubmitOn;
use assay_core::id::{AssignmentId, ConnectionId, RunId, TokenId, UserId};
use assay_core::queue::{Outcome, RunState, Trigger};
use serde::{Deserialize, Serialize};

/// What somebody with an account may do. Each may do all that the ones before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads assignments and reports.
    Viewer,
    /// Invites, extends, re-runs, cancels.
    Interviewer,
    /// Accounts, connections, erasure, the audit trail.
    Admin,
}

impl Role {
    /// All of them, the lowest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Interviewer, Self::Admin];

    /// The stable name, as in JSON and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Interviewer => "interviewer",
            Self::Admin => "admin",
        }
    }
}

/// A person with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Id.
    pub id: UserId,
    /// Name at sign-in, unique, lower case.
    pub login: String,
    /// Name for people.
    pub name: String,
    /// A PHC string (argon2id). None: this person signs in elsewhere (OpenID Connect).
    pub password_hash: Option<String>,
    /// Issuer and subject at the OpenID provider, joined by a space.
    pub oidc_subject: Option<String>,
    /// What they may do.
    pub role: Role,
    /// When the account was made.
    pub created_at_ms: i64,
    /// When it was switched off.
    pub disabled_at_ms: Option<i64>,
}

/// What a token opens. Its subject is a user's, an assignment's or a run's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// A signed-in browser; subject: user.
    Session,
    /// The API and the command line; subject: user. Scopes apply.
    Api,
    /// The hosted repository; subject: assignment.
    Git,
    /// The candidate's own page; subject: assignment.
    Page,
    /// One report, for whoever has the link; subject: run.
    Share,
}

impl TokenKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Session, Self::Api, Self::Git, Self::Page, Self::Share];

    /// The stable name, as in JSON and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Api => "api",
            Self::Git => "git",
            Self::Page => "page",
            Self::Share => "share",
        }
    }
}

/// A bearer secret's record. The secret itself is never stored: only its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Id.
    pub id: TokenId,
    /// What it opens.
    pub kind: TokenKind,
    /// Id of the user, assignment or run.
    pub subject: String,
    /// For people: where it is used.
    pub name: String,
    /// SHA-256 of the secret.
    pub secret_sha256: [u8; 32],
    /// What an [`TokenKind::Api`] token may do; empty for the others.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at_ms: i64,
    /// From when on it opens nothing. None: never.
    pub expires_at_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_at_ms: Option<i64>,
    /// When it was used last, to the minute.
    pub last_used_at_ms: Option<i64>,
}

/// Where an assignment's commits come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A repository that we host; its name is the assignment's id.
    Hosted,
    /// A repository at a forge.
    Forge {
        /// The connection.
        connection: ConnectionId,
        /// Full name there, such as `group/project`.
        repository: String,
    },
}

/// Who the candidate is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Name as the interviewers gave it.
    pub name: String,
    /// Address, if one was given. Assay sends no mail.
    pub email: Option<String>,
}

/// One candidate and one exercise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Id, and the hosted repository's name.
    pub id: AssignmentId,
    /// Slug of the exercise.
    pub exercise: String,
    /// Track.
    pub track: String,
    /// Who it is. None: erased.
    pub candidate: Option<Candidate>,
    /// Where commits come from.
    pub origin: Origin,
    /// How far it is.
    pub state: AssignmentState,
    /// What counts as a submission.
    pub submit_on: SubmitOn,
    /// How many submissions are checked. None: any number.
    pub attempts: Option<u32>,
    /// Due date as it was set first.
    pub due_at_ms: Option<i64>,
    /// Due date after an individual extension.
    pub extended_to_ms: Option<i64>,
    /// Who invited. None: a webhook did.
    pub created_by: Option<UserId>,
    /// When.
    pub created_at_ms: i64,
    /// From when on its repository is to be archived and removed. None: not before it is closed.
    pub retain_until_ms: Option<i64>,
    /// When the repository was archived.
    pub archived_at_ms: Option<i64>,
}

impl Assignment {
    /// The rules that a push is weighed by.
    pub fn terms(&self) -> Terms {
        Terms {
            state: self.state,
            submit_on: self.submit_on,
            attempts: self.attempts,
            due_at_ms: self.extended_to_ms.or(self.due_at_ms),
        }
    }
}

/// What is changed of an assignment; what is None stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssignmentChange {
    /// New state. [`AssignmentState::Erased`] is reached by [`crate::Store::erase_candidate`] only.
    pub state: Option<AssignmentState>,
    /// New individual due date; `Some(None)` takes an extension back.
    pub extended_to_ms: Option<Option<i64>>,
    /// New number of attempts; `Some(None)` lifts the limit.
    pub attempts: Option<Option<u32>>,
    /// New retention.
    pub retain_until_ms: Option<Option<i64>>,
    /// When the repository was archived.
    pub archived_at_ms: Option<i64>,
}

/// Part of a list, by keyset: the caller gives back `next` to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next part begins; None at the end.
    pub next: Option<String>,
}

/// Which part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// As an earlier [`Page::next`] said; None: the beginning.
    pub after: Option<String>,
    /// Most rows, 1 to 200.
    pub limit: u32,
}

/// In which order assignments are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AssignmentSort {
    /// Newest first.
    #[default]
    Newest,
    /// By the candidate's name.
    Candidate,
    /// Best latest score first; without a score last.
    Score,
    /// Latest push first; never pushed last.
    Activity,
}

/// Which assignments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssignmentFilter {
    /// Of this exercise.
    pub exercise: Option<String>,
    /// In this state.
    pub state: Option<AssignmentState>,
    /// Whose candidate's name or id contains this, whatever the case.
    pub text: Option<String>,
    /// In this order.
    pub sort: AssignmentSort,
}

/// An assignment in a list, with its latest run.
#[derive(Debug, Clone, PartialEq)]
pub struct AssignmentRow {
    /// It.
    pub assignment: Assignment,
    /// Its newest run that was not superseded.
    pub latest: Option<Run>,
    /// Number of its runs.
    pub n_runs: u32,
    /// Attempts used, see [`crate::Store::attempts_used`].
    pub n_attempts_used: u32,
}

/// What is known of an idempotency key.
#[derive(Debug, Clone, PartialEq)]
pub enum Remembered {
    /// Nothing: go on, then [`crate::Store::remember`] the response.
    New,
    /// The same request was answered with this.
    Same(serde_json::Value),
    /// Another request used the key, or the same one is still being answered.
    Different,
}

/// A commit that asks to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// Id.
    pub id: RunId,
    /// Whose.
    pub assignment: AssignmentId,
    /// What asked for it.
    pub trigger: Trigger,
    /// The commit, whole.
    pub commit: String,
    /// The reference that named it, `refs/heads/main`.
    pub reference: String,
    /// When the push or hook was received.
    pub received_at_ms: i64,
    /// Seed of all random data in checks.
    pub seed: u64,
    /// Whether it may use up an attempt.
    pub counts: bool,
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Id.
    pub id: RunId,
    /// Whose.
    pub assignment: AssignmentId,
    /// Number within the assignment, from 1.
    pub number: u32,
    /// What asked for it.
    pub trigger: Trigger,
    /// The commit, whole; empty once the candidate is erased, as are reference and reason.
    pub commit: String,
    /// The reference that named it.
    pub reference: String,
    /// When the push or hook was received.
    pub received_at_ms: i64,
    /// Seed of all random data in checks.
    pub seed: u64,
    /// Whether it may use up an attempt.
    pub counts: bool,
    /// How far it is.
    pub state: RunState,
    /// How it ended; there exactly when it is finished.
    pub outcome: Option<Outcome>,
    /// Why, in plain words; empty where the outcome says it all.
    pub reason: String,
    /// How often a worker took it.
    pub executions: u32,
    /// How often of these the worker had to end before the run did.
    pub interruptions: u32,
    /// Whether somebody asked to cancel it.
    pub cancel_requested: bool,
    /// When it was queued.
    pub queued_at_ms: i64,
    /// When a worker took it last.
    pub started_at_ms: Option<i64>,
    /// When it was finished.
    pub finished_at_ms: Option<i64>,
    /// Its newest scorecard.
    pub score: Option<ScoreRow>,
}

/// The numbers of a scorecard. Points are in hundredths, so that sums and order are exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreRow {
    /// Counts from 1 within the run; a re-score adds one.
    pub version: u32,
    /// Points reached.
    pub total_hundredths: i64,
    /// Points there are.
    pub max_hundredths: i64,
    /// Lowest total that is possible.
    pub low_hundredths: i64,
    /// Highest total that is possible.
    pub high_hundredths: i64,
    /// Whether the exercise's gate passed. None: no gate, or open.
    pub gate: Option<bool>,
    /// Points by category, `id` and score and max in hundredths, in the exercise's order.
    pub categories: Vec<CategoryRow>,
    /// Digest of the exercise that it was computed by.
    pub exercise_digest: String,
    /// Digest of the blob with the `report.json`; empty once the candidate is erased.
    pub report_digest: String,
    /// When it was computed.
    pub created_at_ms: i64,
    /// Who asked for a re-score. None: the run itself.
    pub created_by: Option<UserId>,
}

/// Points of one category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryRow {
    /// Id of the category.
    pub id: String,
    /// Points reached.
    pub score_hundredths: i64,
    /// Points there are.
    pub max_hundredths: i64,
    /// Whether all of it was judged.
    pub scored: bool,
}

/// What came of [`crate::Store::enqueue`].
#[derive(Debug, Clone, PartialEq)]
pub struct Enqueued {
    /// The run.
    pub run: Run,
    /// Queued runs of the same assignment that it superseded.
    pub superseded: Vec<RunId>,
}

/// A run in a worker's hands. Whoever holds a lease that is no longer the run's can change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The run.
    pub run: RunId,
    /// The worker.
    pub worker: String,
    /// Which execution of the run it is.
    pub execution: u32,
}

/// Why a worker gives a run back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenBack {
    /// Something of ours failed that may pass.
    Failed,
    /// The worker has to end. That is nothing against the run, however often it happens.
    Interrupted,
}

/// What a worker learns from a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Go on.
    Held,
    /// Somebody asked to cancel the run: stop and finish as cancelled.
    CancelRequested,
    /// The lease has passed to somebody else or the run is finished: stop, and write nothing.
    Lost,
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// Counts from 1 within the run, without gaps.
    pub seq: i64,
    /// When.
    pub at_ms: i64,
    /// What.
    pub event: Event,
}

/// The end of a run, as its worker has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Finish {
    /// How.
    pub outcome: Outcome,
    /// Why, in plain words.
    pub reason: String,
    /// The scorecard, where there is one.
    pub score: Option<ScoreRow>,
    /// What it left: blobs that are stored already.
    pub files: Vec<RunFile>,
}

/// A file that a run left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// Name: `report.json`, `evidence/index.json`, `evidence/integration/junit.xml`.
    pub name: String,
    /// Digest of its blob, `sha256:…`.
    pub digest: String,
    /// Its size.
    pub n_bytes: u64,
}

/// Which runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this assignment.
    pub assignment: Option<AssignmentId>,
    /// Of this exercise.
    pub exercise: Option<String>,
    /// In this state.
    pub state: Option<RunState>,
}

/// Numbers of the queue, for metrics and `doctor`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueNumbers {
    /// Runs that wait.
    pub n_queued: u64,
    /// Runs in a worker's hands.
    pub n_running: u64,
    /// When the oldest waiting run was queued.
    pub oldest_queued_at_ms: Option<i64>,
    /// Finished runs by name of their outcome.
    pub n_finished: Vec<(String, u64)>,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Somebody with an account.
    User(UserId),
    /// A candidate, by assignment: names do not belong into the trail.
    Candidate(AssignmentId),
    /// A forge, by connection.
    Forge(ConnectionId),
    /// Somebody with a share link, by token.
    Link(TokenId),
    /// The daemon or its command line on the host.
    System,
}

/// Who saw or did what. Holds ids only, never names or contents, so that erasing a candidate leaves it valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at_ms: i64,
    /// Who.
    pub actor: Actor,
    /// What, as a verb with a dot: `report.viewed`, `assignment.created`.
    pub action: String,
    /// On what: an id.
    pub subject: String,
    /// More, such as a new due date: short plain JSON without personal data.
    pub detail: serde_json::Value,
}

/// An entry in the trail. Each holds the hash of the one before, so that a gap or a change shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Counts from 1.
    pub seq: i64,
    /// What was said.
    pub entry: AuditEntry,
    /// SHA-256 over the previous hash and this entry's canonical JSON, hexadecimal.
    pub hash: String,
}

/// Which forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForgeKind {
    /// github.com or GitHub Enterprise Server.
    GitHub,
    /// gitlab.com or self-managed.
    GitLab,
    /// Gitea or Forgejo.
    Gitea,
    /// Bitbucket Cloud.
    Bitbucket,
    /// Bitbucket Data Center.
    BitbucketServer,
}

impl ForgeKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::GitHub,
        Self::GitLab,
        Self::Gitea,
        Self::Bitbucket,
        Self::BitbucketServer,
    ];

    /// The stable name, as in JSON and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea => "gitea",
            Self::Bitbucket => "bitbucket",
            Self::BitbucketServer => "bitbucketserver",
        }
    }
}

/// A forge that may trigger runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Id, in the webhook's address.
    pub id: ConnectionId,
    /// Which forge.
    pub forge: ForgeKind,
    /// Address of its pages and clones, `https://gitlab.example.org`.
    pub base_url: String,
    /// Address of its API.
    pub api_url: String,
    /// Exercise that its repositories answer.
    pub exercise: String,
    /// Track.
    pub track: String,
    /// Full names of repositories that may trigger, `*` as a wildcard within a part.
    pub repositories: Vec<String>,
    /// Webhook secrets, newest first (two while one is being replaced), and the API token: sealed by the server.
    pub sealed_secrets: Vec<u8>,
    /// When it was made.
    pub created_at_ms: i64,
    /// When it was switched off.
    pub disabled_at_ms: Option<i64>,
}

/// Something that is to be told to a forge, until it has been told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Id.
    pub id: i64,
    /// To whom.
    pub connection: ConnectionId,
    /// About which run.
    pub run: RunId,
    /// What: the server's own JSON.
    pub payload: serde_json::Value,
    /// How often it was tried.
    pub n_tries: u32,
    /// When it is tried next.
    pub next_at_ms: i64,
}
