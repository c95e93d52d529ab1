//! From columns to values and back.

use assay_core::id::BadId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::StoreError;
use crate::model::{Page, PageRequest};

/// Most rows of a page.
const MOST_ROWS: u32 = 200;

/// An id out of a column.
pub(crate) fn id<T: TryFrom<String, Error = BadId>>(text: String) -> Result<T, StoreError> {
    T::try_from(text.clone()).map_err(|_| StoreError::Damaged { what: "id", text })
}

/// A count out of a column.
pub(crate) fn count(n: i64) -> u32 {
    u32::try_from(n.max(0)).unwrap_or(u32::MAX)
}

/// How many rows a page is to have.
pub(crate) fn limit(request: &PageRequest) -> usize {
    request.limit.clamp(1, MOST_ROWS) as usize
}

/// A page of `n` rows, out of one more where there are more.
pub(crate) fn page<T>(mut rows: Vec<T>, n: usize, place: impl Fn(&T) -> String) -> Page<T> {
    let more = rows.len() > n;
    rows.truncate(n);
    let next = rows.last().filter(|_| more).map(place);
    Page { rows, next }
}

/// A value out of a column of JSON.
pub(crate) fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged {
        what,
        text: text.to_owned(),
    })
}

/// A value for a column of JSON.
pub(crate) fn to_json<T: Serialize>(what: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Damaged {
        what,
        text: error.to_string(),
    })
}

/// Text for a column of text: PostgreSQL knows no U+0000.
pub(crate) fn plain(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

/// Bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// JSON with the keys of every object in order, so that equal values have equal texts.
pub(crate) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut members: Vec<(&String, &Value)> = map.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            let member = |(key, value): &(&String, &Value)| {
                format!("{}:{}", Value::from(key.as_str()), canonical(value))
            };
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
        }
        Value::Array(values) => {
            format!("[{}]", values.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_values_have_equal_texts() {
        let value = json!({"b": [1, {"d": null, "c": "ä\"\u{0}"}], "a": 1.5});
        insta::assert_snapshot!(canonical(&value), @r#"{"a":1.5,"b":[1,{"c":"ä\"\u0000","d":null}]}"#);
    }

    #[test]
    fn bytes_as_hexadecimal() {
        assert_eq!(hex(&[0, 15, 255]), "000fff");
    }
}
