//! One job from the first user to the last check: set-up, load, verification, summary.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use assay_core::load::{
    Aggregate, BaseUrlError, LoadJob, LoadPlan, LoadSummary, Metric, Sender, Threshold, ThresholdError,
    parse_base_url,
};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tokio::sync::Notify;

use super::connections::Connections;
use super::flow::{Flow, Lane, LaneError};
use super::progress::Say;
use super::record::{HistogramError, Names, Record};
use super::script::{Script, ScriptError};
use super::service::Service;
use super::steps::Steps;
use super::users::User;

/// A measurement is not valid when one in a hundred arrivals was noticed later than this...
const LATENESS_FLOOR_US: u64 = 2_000;
/// ...and also later than this share of the tightest limit on a duration.
const LATENESS_SHARE: f64 = 0.1;

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
    let cpu_before_ms = cpu_ms()?;
    flow.run(say).await?;
    summary.sender.cpu_ms = cpu_ms()?.saturating_sub(cpu_before_ms);
    flow.record.borrow().fill(&mut summary, &names, &thresholds)?;
    let [lateness_p50_us, lateness_p99_us, lateness_max_us] = flow.record.borrow().lateness_us();
    summary.sender = Sender {
        lateness_p50_us,
        lateness_p99_us,
        lateness_max_us,
        connections: flow.service.connections.opened(),
        retried: flow.service.connections.retried(),
        ..summary.sender
    };
    summary.invalid = too_late(lateness_p99_us, &thresholds).into_iter().collect();
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

/// Why the generator, and not the service, may be what was measured.
fn too_late(lateness_p99_us: u64, thresholds: &[Threshold]) -> Option<String> {
    let of_durations = |threshold: &&Threshold| {
        threshold.metric == Metric::Duration && !matches!(threshold.aggregate, Aggregate::Min)
    };
    let tightest_ms = thresholds
        .iter()
        .filter(of_durations)
        .map(|threshold| threshold.limit)
        .min_by(f64::total_cmp);
    let share_us = tightest_ms.map_or(0, |ms| (ms * 1e3 * LATENESS_SHARE) as u64);
    let allowed_us = share_us.max(LATENESS_FLOOR_US);
    (lateness_p99_us > allowed_us).then(|| {
        format!(
            "the generator was short of CPU: it noticed one in a hundred arrivals over {:.1} ms late, {:.1} ms are allowed",
            lateness_p99_us as f64 / 1e3,
            allowed_us as f64 / 1e3,
        )
    })
}

/// CPU time of this process so far.
fn cpu_ms() -> Result<u64, nix::Error> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let total = usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds();
    Ok(u64::try_from(total).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_generator_makes_the_measurement_invalid() {
        let strict = [Threshold::parse("http_req_duration", "p(95)<20").unwrap()];
        let lax = [
            Threshold::parse("http_req_duration", "p(95)<200").unwrap(),
            Threshold::parse("http_req_failed", "rate<0.01").unwrap(),
        ];
        assert_eq!(too_late(2_000, &strict), None);
        assert_eq!(
            too_late(2_100, &strict).unwrap(),
            "the generator was short of CPU: it noticed one in a hundred arrivals over 2.1 ms late, 2.0 ms are allowed"
        );
        assert_eq!(too_late(20_000, &lax), None);
        assert!(too_late(20_001, &lax).is_some());
        assert!(too_late(2_001, &[]).is_some());
    }
}
