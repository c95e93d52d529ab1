//! From what came back to a verdict. Pure: the same exchanges give the same verdict.

mod leak;
mod shape;
mod sql;

use serde_json::Value;

pub use leak::{Secrets, observe};

use super::exchange::{Answer, Exchange, Failure, Outcome};
use super::probe::{Attack, Oracle, Role};
use super::report::Verdict;

/// A verdict and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// What happened, in plain words; continues "The service …" or stands alone.
    pub message: String,
}

/// Judges what was heard so far; `None` asks for the next step.
pub fn judge(attack: &Attack, seen: &[Exchange]) -> Option<Judgement> {
    if let Some(failed) = seen
        .iter()
        .find(|exchange| exchange.role == Role::Before && exchange.outcome.success().is_none())
    {
        let Exchange { wire, outcome, .. } = failed;
        return inconclusive(format!(
            "Could not be prepared: {} {} gave {outcome}.",
            wire.method, wire.target
        ));
    }
    if seen
        .iter()
        .filter_map(|exchange| exchange.outcome.answer())
        .any(|answer| answer.status == 429)
    {
        return inconclusive("The service limits the rate of requests.".to_owned());
    }
    let heard = Heard::new(attack, seen);
    let judgement = match &attack.oracle {
        Oracle::Refused => refused(&heard),
        Oracle::Foreign => foreign(&heard),
        Oracle::Hidden => hidden(&heard),
        Oracle::Unmoved => unmoved(&heard),
        Oracle::SameAsUnknown => same_as_unknown(&heard),
        Oracle::SqlError => sql::by_error(&heard),
        Oracle::SqlBoolean => sql::by_boolean(&heard),
        Oracle::SqlDelay(delay) => sql::by_delay(&heard, *delay),
        Oracle::Rendered(payload) => rendered(&heard, payload),
        Oracle::Assigned { field, value } => assigned(&heard, field, value),
        Oracle::NotGivenAway => not_given_away(&heard),
        Oracle::Bounded => bounded(&heard),
        Oracle::Handled => handled(&heard),
        Oracle::NotOverridden => not_overridden(&heard),
        Oracle::NotTraced => not_traced(&heard),
        Oracle::NotShared(origin) => not_shared(&heard, origin),
        Oracle::Nosniff => nosniff(&heard),
        Oracle::Unnamed => unnamed(&heard),
        Oracle::NotInUrl => not_in_url(&heard),
    };
    let undecided = || inconclusive("The answers do not fit together.".to_owned());
    judgement.or_else(|| if heard.all { undecided() } else { None })
}

/// The answers of an attack so far, by their part.
struct Heard<'a> {
    attack: &'a Attack,
    controls: Vec<&'a Outcome>,
    attacks: Vec<&'a Outcome>,
    read_backs: Vec<&'a Outcome>,
    all: bool,
}

impl<'a> Heard<'a> {
    fn new(attack: &'a Attack, seen: &'a [Exchange]) -> Self {
        let of = |role| {
            seen.iter()
                .filter(|exchange| exchange.role == role)
                .map(|exchange| &exchange.outcome)
                .collect()
        };
        Self {
            attack,
            controls: of(Role::Control),
            attacks: of(Role::Attack),
            read_backs: of(Role::ReadBack),
            all: seen.len() == attack.steps.len(),
        }
    }

    fn first_attack(&self) -> Option<&'a Outcome> {
        self.attacks.first().copied()
    }

    fn shows_marker(&self, outcome: &Outcome) -> bool {
        outcome
            .success()
            .is_some_and(|answer| answer.contains(&self.attack.marker))
    }
}

type Judged = Option<Judgement>;

fn safe() -> Judged {
    Some(Judgement {
        verdict: Verdict::Safe,
        message: String::new(),
    })
}

fn vulnerable(message: String) -> Judged {
    Some(Judgement {
        verdict: Verdict::Vulnerable,
        message,
    })
}

fn inconclusive(message: String) -> Judged {
    Some(Judgement {
        verdict: Verdict::Inconclusive,
        message,
    })
}

fn refused(heard: &Heard<'_>) -> Judged {
    let outcome = heard.first_attack()?;
    if outcome.success().is_some() {
        vulnerable(format!(
            "Answered {outcome} to a request with this credential: {}.",
            heard.attack.variant
        ))
    } else if outcome.is_broken() {
        inconclusive(format!(
            "The request was neither refused nor accepted: {outcome}."
        ))
    } else {
        safe()
    }
}

fn foreign(heard: &Heard<'_>) -> Judged {
    let control = heard.controls.first()?;
    if !heard.shows_marker(control) {
        return inconclusive(format!("The owner could not read the object back: {control}."));
    }
    let attack = heard.first_attack()?;
    if heard.shows_marker(attack) {
        return vulnerable("User B was shown user A's object.".to_owned());
    }
    let after = heard.read_backs.first()?;
    let unchanged = shape::same_content(control, after);
    match after.answer().map(|answer| answer.status) {
        Some(404 | 410) => vulnerable(format!(
            "User A's object is gone after user B's request, which was answered {attack}."
        )),
        Some(200..300) if unchanged && attack.is_broken() => {
            inconclusive(format!("User B's request gave {attack}."))
        }
        Some(200..300) if unchanged => safe(),
        Some(200..300) if attack.success().is_some() || !heard.shows_marker(after) => vulnerable(format!(
            "User A's object is changed after user B's request, which was answered {attack}."
        )),
        _ => inconclusive(format!(
            "The owner could not read the object back afterwards: {after}."
        )),
    }
}

fn hidden(heard: &Heard<'_>) -> Judged {
    let outcome = heard.first_attack()?;
    if heard.shows_marker(outcome) {
        vulnerable("User B's answer contains user A's object.".to_owned())
    } else if outcome.success().is_some() {
        safe()
    } else {
        inconclusive(format!("User B's own request gave {outcome}."))
    }
}

fn unmoved(heard: &Heard<'_>) -> Judged {
    let (first, second) = (heard.controls.first()?, heard.controls.get(1)?);
    if first.success().is_none() || !shape::same_content(first, second) {
        return inconclusive("User B's answer changes by itself.".to_owned());
    }
    let once = heard.first_attack()?;
    if shape::same_content(second, once) {
        return safe();
    }
    let twice = heard.attacks.get(1)?;
    let moved = once.success().is_some() && twice.success().is_some() && !shape::same_content(once, twice);
    if moved {
        vulnerable("User B's answer changes each time user A creates an object.".to_owned())
    } else {
        None
    }
}

fn same_as_unknown(heard: &Heard<'_>) -> Judged {
    let attack = heard.first_attack()?;
    let control = heard.controls.first()?;
    match (attack.answer(), control.answer()) {
        (Some(known), Some(unknown)) if known.status < 500 && unknown.status < 500 => {
            if known.status == unknown.status || attack.success().is_some() {
                safe()
            } else {
                vulnerable(format!(
                    "Another user's object is answered {}, one that does not exist {}.",
                    known.status, unknown.status
                ))
            }
        }
        _ => inconclusive(format!("The requests gave {attack} and {control}.")),
    }
}

/// Whether a browser may take the answer for a document with scripts.
fn is_rendered(answer: &Answer) -> bool {
    match answer.media_type().as_str() {
        "text/html" | "application/xhtml+xml" | "image/svg+xml" | "text/xml" | "application/xml" => true,
        "" | "text/plain" | "application/octet-stream" => !answer.has_nosniff(),
        _ => false,
    }
}

fn rendered(heard: &Heard<'_>, payload: &str) -> Judged {
    let outcomes = || heard.attacks.iter().chain(&heard.read_backs);
    let reflected = outcomes()
        .filter_map(|outcome| outcome.answer())
        .find(|answer| is_rendered(answer) && answer.contains(payload));
    if let Some(answer) = reflected {
        let media_type = answer.media_type();
        let media_type = if media_type.is_empty() {
            "an answer without a type"
        } else {
            &media_type
        };
        return vulnerable(format!(
            "Markup from the request came back unescaped in {media_type}."
        ));
    }
    let attack = heard.first_attack()?;
    match attack {
        Outcome::Failed(failure) => inconclusive(format!("The request gave {failure}.")),
        Outcome::Answered(_) if heard.all || attack.success().is_none() => safe(),
        Outcome::Answered(_) => None,
    }
}

fn assigned(heard: &Heard<'_>, field: &str, value: &str) -> Judged {
    let attack = heard.first_attack()?;
    if attack.is_broken() {
        return inconclusive(format!("The request gave {attack}."));
    }
    if attack.success().is_none() {
        return safe();
    }
    let outcomes = || heard.attacks.iter().chain(&heard.read_backs);
    let taken = outcomes()
        .filter_map(|outcome| outcome.success()?.json())
        .any(|json| holds(&json, field, value));
    if taken {
        vulnerable(format!(
            "`{field}` was taken from the request: the answer has the value {value}."
        ))
    } else if heard.all {
        safe()
    } else {
        None
    }
}

/// Whether any object in the value has this field with this value; times are compared to the second.
fn holds(json: &Value, field: &str, value: &str) -> bool {
    match json {
        Value::Object(fields) => fields.iter().any(|(name, content)| {
            let same = match content {
                Value::String(text) => text
                    .strip_prefix(value.trim_end_matches('Z'))
                    .is_some_and(|rest| rest.len() <= 12),
                Value::Number(number) => number.to_string() == value,
                Value::Bool(flag) => flag.to_string() == value,
                _ => false,
            };
            (name == field && same) || holds(content, field, value)
        }),
        Value::Array(items) => items.iter().any(|item| holds(item, field, value)),
        _ => false,
    }
}

fn not_given_away(heard: &Heard<'_>) -> Judged {
    let control = heard.controls.first()?;
    if control.success().is_some() || control.is_broken() {
        return inconclusive(format!(
            "User B's reading of another user's object gave {control}."
        ));
    }
    let attack = heard.first_attack()?;
    if attack.is_broken() {
        return inconclusive(format!("The request gave {attack}."));
    }
    if attack.success().is_none() {
        return safe();
    }
    let after = heard.read_backs.first()?;
    if after.success().is_some() {
        vulnerable("The owner was taken from the request: the object now belongs to user B.".to_owned())
    } else {
        safe()
    }
}

fn bounded(heard: &Heard<'_>) -> Judged {
    let attack = heard.first_attack()?;
    let control = heard.controls.first()?;
    let size = &heard.attack.variant;
    match attack {
        _ if control.success().is_none() => {
            inconclusive(format!("Afterwards an ordinary request gave {control}."))
        }
        Outcome::Answered(answer) if answer.status >= 500 => vulnerable(format!(
            "A body of {size} was answered {}, not 413.",
            answer.status
        )),
        Outcome::Answered(_) if attack.success().is_some() => {
            vulnerable(format!("A body of {size} was accepted with {attack}."))
        }
        Outcome::Answered(_) | Outcome::Failed(Failure::Dropped) => safe(),
        Outcome::Failed(failure) => inconclusive(format!("A body of {size} gave {failure}.")),
    }
}

fn handled(heard: &Heard<'_>) -> Judged {
    let first = heard.first_attack()?;
    match first {
        Outcome::Failed(Failure::NotConnected) => {
            return inconclusive("The service is not there.".to_owned());
        }
        outcome if !outcome.is_broken() => return safe(),
        _ => {}
    }
    let second = heard.attacks.get(1)?;
    if !second.is_broken() {
        return inconclusive(format!("The same request gave {first} and then {second}."));
    }
    let control = heard.controls.first()?;
    if control.success().is_some() {
        vulnerable(format!(
            "Such input ({}) gave {first}, twice, while an ordinary request was answered.",
            heard.attack.variant
        ))
    } else {
        inconclusive(format!("Afterwards an ordinary request gave {control}."))
    }
}

fn not_overridden(heard: &Heard<'_>) -> Judged {
    let control = heard.controls.first()?;
    if !heard.shows_marker(control) {
        return inconclusive(format!("The object could not be read back: {control}."));
    }
    let attack = heard.first_attack()?;
    let after = heard.read_backs.first()?;
    match after.answer().map(|answer| answer.status) {
        Some(404 | 410) => vulnerable(format!("{} deleted the object ({attack}).", heard.attack.variant)),
        Some(200..300) => safe(),
        _ => inconclusive(format!("The object could not be read back afterwards: {after}.")),
    }
}

fn not_traced(heard: &Heard<'_>) -> Judged {
    let outcome = heard.first_attack()?;
    if heard.shows_marker(outcome) {
        vulnerable("TRACE sent the request's headers back.".to_owned())
    } else {
        safe()
    }
}

fn not_shared(heard: &Heard<'_>, origin: &str) -> Judged {
    let Some(answer) = heard.first_attack()?.answer() else {
        return inconclusive("No answer.".to_owned());
    };
    let allowed = answer.header("access-control-allow-origin") == Some(origin);
    let credentials = answer
        .header("access-control-allow-credentials")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if allowed && credentials {
        vulnerable(format!(
            "The origin {origin} is allowed together with credentials."
        ))
    } else {
        safe()
    }
}

fn nosniff(heard: &Heard<'_>) -> Judged {
    let answers = || {
        heard
            .attacks
            .iter()
            .filter(|outcome| !outcome.is_broken())
            .filter_map(|outcome| outcome.answer())
    };
    if let Some(answer) = answers().find(|answer| !answer.has_nosniff()) {
        return vulnerable(format!(
            "An answer with status {} lacks the header.",
            answer.status
        ));
    }
    if !heard.all {
        return None;
    }
    if answers().next().is_some() {
        safe()
    } else {
        inconclusive("No answer to look at.".to_owned())
    }
}

fn unnamed(heard: &Heard<'_>) -> Judged {
    let Some(answer) = heard.first_attack()?.answer() else {
        return inconclusive("No answer.".to_owned());
    };
    let version = answer
        .header("server")
        .filter(|value| value.contains(|c: char| c.is_ascii_digit()));
    let named = version.map(|value| format!("Server: {value}"));
    let named = named.or_else(|| {
        answer
            .header("x-powered-by")
            .map(|value| format!("X-Powered-By: {value}"))
    });
    named.map_or_else(safe, |header| vulnerable(format!("Answers carry `{header}`.")))
}

fn not_in_url(heard: &Heard<'_>) -> Judged {
    let control = heard.controls.first()?;
    let attack = heard.first_attack()?;
    match (control.success(), attack.success()) {
        (None, _) => inconclusive(format!("The documented request gave {control}.")),
        (Some(documented), Some(answer)) if shape::fields(documented) == shape::fields(answer) => vulnerable(
            "GET with the credentials in the query is answered as the documented request is.".to_owned(),
        ),
        _ => safe(),
    }
}

#[cfg(test)]
mod tests;
