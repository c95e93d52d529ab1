//! One job from the first user to the last check: set-up, load, verification, summary.

use std::cell::{Cell, RefCell};
use std::io::{self, BufRead};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use assay_core::load::{
    BaseUrlError, LoadAsk, LoadJob, LoadMessage, LoadPlan, LoadSummary, Model, Paused, Scenario, Sender,
    Threshold, ThresholdError, doubts, parse_base_url,
};
use tokio::sync::Notify;

use super::connections::Connections;
use super::flow::{Flow, Lane, LaneError};
use super::host::{self, CpuTime, CpuUse};
use super::progress::{Say, Tally};
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
    #[error("nobody knows what is asked for: {0}")]
    Ask(String),
}

/// Where a job in windows hears how to go on.
pub(super) type Asks = Arc<Mutex<dyn BufRead + Send>>;

/// Carries out a job.
///
/// # Errors
///
/// The job makes no sense, or the generator itself broke. Whatever the service does is part of the summary.
pub(super) async fn run(job: &LoadJob, asks: &Asks, say: Say<'_>) -> Result<LoadSummary, RunError> {
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
    let length = lanes.iter().map(|lane| lane.traffic.end_ns()).max().unwrap_or(0);
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
        model: model(plan),
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
        next: RefCell::default(),
        extra: Cell::new(0),
    });
    flow.next.borrow_mut().resize(flow.lanes.len(), 0);
    let mut led = Led {
        flow: &flow,
        warm: warm_connections(plan),
        cpu: CpuUse::default(),
    };
    match &job.cuts_ms {
        None => led.window(0, u64::MAX, say).await?,
        Some(cuts_ms) => led.in_turns(cuts_ms, asks, say).await?,
    }
    let cpu = led.cpu;
    flow.record.borrow().fill(&mut summary, &names, &thresholds)?;
    let [lateness_p50_us, lateness_p99_us, lateness_max_us] = flow.record.borrow().lateness_us();
    summary.sender = Sender {
        lateness_p50_us,
        lateness_p99_us,
        lateness_max_us,
        late: flow.record.borrow().late(),
        waited: flow.record.borrow().waited(),
        connections: flow.service.connections.opened(),
        retried: flow.service.connections.retried(),
        cpu_ms: cpu.own_ms,
        others_percent: cpu.others_percent(),
    };
    summary.invalid = doubts(&summary);
    let steps = Steps {
        service: &flow.service,
        steps: &verify,
        seed: job.seed,
        concurrency,
    };
    summary.verification = steps.verify(say).await?;
    say(&LoadMessage::Blocks(flow.record.borrow().blocks(&names)))?;
    Ok(summary)
}

/// The load under way, and what it cost.
struct Led<'a> {
    flow: &'a Rc<Flow>,
    /// Connections to open before the clock starts.
    warm: usize,
    cpu: CpuUse,
}

impl Led<'_> {
    /// Sends what the schedule has between two times.
    async fn window(&mut self, from_ns: u64, until_ns: u64, say: Say<'_>) -> Result<(), RunError> {
        let service = &self.flow.service;
        // A service that accepts no connection in time will be found out by the requests.
        let _ = tokio::time::timeout(service.timeout, service.connections.warm(self.warm)).await;
        let (began, before) = (Instant::now(), CpuTime::now()?);
        self.flow.run(from_ns, until_ns, say).await?;
        self.cpu = self.cpu.and(before.until(CpuTime::now()?, began.elapsed()));
        Ok(())
    }

    /// Does what is asked for, until nothing more is.
    async fn in_turns(&mut self, cuts_ms: &[u64], asks: &Asks, say: Say<'_>) -> Result<(), RunError> {
        let cut_ns = |index: usize| cuts_ms.get(index).map(|ms| ms.saturating_mul(1_000_000));
        let (mut next, mut done, mut began) = (0, Tally::default(), None::<Instant>);
        loop {
            let took = began.map_or(Duration::ZERO, |began| began.elapsed());
            say(&LoadMessage::Paused(Paused {
                sent: done.sent,
                ok: done.ok,
                errors: done.errors,
                took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                host: host::account(),
            }))?;
            let ask = next_ask(asks).await?;
            began = Some(Instant::now());
            match ask {
                LoadAsk::Finish => return Ok(()),
                LoadAsk::Window(index) if index == next && index <= cuts_ms.len() => {
                    let before = self.flow.record.borrow().tally();
                    let from_ns = index.checked_sub(1).and_then(cut_ns).unwrap_or(0);
                    let until_ns = cut_ns(index).unwrap_or(u64::MAX);
                    self.window(from_ns, until_ns, say).await?;
                    done = self.flow.record.borrow().tally().since(before);
                    next += 1;
                }
                LoadAsk::Window(index) => {
                    return Err(RunError::Ask(format!(
                        "window {index} of {}, not {next}",
                        cuts_ms.len() + 1
                    )));
                }
                LoadAsk::Only { request, count } => {
                    let endpoint = self
                        .flow
                        .endpoints
                        .iter()
                        .find(|endpoint| endpoint.name == request);
                    let unknown = || RunError::Ask(format!("there is no request `{request}`"));
                    done = self.flow.only(endpoint.ok_or_else(unknown)?, count).await;
                }
            }
        }
    }
}

/// The next line that says something; the end of the input says that nothing more is to be done.
async fn next_ask(asks: &Asks) -> Result<LoadAsk, RunError> {
    loop {
        let asks = Arc::clone(asks);
        let read = move || {
            let mut line = String::new();
            let mut input = asks.lock().unwrap_or_else(PoisonError::into_inner);
            input.read_line(&mut line).map(|_| line)
        };
        let line = tokio::task::spawn_blocking(read)
            .await
            .map_err(io::Error::other)??;
        if line.is_empty() {
            return Ok(LoadAsk::Finish);
        }
        if !line.trim().is_empty() {
            return serde_json::from_str(&line).map_err(|error| RunError::Ask(error.to_string()));
        }
    }
}

fn warm_connections(plan: &LoadPlan) -> usize {
    let wanted = plan.scenarios.values().map(|scenario| scenario.pre_allocated_vus);
    usize::try_from(wanted.max().unwrap_or(0)).unwrap_or(usize::MAX)
}

/// What is measured is of one model; [`assay_core::yaml::Lint`] sees to that.
fn model(plan: &LoadPlan) -> Model {
    let closed = |scenario: &Scenario| !scenario.warm_up && scenario.executor.is_closed();
    if plan.scenarios.values().any(closed) {
        Model::Closed
    } else {
        Model::Open
    }
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
