//! Whether a hook is from whom it says. Decided over the raw bytes, in constant time, before anything is parsed.

use assay_store::model::ForgeKind;
use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Most that the clock of a signing forge may differ from ours.
const MAX_SKEW_MS: i64 = 300_000;
/// Longest id of a delivery, in bytes.
const MAX_DELIVERY: usize = 128;

/// What the headers of a hook say, once they are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The kind of event, as the forge calls it.
    pub(crate) event: String,
    /// Which delivery it is. One without an id is known by its body.
    pub(crate) id: String,
}

/// Why a hook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the hook is not signed (hint: enter the connection's secret at the forge)")]
    Unsigned,
    #[error("the signature does not fit (hint: enter the connection's newest secret at the forge)")]
    Wrong,
    #[error("the signature is more than 5 minutes old or early (hint: compare the clocks)")]
    Stale,
    #[error("the hook does not say which event it is")]
    NoEvent,
    #[error("the id of the delivery is too long")]
    BadDelivery,
}

/// Headers that hold a signature, by forge. Gitea also sends GitHub's, and Bitbucket signs with SHA-256 under the name that
/// GitHub uses for SHA-1: the kind is the connection's, never guessed.
fn signature_headers(forge: ForgeKind) -> &'static [&'static str] {
    match forge {
        ForgeKind::GitHub => &["x-hub-signature-256"],
        ForgeKind::GitLab => &["webhook-signature", "x-gitlab-token"],
        ForgeKind::Gitea => &["x-gitea-signature", "x-forgejo-signature"],
        ForgeKind::Bitbucket | ForgeKind::BitbucketServer => &["x-hub-signature"],
    }
}

fn event_headers(forge: ForgeKind) -> &'static [&'static str] {
    match forge {
        ForgeKind::GitHub => &["x-github-event"],
        ForgeKind::GitLab => &["x-gitlab-event"],
        ForgeKind::Gitea => &["x-gitea-event", "x-forgejo-event"],
        ForgeKind::Bitbucket | ForgeKind::BitbucketServer => &["x-event-key"],
    }
}

fn delivery_headers(forge: ForgeKind) -> &'static [&'static str] {
    match forge {
        ForgeKind::GitHub => &["x-github-delivery"],
        ForgeKind::GitLab => &["webhook-id", "idempotency-key"],
        ForgeKind::Gitea => &["x-gitea-delivery", "x-forgejo-delivery"],
        ForgeKind::Bitbucket => &["x-request-uuid"],
        ForgeKind::BitbucketServer => &["x-request-id"],
    }
}

/// The first of these headers that says something.
fn said<'a>(headers: &'a HeaderMap, names: &[&str]) -> Option<&'a str> {
    names
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok())
        .find(|value| !value.is_empty())
}

/// Whether there is a signature at all; without one the body is not even read.
pub(crate) fn is_signed(forge: ForgeKind, headers: &HeaderMap) -> bool {
    said(headers, signature_headers(forge)).is_some()
}

/// Believes a hook, or says why not. Any one of the secrets may fit, so that one can be replaced while the other still works.
pub(crate) fn check(
    forge: ForgeKind,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[String],
    now_ms: i64,
) -> Result<Delivery, Refusal> {
    let signature = said(headers, signature_headers(forge)).ok_or(Refusal::Unsigned)?;
    let fits = match forge {
        ForgeKind::GitHub | ForgeKind::Bitbucket | ForgeKind::BitbucketServer => signature
            .strip_prefix("sha256=")
            .is_some_and(|hex| is_hex_mac(hex, &[body], secrets)),
        ForgeKind::Gitea => is_hex_mac(signature, &[body], secrets),
        // Once a hook is signed, its signature alone counts.
        ForgeKind::GitLab if headers.contains_key("webhook-signature") => {
            is_standard_webhook(headers, body, secrets, now_ms)?
        }
        ForgeKind::GitLab => secrets.iter().fold(false, |fits, secret| {
            fits | bool::from(secret.as_bytes().ct_eq(signature.as_bytes()))
        }),
    };
    if !fits {
        return Err(Refusal::Wrong);
    }
    let event = said(headers, event_headers(forge)).ok_or(Refusal::NoEvent)?;
    let id = match said(headers, delivery_headers(forge)) {
        Some(id) if id.len() > MAX_DELIVERY => return Err(Refusal::BadDelivery),
        Some(id) => id.to_owned(),
        None => format!("body-{:x}", Sha256::digest(body)),
    };
    Ok(Delivery {
        event: event.to_owned(),
        id,
    })
}

fn is_hex_mac(hex: &str, parts: &[&[u8]], secrets: &[String]) -> bool {
    let Some(signature) = from_hex(hex) else {
        return false;
    };
    secrets
        .iter()
        .any(|secret| is_mac(&signature, parts, secret.as_bytes()))
}

/// An empty key signs nothing: anybody has it.
fn is_mac(signature: &[u8], parts: &[&[u8]], key: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return false;
    };
    for part in parts {
        mac.update(part);
    }
    !key.is_empty() && mac.verify_slice(signature).is_ok()
}

/// Standard Webhooks: `v1,<base64>`, several of them, over id, time and body.
fn is_standard_webhook(
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[String],
    now_ms: i64,
) -> Result<bool, Refusal> {
    let id = said(headers, &["webhook-id"]).ok_or(Refusal::Wrong)?;
    let time = said(headers, &["webhook-timestamp"]).ok_or(Refusal::Wrong)?;
    let time_s: i64 = time.parse().map_err(|_| Refusal::Wrong)?;
    let keys: Vec<Vec<u8>> = secrets
        .iter()
        .filter_map(|secret| BASE64.decode(secret.strip_prefix("whsec_")?).ok())
        .collect();
    let signatures = said(headers, &["webhook-signature"]).unwrap_or_default();
    let parts = [id.as_bytes(), b".", time.as_bytes(), b".", body];
    let fits = signatures
        .split(' ')
        .take(8)
        .filter_map(|signature| BASE64.decode(signature.strip_prefix("v1,")?).ok())
        .any(|signature| keys.iter().any(|key| is_mac(&signature, &parts, key)));
    if fits && time_s.saturating_mul(1000).abs_diff(now_ms) > MAX_SKEW_MS.unsigned_abs() {
        return Err(Refusal::Stale);
    }
    Ok(fits)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) || text.len() > 128 {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[track_caller]
    fn check_signed(
        forge: ForgeKind,
        pairs: &[(&'static str, &str)],
        body: &str,
        secrets: &[&str],
        expected: Result<&str, Refusal>,
    ) {
        let secrets: Vec<String> = secrets.iter().map(|&secret| secret.into()).collect();
        let now_ms = 1_614_265_330_000;
        let delivery = check(forge, &headers(pairs), body.as_bytes(), &secrets, now_ms);
        assert_eq!(
            delivery.map(|delivery| delivery.id).as_deref(),
            expected.as_deref()
        );
    }

    const SECRET: &str = "It's a Secret to Everybody";
    const GITHUB: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    const BITBUCKET: &str = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9";

    #[test]
    fn published_vectors_hold() {
        let github = [
            ("x-hub-signature-256", GITHUB),
            ("x-github-event", "push"),
            ("x-github-delivery", "g1"),
        ];
        check_signed(ForgeKind::GitHub, &github, "Hello, World!", &[SECRET], Ok("g1"));
        check_signed(
            ForgeKind::GitHub,
            &github,
            "Hello, World!",
            &["new", SECRET],
            Ok("g1"),
        );
        check_signed(
            ForgeKind::GitHub,
            &github,
            "Hello, World! ",
            &[SECRET],
            Err(Refusal::Wrong),
        );
        check_signed(
            ForgeKind::GitHub,
            &github,
            "Hello, World!",
            &["new"],
            Err(Refusal::Wrong),
        );
        check_signed(
            ForgeKind::GitHub,
            &github,
            "Hello, World!",
            &[],
            Err(Refusal::Wrong),
        );
        let bitbucket = [
            ("x-hub-signature", BITBUCKET),
            ("x-event-key", "repo:push"),
            ("x-request-uuid", "b1"),
        ];
        check_signed(
            ForgeKind::Bitbucket,
            &bitbucket,
            "Hello World!",
            &[SECRET],
            Ok("b1"),
        );
        let gitea = [
            ("x-gitea-signature", &GITHUB[7..]),
            ("x-gitea-event", "push"),
            ("x-gitea-delivery", "t1"),
        ];
        check_signed(ForgeKind::Gitea, &gitea, "Hello, World!", &[SECRET], Ok("t1"));
        let standard = [
            (
                "webhook-signature",
                "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("x-gitlab-event", "Push Hook"),
        ];
        let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = r#"{"test": 2432232314}"#;
        check_signed(ForgeKind::GitLab, &standard, body, &[key], Ok(standard[1].1));
        check_signed(
            ForgeKind::GitLab,
            &standard,
            body,
            &["whsec_AAAA"],
            Err(Refusal::Wrong),
        );
    }

    #[test]
    fn empty_missing_legacy_and_foreign_signatures_are_refused() {
        let event = ("x-github-event", "push");
        for signature in [
            vec![],
            vec![("x-hub-signature-256", "")],
            vec![("x-hub-signature", "sha1=03d99d7c8b9a2d5d4b5a")],
            vec![("x-hub-signature", GITHUB)],
            vec![("x-gitea-signature", &GITHUB[7..])],
        ] {
            let pairs: Vec<_> = signature.into_iter().chain([event]).collect();
            check_signed(
                ForgeKind::GitHub,
                &pairs,
                "Hello, World!",
                &[SECRET],
                Err(Refusal::Unsigned),
            );
        }
        for signature in ["sha256=", "sha256=zz", "sha256", &GITHUB[7..], &GITHUB[..70]] {
            let pairs = [("x-hub-signature-256", signature), event];
            check_signed(
                ForgeKind::GitHub,
                &pairs,
                "Hello, World!",
                &[SECRET],
                Err(Refusal::Wrong),
            );
        }
        // Gitea with no secret sends GitHub's header, and its own one empty.
        let pairs = [
            ("x-gitea-signature", ""),
            ("x-hub-signature-256", GITHUB),
            ("x-gitea-event", "push"),
        ];
        check_signed(
            ForgeKind::Gitea,
            &pairs,
            "Hello, World!",
            &[SECRET],
            Err(Refusal::Unsigned),
        );
    }

    #[test]
    fn gitlab_without_signatures_shows_its_token() {
        let with = |token| [("x-gitlab-token", token), ("x-gitlab-event", "Push Hook")];
        let by_body = format!("body-{:x}", Sha256::digest(b"{}"));
        check_signed(
            ForgeKind::GitLab,
            &with("one"),
            "{}",
            &["two", "one"],
            Ok(&by_body),
        );
        check_signed(
            ForgeKind::GitLab,
            &with("three"),
            "{}",
            &["two", "one"],
            Err(Refusal::Wrong),
        );
        check_signed(ForgeKind::GitLab, &with(""), "{}", &[""], Err(Refusal::Unsigned));
        let both = [
            ("x-gitlab-token", "one"),
            ("webhook-signature", "v1,AAAA"),
            ("webhook-id", "w"),
            ("webhook-timestamp", "1614265330"),
        ];
        check_signed(ForgeKind::GitLab, &both, "{}", &["one"], Err(Refusal::Wrong));
    }

    #[test]
    fn an_old_signature_is_stale() {
        let pairs = headers(&[
            (
                "webhook-signature",
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("x-gitlab-event", "Push Hook"),
        ]);
        let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()];
        for (now_ms, ok) in [
            (1_614_265_630_000, true),
            (1_614_265_630_001, false),
            (i64::MIN, false),
        ] {
            let delivery = check(
                ForgeKind::GitLab,
                &pairs,
                br#"{"test": 2432232314}"#,
                &secrets,
                now_ms,
            );
            assert_eq!(delivery.is_ok(), ok, "{now_ms}");
        }
    }

    /// Odd spacing, escapes and letters beyond ASCII: what is signed is what came, not what it means.
    #[test]
    fn raw_bytes_are_signed() {
        let bodies: [&[u8]; 3] = [
            "{ \"ref\" :\t\"refs/heads/m\\u00e4in\"\r\n}".as_bytes(),
            "{\"ref\":\"refs/heads/mäin\",\"ref\":\"x\"}\n\n".as_bytes(),
            b"{\"ref\":\"\xff\xfe\"}",
        ];
        for body in bodies {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"key").unwrap();
            mac.update(body);
            let signature = format!("sha256={:x}", mac.finalize().into_bytes());
            let pairs = headers(&[("x-hub-signature-256", &signature), ("x-github-event", "push")]);
            let secrets = ["key".to_owned()];
            assert!(check(ForgeKind::GitHub, &pairs, body, &secrets, 0).is_ok());
            let mut changed = body.to_vec();
            changed.push(b' ');
            assert!(check(ForgeKind::GitHub, &pairs, &changed, &secrets, 0).is_err());
        }
    }
}
