//! Hostile bytes of standard formats to core values.
//!
//! Each reader takes bytes and [`Limits`] and gives a [`Read`]: what could be read, and a list of problems in plain words. It
//! never panics and never trusts a count, a path or a number that the bytes claim. A report that is missing, empty or of
//! another format is [`Broken`], never "clean": many tools fail open.

#![warn(missing_docs)]

pub mod advisory;
pub mod coverage;
pub mod facts;
pub mod findings;
pub mod junit;
pub mod lock;
pub mod version;

mod path;
mod text;
mod xml;

pub use path::relative;

/// How much of a report is read. Data, so that a caller can lower it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest report, in bytes. A larger one is broken.
    pub bytes: usize,
    /// Deepest nesting. A deeper report is broken.
    pub depth: usize,
    /// Most elements or records. What comes after them is left out, with a problem.
    pub elements: usize,
    /// Most characters of one text. Longer ones are cut.
    pub text_chars: usize,
    /// Most attributes of one XML element. A further one breaks the report.
    pub attributes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 20 << 20,
            depth: 64,
            elements: 200_000,
            text_chars: 8_000,
            attributes: 64,
        }
    }
}

/// What could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read<T> {
    /// The value.
    pub value: T,
    /// What could not be read, or was repaired, in plain words; at most 20.
    pub problems: Vec<String>,
}

/// The report as a whole cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// No byte in it.
    #[error("the report is empty")]
    Empty,
    /// Too much of something.
    #[error("the report has {what} beyond the limit of {limit}")]
    OverLimit {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Not this format.
    #[error("the report is not {format}: {detail}")]
    Malformed {
        /// The format.
        format: &'static str,
        /// What is wrong.
        detail: String,
    },
}

/// Problems of one report, bounded.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    const MOST: usize = 20;

    pub(crate) fn add(&mut self, problem: impl Into<String>) {
        if self.0.len() < Self::MOST {
            self.0.push(problem.into());
        }
    }

    pub(crate) fn with<T>(self, value: T) -> Read<T> {
        Read {
            value,
            problems: self.0,
        }
    }
}

/// Size and emptiness, the same for every format.
pub(crate) fn bounded<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a [u8], Broken> {
    if bytes.len() > limits.bytes {
        return Err(Broken::OverLimit {
            what: "bytes",
            limit: limits.bytes,
        });
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Broken::Empty);
    }
    Ok(bytes)
}

/// JSON with the house's limits; `serde_json` itself stops at a depth of 128.
pub(crate) fn json<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    format: &'static str,
    limits: &Limits,
) -> Result<T, Broken> {
    let bytes = bounded(bytes, limits)?;
    serde_json::from_slice(bytes).map_err(|error| Broken::Malformed {
        format,
        detail: error.to_string(),
    })
}
