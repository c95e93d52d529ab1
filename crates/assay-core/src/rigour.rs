//! Test rigour: do the candidate's own black-box tests tell a correct service from a broken one?
//!
//! Their tests run against the reference service several times and against each of its seeded bugs once, in a random order
//! and in surroundings that do not differ. What the tests report is the candidate's word; that it is the right word each
//! time, without knowing which service it is about, is not. Everything here is a value or a pure function.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{TestCase, TestStatus};
use crate::fault::Stop;
use crate::load::Dice;

/// How often the correct service is tested: a test that answers by chance has to be lucky each time.
pub const CORRECT_ROUNDS: usize = 2;
/// Most tests that are named for one bug.
const MAX_NAMED: usize = 5;

/// A seeded bug, and what the candidate's black-box tests made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bug {
    /// Name of its patch.
    pub id: String,
    /// What is wrong, in a sentence.
    pub description: String,
    /// Whether it was caught.
    pub outcome: BugOutcome,
    /// Tests that pass on the correct service and fail on this one; the first few.
    pub caught_by: Vec<String>,
    /// Why there is no result, where there is none; empty otherwise.
    pub note: String,
}

/// What came of one seeded bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BugOutcome {
    /// A test that passes on the correct service failed.
    Caught,
    /// None did.
    Missed,
    /// It was not run, as the tests do not hold on the correct service, or something of ours failed.
    NotRun,
}

/// What one round of the candidate's tests left.
#[derive(Debug, Clone, PartialEq)]
pub enum Round {
    /// Their report.
    Tests(Vec<TestCase>),
    /// There are no tests at all.
    NoTests,
    /// No report that can be read, and why; through nobody's fault but the candidate's.
    NoReport(Stop),
    /// The service could not be tested, through a fault of ours.
    Fault(Stop),
}

impl Round {
    /// Whether a round against the correct service speaks for the tests.
    pub fn holds(&self) -> bool {
        matches!(self, Self::Tests(tests) if !tests.is_empty() && !tests.iter().any(is_bad))
    }

    fn no_report(&self) -> Option<&Stop> {
        match self {
            Self::NoReport(stop) => Some(stop),
            _ => None,
        }
    }

    fn fault(&self) -> Option<&Stop> {
        match self {
            Self::Fault(stop) => Some(stop),
            _ => None,
        }
    }
}

/// What all rounds together say.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The candidate's black-box tests on the correct service, each with the worst of its results.
    pub tests: Vec<TestCase>,
    /// The bugs, in the exercise's order.
    pub bugs: Vec<Bug>,
    /// What stopped it as a whole.
    pub stop: Option<Stop>,
    /// Faults of ours by the bug they concern.
    pub faults: BTreeMap<String, Stop>,
}

/// The order of the rounds: the number of a bug, or none for the correct service. Follows from the seed alone.
pub fn order(n_bugs: usize, seed: u64) -> Vec<Option<usize>> {
    let mut rounds: Vec<Option<usize>> = (0..n_bugs).map(Some).collect();
    rounds.extend([None; CORRECT_ROUNDS]);
    let mut dice = Dice::new(seed, 0x0005_1620);
    for last in (1..rounds.len()).rev() {
        let other = dice.index(last + 1).unwrap_or(last);
        rounds.swap(last, other);
    }
    rounds
}

/// Judges what the rounds left.
///
/// `correct` are those on the correct service; `bugs` hold the id, the description and the round of each bug, none where it
/// was given up, since the tests did not hold on the correct service.
pub fn judge(correct: &[Round], bugs: Vec<(String, String, Option<Round>)>) -> Judgement {
    let tests = merged(correct);
    let fails = tests.iter().any(is_bad);
    let holds = correct.len() == CORRECT_ROUNDS && correct.iter().all(Round::holds) && !fails;
    // The candidate's part of it counts before ours: a fault of ours takes nothing away from tests that fail anyway.
    let of = |wanted: fn(&Round) -> Option<&Stop>| correct.iter().find_map(wanted).cloned();
    let stop = of(Round::no_report)
        .or_else(|| of(Round::fault))
        .filter(|_| !fails);
    let mut faults = BTreeMap::new();
    let bugs = bugs
        .into_iter()
        .map(|(id, description, round)| {
            let (outcome, caught_by, note) = match round {
                Some(Round::Fault(stop)) => {
                    let note = stop.sentence();
                    if holds {
                        faults.insert(id.clone(), stop);
                    }
                    (BugOutcome::NotRun, Vec::new(), note)
                }
                _ if !holds => (BugOutcome::NotRun, Vec::new(), String::new()),
                None | Some(Round::NoTests) => (BugOutcome::Missed, Vec::new(), String::new()),
                Some(Round::NoReport(stop)) => (BugOutcome::Missed, Vec::new(), stop.sentence()),
                Some(Round::Tests(found)) => match catches(&tests, &found) {
                    names if names.is_empty() => (BugOutcome::Missed, names, String::new()),
                    names => (BugOutcome::Caught, names, String::new()),
                },
            };
            Bug {
                id,
                description,
                outcome,
                caught_by,
                note,
            }
        })
        .collect();
    Judgement {
        tests,
        bugs,
        stop,
        faults,
    }
}

fn is_bad(test: &TestCase) -> bool {
    matches!(test.status, TestStatus::Failed | TestStatus::Broken)
}

fn key(test: &TestCase) -> (&str, &str) {
    (&test.group, &test.name)
}

/// Each test with the worst of its results; one that is not there in every report has failed.
fn merged(rounds: &[Round]) -> Vec<TestCase> {
    let reports = || {
        rounds.iter().filter_map(|round| match round {
            Round::Tests(tests) => Some(tests.as_slice()),
            Round::NoTests => Some(&[][..]),
            Round::NoReport(_) | Round::Fault(_) => None,
        })
    };
    let mut merged: Vec<TestCase> = Vec::new();
    let mut places = BTreeMap::new();
    for test in reports().flatten() {
        let place = *places.entry(key(test)).or_insert(merged.len());
        match merged.get_mut(place) {
            None => merged.push(test.clone()),
            Some(known) if known.status < test.status => *known = test.clone(),
            Some(_) => (),
        }
    }
    let names: Vec<BTreeSet<_>> = reports().map(|tests| tests.iter().map(key).collect()).collect();
    for test in &mut merged {
        if !names.iter().all(|names| names.contains(&key(test))) {
            test.status = TestStatus::Failed;
            test.message = "It was not reported each time that the same service was tested.".into();
        }
    }
    merged
}

/// Tests that passed on the correct service and fail here, by name; the first few.
fn catches(correct: &[TestCase], found: &[TestCase]) -> Vec<String> {
    let passed: BTreeSet<_> = correct
        .iter()
        .filter(|test| test.status == TestStatus::Passed)
        .map(key)
        .collect();
    let mut names: Vec<String> = Vec::new();
    for test in found
        .iter()
        .filter(|test| is_bad(test) && passed.contains(&key(test)))
    {
        if names.len() < MAX_NAMED && !names.contains(&test.name) {
            names.push(test.name.clone());
        }
    }
    names
}

#[cfg(test)]
mod tests;
