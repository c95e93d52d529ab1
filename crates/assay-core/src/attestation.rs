//! Results that nobody changes unseen: each scorecard has a signed [`Manifest`] of all that it rests on.
//!
//! So has each run that ended without one, so that none of an assignment's runs can be dropped unnoticed. It is an in-toto statement about the bytes of `report.json` (of a run without a report, about the run's id), in an [`envelope`],
//! and names the manifest before it of the same assignment, so that all of an assignment's are a [`chain`].
//!
//! What is signed is what is stored: nothing is ever written anew to be verified. A manifest holds ids, digests and points and
//! nothing that tells of a person, so that it stays when the candidate is erased and the chain stays whole. The ids of the commit and
//! its tree are public where its repository is, so the manifest holds them only as digests together with the run's id, see [`bound`].
//!
//! Keys are a parameter: see [`Signer`] and [`PublicKey`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::queue::Outcome;
use crate::report::Report;
use crate::scoring::Score;

pub mod chain;
pub mod envelope;

pub use envelope::{PublicKey, Signer};

/// The kind of the payload, as in-toto names it.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The kind of the statement.
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The kind of the predicate: a [`Manifest`], and its version.
pub const PREDICATE_TYPE: &str = "urn:assay:scorecard-manifest:v1";
/// What a statement about a scorecard is about.
pub const SUBJECT: &str = "report.json";
/// What a statement about a run without a scorecard is about.
pub const RUN_SUBJECT: &str = "run";

/// What a scorecard rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Whose chain it is in: id of the assignment, or of the run where there is no assignment.
    pub chain: String,
    /// Its place in the chain, from 1.
    pub link: u64,
    /// Digest of the payload of the link before; none of the first.
    pub previous: Option<String>,
    /// Id of the run.
    pub run: String,
    /// Version of the scorecard within the run, from 1; a re-score adds one. 0: the run ended without one.
    pub scorecard: u32,
    /// How a run ended that has no scorecard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// When the submission reached us, milliseconds since 1970, by our clock.
    pub received_at_ms: i64,
    /// When it was signed, milliseconds since 1970, by our clock.
    pub signed_at_ms: i64,
    /// Version of Assay.
    pub program: String,
    /// Slug of the exercise.
    pub exercise: String,
    /// Digest of the exercise that the evidence was gathered by.
    pub exercise_digest: String,
    /// Digest of the exercise that the points follow from: another one after a re-score.
    pub scoring_digest: String,
    /// The commit, [`bound`] to the run. The report has its id.
    pub commit: String,
    /// The commit's tree, [`bound`] to the run. The report has its id. None: the commit was never read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// Ids of the images that were used, by name.
    pub images: BTreeMap<String, String>,
    /// Digests of all evidence.
    pub evidence: BTreeSet<String>,
    /// The points. None: there is no scorecard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
}

/// What the report does not say of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    /// [`Manifest::chain`].
    pub chain: String,
    /// [`Manifest::run`].
    pub run: String,
    /// [`Manifest::scorecard`].
    pub scorecard: u32,
    /// [`Manifest::received_at_ms`].
    pub received_at_ms: i64,
    /// [`Manifest::signed_at_ms`].
    pub signed_at_ms: i64,
    /// [`Manifest::scoring_digest`].
    pub scoring_digest: String,
    /// [`Manifest::evidence`].
    pub evidence: BTreeSet<String>,
}

/// A run that ended without a scorecard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// [`Manifest::chain`].
    pub chain: String,
    /// [`Manifest::run`].
    pub run: String,
    /// [`Manifest::outcome`].
    pub outcome: Outcome,
    /// The commit's id.
    pub commit: String,
    /// [`Manifest::exercise`].
    pub exercise: String,
    /// [`Manifest::program`].
    pub program: String,
    /// [`Manifest::received_at_ms`].
    pub received_at_ms: i64,
    /// [`Manifest::signed_at_ms`].
    pub signed_at_ms: i64,
}

impl Manifest {
    /// The manifest of a report, after the last link of a chain, of which number and digest are given.
    pub fn new(report: &Report, basis: Basis, last: Option<(u64, String)>) -> Self {
        let (last, previous) = last.unzip();
        let digests = &report.digests;
        let images = digests.iter().filter_map(|(name, digest)| {
            let name = name.strip_prefix("image/")?;
            Some((name.to_owned(), digest.clone()))
        });
        Self {
            chain: basis.chain,
            link: last.map_or(1, |last| last.saturating_add(1)),
            previous,
            scorecard: basis.scorecard,
            received_at_ms: basis.received_at_ms,
            signed_at_ms: basis.signed_at_ms,
            program: digests.get("program/assay").cloned().unwrap_or_default(),
            exercise: report.exercise.slug.clone(),
            exercise_digest: report.exercise.digest.clone(),
            scoring_digest: basis.scoring_digest,
            commit: bound(&basis.run, &report.submission.commit),
            tree: Some(bound(&basis.run, &report.submission.tree))
                .filter(|_| !report.submission.tree.is_empty()),
            outcome: None,
            run: basis.run,
            images: images.collect(),
            evidence: basis.evidence,
            score: Some(report.score.clone()),
        }
    }

    /// The manifest of a run that ended without a scorecard, after the last link of a chain.
    pub fn of_ending(ending: Ending, last: Option<(u64, String)>) -> Self {
        let (last, previous) = last.unzip();
        Self {
            chain: ending.chain,
            link: last.map_or(1, |last| last.saturating_add(1)),
            previous,
            scorecard: 0,
            outcome: Some(ending.outcome),
            received_at_ms: ending.received_at_ms,
            signed_at_ms: ending.signed_at_ms,
            program: ending.program,
            exercise: ending.exercise,
            exercise_digest: String::new(),
            scoring_digest: String::new(),
            commit: bound(&ending.run, &ending.commit),
            tree: None,
            run: ending.run,
            images: BTreeMap::new(),
            evidence: BTreeSet::new(),
            score: None,
        }
    }

    /// What the manifest is about, with its digest: `report` is that of a scorecard's report.
    fn subject(&self, report: Option<&str>) -> (&'static str, String) {
        match report {
            Some(report) => (SUBJECT, report.to_owned()),
            None => (RUN_SUBJECT, digest(self.run.as_bytes())),
        }
    }
}

/// A digest of something together with the run that it is of: who has both finds it confirmed, who has only the digest finds
/// nothing by it.
pub fn bound(run: &str, value: &str) -> String {
    digest(format!("{run}\n{value}").as_bytes())
}

/// Digest of bytes as it is written everywhere: `sha256:` and 64 hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: [Subject; 1],
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Manifest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    name: String,
    digest: BTreeMap<String, String>,
}

/// A signed manifest: its envelope was opened, its signature fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// What it says.
    pub manifest: Manifest,
    /// Digest of the report that it is about. None: it is about a run that ended without one.
    pub report: Option<String>,
    /// Digest of the payload, by which the next link names it.
    pub digest: String,
    /// Id of the key that signed it.
    pub key: String,
}

/// Why something is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no envelope, or no statement in it.
    #[error("the attestation cannot be read: {0}")]
    Malformed(String),
    /// It may be right, but not by any key that is known.
    #[error("the attestation is signed by the key {0}, which is none of those that are trusted here")]
    OtherKey(String),
    /// Payload or signature were changed.
    #[error("the attestation was changed after it was signed: the signature of the key {0} does not fit")]
    Changed(String),
    /// The report is not the one.
    #[error("the report was changed after it was signed: it is {found}, and {signed} was signed")]
    Report {
        /// What it is.
        found: String,
        /// What it should be.
        signed: String,
    },
    /// What was signed is that there is no report.
    #[error("the attestation is about a run that ended without a report")]
    NoReport,
    /// Evidence is not there.
    #[error("{0} was signed as evidence and is not there, or was changed")]
    Evidence(String),
    /// A link in the midst of the chain is not there.
    #[error("the chain is not whole: link {0} is missing")]
    Missing(u64),
    /// All links are there, in another order.
    #[error("the links are not in their order: where link {place} belongs stands link {found}")]
    Reordered {
        /// Where.
        place: u64,
        /// Which one stands there.
        found: u64,
    },
    /// A link does not go on from the one before it.
    #[error("link {0} does not follow the one before it: one of the two was replaced")]
    Replaced(u64),
    /// A link of another assignment.
    #[error("link {link} is of another chain: {chain}")]
    OtherChain {
        /// Its place.
        link: u64,
        /// Its chain.
        chain: String,
    },
}

impl Link {
    /// Signs a manifest about a report with this digest; without one, about a run that has none. Answers the envelope.
    ///
    /// # Errors
    ///
    /// When the manifest cannot be written as JSON.
    pub fn sign(manifest: &Manifest, report: Option<&str>, key: &dyn Signer) -> Result<String, Refusal> {
        let (name, digest) = manifest.subject(report);
        let hex = digest.strip_prefix("sha256:").unwrap_or(&digest);
        let statement = Statement {
            kind: STATEMENT_TYPE.to_owned(),
            subject: [Subject {
                name: name.to_owned(),
                digest: BTreeMap::from([("sha256".to_owned(), hex.to_owned())]),
            }],
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: manifest.clone(),
        };
        let payload =
            serde_json::to_vec(&statement).map_err(|error| Refusal::Malformed(error.to_string()))?;
        Ok(envelope::seal(PAYLOAD_TYPE, payload, key))
    }

    /// Opens an envelope. The signature is verified before anything of the payload is read.
    ///
    /// # Errors
    ///
    /// When it is no envelope of ours, not signed by any of these keys, or was changed.
    pub fn open<K: PublicKey>(envelope: &[u8], keys: &[K]) -> Result<Self, Refusal> {
        let opened = envelope::open(PAYLOAD_TYPE, envelope, keys)?;
        let malformed = |detail: String| Refusal::Malformed(detail);
        let statement: Statement =
            serde_json::from_slice(&opened.payload).map_err(|error| malformed(error.to_string()))?;
        let [subject] = &statement.subject;
        let hex = subject.digest.get("sha256").filter(|_| subject.digest.len() == 1);
        let about = hex.map(|hex| format!("sha256:{hex}"));
        let is_scored = statement.predicate.score.is_some();
        let (name, expected) = statement
            .predicate
            .subject(about.as_deref().filter(|_| is_scored));
        let is_ours = statement.kind == STATEMENT_TYPE
            && statement.predicate_type == PREDICATE_TYPE
            && subject.name == name
            && about.as_ref() == Some(&expected);
        match about {
            Some(about) if is_ours => Ok(Self {
                report: Some(about).filter(|_| is_scored),
                manifest: statement.predicate,
                digest: digest(&opened.payload),
                key: opened.key,
            }),
            _ => Err(malformed(format!(
                "it is a statement of another kind: {}",
                statement.predicate_type
            ))),
        }
    }

    /// Whether these bytes are the report that was signed.
    ///
    /// # Errors
    ///
    /// When they are not.
    pub fn fits(&self, report: &[u8]) -> Result<(), Refusal> {
        let found = digest(report);
        match &self.report {
            Some(signed) if *signed == found => Ok(()),
            Some(signed) => Err(Refusal::Report {
                found,
                signed: signed.clone(),
            }),
            None => Err(Refusal::NoReport),
        }
    }

    /// Whether all evidence that was signed is there.
    ///
    /// # Errors
    ///
    /// The first digest that is not.
    pub fn rests_on(&self, there: &BTreeSet<String>) -> Result<(), Refusal> {
        match self.manifest.evidence.difference(there).next() {
            Some(missing) => Err(Refusal::Evidence(missing.clone())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
