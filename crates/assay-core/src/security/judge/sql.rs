//! Is a text executed as SQL? By error, by truth value, by time; each confirmed against harmless neighbours.

use std::time::Duration;

use super::super::exchange::{Failure, Outcome};
use super::shape::shape;
use super::{Heard, Judged, inconclusive, safe, vulnerable};

/// What databases and their drivers say about a statement that a stray quote broke.
const DATABASE_ERRORS: [&str; 16] = [
    "syntax error at or near",
    "unterminated quoted string",
    "unterminated quoted identifier",
    "SQLSTATE",
    "PG::SyntaxError",
    "PostgresSyntaxError",
    "psycopg2.errors",
    "psycopg.errors",
    "asyncpg.exceptions",
    "sqlalchemy.exc",
    "QueryFailedError",
    "You have an error in your SQL syntax",
    "Unclosed quotation mark",
    "unrecognized token: \"",
    "near \"'\": syntax error",
    "ORA-0",
];

fn database_error(outcome: &Outcome) -> Option<&'static str> {
    let text = outcome.answer()?.text();
    DATABASE_ERRORS.into_iter().find(|error| text.contains(error))
}

/// Attack, attack, control (neighbour), control (quote doubled).
pub(super) fn by_error(heard: &Heard<'_>) -> Judged {
    let first = heard.first_attack()?;
    let told = database_error(first);
    if matches!(first, Outcome::Failed(Failure::NotConnected)) {
        return inconclusive("The service is not there.".to_owned());
    }
    if told.is_none() && !first.is_broken() {
        return safe();
    }
    let second = heard.attacks.get(1)?;
    if database_error(second) != told || second.is_broken() != first.is_broken() {
        return inconclusive(format!("The same request gave {first} and then {second}."));
    }
    let neighbour = heard.controls.first()?;
    if neighbour.is_broken() || database_error(neighbour).is_some() {
        // Not the quote: whatever breaks here is broken without it, too.
        return safe();
    }
    if let Some(error) = told {
        return vulnerable(format!(
            "One quote makes the database complain (\"{error}\"); without it nobody does."
        ));
    }
    let doubled = heard.controls.get(1)?;
    if doubled.is_broken() {
        inconclusive(format!("A quote gave {first}, two quotes {doubled}."))
    } else {
        vulnerable(format!(
            "One quote gave {first}, twice; no quote gave {neighbour}, and two quotes {doubled}."
        ))
    }
}

/// True, false, true, false, true; with fresh values false, true; with fresh values the same between other quotation marks.
pub(super) fn by_boolean(heard: &Heard<'_>) -> Judged {
    let yes: Vec<_> = heard.attacks.iter().map(|outcome| shape(outcome)).collect();
    let no: Vec<_> = heard
        .controls
        .iter()
        .take(3)
        .map(|outcome| shape(outcome))
        .collect();
    if yes.first()? == no.first()? {
        return safe();
    }
    if yes.iter().any(|other| *other != yes[0]) || no.iter().any(|other| *other != no[0]) {
        // The answer changes by itself, or with who comes first: a second registration of the same name is refused.
        return safe();
    }
    if heard.attacks.iter().any(|outcome| outcome.answer().is_none()) {
        return inconclusive("There was no answer.".to_owned());
    }
    let (one, other) = (heard.controls.get(3)?, heard.controls.get(4)?);
    if shape(one) != shape(other) || shape(one) == yes[0] {
        // What makes the difference is not SQL.
        return safe();
    }
    let (yes, no) = (heard.attacks[0], heard.controls[0]);
    vulnerable(format!(
        "A true and a false SQL condition are told apart, seven times out of seven ({yes} and {no})."
    ))
}

/// Delay; then nothing, delay, nothing, double, twice over.
pub(super) fn by_delay(heard: &Heard<'_>, delay: Duration) -> Judged {
    let (base, slept): (Option<Vec<_>>, Option<Vec<_>>) = (
        heard.controls.iter().map(|outcome| elapsed(outcome)).collect(),
        heard.attacks.iter().map(|outcome| elapsed(outcome)).collect(),
    );
    let (Some(base), Some(slept)) = (base, slept) else {
        return inconclusive("A request that should sleep for a moment got no answer.".to_owned());
    };
    if *slept.first()? < delay.mul_f64(0.9) {
        return safe();
    }
    // What is left after the first attempt: once, twice, once, twice.
    let slowest = base.iter().max().copied().unwrap_or_default();
    for (place, took) in slept.iter().skip(1).enumerate() {
        let expected = if place % 2 == 0 { delay } else { delay * 2 };
        if took.saturating_sub(slowest) < expected.mul_f64(0.8) {
            return safe();
        }
    }
    if !heard.all {
        return None;
    }
    let fastest = base.iter().min().copied().unwrap_or_default();
    if slowest - fastest > delay.mul_f64(0.3) {
        return inconclusive("The service's own times vary too much.".to_owned());
    }
    let scaled = slept[2].min(slept[4]).saturating_sub(slept[1].max(slept[3])) > delay.mul_f64(0.5);
    if !scaled {
        return inconclusive("The answer is late, but not by as much as asked for.".to_owned());
    }
    let shown = |all: &[Duration]| {
        all.iter()
            .map(|took| took.as_millis().to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    vulnerable(format!(
        "The database slept for as long as asked: {} ms with delays, {} ms without.",
        shown(&slept),
        shown(&base)
    ))
}

fn elapsed(outcome: &Outcome) -> Option<Duration> {
    outcome.answer().map(|answer| answer.elapsed)
}
