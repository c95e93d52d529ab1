//! Moments, as people type them.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

const EXPECTED: &str =
    "it looks like `2026-12-24` (the end of that day, UTC), `2026-12-24T18:00:00+01:00` or `+7d` (or h)";

/// A last moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Then.
    At(Timestamp),
    /// So long from now.
    In(SignedDuration),
}

impl Due {
    /// In milliseconds since 1970.
    pub(crate) fn at_ms(self, now_ms: i64) -> i64 {
        match self {
            Self::At(at) => at.as_millisecond(),
            Self::In(time) => now_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

impl FromStr for Due {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no moment: {EXPECTED}");
        if let Some(span) = text.strip_prefix('+') {
            let (number, hours) = match (span.strip_suffix('d'), span.strip_suffix('h')) {
                (Some(days), _) => (days, 24),
                (None, Some(hours)) => (hours, 1),
                (None, None) => return Err(bad()),
            };
            // Ten years: beyond it a due date is a typing mistake.
            let n: i64 = number
                .parse()
                .ok()
                .filter(|n| (1..=87_600).contains(n))
                .ok_or_else(bad)?;
            return Ok(Self::In(SignedDuration::from_hours(n * hours)));
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        let day: Date = text.parse().map_err(|_| bad())?;
        let end = day.at(23, 59, 59, 0);
        let at = jiff::tz::Offset::UTC.to_timestamp(end).map_err(|_| bad())?;
        Ok(Self::At(at))
    }
}

/// A moment for people, in UTC.
pub(crate) fn shown(at_ms: i64) -> String {
    match Timestamp::from_millisecond(at_ms) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => at_ms.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_three_forms() {
        for (text, expected) in [
            ("2026-12-24", "2026-12-24 23:59 UTC"),
            ("2026-12-24T18:00:00+01:00", "2026-12-24 17:00 UTC"),
            ("2026-12-24T18:00:00Z", "2026-12-24 18:00 UTC"),
            ("+7d", "1970-01-08 00:00 UTC"),
            ("+36h", "1970-01-02 12:00 UTC"),
        ] {
            let due: Due = text.parse().unwrap();
            assert_eq!(shown(due.at_ms(0)), expected, "{text}");
        }
        for text in [
            "",
            "tomorrow",
            "+7",
            "+0d",
            "-1d",
            "+999999999d",
            "2026-13-01",
            "24.12.2026",
        ] {
            assert!(text.parse::<Due>().is_err(), "{text}");
        }
    }
}
