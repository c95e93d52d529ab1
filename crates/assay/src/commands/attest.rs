//! Signing what the command line assessed, with the user's own key.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use assay_core::attestation::{Basis, Link, Manifest, digest};
use assay_core::report::Report;
use assay_engine::evidence_files;
use assay_store::signing::Keys;

use crate::exit::{Exit, Expected};
use crate::key_folder::{self, KeyFolder};
use crate::{local_account, progress};

/// The attestation, beside the report.
pub(crate) const FILE: &str = "attestation.dsse.json";

/// Whether the key that is named can sign, before anything is begun.
pub(crate) fn check_key(key: Option<&Path>) -> anyhow::Result<()> {
    let Some(key) = key else { return Ok(()) };
    match key_folder::signing_key(key) {
        Ok(_) => Ok(()),
        Err(error) => Err(Expected {
            exit: Exit::BadConfiguration,
            message: format!("{error:#}"),
        }
        .into()),
    }
}

/// Signs the `report.json` in a folder, where there is one. A report that was computed again goes on from the one before, whose
/// attestation is kept beside it. Gives the file.
pub(crate) fn sign(
    report: &Report,
    scoring_digest: &str,
    out: &Path,
    key: Option<&Path>,
) -> anyhow::Result<Option<PathBuf>> {
    let path = out.join("report.json");
    let Ok(bytes) = std::fs::read(&path) else {
        return Ok(None);
    };
    let keys = match (key, KeyFolder::of_user()) {
        (Some(key), _) => Keys::new(key_folder::signing_key(key)?, []),
        (None, Some(folder)) => folder.read_or_make()?,
        (None, None) => {
            progress::complain("not signed: there is no home for a key (hint: name one with --key)");
            return Ok(None);
        }
    };
    let path = out.join(FILE);
    let last = last(&path, report, &keys);
    let now_ms = local_account::now_ms();
    let basis = Basis {
        chain: report.run.id.clone(),
        run: report.run.id.clone(),
        scorecard: last.as_ref().map_or(1, |last| last.manifest.scorecard + 1),
        received_at_ms: i64::try_from(report.run.started_at_ms).unwrap_or(i64::MAX),
        signed_at_ms: now_ms,
        scoring_digest: scoring_digest.to_owned(),
        evidence: evidence(report, out)?,
    };
    if let Some(last) = &last {
        let kept = out.join(format!("attestation.{}.dsse.json", last.manifest.link));
        std::fs::rename(&path, &kept).with_context(|| format!("{} cannot be written", kept.display()))?;
    }
    let last = last.map(|last| (last.manifest.link, last.digest));
    let manifest = Manifest::new(report, basis, last);
    let envelope = Link::sign(&manifest, Some(&digest(&bytes)), &keys.signing)?;
    std::fs::write(&path, envelope).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(Some(path))
}

/// What was signed about this run before.
fn last(path: &Path, report: &Report, keys: &Keys) -> Option<Link> {
    let envelope = std::fs::read(path).ok()?;
    let link = Link::open(&envelope, &keys.known).ok()?;
    (link.manifest.chain == report.run.id).then_some(link)
}

/// Digests of the files that the report rests on.
fn evidence(report: &Report, out: &Path) -> anyhow::Result<BTreeSet<String>> {
    let index = evidence_files::index(out);
    let bytes = std::fs::read(&index).with_context(|| format!("{} cannot be read", index.display()))?;
    let raw = report.digests.values();
    let raw = raw.filter(|digest| evidence_files::raw(out, digest).is_file());
    Ok(raw.cloned().chain([digest(&bytes)]).collect())
}
