//! Whether a result is the one that was signed.

use assay_core::attestation::PublicKey;
use assay_store::StoreError;
use assay_store::model::Run;

use crate::{App, Problem};

/// What a page says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seal {
    /// In a sentence.
    pub(super) words: String,
    /// Whether the result is to be relied on.
    pub(super) holds: bool,
}

/// Verifies the newest scorecard of a run with all that was signed about its assignment. None: there is none, or this
/// installation does not sign.
pub(super) async fn of(app: &App, run: &Run) -> Result<Option<Seal>, Problem> {
    let (Some(score), Some(keys)) = (&run.score, app.store().keys()) else {
        return Ok(None);
    };
    let broken = |why: String| Seal {
        words: format!("Not to be relied on: {why}."),
        holds: false,
    };
    let links = match app.store().verify_attestations(&run.assignment).await {
        Ok(links) => links,
        Err(StoreError::Attestation(refusal)) => return Ok(Some(broken(refusal.to_string()))),
        Err(error) => return Err(error.into()),
    };
    let its = links
        .iter()
        .find(|link| link.manifest.run == run.id.as_str() && link.manifest.scorecard == score.version);
    let Some(its) = its else {
        return Ok(Some(broken("this scorecard was not signed".to_owned())));
    };
    // An erased candidate's reports are gone; the points are still those that were signed.
    let is_gone = score.report_digest.is_empty();
    let total = its
        .manifest
        .score
        .as_ref()
        .map(|score| (score.total * 100.0).round() as i64);
    let is_other = its.report.as_ref() != Some(&score.report_digest);
    if (!is_gone && is_other) || total != Some(score.total_hundredths) {
        return Ok(Some(broken(
            "this scorecard was changed after it was signed".to_owned(),
        )));
    }
    let which = match its.key == keys.signing.public().id() {
        true => "the key",
        false => "the former key",
    };
    Ok(Some(Seal {
        words: format!(
            "Signed by {which} {}, link {} of {} of this assignment; verified.",
            its.key.chars().take(16).collect::<String>(),
            its.manifest.link,
            links.len()
        ),
        holds: true,
    }))
}
