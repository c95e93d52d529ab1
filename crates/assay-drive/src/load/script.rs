//! The plan, compiled: how a request is made for a user, and how its answer is judged and remembered.

use std::collections::{BTreeMap, BTreeSet};

use assay_core::load::template::{Body, Missing, Record, Scope, Slot, TemplateError, Text};
use assay_core::load::{Capture, Dice, ErrorKind, Keep, LoadPlan, Method, Request, Step};
use bytes::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use serde_json::Value;

use super::connection::Received;
use super::expect::{Checks, Expectation};
use super::users::User;

/// All requests of a plan.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) setup: Vec<ScriptStep>,
    /// In the order of their names.
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) verify: Vec<ScriptStep>,
}

/// A request that is made for each user, once or a few times.
#[derive(Debug)]
pub(super) struct ScriptStep {
    pub(super) repeat: u32,
    pub(super) endpoint: Endpoint,
}

/// One kind of request.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) name: String,
    method: hyper::Method,
    path: Text,
    /// Of the users: left out while a value is missing.
    common_headers: Vec<(HeaderName, Text)>,
    headers: Vec<(HeaderName, Text)>,
    body: Option<Body>,
    expect: Expectation,
    set: BTreeMap<String, Capture>,
    keep: Option<Keep>,
    /// Pools that a record is drawn from, and whether it is taken out.
    pools: Vec<(String, bool)>,
    count: BTreeMap<String, u64>,
}

/// A request that is ready to be sent.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) request: hyper::Request<Bytes>,
    /// With what its answer is compared; `None` when only the status counts this time.
    pub(super) checks: Option<Checks>,
}

/// The request could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unmade {
    #[error(transparent)]
    Missing(#[from] Missing),
    #[error("no record is left in the pool `{0}`")]
    Empty(String),
    #[error("a value does not fit into a request: {0}")]
    Odd(#[from] hyper::http::Error),
}

/// The plan has a template or a header that is none; [`assay_core::yaml::Lint`] would have said so.
#[derive(Debug, thiserror::Error)]
#[error("request `{name}`: {message}")]
pub(super) struct ScriptError {
    name: String,
    message: String,
}

impl Script {
    pub(super) fn of(plan: &LoadPlan, host: &str) -> Result<Self, ScriptError> {
        let endpoint = |name: &str, request: &Request| {
            Endpoint::of(name, request, &plan.users.headers, host).map_err(|message| ScriptError {
                name: name.to_owned(),
                message,
            })
        };
        let step = |step: &Step| {
            Ok(ScriptStep {
                repeat: step.repeat,
                endpoint: endpoint(&step.name, &step.request)?,
            })
        };
        Ok(Self {
            setup: plan.users.setup.iter().map(step).collect::<Result<_, _>>()?,
            endpoints: plan
                .requests
                .iter()
                .map(|(name, request)| endpoint(name, request))
                .collect::<Result<_, _>>()?,
            verify: plan.verify.iter().map(step).collect::<Result<_, _>>()?,
        })
    }
}

impl Endpoint {
    fn of(
        name: &str,
        request: &Request,
        common: &BTreeMap<String, String>,
        host: &str,
    ) -> Result<Self, String> {
        let bad = |error: TemplateError| error.to_string();
        let header = |(name, value): (&String, &String)| {
            let name: HeaderName = name
                .parse()
                .map_err(|_| format!("`{name}` is not the name of a header"))?;
            Ok::<_, String>((name, Text::parse(value).map_err(bad)?))
        };
        let mut headers: Vec<(HeaderName, Text)> =
            request.headers.iter().map(header).collect::<Result<_, _>>()?;
        let mut common_headers: Vec<(HeaderName, Text)> =
            common.iter().map(header).collect::<Result<_, _>>()?;
        common_headers.retain(|(name, _)| headers.iter().all(|(own, _)| own != name));
        let given = |name: &HeaderName| {
            headers
                .iter()
                .chain(&common_headers)
                .any(|(other, _)| other == name)
        };
        let json = "application/json";
        let usual = [
            (HOST, host, true),
            (ACCEPT, json, true),
            (CONTENT_TYPE, json, request.body.is_some()),
        ];
        let missing: Vec<_> = usual
            .into_iter()
            .filter(|(name, _, needed)| *needed && !given(name))
            .collect();
        for (name, value, _) in missing {
            headers.push((name, Text::parse(value).map_err(bad)?));
        }
        let path = Text::parse(&request.path).map_err(bad)?;
        let body = request.body.as_ref().map(Body::parse).transpose().map_err(bad)?;
        let expect = Expectation::of(request).map_err(bad)?;
        let used: BTreeSet<String> = path
            .slots()
            .chain(
                headers
                    .iter()
                    .chain(&common_headers)
                    .flat_map(|(_, text)| text.slots()),
            )
            .chain(body.iter().flat_map(Body::slots))
            .chain(expect.slots())
            .filter_map(|slot| match slot {
                Slot::Captured { pool, .. } => Some(pool.clone()),
                _ => None,
            })
            .chain(request.take.iter().cloned())
            .collect();
        Ok(Self {
            name: name.to_owned(),
            method: method(request.method),
            path,
            common_headers,
            headers,
            body,
            expect,
            set: request.set.clone(),
            keep: request.keep.clone(),
            pools: used
                .into_iter()
                .map(|pool| (pool.clone(), request.take.contains(&pool)))
                .collect(),
            count: request.count.clone(),
        })
    }

    /// Whether headers and body of an answer are needed even when they are not checked.
    pub(super) fn needs_answer(&self) -> bool {
        !self.set.is_empty() || self.keep.is_some()
    }

    /// Makes the request for a user.
    ///
    /// # Errors
    ///
    /// A value is not known, because earlier answers lacked it or the pool is empty.
    pub(super) fn prepare(
        &self,
        user: &mut User,
        seq: &mut u64,
        dice: &mut Dice,
        in_full: bool,
    ) -> Result<Prepared, Unmade> {
        let mut captured: BTreeMap<String, Record> = BTreeMap::new();
        for (pool, take) in &self.pools {
            let record = user
                .draw(pool, *take, dice)
                .ok_or_else(|| Unmade::Empty(pool.clone()))?;
            captured.insert(pool.clone(), record);
        }
        let mut scope = Scope {
            user_number: user.number,
            user: &user.values,
            captured: &captured,
            seq,
            dice,
        };
        let mut request = hyper::Request::builder()
            .method(self.method.clone())
            .uri(self.path.render_path(&mut scope)?);
        for (name, text) in &self.common_headers {
            if let Ok(value) = text.render(&mut scope) {
                request = request.header(
                    name,
                    HeaderValue::try_from(value).map_err(hyper::http::Error::from)?,
                );
            }
        }
        for (name, text) in &self.headers {
            let value = HeaderValue::try_from(text.render(&mut scope)?).map_err(hyper::http::Error::from)?;
            request = request.header(name, value);
        }
        let sent = self
            .body
            .as_ref()
            .map(|body| body.render(&mut scope))
            .transpose()?;
        let bytes = sent
            .as_ref()
            .map(|value| Bytes::from(value.to_string()))
            .unwrap_or_default();
        let checks = in_full
            .then(|| self.expect.render(&mut scope, sent.as_ref()))
            .transpose()?;
        Ok(Prepared {
            request: request.body(bytes)?,
            checks,
        })
    }

    /// Judges an answer and lets the user remember what it says.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn accept(
        &self,
        user: &mut User,
        checks: Option<&Checks>,
        answer: &Received,
    ) -> Result<(), (ErrorKind, String)> {
        let outcome = self.judge(user, checks, answer);
        match &outcome {
            Ok(()) => user.count(&self.count, true),
            // 4xx says that nothing was done; after anything else nobody knows.
            Err((ErrorKind::Status, _)) if (400..500).contains(&answer.status) => (),
            Err(_) => user.count(&self.count, false),
        }
        outcome
    }

    /// Notes that no answer came.
    pub(super) fn lost(&self, user: &mut User, kind: ErrorKind) {
        if !matches!(kind, ErrorKind::Refused | ErrorKind::Connect | ErrorKind::NoData) {
            user.count(&self.count, false);
        }
    }

    fn judge(
        &self,
        user: &mut User,
        checks: Option<&Checks>,
        answer: &Received,
    ) -> Result<(), (ErrorKind, String)> {
        if !self.expect.allows(answer.status) {
            let kind = if answer.status >= 500 {
                ErrorKind::ServerError
            } else {
                ErrorKind::Status
            };
            return Err((
                kind,
                format!(
                    "status {}, {} was expected",
                    answer.status,
                    self.expect.statuses()
                ),
            ));
        }
        let reads_json = self.needs_answer() || checks.is_some_and(Checks::read_body);
        let body: Value = if reads_json {
            serde_json::from_slice(&answer.body)
                .map_err(|error| (ErrorKind::Body, format!("the body is not JSON: {error}")))?
        } else {
            Value::Null
        };
        if let Some(checks) = checks {
            checks
                .compare(user, answer, &body)
                .map_err(|message| (ErrorKind::Check, message))?;
        }
        for (name, capture) in &self.set {
            let value = capture_value(capture, answer, &body).ok_or_else(|| {
                (
                    ErrorKind::Body,
                    format!("there is no value for `{name}` in the answer"),
                )
            })?;
            user.values.insert(name.clone(), value);
        }
        if let Some(keep) = &self.keep {
            keep_records(keep, user, answer, &body)?;
        }
        Ok(())
    }
}

fn capture_value(capture: &Capture, answer: &Received, body: &Value) -> Option<Value> {
    match (&capture.json, &capture.header) {
        (Some(pointer), _) => body.pointer(pointer).cloned(),
        (None, Some(name)) => Some(answer.headers.get(name)?.to_str().ok()?.into()),
        (None, None) => None,
    }
}

fn keep_records(
    keep: &Keep,
    user: &mut User,
    answer: &Received,
    body: &Value,
) -> Result<(), (ErrorKind, String)> {
    let elements: Vec<&Value> = match &keep.each {
        None => vec![body],
        Some(pointer) => match body.pointer(pointer).and_then(Value::as_array) {
            Some(elements) => elements.iter().collect(),
            None => return Err((ErrorKind::Body, format!("{pointer} is not an array"))),
        },
    };
    for element in elements {
        let field = |(name, capture): (&String, &Capture)| {
            Some((name.clone(), capture_value(capture, answer, element)?))
        };
        if let Some(record) = keep.fields.iter().map(field).collect::<Option<Record>>() {
            user.keep(&keep.pool, record, keep.limit);
        }
    }
    Ok(())
}

fn method(method: Method) -> hyper::Method {
    match method {
        Method::Get => hyper::Method::GET,
        Method::Post => hyper::Method::POST,
        Method::Put => hyper::Method::PUT,
        Method::Patch => hyper::Method::PATCH,
        Method::Delete => hyper::Method::DELETE,
    }
}
