//! What is wrong with a plan although each of its fields is well formed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::template::{Body, Slot, TemplateError, Text, is_name};
use super::traffic::MAX_VUS;
use super::{Capture, LoadPlan, Request, Selector, Step, Threshold, Traffic};
use crate::yaml::{Lint, Problem};

/// Most users, requests, scenarios; the summary has a part for each request and scenario.
const MAX_USERS: u32 = 1_000;
const MAX_PARTS: usize = 32;
/// Most repetitions of one step, for each user.
const MAX_REPEAT: u32 = 100;
/// Most records in one pool of one user.
const MAX_KEEP: u32 = 10_000;

impl Lint for LoadPlan {
    fn lint(&self) -> Vec<Problem> {
        let mut problems = Problems(Vec::new());
        self.lint_bounds(&mut problems);
        let known = Known::of(self);
        self.lint_steps(&known, &mut problems);
        for (name, request) in &self.requests {
            lint_request(request, &format!("requests.{name}"), &known, &mut problems);
        }
        self.lint_scenarios(&mut problems);
        self.lint_thresholds(&mut problems);
        problems.0
    }
}

impl LoadPlan {
    fn lint_bounds(&self, problems: &mut Problems) {
        if self.version != 1 {
            problems.add(
                "version",
                format!("{} is not known", self.version),
                "write `version: 1`",
            );
        }
        let timeout_ms = self.timeout.as_millis();
        if !(1..=60_000).contains(&timeout_ms) {
            problems.add("timeout", "is not between 1 ms and 60 s", "");
        }
        if self.max_body.0 == 0 || self.max_body.0 > 64 << 20 {
            problems.add("maxBody", "is not between 1 B and 64 MiB", "");
        }
        if self.check_every == 0 {
            problems.add("checkEvery", "is 0", "write 1 to check every answer in full");
        }
        if !(1..=MAX_USERS).contains(&self.users.count) {
            problems.add("users.count", format!("is not between 1 and {MAX_USERS}"), "");
        }
        if !(1..=64).contains(&self.users.concurrency) {
            problems.add("users.concurrency", "is not between 1 and 64", "");
        }
        for (field, len) in [
            ("requests", self.requests.len()),
            ("scenarios", self.scenarios.len()),
        ] {
            if !(1..=MAX_PARTS).contains(&len) {
                problems.add(
                    field,
                    format!("has {len} entries; 1 to {MAX_PARTS} are possible"),
                    "",
                );
            }
        }
    }

    fn lint_steps(&self, known: &Known<'_>, problems: &mut Problems) {
        for (name, value) in &self.users.headers {
            lint_text(value, &format!("users.headers.{name}"), known, problems);
        }
        for (list, steps) in [("users.setup", &self.users.setup), ("verify", &self.verify)] {
            for (i, step) in steps.iter().enumerate() {
                let path = format!("{list}[{i}]");
                if !(1..=MAX_REPEAT).contains(&step.repeat) {
                    problems.add(
                        format!("{path}.repeat"),
                        format!("is not between 1 and {MAX_REPEAT}"),
                        "",
                    );
                }
                lint_request(&step.request, &format!("{path}.request"), known, problems);
            }
        }
    }

    fn lint_scenarios(&self, problems: &mut Problems) {
        for (name, scenario) in &self.scenarios {
            let path = format!("scenarios.{name}");
            if let Err(error) = Traffic::of(scenario) {
                problems.add(&path, format!("has no schedule: {error}"), "");
            }
            if !(1..=MAX_VUS).contains(&scenario.max_vus) {
                problems.add(
                    format!("{path}.maxVUs"),
                    format!("is not between 1 and {MAX_VUS}"),
                    "",
                );
            }
            if scenario.pre_allocated_vus > scenario.max_vus {
                problems.add(
                    format!("{path}.preAllocatedVUs"),
                    "is more than `maxVUs`",
                    "raise `maxVUs`",
                );
            }
            for request in scenario
                .mix
                .keys()
                .filter(|name| !self.requests.contains_key(*name))
            {
                problems.add(
                    format!("{path}.mix.{request}"),
                    "is not one of `requests`",
                    self.names_of_requests(),
                );
            }
            if scenario.mix.values().all(|weight| *weight == 0) {
                problems.add(format!("{path}.mix"), "has no request with a weight over 0", "");
            }
        }
        if !self.scenarios.is_empty() && self.scenarios.values().all(|scenario| scenario.warm_up) {
            problems.add(
                "scenarios",
                "are all warm-up, so nothing is measured",
                "take `warmUp` off one of them",
            );
        }
        let measured = || self.scenarios.values().filter(|scenario| !scenario.warm_up);
        if measured().any(|s| s.executor.is_closed()) && measured().any(|s| !s.executor.is_closed()) {
            problems.add(
                "scenarios",
                "have both arrival rates and users, whose latencies do not count from the same moment",
                "write two plans, or make one of them the warm-up",
            );
        }
    }

    fn lint_thresholds(&self, problems: &mut Problems) {
        for (metric, conditions) in &self.thresholds {
            let path = format!("thresholds.{metric}");
            for (i, condition) in conditions.iter().enumerate() {
                match Threshold::parse(metric, condition).map(|threshold| threshold.selector) {
                    Err(error) => problems.add(format!("{path}[{i}]"), format!("is odd: {error}"), ""),
                    Ok(Selector::Endpoint(name)) if !self.requests.contains_key(&name) => {
                        problems.add(&path, "selects none of `requests`", self.names_of_requests());
                    }
                    Ok(Selector::Scenario(name)) if self.scenarios.get(&name).is_none_or(|s| s.warm_up) => {
                        problems.add(&path, "selects none of the measured `scenarios`", "");
                    }
                    Ok(_) => (),
                }
            }
        }
    }

    fn names_of_requests(&self) -> String {
        let names: Vec<&str> = self.requests.keys().map(String::as_str).collect();
        format!("there is {}", names.join(", "))
    }

    /// All requests of the plan, wherever they stand.
    fn all_requests(&self) -> impl Iterator<Item = &Request> {
        let steps = self.users.setup.iter().chain(&self.verify);
        steps
            .map(|Step { request, .. }| request)
            .chain(self.requests.values())
    }
}

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Problem::new(path, message, hint));
    }
}

/// What some request of the plan captures or counts.
struct Known<'a> {
    values: BTreeSet<&'a str>,
    pools: BTreeMap<&'a str, BTreeSet<&'a str>>,
    counters: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    fn of(plan: &'a LoadPlan) -> Self {
        let mut pools: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for keep in plan.all_requests().filter_map(|request| request.keep.as_ref()) {
            pools
                .entry(&keep.pool)
                .or_default()
                .extend(keep.fields.keys().map(String::as_str));
        }
        Self {
            values: plan
                .all_requests()
                .flat_map(|request| request.set.keys())
                .map(String::as_str)
                .collect(),
            counters: plan
                .all_requests()
                .flat_map(|request| request.count.keys())
                .map(String::as_str)
                .collect(),
            pools,
        }
    }

    fn has(&self, slot: &Slot) -> bool {
        match slot {
            Slot::User(name) => self.values.contains(name.as_str()),
            Slot::Captured { pool, field } => self
                .pools
                .get(pool.as_str())
                .is_some_and(|fields| fields.contains(field.as_str())),
            _ => true,
        }
    }
}

fn lint_request(request: &Request, path: &str, known: &Known<'_>, problems: &mut Problems) {
    if !request.path.starts_with('/') {
        problems.add(
            format!("{path}.path"),
            "does not start with `/`",
            "the host comes from the job",
        );
    }
    if !request.path.is_ascii() || request.path.contains(char::is_whitespace) && !request.path.contains("${")
    {
        problems.add(
            format!("{path}.path"),
            "has characters that must be percent-encoded",
            "",
        );
    }
    lint_text(&request.path, &format!("{path}.path"), known, problems);
    for (name, value) in &request.headers {
        lint_text(value, &format!("{path}.headers.{name}"), known, problems);
    }
    if let Some(body) = &request.body {
        lint_body(body, &format!("{path}.body"), known, problems);
    }
    for (i, check) in request.expect.headers.iter().enumerate() {
        if let Some(value) = &check.equals {
            lint_text(
                value,
                &format!("{path}.expect.headers[{i}].equals"),
                known,
                problems,
            );
        }
    }
    for (i, status) in request.expect.status.iter().enumerate() {
        if !(200..600).contains(status) {
            problems.add(
                format!("{path}.expect.status[{i}]"),
                "is not between 200 and 599",
                "",
            );
        }
    }
    lint_json_checks(request, path, known, problems);
    lint_captures(request, path, problems);
    for pool in request
        .take
        .iter()
        .filter(|pool| !known.pools.contains_key(pool.as_str()))
    {
        problems.add(
            format!("{path}.take"),
            format!("names the pool `{pool}`, which nothing is kept in"),
            "",
        );
    }
}

fn lint_json_checks(request: &Request, path: &str, known: &Known<'_>, problems: &mut Problems) {
    for (i, check) in request.expect.json.iter().enumerate() {
        let path = format!("{path}.expect.json[{i}]");
        lint_pointer(&check.at, &format!("{path}.at"), problems);
        let given = [
            check.equals.is_some(),
            check.sent.is_some(),
            check.is.is_some(),
            check.counter.is_some(),
            check.unique.is_some(),
        ];
        if given.iter().filter(|given| **given).count() > 1 {
            problems.add(
                &path,
                "has more than one of `equals`, `sent`, `is`, `counter` and `unique`",
                "write two checks",
            );
        }
        if let Some(value) = &check.equals {
            lint_body(value, &format!("{path}.equals"), known, problems);
        }
        if let Some(pointer) = &check.sent {
            lint_pointer(pointer, &format!("{path}.sent"), problems);
            if request.body.is_none() {
                problems.add(format!("{path}.sent"), "needs a `body`", "");
            }
        }
        if let Some(pointer) = &check.unique {
            lint_pointer(pointer, &format!("{path}.unique"), problems);
        }
        if check
            .counter
            .as_ref()
            .is_some_and(|counter| !known.counters.contains(counter.as_str()))
        {
            problems.add(format!("{path}.counter"), "is counted by no request", "");
        }
    }
}

fn lint_captures(request: &Request, path: &str, problems: &mut Problems) {
    for (name, capture) in &request.set {
        lint_capture(capture, name, &format!("{path}.set.{name}"), problems);
    }
    let Some(keep) = &request.keep else { return };
    let path = format!("{path}.keep");
    if !is_name(&keep.pool) {
        problems.add(format!("{path}.pool"), NAME_MESSAGE, "");
    }
    if let Some(pointer) = &keep.each {
        lint_pointer(pointer, &format!("{path}.each"), problems);
    }
    if !(1..=MAX_KEEP).contains(&keep.limit) {
        problems.add(
            format!("{path}.limit"),
            format!("is not between 1 and {MAX_KEEP}"),
            "",
        );
    }
    for (name, capture) in &keep.fields {
        lint_capture(capture, name, &format!("{path}.fields.{name}"), problems);
    }
}

const NAME_MESSAGE: &str = "is not a name of lower-case letters, digits and `_`";

fn lint_capture(capture: &Capture, name: &str, path: &str, problems: &mut Problems) {
    if !is_name(name) || name == "number" {
        problems.add(path, NAME_MESSAGE, "`number` is taken");
    }
    match (&capture.json, &capture.header) {
        (Some(pointer), None) => lint_pointer(pointer, &format!("{path}.json"), problems),
        (None, Some(_)) => (),
        _ => problems.add(path, "needs either `json` or `header`", ""),
    }
}

fn lint_pointer(pointer: &str, path: &str, problems: &mut Problems) {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        problems.add(
            path,
            "is not a JSON pointer",
            "it starts with `/`, as in `/items/0/id`",
        );
    }
}

fn lint_text(source: &str, path: &str, known: &Known<'_>, problems: &mut Problems) {
    match Text::parse(source) {
        Ok(text) => lint_slots(text.slots(), path, known, problems),
        Err(error) => odd_template(&error, path, problems),
    }
}

fn lint_body(source: &Value, path: &str, known: &Known<'_>, problems: &mut Problems) {
    match Body::parse(source) {
        Ok(body) => lint_slots(body.slots().into_iter(), path, known, problems),
        Err(error) => odd_template(&error, path, problems),
    }
}

fn odd_template(error: &TemplateError, path: &str, problems: &mut Problems) {
    problems.add(path, format!("is not a template: {error}"), "");
}

fn lint_slots<'s>(
    slots: impl Iterator<Item = &'s Slot>,
    path: &str,
    known: &Known<'_>,
    problems: &mut Problems,
) {
    for slot in slots.filter(|slot| !known.has(slot)) {
        let (name, field) = match slot {
            Slot::Captured { pool, field } => (format!("captured.{pool}.{field}"), "keep"),
            Slot::User(name) => (format!("user.{name}"), "set"),
            _ => continue,
        };
        problems.add(
            path,
            format!("uses `${{{name}}}`, which no request captures"),
            format!("add it to a `{field}`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::load::LoadPlan;
    use crate::yaml::read;

    const PLAN: &str = r#"
version: 1
users:
  count: 2
  headers: {authorization: "Bearer ${user.token}"}
  setup:
    - name: log in
      request: {method: POST, path: /token, body: {name: "u${user.number}"}, set: {token: {json: /token}}}
requests:
  list: {path: "/items?q=${random.word}", keep: {pool: item, each: /items, fields: {id: {json: /id}}}}
  read: {path: "/items/${captured.item.id}", expect: {json: [{at: /id, equals: "${captured.item.id}"}]}}
scenarios:
  steady: {executor: constant-arrival-rate, rate: 10, duration: 1s, mix: {list: 2, read: 1}}
thresholds: {"http_req_duration{endpoint:list}": ["p(95)<200"]}
"#;

    #[test]
    fn a_good_plan_has_no_mistakes() {
        assert_eq!(
            read::<LoadPlan>("load.yaml", PLAN).map(|plan| plan.requests.len()),
            Ok(2)
        );
    }

    #[test]
    fn the_plan_of_the_exercise_has_none_either() {
        let text = include_str!("../../../../exercises/task-sync/verification/load.yaml");
        let plan = read::<LoadPlan>("load.yaml", text).unwrap();
        assert_eq!(plan.scenarios.len(), 5);
    }

    #[test]
    fn mistakes_are_found_with_their_place() {
        for (from, to, expected) in [
            (
                "user.token",
                "user.tokn",
                "load.yaml:5:28: users.headers.authorization uses `${user.tokn}`",
            ),
            (
                "{list: 2, ",
                "{liist: 2, ",
                "scenarios.steady.mix.liist is not one of `requests`",
            ),
            (
                "rate: 10, ",
                "",
                "scenarios.steady has no schedule: `constant-arrival-rate` needs `rate`",
            ),
            (
                "rate: 10, ",
                "rate: 10, warmUp: true, ",
                "scenarios are all warm-up, so nothing is measured",
            ),
            (
                "steady: {",
                "crowd: {executor: constant-vus, vus: 2, duration: 1s, mix: {list: 1}}\n  steady: {",
                "scenarios have both arrival rates and users",
            ),
            (
                "rate: 10, ",
                "rate: 10, arrival: burst, ",
                "unknown variant `burst`",
            ),
            ("endpoint:list", "endpoint:get", "selects none of `requests`"),
            ("p(95)<200", "p95<200", "is not a condition such as"),
            (
                "captured.item.id}\"}]",
                "captured.item.etag}\"}]",
                "uses `${captured.item.etag}`, which no request captures",
            ),
            (
                "path: /token",
                "path: token",
                "users.setup[0].request.path does not start with `/`",
            ),
            ("{json: /token}", "{json: token}", "is not a JSON pointer"),
            ("{json: /token}", "{}", "needs either `json` or `header`"),
            (
                "${random.word}",
                "${random.wörd}",
                "is not a template: `${random.wörd}` is not a placeholder",
            ),
            ("version: 1", "version: 2", "version 2 is not known"),
        ] {
            let text = PLAN.replace(from, to);
            assert_ne!(text, PLAN, "{from}");
            let mistakes = read::<LoadPlan>("load.yaml", &text).unwrap_err();
            let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            assert!(
                shown.iter().any(|mistake| mistake.contains(expected)),
                "{to}: {shown:#?}"
            );
        }
    }
}
