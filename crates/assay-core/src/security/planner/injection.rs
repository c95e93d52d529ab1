//! Hostile texts in every input that takes one: SQL, markup, and what merely breaks careless code.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::contract::OperationSpec;
use super::super::plan::Database;
use super::super::probe::{Attack, Oracle, Role, Step};
use super::super::request::{Input, LONE_SURROGATE, Request, text_inputs};
use super::super::rule::Rule;
use super::{Planner, attack, control};

impl Planner<'_> {
    pub(super) fn injections(&mut self, spec: &OperationSpec) {
        let valid = self.valid(spec);
        for input in text_inputs(spec, &valid) {
            let base = base_text(spec, &valid, &input);
            let attacks = self.sql(spec, &valid, &input, &base);
            self.add(Rule::SqlInjection, &spec.operation, Some(input.clone()), attacks);
            let attacks = self.markup(spec, &valid, &input, &base);
            self.add(
                Rule::CrossSiteScripting,
                &spec.operation,
                Some(input.clone()),
                attacks,
            );
            let attacks = hostile_values(&input, &base).into_iter().map(|(variant, value)| {
                let hostile = valid.clone().with(&input, value);
                let steps = vec![attack(hostile.clone()), attack(hostile), control(valid.clone())];
                self.attack(spec, variant, Oracle::Handled, steps)
            });
            let attacks = attacks.collect();
            self.add(Rule::UnhandledInput, &spec.operation, Some(input), attacks);
        }
    }

    fn sql(&mut self, spec: &OperationSpec, valid: &Request, input: &Input, base: &str) -> Vec<Attack> {
        let put = |text: String| valid.clone().with(input, Value::String(text));
        let quote = put(format!("{base}'"));
        let steps = vec![
            attack(quote.clone()),
            attack(quote),
            control(put(format!("{base}-"))),
            control(put(format!("{base}''"))),
        ];
        let mut attacks = vec![self.attack(spec, "error: one quote", Oracle::SqlError, steps)];
        for (variant, yes, no) in boolean_pairs(base) {
            let (harmless_yes, harmless_no) = (yes.replace('\'', "\""), no.replace('\'', "\""));
            let yes = || attack(put(yes.clone()));
            let no = || control(put(no.clone()));
            let alternating = vec![yes(), no(), yes(), no(), yes()];
            let turned_round = vec![no(), yes()];
            let harmless = vec![control(put(harmless_yes)), control(put(harmless_no))];
            let groups = vec![alternating, turned_round, harmless];
            attacks.push(self.alike(spec, &format!("boolean: {variant}"), Oracle::SqlBoolean, groups));
        }
        let delay = self.security.limits.delay.as_duration();
        for (variant, sleeping) in delays(self.security.database) {
            let once = || attack(put(sleeping(base, delay)));
            let twice = || attack(put(sleeping(base, delay * 2)));
            let none = || control(put(sleeping(base, Duration::ZERO)));
            let steps = vec![
                once(),
                none(),
                once(),
                none(),
                twice(),
                none(),
                once(),
                none(),
                twice(),
            ];
            attacks.push(self.attack(spec, &format!("time: {variant}"), Oracle::SqlDelay(delay), steps));
        }
        attacks
    }

    fn markup(&mut self, spec: &OperationSpec, valid: &Request, input: &Input, base: &str) -> Vec<Attack> {
        let payload = format!("<svg/onload={}>", self.dice.word());
        let request = valid.clone().with(input, json!(format!("{base}{payload}")));
        let object = self.security.object.as_ref();
        let created = object.filter(|object| object.create.operation == spec.operation);
        let capture = created
            .map(|object| object.create.capture.clone())
            .unwrap_or_default();
        let mut steps = vec![Step {
            capture,
            ..attack(request)
        }];
        let stored = created.is_some() || steps[0].request.mentions(super::OBJECT);
        if let Some(object) = object.filter(|_| stored) {
            steps.push(self.read_back(object, Role::ReadBack, super::User::A));
        }
        vec![self.attack(spec, "markup", Oracle::Rendered(payload), steps)]
    }
}

/// The text at an input of a valid request, or what the contract would have there.
fn base_text(spec: &OperationSpec, valid: &Request, input: &Input) -> String {
    if let Some(text) = valid.text_at(input) {
        return text.to_owned();
    }
    let schema = match input {
        Input::Body(pointer) => spec.body.as_ref().and_then(|body| body.at(pointer)),
        Input::Path(name) | Input::Query(name) | Input::Header(name) => spec
            .parameters
            .iter()
            .find(|parameter| parameter.name == *name)
            .map(|parameter| &parameter.schema),
        Input::WholeBody => None,
    };
    schema.map_or_else(
        || "{{nonce}}".to_owned(),
        super::super::contract::Schema::sample_text,
    )
}

/// Texts that mean "true" and "false" to SQL and nothing to anybody else, for the usual places in a statement.
fn boolean_pairs(base: &str) -> Vec<(&'static str, String, String)> {
    let pair = |before: &str, condition: &str, (yes, no): (&str, &str)| {
        (
            format!("{base}{before}{condition}{yes}"),
            format!("{base}{before}{condition}{no}"),
        )
    };
    let digits = ("1", "2");
    [
        // LIKE, as the rest of a pattern may follow: '1%'.
        ("in quotes", pair("' AND ", "'1' LIKE '", digits)),
        ("in a pattern", pair("%' AND ", "'1' LIKE '", digits)),
        ("in quotes and brackets", pair("') AND ", "('1'='", digits)),
        ("any row", pair("~' OR ", "'1'='", digits)),
        ("without quotes", pair(" AND ", "1=", digits)),
    ]
    .map(|(variant, (yes, no))| (variant, yes, no))
    .to_vec()
}

type Sleeping = fn(&str, Duration) -> String;

/// Texts that make the database sleep, for the usual places in a statement. Short: inputs are often limited to 64 characters.
fn delays(database: Database) -> Vec<(&'static str, Sleeping)> {
    match database {
        Database::Postgresql => vec![
            ("in quotes", |base, d| {
                format!("{base}'||(SELECT 1 FROM pg_sleep({}))||'", d.as_secs_f64())
            }),
            ("condition", |base, d| {
                format!(
                    "{base}' AND 1=(SELECT 1 FROM pg_sleep({})) AND '1' LIKE '1",
                    d.as_secs_f64()
                )
            }),
            ("second statement", |base, d| {
                format!("{base}';SELECT pg_sleep({});--", d.as_secs_f64())
            }),
            ("without quotes", |_, d| {
                format!("(SELECT 1 FROM pg_sleep({}))", d.as_secs_f64())
            }),
        ],
        Database::Mysql => vec![
            ("in quotes", |base, d| {
                format!("{base}'+SLEEP({})+'", d.as_secs_f64())
            }),
            ("condition", |base, d| {
                format!("{base}' OR SLEEP({}) OR '1' LIKE '2", d.as_secs_f64())
            }),
            ("without quotes", |_, d| {
                format!("(SELECT SLEEP({}))", d.as_secs_f64())
            }),
        ],
        Database::Mssql => vec![
            ("second statement", |base, d| {
                format!("{base}';WAITFOR DELAY '0:0:{:06.3}';--", d.as_secs_f64())
            }),
            ("second statement without quotes", |base, d| {
                format!("{base};WAITFOR DELAY '0:0:{:06.3}';--", d.as_secs_f64())
            }),
        ],
        // SQLite cannot sleep, and busy work says nothing certain.
        Database::Sqlite => Vec::new(),
    }
}

/// What careless code trips over. Headers cannot carry control characters.
fn hostile_values(input: &Input, base: &str) -> Vec<(&'static str, Value)> {
    let mut values = vec![
        ("quote", json!(format!("{base}'"))),
        ("4000 characters", json!("k".repeat(4_000))),
    ];
    match input {
        Input::Path(_) | Input::Query(_) => values.extend([
            ("NUL", json!(format!("{base}\0"))),
            ("huge number", json!("99999999999999999999")),
            ("negative number", json!("-1")),
            ("empty", json!("")),
        ]),
        Input::Header(_) => values.push(("huge number", json!("\"99999999999999999999\""))),
        Input::Body(_) | Input::WholeBody => values.extend([
            ("NUL", json!(format!("{base}\0"))),
            ("lone surrogate", json!(format!("{base}{LONE_SURROGATE}"))),
            ("a number", json!(9_223_372_036_854_775_808_u64)),
            ("null", Value::Null),
            ("an array", json!([[]])),
            ("an object", json!({"$ne": null})),
        ]),
    }
    values
}
