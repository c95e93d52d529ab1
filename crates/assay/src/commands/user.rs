//! `assay user`: accounts, straight in the database, with or without a running daemon.

use anyhow::Context;
use assay_core::id::UserId;
use assay_server::auth::password;
use assay_store::Store;
use assay_store::model::{Actor, AuditEntry, Role, TokenKind, User};
use clap::{Args, Subcommand, ValueEnum};

use super::backup;
use crate::configuration::{Configuration, Options};
use crate::data_folder::DataFolder;
use crate::exit::{Exit, Expected};
use crate::local_account::now_ms;
use crate::progress;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an account. Its password is drawn and printed once.
    Add(Add),
    /// Give an account a new password, printed once; whoever is signed in by it is signed out.
    Password(Named),
    /// Switch an account off; its sessions and tokens open nothing any more.
    Disable(Named),
    /// Switch it on again.
    Enable(Named),
    /// List the accounts.
    List(List),
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Name at sign-in: lower case.
    login: String,
    /// Name for people; by default the login.
    #[arg(long)]
    name: Option<String>,
    /// What they may do.
    #[arg(long, value_enum, default_value = "interviewer")]
    role: RoleArgument,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Name at sign-in.
    login: String,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    options: Options,
}

/// [`Role`], for clap.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArgument {
    /// Reads assignments and reports.
    Viewer,
    /// Invites, extends, re-runs, cancels, too.
    Interviewer,
    /// Accounts, connections, erasure, the audit trail, too.
    Admin,
}

impl From<RoleArgument> for Role {
    fn from(role: RoleArgument) -> Self {
        match role {
            RoleArgument::Viewer => Self::Viewer,
            RoleArgument::Interviewer => Self::Interviewer,
            RoleArgument::Admin => Self::Admin,
        }
    }
}

pub(crate) async fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Add(arguments) => add(arguments).await?,
        Command::Password(named) => {
            let (store, user) = find(&named).await?;
            let (password, hash) = draw_password()?;
            store.set_password(&user.id, Some(hash)).await?;
            store
                .revoke_tokens_of(TokenKind::Session, user.id.as_str(), now_ms())
                .await?;
            note(&store, "user.password_set", &user.id).await?;
            progress::say(&format!("the new password of {} is {password}", user.login));
        }
        Command::Disable(named) => set_disabled(&named, Some(now_ms())).await?,
        Command::Enable(named) => set_disabled(&named, None).await?,
        Command::List(arguments) => {
            let store = open(&arguments.options).await?;
            for user in store.users().await? {
                let role = format!("{:?}", user.role).to_lowercase();
                let state = if user.disabled_at_ms.is_some() {
                    "disabled"
                } else {
                    ""
                };
                progress::say(&format!(
                    "{:<20} {role:<12} {:<30} {state}",
                    user.login, user.name
                ));
            }
        }
    }
    Ok(Exit::Done)
}

async fn add(arguments: Add) -> anyhow::Result<()> {
    let is_login = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._@-".contains(c);
    if arguments.login.is_empty() || !arguments.login.chars().all(is_login) {
        return Err(Expected {
            exit: Exit::BadConfiguration,
            message: format!(
                "`{}` is not a login (hint: lower-case letters, digits and . _ @ -)",
                arguments.login
            ),
        }
        .into());
    }
    let store = open(&arguments.options).await?;
    let (password, password_hash) = draw_password()?;
    let user = User {
        id: UserId::from_random(rand::random()),
        name: arguments.name.unwrap_or_else(|| arguments.login.clone()),
        login: arguments.login,
        password_hash: Some(password_hash),
        oidc_subject: None,
        role: arguments.role.into(),
        created_at_ms: now_ms(),
        disabled_at_ms: None,
    };
    store.create_user(&user).await?;
    note(&store, "user.created", &user.id).await?;
    progress::say(&format!("{} may sign in; the password is {password}", user.login));
    Ok(())
}

async fn set_disabled(named: &Named, at_ms: Option<i64>) -> anyhow::Result<()> {
    let (store, user) = find(named).await?;
    store.set_disabled(&user.id, at_ms).await?;
    let (action, said) = match at_ms {
        Some(at_ms) => {
            for kind in [TokenKind::Session, TokenKind::Api] {
                store.revoke_tokens_of(kind, user.id.as_str(), at_ms).await?;
            }
            ("user.disabled", "disabled")
        }
        None => ("user.enabled", "enabled"),
    };
    note(&store, action, &user.id).await?;
    progress::say(&format!("{} is {said}", user.login));
    Ok(())
}

async fn open(options: &Options) -> anyhow::Result<Store> {
    let configuration = Configuration::load(options)?;
    let data = DataFolder::open(&configuration.data)?;
    let store = backup::open(&configuration, &data).await?;
    store
        .migrate()
        .await
        .context("the database cannot be brought up to date")?;
    Ok(store)
}

async fn find(named: &Named) -> anyhow::Result<(Store, User)> {
    let store = open(&named.options).await?;
    match store.user_by_login(&named.login).await? {
        Some(user) => Ok((store, user)),
        None => Err(Expected {
            exit: Exit::NothingToRun,
            message: format!("nobody has the login `{}`", named.login),
        }
        .into()),
    }
}

/// 80 random bits, and what is stored of them.
fn draw_password() -> anyhow::Result<(String, String)> {
    let password = assay_core::id::from_random(rand::random());
    let hash = password::hash(&password)?;
    Ok((password, hash))
}

async fn note(store: &Store, action: &str, user: &UserId) -> anyhow::Result<()> {
    let entry = AuditEntry {
        at_ms: now_ms(),
        actor: Actor::System,
        action: action.to_owned(),
        subject: user.as_str().to_owned(),
        detail: serde_json::json!({}),
    };
    Ok(store.audit(&entry).await?)
}
