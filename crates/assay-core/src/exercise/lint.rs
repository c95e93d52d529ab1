//! What is wrong with an `exercise.yaml` although each field is well formed.

use super::{Check, CheckKind, Exercise, Limits, LineRule, Visibility, is_slug};
use crate::units::{Bytes, Span};
use crate::yaml::{Lint, Problem};

/// Most points that may rest on what only candidate code reports.
const MAX_SELF_REPORTED: f64 = 20.0;

impl Lint for Exercise {
    fn lint(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.version != 1 {
            problems.push(Problem::new(
                "version",
                "is not 1",
                "this program reads version 1 of the format",
            ));
        }
        if !is_slug(&self.slug) {
            problems.push(Problem::new(
                "slug",
                format!("`{}` is not a slug", self.slug),
                "use lower-case letters, digits and hyphens, at most 64",
            ));
        }
        if self.title.trim().is_empty() {
            problems.push(Problem::new("title", "is empty", "name the exercise"));
        }
        if self.tracks.is_empty() {
            problems.push(Problem::new(
                "tracks",
                "is empty",
                "name at least one track and its toolchain",
            ));
        }
        for (name, track) in &self.tracks {
            if !is_slug(name) || !is_slug(&track.toolchain) {
                let hint = "use lower-case letters, digits and hyphens";
                problems.push(Problem::new(format!("tracks.{name}"), "is not a good name", hint));
            }
        }
        problems.extend(lint_limits("app.limits", &self.app.limits));
        if !self.app.ready.path.starts_with('/') {
            problems.push(Problem::new(
                "app.ready.path",
                "does not start with /",
                "give a path such as /health",
            ));
        }
        if self.app.port < 1024 {
            problems.push(Problem::new(
                "app.port",
                "is below 1024",
                "the service does not run as root; use 8080",
            ));
        }
        self.lint_checks(&mut problems);
        self.lint_scoring(&mut problems);
        problems
    }
}

impl Exercise {
    fn lint_checks(&self, problems: &mut Vec<Problem>) {
        if self.checks.is_empty() {
            problems.push(Problem::new(
                "checks",
                "is empty",
                "an exercise needs at least one",
            ));
        }
        for (i, check) in self.checks.iter().enumerate() {
            let at = |field: &str| format!("checks[{i}].{field}");
            if !is_slug(&check.id) {
                problems.push(Problem::new(
                    at("id"),
                    "is not a good name",
                    "use lower-case letters, digits and hyphens",
                ));
            }
            if self.checks[..i].iter().any(|other| other.id == check.id) {
                problems.push(Problem::new(
                    at("id"),
                    format!("`{}` is there twice", check.id),
                    "give each check its own id",
                ));
            }
            let is_there = |other: &Check| other.kind == check.kind;
            if check.kind != CheckKind::Command && self.checks[..i].iter().any(is_there) {
                problems.push(Problem::new(
                    at("kind"),
                    "is there twice",
                    "each kind of check but command can be there once",
                ));
            }
            lint_command(check, &at, problems);
            if check.timeout.as_millis() == 0 || check.timeout > Span::seconds(3600) {
                problems.push(Problem::new(at("timeout"), "is out of range", "use 1s to 1h"));
            }
            if !check.registries.is_empty() && check.kind != CheckKind::Build {
                problems.push(Problem::new(
                    at("registries"),
                    "is for the build only",
                    "remove it",
                ));
            }
            for host in &check.registries {
                if !is_host(host) {
                    let message = format!("`{host}` is not a host name");
                    problems.push(Problem::new(
                        at("registries"),
                        message,
                        "give names such as pypi.org, no URL, no address",
                    ));
                }
            }
            match (check.kind, &check.tests) {
                (CheckKind::Integration, None) => {
                    problems.push(Problem::new(
                        at("tests"),
                        "is missing",
                        "name the folder of the hidden tests",
                    ));
                }
                (CheckKind::Integration, Some(path)) => problems.extend(lint_path(at("tests"), path)),
                (_, Some(_)) => {
                    problems.push(Problem::new(at("tests"), "is for integration only", "remove it"))
                }
                (_, None) => (),
            }
            lint_bugs(check, &at, problems);
            let needs_plan = matches!(check.kind, CheckKind::Load | CheckKind::Security);
            match (needs_plan, &check.plan) {
                (true, None) => problems.push(Problem::new(at("plan"), "is missing", "name the plan's file")),
                (true, Some(path)) => problems.extend(lint_path(at("plan"), path)),
                (false, Some(_)) => problems.push(Problem::new(
                    at("plan"),
                    "is for load and security only",
                    "remove it",
                )),
                (false, None) => (),
            }
            match &check.reference {
                Some(_) if check.kind != CheckKind::Load => {
                    problems.push(Problem::new(at("reference"), "is for load only", "remove it"));
                }
                Some(name) if !is_slug(name) => problems.push(Problem::new(
                    at("reference"),
                    format!("`{name}` is not a good name"),
                    "name a folder of solutions/TRACK",
                )),
                _ => (),
            }
            if let Some(limits) = &check.limits {
                problems.extend(lint_limits(&at("limits"), limits));
            }
        }
        let needs_build = self.checks.iter().any(|check| check.kind.needs_build());
        if needs_build && !self.checks.iter().any(|check| check.kind == CheckKind::Build) {
            problems.push(Problem::new(
                "checks",
                "has no build",
                "unit, integration, load, security and rigour need a check of kind build",
            ));
        }
    }

    fn is_self_reported(&self, line: &LineRule) -> bool {
        let read = line.checks();
        self.checks
            .iter()
            .any(|check| check.kind.is_self_reported() && read.contains(&check.id.as_str()))
    }

    fn lint_scoring(&self, problems: &mut Vec<Problem>) {
        let max = self.scoring.max();
        if (max - 100.0).abs() > 0.001 {
            let message = format!("the lines' points sum up to {max}");
            problems.push(Problem::new(
                "scoring.categories",
                message,
                "make them sum up to 100",
            ));
        }
        let own_word: f64 = self
            .scoring
            .categories
            .iter()
            .flat_map(|category| &category.lines)
            .filter(|line| self.is_self_reported(line))
            .map(|line| line.points)
            .sum();
        // Where there is nothing but commands, every line is marked as their word, and there is no other to be diluted.
        let only_commands = self.checks.iter().all(|check| check.kind == CheckKind::Command);
        if own_word > MAX_SELF_REPORTED && !only_commands {
            let message = format!("rests on the candidate's own word with {own_word} points");
            let hint = format!("give own tests and coverage {MAX_SELF_REPORTED} points at most");
            problems.push(Problem::new("scoring.categories", message, hint));
        }
        for (i, category) in self.scoring.categories.iter().enumerate() {
            let at = format!("scoring.categories[{i}]");
            if self.scoring.categories[..i]
                .iter()
                .any(|other| other.id == category.id)
            {
                problems.push(Problem::new(
                    format!("{at}.id"),
                    "is there twice",
                    "each category can be there once",
                ));
            }
            if let Some(scaled) = &category.scaled_by {
                let known = self.scoring.categories[..i]
                    .iter()
                    .any(|other| other.id == scaled.category);
                if !known {
                    let hint = "name a category above this one";
                    problems.push(Problem::new(
                        format!("{at}.scaled_by.category"),
                        "is not above",
                        hint,
                    ));
                }
                let in_order =
                    0.0 <= scaled.zero_below && scaled.zero_below < scaled.full_at && scaled.full_at <= 100.0;
                if !in_order {
                    let hint = "use 0 <= zero_below < full_at <= 100 (percent)";
                    problems.push(Problem::new(format!("{at}.scaled_by"), "is out of range", hint));
                }
            }
            for (j, line) in category.lines.iter().enumerate() {
                self.lint_line(&format!("{at}.lines[{j}]"), line, problems);
            }
        }
    }

    fn lint_line(&self, at: &str, line: &LineRule, problems: &mut Vec<Problem>) {
        if !(line.points.is_finite() && line.points > 0.0) {
            problems.push(Problem::new(
                format!("{at}.points"),
                "is not above 0",
                "give it points or remove the line",
            ));
        }
        if line.n_rules() != 1 {
            let message = format!("has {} rules", line.n_rules());
            let hint = "give exactly one of tests, coverage, ratio, findings, latency, errors, bugs";
            problems.push(Problem::new(at.to_owned(), message, hint));
        }
        for id in line.checks() {
            if !self.checks.iter().any(|check| check.id == id) {
                let message = format!("reads the check `{id}`, which is not there");
                problems.push(Problem::new(
                    at.to_owned(),
                    message,
                    "name one of the checks above",
                ));
            }
        }
        if let Some(rule) = &line.latency {
            if !(rule.p10 < rule.median && rule.p10.as_millis() > 0) {
                problems.push(Problem::new(
                    format!("{at}.latency"),
                    "is out of order",
                    "use 0 < p10 < median",
                ));
            }
            if let Some(relative) = &rule.relative {
                if !(1.0 < relative.p10 && relative.p10 < relative.median && relative.median.is_finite()) {
                    problems.push(Problem::new(
                        format!("{at}.latency.relative"),
                        "is out of order",
                        "use 1 < p10 < median, as multiples of the reference's latency",
                    ));
                }
                let has_reference = |id: &str| {
                    let check = self.checks.iter().find(|check| check.id == id);
                    check.is_some_and(|check| check.reference.is_some())
                };
                if !has_reference(&rule.check) {
                    problems.push(Problem::new(
                        format!("{at}.latency.relative"),
                        format!("needs a reference, which `{}` does not have", rule.check),
                        "give that check `reference: reference`, or remove it",
                    ));
                }
            }
            if ![50, 90, 95, 99].contains(&rule.percentile) {
                problems.push(Problem::new(
                    format!("{at}.latency.percentile"),
                    "is unknown",
                    "use 50, 90, 95 or 99",
                ));
            }
        }
        let percents = [
            line.coverage.as_ref().map(|rule| rule.full_at),
            line.ratio.as_ref().map(|rule| rule.full_at),
            line.times.as_ref().map(|rule| rule.full_at),
            line.errors.as_ref().map(|rule| rule.zero_at),
        ];
        if percents
            .into_iter()
            .flatten()
            .any(|percent| !(percent > 0.0 && percent <= 100.0))
        {
            problems.push(Problem::new(
                at.to_owned(),
                "has a percentage out of range",
                "use more than 0, at most 100",
            ));
        }
        if let Some(rule) = &line.findings
            && [rule.error, rule.warning, rule.note]
                .iter()
                .any(|points| !(points.is_finite() && *points >= 0.0))
        {
            problems.push(Problem::new(
                format!("{at}.findings"),
                "takes off less than nothing",
                "use 0 or more",
            ));
        }
    }
}

fn lint_bugs(check: &Check, at: &impl Fn(&str) -> String, problems: &mut Vec<Problem>) {
    match (check.kind, &check.bugs) {
        (CheckKind::Rigour, None) => problems.push(Problem::new(
            at("bugs"),
            "is missing",
            "name the folder of the seeded bugs",
        )),
        (CheckKind::Rigour, Some(path)) => problems.extend(lint_path(at("bugs"), path)),
        (_, Some(_)) => problems.push(Problem::new(at("bugs"), "is for rigour only", "remove it")),
        (_, None) => (),
    }
    if check.kind != CheckKind::Rigour && check.disclosure.is_some() {
        problems.push(Problem::new(
            at("disclosure"),
            "is for rigour only",
            "use visibility instead",
        ));
    }
    if check.kind == CheckKind::Rigour && check.visibility != Visibility::Visible {
        problems.push(Problem::new(
            at("visibility"),
            "is not for rigour",
            "use disclosure: none, count or names",
        ));
    }
}

fn lint_command(check: &Check, at: &impl Fn(&str) -> String, problems: &mut Vec<Problem>) {
    let is_command = check.kind == CheckKind::Command;
    match (is_command, check.run.as_deref().map(str::trim)) {
        (true, None | Some("")) => problems.push(Problem::new(
            at("run"),
            "is missing",
            "give the command, such as `test -f Dockerfile`",
        )),
        (false, Some(_)) => problems.push(Problem::new(at("run"), "is for command only", "remove it")),
        (true, Some(_)) | (false, None) => (),
    }
    if check.isolate && !is_command {
        let hint = "remove it; checks of other kinds have containers of their own anyway";
        problems.push(Problem::new(at("isolate"), "is for command only", hint));
    }
    if is_command && check.limits.is_some() && !check.isolate {
        let hint = "add isolate: true, or set app.limits";
        problems.push(Problem::new(
            at("limits"),
            "is of a container that others use",
            hint,
        ));
    }
}

fn lint_limits(at: &str, limits: &Limits) -> Vec<Problem> {
    let mut problems = Vec::new();
    if limits.memory < Bytes::mebibytes(16) || limits.memory > Limits::WIDEST.memory {
        problems.push(Problem::new(
            format!("{at}.memory"),
            "is out of range",
            "use 16MiB to 64GiB",
        ));
    }
    if !(limits.cpus > 0.0 && limits.cpus <= Limits::WIDEST.cpus) {
        problems.push(Problem::new(
            format!("{at}.cpus"),
            "is out of range",
            "use more than 0, at most 64",
        ));
    }
    if !(8..=Limits::WIDEST.pids).contains(&limits.pids) {
        problems.push(Problem::new(
            format!("{at}.pids"),
            "is out of range",
            "use 8 to 8192",
        ));
    }
    problems
}

fn lint_path(at: String, path: &str) -> Option<Problem> {
    let good = !path.is_empty()
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
    (!good).then(|| {
        Problem::new(
            at,
            format!("`{path}` leaves the exercise"),
            "use a relative path without `..`",
        )
    })
}

fn is_host(text: &str) -> bool {
    text.contains('.')
        && text.len() <= 253
        && !text.chars().all(|c| c.is_ascii_digit() || c == '.')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
}
