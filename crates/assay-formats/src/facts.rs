//! `{"facts": {"name": number}}`: what our own small tools count.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Broken, Limits, Problems, Read, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    facts: BTreeMap<String, f64>,
}

/// Reads the facts. Numbers that are negative or not finite are left out, with a problem.
///
/// # Errors
/// When the file is empty, beyond the limits or another format.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Read<BTreeMap<String, f64>>, Broken> {
    let file: File = json(bytes, "a list of facts", limits)?;
    let mut problems = Problems::default();
    let mut facts = BTreeMap::new();
    for (name, value) in file.facts.into_iter().take(1000) {
        if value.is_finite() && value >= 0.0 && name.len() <= 100 {
            facts.insert(name, value);
        } else {
            problems.add(format!(
                "the fact `{}` is not a number of something",
                name.chars().take(100).collect::<String>()
            ));
        }
    }
    Ok(problems.with(facts))
}
