//! The base score of a CVSS 3 vector, as its specification computes it (section 7.1).

use std::collections::BTreeMap;

/// The score from 0 to 10; none when it is not a whole vector of version 3.
pub(super) fn base_score(vector: &str) -> Option<f64> {
    let rest = vector
        .strip_prefix("CVSS:3.1/")
        .or_else(|| vector.strip_prefix("CVSS:3.0/"))?;
    let metrics: BTreeMap<&str, &str> = rest
        .split('/')
        .take(40)
        .filter_map(|part| part.split_once(':'))
        .collect();
    let pick = |metric: &str, values: &[(&str, f64)]| {
        let value = metrics.get(metric)?;
        values
            .iter()
            .find(|(name, _)| name == value)
            .map(|(_, weight)| *weight)
    };
    let is_changed = match *metrics.get("S")? {
        "C" => true,
        "U" => false,
        _ => return None,
    };
    let (low, high) = if is_changed { (0.68, 0.5) } else { (0.62, 0.27) };
    let impacts = [("H", 0.56), ("L", 0.22), ("N", 0.0)];
    let kept: f64 =
        1.0 - (1.0 - pick("C", &impacts)?) * (1.0 - pick("I", &impacts)?) * (1.0 - pick("A", &impacts)?);
    let impact = if is_changed {
        7.52 * (kept - 0.029) - 3.25 * (kept - 0.02).powi(15)
    } else {
        6.42 * kept
    };
    let exploitability = 8.22
        * pick("AV", &[("N", 0.85), ("A", 0.62), ("L", 0.55), ("P", 0.2)])?
        * pick("AC", &[("L", 0.77), ("H", 0.44)])?
        * pick("PR", &[("N", 0.85), ("L", low), ("H", high)])?
        * pick("UI", &[("N", 0.85), ("R", 0.62)])?;
    if impact <= 0.0 {
        return Some(0.0);
    }
    let sum = if is_changed {
        1.08 * (impact + exploitability)
    } else {
        impact + exploitability
    };
    Some(round_up(sum.min(10.0)))
}

/// Up to one decimal, without being fooled by how numbers are stored.
fn round_up(score: f64) -> f64 {
    let scaled = (score * 100_000.0).round() / 10_000.0;
    if scaled.fract() == 0.0 {
        scaled / 10.0
    } else {
        (scaled.floor() + 1.0) / 10.0
    }
}
