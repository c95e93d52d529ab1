//! What an answer must be, and what is said when it is not.

use std::collections::BTreeSet;

use assay_core::load::template::{Body, Missing, Scope, Slot, TemplateError, Text};
use assay_core::load::{JsonCheck, JsonKind, Request};
use serde_json::Value;

use super::connection::Received;
use super::users::User;

/// What the answers to one kind of request must be.
#[derive(Debug)]
pub(super) struct Expectation {
    status: Vec<u16>,
    headers: Vec<(String, Option<Text>)>,
    json: Vec<JsonExpectation>,
}

#[derive(Debug)]
struct JsonExpectation {
    at: String,
    is: Condition,
}

#[derive(Debug)]
enum Condition {
    There,
    Equal(Body),
    Sent(String),
    Kind(JsonKind),
    Counter(String),
    Unique(String),
}

/// With what the content of an answer is compared.
#[derive(Debug)]
pub(super) struct Checks {
    headers: Vec<(String, Option<String>)>,
    json: Vec<(String, Comparison)>,
}

#[derive(Debug)]
enum Comparison {
    There,
    Equal(Value),
    Kind(JsonKind),
    Counter(String),
    Unique(String),
}

impl Expectation {
    pub(super) fn of(request: &Request) -> Result<Self, TemplateError> {
        let condition = |check: &JsonCheck| {
            Ok(match check {
                JsonCheck {
                    equals: Some(value), ..
                } => Condition::Equal(Body::parse(value)?),
                JsonCheck {
                    sent: Some(pointer), ..
                } => Condition::Sent(pointer.clone()),
                JsonCheck { is: Some(kind), .. } => Condition::Kind(*kind),
                JsonCheck {
                    counter: Some(counter),
                    ..
                } => Condition::Counter(counter.clone()),
                JsonCheck {
                    unique: Some(pointer),
                    ..
                } => Condition::Unique(pointer.clone()),
                _ => Condition::There,
            })
        };
        let expect = &request.expect;
        Ok(Self {
            status: expect.status.clone(),
            headers: expect
                .headers
                .iter()
                .map(|header| {
                    Ok((
                        header.name.clone(),
                        header.equals.as_deref().map(Text::parse).transpose()?,
                    ))
                })
                .collect::<Result<_, _>>()?,
            json: expect
                .json
                .iter()
                .map(|check| {
                    Ok(JsonExpectation {
                        at: check.at.clone(),
                        is: condition(check)?,
                    })
                })
                .collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn slots(&self) -> Vec<&Slot> {
        let headers = self
            .headers
            .iter()
            .filter_map(|(_, text)| text.as_ref())
            .flat_map(Text::slots);
        let json = self.json.iter().flat_map(|check| match &check.is {
            Condition::Equal(body) => body.slots(),
            _ => Vec::new(),
        });
        headers.chain(json).collect()
    }

    pub(super) fn allows(&self, status: u16) -> bool {
        if self.status.is_empty() {
            (200..300).contains(&status)
        } else {
            self.status.contains(&status)
        }
    }

    pub(super) fn statuses(&self) -> String {
        if self.status.is_empty() {
            return "2xx".to_owned();
        }
        self.status
            .iter()
            .map(u16::to_string)
            .collect::<Vec<_>>()
            .join(" or ")
    }

    pub(super) fn render(&self, scope: &mut Scope<'_>, sent: Option<&Value>) -> Result<Checks, Missing> {
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, text) in &self.headers {
            headers.push((
                name.clone(),
                text.as_ref().map(|text| text.render(scope)).transpose()?,
            ));
        }
        let mut json = Vec::with_capacity(self.json.len());
        for check in &self.json {
            let comparison = match &check.is {
                Condition::There => Comparison::There,
                Condition::Equal(body) => Comparison::Equal(body.render(scope)?),
                Condition::Sent(pointer) => {
                    let value = sent.and_then(|sent| sent.pointer(pointer));
                    Comparison::Equal(value.cloned().ok_or_else(|| Missing(format!("sent {pointer}")))?)
                }
                Condition::Kind(kind) => Comparison::Kind(*kind),
                Condition::Counter(counter) => Comparison::Counter(counter.clone()),
                Condition::Unique(pointer) => Comparison::Unique(pointer.clone()),
            };
            json.push((check.at.clone(), comparison));
        }
        Ok(Checks { headers, json })
    }
}

impl Checks {
    /// Whether the body of the answer is needed.
    pub(super) fn read_body(&self) -> bool {
        !self.json.is_empty()
    }

    /// # Errors
    ///
    /// What is not as expected.
    pub(super) fn compare(&self, user: &User, answer: &Received, body: &Value) -> Result<(), String> {
        for (name, expected) in &self.headers {
            let value = answer
                .headers
                .get(name)
                .ok_or_else(|| format!("there is no header {name}"))?;
            if expected
                .as_ref()
                .is_some_and(|expected| value.as_bytes() != expected.as_bytes())
            {
                return Err(format!("header {name} is {value:?}"));
            }
        }
        for (at, comparison) in &self.json {
            let shown = if at.is_empty() { "the body" } else { at.as_str() };
            let value = body.pointer(at).ok_or_else(|| format!("there is no {shown}"))?;
            comparison
                .holds(user, value)
                .map_err(|expected| format!("{shown} is {}, {expected} was expected", brief(value)))?;
        }
        Ok(())
    }
}

impl Comparison {
    fn holds(&self, user: &User, value: &Value) -> Result<(), String> {
        match self {
            Self::There => Ok(()),
            Self::Equal(expected) if expected == value => Ok(()),
            Self::Equal(expected) => Err(expected.to_string()),
            Self::Kind(expected) if *expected == kind(value) => Ok(()),
            Self::Kind(expected) => Err(format!("{expected:?}").to_lowercase()),
            Self::Counter(name) => {
                let counter = user.counter(name);
                let n = value
                    .as_array()
                    .map_or(value.as_u64(), |all| u64::try_from(all.len()).ok());
                let fits = n.is_some_and(|n| (counter.confirmed..=counter.possible).contains(&n));
                if fits {
                    Ok(())
                } else if counter.confirmed == counter.possible {
                    Err(counter.confirmed.to_string())
                } else {
                    Err(format!("{} to {}", counter.confirmed, counter.possible))
                }
            }
            Self::Unique(pointer) => {
                let elements = value.as_array().ok_or("an array")?;
                let mut seen = BTreeSet::new();
                for element in elements {
                    let of_element = element
                        .pointer(pointer)
                        .ok_or_else(|| format!("a {pointer} in each"))?;
                    if !seen.insert(of_element.to_string()) {
                        return Err(format!("each {pointer} once, not {of_element} twice,"));
                    }
                }
                Ok(())
            }
        }
    }
}

/// An array by its length: the elements would say nothing, at length.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(elements) if elements.len() > 3 => format!("an array of {}", elements.len()),
        value => value.to_string(),
    }
}

fn kind(value: &Value) -> JsonKind {
    match value {
        Value::Null => JsonKind::Null,
        Value::Bool(_) => JsonKind::Boolean,
        Value::Number(_) => JsonKind::Number,
        Value::String(_) => JsonKind::String,
        Value::Array(_) => JsonKind::Array,
        Value::Object(_) => JsonKind::Object,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_lost_and_nothing_twice() {
        let mut user = User::new(1);
        user.count(&BTreeMap::from([("tasks".to_owned(), 2)]), true);
        user.count(&BTreeMap::from([("tasks".to_owned(), 1)]), false);
        let counter = Comparison::Counter("tasks".into());
        let unique = Comparison::Unique("/id".into());
        let items = |ids: &[u32]| ids.iter().map(|id| json!({"id": id})).collect::<Value>();
        for (comparison, value, expected) in [
            (&counter, json!(2), Ok(())),
            (&counter, items(&[1, 2]), Ok(())),
            (&counter, items(&[1, 2, 3]), Ok(())),
            (&counter, items(&[1]), Err("2 to 3".to_owned())),
            (&counter, items(&[1, 2, 3, 4]), Err("2 to 3".to_owned())),
            (&unique, items(&[]), Ok(())),
            (&unique, items(&[1, 2, 3]), Ok(())),
            (
                &unique,
                items(&[1, 2, 1]),
                Err("each /id once, not 1 twice,".to_owned()),
            ),
            (&unique, json!([{"name": 1}]), Err("a /id in each".to_owned())),
            (&unique, json!({"id": 1}), Err("an array".to_owned())),
        ] {
            assert_eq!(
                comparison.holds(&user, &value),
                expected,
                "{comparison:?} {value}"
            );
        }
        assert_eq!(brief(&items(&[1, 2, 3, 4])), "an array of 4");
    }
}
