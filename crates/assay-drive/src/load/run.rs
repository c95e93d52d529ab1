//! One job from the first user to the last check: set-up, load, verification, summary.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use assay_core::load::{
    BaseUrlError, LoadJob, LoadPlan, LoadSummary, Sender, Threshold, ThresholdError, doubts, parse_base_url,
};
use tokio::sync::Notify;

use super::connections::Connections;
use super::flow::{Flow, Lane, LaneError};
use super::host::CpuTime;
use super::progress::Say;
use super::record::{HistogramError, Names, Record};
use super::script::{Script, ScriptError};
use super::service::Service;
use super::steps::Steps;
use super::users::User;

/// Why a job could not be carried out. Never the candidate's fault.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error("the job cannot be read: {0}")]
    Job(String),
    #[error(transparent)]
    BaseUrl(#[from] BaseUrlError),
    #[error("scenario `{name}`: {error}")]
    Lane { name: String, error: LaneError },
    #[error(transparent)]
    Threshold(#[from] ThresholdError),
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error(transparent)]
    Histogram(#[from] HistogramError),
    #[error("the pacer did not start, or nobody reads the results: {0}")]
    Io(#[from] io::Error),
    #[error("the CPU time is not known: {0}")]
    Usage(#[from] nix::Error),
}

/// Carries out a job.
///
/// # Errors
///
/// The job makes no sense, or the generator itself broke. Whatever the service does is part of the summary.
pub(super) async fn run(job: &LoadJob, say: Say<'_>) -> Result<LoadSummary, RunError> {
    let plan = &job.plan;
    let address = parse_base_url(&job.base_url)?;
    let Script {
        setup,
        endpoints,
        verify,
    } = Script::of(plan, &address.to_string())?;
    let thresholds = thresholds(plan)?;
    let lanes = lanes(plan)?;
    let names = names(plan, &lanes);
    let length = lanes.iter().map(|lane| lane.schedule.end_ns()).max().unwrap_or(0);
    let service = Service {
        connections: Connections::to(address),
        users: (1..=plan.users.count).map(User::new).map(RefCell::new).collect(),
        timeout: plan.timeout.as_duration(),
        max_body: plan.max_body.0,
        seq: Cell::new(0),
    };
    let mut summary = LoadSummary {
        version: LoadSummary::VERSION,
        seed: job.seed,
        ..LoadSummary::default()
    };
    let concurrency = usize::try_from(plan.users.concurrency.max(1)).unwrap_or(usize::MAX);
    let steps = Steps {
        service: &service,
        steps: &setup,
        seed: job.seed,
        concurrency,
    };
    summary.setup = steps.set_up(say).await?;
    if !summary.was_set_up() {
        return Ok(summary);
    }
    let warm = plan
        .scenarios
        .values()
        .map(|scenario| scenario.pre_allocated_vus)
        .max()
        .unwrap_or(0);
    let warm = service
        .connections
        .warm(usize::try_from(warm).unwrap_or(usize::MAX));
    // A service that accepts no connection in time will be found out by the requests.
    let _ = tokio::time::timeout(service.timeout, warm).await;
    let record = Record::new(
        endpoints.len(),
        lanes.len(),
        Duration::from_nanos(length),
        service.timeout,
    )?;
    let flow = Rc::new(Flow {
        seed: job.seed,
        service,
        endpoints,
        lanes,
        check_every: u64::from(plan.check_every.max(1)),
        record: RefCell::new(record),
        ended: Notify::new(),
    });
    let (began, before) = (Instant::now(), CpuTime::now()?);
    flow.run(say).await?;
    let cpu = before.until(CpuTime::now()?, began.elapsed());
    flow.record.borrow().fill(&mut summary, &names, &thresholds)?;
    let [lateness_p50_us, lateness_p99_us, lateness_max_us] = flow.record.borrow().lateness_us();
    summary.sender = Sender {
        lateness_p50_us,
        lateness_p99_us,
        lateness_max_us,
        connections: flow.service.connections.opened(),
        retried: flow.service.connections.retried(),
        cpu_ms: cpu.own_ms,
        others_percent: cpu.others_percent,
    };
    summary.invalid = doubts(
        &summary.sender,
        &summary.total.counts,
        &thresholds,
        &summary.thresholds,
    );
    let steps = Steps {
        service: &flow.service,
        steps: &verify,
        seed: job.seed,
        concurrency,
    };
    summary.verification = steps.verify(say).await?;
    Ok(summary)
}

fn thresholds(plan: &LoadPlan) -> Result<Vec<Threshold>, ThresholdError> {
    let pairs = plan
        .thresholds
        .iter()
        .flat_map(|(metric, all)| all.iter().map(move |one| (metric, one)));
    pairs
        .map(|(metric, condition)| Threshold::parse(metric, condition))
        .collect()
}

fn lanes(plan: &LoadPlan) -> Result<Vec<Lane>, RunError> {
    let lane = |(name, scenario): (&String, _)| {
        Lane::of(scenario, plan).map_err(|error| RunError::Lane {
            name: name.clone(),
            error,
        })
    };
    plan.scenarios.iter().map(lane).collect()
}

/// What is in no scenario but a warm-up is not measured, and has no part in the summary.
fn names(plan: &LoadPlan, lanes: &[Lane]) -> Names {
    let measured = |request: &String| {
        let in_mix = |mix: &std::collections::BTreeMap<String, u32>| {
            mix.get(request).is_some_and(|weight| *weight > 0)
        };
        plan.scenarios
            .values()
            .any(|scenario| !scenario.warm_up && in_mix(&scenario.mix))
    };
    Names {
        endpoints: plan
            .requests
            .keys()
            .map(|name| (name.clone(), measured(name)))
            .collect(),
        scenarios: plan
            .scenarios
            .keys()
            .cloned()
            .zip(lanes.iter().map(|lane| !lane.warm_up))
            .collect(),
    }
}
