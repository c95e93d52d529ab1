//! Requests before they are sent: who sends them, where a value can be put in, and what they look like on the wire.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::contract::{OperationSpec, Place, Schema};
use super::operation::Operation;
use super::template::{Variables, fill, fill_json};

/// Stands for a lone surrogate, which is no character: it becomes `\ud800` in a JSON body.
pub(super) const LONE_SURROGATE: char = '\u{f8ff}';

/// One request, with placeholders.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Method and path template.
    pub operation: Operation,
    /// Values of the path's parameters, not yet encoded.
    pub path: BTreeMap<String, String>,
    /// Query parameters, not yet encoded.
    pub query: BTreeMap<String, String>,
    /// Headers besides the credential's.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: Body,
    /// In whose name.
    pub credential: Credential,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// None.
    Absent,
    /// A JSON value, as `application/json`.
    Json(Value),
    /// These bytes, as `content_type`.
    Raw {
        content_type: &'static str,
        bytes: Vec<u8>,
    },
    /// A JSON value, followed by blanks until the body is this many bytes long.
    Padded { value: Value, bytes: usize },
    /// So many opening brackets, and as many closing ones.
    Nested { depth: usize },
}

/// In whose name a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credential {
    /// Without any.
    Nobody,
    /// With the access token of this user.
    User(User),
    /// With a token for user A that must be refused.
    Forged(Forgery),
}

/// The two users of every probing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum User {
    /// Owns the objects.
    A,
    /// Owns nothing, and wants to.
    B,
}

/// A token that must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forgery {
    /// Three words with dots between them.
    Garbage,
    /// No more than the prefix.
    Empty,
    /// A's claims, signed with a random key.
    WrongKey,
    /// A's claims, signed with this key.
    GuessableKey(&'static str),
    /// A's claims, unsigned, under this spelling of `none`.
    AlgNone(&'static str),
    /// A's token without its signature.
    EmptySignature,
    /// A's token with a later expiry under the old signature.
    Tampered,
    /// A's claims, rightly signed, expired an hour ago.
    Expired,
    /// A's claims without an expiry, rightly signed.
    NoExpiry,
    /// A's refresh token.
    RefreshToken,
}

/// A place in a request that takes a value from outside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// A parameter in the path.
    Path(String),
    /// A query parameter.
    Query(String),
    /// A header.
    Header(String),
    /// A JSON pointer into the body.
    Body(String),
    /// The body as a whole.
    WholeBody,
}

/// What is sent: a request with every placeholder filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    /// HTTP method.
    pub method: String,
    /// Path and query, encoded.
    pub target: String,
    /// Headers besides the credential's and the connection's.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// A placeholder has no value yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing captured `{0}`")]
pub struct Unfilled(pub String);

impl Request {
    /// The same request by somebody else.
    #[must_use]
    pub fn sent_by(mut self, credential: Credential) -> Self {
        self.credential = credential;
        self
    }

    /// The value at an input, as a text; `None` where the request leaves it out.
    pub fn text_at(&self, input: &Input) -> Option<&str> {
        match input {
            Input::Path(name) => self.path.get(name).map(String::as_str),
            Input::Query(name) => self.query.get(name).map(String::as_str),
            Input::Header(name) => self.headers.get(name).map(String::as_str),
            Input::Body(pointer) => match &self.body {
                Body::Json(value) => value.pointer(pointer)?.as_str(),
                _ => None,
            },
            Input::WholeBody => None,
        }
    }

    /// The same request with another value at an input. In a body, the parent must be there.
    #[must_use]
    pub fn with(mut self, input: &Input, value: Value) -> Self {
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        match input {
            Input::Path(name) => drop(self.path.insert(name.clone(), text(value))),
            Input::Query(name) => drop(self.query.insert(name.clone(), text(value))),
            Input::Header(name) => drop(self.headers.insert(name.clone(), text(value))),
            Input::Body(pointer) => {
                if let Body::Json(body) = &mut self.body {
                    set(body, pointer, value);
                }
            }
            Input::WholeBody => self.body = Body::Json(value),
        }
        self
    }

    /// Everything of the request that can hold a placeholder, for looking only.
    pub fn mentions(&self, placeholder: &str) -> bool {
        let needle = format!("{{{{{placeholder}}}}}");
        let maps = [&self.path, &self.query, &self.headers];
        let in_body = match &self.body {
            Body::Json(value) | Body::Padded { value, .. } => value.to_string().contains(&needle),
            Body::Absent | Body::Raw { .. } | Body::Nested { .. } => false,
        };
        in_body
            || maps
                .iter()
                .any(|map| map.values().any(|text| text.contains(&needle)))
    }

    /// Fills the placeholders that `value_of` knows.
    #[must_use]
    pub fn filled(&self, value_of: &mut dyn FnMut(&str) -> Option<String>) -> Self {
        let mut fill_map = |map: &BTreeMap<String, String>| {
            map.iter()
                .map(|(name, text)| (name.clone(), fill(text, &mut *value_of)))
                .collect()
        };
        let (path, query, headers) = (
            fill_map(&self.path),
            fill_map(&self.query),
            fill_map(&self.headers),
        );
        let body = match &self.body {
            Body::Json(value) => Body::Json(fill_json(value, value_of)),
            Body::Padded { value, bytes } => Body::Padded {
                value: fill_json(value, value_of),
                bytes: *bytes,
            },
            other => other.clone(),
        };
        Self {
            operation: self.operation.clone(),
            path,
            query,
            headers,
            body,
            credential: self.credential,
        }
    }

    /// The bytes to send.
    ///
    /// # Errors
    /// When a placeholder has no value among `variables`.
    pub fn wire(&self, variables: &Variables) -> Result<Wire, Unfilled> {
        let mut missing = None;
        let request = self.filled(&mut |name| {
            let value = variables.get(name).cloned();
            if value.is_none() {
                missing.get_or_insert_with(|| name.to_owned());
            }
            value
        });
        match missing {
            Some(name) => Err(Unfilled(name)),
            None => Ok(request.encode()),
        }
    }

    fn encode(self) -> Wire {
        let segments = self.operation.path.split('/').map(|segment| {
            let parameter = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            match parameter.and_then(|name| self.path.get(name)) {
                Some(value) => percent_encode(value),
                None => segment.to_owned(),
            }
        });
        let mut target = segments.collect::<Vec<_>>().join("/");
        let query: Vec<_> = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
            .collect();
        if !query.is_empty() {
            target = format!("{target}?{}", query.join("&"));
        }
        let json = "application/json";
        let (content_type, body) = match self.body {
            Body::Absent => ("", Vec::new()),
            Body::Json(value) => (json, json_bytes(&value)),
            Body::Raw { content_type, bytes } => (content_type, bytes),
            Body::Padded { value, bytes } => {
                let mut body = json_bytes(&value);
                body.resize(body.len().max(bytes), b' ');
                (json, body)
            }
            Body::Nested { depth } => (json, ["[".repeat(depth), "]".repeat(depth)].concat().into_bytes()),
        };
        let mut headers: Vec<_> = self.headers.into_iter().collect();
        if !content_type.is_empty() {
            headers.push(("Content-Type".to_owned(), content_type.to_owned()));
        }
        Wire {
            method: self.operation.method,
            target,
            headers,
            body,
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(name) => write!(f, "path {name}"),
            Self::Query(name) => write!(f, "query {name}"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Body(pointer) => write!(f, "body {pointer}"),
            Self::WholeBody => f.write_str("body"),
        }
    }
}

impl fmt::Display for Forgery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Garbage => f.write_str("not a token"),
            Self::Empty => f.write_str("empty token"),
            Self::WrongKey => f.write_str("signed with a random key"),
            Self::GuessableKey("") => f.write_str("signed with the empty key"),
            Self::GuessableKey(key) => write!(f, "signed with the key `{key}`"),
            Self::AlgNone(spelling) => write!(f, "alg: {spelling}"),
            Self::EmptySignature => f.write_str("signature cut off"),
            Self::Tampered => f.write_str("claims changed after signing"),
            Self::Expired => f.write_str("expired an hour ago"),
            Self::NoExpiry => f.write_str("without exp"),
            Self::RefreshToken => f.write_str("refresh token"),
        }
    }
}

/// Every input of an operation that takes a text on the wire: all parameters, and the strings of the body, whether the
/// request at hand holds them or the contract merely allows them.
pub(super) fn text_inputs(spec: &OperationSpec, request: &Request) -> Vec<Input> {
    let parameters = spec.parameters.iter().map(|parameter| match parameter.place {
        Place::Path => Input::Path(parameter.name.clone()),
        Place::Query => Input::Query(parameter.name.clone()),
        Place::Header => Input::Header(parameter.name.clone()),
    });
    let mut inputs: Vec<_> = parameters.collect();
    if let Body::Json(value) = &request.body {
        collect_texts(value, spec.body.as_ref(), "", &mut inputs);
    }
    inputs
}

/// JSON pointers of the objects in a body, the root first.
pub(super) fn objects_of(value: &Value) -> Vec<String> {
    fn walk(value: &Value, pointer: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.push(pointer.to_owned());
                for (name, field) in fields {
                    walk(field, &child(pointer, name), found);
                }
            }
            Value::Array(items) => {
                if let Some(first) = items.first() {
                    walk(first, &child(pointer, "0"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

fn collect_texts(value: &Value, schema: Option<&Schema>, pointer: &str, inputs: &mut Vec<Input>) {
    match value {
        Value::Object(fields) => {
            let nothing = BTreeMap::new();
            let declared = match schema {
                Some(Schema::Object(declared)) => declared,
                _ => &nothing,
            };
            for (name, field) in fields {
                collect_texts(field, declared.get(name), &child(pointer, name), inputs);
            }
            let absent = declared
                .iter()
                .filter(|(name, field)| matches!(field, Schema::Text { .. }) && !fields.contains_key(*name));
            inputs.extend(absent.map(|(name, _)| Input::Body(child(pointer, name))));
        }
        // One item stands for all.
        Value::Array(items) => {
            if let Some(first) = items.first() {
                let schema = match schema {
                    Some(Schema::List(item)) => Some(&**item),
                    _ => None,
                };
                collect_texts(first, schema, &child(pointer, "0"), inputs);
            }
        }
        Value::String(_) => inputs.push(Input::Body(pointer.to_owned())),
        _ if matches!(schema, Some(Schema::Text { .. })) => inputs.push(Input::Body(pointer.to_owned())),
        _ => {}
    }
}

fn child(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn set(body: &mut Value, pointer: &str, value: Value) {
    if pointer.is_empty() {
        *body = value;
    } else if let Some(place) = body.pointer_mut(pointer) {
        *place = value;
    } else if let Some((parent, name)) = pointer.rsplit_once('/') {
        let parent: Option<&mut Map<_, _>> = body.pointer_mut(parent).and_then(Value::as_object_mut);
        if let Some(fields) = parent {
            fields.insert(name.replace("~1", "/").replace("~0", "~"), value);
        }
    }
}

fn json_bytes(value: &Value) -> Vec<u8> {
    value.to_string().replace(LONE_SURROGATE, "\\ud800").into_bytes()
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
