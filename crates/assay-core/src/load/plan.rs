//! What people write in `verification/load.yaml`, and the job that the generator is given.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::units::{Bytes, Span};

/// A load plan: who the users are, what they ask for, how often, and what counts as good enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LoadPlan {
    /// Version of this format; 1.
    pub version: u32,
    /// Time limit of one request, from sending it until its body is read. An arrival that has waited as long for
    /// a free connection is dropped.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// Longest body of an answer that is read; a longer one is an error.
    #[serde(default = "default_max_body")]
    pub max_body: Bytes,
    /// One in so many answers, at random, is checked in full; all of them are checked by status.
    #[serde(default = "default_check_every")]
    pub check_every: u32,
    /// The users, made before the clock starts.
    pub users: Users,
    /// The requests by name; the name is the `endpoint` in thresholds and reports.
    pub requests: BTreeMap<String, Request>,
    /// The scenarios by name. They share users and connections, and run side by side from their `startTime`.
    pub scenarios: BTreeMap<String, Scenario>,
    /// Conditions by metric, as in k6: `{"http_req_duration{endpoint:list}": ["p(95)<200"]}`. Times are in milliseconds.
    #[serde(default)]
    pub thresholds: BTreeMap<String, Vec<String>>,
    /// Requests made for each user when all answers are in: does the service still know what it confirmed? A step that
    /// draws from a pool ends for the user when the pool is empty.
    #[serde(default)]
    pub verify: Vec<Step>,
}

/// The users of the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Users {
    /// How many there are.
    pub count: u32,
    /// How many of them are set up at the same time.
    #[serde(default = "default_concurrency")]
    pub concurrency: u32,
    /// Headers of each request, such as `authorization: Bearer ${user.token}`. A header is sent as soon as the
    /// values it names are known, so the steps that get a token are sent without it.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What is done for each user, in order, before the clock starts. A step that fails ends the measurement.
    #[serde(default)]
    pub setup: Vec<Step>,
}

/// A request made once (or a few times) for each user, outside the measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Step {
    /// What the step is for, as it is called in reports.
    pub name: String,
    /// How many times it is made, one after the other.
    #[serde(default = "default_repeat")]
    pub repeat: u32,
    /// The request.
    pub request: Request,
}

/// One kind of request. Path, header values and all texts in the body are templates, see [`super::template`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// Path and query, from the first slash; values put into it are percent-encoded.
    pub path: String,
    /// Headers of this request; they win over those of the users.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// JSON body. A text that is one placeholder takes the value with its type; `{$repeat: 500, $item: …}` becomes
    /// an array of so many items.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub body: Option<Value>,
    /// What the answer must be.
    #[serde(default)]
    pub expect: Expect,
    /// Values of the answer that belong to the user from now on: `${user.NAME}`.
    #[serde(default)]
    pub set: BTreeMap<String, Capture>,
    /// Records of the answer that go to a pool of the user's: `${captured.POOL.FIELD}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// Pools out of which the record that is drawn is taken, so that no other request uses it until it is kept again.
    #[serde(default)]
    pub take: Vec<String>,
    /// Counters of the user that go up by so much when the answer is as expected.
    #[serde(default)]
    pub count: BTreeMap<String, u64>,
}

/// The methods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// The default.
    #[default]
    Get,
    #[expect(missing_docs, reason = "named after what they are")]
    Post,
    #[expect(missing_docs, reason = "named after what they are")]
    Put,
    #[expect(missing_docs, reason = "named after what they are")]
    Patch,
    #[expect(missing_docs, reason = "named after what they are")]
    Delete,
}

/// Where in an answer a value is: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Capture {
    /// JSON pointer into the body (or into the element, under `each`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
    /// Name of a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

/// Records to remember.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Keep {
    /// The pool that they go to.
    pub pool: String,
    /// JSON pointer to an array: one record for each element. Without it the answer is one record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// The fields of a record. A record that lacks one is not kept.
    pub fields: BTreeMap<String, Capture>,
    /// Most records that one user keeps in the pool; the oldest go first.
    #[serde(default = "default_keep_limit")]
    pub limit: u32,
}

/// What an answer must be. The status is looked at each time, the rest at one in `checkEvery` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Expect {
    /// The statuses that are right; without any, 200 to 299.
    #[serde(default)]
    pub status: Vec<u16>,
    /// Headers that must be there.
    #[serde(default)]
    pub headers: Vec<HeaderCheck>,
    /// Conditions on the JSON body.
    #[serde(default)]
    pub json: Vec<JsonCheck>,
}

/// A header that must be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HeaderCheck {
    /// Its name, in any case.
    pub name: String,
    /// Its value, as a template; without it, any value will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
}

/// A condition on the value at a JSON pointer, which must exist; at most one of the others is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct JsonCheck {
    /// The JSON pointer.
    pub at: String,
    /// The value is equal to this one, a template as in a body.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub equals: Option<Value>,
    /// The value is equal to the one at this JSON pointer of the body that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
    /// The value is of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<JsonKind>,
    /// The value, or the number of elements of an array, is what this counter of the user's says. A write whose
    /// answer never came may or may not have happened; the counter knows how many of those there are and allows for
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter: Option<String>,
    /// The value is an array whose elements all differ in the value at this JSON pointer, which each of them has:
    /// nothing is there twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<String>,
}

/// The types of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "named after what they are")]
pub enum JsonKind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

/// A stream of requests: arrivals by schedule, or users who ask one after the other. Which of the fields apply follows
/// from the executor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scenario {
    /// How the requests are spread over time.
    pub executor: Executor,
    /// `constant-arrival-rate`: arrivals per `timeUnit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// `constant-arrival-rate`, `constant-vus`: how long. `per-vu-iterations`: at most so long (10 minutes by default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// `ramping-arrival-rate`: the rate at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_rate: Option<u32>,
    /// `ramping-arrival-rate`, `ramping-vus`: the rate, or the number of users, changes linearly to each target in turn.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// Arrival rates: the time that rates and targets count in.
    #[serde(default = "default_time_unit")]
    pub time_unit: Span,
    /// Arrival rates: how arrivals are spread at a given rate.
    #[serde(default)]
    pub arrival: Spacing,
    /// When it starts, from the start of the measurement.
    #[serde(default = "default_start_time")]
    pub start_time: Span,
    /// Connections opened before the clock starts. More are opened when all are busy.
    #[serde(default = "default_pre_allocated", rename = "preAllocatedVUs")]
    pub pre_allocated_vus: u32,
    /// Arrival rates: most requests of this scenario under way at the same time. Further arrivals wait in line, and
    /// their latency goes on counting from their intended time.
    #[serde(default = "default_max_vus", rename = "maxVUs")]
    pub max_vus: u32,
    /// `constant-vus`, `per-vu-iterations`: how many users there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vus: Option<u32>,
    /// `ramping-vus`: how many users there are at the start; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "startVUs")]
    pub start_vus: Option<u32>,
    /// `per-vu-iterations`: requests of each user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u32>,
    /// Users: how long each waits after an answer; not at all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub think_time: Option<Span>,
    /// Warm-up: its requests are sent like all others, and are in no number but their own.
    #[serde(default)]
    pub warm_up: bool,
    /// Names of requests with their weights.
    pub mix: BTreeMap<String, u32>,
}

/// The executors, as in k6.
///
/// Those with an arrival rate are the open model: nothing that the service does moves an arrival, and latency counts
/// from the time at which it was intended. Those with users are the closed model: a slow service is asked less often,
/// and latency counts from the time at which the request was really sent. So they say how much a service can take, and
/// nothing about how long people wait who come when they like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Executor {
    /// Open: the same rate from start to end.
    ConstantArrivalRate,
    /// Open: a rate that changes linearly from stage to stage.
    RampingArrivalRate,
    /// Closed: so many users ask one request after the other.
    ConstantVus,
    /// Closed: a number of users that changes linearly from stage to stage.
    RampingVus,
    /// Closed: so many users ask so many requests each.
    PerVuIterations,
}

impl Executor {
    /// Its name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConstantArrivalRate => "constant-arrival-rate",
            Self::RampingArrivalRate => "ramping-arrival-rate",
            Self::ConstantVus => "constant-vus",
            Self::RampingVus => "ramping-vus",
            Self::PerVuIterations => "per-vu-iterations",
        }
    }

    /// Whether users ask, instead of arrivals coming by schedule.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::ConstantVus | Self::RampingVus | Self::PerVuIterations)
    }
}

/// How arrivals are spread at a given rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// At equal distances.
    #[default]
    Even,
    /// Independent of each other, as those of many people are (a Poisson process): the rate holds on average, and several
    /// may come almost at once. The same seed gives the same arrivals.
    Poisson,
}

/// A linear change of the rate or of the number of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Stage {
    /// The rate at its end, in arrivals per `timeUnit`; or the number of users.
    pub target: u32,
    /// How long the change takes. With `0s` it is a jump: a spike is a jump up, a while, and a jump down.
    pub duration: Span,
}

/// What `assay-drive load` is given: a plan, where, and the seed that all randomness comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadJob {
    /// The plan.
    pub plan: LoadPlan,
    /// Where the service is: `http://127.0.0.1:PORT`, nothing else.
    #[serde(default = "default_base_url")]
    pub base_url: String,
    /// The seed.
    pub seed: u64,
    /// Where the schedule is cut into windows, in milliseconds from its start, ascending. Each of them waits for a
    /// [`LoadAsk`](super::LoadAsk). None: all is sent in one go and nothing is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuts_ms: Option<Vec<u64>>,
}

/// Where a candidate's service listens unless the exercise says otherwise.
pub const BASE_URL: &str = "http://127.0.0.1:8080";

/// The base URL is not `http://` with a literal loopback address and a port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form `http://127.0.0.1:PORT` (load goes to loopback only)")]
pub struct BaseUrlError(String);

/// Reads a base URL.
///
/// # Errors
///
/// Anything but `http://` and a literal address in 127.0.0.0/8 with a port: names would need a resolver, and a
/// load generator that reaches other machines is a weapon.
pub fn parse_base_url(text: &str) -> Result<SocketAddrV4, BaseUrlError> {
    let address = text
        .strip_prefix("http://")
        .map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    address
        .and_then(|address| address.parse::<SocketAddrV4>().ok())
        .filter(|address| Ipv4Addr::is_loopback(address.ip()) && address.port() != 0)
        .ok_or_else(|| BaseUrlError(text.to_owned()))
}

/// `null` is a value, not an absence.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

const fn default_timeout() -> Span {
    Span::seconds(10)
}
const fn default_max_body() -> Bytes {
    Bytes::mebibytes(1)
}
const fn default_check_every() -> u32 {
    10
}
const fn default_concurrency() -> u32 {
    4
}
const fn default_repeat() -> u32 {
    1
}
const fn default_keep_limit() -> u32 {
    256
}
const fn default_time_unit() -> Span {
    Span::seconds(1)
}
const fn default_start_time() -> Span {
    Span::seconds(0)
}
const fn default_pre_allocated() -> u32 {
    16
}
const fn default_max_vus() -> u32 {
    256
}
fn default_base_url() -> String {
    BASE_URL.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_literal_loopback_is_a_target() {
        for (text, port) in [("http://127.0.0.1:8080", 8080), ("http://127.0.0.1:1/", 1)] {
            assert_eq!(parse_base_url(text).unwrap().port(), port, "{text}");
        }
        for text in [
            "https://127.0.0.1:8080",
            "http://localhost:8080",
            "http://10.0.0.1:80",
            "http://127.0.0.1",
            "http://127.0.0.1:0",
            "http://127.0.0.1:80/path",
            "http://127.0.0.1:80@example.org",
            "http://[::1]:80",
            "",
        ] {
            assert!(parse_base_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn unknown_fields_are_refused_and_null_is_a_value() {
        let typo = serde_yaml::from_str::<Request>("{path: /, boddy: 1}")
            .unwrap_err()
            .to_string();
        assert!(typo.contains("unknown field `boddy`"), "{typo}");
        let check: JsonCheck = serde_yaml::from_str("{at: /next, equals: null}").unwrap();
        assert_eq!(check.equals, Some(Value::Null));
        let check: JsonCheck = serde_yaml::from_str("{at: /next}").unwrap();
        assert_eq!(check.equals, None);
    }
}
