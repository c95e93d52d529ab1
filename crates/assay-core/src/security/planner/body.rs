//! Bodies that are too large, too deep, or not JSON at all.

use super::super::contract::OperationSpec;
use super::super::probe::Oracle;
use super::super::request::{Body, Input, Request};
use super::super::rule::Rule;
use super::{Planner, attack, control};

/// Nesting that exhausts the stack of a recursive parser.
const DEPTH: usize = 10_000;

impl Planner<'_> {
    pub(super) fn bodies(&mut self, spec: &OperationSpec) {
        let valid = self.valid(spec);
        let Body::Json(value) = &valid.body else { return };
        if let Some(limit) = self.security.limits.body {
            // Half as much again: clearly over, and still quick to send.
            let bytes = usize::try_from(limit.0.saturating_add(limit.0 / 2))
                .unwrap_or(usize::MAX)
                .min(64 << 20);
            let oversized = Request {
                body: Body::Padded {
                    value: value.clone(),
                    bytes,
                },
                ..valid.clone()
            };
            let steps = vec![attack(oversized), control(valid.clone())];
            let attacks = vec![self.attack(spec, &format!("{bytes} bytes"), Oracle::Bounded, steps)];
            self.add(
                Rule::BodyUnbounded,
                &spec.operation,
                Some(Input::WholeBody),
                attacks,
            );
        }
        let json = "application/json";
        let raw = |content_type, bytes: &[u8]| Body::Raw {
            content_type,
            bytes: bytes.to_vec(),
        };
        let text = value.to_string();
        let bodies = [
            ("cut off", raw(json, b"{\"a\": [1, \"b")),
            ("empty", raw(json, b"")),
            ("no UTF-8", raw(json, b"{\"a\": \"\xff\xfe\"}")),
            ("a bare null", raw(json, b"null")),
            ("a bare text", raw(json, b"\"text\"")),
            ("an array", raw(json, b"[]")),
            ("an empty object", raw(json, b"{}")),
            ("not a number", raw(json, b"{\"a\": NaN, \"b\": 1e999}")),
            ("10 000 levels deep", Body::Nested { depth: DEPTH }),
            ("JSON called text/plain", raw("text/plain", text.as_bytes())),
            ("JSON called XML", raw("application/xml", text.as_bytes())),
            (
                "a form",
                raw("application/x-www-form-urlencoded", b"a=1&b[]=2&b[]=3"),
            ),
            ("a broken multipart", raw("multipart/form-data", b"--x\r\n\r\n")),
            (
                "an unknown charset",
                raw("application/json; charset=utf-99", text.as_bytes()),
            ),
        ];
        let attacks = bodies.map(|(variant, body)| {
            let request = Request {
                body,
                ..valid.clone()
            };
            let steps = vec![attack(request.clone()), attack(request), control(valid.clone())];
            self.attack(spec, variant, Oracle::Handled, steps)
        });
        let attacks = attacks.into();
        self.add(
            Rule::UnhandledInput,
            &spec.operation,
            Some(Input::WholeBody),
            attacks,
        );
    }
}
