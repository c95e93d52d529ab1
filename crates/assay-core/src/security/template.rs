//! Texts with `{{placeholders}}`, and the random values that fill some of them.

use std::collections::BTreeMap;

use serde_json::Value;

/// Values of placeholders by name.
pub type Variables = BTreeMap<String, String>;

/// Replaces each `{{name}}` that `value_of` knows and leaves the others alone. Values are not looked into again.
pub fn fill(text: &str, mut value_of: impl FnMut(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let known = after
            .split_once("}}")
            .and_then(|(name, tail)| Some((value_of(name)?, tail)));
        match known {
            Some((value, tail)) => {
                filled.push_str(&value);
                rest = tail;
            }
            None => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled + rest
}

/// [`fill`] for every string of a JSON value; the names of fields are left alone.
pub(super) fn fill_json(value: &Value, value_of: &mut dyn FnMut(&str) -> Option<String>) -> Value {
    match value {
        Value::String(text) => Value::String(fill(text, value_of)),
        Value::Array(items) => items.iter().map(|item| fill_json(item, value_of)).collect(),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, field)| (name.clone(), fill_json(field, value_of)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// A small reproducible source of random values (`SplitMix64`). Not for secrets.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The same seed gives the same values.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A word of eight lower-case letters and digits that begins with a letter.
    pub fn word(&mut self) -> String {
        let mut bits = self.bits();
        let mut word = String::with_capacity(8);
        for position in 0..8 {
            let choices: &[u8] = if position == 0 {
                b"ghkmpqrtvwxz"
            } else {
                b"bcdfghjkmnpqrstvwxz23456789"
            };
            let n = choices.len() as u64;
            word.push(char::from(choices[usize::try_from(bits % n).unwrap_or_default()]));
            bits /= n;
        }
        word
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> String {
        let (high, low) = (self.bits(), self.bits());
        let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0x0fff);
        format!(
            "{a:08x}-{b:04x}-4{c:03x}-{:04x}-{:012x}",
            low >> 48 & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn placeholders_are_filled_once() {
        let value_of = |name: &str| (name == "a").then(|| "{{a}}".to_owned());
        for (text, expected) in [
            ("{{a}}-{{b}}", "{{a}}-{{b}}"),
            ("x{{a}}", "x{{a}}"),
            ("{{", "{{"),
            ("{{a", "{{a"),
            ("{{{{a}}", "{{{{a}}"),
        ] {
            assert_eq!(fill(text, value_of), expected, "{text}");
        }
        assert_eq!(
            fill("<{{a}}{{b}}{{a}}>", |name| Some(name.to_uppercase())),
            "<ABA>"
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_values() {
        let mut dice = Dice::new(7);
        insta::assert_snapshot!(format!("{} {}", dice.word(), dice.uuid()), @"mjmvtj7m 044c3cd7-f43c-461c-a698-4080bab12a02");
    }

    proptest! {
        #[test]
        fn filling_never_panics(text in "[{}a\u{e9}]{0,20}") {
            fill(&text, |_| Some(String::new()));
        }
    }
}
