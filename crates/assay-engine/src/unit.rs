//! The `unit` check: the candidate's own tests with coverage. By nature the candidate's word; marked so.

use std::time::Duration;

use assay_core::evidence::{CheckEvidence, Coverage};
use assay_core::exercise::CheckKind;
use assay_core::fault::Stop;
use assay_core::toolchain::{CoverageFile, TestCommand};
use assay_formats::{Limits, coverage, junit};
use assay_sandbox::{Command, Container};

use crate::context::{self, Built, Context, WORK};
use crate::faults::Role;
use crate::service::{Backing, Cores, Running};

/// Where the built tree lies while it is copied.
const BUILT: &str = "/built";
/// Output that is kept.
const OUTPUT_BYTES: u64 = 4 << 20;

pub(crate) async fn unit(context: &Context<'_>, built: &Built) -> CheckEvidence {
    let Some(check) = context.check(CheckKind::Unit) else {
        return CheckEvidence::new("unit", CheckKind::Unit, Default::default());
    };
    let mut evidence = CheckEvidence::new(&check.id, check.kind, check.seen());
    let deadline = check
        .timeout
        .as_duration()
        .saturating_sub(Duration::from_secs(10))
        .max(Duration::from_secs(1));
    let ran = async {
        // Without databases there is nobody to share a network with.
        let backing = match context.folder.services.as_slice() {
            [] => None,
            _ => Some(Running::services_only(context, &Cores::default()).await?),
        };
        context::within(check, run(context, built, backing, deadline, &mut evidence)).await
    };
    if let Err(stop) = ran.await {
        evidence.stop = Some(stop);
    }
    evidence
}

async fn run(
    context: &Context<'_>,
    built: &Built,
    backing: Option<Backing>,
    deadline: Duration,
    evidence: &mut CheckEvidence,
) -> Result<(), Stop> {
    let id = evidence.id.clone();
    let test = context.toolchain.test.as_ref();
    let test = test.ok_or_else(|| Stop::BadExercise {
        detail: "the toolchain has no test command".into(),
    })?;
    let limits = context.limits(CheckKind::Unit);
    let role = Role::Candidate {
        memory_bytes: limits.memory.0,
    };
    let mut spec = context::foreign_spec("unit", context.image(&context.toolchain_image)?, limits);
    spec.env = context.toolchain.env.clone();
    spec.env.extend(context.app_env());
    spec.mounts = context::built_mounts(context, built, BUILT)?;
    spec.tmpfs = vec![context::work_tmpfs(), context::out_tmpfs()];
    let container = match &backing {
        Some(backing) => context.container(&backing.pod, spec).await?,
        None => context.alone(spec).await?,
    };
    context.events.doing(&id, "running the candidate's tests");
    let copy = Command::shell(&format!("cp -R {BUILT}/. {WORK}/"))
        .cwd("/tmp")
        .deadline(context::TOOL_DEADLINE);
    container.exec(copy).await.map_err(|error| role.ask(&error))?;
    let command = Command::shell(&test.command)
        .cwd(WORK)
        .deadline(deadline)
        .output(context::at_most(OUTPUT_BYTES));
    let exited = container.exec(command).await.map_err(|error| role.ask(&error))?;
    evidence.logs.extend(crate::build::log("unit tests", &exited));
    let limit_ms = crate::service::millis(deadline);
    if let Some(stop) = role.unfinished(&exited, limit_ms, OUTPUT_BYTES) {
        return Err(stop);
    }
    let code = exited.code.map_or(-1, i64::from);
    if test.none_exit_codes.contains(&code) {
        evidence.notes.push("There are no tests.".into());
        return Ok(());
    }
    if !test.passed_exit_codes.contains(&code) && !test.failed_exit_codes.contains(&code) {
        return Err(Stop::NoReport {
            detail: format!("the tests ended with exit code {code}"),
        });
    }
    read_tests(context, test, &container, role, evidence).await?;
    if let Some(file) = &test.coverage {
        match read_coverage(context, file, &container, role, &id).await {
            Ok(coverage) => evidence.coverage = Some(coverage),
            Err(stop) => drop(evidence.partial_stops.insert("coverage".into(), stop)),
        }
    }
    match backing {
        Some(backing) => backing.discard(),
        None => container.discard(),
    }
    Ok(())
}

async fn read_tests(
    context: &Context<'_>,
    test: &TestCommand,
    container: &Container,
    role: Role<'_>,
    evidence: &mut CheckEvidence,
) -> Result<(), Stop> {
    let bytes = context.report(container, role, &evidence.id, &test.junit).await?;
    let read = junit::read(&bytes, &Limits::default()).map_err(|broken| Stop::NoReport {
        detail: format!("{}: {broken}", test.junit),
    })?;
    evidence.tests = read.value;
    evidence.notes.extend(
        read.problems
            .into_iter()
            .map(|problem| format!("{}: {problem}", test.junit)),
    );
    Ok(())
}

async fn read_coverage(
    context: &Context<'_>,
    file: &CoverageFile,
    container: &Container,
    role: Role<'_>,
    id: &str,
) -> Result<Coverage, Stop> {
    let bytes = context.report(container, role, id, &file.path).await?;
    let read = coverage::read(file.format, &bytes, &[WORK], &Limits::default()).map_err(|broken| {
        Stop::NoReport {
            detail: format!("{}: {broken}", file.path),
        }
    })?;
    Ok(context.source.own_coverage(read.value))
}
