//! YAML files that people write: strict, bounded, all mistakes at once, each with its place and a hint.

use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_yaml::Value;

/// Largest file, in bytes: `serde_yaml` is slower than linear on hostile input.
const MAX_BYTES: usize = 64 << 10;
/// Deepest nesting of flow brackets.
const MAX_DEPTH: usize = 32;
/// Most mistakes reported of one file.
const MAX_MISTAKES: usize = 50;

/// One mistake in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as the caller named it.
    pub file: String,
    /// Line from 1, 0 where the mistake has no place.
    pub line: usize,
    /// Column from 1, 0 where the mistake has no place.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it; may be empty.
    pub hint: String,
}

impl Mistake {
    /// A mistake of the whole file.
    pub fn of_file(file: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.hint.is_empty() {
            write!(f, "\n  hint: {}", self.hint)?;
        }
        Ok(())
    }
}

/// A mistake that only shows once the whole file is understood; its path becomes a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path such as `checks[2].timeout`.
    pub path: String,
    /// What is wrong there, as a continuation of the path: "is out of range".
    pub message: String,
    /// How to mend it.
    pub hint: String,
}

impl Problem {
    /// A problem at this path.
    pub fn new(path: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// Values that can be wrong although each field is well formed.
pub trait Lint {
    /// All that is wrong.
    fn lint(&self) -> Vec<Problem>;
}

/// Reads a file.
///
/// # Errors
/// All mistakes of the file: of syntax, of shape and, when the shape is right, of meaning.
pub fn read<T: DeserializeOwned + Lint>(file: &str, text: &str) -> Result<T, Vec<Mistake>> {
    let value: T = read_shape(file, text)?;
    let mistakes: Vec<Mistake> = value
        .lint()
        .into_iter()
        .map(|problem| {
            place(
                file,
                text,
                &problem.path,
                format!("{} {}", problem.path, problem.message),
                problem.hint,
            )
        })
        .collect();
    if mistakes.is_empty() {
        Ok(value)
    } else {
        Err(mistakes)
    }
}

/// Reads a file without [`Lint`].
///
/// # Errors
/// All mistakes of syntax and shape.
pub fn read_shape<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Vec<Mistake>> {
    if let Some(mistake) = out_of_bounds(file, text) {
        return Err(vec![mistake]);
    }
    let mut value: Value = match serde_yaml::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
            let message = without_place(&error.to_string());
            return Err(vec![Mistake {
                file: file.to_owned(),
                line,
                column,
                message,
                hint: String::new(),
            }]);
        }
    };
    let mut mistakes: Vec<Mistake> = Vec::new();
    let mut taken_out: Vec<String> = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) if mistakes.is_empty() => return Ok(read),
            Ok(_) => return Err(mistakes),
            Err(error) => error,
        };
        let path = error.path().to_string();
        let message = without_place(&error.into_inner().to_string());
        let missing = message
            .strip_prefix("missing field `")
            .and_then(|rest| rest.strip_suffix('`'));
        let a_consequence =
            missing.is_some_and(|field| taken_out.contains(&join(&path, field))) || message.is_empty();
        if !a_consequence {
            let shown = if path == "." {
                message
            } else {
                format!("{path}: {message}")
            };
            mistakes.push(place(file, text, &path, shown, String::new()));
        }
        // The broken part is taken out, so that the next round finds the next mistake.
        let more = mistakes.len() < MAX_MISTAKES && path != "." && take_out(&mut value, &path);
        taken_out.push(path);
        if !more {
            return Err(mistakes);
        }
    }
}

fn out_of_bounds(file: &str, text: &str) -> Option<Mistake> {
    if text.len() > MAX_BYTES {
        let message = format!("is {} bytes long; at most {MAX_BYTES} are read", text.len());
        return Some(Mistake::of_file(file, message, ""));
    }
    let mut depth = 0_usize;
    for (i, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => (),
        }
        if depth > MAX_DEPTH {
            let line = text[..i].lines().count();
            let message = format!("brackets are nested deeper than {MAX_DEPTH}");
            return Some(Mistake {
                file: file.to_owned(),
                line,
                column: 0,
                message,
                hint: String::new(),
            });
        }
    }
    None
}

fn join(path: &str, field: &str) -> String {
    if path == "." {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

/// `serde_yaml` puts the path before and the place after its messages; both are shown apart.
fn without_place(message: &str) -> String {
    let end = message.rfind(" at line ").unwrap_or(message.len());
    message[..end].to_owned()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let mut pieces = part.split('[');
        if let Some(key) = pieces.next().filter(|key| !key.is_empty()) {
            steps.push(Step::Key(key.to_owned()));
        }
        steps.extend(
            pieces
                .filter_map(|piece| piece.strip_suffix(']')?.parse().ok())
                .map(Step::Index),
        );
    }
    steps
}

fn take_out(value: &mut Value, path: &str) -> bool {
    let steps = steps(path);
    let Some((last, parents)) = steps.split_last() else {
        return false;
    };
    let mut at = value;
    for step in parents {
        let next = match step {
            Step::Key(key) => at.get_mut(key.as_str()),
            Step::Index(i) => at.get_mut(*i),
        };
        match next {
            Some(next) => at = next,
            None => return false,
        }
    }
    match (last, at) {
        (Step::Key(key), Value::Mapping(mapping)) => mapping.remove(key.as_str()).is_some(),
        (Step::Index(i), Value::Sequence(sequence)) if *i < sequence.len() => {
            sequence.remove(*i);
            true
        }
        _ => false,
    }
}

/// The place of the path, or of its nearest parent that is there.
fn place(file: &str, text: &str, path: &str, message: String, hint: String) -> Mistake {
    let all = steps(path);
    let found = (0..=all.len()).rev().find_map(|n| locate(text, &all[..n]));
    let (line, column) = found.unwrap_or((0, 0));
    Mistake {
        file: file.to_owned(),
        line,
        column,
        message,
        hint,
    }
}

/// Walks to the path with a deserializer that fails there: `serde_yaml` stamps the failure with its place.
fn locate(text: &str, path: &[Step]) -> Option<(usize, usize)> {
    let error = At(path)
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .err()?;
    error
        .to_string()
        .contains(HERE)
        .then(|| error.location().map(|at| (at.line(), at.column())))?
}

const HERE: &str = "the place that was looked for";

struct At<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.is_empty() {
            deserializer.deserialize_any(Stop)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping or a sequence")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Key(wanted), rest)) = self.0.split_first() else {
            return Ok(());
        };
        while let Some(key) = map.next_key::<String>()? {
            if key == *wanted {
                return map.next_value_seed(At(rest));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((Step::Index(wanted), rest)) = self.0.split_first() else {
            return Ok(());
        };
        for _ in 0..*wanted {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        seq.next_element_seed(At(rest)).map(|_| ())
    }
}

struct Stop;

macro_rules! stop {
    ($($visit:ident: $type:ty),*) => { $(
        fn $visit<E: de::Error>(self, _: $type) -> Result<(), E> { Err(E::custom(HERE)) }
    )* };
}

impl<'de> Visitor<'de> for Stop {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    stop!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Err(E::custom(HERE))
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        Err(E::custom(HERE))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(de::Error::custom(HERE))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(de::Error::custom(HERE))
    }
}

#[cfg(test)]
mod tests;
