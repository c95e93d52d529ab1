//! `assay connect`: a daemon's connections to forges.

use std::path::PathBuf;

use anyhow::Context;
use assay_core::id::ConnectionId;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::progress;
use crate::remote::{Client, Server};

const PATH: &str = "/api/v1/connections";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Connect a forge. Prints the address and the secret to enter there as a webhook; the secret is shown this once.
    Add(Add),
    /// List the connections.
    List(List),
    /// Draw a new webhook secret. The one before still holds until `--drop-old`.
    Secret(Secret),
    /// Replace the token for the forge's API.
    Token(Token),
    /// Switch a connection off: its hooks get 404, nothing is fetched and nothing is told. What it brought stays.
    Remove(One),
    /// Switch a connection on again.
    Restore(One),
}

/// Kinds of forges.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Forge {
    /// github.com or GitHub Enterprise Server.
    Github,
    /// gitlab.com or self-managed.
    Gitlab,
    /// Gitea or Forgejo.
    Gitea,
    /// Bitbucket Cloud.
    Bitbucket,
    /// Bitbucket Data Center.
    Bitbucketserver,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Which kind of forge.
    #[arg(long, value_enum)]
    forge: Forge,
    /// Address of its pages and clones, such as `https://gitlab.example.org`.
    #[arg(long, value_name = "URL")]
    base_url: String,
    /// Address of its API; by default where this kind of forge has it.
    #[arg(long, value_name = "URL")]
    api_url: Option<String>,
    /// Slug of the exercise that its repositories answer.
    #[arg(long)]
    exercise: String,
    /// Track.
    #[arg(long)]
    track: String,
    /// Full name of a repository that may trigger, with `*` as a wildcard: `hiring/task-*`. May be said several times.
    #[arg(long = "repository", value_name = "NAME", required = true)]
    repositories: Vec<String>,
    /// File with a token for the forge's API: may read the repositories, set statuses and comment. Without one, only public
    /// repositories are read, and nothing is told.
    #[arg(long, value_name = "FILE")]
    forge_token_file: Option<PathBuf>,
    /// The forge is in a private network, or without https.
    #[arg(long)]
    allow_private: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Print the rows as one JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Secret {
    /// Id of the connection.
    connection: ConnectionId,
    /// Do not draw one: end the time in which the one before still holds.
    #[arg(long)]
    drop_old: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Id of the connection.
    connection: ConnectionId,
    /// File with the token.
    #[arg(long, value_name = "FILE")]
    forge_token_file: PathBuf,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// Id of the connection.
    connection: ConnectionId,
    #[command(flatten)]
    server: Server,
}

/// As far as it is shown.
#[derive(Debug, Deserialize)]
struct Connection {
    id: String,
    forge: String,
    base_url: String,
    exercise: String,
    track: String,
    repositories: Vec<String>,
    disabled_at_ms: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Hooked {
    id: String,
    hook_url: String,
    secret: String,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Add(arguments) => add(&arguments).await?,
        Command::List(arguments) => list(&arguments).await?,
        Command::Secret(arguments) => secret(&arguments).await?,
        Command::Token(arguments) => {
            let change = json!({ "token": read(&arguments.forge_token_file)? });
            change_one(&arguments.server.connect()?, &arguments.connection, &change).await?;
        }
        Command::Remove(one) => {
            change_one(
                &one.server.connect()?,
                &one.connection,
                &json!({ "disabled": true }),
            )
            .await?;
        }
        Command::Restore(one) => {
            change_one(
                &one.server.connect()?,
                &one.connection,
                &json!({ "disabled": false }),
            )
            .await?;
        }
    }
    Ok(Exit::Done)
}

async fn add(arguments: &Add) -> anyhow::Result<()> {
    let forge = arguments.forge.to_possible_value();
    let token = match &arguments.forge_token_file {
        Some(path) => Some(read(path)?),
        None => None,
    };
    let body = json!({
        "forge": forge.as_ref().map(|forge| forge.get_name()),
        "base_url": arguments.base_url,
        "api_url": arguments.api_url,
        "exercise": arguments.exercise,
        "track": arguments.track,
        "repositories": arguments.repositories,
        "token": token,
        "allow_private": arguments.allow_private,
    });
    let answer: Value = arguments
        .server
        .connect()?
        .send(Method::POST, PATH, &body)
        .await?;
    if arguments.json {
        progress::say(&serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    tell(&serde_json::from_value(answer)?);
    Ok(())
}

fn tell(hooked: &Hooked) {
    progress::say(&format!("connection {}", hooked.id));
    progress::say(&format!("hook       {}", hooked.hook_url));
    progress::say(&format!("secret     {}", hooked.secret));
    progress::say(
        "Enter both at the forge as a webhook for pushes, tags and pull or merge requests, as JSON. The secret is shown this once.",
    );
}

async fn list(arguments: &List) -> anyhow::Result<()> {
    let answer: Value = arguments.server.connect()?.get(PATH).await?;
    let rows = answer["rows"].clone();
    if arguments.json {
        progress::say(&serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    let connections: Vec<Connection> = serde_json::from_value(rows)?;
    for connection in &connections {
        progress::say(&described(connection));
    }
    Ok(())
}

async fn secret(arguments: &Secret) -> anyhow::Result<()> {
    let client = arguments.server.connect()?;
    let of = format!("{PATH}/{}", arguments.connection);
    if arguments.drop_old {
        let _: Value = client
            .send(Method::DELETE, &format!("{of}/old-secret"), &json!({}))
            .await?;
        progress::say("Only the newest secret holds now.");
    } else {
        tell(
            &client
                .send(Method::POST, &format!("{of}/secret"), &json!({}))
                .await?,
        );
    }
    Ok(())
}

async fn change_one(client: &Client, id: &ConnectionId, change: &Value) -> anyhow::Result<()> {
    let changed: Connection = client
        .send(Method::PATCH, &format!("{PATH}/{id}"), change)
        .await?;
    progress::say(&described(&changed));
    Ok(())
}

fn read(path: &std::path::Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the forge's token cannot be read from {}", path.display()))?;
    Ok(text.trim().to_owned())
}

fn described(connection: &Connection) -> String {
    let state = if connection.disabled_at_ms.is_some() {
        "off"
    } else {
        "on"
    };
    format!(
        "{}  {state:<3}  {}  {}  {}/{}  {}",
        connection.id,
        connection.forge,
        connection.base_url,
        connection.exercise,
        connection.track,
        connection.repositories.join(" "),
    )
}
