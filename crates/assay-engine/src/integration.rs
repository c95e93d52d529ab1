//! The `integration` check: the exercise's hidden tests against the running service, from a container in which no candidate
//! code runs. The ids of the tests are fixed before the service is asked anything; a test without a result has failed.

use std::time::Duration;

use assay_core::evidence::{CheckEvidence, TestCase, TestStatus};
use assay_core::exercise::{Check, CheckKind};
use assay_core::fault::{Stop, Whose};
use assay_formats::{Limits, junit};
use assay_sandbox::{AskError, Command, Container, Content, Exited, Tmpfs, TreeEntry};
use futures_util::stream;
use serde::{Deserialize, Serialize};

use crate::context::{self, Built, Context, OUT};
use crate::faults::{self, Role};
use crate::folder::TESTS_IMAGE;
use crate::service::{Backing, Cores, Running};

const TESTS: &str = "/tests";
const CONTROL: &str = "/tmp/assay-control.sock";
const ROLE: Role<'static> = Role::Trusted("hidden tests");
/// Output that is kept.
const OUTPUT_BYTES: u64 = 1 << 20;
/// How long listing the tests may take.
const COLLECT_DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn integration(context: &Context<'_>, built: &Built) -> CheckEvidence {
    let Some(check) = context.check(CheckKind::Integration) else {
        return CheckEvidence::new("integration", CheckKind::Integration, Default::default());
    };
    let mut evidence = CheckEvidence::new(&check.id, check.kind, check.seen());
    context.events.doing(&check.id, "starting the service");
    let ran = async {
        let backing = Running::services_only(context, &Cores::default()).await?;
        context::within(check, run(context, check, built, backing, &mut evidence)).await
    };
    if let Err(stop) = ran.await {
        evidence.stop = Some(stop);
    }
    evidence
}

async fn run(
    context: &Context<'_>,
    check: &Check,
    built: &Built,
    backing: Backing,
    evidence: &mut CheckEvidence,
) -> Result<(), Stop> {
    let mut running = Running::start_beside(context, backing, CheckKind::Integration, built).await?;
    let tests = tests_container(context, &running).await?;
    let expected = collect(&tests).await?;
    context
        .events
        .doing(&check.id, format!("running {} hidden tests", expected.len()));

    let deadline = check
        .timeout
        .as_duration()
        .saturating_sub(Duration::from_secs(20))
        .max(Duration::from_secs(1));
    let mut control = tests.control(CONTROL).await.map_err(|error| ROLE.ask(&error))?;
    // The report counts. What they print quotes the service's answers, and may be as long as these.
    let command = pytest(&["--junitxml=/out/junit.xml"])
        .deadline(deadline)
        .output(context::both_ends(OUTPUT_BYTES));
    let process = tests.spawn(command).await.map_err(|error| ROLE.ask(&error))?;
    let mut broken_service = None;
    let exited = loop {
        tokio::select! {
            exited = process.exited() => break exited,
            Some(asked) = control.next() => {
                let answer = obey(&mut running, asked.line()).await.unwrap_or_else(|stop| {
                    let answer = Answer::refused(stop.sentence());
                    // A database of ours that does not come back is not what the test is about.
                    broken_service = broken_service.take().or((stop.whose() != Whose::Candidate).then_some(stop));
                    answer
                });
                let line = serde_json::to_string(&answer).unwrap_or_default();
                if let Err(error) = asked.answer(&line).await {
                    tracing::debug!(%error, "a test did not wait for its answer");
                }
            },
        }
    };
    if let Some(stop) = broken_service {
        return Err(stop);
    }
    evidence.logs.extend(running.logs());
    if let Some(ended) = running.app_ended().await {
        evidence.notes.push(format!(
            "The service was no longer running when the tests ended: {ended}."
        ));
    }
    running.attest(false).await?;
    // The tests could be listed, so they are sound. From then on they heard nobody but the service: whatever kept them from
    // leaving a result came from there, and a test without a result has failed.
    let (found, trouble) = match results(context, &tests, &check.id, exited, evidence).await {
        Ok(found) => (found, None),
        Err(Stop::ToolBroken { detail, .. }) => (Vec::new(), Some(detail)),
        Err(Stop::TimedOut { .. }) => {
            return Err(Stop::TimedOut {
                limit_ms: check.timeout.as_millis(),
            });
        }
        Err(stop) => return Err(stop),
    };
    evidence.notes.extend(trouble.map(|detail| {
        format!("The hidden tests did not get as far as to leave their results with this service: {detail}.")
    }));
    evidence.tests = exactly_once(&expected, found);
    running.discard();
    Ok(())
}

/// The results that the tests left.
///
/// # Errors
/// [`Stop::ToolBroken`] when they left none that can be read, for whatever reason.
async fn results(
    context: &Context<'_>,
    tests: &Container,
    check: &str,
    exited: Result<Exited, AskError>,
    evidence: &mut CheckEvidence,
) -> Result<Vec<TestCase>, Stop> {
    let exited = exited.map_err(|error| ROLE.ask(&error))?;
    evidence.logs.extend(crate::build::log("hidden tests", &exited));
    let report = context.report(tests, ROLE, check, "/out/junit.xml").await;
    let stopped = faults::overwhelmed("hidden tests", &exited, 0);
    let bytes = match (report, stopped) {
        (Ok(bytes), _) => bytes,
        (Err(Stop::ToolBroken { .. }), Some(stop)) => return Err(stop),
        (Err(Stop::ToolBroken { tool, detail }), None) => {
            let ending = faults::ending(&exited);
            let detail = format!("{detail} ({ending})");
            return Err(Stop::ToolBroken { tool, detail });
        }
        (Err(stop), _) => return Err(stop),
    };
    let read = junit::read(&bytes, &Limits::default());
    let read = read.map_err(|broken| Stop::ToolBroken {
        tool: "hidden tests".into(),
        detail: broken.to_string(),
    })?;
    Ok(read.value)
}

async fn tests_container(context: &Context<'_>, running: &Running<'_>) -> Result<Container, Stop> {
    let mut spec = context::container_spec("tests", context.image(TESTS_IMAGE)?, context::tool_limits());
    let port = context.folder.spec.app.port;
    let own = [
        ("BASE_URL", format!("http://127.0.0.1:{port}")),
        ("OUT", OUT.to_owned()),
        ("SEED", context.seed.to_string()),
        ("ASSAY_CONTROL", CONTROL.to_owned()),
        ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
    ];
    // What the service knows, the tests know too: they sign tokens with its secret.
    spec.env = context.app_env();
    spec.env.remove("DATABASE_URL");
    spec.env.extend(own.map(|(name, value)| (name.to_owned(), value)));
    spec.tmpfs = vec![
        Tmpfs {
            path: TESTS.into(),
            bytes: 32 << 20,
            inodes: 4096,
            exec: false,
        },
        context::out_tmpfs(),
    ];
    let container = context.container(&running.pod, spec).await?;
    let files = context.folder.tests.iter().map(|(path, bytes)| TreeEntry {
        path: path.clone(),
        content: Content::File {
            bytes: bytes.clone(),
            executable: false,
        },
    });
    container
        .write_tree(TESTS, stream::iter(files))
        .await
        .map_err(|error| ROLE.ask(&error))?;
    Ok(container)
}

fn pytest(arguments: &[&str]) -> Command {
    let command = format!(
        "exec python -m pytest -p no:cacheprovider -q {} {TESTS}",
        arguments.join(" ")
    );
    Command::shell(&command).cwd(TESTS)
}

/// Ids of all tests, as `(group, name)`.
async fn collect(tests: &Container) -> Result<Vec<(String, String)>, Stop> {
    let command = pytest(&["--collect-only"])
        .deadline(COLLECT_DEADLINE)
        .output(context::at_most(OUTPUT_BYTES));
    let exited = tests.exec(command).await.map_err(|error| ROLE.ask(&error))?;
    let text = exited.stdout.text();
    let ids: Vec<(String, String)> = text.lines().filter_map(test_id).collect();
    if !exited.success() || ids.is_empty() {
        let last = text.lines().last().unwrap_or_default();
        return Err(Stop::HiddenTestsBroken {
            detail: format!("the tests could not be listed: {last}"),
        });
    }
    Ok(ids)
}

/// `test_sync.py::test_replay[2]` → (`test_sync`, `test_replay[2]`); folders and classes belong to the group.
fn test_id(line: &str) -> Option<(String, String)> {
    let (head, parameters) = line
        .split_once('[')
        .map_or((line, ""), |(head, rest)| (head, rest));
    let (group, name) = head.rsplit_once("::")?;
    let group = group.replace(".py", "").replace("::", ".").replace('/', ".");
    let name = if parameters.is_empty() {
        name.to_owned()
    } else {
        format!("{name}[{parameters}")
    };
    Some((group.strip_prefix("tests.").unwrap_or(&group).to_owned(), name))
}

/// Each expected test with its one result; one that is missing or there twice has failed, one that is not expected is dropped.
fn exactly_once(expected: &[(String, String)], found: Vec<TestCase>) -> Vec<TestCase> {
    let group_of = |test: &TestCase| {
        test.group
            .strip_prefix("tests.")
            .unwrap_or(&test.group)
            .to_owned()
    };
    expected
        .iter()
        .map(|(group, name)| {
            let mut results = found
                .iter()
                .filter(|test| test.name == *name && group_of(test) == *group);
            match (results.next(), results.next()) {
                (Some(test), None) => TestCase {
                    group: group.clone(),
                    ..test.clone()
                },
                _ => TestCase {
                    group: group.clone(),
                    name: name.clone(),
                    title: name.clone(),
                    status: TestStatus::Failed,
                    message: "There is no result of this test, or more than one.".into(),
                    duration_ms: 0,
                },
            }
        })
        .collect()
}

/// What a test may ask for. Exactly one field is set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Order {
    restart: Option<String>,
    stop: Option<String>,
    start: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Answer {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Answer {
    fn refused(why: String) -> Self {
        Self {
            error: Some(why),
            ..Self::default()
        }
    }
}

/// Does what a test asked for.
///
/// # Errors
/// When a part did not come back: the candidate's fault for their service, ours for a database.
async fn obey(running: &mut Running<'_>, line: &str) -> Result<Answer, Stop> {
    let order: Order = match serde_json::from_str(line) {
        Ok(order) => order,
        Err(error) => return Ok(Answer::refused(error.to_string())),
    };
    let (stopped_ms, ready_ms) = match (
        order.restart.as_deref(),
        order.stop.as_deref(),
        order.start.as_deref(),
    ) {
        (Some("app"), None, None) => {
            let restarted = running.restart_app().await?;
            (Some(restarted.stopped_ms), Some(restarted.ready_ms))
        }
        (Some(service), None, None) => {
            let stopped_ms = running.stop_service(service).await?;
            (Some(stopped_ms), Some(running.start_service(service).await?))
        }
        (None, Some(service), None) => (Some(running.stop_service(service).await?), None),
        (None, None, Some(service)) => (None, Some(running.start_service(service).await?)),
        _ => return Ok(Answer::refused("ask for one of restart, stop, start".into())),
    };
    Ok(Answer {
        ok: true,
        stopped_ms,
        ready_ms,
        error: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read() {
        let id = |line| test_id(line).map(|(group, name)| format!("{group} | {name}"));
        assert_eq!(
            id("test_sync.py::test_replay").as_deref(),
            Some("test_sync | test_replay")
        );
        assert_eq!(
            id("tests/test_a.py::test_b[x::y]").as_deref(),
            Some("test_a | test_b[x::y]")
        );
        assert_eq!(
            id("a/test_a.py::TestC::test_b").as_deref(),
            Some("a.test_a.TestC | test_b")
        );
        assert_eq!(id("12 tests collected in 0.3s"), None);
    }

    #[test]
    fn a_test_counts_exactly_once() {
        let case = |name: &str, status| TestCase {
            group: "g".into(),
            name: name.into(),
            title: name.into(),
            status,
            message: String::new(),
            duration_ms: 1,
        };
        let expected = ["once", "twice", "missing"].map(|name| ("g".to_owned(), name.to_owned()));
        let found = ["once", "twice", "twice", "forged"].map(|name| case(name, TestStatus::Passed));
        let results = exactly_once(&expected, found.into());
        let statuses: Vec<_> = results
            .iter()
            .map(|test| (test.name.as_str(), test.status))
            .collect();
        let failed = TestStatus::Failed;
        assert_eq!(
            statuses,
            [
                ("once", TestStatus::Passed),
                ("twice", failed),
                ("missing", failed)
            ]
        );
    }
}
