//! Moments: exact for programs and for those who look closely, relative for those who skim. Always with the time zone.

use askama::Template;
use assay_report::number;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A moment, seen from another one.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "when.html", whitespace = "suppress")]
pub(super) struct When {
    /// `2026-11-23T22:30:00Z`.
    pub(super) machine: String,
    /// `2026-11-23 22:30 UTC`.
    pub(super) person: String,
    /// `3 h ago`, `in 2 days`.
    pub(super) relative: String,
}

impl askama::filters::HtmlSafe for When {}

impl When {
    /// The moment `at_ms` seen from `now_ms`.
    pub(super) fn new(at_ms: i64, now_ms: i64) -> Self {
        let seconds = at_ms.div_euclid(1_000);
        let relative = relative((now_ms - at_ms).div_euclid(1_000));
        match number::moment(seconds) {
            Some(moment) => Self {
                machine: moment.machine,
                person: moment.person,
                relative,
            },
            None => Self {
                machine: String::new(),
                person: "at an unknown time".into(),
                relative,
            },
        }
    }
}

/// How long ago something was, or how far off it is (negative).
fn relative(ago_s: i64) -> String {
    let distance = ago_s.unsigned_abs().cast_signed();
    let words = match distance {
        0..MINUTE => return if ago_s >= 0 { "just now" } else { "in a moment" }.into(),
        MINUTE..HOUR => format!("{} min", distance / MINUTE),
        HOUR..DAY => format!("{} h", distance / HOUR),
        _ if distance < 2 * DAY => "1 day".into(),
        _ => format!("{} days", distance / DAY),
    };
    if ago_s >= 0 {
        format!("{words} ago")
    } else {
        format!("in {words}")
    }
}

/// The value of a `datetime-local` field in UTC, for a moment.
pub(super) fn field(at_ms: Option<i64>) -> String {
    let moment = at_ms.and_then(|at_ms| number::moment(at_ms.div_euclid(1_000)));
    moment.map_or(String::new(), |moment| {
        moment.machine.chars().take("2026-11-23T22:30".len()).collect()
    })
}

/// The moment that a `datetime-local` field names in UTC. `Ok(None)`: the field is empty. `Err`: it holds no moment.
pub(super) fn parse_field(text: &str) -> Result<Option<i64>, ()> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let local: DateTime = text.parse().map_err(|_| ())?;
    let zoned = local.to_zoned(TimeZone::UTC).map_err(|_| ())?;
    Ok(Some(zoned.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_near_or_far() {
        for (ago_s, words) in [
            (0, "just now"),
            (59, "just now"),
            (-5, "in a moment"),
            (60, "1 min ago"),
            (-3 * HOUR, "in 3 h"),
            (DAY, "1 day ago"),
            (-9 * DAY, "in 9 days"),
            (i64::MAX, "106751991167300 days ago"),
        ] {
            assert_eq!(relative(ago_s), words, "{ago_s}");
        }
    }

    #[test]
    fn a_field_is_read_as_it_was_written() {
        assert_eq!(parse_field(""), Ok(None));
        assert_eq!(parse_field("2025-03-03T15:16"), Ok(Some(1_741_014_960_000)));
        assert_eq!(field(Some(1_741_014_960_000)), "2025-03-03T15:16");
        assert_eq!(field(None), "");
        for wrong in ["soon", "2025-13-03T15:16", "2025-03-03 at three"] {
            assert!(parse_field(wrong).is_err(), "{wrong}");
        }
    }
}
