//! Sizes and times as people write them: `512MiB`, `30s`. A bare number is refused: a unit is never guessed.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// A size in bytes, written with a unit: `B`, `KiB`, `MiB` or `GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A length of time, written with a unit: `ms`, `s`, `m` or `h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// The text is not a number followed by one of the units.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct UnitError {
    text: String,
    expected: &'static str,
}

const BYTES_EXPECTED: &str = "a size with its unit, such as `512MiB` (B, KiB, MiB, GiB)";
const SPAN_EXPECTED: &str = "a time with its unit, such as `30s` (ms, s, m, h)";
const BYTE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const SPAN_UNITS_MS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

impl Span {
    /// The span of so many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The value as the standard library's type.
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// Whole milliseconds, saturating.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Bytes {
    /// So many mebibytes.
    pub const fn mebibytes(n: u64) -> Self {
        Self(n << 20)
    }
}

/// `12.5m` × unit, exact to the unit's smallest step; `None` on anything odd or out of range.
fn scale(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 6 || number.ends_with('.') {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let divisor = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u64 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    whole
        .checked_mul(factor)?
        .checked_add(fraction.checked_mul(factor)? / divisor)
}

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let value = scale(text.trim(), &BYTE_UNITS);
        value.map(Self).ok_or_else(|| UnitError {
            text: text.to_owned(),
            expected: BYTES_EXPECTED,
        })
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        // 1000 hours: beyond it a time-out is a typing mistake.
        let ms = scale(text.trim(), &SPAN_UNITS_MS).filter(|ms| *ms <= 3_600_000_000);
        ms.map(|ms| Self(Duration::from_millis(ms)))
            .ok_or_else(|| UnitError {
                text: text.to_owned(),
                expected: SPAN_EXPECTED,
            })
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = BYTE_UNITS
            .into_iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.as_millis();
        let (unit, factor) = SPAN_UNITS_MS
            .into_iter()
            .rev()
            .find(|(_, factor)| ms >= *factor && ms.is_multiple_of(*factor))
            .unwrap_or(("ms", 1));
        write!(f, "{}{unit}", ms / factor)
    }
}

macro_rules! text_value {
    ($type:ident, $expected:expr, $pattern:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $expected, "pattern": $pattern })
            }
        }
    };
}

text_value!(Bytes, BYTES_EXPECTED, "^[0-9]+(\\.[0-9]+)?(B|KiB|MiB|GiB)$");
text_value!(Span, SPAN_EXPECTED, "^[0-9]+(\\.[0-9]+)?(ms|s|m|h)$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_written() {
        for (text, bytes) in [
            ("512MiB", 512 << 20),
            ("1.5KiB", 1536),
            ("0B", 0),
            ("2GiB", 2 << 30),
        ] {
            assert_eq!(text.parse::<Bytes>().unwrap(), Bytes(bytes), "{text}");
        }
        for (text, ms) in [
            ("30s", 30_000),
            ("250ms", 250),
            ("1.5s", 1_500),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(text.parse::<Span>().unwrap().as_millis(), ms, "{text}");
        }
        for text in [
            "512",
            "MiB",
            "-1s",
            "1e3s",
            "1.s",
            "5 parsecs",
            "",
            "99999999999999999999GiB",
            "9999999h",
        ] {
            assert!(
                text.parse::<Bytes>().is_err() && text.parse::<Span>().is_err(),
                "{text}"
            );
        }
        assert_eq!(Bytes(1536).to_string(), "1536B");
        assert_eq!(Span::seconds(90).to_string(), "90s");
        assert_eq!(Span::seconds(120).to_string(), "2m");
    }
}
