//! Tokens that must be refused, made from one that is accepted.

use assay_core::security::{Dice, Forgery};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;

/// What forging starts from.
pub(super) struct Source<'a> {
    /// A's access token.
    pub access: &'a str,
    /// A's refresh token, where there is one.
    pub refresh: Option<&'a str>,
    /// The service's key, where it is known.
    pub secret: Option<&'a str>,
    /// Seconds since 1970.
    pub now: u64,
}

/// Why a token cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unforgeable {
    #[error("the access token is no JWT")]
    NoJwt,
    #[error("the key is unknown")]
    NoKey,
    #[error("this is the service's real key")]
    RealKey,
    #[error("there is no refresh token")]
    NoRefreshToken,
}

const HOUR: u64 = 3600;

/// Makes one token.
///
/// # Errors
///
/// The source lacks what this forgery needs, or the result would be a valid token.
pub(super) fn forge(source: &Source<'_>, forgery: Forgery) -> Result<String, Unforgeable> {
    let hs256 = json!({"alg": "HS256", "typ": "JWT"});
    match forgery {
        Forgery::Garbage => Ok("not.a.token".to_owned()),
        Forgery::Empty => Ok(String::new()),
        Forgery::RefreshToken => source
            .refresh
            .map(str::to_owned)
            .ok_or(Unforgeable::NoRefreshToken),
        Forgery::WrongKey => {
            let mut dice = Dice::new(source.now);
            let key = [dice.uuid(), dice.uuid()].concat();
            Ok(signed(&hs256, &claims(source)?, &key))
        }
        Forgery::GuessableKey(key) if source.secret == Some(key) => Err(Unforgeable::RealKey),
        Forgery::GuessableKey(key) => Ok(signed(&hs256, &claims(source)?, key)),
        Forgery::AlgNone(spelling) => {
            let header = json!({"alg": spelling, "typ": "JWT"});
            Ok(format!("{}.", unsigned(&header, &claims(source)?)))
        }
        Forgery::EmptySignature => {
            let (signed, _) = source.access.rsplit_once('.').ok_or(Unforgeable::NoJwt)?;
            claims(source).map(|_| format!("{signed}."))
        }
        Forgery::Tampered => {
            let mut claims = claims(source)?;
            let later = claims.get("exp").and_then(Value::as_u64).unwrap_or(source.now) + 1_000 * HOUR;
            claims.insert("exp".to_owned(), json!(later));
            let (header, rest) = source.access.split_once('.').ok_or(Unforgeable::NoJwt)?;
            let (_, signature) = rest.split_once('.').ok_or(Unforgeable::NoJwt)?;
            Ok(format!(
                "{header}.{}.{signature}",
                encoded(&Value::Object(claims))
            ))
        }
        Forgery::Expired => {
            let mut claims = claims(source)?;
            for (name, age) in [("iat", 2 * HOUR), ("nbf", 2 * HOUR), ("exp", HOUR)] {
                if name == "exp" || claims.contains_key(name) {
                    claims.insert(name.to_owned(), json!(source.now.saturating_sub(age)));
                }
            }
            Ok(signed(&hs256, &claims, source.secret.ok_or(Unforgeable::NoKey)?))
        }
        Forgery::NoExpiry => {
            let mut claims = claims(source)?;
            claims.remove("exp");
            Ok(signed(&hs256, &claims, source.secret.ok_or(Unforgeable::NoKey)?))
        }
    }
}

/// The claims of A's access token.
fn claims(source: &Source<'_>) -> Result<Map<String, Value>, Unforgeable> {
    let mut parts = source.access.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Unforgeable::NoJwt);
    };
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Unforgeable::NoJwt)?;
    serde_json::from_slice(&payload).map_err(|_| Unforgeable::NoJwt)
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn unsigned(header: &Value, claims: &Map<String, Value>) -> String {
    format!("{}.{}", encoded(header), encoded(&Value::Object(claims.clone())))
}

fn signed(header: &Value, claims: &Map<String, Value>, key: &str) -> String {
    let text = unsigned(header, claims);
    let signature = signature(&text, key);
    format!("{text}.{signature}")
}

fn signature(text: &str, key: &str) -> String {
    // HMAC takes keys of every length, so there is nothing to go wrong here.
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map(|mut mac| {
        mac.update(text.as_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    });
    mac.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_tokens_differ_from_the_real_one_in_what_they_say() {
        let real = signed(
            &json!({"alg": "HS256"}),
            json!({"sub": "1", "exp": 9_000}).as_object().unwrap(),
            "key",
        );
        let source = Source {
            access: &real,
            refresh: None,
            secret: Some("key"),
            now: 8_000,
        };
        let shown = |forgery| {
            forge(&source, forgery).map(|token| {
                let text = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
                let parts: Vec<_> = token.split('.').collect();
                let same = parts[2] == real.rsplit('.').next().unwrap();
                format!("{} {} {} {same}", text(parts[0]), text(parts[1]), parts[2].len())
            })
        };
        let forgeries = [
            Forgery::WrongKey,
            Forgery::AlgNone("nOnE"),
            Forgery::EmptySignature,
            Forgery::Tampered,
            Forgery::GuessableKey(""),
            Forgery::GuessableKey("key"),
            Forgery::Expired,
            Forgery::NoExpiry,
            Forgery::RefreshToken,
        ];
        let shown = forgeries.map(|forgery| {
            format!(
                "{forgery}: {}",
                shown(forgery).unwrap_or_else(|error| error.to_string())
            )
        });
        insta::assert_snapshot!(shown.join("\n"), @r#"
        signed with a random key: {"alg":"HS256","typ":"JWT"} {"exp":9000,"sub":"1"} 43 false
        alg: nOnE: {"alg":"nOnE","typ":"JWT"} {"exp":9000,"sub":"1"} 0 false
        signature cut off: {"alg":"HS256"} {"exp":9000,"sub":"1"} 0 false
        claims changed after signing: {"alg":"HS256"} {"exp":3609000,"sub":"1"} 43 true
        signed with the empty key: {"alg":"HS256","typ":"JWT"} {"exp":9000,"sub":"1"} 43 false
        signed with the key `key`: this is the service's real key
        expired an hour ago: {"alg":"HS256","typ":"JWT"} {"exp":4400,"sub":"1"} 43 false
        without exp: {"alg":"HS256","typ":"JWT"} {"sub":"1"} 43 false
        refresh token: there is no refresh token
        "#);
        let opaque = Source {
            access: "opaque",
            ..source
        };
        assert_eq!(forge(&opaque, Forgery::Expired), Err(Unforgeable::NoJwt));
    }

    #[test]
    fn signatures_are_those_of_everybody_else() {
        // The example of jwt.io.
        let text = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
                    eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ";
        assert_eq!(
            signature(text, "your-256-bit-secret"),
            "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
        );
    }
}
