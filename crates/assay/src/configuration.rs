//! The daemon's configuration: the documented defaults, then a file, then the environment, then flags.
//!
//! `configuration/default.toml` is the one place of keys, defaults and their documentation. Whatever is said elsewhere must
//! name one of its keys and have that key's type, so the file, the variables and the flags cannot drift apart.

mod layers;
mod oidc;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use assay_core::exercise::Limits;
use assay_core::units::{Bytes, Span};
use assay_core::yaml::Mistake;
use serde::{Deserialize, Deserializer};

use crate::exit::{Exit, Expected};

/// The defaults, with all that there is to know about them.
pub(crate) const DEFAULT: &str = include_str!("configuration/default.toml");

/// Where the file is looked for when nobody names one.
const PLACES: [&str; 2] = ["/etc/assay/assay.toml", "assay.toml"];

/// Largest file, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// What the operator decided. The keys are documented in `default.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    pub(crate) data: PathBuf,
    pub(crate) http: Http,
    pub(crate) store: StoreSection,
    pub(crate) exercises: ExercisesSection,
    pub(crate) limits: LimitsSection,
    pub(crate) engine: EngineSection,
    pub(crate) git: Git,
    pub(crate) worker: WorkerSection,
    pub(crate) oidc: oidc::OidcSection,
    pub(crate) log: Log,
    pub(crate) otlp: Otlp,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    #[serde(deserialize_with = "unless_empty")]
    pub(crate) public_url: Option<String>,
    pub(crate) behind_proxy: bool,
    pub(crate) drain: Span,
}

#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreSection {
    #[serde(deserialize_with = "unless_empty")]
    pub(crate) database: Option<String>,
    #[serde(deserialize_with = "unless_empty")]
    pub(crate) database_file: Option<PathBuf>,
}

/// The address may hold a password.
impl std::fmt::Debug for StoreSection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreSection").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExercisesSection {
    pub(crate) folder: PathBuf,
    pub(crate) runner_images: PathBuf,
}

/// The most that an exercise may allow candidate code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsSection {
    pub(crate) memory: Bytes,
    pub(crate) cpus: u32,
    pub(crate) pids: u32,
}

impl LimitsSection {
    pub(crate) fn most(&self) -> Limits {
        Limits {
            memory: self.memory,
            cpus: f64::from(self.cpus),
            pids: self.pids,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EngineSection {
    #[serde(deserialize_with = "unless_empty")]
    pub(crate) address: Option<String>,
    #[serde(deserialize_with = "unless_empty")]
    pub(crate) runtime: Option<String>,
    #[serde(deserialize_with = "unless_empty")]
    pub(crate) ca_bundle: Option<PathBuf>,
    #[serde(deserialize_with = "unless_empty")]
    pub(crate) advisories: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Git {
    pub(crate) max_push: Bytes,
    pub(crate) push_progress: Span,
    pub(crate) retention_days: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkerSection {
    pub(crate) enabled: bool,
    #[serde(deserialize_with = "unless_empty")]
    pub(crate) name: Option<String>,
    pub(crate) concurrency: u32,
    #[serde(deserialize_with = "unless_empty")]
    pub(crate) memory: Option<Bytes>,
    pub(crate) lease: Span,
    pub(crate) max_executions: u32,
    pub(crate) drain: Span,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) filter: String,
    pub(crate) format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Otlp {
    #[serde(deserialize_with = "unless_empty")]
    pub(crate) endpoint: Option<String>,
}

/// `""` is how a file says "not set".
fn unless_empty<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// Where the configuration comes from, as the command line says.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Configuration file; by default /etc/assay/assay.toml, else ./assay.toml, else none. `assay config` prints all keys.
    #[arg(long, env = "ASSAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override one key: `--set http.listen=0.0.0.0:8080`.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
    /// Short for `--set data=DIR`.
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("it looks like http.listen=0.0.0.0:8080")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

impl Configuration {
    /// Reads file, environment and flags.
    pub(crate) fn load(options: &Options) -> anyhow::Result<Self> {
        Self::try_load(options)?.map_err(|mistakes| refusal(&mistakes))
    }

    /// The same, for those who go on with the mistakes. The outer error: the file cannot be read.
    pub(crate) fn try_load(options: &Options) -> anyhow::Result<Result<Self, Vec<Mistake>>> {
        let file = match options.file() {
            Some(path) => Some((path.display().to_string(), read_file(&path)?)),
            None => None,
        };
        let mut flags = options.set.clone();
        flags.extend(options.data.clone().map(|data| ("data".to_owned(), data)));
        Ok(Self::from_layers(
            file.as_ref().map(|(name, text)| (name.as_str(), text.as_str())),
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
            flags,
        ))
    }

    /// Pure: what holds when these are said over the defaults. All mistakes at once.
    fn from_layers(
        file: Option<(&str, &str)>,
        variables: impl IntoIterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Vec<Mistake>> {
        let mut layers = layers::Layers::new(DEFAULT);
        if let Some((name, text)) = file {
            layers.add_file(name, text);
        }
        layers.add_variables(variables);
        layers.add_flags(flags);
        let configuration: Option<Self> = layers.read();
        if let Some(configuration) = &configuration {
            configuration.lint(&mut layers);
        }
        match configuration {
            Some(configuration) if layers.mistakes.is_empty() => Ok(configuration),
            _ => Err(layers.sorted_mistakes()),
        }
    }

    /// What no type can say.
    fn lint(&self, layers: &mut layers::Layers) {
        if let Some(url) = &self.http.public_url
            && (!(url.starts_with("http://") || url.starts_with("https://")) || url.ends_with('/'))
        {
            layers.mistake(
                "http.public_url",
                format!("`{url}` is not the address of a daemon"),
                "it begins with https:// (or http://) and ends without a slash",
            );
        }
        if self.store.database.is_some() && self.store.database_file.is_some() {
            layers.mistake(
                "store.database_file",
                "the database is named twice",
                "leave out store.database or store.database_file",
            );
        }
        if self.store.database.as_deref().is_some_and(has_password) && layers.is_in_file("store.database") {
            layers.mistake(
                "store.database",
                "a password stands in the file",
                "use the variable ASSAY_STORE_DATABASE, or a file of its own with store.database_file",
            );
        }
        if self.worker.max_executions == 0 {
            layers.mistake("worker.max_executions", "no run could ever begin", "1 or more");
        }
        if self.worker.lease < Span::seconds(5) {
            layers.mistake(
                "worker.lease",
                format!(
                    "{} is too short: a busy machine would lose its runs",
                    self.worker.lease
                ),
                "5s or more; the default is 60s",
            );
        }
        self.oidc.lint(layers);
        if tracing_subscriber::EnvFilter::try_new(&self.log.filter).is_err() {
            layers.mistake(
                "log.filter",
                format!("`{}` is not a filter", self.log.filter),
                "it looks like `info` or `warn,assay_engine=debug`",
            );
        }
        if self.otlp.endpoint.is_some() && !cfg!(feature = "otlp") {
            layers.mistake(
                "otlp.endpoint",
                "this program was built without OpenTelemetry",
                "build it with --features otlp",
            );
        }
    }

    /// Where people reach a daemon that listens there.
    pub(crate) fn public_url(&self, listen: SocketAddr) -> String {
        let own = || format!("http://{listen}");
        self.http.public_url.clone().unwrap_or_else(own)
    }

    /// Address of the database.
    pub(crate) fn database(&self) -> anyhow::Result<String> {
        match (&self.store.database, &self.store.database_file) {
            (Some(address), _) => Ok(address.clone()),
            (None, Some(path)) => Ok(std::fs::read_to_string(path)
                .with_context(|| format!("store.database_file {} cannot be read", path.display()))?
                .trim()
                .to_owned()),
            (None, None) => Ok(format!("sqlite:{}", self.data.join("assay.db").display())),
        }
    }
}

impl Options {
    fn file(&self) -> Option<PathBuf> {
        let usual = || PLACES.map(PathBuf::from).into_iter().find(|path| path.is_file());
        self.config.clone().or_else(usual)
    }
}

fn read_file(path: &Path) -> anyhow::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
        .with_context(|| format!("the configuration {} cannot be read", path.display()))
        .map_err(|error| Expected {
            exit: Exit::BadConfiguration,
            message: format!("{error:#}"),
        })?;
    Ok(text)
}

/// Whether an address such as `postgres://user:secret@host/name` holds a password.
fn has_password(address: &str) -> bool {
    let authority = address.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'))
        || address.contains("password=")
}

fn refusal(mistakes: &[Mistake]) -> anyhow::Error {
    let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    Expected {
        exit: Exit::BadConfiguration,
        message: format!("the configuration has mistakes\n{}", shown.join("\n")),
    }
    .into()
}

#[cfg(test)]
mod tests;
