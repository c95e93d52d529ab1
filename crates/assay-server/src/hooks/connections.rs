//! Connections to forges: made, given new secrets, switched off. For administrators; every change is in the audit trail.

use assay_core::id::ConnectionId;
use assay_engine::worker::Credentials;
use assay_git::Authorization;
use assay_store::model::{Actor, Connection, ForgeKind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::sealing::{CannotOpen, SealingKey};
use super::{address, forge};
use crate::desk::note;
use crate::{App, Problem};

/// Webhook secrets that hold at one time: the newest, and the one before while it is being replaced.
const MAX_SECRETS: usize = 2;
/// Shortest webhook secret that is taken, in bytes.
const MIN_SECRET: usize = 16;
/// Longest webhook secret or token, in bytes.
const MAX_SECRET: usize = 512;
/// Most patterns of one connection.
const MAX_PATTERNS: usize = 200;

/// What a connection must not hold openly. It is sealed in [`Connection::sealed_secrets`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Secrets {
    /// Webhook secrets, newest first.
    pub(crate) webhook: Vec<String>,
    /// The API's token; empty where repositories are public and nothing is told.
    pub(crate) token: String,
    /// Whether the forge may be in a private network.
    pub(crate) allow_private: bool,
}

impl Secrets {
    /// Opens a connection's.
    pub(crate) fn of(connection: &Connection, key: &SealingKey) -> Result<Self, CannotOpen> {
        let open = key.open(connection.id.as_str(), &connection.sealed_secrets)?;
        serde_json::from_slice(&open).map_err(|_| CannotOpen)
    }

    fn sealed(&self, id: &ConnectionId, key: &SealingKey) -> Result<Vec<u8>, Problem> {
        let open = serde_json::to_vec(self).map_err(|error| Problem::internal("sealing secrets", &error))?;
        key.seal(id.as_str(), &open, rand::random())
            .map_err(|error| Problem::internal("sealing secrets", &error))
    }
}

/// A connection to be made.
#[derive(Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConnection {
    /// Which forge: `github`, `gitlab`, `gitea` (also Forgejo), `bitbucket` or `bitbucketserver`.
    #[schema(value_type = String, example = "gitlab")]
    pub forge: ForgeKind,
    /// Address of its pages and clones, `https://gitlab.example.org`.
    pub base_url: String,
    /// Address of its API. None: where this kind of forge has it.
    pub api_url: Option<String>,
    /// Exercise that its repositories answer.
    pub exercise: String,
    /// Track.
    pub track: String,
    /// Full names of repositories that may trigger, `*` as a wildcard within a part: `acme/task-*`.
    pub repositories: Vec<String>,
    /// Token for its API: may read the repositories, set statuses and comment. None: public repositories, nothing is told.
    pub token: Option<String>,
    /// Webhook secret, where the forge draws it. None: it is drawn here.
    pub secret: Option<String>,
    /// Whether the forge may be in a private network, and without https. Default: no.
    #[serde(default)]
    pub allow_private: bool,
}

/// What is shown of a connection's secret, once.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Hooked {
    /// Id of the connection.
    #[schema(value_type = String)]
    pub id: ConnectionId,
    /// The address to enter at the forge.
    pub hook_url: String,
    /// The secret to enter there.
    pub secret: String,
}

/// The address that a connection's hooks go to.
pub fn hook_url(app: &App, id: &ConnectionId) -> String {
    format!("{}/hooks/{id}", app.settings().public_url)
}

/// Makes a connection.
///
/// # Errors
/// 400 when something of it cannot be used.
pub async fn create(app: &App, by: &Actor, new: NewConnection) -> Result<Hooked, Problem> {
    let base_url = checked(&new.base_url, new.allow_private)?;
    let api_url = match &new.api_url {
        Some(url) => checked(url, new.allow_private)?,
        None => usual_api(new.forge, &base_url),
    };
    let folder = app
        .exercises()
        .get(&new.exercise)
        .ok_or_else(|| Problem::bad_request(format!("There is no exercise `{}`.", new.exercise)))?;
    if !folder.spec.tracks.contains_key(&new.track) {
        let detail = format!("The exercise `{}` has no track `{}`.", new.exercise, new.track);
        return Err(Problem::bad_request(detail));
    }
    let plain = |pattern: &String| super::repository::is_full_name(&pattern.replace('*', "x"));
    if new.repositories.is_empty()
        || new.repositories.len() > MAX_PATTERNS
        || !new.repositories.iter().all(plain)
    {
        let detail = format!("Name 1 to {MAX_PATTERNS} repositories, such as `acme/task-*`.");
        return Err(Problem::bad_request(detail));
    }
    let id = ConnectionId::from_random(rand::random());
    let secret = accepted(new.forge, new.secret)?;
    let secrets = Secrets {
        webhook: vec![secret.clone()],
        token: token(new.token.unwrap_or_default())?,
        allow_private: new.allow_private,
    };
    let connection = Connection {
        id: id.clone(),
        forge: new.forge,
        base_url,
        api_url,
        exercise: new.exercise,
        track: new.track,
        repositories: new.repositories,
        sealed_secrets: secrets.sealed(&id, &app.settings().key)?,
        created_at_ms: app.now_ms(),
        disabled_at_ms: None,
    };
    app.store().create_connection(&connection).await?;
    note(
        app,
        by,
        "connection.created",
        id.as_str(),
        json!({ "forge": new.forge.name() }),
    )
    .await?;
    Ok(Hooked {
        hook_url: hook_url(app, &id),
        id,
        secret,
    })
}

/// Gives a connection a new webhook secret. The one before still holds, so that no hook is lost until the forge knows the new
/// one; after a second call it holds no more.
///
/// # Errors
/// 404 when there is no such connection, 400 when the given secret is too short.
pub async fn rotate(
    app: &App,
    by: &Actor,
    id: &ConnectionId,
    secret: Option<String>,
) -> Result<Hooked, Problem> {
    let connection = found(app, id).await?;
    let secret = accepted(connection.forge, secret)?;
    let mut secrets = opened(app, &connection)?;
    secrets.webhook.insert(0, secret.clone());
    secrets.webhook.truncate(MAX_SECRETS);
    keep(app, id, &secrets).await?;
    note(app, by, "connection.rotated", id.as_str(), Value::Null).await?;
    Ok(Hooked {
        id: id.clone(),
        hook_url: hook_url(app, id),
        secret,
    })
}

/// Ends a rotation: only the newest webhook secret holds.
///
/// # Errors
/// 404 when there is no such connection.
pub async fn drop_old_secret(app: &App, by: &Actor, id: &ConnectionId) -> Result<(), Problem> {
    let connection = found(app, id).await?;
    let mut secrets = opened(app, &connection)?;
    secrets.webhook.truncate(1);
    keep(app, id, &secrets).await?;
    note(app, by, "connection.old_secret_dropped", id.as_str(), Value::Null).await
}

/// Replaces the token for the forge's API.
///
/// # Errors
/// 404 when there is no such connection, 400 when the token cannot be one.
pub async fn set_token(app: &App, by: &Actor, id: &ConnectionId, new: String) -> Result<(), Problem> {
    let connection = found(app, id).await?;
    let mut secrets = opened(app, &connection)?;
    secrets.token = token(new)?;
    keep(app, id, &secrets).await?;
    note(app, by, "connection.token_set", id.as_str(), Value::Null).await
}

/// Switches a connection off, or on again. Off: its hooks get 404, nothing is fetched and nothing is told.
///
/// # Errors
/// 404 when there is no such connection.
pub async fn set_disabled(app: &App, by: &Actor, id: &ConnectionId, disabled: bool) -> Result<(), Problem> {
    let at_ms = disabled.then(|| app.now_ms());
    app.store().set_connection_disabled(id, at_ms).await?;
    let action = if disabled {
        "connection.disabled"
    } else {
        "connection.enabled"
    };
    note(app, by, action, id.as_str(), Value::Null).await
}

impl Credentials for SealingKey {
    fn authorization(&self, connection: &Connection) -> Result<Option<Authorization>, String> {
        let secrets = Secrets::of(connection, self).map_err(|error| error.to_string())?;
        if secrets.token.is_empty() {
            return Ok(None);
        }
        let value = forge::fetch_authorization(connection.forge, &secrets.token);
        Ok(Authorization::new(&value))
    }
}

fn checked(url: &str, allow_private: bool) -> Result<String, Problem> {
    address::check(url, allow_private).map_err(|error| Problem::bad_request(error.to_string()))
}

fn usual_api(forge: ForgeKind, base_url: &str) -> String {
    match forge {
        ForgeKind::GitHub if base_url == "https://github.com" => "https://api.github.com".into(),
        ForgeKind::GitHub => format!("{base_url}/api/v3"),
        ForgeKind::GitLab => format!("{base_url}/api/v4"),
        ForgeKind::Gitea => format!("{base_url}/api/v1"),
        ForgeKind::Bitbucket if base_url == "https://bitbucket.org" => "https://api.bitbucket.org/2.0".into(),
        ForgeKind::Bitbucket => format!("{base_url}/2.0"),
        ForgeKind::BitbucketServer => format!("{base_url}/rest"),
    }
}

/// A webhook secret: the given one, or one that is drawn. GitLab's signing keys have a form of their own.
fn accepted(forge: ForgeKind, given: Option<String>) -> Result<String, Problem> {
    match given {
        Some(secret) if (MIN_SECRET..=MAX_SECRET).contains(&secret.len()) => Ok(secret),
        Some(_) => Err(Problem::bad_request(format!(
            "A webhook secret has {MIN_SECRET} to {MAX_SECRET} bytes."
        ))),
        None => {
            let text = BASE64.encode(rand::random::<[u8; 32]>());
            Ok(match forge {
                ForgeKind::GitLab => format!("whsec_{text}"),
                _ => text,
            })
        }
    }
}

fn token(token: String) -> Result<String, Problem> {
    if token.len() > MAX_SECRET || !token.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Problem::bad_request(
            "The token for the forge's API cannot be one.",
        ));
    }
    Ok(token)
}

async fn found(app: &App, id: &ConnectionId) -> Result<Connection, Problem> {
    let connection = app.store().connection(id).await?;
    connection.ok_or_else(|| Problem::not_found("connection"))
}

fn opened(app: &App, connection: &Connection) -> Result<Secrets, Problem> {
    Secrets::of(connection, &app.settings().key)
        .map_err(|error| Problem::internal("opening a connection's secrets", &error))
}

async fn keep(app: &App, id: &ConnectionId, secrets: &Secrets) -> Result<(), Problem> {
    let sealed = secrets.sealed(id, &app.settings().key)?;
    Ok(app.store().set_connection_secrets(id, &sealed).await?)
}
