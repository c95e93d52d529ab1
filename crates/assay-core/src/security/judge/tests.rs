//! Answers that look like a flaw and are none, beside those that are one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::exchange::{Answer, Exchange, Failure, Outcome};
use super::super::operation::Operation;
use super::super::probe::{Attack, Oracle, Role, Step};
use super::super::report::Verdict;
use super::super::request::{Body, Credential, Request, Wire};
use super::super::rule::Rule;
use super::{judge, observe};

use Role::{Attack as A, Control as C, ReadBack as R};

fn answered(status: u16, body: &Value) -> Outcome {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Outcome::Answered(Answer {
        status,
        headers,
        body: body.to_string().into_bytes(),
        elapsed: Duration::from_millis(3),
    })
}

fn status(status: u16) -> Outcome {
    answered(status, &json!({"title": "words"}))
}

fn after(ms: u64) -> Outcome {
    let elapsed = Duration::from_millis(ms);
    Outcome::Answered(Answer {
        status: 200,
        headers: Vec::new(),
        body: Vec::new(),
        elapsed,
    })
}

fn items(n: usize) -> Outcome {
    answered(200, &json!({"items": vec![json!({"id": "x"}); n]}))
}

/// The verdict on these answers, and after how many of them it fell.
fn verdict(oracle: Oracle, heard: Vec<(Role, Outcome)>) -> (Verdict, usize) {
    let request = Request {
        operation: Operation::new("GET", "/"),
        path: BTreeMap::new(),
        query: BTreeMap::new(),
        headers: BTreeMap::new(),
        body: Body::Absent,
        credential: Credential::Nobody,
    };
    let steps = heard.iter().map(|(role, _)| Step {
        role: *role,
        request: request.clone(),
        capture: BTreeMap::new(),
    });
    let attack = Attack {
        variant: "this".to_owned(),
        oracle,
        marker: "mark".to_owned(),
        steps: steps.collect(),
        exclusive_from: usize::MAX,
    };
    let wire = Wire {
        method: "GET".to_owned(),
        target: "/".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let exchange = |(role, outcome)| Exchange {
        role,
        credential: Credential::Nobody,
        wire: wire.clone(),
        outcome,
    };
    let seen: Vec<_> = heard.into_iter().map(exchange).collect();
    let decided = (1..=seen.len()).find_map(|n| Some((judge(&attack, &seen[..n])?.verdict, n)));
    decided.expect("the last answer decides")
}

use Verdict::{Inconclusive, Safe, Vulnerable};

#[test]
fn a_quote_is_compared_with_its_neighbours() {
    let complaint = || answered(500, &json!({"detail": "syntax error at or near \"'\""}));
    let cases = [
        ("accepted", vec![(A, status(200))], Safe),
        ("refused", vec![(A, status(422))], Safe),
        (
            "quotes break it",
            vec![
                (A, status(500)),
                (A, status(500)),
                (C, status(200)),
                (C, status(200)),
            ],
            Vulnerable,
        ),
        (
            "everything breaks it",
            vec![(A, status(500)), (A, status(500)), (C, status(500))],
            Safe,
        ),
        (
            "two quotes break it as well",
            vec![
                (A, status(500)),
                (A, status(500)),
                (C, status(200)),
                (C, status(500)),
            ],
            Inconclusive,
        ),
        (
            "it broke once",
            vec![(A, status(500)), (A, status(200))],
            Inconclusive,
        ),
        (
            "the database complains",
            vec![(A, complaint()), (A, complaint()), (C, status(422))],
            Vulnerable,
        ),
        (
            "it always complains",
            vec![(A, complaint()), (A, complaint()), (C, complaint())],
            Safe,
        ),
        (
            "nobody there",
            vec![(A, Outcome::Failed(Failure::NotConnected))],
            Inconclusive,
        ),
        ("rate limit", vec![(A, status(429))], Inconclusive),
    ];
    for (name, heard, expected) in cases {
        assert_eq!(verdict(Oracle::SqlError, heard).0, expected, "{name}");
    }
}

#[test]
fn true_and_false_must_differ_whatever_the_order() {
    let alternating = |yes: &dyn Fn() -> Outcome, no: &dyn Fn() -> Outcome| {
        vec![
            (A, yes()),
            (C, no()),
            (A, yes()),
            (C, no()),
            (A, yes()),
            (C, no()),
            (A, yes()),
        ]
    };
    let with = |mut heard: Vec<(Role, Outcome)>, harmless: [Outcome; 2]| {
        heard.extend(harmless.map(|outcome| (C, outcome)));
        heard
    };
    let injected = alternating(&|| items(1), &|| items(0));
    // The first one creates, everything after it with another content is a conflict, and the first again is a replay.
    let mut first_wins = alternating(&|| status(200), &|| status(409));
    (first_wins[5].1, first_wins[6].1) = (status(200), status(409));
    let growing = (0..7)
        .map(|n| (if n % 2 == 0 { A } else { C }, items(n)))
        .collect();
    let cases = [
        ("no difference", vec![(A, items(3)), (C, items(3))], Safe),
        (
            "told apart",
            with(injected.clone(), [items(0), items(0)]),
            Vulnerable,
        ),
        (
            "so are harmless ones",
            with(injected.clone(), [items(1), items(0)]),
            Safe,
        ),
        (
            "true is what harmless ones give",
            with(injected, [items(1), items(1)]),
            Safe,
        ),
        ("first come, first served", first_wins, Safe),
        ("a list that grows", growing, Safe),
    ];
    for (name, heard, expected) in cases {
        assert_eq!(verdict(Oracle::SqlBoolean, heard).0, expected, "{name}");
    }
}

#[test]
fn a_delay_must_be_as_long_as_asked() {
    let run = |times: [u64; 9]| {
        let roles = [A, C, A, C, A, C, A, C, A];
        let heard = roles.into_iter().zip(times.map(after)).collect();
        verdict(Oracle::SqlDelay(Duration::from_millis(600)), heard)
    };
    assert_eq!(run([4, 0, 0, 0, 0, 0, 0, 0, 0]), (Safe, 1));
    assert_eq!(run([620, 10, 615, 12, 1230, 9, 611, 10, 1215]), (Vulnerable, 9));
    // A service that is slow now and then, or slower and slower, or always.
    assert_eq!(run([700, 10, 15, 0, 0, 0, 0, 0, 0]), (Safe, 3));
    assert_eq!(run([700, 650, 660, 700, 640, 600, 700, 690, 650]).0, Safe);
    assert_eq!(run([620, 10, 700, 11, 700, 12, 700, 12, 700]).0, Safe);
    assert_eq!(run([620, 10, 1300, 11, 1301, 12, 1300, 12, 1301]).0, Inconclusive);
    assert_eq!(run([620, 10, 900, 300, 1600, 9, 950, 300, 1700]).0, Inconclusive);
}

#[test]
fn somebody_elses_object_stays_as_it_was() {
    let mine = || answered(200, &json!({"title": "mark", "version": 1}));
    let changed = || answered(200, &json!({"title": "mark", "version": 2}));
    let cases = [
        ("refused", vec![(C, mine()), (A, status(404)), (R, mine())], Safe),
        (
            "accepted without effect",
            vec![(C, mine()), (A, status(204)), (R, mine())],
            Safe,
        ),
        ("shown", vec![(C, mine()), (A, mine())], Vulnerable),
        (
            "changed",
            vec![(C, mine()), (A, status(200)), (R, changed())],
            Vulnerable,
        ),
        (
            "gone",
            vec![(C, mine()), (A, status(404)), (R, status(404))],
            Vulnerable,
        ),
        (
            "shown within an error",
            vec![(C, mine()), (A, answered(409, &json!("mark"))), (R, mine())],
            Safe,
        ),
        ("not readable before", vec![(C, status(500))], Inconclusive),
        (
            "not readable after",
            vec![(C, mine()), (A, status(404)), (R, status(503))],
            Inconclusive,
        ),
        (
            "changes by itself",
            vec![(C, mine()), (A, status(404)), (R, changed())],
            Inconclusive,
        ),
    ];
    for (name, heard, expected) in cases {
        assert_eq!(verdict(Oracle::Foreign, heard).0, expected, "{name}");
    }
}

#[test]
fn one_server_error_is_no_flaw() {
    let dropped = || Outcome::Failed(Failure::Dropped);
    let cases = [
        ("refused", vec![(A, status(400))], Safe),
        (
            "twice, and fine otherwise",
            vec![(A, status(500)), (A, status(500)), (C, status(200))],
            Vulnerable,
        ),
        (
            "dropped twice",
            vec![(A, dropped()), (A, dropped()), (C, status(201))],
            Vulnerable,
        ),
        ("once", vec![(A, status(500)), (A, status(400))], Inconclusive),
        (
            "everything fails",
            vec![(A, status(500)), (A, status(500)), (C, status(500))],
            Inconclusive,
        ),
        (
            "nobody there",
            vec![(A, Outcome::Failed(Failure::NotConnected))],
            Inconclusive,
        ),
    ];
    for (name, heard, expected) in cases {
        assert_eq!(verdict(Oracle::Handled, heard).0, expected, "{name}");
    }
}

#[test]
fn answers_are_searched_for_what_they_must_not_hold() {
    let wire = |body: Value| Wire {
        method: "POST".to_owned(),
        target: "/users".to_owned(),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    };
    let secrets = vec![("the service's JWT key", "0123456789abcdef".to_owned())];
    let sent = json!({"username": "someone", "password": "correct horse"});
    let twice = json!({"username": "correct horse", "password": "correct horse"});
    let cases = [
        (&sent, 201, json!({"id": 1}), vec![]),
        (&sent, 422, json!({"input": sent}), vec![Rule::CredentialExposed]),
        (
            &twice,
            422,
            json!({"input": {"username": "correct horse"}}),
            vec![],
        ),
        (
            &sent,
            200,
            json!({"hash": "$2b$12$abc"}),
            vec![Rule::CredentialExposed],
        ),
        (
            &sent,
            200,
            json!({"key": "0123456789abcdef"}),
            vec![Rule::CredentialExposed],
        ),
        (&sent, 200, json!({"text": "psycopg is a driver"}), vec![]),
        (
            &sent,
            500,
            json!({"detail": "psycopg.errors.SyntaxError"}),
            vec![Rule::ErrorLeak],
        ),
        (
            &sent,
            404,
            json!({"detail": "No such path: /tasks/<svg>' AND 1=(SELECT 1 FROM pg_sleep(1))"}),
            vec![],
        ),
    ];
    for (request, status, body, expected) in cases {
        let Outcome::Answered(answer) = answered(status, &body) else {
            unreachable!()
        };
        let rules: Vec<_> = observe(&wire(request.clone()), &answer, &secrets)
            .into_iter()
            .map(|(rule, _)| rule)
            .collect();
        assert_eq!(rules, expected, "{body}");
    }
}
