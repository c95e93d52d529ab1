//! Where a stranger's hook comes in, for the fuzz targets.

use assay_store::model::ForgeKind;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::event::Hook;
use super::{event, signature};

const FORGES: [ForgeKind; 5] = [
    ForgeKind::GitHub,
    ForgeKind::GitLab,
    ForgeKind::Gitea,
    ForgeKind::Bitbucket,
    ForgeKind::BitbucketServer,
];

/// Judges a hook and reads it as if it were believed. The kind of event is the header `event`. Answers how many submissions it
/// makes.
pub fn hook(forge: u8, head: &str, body: &[u8]) -> usize {
    let forge = FORGES[usize::from(forge) % FORGES.len()];
    let headers: HeaderMap = head
        .lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            let name = HeaderName::try_from(name.trim()).ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        })
        .collect();
    drop(signature::check(forge, &headers, body, &["secret".to_owned()], 0));
    let kind = headers.get("event").and_then(|kind| kind.to_str().ok());
    match event::read(forge, kind.unwrap_or_default(), body) {
        Ok(Hook::Submissions(submissions)) => submissions.len(),
        _ => 0,
    }
}
