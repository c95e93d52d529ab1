//! Methods, headers and URLs.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::contract::{OperationSpec, Schema};
use super::super::operation::Operation;
use super::super::plan::OBJECT;
use super::super::probe::{Oracle, Role};
use super::super::request::{Body, Credential, Request, User};
use super::super::rule::Rule;
use super::{Planner, attack, control};

const OVERRIDE_HEADERS: [&str; 3] = ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"];
const FOREIGN_ORIGIN: &str = "https://attacker.invalid";

impl Planner<'_> {
    pub(super) fn protocol(&mut self, spec: &OperationSpec) {
        let valid = self.valid(spec);
        let plain = if spec.secured {
            vec![valid.clone(), valid.clone().sent_by(Credential::Nobody)]
        } else {
            vec![valid.clone()]
        };
        let steps = plain.into_iter().map(attack).collect();
        let attacks = vec![self.attack(spec, "ordinary requests", Oracle::Nosniff, steps)];
        self.add(Rule::NosniffMissing, &spec.operation, None, attacks);

        let attacks = [FOREIGN_ORIGIN, "null"].map(|origin| {
            let mut request = valid.clone();
            request.headers.insert("Origin".to_owned(), origin.to_owned());
            let oracle = Oracle::NotShared(origin.to_owned());
            self.attack(spec, &format!("Origin: {origin}"), oracle, vec![attack(request)])
        });
        let attacks = attacks.into();
        self.add(Rule::CorsCredentials, &spec.operation, None, attacks);

        self.method_override(spec, &valid);
        self.credentials_in_url(spec, &valid);
    }

    /// What does not belong to one operation.
    pub(super) fn whole_service(&mut self) {
        let contract = self.contract;
        let Some(first) = contract
            .operations
            .iter()
            .find(|spec| !self.leaves_out(&spec.operation))
        else {
            return;
        };
        let bare = |method: &str, path: &str| Request {
            operation: Operation::new(method, path),
            path: BTreeMap::new(),
            query: BTreeMap::new(),
            headers: BTreeMap::new(),
            body: Body::Absent,
            credential: Credential::User(User::A),
        };
        let unknown = bare("GET", "/no-such-path");
        let attacks = vec![self.attack(
            first,
            "unknown path",
            Oracle::Nosniff,
            vec![attack(unknown.clone())],
        )];
        self.add(Rule::NosniffMissing, &unknown.operation, None, attacks);

        let valid = self.valid(first);
        let attacks = vec![self.attack(first, "ordinary request", Oracle::Unnamed, vec![attack(valid)])];
        self.add(Rule::VersionDisclosed, &first.operation, None, attacks);

        let payload = format!("<svg/onload={}>", self.dice.word());
        let markup = Request {
            path: [("what".to_owned(), payload.clone())].into(),
            ..bare("GET", "/no-such-path/{what}")
        };
        let attacks = vec![self.attack(
            first,
            "unknown path",
            Oracle::Rendered(payload),
            vec![attack(markup.clone())],
        )];
        self.add(Rule::CrossSiteScripting, &markup.operation, None, attacks);

        let mut trace = bare("TRACE", "/");
        trace
            .headers
            .insert("X-Probe".to_owned(), "{{marker}}".to_owned());
        let attacks = vec![self.attack(first, "TRACE", Oracle::NotTraced, vec![attack(trace.clone())])];
        self.add(Rule::TraceEnabled, &trace.operation, None, attacks);
    }

    /// A harmless method that claims to be DELETE.
    fn method_override(&mut self, spec: &OperationSpec, valid: &Request) {
        let Some(object) = self.security.object.as_ref() else {
            return;
        };
        if spec.operation.method != "DELETE" || !valid.mentions(OBJECT) {
            return;
        }
        let attacks = ["GET", "POST"].map(|method| {
            let mut request = valid.clone();
            request.operation = Operation::new(method, &spec.operation.path);
            request.query.insert("_method".to_owned(), "DELETE".to_owned());
            request
                .headers
                .extend(OVERRIDE_HEADERS.map(|name| (name.to_owned(), "DELETE".to_owned())));
            let steps = vec![
                self.read_back(object, Role::Control, User::A),
                attack(request),
                self.read_back(object, Role::ReadBack, User::A),
            ];
            self.attack(
                spec,
                &format!("{method} that claims to be DELETE"),
                Oracle::NotOverridden,
                steps,
            )
        });
        let attacks = attacks.into();
        self.add(Rule::MethodOverride, &spec.operation, None, attacks);
    }

    /// The body's credentials as query parameters of a GET.
    fn credentials_in_url(&mut self, spec: &OperationSpec, valid: &Request) {
        let (Some(Schema::Object(fields)), Body::Json(Value::Object(body))) = (&spec.body, &valid.body)
        else {
            return;
        };
        if spec.operation.method != "POST" || !fields.contains_key("password") {
            return;
        }
        let query = body
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        let request = Request {
            operation: Operation::new("GET", &spec.operation.path),
            query: query.collect(),
            body: Body::Absent,
            ..valid.clone()
        };
        let steps = vec![control(valid.clone()), attack(request)];
        let attacks = vec![self.attack(
            spec,
            "GET with the credentials in the query",
            Oracle::NotInUrl,
            steps,
        )];
        self.add(Rule::CredentialsInUrl, &spec.operation, None, attacks);
    }
}
