//! The `command` checks: commands of the exercise in a copy of the candidate's tree. They run beside candidate code, so
//! their results are the candidate's word, and they are marked so. Those of one run share a container, in the order of the
//! plan; the ones that are to be isolated have one each.

use std::collections::BTreeMap;
use std::time::Instant;

use assay_core::event::Event;
use assay_core::evidence::{CheckEvidence, TestCase, TestStatus};
use assay_core::exercise::{Check, CheckKind, Limits};
use assay_core::fault::Stop;
use assay_core::toolchain::Toolchain;
use assay_sandbox::{Command, Container, ContainerSpec, Exited, Image, Run};
use futures_util::future::join_all;
use futures_util::stream;
use tokio::sync::Semaphore;

use crate::context::{self, Built, Context, WORK};
use crate::faults::{self, Role};
use crate::folder::ExerciseFolder;
use crate::run::{self, Job};
use crate::service::millis;

/// Where the built tree lies while it is copied.
const BUILT: &str = "/built";
/// Output that is kept.
const OUTPUT_BYTES: u64 = 1 << 20;
/// The end of it that a failure is explained with.
const MESSAGE_BYTES: usize = 2 << 10;

/// The container that the commands share, where there is one and it needs no build: started before there is a source.
pub(crate) async fn first(
    run: &Run,
    job: &Job<'_>,
    images: &BTreeMap<String, Image>,
) -> Result<Option<Container>, Stop> {
    let folder = job.folder;
    let is_shared = commands(folder).any(|check| !check.isolate);
    let (Some(track), Some(toolchain)) = (
        folder.spec.tracks.get(job.track),
        folder.toolchains.get(job.track),
    ) else {
        return Ok(None);
    };
    let image = images.get(&track.toolchain).cloned();
    match image {
        Some(image) if is_shared && folder.check(CheckKind::Build).is_none() => {
            let spec = spec(toolchain, image, folder.spec.app.limits);
            let started = run.container(spec).await;
            started.map(Some).map_err(|error| faults::start(&error))
        }
        _ => Ok(None),
    }
}

/// Runs them all; `first` is the container of those that share one, if it runs already.
pub(crate) async fn run_all(
    context: &Context<'_>,
    built: Result<&Built, &Stop>,
    places: &Semaphore,
    first: Option<Container>,
) -> Vec<CheckEvidence> {
    let built = match (built, context.check(CheckKind::Build)) {
        (Ok(built), _) => Some(built),
        (Err(_), None) => None,
        (Err(stop), Some(_)) => {
            return commands(context.folder)
                .map(|check| run::stopped_check(check, stop.clone()))
                .collect();
        }
    };
    let place = |check| Place {
        context,
        built,
        limits: limits(context, check),
        container: None,
    };
    let (isolated, shared): (Vec<&Check>, Vec<&Check>) =
        commands(context.folder).partition(|check| check.isolate);
    let sharing = async {
        let mut place = place(None);
        place.container = first.map(|container| (container, State::Empty));
        let mut done = Vec::new();
        if !shared.is_empty() {
            let _turn = places.acquire().await;
            for check in shared {
                done.push(judge(&mut place, check).await);
            }
        }
        done
    };
    let alone = isolated.into_iter().map(async |check| {
        let _turn = places.acquire().await;
        let mut place = place(Some(check));
        let evidence = judge(&mut place, check).await;
        place.discard();
        evidence
    });
    let (mut done, alone) = tokio::join!(sharing, join_all(alone));
    done.extend(alone);
    done
}

fn commands(folder: &ExerciseFolder) -> impl Iterator<Item = &Check> {
    let checks = folder.spec.checks.iter();
    checks.filter(|check| check.kind == CheckKind::Command)
}

fn limits(context: &Context<'_>, isolated: Option<&Check>) -> Limits {
    let own = isolated.and_then(|check| check.limits);
    own.unwrap_or(context.folder.spec.app.limits)
}

/// A container for commands. The tree is in memory of its own, so nothing needs to be shared with any other.
fn spec(toolchain: &Toolchain, image: Image, limits: Limits) -> ContainerSpec {
    let mut spec = context::foreign_spec("commands", image, limits);
    spec.env = toolchain.env.clone();
    spec.tmpfs = vec![context::work_tmpfs()];
    spec
}

/// Where commands run, one after another.
struct Place<'a> {
    context: &'a Context<'a>,
    /// None: the plan has no build, and the source is what they run on.
    built: Option<&'a Built>,
    limits: Limits,
    container: Option<(Container, State)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The tree is not there yet.
    Empty,
    /// Nothing has run since it was filled or tidied up.
    Ready,
    /// A command has run.
    Used,
}

impl Place<'_> {
    /// A container that has the tree, and nothing of an earlier command but what that changed there.
    async fn ready(&mut self) -> Result<Container, Stop> {
        let (container, state) = match self.container.take() {
            Some(standing) => standing,
            None => (self.start().await?, State::Empty),
        };
        let role = self.role();
        match state {
            State::Empty => self.fill(&container).await?,
            State::Used => {
                let tidied = container.reset(&["/tmp", "/dev/shm"]).await;
                tidied.map_err(|error| role.ask(&error))?;
            }
            State::Ready => (),
        }
        self.container = Some((container.clone(), State::Ready));
        Ok(container)
    }

    async fn start(&self) -> Result<Container, Stop> {
        let context = self.context;
        let image = context.image(&context.toolchain_image)?;
        let mut spec = spec(&context.toolchain, image, self.limits);
        if let Some(built) = self.built {
            spec.mounts = context::built_mounts(context, built, BUILT)?;
        }
        let started = context.run.container(spec).await;
        started.map_err(|error| faults::start(&error))
    }

    async fn fill(&self, container: &Container) -> Result<(), Stop> {
        let role = self.role();
        if self.built.is_some() {
            let copy = Command::shell(&format!("cp -R {BUILT}/. {WORK}/"))
                .cwd("/tmp")
                .deadline(context::TOOL_DEADLINE);
            let copied = container.exec(copy).await;
            return copied.map(drop).map_err(|error| role.ask(&error));
        }
        let entries = self.context.source.entries()?;
        let written = container.write_tree(WORK, stream::iter(entries)).await;
        written.map(drop).map_err(|error| role.ask(&error))
    }

    /// Runs one command to its end. A container in which one had to be stopped, or died, serves no other.
    async fn run(&mut self, check: &Check) -> Result<Exited, Stop> {
        let role = self.role();
        let container = self.ready().await?;
        let command = Command::shell(check.run.as_deref().unwrap_or_default())
            .cwd(WORK)
            .deadline(check.timeout.as_duration())
            .output(context::at_most(OUTPUT_BYTES));
        let ended = container.exec(command).await.map_err(|error| role.ask(&error));
        let stopped = match &ended {
            Ok(exited) => role.unfinished(exited, check.timeout.as_millis(), OUTPUT_BYTES),
            Err(stop) => Some(stop.clone()),
        };
        match stopped {
            Some(_) if self.context.cancel.is_cancelled() => Err(Stop::Cancelled),
            Some(stop) => {
                self.discard();
                Err(stop)
            }
            None => {
                self.container = Some((container, State::Used));
                ended
            }
        }
    }

    /// Nobody waits for its end.
    fn discard(&mut self) {
        if let Some((container, _)) = self.container.take() {
            container.discard();
        }
    }

    fn role(&self) -> Role<'static> {
        Role::Candidate {
            memory_bytes: self.limits.memory.0,
        }
    }
}

async fn judge(place: &mut Place<'_>, check: &Check) -> CheckEvidence {
    let context = place.context;
    context.events.tell(Event::CheckStarted {
        check: check.id.clone(),
    });
    let waiting = context
        .quiet
        .wait(false, Some(check), &context.events, &context.cancel);
    let _hold = waiting.await;
    let began = Instant::now();
    let mut evidence = match place.run(check).await {
        Ok(exited) => {
            let mut evidence = CheckEvidence::new(&check.id, check.kind, check.seen());
            evidence.logs.extend(crate::build::log(&check.id, &exited));
            evidence.tests.push(test_case(check, &exited));
            evidence
        }
        Err(stop) => run::stopped_check(check, stop),
    };
    evidence.duration_ms = millis(began.elapsed());
    context.events.tell(run::finished(check, &evidence));
    evidence
}

fn test_case(check: &Check, exited: &Exited) -> TestCase {
    let passed = exited.code == Some(0);
    TestCase {
        group: "commands".into(),
        name: check.id.clone(),
        title: check.run.as_deref().unwrap_or_default().trim().to_owned(),
        status: if passed {
            TestStatus::Passed
        } else {
            TestStatus::Failed
        },
        message: if passed { String::new() } else { message(exited) },
        duration_ms: millis(exited.duration),
    }
}

/// How it ended, and the end of what it said.
fn message(exited: &Exited) -> String {
    let said = format!("{}{}", exited.stdout.text(), exited.stderr.text());
    let said = crate::text::visible(said.trim_end());
    let from = said.ceil_char_boundary(said.len().saturating_sub(MESSAGE_BYTES));
    format!("{}\n{}", faults::ending(exited), &said[from..])
        .trim_end()
        .to_owned()
}
