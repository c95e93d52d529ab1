//! Templates: texts with `${…}` in them, and JSON bodies made of such texts.
//!
//! | placeholder | value |
//! | --- | --- |
//! | `${user.number}` | number of the user, from 1 |
//! | `${user.NAME}` | what a `set` of the user's requests captured last |
//! | `${captured.POOL.FIELD}` | a field of a record drawn from the user's pool; the same record all over one request |
//! | `${seq}` | 1, 2, 3, … over the whole measurement |
//! | `${index}` | 0, 1, 2, … within a `$repeat` |
//! | `${uuid}` | a version-4 UUID |
//! | `${random.word}` `${random.words(12)}` | English words |
//! | `${random.int(1, 28)}` `${random.hex(8)}` | a whole number, both ends included; so many hexadecimal digits |
//! | `${random.pick(todo, doing, done)}` | one of the texts |
//!
//! In a body, a text that is nothing but one placeholder takes the value with its JSON type.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Dice;

/// The longest text that one placeholder makes, as a count of words, digits or items.
const MAX_COUNT: u32 = 1_000;
/// Deepest nesting of a body.
const MAX_DEPTH: usize = 16;

/// A compiled text.
#[derive(Debug, Clone, PartialEq)]
pub struct Text(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Literal(String),
    Slot(Slot),
}

/// A placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table of the module says what each is")]
pub enum Slot {
    UserNumber,
    User(String),
    Captured { pool: String, field: String },
    Seq,
    Index,
    Uuid,
    Words(u32),
    Int(i64, i64),
    Hex(u32),
    Pick(Vec<String>),
}

/// A compiled JSON body.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A number, boolean or null.
    Plain(Value),
    /// A text.
    Text(Text),
    /// An array.
    List(Vec<Body>),
    /// An object.
    Map(Vec<(String, Body)>),
    /// `{$repeat: n, $item: …}`: an array of n items.
    Repeat(u32, Box<Body>),
}

/// A template is not well formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `${` without its `}`.
    #[error("`${{` is not closed in `{0}`")]
    Open(String),
    /// Not in the table.
    #[error("`${{{0}}}` is not a placeholder")]
    Unknown(String),
    /// Wrong number, kind or size of arguments.
    #[error("`${{{0}}}` has arguments that do not fit (numbers up to {MAX_COUNT}, the smaller one first)")]
    Arguments(String),
    /// A `$repeat` that is not a small number beside one `$item`.
    #[error("`$repeat` takes a number up to {MAX_COUNT} and stands beside `$item` alone")]
    Repeat,
    /// More nesting than any request needs.
    #[error("nested deeper than {MAX_DEPTH}")]
    Depth,
}

/// A value that a template names is not known (yet).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no value for `${{{0}}}`")]
pub struct Missing(pub String);

/// A captured record.
pub type Record = BTreeMap<String, Value>;

/// What placeholders draw from.
#[derive(Debug)]
pub struct Scope<'a> {
    /// Number of the user, from 1.
    pub user_number: u32,
    /// Values of the user.
    pub user: &'a BTreeMap<String, Value>,
    /// The record drawn from each pool for this request.
    pub captured: &'a BTreeMap<String, Record>,
    /// The last number given out by `${seq}`.
    pub seq: &'a mut u64,
    /// Where random values come from.
    pub dice: &'a mut Dice,
}

impl Text {
    /// Compiles a text.
    ///
    /// # Errors
    ///
    /// An unclosed or unknown placeholder, or arguments that do not fit.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((literal, tail)) = rest.split_once("${") {
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let (slot, tail) = tail
                .split_once('}')
                .ok_or_else(|| TemplateError::Open(source.to_owned()))?;
            parts.push(Part::Slot(Slot::parse(slot.trim())?));
            rest = tail;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The placeholders, in order.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.0.iter().filter_map(|part| match part {
            Part::Slot(slot) => Some(slot),
            Part::Literal(_) => None,
        })
    }

    /// The text with all values in it.
    ///
    /// # Errors
    ///
    /// A value is not known.
    pub fn render(&self, scope: &mut Scope<'_>) -> Result<String, Missing> {
        self.render_with(scope, 0, |text, value| text.push_str(value))
    }

    /// The text with all values percent-encoded, so that a value cannot change the path that it is put into.
    ///
    /// # Errors
    ///
    /// A value is not known.
    pub fn render_path(&self, scope: &mut Scope<'_>) -> Result<String, Missing> {
        self.render_with(scope, 0, percent_encode)
    }

    fn render_with(
        &self,
        scope: &mut Scope<'_>,
        index: u32,
        put: fn(&mut String, &str),
    ) -> Result<String, Missing> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Slot(slot) => put(&mut text, &plain_text(slot.value(scope, index)?)),
            }
        }
        Ok(text)
    }

    fn render_value(&self, scope: &mut Scope<'_>, index: u32) -> Result<Value, Missing> {
        match self.0.as_slice() {
            [Part::Slot(slot)] => slot.value(scope, index),
            _ => self
                .render_with(scope, index, |text, value| text.push_str(value))
                .map(Value::String),
        }
    }
}

impl Body {
    /// Compiles a body.
    ///
    /// # Errors
    ///
    /// The first template in it that is not well formed.
    pub fn parse(source: &Value) -> Result<Self, TemplateError> {
        Self::parse_within(source, MAX_DEPTH)
    }

    fn parse_within(source: &Value, depth: usize) -> Result<Self, TemplateError> {
        let depth = depth.checked_sub(1).ok_or(TemplateError::Depth)?;
        Ok(match source {
            Value::String(text) => Self::Text(Text::parse(text)?),
            Value::Array(items) => Self::List(
                items
                    .iter()
                    .map(|item| Self::parse_within(item, depth))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(map) if map.contains_key("$repeat") || map.contains_key("$item") => {
                let times = map
                    .get("$repeat")
                    .and_then(Value::as_u64)
                    .and_then(|n| u32::try_from(n).ok());
                match (times.filter(|n| *n <= MAX_COUNT), map.get("$item"), map.len()) {
                    (Some(times), Some(item), 2) => {
                        Self::Repeat(times, Box::new(Self::parse_within(item, depth)?))
                    }
                    _ => return Err(TemplateError::Repeat),
                }
            }
            Value::Object(map) => Self::Map(
                map.iter()
                    .map(|(key, value)| Ok((key.clone(), Self::parse_within(value, depth)?)))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Plain(source.clone()),
        })
    }

    /// The placeholders, in order.
    pub fn slots(&self) -> Vec<&Slot> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Text(text) => text.slots().collect(),
            Self::List(items) => items.iter().flat_map(Self::slots).collect(),
            Self::Map(fields) => fields.iter().flat_map(|(_, field)| field.slots()).collect(),
            Self::Repeat(_, item) => item.slots(),
        }
    }

    /// The JSON value with all values in it.
    ///
    /// # Errors
    ///
    /// A value is not known.
    pub fn render(&self, scope: &mut Scope<'_>) -> Result<Value, Missing> {
        self.render_at(scope, 0)
    }

    fn render_at(&self, scope: &mut Scope<'_>, index: u32) -> Result<Value, Missing> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Text(text) => text.render_value(scope, index)?,
            Self::List(items) => Value::Array(
                items
                    .iter()
                    .map(|item| item.render_at(scope, index))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Map(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(key, field)| Ok((key.clone(), field.render_at(scope, index)?)))
                    .collect::<Result<Map<_, _>, _>>()?,
            ),
            Self::Repeat(times, item) => Value::Array(
                (0..*times)
                    .map(|i| item.render_at(scope, i))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }
}

impl Slot {
    fn parse(source: &str) -> Result<Self, TemplateError> {
        let unknown = || TemplateError::Unknown(source.to_owned());
        let misfit = || TemplateError::Arguments(source.to_owned());
        let (name, arguments) = match source.split_once('(') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(')').ok_or_else(unknown)?)),
            None => (source, None),
        };
        let arguments: Option<Vec<&str>> = arguments.map(|all| all.split(',').map(str::trim).collect());
        let count = |text: &str| {
            text.parse()
                .ok()
                .filter(|n| (1..=MAX_COUNT).contains(n))
                .ok_or_else(misfit)
        };
        match (name, arguments.as_deref()) {
            ("uuid", None) => Ok(Self::Uuid),
            ("seq", None) => Ok(Self::Seq),
            ("index", None) => Ok(Self::Index),
            ("random.word", None) => Ok(Self::Words(1)),
            ("random.words", Some([n])) => count(n).map(Self::Words),
            ("random.hex", Some([n])) => count(n).map(Self::Hex),
            ("random.int", Some([low, high])) => match (low.parse(), high.parse()) {
                (Ok(low), Ok(high)) if low <= high => Ok(Self::Int(low, high)),
                _ => Err(misfit()),
            },
            ("random.pick", Some(texts)) if !texts.contains(&"") => {
                Ok(Self::Pick(texts.iter().copied().map(str::to_owned).collect()))
            }
            ("random.words" | "random.hex" | "random.int" | "random.pick", _) => Err(misfit()),
            (_, Some(_)) => Err(unknown()),
            (name, None) => match name.split('.').collect::<Vec<_>>().as_slice() {
                ["user", "number"] => Ok(Self::UserNumber),
                ["user", name] if is_name(name) => Ok(Self::User((*name).to_owned())),
                ["captured", pool, field] if is_name(pool) && is_name(field) => Ok(Self::Captured {
                    pool: (*pool).to_owned(),
                    field: (*field).to_owned(),
                }),
                _ => Err(unknown()),
            },
        }
    }

    fn value(&self, scope: &mut Scope<'_>, index: u32) -> Result<Value, Missing> {
        Ok(match self {
            Self::UserNumber => scope.user_number.into(),
            Self::User(name) => scope
                .user
                .get(name)
                .cloned()
                .ok_or_else(|| Missing(format!("user.{name}")))?,
            Self::Captured { pool, field } => {
                let record = scope.captured.get(pool).and_then(|record| record.get(field));
                record
                    .cloned()
                    .ok_or_else(|| Missing(format!("captured.{pool}.{field}")))?
            }
            Self::Seq => {
                *scope.seq += 1;
                (*scope.seq).into()
            }
            Self::Index => index.into(),
            Self::Uuid => scope.dice.uuid().into(),
            Self::Words(n) => words(scope.dice, *n).into(),
            Self::Int(low, high) => scope.dice.within(*low..=*high).into(),
            Self::Hex(n) => (0..*n)
                .filter_map(|_| hex_digit(scope.dice))
                .collect::<String>()
                .into(),
            Self::Pick(texts) => {
                let chosen = scope.dice.index(texts.len()).and_then(|i| texts.get(i));
                chosen.cloned().unwrap_or_default().into()
            }
        })
    }
}

/// Names in placeholders: lower-case letters, digits and `_`.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn plain_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn percent_encode(text: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

fn hex_digit(dice: &mut Dice) -> Option<char> {
    char::from_digit(u32::try_from(dice.below(16)).ok()?, 16)
}

fn words(dice: &mut Dice, n: u32) -> String {
    let mut text = String::new();
    for _ in 0..n {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(dice.index(WORDS.len()).map_or("", |i| WORDS[i]));
    }
    text
}

const WORDS: [&str; 64] = [
    "anchor", "answer", "apple", "autumn", "basket", "bicycle", "bridge", "butter", "candle", "carpet",
    "castle", "cherry", "circle", "coffee", "copper", "corner", "cotton", "dinner", "dragon", "engine",
    "fabric", "flower", "forest", "garden", "ginger", "guitar", "hammer", "harbor", "island", "jacket",
    "kettle", "ladder", "lemon", "letter", "market", "marble", "meadow", "mirror", "monkey", "needle",
    "number", "orange", "packet", "paper", "pencil", "pepper", "picture", "pillow", "planet", "pocket",
    "rabbit", "ribbon", "river", "saddle", "season", "silver", "spring", "stable", "summer", "ticket",
    "tunnel", "velvet", "window", "winter",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn render<T>(f: impl FnOnce(&mut Scope<'_>) -> T) -> T {
        let user = BTreeMap::from([("token".to_owned(), json!("t/1")), ("age".to_owned(), json!(7))]);
        let task = Record::from([("id".to_owned(), json!("a b")), ("version".to_owned(), json!(3))]);
        let captured = BTreeMap::from([("task".to_owned(), task)]);
        let (mut seq, mut dice) = (41, Dice::new(1, 0));
        f(&mut Scope {
            user_number: 2,
            user: &user,
            captured: &captured,
            seq: &mut seq,
            dice: &mut dice,
        })
    }

    #[test]
    fn texts_take_values() {
        for (source, expected) in [
            ("plain $ {} text", "plain $ {} text"),
            ("Bearer ${user.token}", "Bearer t/1"),
            ("u${user.number}-${ user.age }-${seq}-${seq}", "u2-7-42-43"),
            ("\"${captured.task.version}\"", "\"3\""),
            ("${random.pick(x)}${random.int(5,5)}", "x5"),
        ] {
            let text = Text::parse(source).unwrap();
            assert_eq!(render(|scope| text.render(scope)).unwrap(), expected, "{source}");
        }
        let path = Text::parse("/tasks/${captured.task.id}?q=${user.token}").unwrap();
        assert_eq!(
            render(|scope| path.render_path(scope)).unwrap(),
            "/tasks/a%20b?q=t%2F1"
        );
    }

    #[test]
    fn bodies_keep_types_and_repeat() {
        let source = json!({
            "age": "${user.age}", "text": "age ${user.age}", "none": null,
            "list": {"$repeat": 2, "$item": {"n": "${index}", "all": ["${seq}"]}}
        });
        let body = Body::parse(&source).unwrap();
        let expected = json!({
            "age": 7, "text": "age 7", "none": null,
            "list": [{"n": 0, "all": [42]}, {"n": 1, "all": [43]}]
        });
        assert_eq!(render(|scope| body.render(scope)).unwrap(), expected);
        assert_eq!(body.slots().len(), 4);
    }

    #[test]
    fn random_texts_have_the_size_asked_for() {
        let text = Text::parse("${random.hex(8)} ${random.words(3)} ${random.word} ${uuid}").unwrap();
        let text = render(|scope| text.render(scope)).unwrap();
        let lengths: Vec<usize> = text.split(' ').map(str::len).collect();
        assert_eq!((lengths.len(), lengths[0], lengths[5]), (6, 8, 36), "{text}");
    }

    #[test]
    fn mistakes_are_told_apart() {
        for (source, expected) in [
            ("${user.token", "`${` is not closed in `${user.token`"),
            ("${env.HOME}", "`${env.HOME}` is not a placeholder"),
            ("${uuid()}", "`${uuid()}` is not a placeholder"),
            (
                "${random.int(9,1)}",
                "`${random.int(9,1)}` has arguments that do not fit (numbers up to 1000, the smaller one first)",
            ),
        ] {
            assert_eq!(Text::parse(source).unwrap_err().to_string(), expected);
        }
        for body in [
            json!({"$repeat": 2}),
            json!({"$repeat": 1001, "$item": 1}),
            json!({"$repeat": 1, "$item": 1, "x": 1}),
        ] {
            assert_eq!(Body::parse(&body).unwrap_err(), TemplateError::Repeat, "{body}");
        }
        let missing = Text::parse("${captured.task.etag}").unwrap();
        let missing = render(|scope| missing.render(scope)).unwrap_err();
        assert_eq!(missing.to_string(), "no value for `${captured.task.etag}`");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(source in "[a-z${}().,0-9 ]{0,40}") {
            if let Ok(text) = Text::parse(&source) {
                let _ = render(|scope| text.render(scope));
            }
        }

        #[test]
        fn encoded_values_have_no_syntax(value in any::<String>()) {
            let mut encoded = String::new();
            percent_encode(&mut encoded, &value);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
        }
    }
}
