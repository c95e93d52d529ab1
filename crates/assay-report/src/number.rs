//! Numbers as people write them: with a unit, and with no more digits than mean something.

/// Points: `82`, `12.5`. A second digit only where one would hide that something is missing: `99.96`.
pub fn points(points: f64) -> String {
    if !points.is_finite() {
        return "–".into();
    }
    let tenths = (points * 10.0).round() / 10.0;
    let is_hidden = tenths.fract() == 0.0 && (points - tenths).abs() >= 0.005;
    // Adding 0.0 turns -0.0 into 0.
    let text = if is_hidden {
        format!("{points:.2}")
    } else {
        format!("{:.1}", tenths + 0.0)
    };
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A share from 0 to 1 in whole percent; 100 only when nothing is missing, 0 only when nothing is there.
pub fn percent(share: f64) -> String {
    if !share.is_finite() {
        return "–".into();
    }
    let whole = match (share * 100.0).round() {
        100.0 if share < 1.0 => 99.0,
        0.0 if share > 0.0 => 1.0,
        whole => whole + 0.0,
    };
    format!("{whole:.0} %")
}

/// A share of counts, 0 when there is nothing.
pub fn share(part: u64, all: u64) -> f64 {
    if all == 0 {
        0.0
    } else {
        (part as f64 / all as f64).clamp(0.0, 1.0)
    }
}

/// Wall time: `148 ms`, `12.4 s`, `4 min 5 s`.
pub fn wall_time(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// Latency: `0.9 ms`, `148 ms`, `1.3 s`.
pub fn latency(us: u64) -> String {
    let ms = us as f64 / 1_000.0;
    match us {
        0..9_950 => format!("{ms:.1} ms"),
        9_950..999_500 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1_000.0),
    }
}

/// A number of no known unit: up to three digits after the point, none where there are none.
pub fn plain(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let text = if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    };
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    if text == "-0" { "0".into() } else { text }
}

/// `1 test`, `2 tests`.
pub fn count(n: usize, one: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{} {one}s", thousands(n as u64))
    }
}

/// `12 345`, with a space that does not break.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) && digits.len() > 4 {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// A moment in UTC.
pub struct Moment {
    /// `2026-11-23T22:30:00Z`.
    pub machine: String,
    /// `2026-11-23 22:30 UTC`.
    pub person: String,
}

/// Seconds since 1970 as a moment; none outside the years 1 to 9999.
pub fn moment(seconds: i64) -> Option<Moment> {
    const YEAR_1: i64 = -62_135_596_800;
    const YEAR_10000: i64 = 253_402_300_800;
    if !(YEAR_1..YEAR_10000).contains(&seconds) {
        return None;
    }
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    Some(Moment {
        machine: format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
        person: format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC"),
    })
}

/// Days since 1970 as year, month, day of the Gregorian calendar: in years that begin in March, leap days come last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_hide_nothing() {
        let cases = [
            (82.0, "82"),
            (12.5, "12.5"),
            (9.44, "9.4"),
            (99.96, "99.96"),
            (0.04, "0.04"),
            (-0.0, "0"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(points(value), text, "{value}");
        }
    }

    #[test]
    fn times_have_no_needless_digits() {
        let cases = [
            (0, "0.0 ms"),
            (924, "0.9 ms"),
            (9_999, "10 ms"),
            (148_210, "148 ms"),
            (1_289_215, "1.3 s"),
        ];
        for (us, text) in cases {
            assert_eq!(latency(us), text, "{us}");
        }
        let cases = [
            (148, "148 ms"),
            (12_400, "12.4 s"),
            (245_170, "4 min 5 s"),
            (7_260_000, "2 h 1 min"),
        ];
        for (ms, text) in cases {
            assert_eq!(wall_time(ms), text, "{ms}");
        }
    }

    #[test]
    fn percent_is_only_whole_when_it_is() {
        let cases = [
            (1.0, "100 %"),
            (0.9999, "99 %"),
            (0.0001, "1 %"),
            (0.0, "0 %"),
            (f64::NAN, "–"),
        ];
        for (share, text) in cases {
            assert_eq!(percent(share), text, "{share}");
        }
    }

    #[test]
    fn moments_are_utc() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_741_014_960, "2025-03-03T15:16:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(
                moment(seconds).map(|moment| moment.machine).as_deref(),
                Some(text)
            );
        }
        assert!(moment(i64::MAX).is_none() && moment(i64::MIN).is_none());
    }
}
