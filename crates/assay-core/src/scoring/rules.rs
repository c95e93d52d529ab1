//! What each rule makes of the evidence of its check.

use super::{Verdict, curve, stopped};
use crate::evidence::{CheckEvidence, Level, TestCase, TestStatus};
use crate::exercise::{
    CoverageKind, CoverageRule, ErrorsRule, FindingsRule, LatencyRule, RatioRule, TestsRule,
};
use crate::load::{LoadSummary, Outcome, Verification, milliseconds};
use crate::rigour::BugOutcome;

pub(super) fn tests(rule: &TestsRule, check: &CheckEvidence) -> Verdict {
    let chosen: Vec<_> = check
        .tests
        .iter()
        .filter(|test| rule.groups.is_empty() || rule.groups.contains(&test.group))
        .map(|test| (test, rule.weights.get(&test.name).copied().unwrap_or(1.0)))
        .collect();
    let all: f64 = chosen.iter().map(|(_, weight)| weight).sum();
    if all <= 0.0 {
        return Verdict::Share(0.0, "There are no tests.".into());
    }
    let is_passed = |status| status == TestStatus::Passed;
    let passed: f64 = chosen
        .iter()
        .filter(|(test, _)| is_passed(test.status))
        .map(|(_, weight)| weight)
        .sum();
    let n_passed = chosen.iter().filter(|(test, _)| is_passed(test.status)).count();
    let mut reason = format!("{n_passed} of {} tests passed.", chosen.len());
    let failed: Vec<&str> = chosen
        .iter()
        .filter(|(test, _)| !is_passed(test.status))
        .map(|(test, _)| test.title.as_str())
        .collect();
    if let Some(first) = failed.first() {
        reason = format!("{reason} Failed: {first}");
        if failed.len() > 1 {
            reason = format!("{reason} (and {} more)", failed.len() - 1);
        }
    }
    Verdict::Share(passed / all, reason)
}

pub(super) fn coverage(rule: &CoverageRule, check: &CheckEvidence) -> Verdict {
    let Some(coverage) = &check.coverage else {
        return match check.partial_stops.get("coverage") {
            Some(stop) => stopped(stop),
            None => Verdict::Share(0.0, "No coverage was measured.".into()),
        };
    };
    let branches = coverage.branch_counts();
    let (name, (hit, all)) = match rule.of {
        CoverageKind::Branches if branches.1 > 0 => ("branches", branches),
        CoverageKind::Branches | CoverageKind::Lines => ("lines", coverage.line_counts()),
    };
    if all == 0 {
        return Verdict::Share(0.0, "Coverage saw none of the candidate's own lines.".into());
    }
    let percent = 100.0 * hit as f64 / all as f64;
    let reason = format!(
        "{percent:.1} % of own {name} covered ({hit} of {all}); all points from {:.0} % on.",
        rule.full_at
    );
    Verdict::Share(percent / rule.full_at, reason)
}

pub(super) fn ratio(rule: &RatioRule, check: &CheckEvidence) -> Verdict {
    let fact = |name: &str| {
        check
            .facts
            .get(name)
            .copied()
            .filter(|value| value.is_finite() && *value >= 0.0)
    };
    let (Some(part), Some(whole)) = (fact(&rule.part), fact(&rule.whole)) else {
        return match check.partial_stops.values().next() {
            Some(stop) => stopped(stop),
            None => Verdict::NotScored(format!("`{}` or `{}` was not measured.", rule.part, rule.whole)),
        };
    };
    if whole <= 0.0 {
        return Verdict::Share(0.0, format!("There is nothing to count (`{}` is 0).", rule.whole));
    }
    let percent = 100.0 * (part / whole).min(1.0);
    let what = rule.part.replace('.', " ");
    let mut reason = format!("{part:.0} of {whole:.0} ({what}): {percent:.0} %.");
    if rule.full_at < 100.0 {
        reason = format!("{reason} All points from {:.0} % on.", rule.full_at);
    }
    Verdict::Share(percent / rule.full_at, reason)
}

pub(super) fn findings(rule: &FindingsRule, max: f64, check: &CheckEvidence, own_lines: u64) -> Verdict {
    if let Some(stop) = rule.tools.iter().find_map(|tool| check.partial_stops.get(tool)) {
        return stopped(stop);
    }
    let count = |level| {
        let counts = |finding: &&crate::evidence::Finding| {
            finding.level == level && rule.tools.contains(&finding.tool)
        };
        check.findings.iter().filter(counts).count()
    };
    let (errors, warnings, notes) = (count(Level::Error), count(Level::Warning), count(Level::Note));
    let cost = errors as f64 * rule.error + warnings as f64 * rule.warning + notes as f64 * rule.note;
    if errors + warnings + notes == 0 {
        return Verdict::Share(1.0, "No findings.".into());
    }
    let mut reason = format!(
        "{}, {}, {}.",
        plural(errors, "error"),
        plural(warnings, "warning"),
        plural(notes, "note")
    );
    let mut cost = cost;
    if rule.per_kloc {
        let thousands = own_lines.max(300) as f64 / 1000.0;
        cost /= thousands;
        reason = format!("{reason} Per thousand of {own_lines} own lines.");
    }
    let worst = check
        .findings
        .iter()
        .filter(|finding| rule.tools.contains(&finding.tool))
        .max_by_key(|f| f.level);
    if let Some(worst) = worst {
        reason = format!("{reason} First: {}", worst.message);
    }
    Verdict::Points(max - cost, reason)
}

pub(super) fn latency(rule: &LatencyRule, check: &CheckEvidence) -> Verdict {
    let load = match measured(check) {
        Ok(load) => load,
        Err(verdict) => return verdict,
    };
    let (name, outcome) = match &rule.endpoint {
        None => ("all requests", Some(&load.total)),
        Some(name) => (name.as_str(), load.endpoints.get(name)),
    };
    let Some(latency) = outcome
        .map(|outcome| &outcome.latency)
        .filter(|latency| latency.count > 0)
    else {
        return Verdict::NotScored(format!("The load plan sent nothing to `{name}`."));
    };
    // A request that failed was never answered well: with more of them than lie beyond the percentile, there is none.
    let failed_percent = outcome.map_or(0.0, failed_percent);
    if failed_percent > 100.0 - f64::from(rule.percentile) {
        let reason = format!(
            "{failed_percent:.0} % of {name} failed, so there is no p{} of good answers.",
            rule.percentile
        );
        return Verdict::Share(0.0, reason);
    }
    let value_us = latency.percentile_us(rule.percentile);
    let estimate = load.estimate(rule.endpoint.as_deref(), rule.percentile);
    let measured = match estimate {
        Some(estimate) => estimate.sentence(),
        None => format!("{} ms", milliseconds(value_us)),
    };
    let ratio = estimate.and_then(|estimate| estimate.ratio);
    let (share, terms) = match (&rule.relative, ratio) {
        (Some(relative), Some(ratio)) => {
            // What is above once the reference's, so that as fast as the reference earns all.
            let excess = ratio.low - 1.0;
            let share = curve::log_normal(excess, relative.p10 - 1.0, relative.median - 1.0);
            let counted = if excess > 0.0 {
                format!("{:.2} times is sure and counts", ratio.low)
            } else {
                "no slower than the reference, as far as is sure".to_owned()
            };
            let terms = format!(
                "{counted}; {} times earns 90 %, {} times earns 50 %",
                relative.p10, relative.median
            );
            (share, terms)
        }
        _ => {
            let value_ms = value_us as f64 / 1000.0;
            let (p10, median) = (rule.p10.as_millis() as f64, rule.median.as_millis() as f64);
            let terms = format!("{} earns 90 %, {} earns 50 %", rule.p10, rule.median);
            (curve::log_normal(value_ms, p10, median), terms)
        }
    };
    // What is far on the good side earns all: the last half percent of the curve would only be noise.
    let share = if share >= 0.995 { 1.0 } else { share };
    let terms = match estimate {
        Some(_) => format!(": {terms}."),
        None => format!(" ({terms})."),
    };
    let mut reason = format!("p{} of {name} is {measured}{terms}", rule.percentile);
    if rule.relative.is_some() && ratio.is_none() {
        reason = format!("{reason} It counts alone, as there is no reference measurement.");
    }
    kept(load, share, reason)
}

pub(super) fn errors(rule: &ErrorsRule, check: &CheckEvidence) -> Verdict {
    let load = match measured(check) {
        Ok(load) => load,
        Err(verdict) => return verdict,
    };
    let Outcome { counts, checks, .. } = &load.total;
    let percent = failed_percent(&load.total);
    let share = (rule.zero_at - percent) / (rule.zero_at - rule.full_at).max(f64::EPSILON);
    let looked_at = checks.passed + checks.failed;
    let sampled = match checks.failed {
        0 => String::new(),
        n => format!(
            "; {n} of the {looked_at} answers looked at in full {} wrong, which counts for all",
            if n == 1 { "was" } else { "were" }
        ),
    };
    let reason = format!(
        "{} of {} requests failed{sampled} ({percent:.2} %).",
        counts.failed(),
        counts.scheduled
    );
    kept(load, share, reason)
}

/// How many of the requests failed, in percent. Of the answers that were not looked at in full, as many are taken to be wrong
/// as of those that were.
fn failed_percent(Outcome { counts, checks, .. }: &Outcome) -> f64 {
    let looked_at = (checks.passed + checks.failed).max(1) as f64;
    let wrong = (counts.ok + checks.failed) as f64 * checks.failed as f64 / looked_at;
    let others = counts.failed().saturating_sub(checks.failed) as f64;
    100.0 * (others + wrong) / counts.scheduled.max(1) as f64
}

/// Points only for the users who found at the end what the service had confirmed to them: an answer that was fast because
/// nothing was done is no good answer.
fn kept(load: &LoadSummary, share: f64, reason: String) -> Verdict {
    let lost = |step: &Verification| {
        f64::from(step.failed) / f64::from(step.passed.saturating_add(step.failed).max(1))
    };
    let worst = load
        .verification
        .iter()
        .max_by(|a, b| lost(a).total_cmp(&lost(b)));
    let Some(step) = worst.filter(|step| step.failed > 0) else {
        return Verdict::Share(share, reason);
    };
    let reason = format!(
        "{reason} It counts for {} of {} users only: for the others, this did not hold after the load: {}.",
        step.passed,
        step.passed.saturating_add(step.failed),
        step.name
    );
    Verdict::Share(share.clamp(0.0, 1.0) * (1.0 - lost(step)), reason)
}

pub(super) fn bugs(check: &CheckEvidence) -> Verdict {
    if let Some(stop) = check.partial_stops.values().next() {
        return stopped(stop);
    }
    if check.tests.is_empty() {
        return Verdict::Share(0.0, "There are no black-box tests.".into());
    }
    let is_bad = |test: &&TestCase| matches!(test.status, TestStatus::Failed | TestStatus::Broken);
    let n_bad = check.tests.iter().filter(is_bad).count();
    if let Some(first) = check.tests.iter().find(is_bad) {
        let reason = format!(
            "On a correct service {n_bad} of {} did not pass, so that a failure says nothing. First: {}.",
            plural(check.tests.len(), "black-box test"),
            first.name
        );
        return Verdict::Share(0.0, reason);
    }
    let (n_caught, n_bugs) = check.bug_counts();
    if n_bugs == 0 {
        return Verdict::NotScored("The exercise has no seeded bugs.".into());
    }
    let missed = check.bugs.iter().filter(|bug| bug.outcome != BugOutcome::Caught);
    let missed: Vec<&str> = missed.map(|bug| bug.description.as_str()).collect();
    let mut reason = format!("{n_caught} of {} caught.", plural(n_bugs, "seeded bug"));
    if let Some(first) = missed.first() {
        reason = format!("{reason} Missed: {first}");
        if missed.len() > 1 {
            reason = format!("{reason} (and {} more)", missed.len() - 1);
        }
    }
    Verdict::Share(n_caught as f64 / n_bugs as f64, reason)
}

/// The measurement, if it can be used.
fn measured(check: &CheckEvidence) -> Result<&LoadSummary, Verdict> {
    let Some(load) = &check.load else {
        return Err(Verdict::NotScored("There is no load measurement.".into()));
    };
    if let Some(why) = load.invalid.first() {
        return Err(Verdict::NotScored(format!(
            "The measurement is not valid: {why}."
        )));
    }
    if let Some(failure) = load.setup.failed.first() {
        return Err(Verdict::Share(
            0.0,
            format!(
                "No load was possible: {} failed: {}.",
                failure.name, failure.message
            ),
        ));
    }
    if load.total.counts.scheduled == 0 || !load.adds_up() {
        return Err(Verdict::NotScored("The measurement is not complete.".into()));
    }
    Ok(load)
}

fn plural(n: usize, word: &str) -> String {
    if n == 1 {
        format!("1 {word}")
    } else {
        format!("{n} {word}s")
    }
}
