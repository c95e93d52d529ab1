//! `verification/security.yaml`: how to become a user, what a valid request looks like, and how far probing may go.
//!
//! Texts may hold placeholders. `{{username}}` and `{{password}}` belong to the user in whose name a step is sent, as does
//! everything that `users.become` captured; `{{marker}}` is random per case, `{{nonce}}` and `{{uuid}}` per request; steps of
//! `before` and `object.create` add what they capture (`{{object}}` is the new object's id).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::contract::Contract;
use super::operation::Operation;
use super::request::{Body, Credential, Request};
use super::rule::Rule;
use crate::units::{Bytes, Span};

/// The variable that holds the id of the object made by [`ObjectPlan::create`].
pub(super) const OBJECT: &str = "object";
/// The placeholder for a word that occurs in one attack only.
pub(super) const MARKER: &str = "marker";

/// How to probe one exercise's service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityPlan {
    /// Version of this format: 1.
    pub version: u32,
    /// Whose dialect of SQL the injections are written in.
    pub database: Database,
    /// How to become a user.
    pub users: UsersPlan,
    /// How tokens are signed; without it no token is forged, but stolen and damaged ones are still tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtPlan>,
    /// The objects that belong to one user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectPlan>,
    /// A valid request of an operation, where one derived from the contract alone would be refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<Operation, RequestPlan>,
    /// What is not probed, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Exclusion>,
    /// How long and how much.
    #[serde(default)]
    pub limits: Limits,
}

impl SecurityPlan {
    /// The operations that the plan names and the contract lacks.
    pub fn unknown_operations(&self, contract: &Contract) -> Vec<&Operation> {
        let object = self.object.iter().flat_map(|object| {
            [&object.create.operation, &object.read]
                .into_iter()
                .chain(object.reach.iter().map(|step| &step.operation))
        });
        let before = self.requests.values().flat_map(|request| &request.before);
        let steps = self
            .users
            .r#become
            .iter()
            .chain(before)
            .map(|step| &step.operation);
        let excluded = self.exclude.iter().map(|exclusion| &exclusion.operation);
        let named = steps.chain(object).chain(self.requests.keys()).chain(excluded);
        named
            .filter(|operation| contract.find(operation).is_none())
            .collect()
    }
}

/// A database whose SQL dialect is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Database {
    Postgresql,
    Mysql,
    Mssql,
    Sqlite,
}

/// How to become a user, and how a request shows that it comes from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsersPlan {
    /// Steps from a fresh `{{username}}` and `{{password}}` to a token, sent without credentials.
    pub r#become: Vec<Step>,
    /// The captured variable that is the access token.
    pub access_token: String,
    /// The captured variable that is the refresh token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// The captured variable by which the service knows the user; used as a forged owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The header that carries the access token. Default `Authorization`.
    #[serde(default = "default_header")]
    pub header: String,
    /// What stands before the token in that header. Default `Bearer` and a space.
    #[serde(default = "default_prefix")]
    pub prefix: String,
}

/// How access tokens are signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtPlan {
    /// The service's environment variable that holds the key.
    pub secret_env: String,
    /// The only algorithm that the contract allows.
    pub algorithm: JwtAlgorithm,
}

/// A signature algorithm for forged tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JwtAlgorithm {
    #[serde(rename = "HS256")]
    Hs256,
}

/// One request that prepares something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What is called; whether a token is sent follows from the contract.
    pub operation: Operation,
    /// Values of the path's parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub path: BTreeMap<String, String>,
    /// Query parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Request headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Variable → JSON pointer into the answer's body.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capture: BTreeMap<String, String>,
}

impl Step {
    /// The step as a request in somebody's name.
    pub fn request(&self, credential: Credential) -> Request {
        Request {
            operation: self.operation.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            body: self.body.clone().map_or(Body::Absent, Body::Json),
            credential,
        }
    }
}

/// A kind of object that only its owner may see and change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectPlan {
    /// Creates one that contains `{{marker}}`; must capture `object`, its id.
    pub create: Step,
    /// Reads one back; its answer contains the marker.
    pub read: Operation,
    /// Further requests that name an object elsewhere than in the path, sent by somebody who does not own it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reach: Vec<Step>,
}

/// A valid request of one operation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestPlan {
    /// Sent first, when the request needs something that they capture.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Step>,
    /// Values of the path's parameters. Default: the id of a fresh object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub path: BTreeMap<String, String>,
    /// Query parameters. Default: the required ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Request headers. Default: the required ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// JSON body. Default: made from the contract's schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// Something that is not probed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exclusion {
    /// The operation.
    pub operation: Operation,
    /// The rules that it is exempt from; none named means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Why, for the next author.
    pub reason: String,
}

/// Bounds of one probing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest wait for one answer. Default 5 s.
    pub request: Span,
    /// Longest probing in all; what was not tried by then is inconclusive. Default 120 s.
    pub wall: Span,
    /// Most requests in all. Default 5000.
    pub requests: u32,
    /// Most requests at the same time, 1 to 4. Default 4.
    pub concurrency: u8,
    /// How long an injected delay sleeps; the scaled one sleeps twice as long. Default 600 ms.
    pub delay: Span,
    /// The largest body that the contract allows; without it no oversized body is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Bytes>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: Span::seconds(5),
            wall: Span::seconds(120),
            requests: 5_000,
            concurrency: 4,
            delay: Span(std::time::Duration::from_millis(600)),
            body: None,
        }
    }
}

fn default_header() -> String {
    "Authorization".to_owned()
}

fn default_prefix() -> String {
    "Bearer ".to_owned()
}
