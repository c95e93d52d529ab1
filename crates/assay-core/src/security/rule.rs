//! The rules: what each one looks for, how bad it is, what it is called elsewhere, and what mends it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::Level;

/// One weakness that is looked for. Written `probe/jwt-alg-none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Rule {
    #[serde(rename = "probe/auth-missing")]
    AuthMissing,
    #[serde(rename = "probe/token-malformed")]
    TokenMalformed,
    #[serde(rename = "probe/jwt-wrong-key")]
    JwtWrongKey,
    #[serde(rename = "probe/jwt-alg-none")]
    JwtAlgNone,
    #[serde(rename = "probe/jwt-empty-signature")]
    JwtEmptySignature,
    #[serde(rename = "probe/jwt-tampered")]
    JwtTampered,
    #[serde(rename = "probe/jwt-guessable-key")]
    JwtGuessableKey,
    #[serde(rename = "probe/jwt-expired")]
    JwtExpired,
    #[serde(rename = "probe/jwt-no-exp")]
    JwtNoExp,
    #[serde(rename = "probe/refresh-token-accepted")]
    RefreshTokenAccepted,
    #[serde(rename = "probe/object-access")]
    ObjectAccess,
    #[serde(rename = "probe/object-existence")]
    ObjectExistence,
    #[serde(rename = "probe/sql-injection")]
    SqlInjection,
    #[serde(rename = "probe/cross-site-scripting")]
    CrossSiteScripting,
    #[serde(rename = "probe/mass-assignment")]
    MassAssignment,
    #[serde(rename = "probe/body-unbounded")]
    BodyUnbounded,
    #[serde(rename = "probe/unhandled-input")]
    UnhandledInput,
    #[serde(rename = "probe/method-override")]
    MethodOverride,
    #[serde(rename = "probe/trace-enabled")]
    TraceEnabled,
    #[serde(rename = "probe/cors-credentials")]
    CorsCredentials,
    #[serde(rename = "probe/nosniff-missing")]
    NosniffMissing,
    #[serde(rename = "probe/version-disclosed")]
    VersionDisclosed,
    #[serde(rename = "probe/error-leak")]
    ErrorLeak,
    #[serde(rename = "probe/credential-exposed")]
    CredentialExposed,
    #[serde(rename = "probe/credentials-in-url")]
    CredentialsInUrl,
}

/// What is known of a rule beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleInfo {
    /// Name in reports and in `security.yaml`.
    pub id: &'static str,
    /// How much it matters.
    pub level: Level,
    /// OWASP API Security Top 10 (2023) category.
    pub category: &'static str,
    /// Number in the Common Weakness Enumeration.
    pub cwe: u32,
    /// What is wrong, in one sentence.
    pub title: &'static str,
    /// What to do about it.
    pub fix: &'static str,
}

const OBJECT_AUTHORIZATION: &str = "API1:2023 Broken Object Level Authorization";
const AUTHENTICATION: &str = "API2:2023 Broken Authentication";
const PROPERTY_AUTHORIZATION: &str = "API3:2023 Broken Object Property Level Authorization";
const CONSUMPTION: &str = "API4:2023 Unrestricted Resource Consumption";
const MISCONFIGURATION: &str = "API8:2023 Security Misconfiguration";

impl Rule {
    /// All rules, in the order of reports.
    pub const ALL: [Self; 25] = [
        Self::AuthMissing,
        Self::TokenMalformed,
        Self::JwtWrongKey,
        Self::JwtAlgNone,
        Self::JwtEmptySignature,
        Self::JwtTampered,
        Self::JwtGuessableKey,
        Self::JwtExpired,
        Self::JwtNoExp,
        Self::RefreshTokenAccepted,
        Self::ObjectAccess,
        Self::ObjectExistence,
        Self::SqlInjection,
        Self::CrossSiteScripting,
        Self::MassAssignment,
        Self::BodyUnbounded,
        Self::UnhandledInput,
        Self::MethodOverride,
        Self::TraceEnabled,
        Self::CorsCredentials,
        Self::NosniffMissing,
        Self::VersionDisclosed,
        Self::ErrorLeak,
        Self::CredentialExposed,
        Self::CredentialsInUrl,
    ];

    /// What is known of the rule beforehand.
    pub const fn info(self) -> RuleInfo {
        use Level::{Error, Note, Warning};
        match self {
            Self::AuthMissing => RuleInfo {
                id: "probe/auth-missing",
                level: Error,
                category: AUTHENTICATION,
                cwe: 306,
                title: "An operation that needs a token answers without one.",
                fix: "Check the token before anything else, in one place that every route goes through; leave out only what the contract names as public.",
            },
            Self::TokenMalformed => RuleInfo {
                id: "probe/token-malformed",
                level: Error,
                category: AUTHENTICATION,
                cwe: 287,
                title: "Something that is no token at all is accepted as one.",
                fix: "Answer 401 whenever the token does not parse; never fall back to a default user.",
            },
            Self::JwtWrongKey => RuleInfo {
                id: "probe/jwt-wrong-key",
                level: Error,
                category: AUTHENTICATION,
                cwe: 347,
                title: "A token signed with some other key is accepted: anybody can be anybody.",
                fix: "Verify the signature with JWT_SECRET by the library's verifying function; decoding is not verifying.",
            },
            Self::JwtAlgNone => RuleInfo {
                id: "probe/jwt-alg-none",
                level: Error,
                category: AUTHENTICATION,
                cwe: 347,
                title: "An unsigned token (`alg: none`) is accepted: anybody can be anybody.",
                fix: "Pass the list of allowed algorithms ([\"HS256\"]) to the verifying function; never take the algorithm from the token.",
            },
            Self::JwtEmptySignature => RuleInfo {
                id: "probe/jwt-empty-signature",
                level: Error,
                category: AUTHENTICATION,
                cwe: 347,
                title: "A token whose signature was cut off is accepted.",
                fix: "Refuse a token without a signature; let the library verify all three parts.",
            },
            Self::JwtTampered => RuleInfo {
                id: "probe/jwt-tampered",
                level: Error,
                category: AUTHENTICATION,
                cwe: 347,
                title: "A token whose claims were changed after signing is accepted.",
                fix: "Verify the signature over the header and the claims as received, before reading any claim.",
            },
            Self::JwtGuessableKey => RuleInfo {
                id: "probe/jwt-guessable-key",
                level: Error,
                category: AUTHENTICATION,
                cwe: 798,
                title: "A token signed with an empty or well-known key is accepted.",
                fix: "Take the key from JWT_SECRET only, refuse to start without it, and delete every default.",
            },
            Self::JwtExpired => RuleInfo {
                id: "probe/jwt-expired",
                level: Error,
                category: AUTHENTICATION,
                cwe: 613,
                title: "A token that expired an hour ago is still accepted.",
                fix: "Leave the check of `exp` switched on in the verifying function.",
            },
            Self::JwtNoExp => RuleInfo {
                id: "probe/jwt-no-exp",
                level: Warning,
                category: AUTHENTICATION,
                cwe: 613,
                title: "A token without an expiry is accepted, so it is valid for ever.",
                fix: "Require the claims `exp` and `sub` when verifying (PyJWT: options={\"require\": [\"exp\", \"sub\"]}).",
            },
            Self::RefreshTokenAccepted => RuleInfo {
                id: "probe/refresh-token-accepted",
                level: Warning,
                category: AUTHENTICATION,
                cwe: 287,
                title: "The long-lived refresh token opens operations that need an access token.",
                fix: "Tell the two apart by a claim (or make the refresh token no JWT), and check it on every request.",
            },
            Self::ObjectAccess => RuleInfo {
                id: "probe/object-access",
                level: Error,
                category: OBJECT_AUTHORIZATION,
                cwe: 639,
                title: "A user reads or changes what belongs to another user.",
                fix: "Put the owner into every query (WHERE id = … AND user_id = …) and answer 404 when nothing matches.",
            },
            Self::ObjectExistence => RuleInfo {
                id: "probe/object-existence",
                level: Note,
                category: OBJECT_AUTHORIZATION,
                cwe: 204,
                title: "Another user's object is answered differently from one that does not exist.",
                fix: "Answer 404 in both cases, so that nobody learns which ids exist.",
            },
            Self::SqlInjection => RuleInfo {
                id: "probe/sql-injection",
                level: Error,
                category: MISCONFIGURATION,
                cwe: 89,
                title: "Text from a request is executed as SQL.",
                fix: "Pass values as query parameters ($1, %s with a tuple, :name); never build SQL by joining or formatting strings.",
            },
            Self::CrossSiteScripting => RuleInfo {
                id: "probe/cross-site-scripting",
                level: Error,
                category: MISCONFIGURATION,
                cwe: 79,
                title: "Text from a request comes back unescaped in an answer that a browser would render.",
                fix: "Answer application/json (or application/problem+json for errors) with X-Content-Type-Options: nosniff, also in error handlers.",
            },
            Self::MassAssignment => RuleInfo {
                id: "probe/mass-assignment",
                level: Error,
                category: PROPERTY_AUTHORIZATION,
                cwe: 915,
                title: "A field that the client must not set is taken from the request.",
                fix: "Copy the allowed fields by name, or refuse unknown ones; never spread the body into the row.",
            },
            Self::BodyUnbounded => RuleInfo {
                id: "probe/body-unbounded",
                level: Warning,
                category: CONSUMPTION,
                cwe: 770,
                title: "A body far over the contract's limit is read and processed.",
                fix: "Limit the body before parsing it, and answer 413.",
            },
            Self::UnhandledInput => RuleInfo {
                id: "probe/unhandled-input",
                level: Warning,
                category: MISCONFIGURATION,
                cwe: 755,
                title: "Hostile input ends in a server error or a dropped connection.",
                fix: "Validate type, length and characters of every input before use, and answer 400 or 422.",
            },
            Self::MethodOverride => RuleInfo {
                id: "probe/method-override",
                level: Warning,
                category: MISCONFIGURATION,
                cwe: 650,
                title: "A header or parameter turns a harmless method into a deleting one.",
                fix: "Remove the method-override middleware.",
            },
            Self::TraceEnabled => RuleInfo {
                id: "probe/trace-enabled",
                level: Warning,
                category: MISCONFIGURATION,
                cwe: 693,
                title: "TRACE is answered with the request's own headers.",
                fix: "Answer 405 to TRACE.",
            },
            Self::CorsCredentials => RuleInfo {
                id: "probe/cors-credentials",
                level: Warning,
                category: MISCONFIGURATION,
                cwe: 942,
                title: "Any web site may send requests with the visitor's credentials and read the answers.",
                fix: "Name the allowed origins; never reflect the Origin header together with Access-Control-Allow-Credentials.",
            },
            Self::NosniffMissing => RuleInfo {
                id: "probe/nosniff-missing",
                level: Warning,
                category: MISCONFIGURATION,
                cwe: 693,
                title: "Answers lack X-Content-Type-Options: nosniff.",
                fix: "Set the header in one middleware that also covers errors and unknown paths.",
            },
            Self::VersionDisclosed => RuleInfo {
                id: "probe/version-disclosed",
                level: Note,
                category: MISCONFIGURATION,
                cwe: 200,
                title: "A header tells which software, or which version of it, is running.",
                fix: "Remove the Server version and X-Powered-By.",
            },
            Self::ErrorLeak => RuleInfo {
                id: "probe/error-leak",
                level: Warning,
                category: MISCONFIGURATION,
                cwe: 209,
                title: "An error answer shows a stack trace, SQL or a path of the server.",
                fix: "Catch every error in one handler, log the detail, and answer a problem document that says nothing of the inside.",
            },
            Self::CredentialExposed => RuleInfo {
                id: "probe/credential-exposed",
                level: Error,
                category: PROPERTY_AUTHORIZATION,
                cwe: 522,
                title: "An answer contains a password, its hash or the service's own secret.",
                fix: "Build answers from named fields; leave submitted values out of validation errors.",
            },
            Self::CredentialsInUrl => RuleInfo {
                id: "probe/credentials-in-url",
                level: Warning,
                category: AUTHENTICATION,
                cwe: 598,
                title: "Credentials are accepted in the URL, where logs and proxies keep them.",
                fix: "Read credentials from the body of the documented method only.",
            },
        }
    }

    /// Rules that say the same thing about the same operation more fundamentally: where one of them is confirmed, this one is
    /// its consequence and not a second flaw.
    pub const fn implied_by(self) -> &'static [Self] {
        match self {
            Self::TokenMalformed | Self::RefreshTokenAccepted => &[Self::AuthMissing],
            Self::JwtWrongKey => &[Self::AuthMissing, Self::TokenMalformed],
            Self::JwtAlgNone | Self::JwtEmptySignature | Self::JwtTampered | Self::JwtGuessableKey => {
                &[Self::AuthMissing, Self::TokenMalformed, Self::JwtWrongKey]
            }
            Self::JwtExpired => &[Self::AuthMissing, Self::TokenMalformed],
            Self::JwtNoExp => &[Self::AuthMissing, Self::TokenMalformed, Self::JwtExpired],
            Self::ObjectAccess => &[Self::AuthMissing],
            Self::ObjectExistence => &[Self::AuthMissing, Self::ObjectAccess],
            _ => &[],
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info().id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_named_the_same_everywhere() {
        let mut seen = std::collections::BTreeSet::new();
        for rule in Rule::ALL {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.info().id);
            assert!(seen.insert(rule), "{rule} stands twice in ALL");
            assert!(!rule.implied_by().contains(&rule));
        }
    }
}
