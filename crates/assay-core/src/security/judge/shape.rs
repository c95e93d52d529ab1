//! What of two answers can be compared: their shape, without ids, times and echoes.

use serde_json::Value;

use super::super::exchange::{Answer, Outcome};

/// Status, media type, and the structure of a JSON body: names, types, lengths of arrays; never the values.
pub(super) fn shape(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(answer) => {
            let structure = answer.json().map(|json| structure(&json)).unwrap_or_default();
            format!("{} {} {structure}", answer.status, answer.media_type())
        }
        Outcome::Failed(failure) => failure.to_string(),
    }
}

/// Whether both are answers with the same status and the same content.
pub(super) fn same_content(one: &Outcome, other: &Outcome) -> bool {
    match (one.answer(), other.answer()) {
        (Some(one), Some(other)) => {
            let same = match (one.json(), other.json()) {
                (Some(one), Some(other)) => one == other,
                _ => one.body == other.body,
            };
            one.status == other.status && same
        }
        _ => false,
    }
}

/// The names of the fields at the first level of a JSON body.
pub(super) fn fields(answer: &Answer) -> Vec<String> {
    match answer.json() {
        Some(Value::Object(fields)) => fields.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

fn structure(json: &Value) -> String {
    match json {
        Value::Null => "0".to_owned(),
        Value::Bool(_) => "b".to_owned(),
        Value::Number(_) => "n".to_owned(),
        Value::String(_) => "s".to_owned(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(structure).collect::<Vec<_>>().join(","))
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, field)| format!("{name}:{}", structure(field)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
    }
}
