//! The plan of the flagship exercise.

use std::collections::{BTreeMap, BTreeSet};

use super::super::contract::Contract;
use super::super::plan::SecurityPlan;
use super::super::probe::ProbePlan;
use super::super::rule::Rule;
use super::plan;

const CONTRACT: &str = include_str!("../../../../../exercises/task-sync/openapi.yaml");
const SECURITY: &str = include_str!("../../../../../exercises/task-sync/verification/security.yaml");

fn task_sync(seed: u64) -> (ProbePlan, SecurityPlan) {
    let security: SecurityPlan = serde_yaml::from_str(SECURITY).unwrap();
    let contract = Contract::read(&serde_yaml::from_str(CONTRACT).unwrap()).unwrap();
    (plan(&contract, &security, seed), security)
}

#[test]
fn the_same_seed_gives_the_same_plan() {
    assert_eq!(task_sync(7).0, task_sync(7).0);
    assert_ne!(task_sync(7).0, task_sync(8).0);
}

#[test]
fn every_input_is_attacked() {
    let (planned, _) = task_sync(1);
    let mut inputs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for probe in planned
        .probes
        .iter()
        .filter(|probe| probe.rule == Rule::SqlInjection)
    {
        let input = probe.input.as_ref().map(ToString::to_string).unwrap_or_default();
        inputs.entry(probe.operation.to_string()).or_default().push(input);
    }
    let lines = inputs
        .iter()
        .map(|(operation, inputs)| format!("{operation}: {}", inputs.join(", ")));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
    DELETE /tasks/{id}: path id
    GET /tasks: query limit, query cursor, query status, query q
    GET /tasks/{id}: path id
    PATCH /tasks/{id}: path id, header If-Match, body /title, body /description, body /due, body /status
    POST /auth/refresh: body /refresh_token
    POST /auth/token: body /password, body /username
    POST /sync: body /changes/0/id, body /changes/0/op, body /changes/0/task/title, body /changes/0/task/description, body /changes/0/task/due, body /changes/0/task/status, body /since
    POST /tasks: header Idempotency-Key, body /description, body /title, body /due, body /status
    POST /users: body /password, body /username
    ");
}

#[test]
fn every_rule_is_looked_for() {
    let (planned, _) = task_sync(1);
    let sought: BTreeSet<_> = planned.probes.iter().map(|probe| probe.rule).collect();
    // Looked for in every answer, without a request of their own.
    let in_passing = [Rule::ErrorLeak, Rule::CredentialExposed];
    let missing: Vec<_> = Rule::ALL
        .into_iter()
        .filter(|rule| !sought.contains(rule) && !in_passing.contains(rule))
        .collect();
    assert_eq!(missing, []);
}

#[test]
fn nothing_is_mentioned_that_nobody_captures() {
    let (planned, security) = task_sync(1);
    let known = ["username", "password", "other"].map(str::to_owned);
    let known: BTreeSet<_> = known
        .into_iter()
        .chain(
            security
                .users
                .r#become
                .iter()
                .flat_map(|step| step.capture.keys().cloned()),
        )
        .collect();
    for attack in planned.probes.iter().flat_map(|probe| &probe.attacks) {
        let mut known = known.clone();
        for step in &attack.steps {
            let _ = step.request.filled(&mut |name| {
                assert!(known.contains(name), "{name} in {:?}", step.request);
                None
            });
            known.extend(step.capture.keys().cloned());
        }
    }
}
