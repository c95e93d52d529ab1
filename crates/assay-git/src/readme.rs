//! What a README tells somebody who wants to run and test the work.

use crate::{Entry, Tree};

/// What was found in a README.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Instructions {
    /// It says how the service is started.
    pub how_to_run: bool,
    /// It says how the tests are run.
    pub how_to_test: bool,
}

/// Most bytes of a README that are read.
pub const MAX_BYTES: u64 = 500_000;

/// Beginnings of commands that start a service, as typed.
const RUN_COMMANDS: &[&str] = &[
    "python -m ",
    "python3 -m ",
    "python ",
    "python3 ",
    "uvicorn ",
    "gunicorn ",
    "flask run",
    "fastapi ",
    "hypercorn ",
    "poetry run ",
    "uv run ",
    "pipenv run ",
    "npm start",
    "npm run ",
    "yarn ",
    "pnpm ",
    "node ",
    "npx ",
    "bun ",
    "deno ",
    "docker run",
    "docker compose up",
    "docker-compose up",
    "make run",
    "make start",
    "make up",
    "make dev",
    "just run",
    "cargo run",
    "go run",
    "./gradlew bootrun",
    "./mvnw spring-boot:run",
    "mvn spring-boot:run",
    "java -jar",
    "dotnet run",
    "rails s",
    "bundle exec ",
    "./run",
    "./start",
    "bin/run",
    "bin/start",
];

/// Beginnings of commands that run tests, as typed.
const TEST_COMMANDS: &[&str] = &[
    "pytest",
    "python -m pytest",
    "python3 -m pytest",
    "python -m unittest",
    "python3 -m unittest",
    "tox",
    "nox",
    "poetry run pytest",
    "uv run pytest",
    "pipenv run pytest",
    "coverage run",
    "npm test",
    "npm run test",
    "npm t ",
    "yarn test",
    "pnpm test",
    "node --test",
    "npx jest",
    "npx vitest",
    "npx mocha",
    "bun test",
    "deno test",
    "make test",
    "make check",
    "just test",
    "cargo test",
    "cargo nextest",
    "go test",
    "./gradlew test",
    "./gradlew check",
    "./mvnw test",
    "mvn test",
    "mvn verify",
    "dotnet test",
    "rake test",
    "rspec",
    "bundle exec rspec",
    "bundle exec rake",
];

/// Commands that begin like one that starts a service, but install something.
const NEITHER: &[&str] = &[
    "python -m venv",
    "python3 -m venv",
    "python -m pip",
    "python3 -m pip",
    "yarn install",
    "pnpm install",
];

/// The README at the root: `README.md` before others, such as `readme.rst` or `README`.
pub fn find(tree: &Tree) -> Option<&Entry> {
    let is_markdown = |entry: &Entry| {
        let name = entry.path.to_ascii_lowercase();
        let ending = name.strip_prefix("readme")?;
        ["", ".md", ".markdown", ".rst", ".adoc", ".txt"]
            .contains(&ending)
            .then_some(ending == ".md")
    };
    let readmes = tree
        .files
        .iter()
        .filter_map(|entry| Some((is_markdown(entry)?, entry)));
    // Of equals the first: `max_by_key` would give the last.
    readmes
        .rev()
        .max_by_key(|(is_markdown, _)| *is_markdown)
        .map(|(_, entry)| entry)
}

/// Reads a README: Markdown, reStructuredText or plain text.
///
/// A command counts where a reader would copy it: in a block of code, in backticks, or behind a prompt (`$`). So
/// "run the tests before you push" says nothing, and `npm test` does.
pub fn instructions(text: &str) -> Instructions {
    let mut found = Instructions::default();
    for command in commands(text) {
        let command = command.to_ascii_lowercase();
        // A word more makes `npm test` and `npm t ` alike.
        let command = format!("{} ", command.trim());
        let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| command.starts_with(beginning));
        if begins(NEITHER) {
            continue;
        }
        if begins(TEST_COMMANDS) {
            found.how_to_test = true;
        } else if begins(RUN_COMMANDS) {
            found.how_to_run = true;
        }
    }
    found
}

/// What is written as a command.
fn commands(text: &str) -> Vec<&str> {
    let mut commands = Vec::new();
    let mut in_fence = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            in_fence = !in_fence;
            continue;
        }
        let is_indented = line.starts_with("    ") || line.starts_with('\t');
        if in_fence || is_indented || trimmed.starts_with("$ ") {
            commands.extend(trimmed.split("&&").map(without_prelude));
        }
        if !in_fence {
            commands.extend(
                trimmed
                    .split('`')
                    .skip(1)
                    .step_by(2)
                    .flat_map(|code| code.split("&&"))
                    .map(without_prelude),
            );
        }
    }
    commands
}

/// The command behind a prompt, `sudo` and variables (`PORT=8080 python -m app`).
fn without_prelude(command: &str) -> &str {
    let mut rest = command.trim().trim_start_matches(['$', '>', '%']).trim_start();
    while let Some((first, after)) = rest.split_once(char::is_whitespace) {
        let is_variable = first.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        });
        if !is_variable && first != "sudo" && first != "time" {
            break;
        }
        rest = after.trim_start();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectId;

    #[test]
    fn the_readme_among_the_files() {
        let find = |paths: &[&str]| {
            let entry = |path: &&str| Entry {
                path: (*path).to_owned(),
                executable: false,
                size: 0,
                id: ObjectId::of_file(b"").unwrap(),
                is_lfs_pointer: false,
            };
            let tree = Tree {
                files: paths.iter().map(entry).collect(),
                left_out: Vec::new(),
            };
            super::find(&tree).map(|entry| entry.path.clone())
        };
        for (paths, expected) in [
            (&["README", "README.md", "README.rst"][..], Some("README.md")),
            (&["README.rst", "app.py"], Some("README.rst")),
            (&["README.MD", "readme.md"], Some("README.MD")),
            (&["docs/README.md", "README.py", "READMEFIRST.md"], None),
        ] {
            assert_eq!(find(paths).as_deref(), expected);
        }
    }

    #[test]
    fn what_readmes_say() {
        for (text, how_to_run, how_to_test) in [
            ("", false, false),
            ("# My service\n\nIt runs well and the tests pass.", false, false),
            ("Run the tests before you push. To start, ask me.", false, false),
            ("Start it with `python -m app`.", true, false),
            ("```sh\nPORT=8080 python3 -m app\n```\n", true, false),
            ("```\n$ npm install\n$ npm start\n$ npm test\n```", true, true),
            ("    npm test", false, true),
            ("$ docker compose up --build", true, false),
            ("Tests: `pytest -q`", false, true),
            ("```\npython -m pytest\n```", false, true),
            (
                "```\npython -m venv .venv && . .venv/bin/activate && pip install -r requirements.txt\n```",
                false,
                false,
            ),
            ("```\ncd app && npm run start\n```", true, false),
            ("~~~\nNode --test\n~~~", false, true),
            ("``` \nunclosed\nnpm test", false, true),
            ("` `npm t", false, false),
        ] {
            assert_eq!(
                instructions(text),
                Instructions {
                    how_to_run,
                    how_to_test
                },
                "{text}"
            );
        }
    }
}
