//! One operation of a contract, written `GET /tasks/{id}`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

/// A method and a path template, as in `PATCH /tasks/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation {
    /// Upper-case HTTP method.
    pub method: String,
    /// Path template, beginning with `/`.
    pub path: String,
}

/// The text is not a method, one space and a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an operation such as `GET /tasks/{{id}}`")]
pub struct OperationError(String);

impl Operation {
    /// An operation from its two parts.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
        }
    }

    /// Names of the `{parameters}` in the path, in order.
    pub fn path_parameters(&self) -> impl Iterator<Item = &str> {
        self.path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}

impl FromStr for Operation {
    type Err = OperationError;

    fn from_str(text: &str) -> Result<Self, OperationError> {
        let refused = || OperationError(text.to_owned());
        let (method, path) = text.split_once(' ').ok_or_else(refused)?;
        let known = matches!(
            method,
            "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "TRACE"
        );
        if known && path.starts_with('/') && !path.contains([' ', '?', '#']) {
            Ok(Self::new(method, path))
        } else {
            Err(refused())
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Operation {
    fn schema_name() -> Cow<'static, str> {
        "Operation".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "an operation of the contract, such as `GET /tasks/{id}`",
            "pattern": "^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE) /[^ ?#]*$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read_and_written() {
        let operation: Operation = "PATCH /lists/{list}/tasks/{id}".parse().unwrap();
        assert_eq!(operation.path_parameters().collect::<Vec<_>>(), ["list", "id"]);
        assert_eq!(operation.to_string(), "PATCH /lists/{list}/tasks/{id}");
        for text in [
            "",
            "GET",
            "get /tasks",
            "GET tasks",
            "GET /a?b",
            "FETCH /a",
            "GET  /a",
        ] {
            assert!(text.parse::<Operation>().is_err(), "{text}");
        }
    }
}
