//! The `load` check: the generator and the service on different cores, with nothing else started meanwhile.

use std::time::Duration;

use assay_core::evidence::CheckEvidence;
use assay_core::exercise::{Check, CheckKind};
use assay_core::fault::Stop;
use assay_core::load::{LoadAsk, LoadJob, LoadMessage, LoadPlan, LoadSummary};
use assay_sandbox::{Command, ExitReason};

use crate::context::{self, Built, Context};
use crate::faults;
use crate::folder::DRIVE_IMAGE;
use crate::generator::{Led, ROLE, Silence};
use crate::insight::Watch;
use crate::service::{Cores, Running};

/// A measurement that is not valid is made again, up to so many in all.
const ATTEMPTS: u32 = 2;
/// Most bytes that the generator prints.
const OUTPUT_BYTES: u64 = 8 << 20;

pub(crate) async fn load(context: &Context<'_>, built: &Built) -> CheckEvidence {
    let Some(check) = context.check(CheckKind::Load) else {
        return CheckEvidence::new("load", CheckKind::Load, Default::default());
    };
    let mut evidence = CheckEvidence::new(&check.id, check.kind, check.seen());
    for attempt in 1..=ATTEMPTS {
        let mut tried = CheckEvidence::new(&check.id, check.kind, check.seen());
        if let Err(stop) = context::within(check, run(context, check, built, &mut tried)).await {
            tried.stop = Some(stop);
        }
        let doubt = tried.load.as_ref().and_then(|load| load.invalid.first()).cloned();
        evidence.notes.append(&mut tried.notes);
        evidence = CheckEvidence {
            notes: evidence.notes,
            ..tried
        };
        match doubt {
            Some(doubt) if attempt < ATTEMPTS => {
                evidence.notes.push(format!(
                    "Measured again, as the first measurement was not valid: {doubt}."
                ));
            }
            _ => break,
        }
    }
    evidence
}

async fn run(
    context: &Context<'_>,
    check: &Check,
    built: &Built,
    evidence: &mut CheckEvidence,
) -> Result<(), Stop> {
    let plan = context.folder.load.clone();
    let plan = plan.ok_or_else(|| Stop::BadExercise {
        detail: "there is no load plan".into(),
    })?;
    let (service_cores, generator_cores) = split_cores(context.engine.info().cpus);
    if generator_cores.is_none() {
        evidence
            .notes
            .push("The host has one core: generator and service shared it.".into());
    }
    context.events.doing(&check.id, "starting the service");
    let running = Running::start(context, CheckKind::Load, built, &Cores(service_cores)).await?;
    let mut spec = context::container_spec("load", context.image(DRIVE_IMAGE)?, context::tool_limits());
    spec.limits.cpuset = generator_cores;
    let generator = context.container(&running.pod, spec).await?;

    context.events.doing(&check.id, "making users and sending load");
    let base_url = format!("http://127.0.0.1:{}", context.folder.spec.app.port);
    let job = LoadJob {
        plan: plan.clone(),
        base_url,
        seed: context.seed,
        // One window, so that the databases can be looked at before and after it.
        cuts_ms: Some(Vec::new()),
    };
    let job = serde_json::to_vec(&job).map_err(|error| Stop::BadExercise {
        detail: error.to_string(),
    })?;
    let deadline = check
        .timeout
        .as_duration()
        .saturating_sub(Duration::from_secs(10))
        .max(Duration::from_secs(1));
    let command = Command::new(["/assay/drive", "load"])
        .cwd("/tmp")
        .stdin(job)
        .stdin_open()
        .deadline(deadline)
        .output(context::at_most(OUTPUT_BYTES));
    let process = generator.spawn(command).await.map_err(|error| ROLE.ask(&error))?;
    let mut led = Led::of(process);
    let mut watch = Watch::of(context, &running, &check.id);
    match lead(context, check, &plan, &mut led, watch.as_mut()).await {
        Ok(()) | Err(Silence::Ended) => (),
        Err(Silence::Lost(stop)) => return Err(stop),
    }
    let exited = led.exited().await.map_err(|error| ROLE.ask(&error))?;
    evidence.logs.extend(running.logs());
    if let Some(ended) = running.app_ended().await {
        evidence.notes.push(format!(
            "The service was no longer running when the load ended: {ended}."
        ));
    }
    running.attest(false).await?;
    if exited.reason == ExitReason::Deadline {
        // The generator's own times are bounded by its plan: it is the service that was too slow to be set up.
        return Err(Stop::TimedOut {
            limit_ms: check.timeout.as_millis(),
        });
    }
    let output = exited.stdout.text();
    context.keep(&check.id, "load.jsonl", output.clone().into_bytes());
    let last = output.lines().last().unwrap_or_default();
    let broken = |detail: String| Stop::ToolBroken {
        tool: "load generator".into(),
        detail,
    };
    match serde_json::from_str(last) {
        Ok(LoadMessage::Summary(summary)) => {
            if let Some(watch) = watch {
                insight(watch, &summary, evidence);
            }
            evidence.load = Some(*summary);
        }
        Ok(LoadMessage::Failed(detail)) => return Err(broken(detail)),
        Ok(LoadMessage::Progress(_) | LoadMessage::Paused(_)) | Err(_) => {
            return Err(broken(format!(
                "{}: {}",
                faults::ending(&exited),
                exited.stderr.text()
            )));
        }
    }
    running.discard().await;
    Ok(())
}

/// The whole load in one window, with a look at the databases before and after it and around each endpoint alone.
async fn lead(
    context: &Context<'_>,
    check: &Check,
    plan: &LoadPlan,
    led: &mut Led,
    mut watch: Option<&mut Watch<'_>>,
) -> Result<(), Silence> {
    led.paused().await?;
    if let Some(watch) = &mut watch {
        watch.look().await;
    }
    led.ask(&LoadAsk::Window(0)).await?;
    if let Some(watch) = &mut watch {
        context
            .events
            .doing(&check.id, "looking at what the database did");
        watch.look().await;
        watch.look_at_endpoints(plan, led).await?;
    }
    led.tell(&LoadAsk::Finish).await
}

/// What the requests cost the database, for the report.
fn insight(watch: Watch<'_>, summary: &LoadSummary, evidence: &mut CheckEvidence) {
    let warm_up = summary.warm_up.as_ref().map_or(0, |counts| counts.sent);
    match watch.sum_up(summary.total.counts.sent + warm_up) {
        Ok(insight) => {
            evidence.findings.extend(insight.findings(&evidence.id));
            evidence.database = Some(insight);
        }
        Err(why) => evidence
            .notes
            .push(format!("Nothing is known of the database's work: {why}.")),
    }
}

/// Cores of the service and cores of the generator, as cpusets: the generator has the last one (two from eight cores on).
fn split_cores(cpus: u32) -> (Option<String>, Option<String>) {
    let range = |from: u32, to: u32| {
        if from == to {
            from.to_string()
        } else {
            format!("{from}-{to}")
        }
    };
    match cpus {
        0 | 1 => (None, None),
        2..8 => (Some(range(0, cpus - 2)), Some(range(cpus - 1, cpus - 1))),
        _ => (Some(range(0, cpus - 3)), Some(range(cpus - 2, cpus - 1))),
    }
}

#[cfg(test)]
mod tests {
    use super::split_cores;

    #[test]
    fn the_generator_has_cores_of_its_own() {
        let shown = |cpus| {
            let (service, generator) = split_cores(cpus);
            format!(
                "{} | {}",
                service.unwrap_or_default(),
                generator.unwrap_or_default()
            )
        };
        for (cpus, expected) in [(1, " | "), (2, "0 | 1"), (4, "0-2 | 3"), (8, "0-5 | 6-7")] {
            assert_eq!(shown(cpus), expected);
        }
    }
}
