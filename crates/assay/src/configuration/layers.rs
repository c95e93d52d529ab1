//! Values by key, each with where it was said. Later layers override earlier ones; every mistake keeps its place.

use std::collections::BTreeMap;

use assay_core::yaml::Mistake;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// What the name of every variable begins with.
const PREFIX: &str = "ASSAY_";

/// Where a value was said.
#[derive(Debug, Clone)]
enum Origin {
    File {
        name: String,
        line: usize,
        column: usize,
    },
    Variable(String),
    Flag(String),
}

impl Origin {
    fn mistake(&self, message: impl Into<String>, hint: impl Into<String>) -> Mistake {
        match self {
            Self::File { name, line, column } => Mistake {
                file: name.clone(),
                line: *line,
                column: *column,
                message: message.into(),
                hint: hint.into(),
            },
            Self::Variable(name) => Mistake::of_file(&format!("the variable {name}"), message, hint),
            Self::Flag(name) => Mistake::of_file(&format!("the flag --set {name}"), message, hint),
        }
    }
}

/// The defaults and what was said over them.
#[derive(Debug)]
pub(super) struct Layers {
    /// All keys, such as `http.listen`, with their defaults. Their types hold for every layer.
    defaults: BTreeMap<String, Value>,
    said: BTreeMap<String, (Value, Origin)>,
    pub(super) mistakes: Vec<Mistake>,
}

impl Layers {
    pub(super) fn new(defaults: &str) -> Self {
        let mut layers = Self {
            defaults: BTreeMap::new(),
            said: BTreeMap::new(),
            mistakes: Vec::new(),
        };
        for (key, value) in defaults.parse::<Table>().unwrap_or_default() {
            match value {
                Value::Table(section) => {
                    let keys = section
                        .into_iter()
                        .map(|(name, value)| (format!("{key}.{name}"), value));
                    layers.defaults.extend(keys);
                }
                value => drop(layers.defaults.insert(key, value)),
            }
        }
        layers
    }

    pub(super) fn add_file(&mut self, name: &str, text: &str) {
        let place = |offset: usize| {
            let before = text.get(..offset).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |i| i + 1);
            Origin::File {
                name: name.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
            }
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let origin = place(error.span().map_or(0, |span| span.start));
            self.mistakes.push(origin.mistake(error.message(), ""));
        }
        for (key, value) in table.get_ref() {
            let origin = place(key.span().start);
            match value.get_ref() {
                DeValue::Table(section) => {
                    for (inner, value) in section {
                        let origin = place(inner.span().start);
                        self.add(
                            format!("{}.{}", key.get_ref(), inner.get_ref()),
                            leaf(value),
                            origin,
                        );
                    }
                }
                _ => self.add(key.get_ref().to_string(), leaf(value), origin),
            }
        }
    }

    /// Takes those that name a key. One that begins like a key's and is none is a mistake; others are not ours.
    pub(super) fn add_variables(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        let keys: BTreeMap<String, String> = self
            .defaults
            .keys()
            .map(|key| (variable(key), key.clone()))
            .collect();
        let sections: Vec<String> = self
            .defaults
            .keys()
            .filter_map(|key| Some(variable(key.split_once('.')?.0) + "_"))
            .collect();
        for (name, text) in variables {
            let origin = Origin::Variable(name.clone());
            match keys.get(&name) {
                Some(key) => self.add_text(key.clone(), &text, origin),
                None if sections.iter().any(|section| name.starts_with(section)) => {
                    let hint = nearest(&name, keys.keys());
                    self.mistakes.push(origin.mistake("there is no such key", hint));
                }
                None => (),
            }
        }
    }

    pub(super) fn add_flags(&mut self, flags: impl IntoIterator<Item = (String, String)>) {
        for (key, text) in flags {
            let origin = Origin::Flag(key.clone());
            self.add_text(key, &text, origin);
        }
    }

    /// A value that was said as text takes the type of its key.
    fn add_text(&mut self, key: String, text: &str, origin: Origin) {
        let value = match self.defaults.get(&key) {
            Some(Value::Boolean(_)) => text.parse().ok().map(Value::Boolean),
            Some(Value::Integer(_)) => text.parse().ok().map(Value::Integer),
            _ => None,
        };
        let value = value.unwrap_or_else(|| Value::String(text.to_owned()));
        self.add(key, Some(value), origin);
    }

    fn add(&mut self, key: String, value: Option<Value>, origin: Origin) {
        let Some(default) = self.defaults.get(&key) else {
            let hint = nearest(&key, self.defaults.keys());
            self.mistakes
                .push(origin.mistake(format!("there is no key `{key}`"), hint));
            return;
        };
        match value {
            Some(value) if value.same_type(default) => drop(self.said.insert(key, (value, origin))),
            _ => {
                let message = format!("`{key}` is a {}", default.type_str());
                self.mistakes
                    .push(origin.mistake(message, format!("such as {default}")));
            }
        }
    }

    /// The whole. A value that its type refuses is a mistake and counts as not said, so that the next one shows, too. None: the
    /// defaults themselves do not fit, which a test forbids.
    pub(super) fn read<T: DeserializeOwned>(&mut self) -> Option<T> {
        loop {
            match serde_path_to_error::deserialize(self.table()) {
                Ok(whole) => return Some(whole),
                Err(error) => {
                    let key = error.path().to_string();
                    let (_, origin) = self.said.remove(&key)?;
                    let cause = error.into_inner().to_string();
                    let message = format!("`{key}`: {}", cause.lines().next().unwrap_or_default());
                    self.mistakes.push(origin.mistake(message, ""));
                }
            }
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        for (key, default) in &self.defaults {
            let value = self.said.get(key).map_or(default, |(value, _)| value).clone();
            match key.split_once('.') {
                None => drop(table.insert(key.clone(), value)),
                Some((section, key)) => {
                    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
                    if let Value::Table(section) = section {
                        section.insert(key.to_owned(), value);
                    }
                }
            }
        }
        table
    }

    /// A mistake of a key, where it was said.
    pub(super) fn mistake(&mut self, key: &str, message: impl Into<String>, hint: &str) {
        let mistake = match self.said.get(key) {
            Some((_, origin)) => origin.mistake(message, hint),
            None => Mistake::of_file(key, message, hint),
        };
        self.mistakes.push(mistake);
    }

    /// The mistakes, those of a file from its top to its end.
    pub(super) fn sorted_mistakes(mut self) -> Vec<Mistake> {
        self.mistakes
            .sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        self.mistakes
    }

    /// Whether the value that holds was said in the file.
    pub(super) fn is_in_file(&self, key: &str) -> bool {
        matches!(self.said.get(key), Some((_, Origin::File { .. })))
    }
}

/// The variable of a key.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

/// A single value; None for what no key holds.
fn leaf(value: &Spanned<DeValue<'_>>) -> Option<Value> {
    match value.get_ref() {
        DeValue::String(text) => Some(Value::String(text.to_string())),
        DeValue::Boolean(value) => Some(Value::Boolean(*value)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(Value::Integer),
        _ => None,
    }
}

/// The name that was probably meant: the one that shares most with it, from both ends.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> String {
    let common = |a: &str, b: &str| {
        let ahead = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
        let behind = a
            .bytes()
            .rev()
            .zip(b.bytes().rev())
            .take_while(|(a, b)| a == b)
            .count();
        ahead + behind
    };
    match names.max_by_key(|candidate| common(name, candidate)) {
        Some(candidate) if common(name, candidate) > name.len() / 2 => {
            format!("did you mean `{candidate}`? `assay config` prints all keys")
        }
        _ => "`assay config` prints all keys".to_owned(),
    }
}
