//! Signed manifests of scorecards, and of runs that ended without one: one chain for each assignment, beside the scorecards and
//! the ends and in the same transactions.
//!
//! That a link was added stands in the audit trail, whose end is signed, too: so it shows when the newest links of a chain are
//! taken away.

use std::collections::BTreeSet;

use assay_core::attestation::{Basis, Ending, Link, Manifest, Refusal, chain};
use assay_core::id::{AssignmentId, RunId};
use assay_core::queue::Outcome;
use assay_core::report::Report;
use serde::{Deserialize, Serialize};

use crate::error::not_found;
use crate::model::{Actor, AuditEntry, Run, ScoreRow};
use crate::rows::{from_json, to_json};
use crate::signing::Keys;
use crate::sql::{Tx, all, execute, optional};
use crate::{Store, StoreError, assignments, runs};

/// The audit trail's words for a new link: about a scorecard, and about a run that ended without one.
const SIGNED: &str = "scorecard.signed";
const END_SIGNED: &str = "run.signed";
/// Name of the file of a run that is no evidence.
const REPORT: &str = "report.json";

/// What the audit trail says of a link.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    link: u64,
    digest: String,
}

impl Store {
    /// The envelope of a scorecard of a run. None: it was not signed.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn attestation(&self, run: &RunId, version: u32) -> Result<Option<String>, StoreError> {
        let row: Option<(String,)> = optional!(
            &mut self.read().await?,
            "SELECT envelope FROM attestations WHERE run = $1 AND version = $2",
            run.as_str(),
            i64::from(version),
        )?;
        Ok(row.map(|(envelope,)| envelope))
    }

    /// The envelopes of all scorecards of an assignment, the oldest first.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn attestations(&self, assignment: &AssignmentId) -> Result<Vec<String>, StoreError> {
        envelopes(&mut self.read().await?, assignment).await
    }

    /// Verifies all that was signed about an assignment. Answers the links; of a store without keys none.
    ///
    /// It verifies each signature, the chain, and that the audit trail knows of no link that is not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Attestation`] when something does not hold, or the database fails.
    pub async fn verify_attestations(&self, assignment: &AssignmentId) -> Result<Vec<Link>, StoreError> {
        let Some(keys) = self.keys() else {
            return Ok(Vec::new());
        };
        let mut tx = self.read().await?;
        let links = envelopes(&mut tx, assignment)
            .await?
            .iter()
            .map(|envelope| Link::open(envelope.as_bytes(), &keys.known))
            .collect::<Result<Vec<_>, _>>()?;
        chain::verify(&links)?;
        let noted: Vec<(String,)> = all!(
            &mut tx,
            "SELECT detail FROM audit WHERE subject = $1 AND action IN ($2, $3) ORDER BY seq",
            assignment.as_str(),
            SIGNED,
            END_SIGNED,
        )?;
        for (detail,) in noted {
            let noted: Noted = from_json("note of a signature", &detail)?;
            match links.iter().find(|link| link.manifest.link == noted.link) {
                Some(link) if link.digest == noted.digest => (),
                Some(link) => return Err(Refusal::Replaced(link.manifest.link).into()),
                None => return Err(Refusal::Missing(noted.link).into()),
            }
        }
        Ok(links)
    }

    /// The report of a scorecard that is to be signed. None: nothing is.
    pub(crate) async fn to_sign(&self, score: &ScoreRow) -> Result<Option<Report>, StoreError> {
        if self.keys().is_none() {
            return Ok(None);
        }
        let bytes = self.blob(&score.report_digest).await?;
        let bytes = bytes.ok_or_else(|| not_found("blob", &score.report_digest))?;
        let report = serde_json::from_slice(&bytes).map_err(|error| StoreError::Damaged {
            what: "report",
            text: error.to_string(),
        })?;
        Ok(Some(report))
    }

    /// Signs a scorecard: the next link of its assignment's chain.
    pub(crate) async fn attest(
        &self,
        tx: &mut Tx,
        run: &RunId,
        version: u32,
        score: &ScoreRow,
        report: &Report,
    ) -> Result<(), StoreError> {
        let Some(keys) = self.keys() else {
            return Ok(());
        };
        let its = runs::find(tx, run).await?;
        let its = its.ok_or_else(|| not_found("run", run.as_str()))?;
        let evidence: Vec<(String,)> = all!(
            &mut *tx,
            "SELECT digest FROM run_files WHERE run = $1 AND name <> $2",
            run.as_str(),
            REPORT,
        )?;
        let basis = Basis {
            chain: its.assignment.to_string(),
            run: its.id.to_string(),
            scorecard: version,
            received_at_ms: its.received_at_ms,
            signed_at_ms: score.created_at_ms,
            scoring_digest: score.exercise_digest.clone(),
            evidence: evidence
                .into_iter()
                .map(|(digest,)| digest)
                .collect::<BTreeSet<_>>(),
        };
        let manifest = Manifest::new(report, basis, last(tx, &its.assignment).await?);
        self.append(tx, keys, &its, &manifest, Some(&score.report_digest))
            .await
    }

    /// Signs that a run ended without a scorecard, so that it cannot be dropped unnoticed: the next link of its assignment's chain.
    /// A run that has one is signed already.
    pub(crate) async fn attest_end(
        &self,
        tx: &mut Tx,
        run: &RunId,
        outcome: Outcome,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let Some(keys) = self.keys() else {
            return Ok(());
        };
        let its = runs::find(tx, run).await?;
        let its = its.ok_or_else(|| not_found("run", run.as_str()))?;
        if its.score.is_some() {
            return Ok(());
        }
        let assignment = assignments::find(tx, &its.assignment).await?;
        let assignment = assignment.ok_or_else(|| not_found("assignment", its.assignment.as_str()))?;
        let ending = Ending {
            chain: its.assignment.to_string(),
            run: its.id.to_string(),
            outcome,
            commit: its.commit.clone(),
            exercise: assignment.exercise,
            program: format!("version {}", env!("CARGO_PKG_VERSION")),
            received_at_ms: its.received_at_ms,
            signed_at_ms: now_ms,
        };
        let manifest = Manifest::of_ending(ending, last(tx, &its.assignment).await?);
        self.append(tx, keys, &its, &manifest, None).await
    }

    /// Adds a link, and tells the audit trail.
    async fn append(
        &self,
        tx: &mut Tx,
        keys: &Keys,
        its: &Run,
        manifest: &Manifest,
        report: Option<&str>,
    ) -> Result<(), StoreError> {
        let envelope = Link::sign(manifest, report, &keys.signing)?;
        let link = Link::open(envelope.as_bytes(), &keys.known)?;
        let number = link.manifest.link;
        execute!(
            &mut *tx,
            "INSERT INTO attestations (assignment, link, run, version, digest, envelope)
             VALUES ($1, $2, $3, $4, $5, $6)",
            its.assignment.as_str(),
            i64::try_from(number).unwrap_or(i64::MAX),
            its.id.as_str(),
            i64::from(manifest.scorecard),
            &link.digest,
            &envelope,
        )?;
        let noted = Noted {
            link: number,
            digest: link.digest,
        };
        let entry = AuditEntry {
            at_ms: manifest.signed_at_ms,
            actor: Actor::System,
            action: match report {
                Some(_) => SIGNED.to_owned(),
                None => END_SIGNED.to_owned(),
            },
            subject: its.assignment.to_string(),
            detail: from_json("note of a signature", &to_json("note of a signature", &noted)?)?,
        };
        self.note(tx, &entry).await
    }
}

/// Number and digest of an assignment's last link.
async fn last(tx: &mut Tx, assignment: &AssignmentId) -> Result<Option<(u64, String)>, StoreError> {
    let last: Option<(i64, String)> = optional!(
        tx,
        "SELECT link, digest FROM attestations WHERE assignment = $1 ORDER BY link DESC LIMIT 1",
        assignment.as_str(),
    )?;
    Ok(last.map(|(link, digest)| (link.unsigned_abs(), digest)))
}

async fn envelopes(tx: &mut Tx, assignment: &AssignmentId) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = all!(
        tx,
        "SELECT envelope FROM attestations WHERE assignment = $1 ORDER BY link",
        assignment.as_str(),
    )?;
    Ok(rows.into_iter().map(|(envelope,)| envelope).collect())
}
