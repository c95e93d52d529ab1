//! The `rigour` check: the candidate's black-box tests against the reference service, and against each of its seeded bugs.
//!
//! Every round has a pod of its own: databases, the service (ours, and trusted), and a container with the candidate's tests,
//! which sees nothing of the service but its port. Rounds come in a random order, and nothing in a tests container says
//! which one it is: what differs is how the service behaves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use assay_core::evidence::{CheckEvidence, LogExcerpt};
use assay_core::exercise::{Check, CheckKind};
use assay_core::fault::{Stop, Whose};
use assay_core::rigour::{self, Round};
use assay_core::toolchain::{TestCommand, Toolchain};
use assay_formats::{Limits, junit};
use assay_git::solution::Files;
use assay_sandbox::{Command, Mount};
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::build::{self, Installation};
use crate::context::{self, Built, Context, DEPS, OUT, WORK};
use crate::faults::Role;
use crate::seeded::Seeded;
use crate::service::{Cores, Program, Running};

/// Where the candidate's built tree lies while it is copied.
const BUILT: &str = "/built";
/// Output of the tests that is kept.
const OUTPUT_BYTES: u64 = 1 << 20;

/// What all rounds share.
struct Rounds<'a> {
    context: &'a Context<'a>,
    check: &'a Check,
    /// The candidate's tree.
    built: &'a Built,
    command: &'a TestCommand,
    seeded: &'a Seeded,
    /// The toolchain of the reference service, and its image.
    toolchain: &'a Toolchain,
    image: &'a str,
    /// Dependencies of the reference service.
    deps: Built,
    /// Password of the databases.
    password: String,
    /// How long the tests may take in one round.
    deadline: Duration,
}

/// Runs the check; each round waits for a place of its own.
pub(crate) async fn rigour(
    context: &Context<'_>,
    built: Result<&Built, &Stop>,
    places: &Semaphore,
) -> CheckEvidence {
    let Some(check) = context.check(CheckKind::Rigour) else {
        return CheckEvidence::new("rigour", CheckKind::Rigour, Default::default());
    };
    let mut evidence = CheckEvidence::new(&check.id, check.kind, check.seen());
    let ran = match built {
        Ok(built) => run(context, check, built, places, &mut evidence).await,
        Err(stop) => Err(stop.clone()),
    };
    evidence.stop = ran.err();
    evidence
}

async fn run(
    context: &Context<'_>,
    check: &Check,
    built: &Built,
    places: &Semaphore,
    evidence: &mut CheckEvidence,
) -> Result<(), Stop> {
    let bad = |detail: &str| Stop::BadExercise {
        detail: detail.to_owned(),
    };
    let folder = context.folder;
    let seeded = folder
        .seeded
        .as_ref()
        .ok_or_else(|| bad("there are no seeded bugs"))?;
    let command = context.toolchain.blackbox.as_ref();
    let command = command.ok_or_else(|| bad("the toolchain has no command for black-box tests"))?;
    let toolchain = folder.toolchains.get(&seeded.track);
    let toolchain = toolchain.ok_or_else(|| bad("the reference service has no toolchain"))?;
    let image = folder
        .spec
        .tracks
        .get(&seeded.track)
        .map(|track| track.toolchain.as_str());
    let image = image.unwrap_or_default();
    let order = rigour::order(seeded.bugs.len(), context.seed);
    let n_rounds = order.len();
    let rounds = Rounds {
        context,
        check,
        built,
        command,
        seeded,
        toolchain,
        image,
        deps: dependencies(context, check, seeded, toolchain, image).await?,
        password: password(context),
        deadline: check.timeout.as_duration() / u32::try_from(n_rounds).unwrap_or(u32::MAX),
    };
    context
        .events
        .doing(&check.id, format!("testing {n_rounds} services"));

    // Once the tests are known not to hold on the correct service, no other round says anything.
    let given_up = AtomicBool::new(false);
    let numbered = order.into_iter().enumerate();
    let done: Vec<_> = stream::iter(numbered)
        .map(|(number, bug)| {
            let (rounds, given_up) = (&rounds, &given_up);
            async move {
                let _place = places.acquire().await;
                if given_up.load(Ordering::Relaxed) {
                    return (bug, None);
                }
                let (round, log) = rounds.round(number, bug).await;
                if matches!(round, Round::NoTests) || bug.is_none() && !round.holds() {
                    given_up.store(true, Ordering::Relaxed);
                }
                (bug, Some((round, log)))
            }
        })
        .buffer_unordered(n_rounds)
        .collect()
        .await;
    if context.cancel.is_cancelled() {
        return Err(Stop::Cancelled);
    }

    let (mut correct, mut by_bug) = (Vec::new(), vec![None; seeded.bugs.len()]);
    for (bug, round) in done {
        match (bug.and_then(|bug| by_bug.get_mut(bug)), round) {
            (Some(place), round) => *place = round.map(|(round, _)| round),
            (None, Some((round, log))) => {
                correct.push(round);
                // What the tests say of a bug may name it; what they say of the correct service may help their author.
                evidence.logs.extend(log.filter(|_| evidence.logs.is_empty()));
            }
            (None, None) => (),
        }
    }
    let bugs = seeded.bugs.iter().zip(by_bug);
    let bugs = bugs.map(|(bug, round)| (bug.id.clone(), bug.description.clone(), round));
    let judgement = rigour::judge(&correct, bugs.collect());
    evidence.tests = judgement.tests;
    evidence.bugs = judgement.bugs;
    evidence.partial_stops = judgement.faults;
    judgement.stop.map_or(Ok(()), Err)
}

/// Installs what the reference service needs; the second run on a host finds it there.
async fn dependencies(
    context: &Context<'_>,
    check: &Check,
    seeded: &Seeded,
    toolchain: &Toolchain,
    image: &str,
) -> Result<Built, Stop> {
    let registries = context
        .check(CheckKind::Build)
        .map(|check| check.registries.as_slice());
    let wanted = Installation {
        toolchain,
        image,
        content: &|name| seeded.reference.get(name).map(|file| file.content.clone()),
        volume: "reference-deps",
    };
    // What is said of the installation is nothing for the report: it is not the candidate's.
    let mut aside = CheckEvidence::new(&check.id, check.kind, check.seen());
    let deps = build::install(
        context,
        &check.id,
        wanted,
        registries.unwrap_or_default(),
        &mut aside,
    )
    .await;
    Ok(Built {
        tree: None,
        deps: deps.map_err(ours)?,
    })
}

/// A password that follows from what the candidate's code does not know: the seed, and not only the service's secret.
fn password(context: &Context<'_>) -> String {
    let hash = Sha256::new()
        .chain_update(b"password of the databases")
        .chain_update(context.seed.to_le_bytes())
        .chain_update(context.secret.as_bytes());
    crate::folder::hex(&hash.finalize())
}

impl Rounds<'_> {
    async fn round(&self, number: usize, bug: Option<usize>) -> (Round, Option<LogExcerpt>) {
        let files = match bug.and_then(|bug| self.seeded.bugs.get(bug)) {
            Some(bug) => &bug.files,
            None => &self.seeded.reference,
        };
        let running = match self.serve(files).await {
            Ok(running) => running,
            Err(stop) => return (Round::Fault(ours(stop)), None),
        };
        let mut log = None;
        let tested = self.test(number, &running, &mut log).await;
        running.discard();
        let round = tested.unwrap_or_else(|stop| match stop.whose() {
            Whose::Candidate => Round::NoReport(stop),
            Whose::Exercise | Whose::Platform => Round::Fault(stop),
        });
        (round, log)
    }

    async fn serve(&self, files: &Files) -> Result<Running<'_>, Stop> {
        let deps = self.deps.deps.as_ref().map(|deps| Mount::cached(deps, DEPS));
        let program = Program {
            toolchain: self.toolchain,
            image: self.image,
            mounts: deps.into_iter().collect(),
            files: Some(files),
            limits: self.context.limits(CheckKind::Build),
            // The tests beside it find the database's port: behind it are the service's tables and statements.
            password: Some(self.password.clone()),
        };
        Running::start_program(self.context, program, &Cores::default()).await
    }

    async fn test(
        &self,
        number: usize,
        running: &Running<'_>,
        log: &mut Option<LogExcerpt>,
    ) -> Result<Round, Stop> {
        let (context, command) = (self.context, self.command);
        let limits = context.limits(CheckKind::Rigour);
        let role = Role::Candidate {
            memory_bytes: limits.memory.0,
        };
        let mut spec = context::foreign_spec("blackbox", context.image(&context.toolchain_image)?, limits);
        spec.env = context.toolchain.env.clone();
        // What the service knows, the tests know too, but for its database, which is not theirs to look into.
        spec.env.extend(context.app_env());
        spec.env.remove("DATABASE_URL");
        let port = context.folder.spec.app.port;
        spec.env
            .insert("BASE_URL".into(), format!("http://127.0.0.1:{port}"));
        spec.mounts = context::built_mounts(context, self.built, BUILT)?;
        spec.tmpfs = vec![context::work_tmpfs(), context::out_tmpfs()];
        let container = context.container(&running.pod, spec).await?;
        let copy = Command::shell(&format!("cp -R {BUILT}/. {WORK}/"))
            .cwd("/tmp")
            .deadline(context::TOOL_DEADLINE);
        container.exec(copy).await.map_err(|error| role.ask(&error))?;
        let tests = Command::shell(&command.command)
            .cwd(WORK)
            .deadline(self.deadline)
            .output(context::at_most(OUTPUT_BYTES));
        let exited = container.exec(tests).await.map_err(|error| role.ask(&error))?;
        *log = build::log("black-box tests", &exited);
        if let Some(stop) = role.unfinished(&exited, crate::service::millis(self.deadline), OUTPUT_BYTES) {
            return Err(stop);
        }
        let code = exited.code.map_or(-1, i64::from);
        if command.none_exit_codes.contains(&code) {
            return Ok(Round::NoTests);
        }
        if !command.passed_exit_codes.contains(&code) && !command.failed_exit_codes.contains(&code) {
            return Err(Stop::NoReport {
                detail: format!("the black-box tests ended with exit code {code}"),
            });
        }
        let path = command.junit.strip_prefix("/out/").unwrap_or(&command.junit);
        let bytes = container
            .read_file(OUT, path, context::MAX_REPORT_BYTES)
            .await
            .map_err(|error| role.report(path, &error))?;
        context.keep(&self.check.id, &format!("round-{number:02}.xml"), bytes.clone());
        let read = junit::read(&bytes, &Limits::default()).map_err(|broken| Stop::NoReport {
            detail: format!("{}: {broken}", command.junit),
        })?;
        if read.value.is_empty() {
            return Ok(Round::NoTests);
        }
        Ok(Round::Tests(read.value))
    }
}

/// The reference service is never the candidate's fault.
fn ours(stop: Stop) -> Stop {
    match stop.whose() {
        Whose::Candidate => Stop::BadExercise {
            detail: format!(
                "the reference service does not run: {}",
                stop.sentence().trim_end_matches('.')
            ),
        },
        Whose::Exercise | Whose::Platform => stop,
    }
}
