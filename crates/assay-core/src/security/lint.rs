//! What is wrong with a `security.yaml` although each field is well formed.

use super::plan::{OBJECT, SecurityPlan, Step};
use crate::yaml::{Lint, Problem};

impl Lint for SecurityPlan {
    fn lint(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.version != 1 {
            problems.push(Problem::new(
                "version",
                "is not 1",
                "this program reads version 1 of the format",
            ));
        }
        let captured = |name: &String| {
            self.users
                .r#become
                .iter()
                .any(|step| step.capture.contains_key(name))
        };
        let named = [
            ("access_token", Some(&self.users.access_token)),
            ("refresh_token", self.users.refresh_token.as_ref()),
            ("id", self.users.id.as_ref()),
        ];
        for (field, name) in named {
            if let Some(name) = name.filter(|name| !captured(name)) {
                let message = format!("names `{name}`, which no step captures");
                problems.push(Problem::new(
                    format!("users.{field}"),
                    message,
                    "capture it in one of users.become",
                ));
            }
        }
        if let Some(object) = &self.object
            && !object.create.capture.contains_key(OBJECT)
        {
            let hint = format!("capture `{OBJECT}`, the id of what it creates");
            problems.push(Problem::new(
                "object.create.capture",
                "lacks the object's id",
                hint,
            ));
        }
        let steps = self
            .users
            .r#become
            .iter()
            .enumerate()
            .map(|(i, step)| (format!("users.become[{i}]"), step));
        let create = self
            .object
            .iter()
            .map(|object| ("object.create".to_owned(), &object.create));
        for (at, step) in steps.chain(create) {
            lint_captures(&at, step, &mut problems);
        }
        if !(1..=4).contains(&self.limits.concurrency) {
            problems.push(Problem::new(
                "limits.concurrency",
                "is out of range",
                "use 1 to 4",
            ));
        }
        let delay_ms = self.limits.delay.as_millis();
        if !(100..=5_000).contains(&delay_ms) || self.limits.request.as_millis() < 3 * delay_ms {
            let hint = "use 100ms to 5s, and give a request at least three times as long";
            problems.push(Problem::new(
                "limits.delay",
                "cannot be told from an ordinary answer",
                hint,
            ));
        }
        problems
    }
}

fn lint_captures(at: &str, step: &Step, problems: &mut Vec<Problem>) {
    for (name, pointer) in &step.capture {
        if !pointer.starts_with('/') {
            let message = format!("takes `{name}` from `{pointer}`, which is no JSON pointer");
            problems.push(Problem::new(format!("{at}.capture"), message, "begin it with /"));
        }
    }
}
