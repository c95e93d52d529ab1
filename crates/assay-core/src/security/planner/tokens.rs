//! Tokens that must be refused, on every operation that needs one.

use super::super::contract::OperationSpec;
use super::super::probe::Oracle;
use super::super::request::{Credential, Forgery};
use super::super::rule::Rule;
use super::{Planner, attack};

/// Keys that stand in tutorials and templates.
const GUESSABLE_KEYS: [&str; 6] = [
    "",
    "secret",
    "changeme",
    "jwt_secret",
    "dev-secret",
    "your-256-bit-secret",
];

impl Planner<'_> {
    pub(super) fn tokens(&mut self, spec: &OperationSpec) {
        if !spec.secured {
            return;
        }
        let mut matrix = vec![
            (Rule::AuthMissing, vec![Credential::Nobody]),
            (Rule::TokenMalformed, forged([Forgery::Garbage, Forgery::Empty])),
        ];
        if self.security.jwt.is_some() {
            matrix.extend([
                (Rule::JwtWrongKey, forged([Forgery::WrongKey])),
                (
                    Rule::JwtAlgNone,
                    forged(["none", "None", "NONE", "nOnE"].map(Forgery::AlgNone)),
                ),
                (Rule::JwtEmptySignature, forged([Forgery::EmptySignature])),
                (Rule::JwtTampered, forged([Forgery::Tampered])),
                (
                    Rule::JwtGuessableKey,
                    forged(GUESSABLE_KEYS.map(Forgery::GuessableKey)),
                ),
                (Rule::JwtExpired, forged([Forgery::Expired])),
                (Rule::JwtNoExp, forged([Forgery::NoExpiry])),
            ]);
        }
        if self.security.users.refresh_token.is_some() {
            matrix.push((Rule::RefreshTokenAccepted, forged([Forgery::RefreshToken])));
        }
        for (rule, credentials) in matrix {
            let attacks = credentials.into_iter().map(|credential| {
                let variant = match credential {
                    Credential::Forged(forgery) => forgery.to_string(),
                    Credential::Nobody | Credential::User(_) => "no token".to_owned(),
                };
                let request = self.valid(spec).sent_by(credential);
                self.attack(spec, &variant, Oracle::Refused, vec![attack(request)])
            });
            let attacks = attacks.collect();
            self.add(rule, &spec.operation, None, attacks);
        }
    }
}

fn forged<const N: usize>(forgeries: [Forgery; N]) -> Vec<Credential> {
    forgeries.map(Credential::Forged).to_vec()
}
