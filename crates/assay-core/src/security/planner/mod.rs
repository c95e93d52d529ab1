//! From a contract and a plan to the probes: pure and reproducible.

mod body;
mod injection;
mod objects;
mod protocol;
mod tokens;

use std::collections::BTreeMap;

use super::contract::{Contract, OperationSpec, Place};
use super::operation::Operation;
use super::plan::{self, MARKER, OBJECT, ObjectPlan, SecurityPlan};
use super::probe::{Attack, Oracle, Probe, ProbePlan, Role, Step};
use super::request::{Body, Credential, Input, Request, User};
use super::rule::Rule;
use super::template::Dice;

/// The variable that holds the id of the other user.
pub const OTHER: &str = "other";

/// Plans the probing of one service. The same arguments give the same plan.
pub fn plan(contract: &Contract, security: &SecurityPlan, seed: u64) -> ProbePlan {
    let mut planner = Planner {
        contract,
        security,
        dice: Dice::new(seed),
        planned: ProbePlan::default(),
    };
    for spec in &contract.operations {
        if planner.leaves_out(&spec.operation) {
            continue;
        }
        let attack = planner.attack(spec, "", Oracle::Refused, vec![control(planner.valid(spec))]);
        planner
            .planned
            .baselines
            .insert(spec.operation.clone(), attack.steps);
        planner.tokens(spec);
        planner.objects(spec);
        planner.injections(spec);
        planner.bodies(spec);
        planner.protocol(spec);
    }
    planner.reach();
    planner.whole_service();
    // The gravest first, should the time not suffice.
    planner.planned.probes.sort_by_key(|probe| probe.rule);
    planner.planned
}

struct Planner<'a> {
    contract: &'a Contract,
    security: &'a SecurityPlan,
    dice: Dice,
    planned: ProbePlan,
}

impl<'a> Planner<'a> {
    /// Whether the plan exempts the operation from everything.
    fn leaves_out(&self, operation: &Operation) -> bool {
        self.security
            .exclude
            .iter()
            .any(|exclusion| exclusion.operation == *operation && exclusion.rules.is_empty())
    }

    fn exempts(&self, rule: Rule, operation: &Operation) -> bool {
        let named = |exclusion: &&plan::Exclusion| exclusion.operation == *operation;
        self.security
            .exclude
            .iter()
            .filter(named)
            .any(|exclusion| exclusion.rules.is_empty() || exclusion.rules.contains(&rule))
    }

    fn add(&mut self, rule: Rule, operation: &Operation, input: Option<Input>, attacks: Vec<Attack>) {
        if !attacks.is_empty() && !self.exempts(rule, operation) {
            self.planned.probes.push(Probe {
                rule,
                operation: operation.clone(),
                input,
                attacks,
            });
        }
    }

    /// A valid request, sent by user A where it needs a user.
    fn valid(&self, spec: &OperationSpec) -> Request {
        let object = self.security.object.as_ref();
        let create = object
            .map(|object| &object.create)
            .filter(|create| create.operation == spec.operation);
        let planned = self.security.requests.get(&spec.operation);
        let (mut path, mut query, mut headers, mut body) = match (planned, create) {
            (Some(given), _) => (
                given.path.clone(),
                given.query.clone(),
                given.headers.clone(),
                given.body.clone(),
            ),
            (None, Some(given)) => (
                given.path.clone(),
                given.query.clone(),
                given.headers.clone(),
                given.body.clone(),
            ),
            (None, None) => Default::default(),
        };
        for parameter in spec.parameters.iter().filter(|parameter| parameter.required) {
            let (given, default) = match parameter.place {
                Place::Path if object.is_some() => (&mut path, format!("{{{{{OBJECT}}}}}")),
                Place::Path => (&mut path, parameter.schema.sample_text()),
                Place::Query => (&mut query, parameter.schema.sample_text()),
                Place::Header => (&mut headers, parameter.schema.sample_text()),
            };
            given.entry(parameter.name.clone()).or_insert(default);
        }
        body = body.or_else(|| spec.body.as_ref().map(super::contract::Schema::sample));
        let body = body.map_or(Body::Absent, Body::Json);
        let credential = if spec.secured {
            Credential::User(User::A)
        } else {
            Credential::Nobody
        };
        Request {
            operation: spec.operation.clone(),
            path,
            query,
            headers,
            body,
            credential,
        }
    }

    /// A step of the plan as a request of user A.
    fn step(&self, step: &plan::Step, role: Role) -> Step {
        let secured = self
            .contract
            .find(&step.operation)
            .is_none_or(|spec| spec.secured);
        let credential = if secured {
            Credential::User(User::A)
        } else {
            Credential::Nobody
        };
        let request = step.request(credential);
        Step {
            role,
            request,
            capture: step.capture.clone(),
        }
    }

    /// Reads the object at hand back, as this user.
    fn read_back(&self, object: &ObjectPlan, role: Role, user: User) -> Step {
        let path = object
            .read
            .path_parameters()
            .map(|name| (name.to_owned(), format!("{{{{{OBJECT}}}}}")))
            .collect();
        let request = Request {
            operation: object.read.clone(),
            path,
            query: BTreeMap::new(),
            headers: BTreeMap::new(),
            body: Body::Absent,
            credential: Credential::User(user),
        };
        Step {
            role,
            request,
            capture: BTreeMap::new(),
        }
    }

    /// An attack with its preparations, each request with random values of its own.
    fn attack(&mut self, spec: &OperationSpec, variant: &str, oracle: Oracle, steps: Vec<Step>) -> Attack {
        self.alike(
            spec,
            variant,
            oracle,
            steps.into_iter().map(|step| vec![step]).collect(),
        )
    }

    /// An attack in groups of requests that share their random values, so that the requests of a group differ in nothing but
    /// the attacked input.
    fn alike(
        &mut self,
        spec: &OperationSpec,
        variant: &str,
        oracle: Oracle,
        groups: Vec<Vec<Step>>,
    ) -> Attack {
        let marker = self.dice.word();
        let mut steps: Vec<Step> = Vec::new();
        for group in groups {
            let (nonce, uuid) = (self.dice.word(), self.dice.uuid());
            for step in group {
                for preparation in self.preparations(&spec.operation, &steps, &step) {
                    let (nonce, uuid) = (self.dice.word(), self.dice.uuid());
                    steps.push(filled(preparation, &marker, &nonce, &uuid));
                }
                steps.push(filled(step, &marker, &nonce, &uuid));
            }
        }
        let after_first = |role| {
            steps
                .iter()
                .position(|step| step.role == role)
                .map_or(usize::MAX, |place| place + 1)
        };
        let exclusive_from = match oracle {
            Oracle::Unmoved => 0,
            Oracle::SqlDelay(_) => after_first(Role::Attack),
            Oracle::SqlBoolean => after_first(Role::Control),
            _ => usize::MAX,
        };
        Attack {
            variant: variant.to_owned(),
            oracle,
            marker,
            steps,
            exclusive_from,
        }
    }

    /// What captures the variables that a step mentions and that nothing captured earlier. It is sent just before the step, so
    /// that an attack which is decided early has prepared nothing in vain. A request for the marker needs an object that has it.
    fn preparations(&self, operation: &Operation, earlier: &[Step], step: &Step) -> Vec<Step> {
        let before = self
            .security
            .requests
            .get(operation)
            .into_iter()
            .flat_map(|request| &request.before);
        let create = self.security.object.iter().map(|object| &object.create);
        let candidates: Vec<_> = create
            .chain(before)
            .map(|step| self.step(step, Role::Before))
            .collect();
        let mut chosen: Vec<Step> = Vec::new();
        for candidate in candidates.into_iter().rev() {
            let missing = |name: &String| !earlier.iter().any(|step| step.capture.contains_key(name));
            let mentioned = |name: &String| {
                step.request.mentions(name) || chosen.iter().any(|later| later.request.mentions(name))
            };
            let marked = candidate.capture.contains_key(OBJECT)
                && candidate.request.operation != step.request.operation
                && step.request.mentions(MARKER);
            if candidate
                .capture
                .keys()
                .any(|name| missing(name) && (marked || mentioned(name)))
            {
                chosen.push(candidate);
            }
        }
        chosen.reverse();
        chosen
    }
}

fn filled(step: Step, marker: &str, nonce: &str, uuid: &str) -> Step {
    let request = step.request.filled(&mut |name| match name {
        MARKER => Some(marker.to_owned()),
        "nonce" => Some(nonce.to_owned()),
        "uuid" => Some(uuid.to_owned()),
        _ => None,
    });
    Step { request, ..step }
}

fn control(request: Request) -> Step {
    Step {
        role: Role::Control,
        request,
        capture: BTreeMap::new(),
    }
}

fn attack(request: Request) -> Step {
    Step {
        role: Role::Attack,
        request,
        capture: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests;
