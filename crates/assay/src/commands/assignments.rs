//! `assay invite`, `assignments`, `extend`, `close`: assignments of a daemon.

use assay_core::id::AssignmentId;
use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::due::Due;
use super::runs::{Run, score};
use crate::exit::{Exit, Expected};
use crate::local_account::now_ms;
use crate::progress;
use crate::remote::{Server, query};

#[derive(Debug, Args)]
pub(crate) struct Invite {
    /// Slug of the exercise.
    #[arg(long)]
    exercise: String,
    /// The candidate's name.
    #[arg(long)]
    candidate: String,
    /// The candidate's address, for your own use: Assay sends no mail.
    #[arg(long)]
    email: Option<String>,
    /// Track; may be left out when the exercise has only one.
    #[arg(long)]
    track: Option<String>,
    /// Last moment for a push: `2026-12-24` (the end of that day, UTC), `2026-12-24T18:00:00+01:00` or `+7d`.
    #[arg(long)]
    due: Option<Due>,
    /// How many submissions are checked; by default as the exercise says.
    #[arg(long, value_name = "N")]
    attempts: Option<u32>,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this exercise.
    #[arg(long)]
    exercise: Option<String>,
    /// Only those in this state: open, closed, archived or erased.
    #[arg(long)]
    state: Option<String>,
    /// Only those whose candidate's name or id contains this.
    #[arg(long)]
    text: Option<String>,
    /// In which order: newest, candidate, score or activity.
    #[arg(long)]
    sort: Option<String>,
    /// Print the rows as one JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Extend {
    /// Id of the assignment.
    assignment: AssignmentId,
    /// New last moment for a push, as for `invite`; `none` takes an extension back.
    #[arg(long)]
    due: Option<String>,
    /// New number of submissions that are checked; `none` lifts the limit.
    #[arg(long, value_name = "N")]
    attempts: Option<String>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Close {
    /// Id of the assignment.
    assignment: AssignmentId,
    #[command(flatten)]
    server: Server,
}

/// As far as it is shown.
#[derive(Debug, Deserialize)]
struct Assignment {
    id: String,
    exercise: String,
    track: String,
    candidate: Option<String>,
    state: String,
    attempts: Option<u32>,
    attempts_used: u32,
    due_at_ms: Option<i64>,
    latest: Option<Run>,
}

#[derive(Debug, Deserialize)]
struct Invited {
    assignment: Assignment,
    clone_url: String,
    clone_token: Option<String>,
    page_url: Option<String>,
}

pub(crate) async fn invite(arguments: &Invite) -> anyhow::Result<Exit> {
    let client = arguments.server.connect()?;
    let mut body = json!({ "exercise": arguments.exercise, "candidate": arguments.candidate });
    for (name, value) in [
        ("email", arguments.email.clone().map(Value::from)),
        ("track", arguments.track.clone().map(Value::from)),
        ("due_at_ms", arguments.due.map(|due| due.at_ms(now_ms()).into())),
        ("attempts", arguments.attempts.map(Value::from)),
    ] {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    let answer: Value = client.send(Method::POST, "/api/v1/assignments", &body).await?;
    if arguments.json {
        progress::say(&serde_json::to_string_pretty(&answer)?);
        return Ok(Exit::Done);
    }
    let invited: Invited = serde_json::from_value(answer)?;
    progress::say(&format!("assignment {}", described(&invited.assignment)));
    progress::say(&format!("clone      git clone {}", invited.clone_url));
    if let (Some(token), Some(page)) = (invited.clone_token, invited.page_url) {
        progress::say(&format!(
            "token      {token}   (the password that git asks for, user name `git`)"
        ));
        progress::say(&format!("page       {page}"));
        progress::say("Token and page are shown this once.");
    }
    Ok(Exit::Done)
}

pub(crate) async fn list(arguments: &List) -> anyhow::Result<Exit> {
    let client = arguments.server.connect()?;
    let path = query(
        "/api/v1/assignments",
        &[
            ("exercise", &arguments.exercise),
            ("state", &arguments.state),
            ("text", &arguments.text),
            ("sort", &arguments.sort),
        ],
    );
    let rows = client.rows(&path).await?;
    if arguments.json {
        progress::say(&serde_json::to_string_pretty(&rows)?);
        return Ok(Exit::Done);
    }
    for row in rows {
        progress::say(&described(&serde_json::from_value(row)?));
    }
    Ok(Exit::Done)
}

pub(crate) async fn extend(arguments: &Extend) -> anyhow::Result<Exit> {
    let mut change = json!({});
    if let Some(due) = &arguments.due {
        change["extended_to_ms"] = match due.as_str() {
            "none" => Value::Null,
            due => due.parse::<Due>().map_err(bad)?.at_ms(now_ms()).into(),
        };
    }
    if let Some(attempts) = &arguments.attempts {
        change["attempts"] = match attempts.as_str() {
            "none" => Value::Null,
            n => n
                .parse::<u32>()
                .map_err(|error| bad(format!("`{n}` attempts: {error}")))?
                .into(),
        };
    }
    if change == json!({}) {
        return Err(bad("nothing is to be changed (hint: name --due or --attempts)".to_owned()).into());
    }
    change_assignment(&arguments.server, &arguments.assignment, &change).await
}

pub(crate) async fn close(arguments: &Close) -> anyhow::Result<Exit> {
    let change = json!({ "state": "closed" });
    change_assignment(&arguments.server, &arguments.assignment, &change).await
}

async fn change_assignment(server: &Server, id: &AssignmentId, change: &Value) -> anyhow::Result<Exit> {
    let client = server.connect()?;
    let path = format!("/api/v1/assignments/{id}");
    let changed: Assignment = client.send(Method::PATCH, &path, change).await?;
    progress::say(&described(&changed));
    Ok(Exit::Done)
}

fn bad(message: String) -> Expected {
    Expected {
        exit: Exit::BadConfiguration,
        message,
    }
}

fn described(assignment: &Assignment) -> String {
    let attempts = match assignment.attempts {
        Some(of) => format!("{} of {of} attempts", assignment.attempts_used),
        None => format!("{} attempts", assignment.attempts_used),
    };
    let mut text = format!(
        "{}  {:<6}  {}/{}  {}  {attempts}",
        assignment.id,
        assignment.state,
        assignment.exercise,
        assignment.track,
        assignment.candidate.as_deref().unwrap_or("(erased)"),
    );
    if let Some(due) = assignment.due_at_ms {
        text += &format!("  due {}", super::due::shown(due));
    }
    if let Some(run) = &assignment.latest {
        text += &format!("  {}", score(run));
    }
    text
}
