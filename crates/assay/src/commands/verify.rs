//! `assay verify`: whether a report is the one that was signed. It asks no server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use assay_core::attestation::{Link, Refusal, chain, digest};
use assay_core::report::Report;
use assay_store::signing::PublicKey;
use clap::Args;

use super::{attest, output};
use crate::exit::{Exit, Expected};
use crate::key_folder::{self, KeyFolder};
use crate::progress;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The `report.json`, or the folder that it is in.
    #[arg(required_unless_present = "chain")]
    report: Option<PathBuf>,
    /// What was signed about it; by default the `attestation.dsse.json` beside it.
    #[arg(long, value_name = "FILE")]
    attestation: Option<PathBuf>,
    /// Public keys (PEM) that are trusted; by default the user's own. `assay key show` prints an installation's, and so does its
    /// address `/.well-known/assay-keys.pem`.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Folder with the evidence, which must be all there; by default `evidence` beside the report, where there is one.
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// All that was signed about an assignment, one envelope in each line, oldest first: it must be a whole chain, and have the
    /// report in it where one is named. `/api/v1/assignments/ID/attestations` gives it.
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let keys = keys(&arguments.key)?;
    let report = match &arguments.report {
        Some(path) => Some(verify_report(path, arguments, &keys)?),
        None => None,
    };
    if let Some(path) = &arguments.chain {
        let links = read_chain(path, &keys)?;
        if let Some(link) = report
            && !links.contains(&link)
        {
            return Err(refused("the report is not in this chain"));
        }
        let without = links.iter().filter(|link| link.report.is_none()).count();
        progress::say(&format!(
            "the chain is whole: {} of {}, each signed and each after the one before; {without} of runs that ended without a score",
            match links.len() {
                1 => "1 link".to_owned(),
                n => format!("{n} links"),
            },
            links.first().map_or("nothing", |link| &link.manifest.chain)
        ));
    }
    Ok(Exit::Done)
}

fn verify_report(path: &Path, arguments: &Arguments, keys: &[PublicKey]) -> anyhow::Result<Link> {
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    let folder = folder.unwrap_or(Path::new("."));
    let file = if path.is_dir() {
        path.join("report.json")
    } else {
        path.to_owned()
    };
    let bytes = std::fs::read(&file).map_err(|error| unreadable(&file, &error))?;
    let envelope = match &arguments.attestation {
        Some(envelope) => envelope.clone(),
        None => folder.join(attest::FILE),
    };
    let envelope = std::fs::read(&envelope).map_err(|error| unreadable(&envelope, &error))?;
    let link = Link::open(&envelope, keys).map_err(refusal)?;
    link.fits(&bytes).map_err(refusal)?;
    let (report, _) = output::read(&file)?;
    let beside = folder.join("evidence");
    let evidence = arguments
        .evidence
        .as_deref()
        .or(beside.is_dir().then_some(&*beside));
    if let Some(evidence) = evidence {
        let mut there = BTreeSet::new();
        digests(evidence, &mut there)?;
        link.rests_on(&there).map_err(|error| named(error, &report))?;
    }
    progress::say(&described(&link, &report, evidence.is_some()));
    Ok(link)
}

/// What is now known, in a few lines.
fn described(link: &Link, report: &Report, with_evidence: bool) -> String {
    let manifest = &link.manifest;
    let at =
        |ms: i64| jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| at.to_string());
    let points = match &manifest.score {
        Some(score) => format!("{} of {}", score.total, score.max),
        None => "none".to_owned(),
    };
    let mut lines = vec![
        format!(
            "verified: this is the report that was signed by the key {}",
            link.key
        ),
        format!(
            "  score     {points}, scorecard {} of run {}",
            manifest.scorecard, manifest.run
        ),
        format!("  exercise  {} {}", manifest.exercise, manifest.exercise_digest),
        format!("  commit    {}", report.submission.commit),
        format!("  tree      {}", tree(report)),
        format!("  received  {}", at(manifest.received_at_ms)),
        format!("  signed    {}", at(manifest.signed_at_ms)),
        format!("  chain     link {} of {}", manifest.link, manifest.chain),
    ];
    if with_evidence {
        lines.push(format!(
            "  evidence  {} files, all as they were signed",
            manifest.evidence.len()
        ));
    }
    lines.join("\n")
}

fn tree(report: &Report) -> &str {
    match report.submission.tree.as_str() {
        "" => "not kept by the version that wrote this report",
        tree => tree,
    }
}

fn read_chain(path: &Path, keys: &[PublicKey]) -> anyhow::Result<Vec<Link>> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    let links: Vec<Link> = text
        .lines()
        .map(|line| Link::open(line.as_bytes(), keys).map_err(refusal))
        .collect::<Result<_, _>>()?;
    if links.is_empty() {
        return Err(Expected {
            exit: Exit::NothingToRun,
            message: format!("{} holds nothing that was signed", path.display()),
        }
        .into());
    }
    chain::verify(&links).map_err(refusal)?;
    Ok(links)
}

/// The keys that are trusted.
fn keys(given: &[PathBuf]) -> anyhow::Result<Vec<PublicKey>> {
    let wrong = |message: String| Expected {
        exit: Exit::BadConfiguration,
        message,
    };
    let mut keys = Vec::new();
    for path in given {
        keys.extend(key_folder::public_keys(path).map_err(|error| wrong(format!("{error:#}")))?);
    }
    if keys.is_empty()
        && let Some(own) = KeyFolder::of_user()
            .map(|folder| folder.read())
            .transpose()?
            .flatten()
    {
        keys = own.known;
    }
    if keys.is_empty() {
        let message = "there is no key to verify with (hint: name the installation's public key with --key; `assay key show` \
                       prints it there, and its address /.well-known/assay-keys.pem does)";
        return Err(wrong(message.to_owned()).into());
    }
    Ok(keys)
}

/// Digests of all files in a folder.
fn digests(folder: &Path, there: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            digests(&path, there)?;
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            there.insert(digest(&bytes));
        }
    }
    Ok(())
}

/// A refusal that names the evidence as people know it.
fn named(error: Refusal, report: &Report) -> anyhow::Error {
    let Refusal::Evidence(digest) = &error else {
        return refusal(error);
    };
    let names: BTreeMap<&str, &str> = report
        .digests
        .iter()
        .map(|(name, digest)| (digest.as_str(), name.as_str()))
        .collect();
    let name = names
        .get(digest.as_str())
        .copied()
        .unwrap_or("evidence/index.json");
    refused(&format!("{name}: {error}"))
}

fn refusal(error: Refusal) -> anyhow::Error {
    let hint = match &error {
        Refusal::OtherKey(_) => {
            " (hint: if you trust that installation, name its public key with --key; `assay key show` prints it there)"
        }
        _ => "",
    };
    refused(&format!("{error}{hint}"))
}

fn refused(why: &str) -> anyhow::Error {
    Expected {
        exit: Exit::GateFailed,
        message: format!("not verified: {why}"),
    }
    .into()
}

fn unreadable(path: &Path, error: &std::io::Error) -> anyhow::Error {
    Expected {
        exit: Exit::BadConfiguration,
        message: format!("{} cannot be read: {error}", path.display()),
    }
    .into()
}

#[cfg(test)]
mod tests;
