//! Signing in elsewhere: the section `oidc`.

use std::fmt;
use std::path::PathBuf;

use anyhow::Context;
use assay_server::auth::oidc::Oidc;
use assay_store::model::Role;
use serde::Deserialize;

use super::layers::Layers;
use super::unless_empty;

#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OidcSection {
    #[serde(deserialize_with = "unless_empty")]
    issuer: Option<String>,
    client_id: String,
    #[serde(deserialize_with = "unless_empty")]
    client_secret_file: Option<PathBuf>,
    name: String,
    #[serde(deserialize_with = "unless_empty")]
    role_claim: Option<String>,
    admins: String,
    interviewers: String,
    viewers: String,
    default_role: String,
    allowed_domains: String,
}

impl fmt::Debug for OidcSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcSection")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl OidcSection {
    /// What no type can say.
    pub(super) fn lint(&self, layers: &mut Layers) {
        if role(&self.default_role).is_none() && !self.default_role.is_empty() {
            let message = format!("`{}` is no role", self.default_role);
            layers.mistake(
                "oidc.default_role",
                message,
                "viewer, interviewer, admin or nothing",
            );
        }
        let Some(issuer) = &self.issuer else {
            return;
        };
        let is_near = ["http://127.0.0.1", "http://localhost"]
            .iter()
            .any(|near| issuer.starts_with(near));
        if !issuer.starts_with("https://") && !is_near {
            layers.mistake(
                "oidc.issuer",
                format!("`{issuer}` is not the address of a provider"),
                "it begins with https://",
            );
        }
        if self.client_id.is_empty() {
            let hint = "the provider gave it when this installation was registered there";
            layers.mistake("oidc.client_id", "it is missing", hint);
        }
        if self.role_claim.is_none() && self.default_role.is_empty() {
            layers.mistake(
                "oidc.default_role",
                "nobody could sign in at the provider",
                "name a role for them, or the claim that says it in oidc.role_claim",
            );
        }
    }

    /// The provider, with its secret. None: there is none.
    pub(crate) fn provider(&self) -> anyhow::Result<Option<Oidc>> {
        let Some(issuer) = self.issuer.clone() else {
            return Ok(None);
        };
        let client_secret = match &self.client_secret_file {
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("oidc.client_secret_file {} cannot be read", path.display()))?
                .trim()
                .to_owned(),
            None => String::new(),
        };
        let of = |text: &str, role: Role| words(text).into_iter().map(move |word| (word, role));
        Ok(Some(Oidc {
            issuer,
            client_id: self.client_id.clone(),
            client_secret,
            name: self.name.clone(),
            role_claim: self.role_claim.clone(),
            roles: of(&self.admins, Role::Admin)
                .chain(of(&self.interviewers, Role::Interviewer))
                .chain(of(&self.viewers, Role::Viewer))
                .collect(),
            default_role: role(&self.default_role),
            allowed_domains: words(&self.allowed_domains),
        }))
    }
}

fn role(name: &str) -> Option<Role> {
    Role::ALL.into_iter().find(|role| role.name() == name)
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(',').map(str::trim);
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
