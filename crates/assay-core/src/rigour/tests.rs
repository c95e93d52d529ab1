use std::fmt::Write;

use super::*;

fn case(name: &str, status: TestStatus) -> TestCase {
    TestCase {
        group: "g".into(),
        name: name.into(),
        title: name.into(),
        status,
        message: String::new(),
        duration_ms: 1,
    }
}

/// `a+ b- c! d~`: passed, failed, broken, skipped.
fn round(text: &str) -> Round {
    let test = |word: &str| {
        let (name, sign) = word.split_at(word.len() - 1);
        let status = match sign {
            "+" => TestStatus::Passed,
            "-" => TestStatus::Failed,
            "!" => TestStatus::Broken,
            _ => TestStatus::Skipped,
        };
        case(name, status)
    };
    match text {
        "none" => Round::NoTests,
        "silent" => Round::NoReport(Stop::TimedOut { limit_ms: 1_000 }),
        "fault" => Round::Fault(Stop::EngineFailed {
            detail: "gone".into(),
        }),
        text => Round::Tests(text.split_whitespace().map(test).collect()),
    }
}

#[test]
fn judged() {
    // Rounds on the correct service, rounds on bugs (`-`: given up).
    let cases = [
        ("every bug is caught", "a+ b+; a+ b+", "a- b+; a+ b!"),
        ("a bug is missed", "a+ b+; a+ b+", "a- b+; a+ b+"),
        ("no tests", "none", "-; -"),
        ("no tests at all on one of the services", "a+; none", "a-; -"),
        ("always failing", "a-", "a-; -"),
        ("failing by chance", "a+; a-", "a-; a+"),
        ("different tests each time", "a+; b+", "a-; b-"),
        ("skipped on the correct service", "a~ b+; a~ b+", "a- b+; a- b-"),
        ("missing on the bug", "a+ b+; a+ b+", "b+; c-"),
        ("no report on the bug", "a+; a+", "silent; a-"),
        ("no report on the correct service", "a+; silent", "a-; a-"),
        ("a fault of ours on a bug", "a+; a+", "fault; a-"),
        ("a fault of ours on the correct service", "a+; fault", "a-; a-"),
        (
            "a fault of ours takes nothing from failing tests",
            "a-; fault",
            "a-; fault",
        ),
        ("tested once only", "a+", "a-; a-"),
    ];
    let mut text = String::new();
    for (what, correct, bugs) in cases {
        let correct: Vec<Round> = correct.split("; ").map(round).collect();
        let bugs = bugs.split("; ").zip(["x", "y"]).map(|(text, id)| {
            let round = (text != "-").then(|| round(text));
            (id.to_owned(), format!("bug {id}"), round)
        });
        let judgement = judge(&correct, bugs.collect());
        let n_bad = judgement.tests.iter().filter(|test| is_bad(test)).count();
        let bugs: Vec<String> = judgement
            .bugs
            .iter()
            .map(|bug| {
                format!("{} {:?} {}", bug.id, bug.outcome, bug.caught_by.join(","))
                    .trim_end()
                    .to_owned()
            })
            .collect();
        let stop = judgement.stop.map_or("-", |stop| stop.code());
        let faults = judgement.faults.into_keys().next().unwrap_or_else(|| "-".into());
        writeln!(
            text,
            "{what}: {n_bad} of {} bad; {}; stop {stop}; faults {faults}",
            judgement.tests.len(),
            bugs.join("; ")
        )
        .unwrap();
    }
    insta::assert_snapshot!(text, @r"
    every bug is caught: 0 of 2 bad; x Caught a; y Caught b; stop -; faults -
    a bug is missed: 0 of 2 bad; x Caught a; y Missed; stop -; faults -
    no tests: 0 of 0 bad; x NotRun; y NotRun; stop -; faults -
    no tests at all on one of the services: 1 of 1 bad; x NotRun; y NotRun; stop -; faults -
    always failing: 1 of 1 bad; x NotRun; y NotRun; stop -; faults -
    failing by chance: 1 of 1 bad; x NotRun; y NotRun; stop -; faults -
    different tests each time: 2 of 2 bad; x NotRun; y NotRun; stop -; faults -
    skipped on the correct service: 0 of 2 bad; x Missed; y Caught b; stop -; faults -
    missing on the bug: 0 of 2 bad; x Missed; y Missed; stop -; faults -
    no report on the bug: 0 of 1 bad; x Missed; y Caught a; stop -; faults -
    no report on the correct service: 0 of 1 bad; x NotRun; y NotRun; stop timed_out; faults -
    a fault of ours on a bug: 0 of 1 bad; x NotRun; y Caught a; stop -; faults x
    a fault of ours on the correct service: 0 of 1 bad; x NotRun; y NotRun; stop engine_failed; faults -
    a fault of ours takes nothing from failing tests: 1 of 1 bad; x NotRun; y NotRun; stop -; faults -
    tested once only: 0 of 1 bad; x NotRun; y NotRun; stop -; faults -
    ");
}

#[test]
fn every_service_has_its_rounds_in_an_order_that_the_seed_alone_decides() {
    let first = order(12, 7);
    assert_eq!(first, order(12, 7));
    let mut firsts = BTreeSet::new();
    for seed in 0..200 {
        let mut rounds = order(12, seed);
        firsts.insert(rounds[0]);
        rounds.sort_unstable();
        let wanted: Vec<_> = [None; CORRECT_ROUNDS]
            .into_iter()
            .chain((0..12).map(Some))
            .collect();
        assert_eq!(rounds, wanted);
    }
    // Any service may come first, the correct one too.
    assert_eq!(firsts.len(), 13);
}
