//! Accounts, for admins, and each person's own API tokens and password.

use askama::Template;
use assay_report::text;
use assay_store::model::{Role, Token, User};

use super::assets::Assets;
use super::frame::Frame;
use super::when::When;

/// An account in the list.
struct Account {
    id: String,
    login: String,
    name: String,
    role: Role,
    role_word: &'static str,
    is_disabled: bool,
    is_self: bool,
    signs_in: &'static str,
    created: When,
}

/// All accounts.
#[derive(Template)]
#[template(path = "accounts.html", whitespace = "minimize")]
pub(super) struct AccountsPage {
    frame: Frame,
    accounts: Vec<Account>,
    roles: [(Role, &'static str, &'static str); 3],
    /// Login and password of an account that was just made.
    made: Option<(String, String)>,
    wrong: Option<String>,
}

impl AccountsPage {
    pub(super) fn new(
        frame: Frame,
        users: &[User],
        me: &User,
        made: Option<(String, String)>,
        wrong: Option<String>,
        now_ms: i64,
    ) -> Self {
        Self {
            frame,
            accounts: users
                .iter()
                .map(|user| Account {
                    id: user.id.to_string(),
                    login: text::line(&user.login),
                    name: text::line(&user.name),
                    role: user.role,
                    role_word: user.role.name(),
                    is_disabled: user.disabled_at_ms.is_some(),
                    is_self: user.id == me.id,
                    signs_in: match (&user.password_hash, &user.oidc_subject) {
                        (Some(_), None) => "with a password",
                        (None, Some(_)) => "through OpenID",
                        (Some(_), Some(_)) => "either way",
                        (None, None) => "not at all",
                    },
                    created: When::new(user.created_at_ms, now_ms),
                })
                .collect(),
            roles: [
                (Role::Viewer, "viewer", "Reads assignments and reports."),
                (
                    Role::Interviewer,
                    "interviewer",
                    "Invites, extends, runs again, cancels.",
                ),
                (
                    Role::Admin,
                    "admin",
                    "Accounts, connections, erasure, the audit trail.",
                ),
            ],
            made,
            wrong,
        }
    }
}

/// A token in the list.
struct TokenRow {
    id: String,
    name: String,
    scopes: String,
    created: When,
    used: Option<When>,
    expires: Option<When>,
    is_live: bool,
}

/// A person's own API tokens.
#[derive(Template)]
#[template(path = "tokens.html", whitespace = "minimize")]
pub(super) struct TokensPage {
    frame: Frame,
    tokens: Vec<TokenRow>,
    scopes: Vec<(&'static str, &'static str)>,
    /// The secret of a token that was just made.
    made: Option<String>,
    wrong: Option<String>,
    has_password: bool,
}

impl TokensPage {
    pub(super) fn new(
        frame: Frame,
        me: &User,
        tokens: &[Token],
        scopes: Vec<(&'static str, &'static str)>,
        made: Option<String>,
        wrong: Option<String>,
        now_ms: i64,
    ) -> Self {
        let when = |at_ms: Option<i64>| at_ms.map(|at_ms| When::new(at_ms, now_ms));
        Self {
            frame,
            tokens: tokens
                .iter()
                .map(|token| TokenRow {
                    id: token.id.to_string(),
                    name: text::line(&token.name),
                    scopes: token.scopes.join(", "),
                    created: When::new(token.created_at_ms, now_ms),
                    used: when(token.last_used_at_ms),
                    expires: when(token.expires_at_ms),
                    is_live: token.revoked_at_ms.is_none()
                        && token.expires_at_ms.is_none_or(|expires| expires > now_ms),
                })
                .collect(),
            scopes,
            made,
            wrong,
            has_password: me.password_hash.is_some(),
        }
    }
}
