//! The `load` check: the generator and the service on different cores, with nothing else started meanwhile. Where the
//! exercise names a reference solution, it is measured in turns with the candidate's service, window by window.

mod attempts;
mod reference;
mod session;
mod turns;

use std::time::Duration;

use assay_core::evidence::CheckEvidence;
use assay_core::exercise::{Check, CheckKind};
use assay_core::fault::Stop;
use assay_core::load::{LoadPlan, LoadSummary};

use crate::context::{Built, Context};
use crate::insight::Watch;
use crate::service::Cores;

use attempts::Attempts;
pub(crate) use attempts::Raw;
use reference::Reference;
pub(crate) use session::Session;
use turns::{Side, Turns};

/// What starting services and ending a measurement may take besides the check's own time.
const AROUND: Duration = Duration::from_secs(300);

pub(crate) async fn load(context: &Context<'_>, built: &Built) -> CheckEvidence {
    let Some(check) = context.check(CheckKind::Load) else {
        return CheckEvidence::new("load", CheckKind::Load, Default::default());
    };
    let evidence = CheckEvidence::new(&check.id, check.kind, check.seen());
    let read = Reference::read(context, check).await;
    let reference = match &read {
        None => None,
        Some(Ok(reference)) => {
            context.events.doing(&check.id, "building the reference solution");
            let built = reference::build(reference.context(context)).await;
            Some(built.map(|(context, built)| (reference.name(), context, built)))
        }
        Some(Err(stop)) => Some(Err(stop.clone())),
    };
    let mut attempts = Attempts::new(evidence);
    loop {
        let mut tried = CheckEvidence::new(&check.id, check.kind, check.seen());
        let beside = reference.as_ref().map(|reference| match reference {
            Ok((name, context, built)) => Ok((*name, context, built)),
            Err(stop) => Err(stop.clone()),
        });
        let longest = 2 * check.timeout.as_duration() + AROUND;
        let mut raw = Raw::new();
        let measured = Box::pin(measure(context, check, built, beside, &mut tried, &mut raw));
        let measured = tokio::time::timeout(longest, measured).await;
        tried.stop = match measured {
            Ok(measured) => measured.err(),
            Err(_) => Some(Stop::EngineFailed {
                detail: "the load check came to no end".into(),
            }),
        };
        if !attempts.take(tried, raw) {
            break;
        }
    }
    let (evidence, files) = attempts.finish();
    for (name, bytes) in files {
        context.keep(&check.id, &name, bytes);
    }
    evidence
}

/// The reference, ready to be started: its name, its own view of the run, and what was built. Or why it is not.
type Beside<'a> = Result<(&'a str, &'a Context<'a>, &'a Built), Stop>;

async fn measure<'a>(
    context: &'a Context<'a>,
    check: &'a Check,
    built: &Built,
    beside: Option<Beside<'a>>,
    evidence: &mut CheckEvidence,
    raw: &mut Raw,
) -> Result<(), Stop> {
    let plan = plan(context)?;
    let (service_cores, generator_cores) = split_cores(context.engine.info().cpus);
    if generator_cores.is_none() {
        evidence
            .notes
            .push("The host has one core: generator and service shared it.".into());
    }
    let places = turns::Places {
        service: Cores(service_cores),
        generator: generator_cores,
        budget: check
            .timeout
            .as_duration()
            .saturating_sub(Duration::from_secs(10))
            .max(Duration::from_secs(1)),
    };
    context.events.doing(&check.id, "starting the service");
    let own = Side::start(context, built, &places).await?;
    let reference = match beside {
        None => None,
        Some(Ok((name, context, built))) => Some((name, Side::start(context, built, &places).await)),
        Some(Err(stop)) => Some((check.reference.as_deref().unwrap_or_default(), Err(stop))),
    };
    context.events.doing(&check.id, "making users and sending load");
    let watch = Watch::of(context, &own.running);
    let mut turns = Turns::new(plan, own, reference, watch);
    let measured = turns.measure(context.seed).await;
    let own = turns.end(evidence).await;
    raw.push(("load.jsonl", own.output));
    let load = measured?;
    if let Some(why) = load
        .reference
        .as_ref()
        .and_then(|reference| reference.failed.as_ref())
    {
        evidence.notes.push(format!(
            "There is no comparison with the reference solution, so absolute values alone count: {why}"
        ));
    }
    if let Some(ended) = own.ended {
        evidence.notes.push(format!(
            "The service was no longer running when the load ended: {ended}."
        ));
    }
    own.attested?;
    if let Some(watch) = own.watch.filter(|_| load.was_set_up()) {
        insight(watch, &load, evidence, raw);
    }
    evidence.load = Some(load);
    Ok(())
}

/// What the requests cost the database, for the report.
fn insight(watch: Watch<'_>, summary: &LoadSummary, evidence: &mut CheckEvidence, raw: &mut Raw) {
    let warm_up = summary.warm_up.as_ref().map_or(0, |counts| counts.sent);
    match watch.sum_up(summary.total.counts.sent + warm_up, raw) {
        Ok(insight) => {
            evidence.findings.extend(insight.findings(&evidence.id));
            evidence.database = Some(insight);
        }
        Err(why) => evidence
            .notes
            .push(format!("Nothing is known of the database's work: {why}.")),
    }
}

fn plan<'a>(context: &Context<'a>) -> Result<&'a LoadPlan, Stop> {
    context.folder.load.as_ref().ok_or_else(|| Stop::BadExercise {
        detail: "there is no load plan".into(),
    })
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
