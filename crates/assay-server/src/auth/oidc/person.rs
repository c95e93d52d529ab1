//! Who signs in, as the provider says. Pure.

use assay_store::model::Role;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::Oidc;
use crate::desk;

/// Signatures that are believed: those that only the provider can make.
const SIGNATURES: [Algorithm; 8] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
];
/// Longest name that a provider may have for somebody.
const MAX_SUBJECT: usize = 255;

pub(super) const NO_ROLE: &str = "You are known, and not let in here. Ask an administrator.";

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// What their account belongs to: the provider, and its name for them.
    pub(super) subject: String,
    pub(super) login: String,
    pub(super) name: String,
    /// What they may do, as far as the rules say.
    pub(super) role: Option<Role>,
}

/// Why a token does not hold.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadToken {
    #[error("the token is not one: {0}")]
    Form(jsonwebtoken::errors::Error),
    #[error("a token signed by {0:?} is not believed")]
    Signature(Algorithm),
    #[error("none of the provider's keys is the token's")]
    NoKey,
    #[error("the token does not hold: {0}")]
    Invalid(jsonwebtoken::errors::Error),
    #[error("the token is for another program")]
    OtherParty,
    #[error("the token is of another sign-in")]
    Nonce,
}

/// Why somebody is not let in, for themselves to read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotIn {
    #[error("The provider does not say who you are.")]
    NoSubject,
    #[error("The provider has not confirmed your address.")]
    Unconfirmed,
    #[error("Your address is not of a domain that is let in here.")]
    Domain,
}

/// The claims of a token that is the provider's, for us, for now, and of this sign-in.
pub(super) fn verify(oidc: &Oidc, token: &str, keys: &JwkSet, nonce: &str) -> Result<Value, BadToken> {
    let header = jsonwebtoken::decode_header(token).map_err(BadToken::Form)?;
    if !SIGNATURES.contains(&header.alg) {
        return Err(BadToken::Signature(header.alg));
    }
    let key = match &header.kid {
        Some(kid) => keys.find(kid),
        None => keys.keys.first().filter(|_| keys.keys.len() == 1),
    };
    let key = DecodingKey::from_jwk(key.ok_or(BadToken::NoKey)?).map_err(BadToken::Form)?;
    let mut rules = Validation::new(header.alg);
    rules.set_issuer(&[&oidc.issuer]);
    rules.set_audience(&[&oidc.client_id]);
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let claims = jsonwebtoken::decode::<Value>(token, &key, &rules)
        .map_err(BadToken::Invalid)?
        .claims;
    let is_for_others_too = claims["aud"].as_array().is_some_and(|all| all.len() > 1);
    if match claims["azp"].as_str() {
        Some(party) => party != oidc.client_id,
        None => is_for_others_too,
    } {
        return Err(BadToken::OtherParty);
    }
    let its = claims["nonce"].as_str().unwrap_or_default();
    if !bool::from(its.as_bytes().ct_eq(nonce.as_bytes())) {
        return Err(BadToken::Nonce);
    }
    Ok(claims)
}

/// Who that is, if they are let in.
pub(super) fn person(oidc: &Oidc, claims: &Value) -> Result<Person, NotIn> {
    let text = |name: &str| {
        claims[name]
            .as_str()
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let sub = text("sub")
        .filter(|sub| sub.len() <= MAX_SUBJECT)
        .ok_or(NotIn::NoSubject)?;
    // Some providers write the truth as a word.
    let confirmed = claims["email_verified"] == true || claims["email_verified"] == "true";
    let email = text("email").filter(|_| confirmed).map(str::to_lowercase);
    if !oidc.allowed_domains.is_empty() {
        let email = email.as_deref().ok_or(NotIn::Unconfirmed)?;
        let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
        if !oidc
            .allowed_domains
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(domain))
        {
            return Err(NotIn::Domain);
        }
    }
    let preferred = text("preferred_username").map(str::to_lowercase);
    let login = [email, preferred]
        .into_iter()
        .flatten()
        .find(|login| desk::is_login(login));
    Ok(Person {
        subject: format!("{} {sub}", oidc.issuer),
        name: text("name").unwrap_or_default().to_owned(),
        // Only a label: the account belongs to the subject.
        login: login.unwrap_or_else(|| format!("user-{}", super::base32(&rand::random::<[u8; 5]>()))),
        role: role(oidc, claims),
    })
}

fn role(oidc: &Oidc, claims: &Value) -> Option<Role> {
    let said = oidc.role_claim.as_ref().map(|name| &claims[name]);
    let says = |word: &str| match said {
        Some(Value::String(one)) => one == word,
        Some(Value::Array(all)) => all.iter().any(|one| one == word),
        _ => false,
    };
    let given = oidc
        .roles
        .iter()
        .filter(|(word, _)| says(word))
        .map(|(_, role)| *role);
    given.max().or(oidc.default_role)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Oidc), claims: Value, expected: &str) {
        let mut oidc = Oidc {
            issuer: "https://id.example".into(),
            client_id: "assay".into(),
            client_secret: String::new(),
            name: "Example".into(),
            role_claim: None,
            roles: vec![
                ("hiring".into(), Role::Interviewer),
                ("root".into(), Role::Admin),
                ("all".into(), Role::Viewer),
            ],
            default_role: None,
            allowed_domains: Vec::new(),
        };
        change(&mut oidc);
        let found = match person(&oidc, &claims) {
            Ok(person) => format!(
                "{} | {} | {} | {}",
                person.subject,
                person.login,
                person.name,
                person.role.map_or("no role", Role::name)
            ),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn somebody_is_let_in_by_the_rules() {
        let ada = json!({"sub": "7", "email": "Ada@Example.org", "email_verified": true, "name": "Ada"});
        check(
            |_| (),
            ada.clone(),
            "https://id.example 7 | ada@example.org | Ada | no role",
        );
        check(
            |oidc| oidc.default_role = Some(Role::Viewer),
            ada.clone(),
            "https://id.example 7 | ada@example.org | Ada | viewer",
        );
        let domains = |oidc: &mut Oidc| oidc.allowed_domains = vec!["example.org".into()];
        check(
            domains,
            ada.clone(),
            "https://id.example 7 | ada@example.org | Ada | no role",
        );
        check(
            |oidc| oidc.allowed_domains = vec!["ample.org".into()],
            ada,
            "Your address is not of a domain that is let in here.",
        );
        for unconfirmed in [
            json!({"sub": "7", "email": "ada@example.org"}),
            json!({"sub": "7", "email": "ada@example.org", "email_verified": false}),
            json!({"sub": "7", "email": "ada@example.org", "email_verified": "no"}),
            json!({"sub": "7", "email_verified": true}),
        ] {
            check(
                domains,
                unconfirmed,
                "The provider has not confirmed your address.",
            );
        }
        check(
            domains,
            json!({"sub": "7", "email": "ada@evil.test@example.org.evil.test", "email_verified": "true"}),
            "Your address is not of a domain that is let in here.",
        );
        check(
            |_| (),
            json!({"sub": "7", "email": "ada@example.org", "preferred_username": "Ada.L"}),
            "https://id.example 7 | ada.l |  | no role",
        );
        for nobody in [
            json!({}),
            json!({"sub": " "}),
            json!({"sub": 7}),
            json!({"sub": "x".repeat(256)}),
        ] {
            check(|_| (), nobody, "The provider does not say who you are.");
        }
    }

    #[test]
    fn the_highest_role_counts() {
        let claims = |groups: Value| json!({"sub": "7", "preferred_username": "ada", "groups": groups});
        for (groups, default, expected) in [
            (json!(["all", "root", "hiring"]), None, "admin"),
            (json!(["all", "hiring"]), None, "interviewer"),
            (json!("hiring"), None, "interviewer"),
            (json!(["Hiring", "roots"]), None, "no role"),
            (json!(["roots"]), Some(Role::Viewer), "viewer"),
            (json!({"root": true}), None, "no role"),
        ] {
            check(
                |oidc| {
                    oidc.role_claim = Some("groups".into());
                    oidc.default_role = default;
                },
                claims(groups),
                &format!("https://id.example 7 | ada |  | {expected}"),
            );
        }
        // Where roles are given here, a claim gives none.
        check(
            |_| (),
            claims(json!(["root"])),
            "https://id.example 7 | ada |  | no role",
        );
    }
}
