//! Other people's objects: read, changed, listed, counted, taken over, given away.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::contract::{OperationSpec, Schema};
use super::super::plan::{MARKER, OBJECT, ObjectPlan};
use super::super::probe::{Attack, Oracle, Role, Step};
use super::super::request::{Body, Credential, Input, Request, User, objects_of};
use super::super::rule::Rule;
use super::{OTHER, Planner, attack, control};

/// Fields that are often spread into a row without being meant for it.
const OWNER_FIELDS: [&str; 5] = ["user_id", "owner_id", "owner", "userId", "ownerId"];
const PRIVILEGE_FIELDS: [(&str, &str); 3] = [("role", "admin"), ("is_admin", "true"), ("isAdmin", "true")];

impl Planner<'_> {
    pub(super) fn objects(&mut self, spec: &OperationSpec) {
        if let Some(object) = self.security.object.as_ref().filter(|_| spec.secured) {
            let request = self.valid(spec).sent_by(Credential::User(User::B));
            if request.mentions(OBJECT) {
                let attacks = vec![self.foreign(spec, object, request.clone())];
                self.add(Rule::ObjectAccess, &spec.operation, None, attacks);
                if request.path.values().any(|value| value.contains(OBJECT)) {
                    let unknown = self.at_unknown_object(request.clone());
                    let steps = vec![attack(request), control(unknown)];
                    let attacks = vec![self.attack(spec, "another user's id", Oracle::SameAsUnknown, steps)];
                    self.add(Rule::ObjectExistence, &spec.operation, None, attacks);
                }
            } else {
                let attacks = self.unseen(spec, object, request);
                self.add(Rule::ObjectAccess, &spec.operation, None, attacks);
            }
        }
        if let Some(Body::Json(body)) = spec.body.as_ref().map(|_| self.valid(spec).body) {
            for pointer in objects_of(&body) {
                self.mass_assignment(spec, &pointer);
            }
        }
    }

    /// Requests that name an object elsewhere than in the path.
    pub(super) fn reach(&mut self) {
        let Some(object) = self.security.object.as_ref() else {
            return;
        };
        for step in &object.reach {
            let Some(spec) = self.contract.find(&step.operation) else {
                continue;
            };
            let request = self
                .step(step, Role::Attack)
                .request
                .sent_by(Credential::User(User::B));
            let attacks = vec![self.foreign(spec, object, request)];
            self.add(
                Rule::ObjectAccess,
                &step.operation,
                Some(Input::WholeBody),
                attacks,
            );
        }
    }

    fn foreign(&mut self, spec: &OperationSpec, object: &ObjectPlan, request: Request) -> Attack {
        let steps = vec![
            self.read_back(object, Role::Control, User::A),
            attack(request),
            self.read_back(object, Role::ReadBack, User::A),
        ];
        self.attack(spec, "another user's object", Oracle::Foreign, steps)
    }

    /// B asks for everything: A's object must neither be shown nor counted.
    fn unseen(&mut self, spec: &OperationSpec, object: &ObjectPlan, request: Request) -> Vec<Attack> {
        let request = Request {
            query: BTreeMap::new(),
            ..request
        };
        if request.mentions(MARKER) {
            return Vec::new();
        }
        let create = || self.step(&object.create, Role::Before);
        let shown = vec![create(), attack(request.clone())];
        let counted = vec![
            control(request.clone()),
            control(request.clone()),
            create(),
            attack(request.clone()),
            create(),
            attack(request.clone()),
        ];
        let mut attacks =
            vec![self.attack(spec, "another user's object in the answer", Oracle::Hidden, shown)];
        if spec.operation.method == "GET" {
            attacks.push(self.attack(spec, "another user's object counted", Oracle::Unmoved, counted));
        }
        attacks
    }

    fn at_unknown_object(&self, mut request: Request) -> Request {
        for value in request.path.values_mut() {
            *value = value.replace(&format!("{{{{{OBJECT}}}}}"), "{{uuid}}");
        }
        request
    }

    fn mass_assignment(&mut self, spec: &OperationSpec, pointer: &str) {
        let object = self.security.object.as_ref();
        let create = object.and_then(|object| self.contract.find(&object.create.operation));
        let empty = BTreeMap::new();
        let declared = |spec: &'_ OperationSpec, pointer: &str| match spec
            .body
            .as_ref()
            .and_then(|body| body.at(pointer))
        {
            Some(Schema::Object(fields)) => fields.keys().cloned().collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        let here = declared(spec, pointer);
        let settable = create.map(|create| declared(create, "")).unwrap_or_default();
        let of_object = create.map_or(&empty, |create| &create.answer_fields);
        let read_only = of_object.iter().filter(|(name, _)| !settable.contains(name));
        let answered = spec.answer_fields.iter().filter(|_| pointer.is_empty());
        let mut fields: BTreeMap<&str, Value> = BTreeMap::new();
        for (name, schema) in read_only.chain(answered) {
            if let Some(value) = self.odd_value(schema) {
                fields.insert(name, value);
            }
        }
        fields.extend(PRIVILEGE_FIELDS.map(|(name, value)| (name, json!(value))));
        fields.retain(|name, _| !here.iter().any(|known| known == name));

        for (field, value) in fields {
            let expected = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let input = Input::Body(format!("{pointer}/{field}"));
            let oracle = Oracle::Assigned {
                field: field.to_owned(),
                value: expected,
            };
            let steps = self.assigning(spec, &input, value);
            let attacks = vec![self.attack(spec, &format!("field `{field}`"), oracle, steps)];
            self.add(Rule::MassAssignment, &spec.operation, Some(input), attacks);
        }
        let owned = object.filter(|object| {
            self.security.users.id.is_some()
                && (self.valid(spec).mentions(OBJECT) || spec.operation == object.create.operation)
        });
        for field in OWNER_FIELDS
            .into_iter()
            .filter(|field| owned.is_some() && !here.iter().any(|known| known == field))
        {
            let input = Input::Body(format!("{pointer}/{field}"));
            let mut steps = self.assigning(spec, &input, json!(format!("{{{{{OTHER}}}}}")));
            if let Some(object) = owned {
                steps.truncate(1);
                // Another object, so that a service which shows everything to everybody is not accused of this as well.
                let mut following = vec![
                    self.step(&object.create, Role::Before),
                    self.read_back(object, Role::Control, User::B),
                ];
                following.append(&mut steps);
                following.push(self.read_back(object, Role::ReadBack, User::B));
                steps = following;
            }
            let attacks = vec![self.attack(spec, &format!("field `{field}`"), Oracle::NotGivenAway, steps)];
            self.add(Rule::MassAssignment, &spec.operation, Some(input), attacks);
        }
    }

    /// The attack with one field more, and a look at the object afterwards where there is one.
    fn assigning(&self, spec: &OperationSpec, input: &Input, value: Value) -> Vec<Step> {
        let request = self.valid(spec).with(input, value);
        let object = self.security.object.as_ref();
        let created = object.filter(|object| object.create.operation == spec.operation);
        let capture = created
            .map(|object| object.create.capture.clone())
            .unwrap_or_default();
        let seen = object.filter(|_| created.is_some() || request.mentions(OBJECT));
        let mut steps = vec![Step {
            role: Role::Attack,
            request,
            capture,
        }];
        steps.extend(seen.map(|object| self.read_back(object, Role::ReadBack, User::A)));
        steps
    }

    /// A value of the right type that the service would never choose itself.
    fn odd_value(&mut self, schema: &Schema) -> Option<Value> {
        match schema {
            Schema::Text { format, .. } => Some(match format.as_str() {
                "uuid" => json!(self.dice.uuid()),
                "date-time" => json!("2001-02-03T04:05:06Z"),
                "date" => json!("2001-02-03"),
                _ => json!(self.dice.word()),
            }),
            Schema::Number { .. } => Some(json!(987_654)),
            Schema::Boolean | Schema::List(_) | Schema::Object(_) | Schema::Anything => None,
        }
    }
}
