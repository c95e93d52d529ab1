//! That a change was asked for by one of our own pages, and not by somebody else's.

use axum::http::{HeaderMap, header};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::secret::base32;
use crate::Problem;

/// The proof that goes into every form: bound to the session, nothing to be stored.
pub(super) fn token(session: &str) -> String {
    // A key of any length is taken.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(session.as_bytes()) else {
        return String::new();
    };
    base32(&mac.chain_update(b"csrf").finalize().into_bytes())
}

/// Whether the proof is the session's.
pub(super) fn check(expected: &str, given: &str) -> Result<(), Problem> {
    let is_right = !expected.is_empty() && bool::from(expected.as_bytes().ct_eq(given.as_bytes()));
    if is_right {
        return Ok(());
    }
    Err(Problem::forbidden(
        "This form is out of date or not ours. Load the page again and repeat it.",
    ))
}

/// Refuses what a browser says comes from another site. Clients that say nothing are let through: those with a session
/// have to bring the proof as well.
pub(super) fn same_origin(headers: &HeaderMap, public_url: &str) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_ours = match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin == public_url,
        (None, None) => true,
    };
    if is_ours {
        return Ok(());
    }
    Err(Problem::forbidden("This request came from another site."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_change_something() {
        for (site, origin, is_ours) in [
            (Some("same-origin"), Some("https://assay.example"), true),
            (Some("none"), None, true),
            (Some("same-site"), Some("https://assay.example"), false),
            (Some("cross-site"), None, false),
            (None, Some("https://assay.example"), true),
            (None, Some("https://assay.example.evil"), false),
            (None, Some("null"), false),
            (None, None, true),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            let result = same_origin(&headers, "https://assay.example");
            assert_eq!(result.is_ok(), is_ours, "{site:?} {origin:?}");
        }
    }

    #[test]
    fn a_proof_is_of_one_session() {
        assert!(check(&token("a"), &token("a")).is_ok());
        assert!(check(&token("a"), &token("b")).is_err());
        assert!(check(&token("a"), "").is_err());
        assert!(check("", "").is_err());
    }
}
