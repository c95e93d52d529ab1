//! The scorecard: a pure function of an exercise and its evidence. Every point has a line, every line a reason.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{CheckEvidence, Evidence};
use crate::exercise::{Category, CategoryId, Exercise, LineRule, RatioRule, ScaledBy};
use crate::fault::{Stop, Whose};

mod curve;
mod rules;

/// Points with their reasons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scorecard {
    /// The sum.
    pub score: Score,
    /// The categories, in the exercise's order.
    pub categories: Vec<CategoryScore>,
}

/// A total.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Score {
    /// Points reached, of the lines that could be scored.
    pub total: f64,
    /// Points there are.
    pub max: f64,
    /// Lowest and highest total that the lines which could not be scored leave open; equal when all were scored.
    pub range: [f64; 2],
    /// Whether the exercise's gate passed. None: no gate, or lines not scored leave it open.
    pub gate: Option<bool>,
}

/// Points of a category.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryScore {
    /// Which one.
    pub id: CategoryId,
    /// Title for people.
    pub title: String,
    /// Points reached, of the lines that could be scored.
    pub score: f64,
    /// Points there are.
    pub max: f64,
    /// Whether all of its lines were scored.
    pub scored: bool,
    /// Where the points come from.
    pub lines: Vec<Line>,
}

/// One source of points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Id in the exercise, unique in the category.
    pub id: String,
    /// Title for people.
    pub title: String,
    /// Points reached; none when the line could not be scored.
    pub points: Option<f64>,
    /// Points there are.
    pub max: f64,
    /// Why, in plain words.
    pub reason: String,
    /// Ids of the checks whose evidence was used.
    pub evidence: Vec<String>,
    /// Whether the evidence is the candidate's own word, such as their unit tests.
    pub self_reported: bool,
}

/// What a rule makes of its evidence.
#[derive(Debug, Clone, PartialEq)]
enum Verdict {
    /// A share of the line's points, 0 to 1, with the reason.
    Share(f64, String),
    /// So many points, at most the line's.
    Points(f64, String),
    /// No point is given or taken, since something of ours failed.
    NotScored(String),
}

/// Computes the scorecard.
pub fn score(exercise: &Exercise, evidence: &Evidence) -> Scorecard {
    let mut categories: Vec<CategoryScore> = Vec::new();
    for category in &exercise.scoring.categories {
        let scale = category.scaled_by.map(|scaled| factor(scaled, &categories));
        categories.push(score_category(category, scale, evidence));
    }
    let max = cents(categories.iter().map(|category| category.max).sum());
    let total = cents(categories.iter().map(|category| category.score).sum());
    let open: f64 = categories
        .iter()
        .flat_map(|category| &category.lines)
        .filter(|line| line.points.is_none())
        .map(|line| line.max)
        .sum();
    let range = [total, cents(total + open).min(max)];
    let gate = exercise.scoring.gate.and_then(|gate| {
        let lowest = range[0] >= gate;
        let highest = range[1] >= gate;
        (lowest == highest).then_some(lowest)
    });
    Scorecard {
        score: Score {
            total,
            max,
            range,
            gate,
        },
        categories,
    }
}

fn score_category(category: &Category, scale: Option<(f64, String)>, evidence: &Evidence) -> CategoryScore {
    let lines: Vec<Line> = category
        .lines
        .iter()
        .map(|rule| score_line(rule, scale.as_ref(), evidence))
        .collect();
    CategoryScore {
        id: category.id,
        title: category.title.clone(),
        score: cents(lines.iter().filter_map(|line| line.points).sum()),
        max: cents(lines.iter().map(|line| line.max).sum()),
        scored: lines.iter().all(|line| line.points.is_some()),
        lines,
    }
}

fn score_line(rule: &LineRule, scale: Option<&(f64, String)>, evidence: &Evidence) -> Line {
    let mut verdict = verdict(rule, evidence);
    if let (Some(times), Verdict::Share(..) | Verdict::Points(..)) = (&rule.times, &verdict) {
        verdict = multiplied(verdict, times, evidence);
    }
    let (points, mut reason) = match verdict {
        Verdict::Share(share, reason) => (Some(rule.points * finite(share).clamp(0.0, 1.0)), reason),
        Verdict::Points(points, reason) => (Some(finite(points).clamp(0.0, rule.points)), reason),
        Verdict::NotScored(reason) => (None, format!("Not scored. {reason}")),
    };
    let points = match (points, scale) {
        (Some(points), Some((factor, why))) if *factor < 1.0 && points > 0.0 => {
            reason = format!("{reason} {why}");
            Some(points * factor)
        }
        (points, _) => points,
    };
    let mut used: Vec<String> = Vec::new();
    for id in rule.checks() {
        if !used.iter().any(|other| other == id) {
            used.push(id.to_owned());
        }
    }
    let self_reported = used
        .iter()
        .filter_map(|id| evidence.check(id))
        .any(|check| check.kind.is_self_reported());
    Line {
        id: rule.id.clone(),
        title: rule.title.clone(),
        points: points.map(cents),
        max: rule.points,
        reason,
        evidence: used,
        self_reported,
    }
}

fn verdict(rule: &LineRule, evidence: &Evidence) -> Verdict {
    if let Some(rule) = &rule.tests {
        of_check(&rule.check, evidence, |check| rules::tests(rule, check))
    } else if let Some(rule) = &rule.coverage {
        of_check(&rule.check, evidence, |check| rules::coverage(rule, check))
    } else if let Some(rule) = &rule.ratio {
        of_check(&rule.check, evidence, |check| rules::ratio(rule, check))
    } else if let Some(findings) = &rule.findings {
        of_check(&findings.check, evidence, |check| {
            rules::findings(findings, rule.points, check, evidence.own_source_lines)
        })
    } else if let Some(rule) = &rule.latency {
        of_check(&rule.check, evidence, |check| rules::latency(rule, check))
    } else if let Some(rule) = &rule.errors {
        of_check(&rule.check, evidence, |check| rules::errors(rule, check))
    } else if let Some(rule) = &rule.bugs {
        of_check(&rule.check, evidence, rules::bugs)
    } else {
        Verdict::NotScored("The exercise gives no rule for this line.".into())
    }
}

/// A check that stopped gives nothing when that is the candidate's fault, and is not scored when it is not.
fn of_check(id: &str, evidence: &Evidence, judge: impl FnOnce(&CheckEvidence) -> Verdict) -> Verdict {
    match evidence.check(id) {
        None => Verdict::NotScored(format!("The check {id} did not run.")),
        Some(CheckEvidence { stop: Some(stop), .. }) => stopped(stop),
        Some(check) => judge(check),
    }
}

fn stopped(stop: &Stop) -> Verdict {
    match stop.whose() {
        Whose::Candidate => Verdict::Share(0.0, stop.sentence()),
        Whose::Exercise | Whose::Platform => Verdict::NotScored(stop.sentence()),
    }
}

fn multiplied(verdict: Verdict, times: &RatioRule, evidence: &Evidence) -> Verdict {
    let (share, why) = match of_check(&times.check, evidence, |check| rules::ratio(times, check)) {
        Verdict::Share(share, why) => (share, why),
        Verdict::Points(..) => return verdict,
        Verdict::NotScored(why) => return Verdict::NotScored(why),
    };
    match verdict {
        _ if share >= 1.0 => verdict,
        Verdict::Share(0.0, reason) => Verdict::Share(0.0, reason),
        Verdict::Share(points, reason) => Verdict::Share(points * share, format!("{reason} {why}")),
        Verdict::Points(points, reason) => Verdict::Points(points * share, format!("{reason} {why}")),
        Verdict::NotScored(reason) => Verdict::NotScored(reason),
    }
}

/// The factor of a category, from the lines of the other one that were scored: what failed on our side takes nothing away.
fn factor(scaled: ScaledBy, categories: &[CategoryScore]) -> (f64, String) {
    let Some(other) = categories.iter().find(|category| category.id == scaled.category) else {
        return (1.0, String::new());
    };
    let scored = other
        .lines
        .iter()
        .filter_map(|line| Some((line.points?, line.max)));
    let (points, max) = scored.fold((0.0, 0.0), |sum, line| (sum.0 + line.0, sum.1 + line.1));
    if max <= 0.0 {
        return (1.0, String::new());
    }
    let percent = 100.0 * points / max;
    let factor = ((percent - scaled.zero_below) / (scaled.full_at - scaled.zero_below)).clamp(0.0, 1.0);
    let name = other.title.to_lowercase();
    let why = format!(
        "Counts {:.0} %, as {name} reached {percent:.0} % and all of this counts from {:.0} % on.",
        100.0 * factor,
        scaled.full_at
    );
    (finite(factor), why)
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// Rounded to hundredths, so that sums are the same on every machine and in every format.
fn cents(points: f64) -> f64 {
    // An empty sum is -0.0; adding 0.0 makes it 0.
    (finite(points) * 100.0).round() / 100.0 + 0.0
}

#[cfg(test)]
mod tests;
