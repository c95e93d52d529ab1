//! Sends what was planned, asks the judge after every answer, and keeps within the bounds.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use assay_core::security::{
    Attack, Contract, ContractError, Exchange, Failure, Judgement, Limits, Operation, Outcome, Probe,
    ProbeCase, ProbeJob, ProbeMessage, ProbePlan, ProbeReport, Role, Rule, Secrets, Step, Verdict, judge,
    observe, plan,
};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::task::JoinSet;

use super::client::Client;
use super::session::{Session, capture};

/// Requests in a row without any answer after which the service counts as gone.
const GONE_AFTER: u32 = 12;
/// Longest wait of one request, whatever the plan says.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Cases of one rule whose exchanges are kept.
const SHOWN_PER_RULE: usize = 4;
/// Longest message of a case, in characters.
const MESSAGE_CHARS: usize = 1000;
/// Exchanges kept of one case.
const SHOWN_PER_CASE: usize = 6;
/// Decided probes between two progress messages.
const PROGRESS_EVERY: usize = 50;

/// The job makes no sense.
#[derive(Debug, thiserror::Error)]
pub(super) enum JobError {
    #[error("the job cannot be read: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Contract(#[from] ContractError),
    #[error("`{0}` is not of the form http://127.0.0.1:8080")]
    BaseUrl(String),
    #[error("the plan names `{0}`, which is not in the contract")]
    UnknownOperation(Operation),
    #[error("nobody reads the results: {0}")]
    Unheard(#[from] io::Error),
}

/// Carries out one job. A service that is down or broken gives a report whose cases are all inconclusive.
///
/// # Errors
///
/// The job makes no sense, or `say` fails.
pub(super) async fn run(
    job: &ProbeJob,
    say: &impl Fn(&ProbeMessage) -> io::Result<()>,
) -> Result<ProbeReport, JobError> {
    let started = Instant::now();
    let contract = Contract::read(&job.contract)?;
    if let Some(unknown) = job.plan.unknown_operations(&contract).first() {
        return Err(JobError::UnknownOperation((*unknown).clone()));
    }
    let ProbePlan { baselines, probes } = plan(&contract, &job.plan, job.seed);
    let limits = &job.plan.limits;
    let client = Client::new(&job.base_url, limits.request.as_duration().min(LONGEST_WAIT))
        .ok_or_else(|| JobError::BaseUrl(job.base_url.clone()))?;
    let key = job
        .plan
        .jwt
        .as_ref()
        .and_then(|jwt| job.secrets.get(&jwt.secret_env))
        .cloned();

    let watch = Watch::new(limits, started, key.clone());
    let record = |exchange: &Exchange| watch.record(exchange);
    let session = match Session::begin(&client, &job.plan, key, job.seed, &record).await {
        Ok(session) => session,
        Err(error) => {
            let problem = sentence(&error.to_string());
            let undecided = inconclusive(problem.clone());
            let cases = probes.iter().map(|probe| case(probe, "", &undecided)).collect();
            return Ok(report(job, &watch, started, vec![problem], cases));
        }
    };
    watch.learn(&session);
    let prober = Rc::new(Prober {
        client,
        session,
        watch,
        gate: RwLock::new(()),
    });
    let working = prober.baselines(&baselines).await;
    let broken = working
        .iter()
        .filter_map(|(operation, outcome)| Some((operation, outcome.as_ref().err()?)));
    let mut problems: Vec<_> = broken
        .map(|(operation, problem)| format!("{operation} is not judged: {problem}."))
        .collect();
    let mut cases = Rc::clone(&prober)
        .all(probes, &working, limits.concurrency, say)
        .await?;
    problems.extend(prober.watch.exhausted().map(|problem| sentence(&problem)));
    cases.extend(prober.watch.seen_in_passing());
    Ok(report(job, &prober.watch, started, problems, cases))
}

fn report(
    job: &ProbeJob,
    watch: &Watch,
    started: Instant,
    problems: Vec<String>,
    cases: Vec<ProbeCase>,
) -> ProbeReport {
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    ProbeReport {
        version: 1,
        seed: job.seed,
        requests: watch.sent.get(),
        elapsed_ms,
        problems,
        cases,
    }
}

/// Sends requests as the two users.
struct Prober {
    client: Client,
    session: Session,
    watch: Watch,
    /// Held for reading by ordinary requests, for writing by those that must be alone.
    gate: RwLock<()>,
}

impl Prober {
    /// For each operation, whether its valid request is answered as the contract says, and if not, why.
    async fn baselines(
        &self,
        baselines: &BTreeMap<Operation, Vec<Step>>,
    ) -> BTreeMap<Operation, Result<(), String>> {
        let mut working = BTreeMap::new();
        for (operation, steps) in baselines {
            working.insert(operation.clone(), self.valid(steps).await);
        }
        working
    }

    async fn valid(&self, steps: &[Step]) -> Result<(), String> {
        let mut variables = BTreeMap::new();
        for step in steps {
            let exchange = self.send(step, &mut variables).await?;
            if exchange.outcome.success().is_none() {
                let Exchange { wire, outcome, .. } = exchange;
                return Err(format!(
                    "the valid request {} {} gave {outcome}",
                    wire.method, wire.target
                ));
            }
        }
        Ok(())
    }

    /// Decides all probes, a few at a time, in the order of the plan.
    async fn all(
        self: Rc<Self>,
        probes: Vec<Probe>,
        working: &BTreeMap<Operation, Result<(), String>>,
        concurrency: u8,
        say: &impl Fn(&ProbeMessage) -> io::Result<()>,
    ) -> Result<Vec<ProbeCase>, JobError> {
        let of = probes.len();
        let mut cases: Vec<Option<ProbeCase>> = vec![None; of];
        let mut running = JoinSet::new();
        let mut waiting = probes.into_iter().enumerate();
        let mut done = 0;
        loop {
            while running.len() < usize::from(concurrency.clamp(1, 4)) {
                let Some((place, probe)) = waiting.next() else {
                    break;
                };
                if let Some(Err(problem)) = working.get(&probe.operation) {
                    cases[place] = Some(case(&probe, "", &inconclusive(format!("{}.", sentence(problem)))));
                    done += 1;
                    continue;
                }
                let prober = Rc::clone(&self);
                running.spawn_local(async move { (place, prober.decide(&probe).await) });
            }
            let Some(decided) = running.join_next().await else {
                break;
            };
            let (place, case) = decided.map_err(io::Error::other)?;
            cases[place] = Some(case);
            done += 1;
            if done % PROGRESS_EVERY == 0 {
                say(&ProbeMessage::Progress { done, of })?;
            }
        }
        Ok(cases.into_iter().flatten().collect())
    }

    /// Tries the attacks of a probe until one succeeds.
    async fn decide(&self, probe: &Probe) -> ProbeCase {
        let mut decided = case(
            probe,
            "",
            &Judgement {
                verdict: Verdict::Safe,
                message: String::new(),
            },
        );
        for attack in &probe.attacks {
            let (judgement, seen) = self.attempt(attack).await;
            match judgement.verdict {
                Verdict::Safe => {}
                Verdict::Inconclusive if decided.verdict == Verdict::Inconclusive => {}
                Verdict::Inconclusive => decided = case(probe, &attack.variant, &judgement),
                Verdict::Vulnerable => {
                    decided = case(probe, &attack.variant, &judgement);
                    decided.exchanges = self.watch.shown(probe.rule, &seen);
                    return decided;
                }
            }
        }
        decided
    }

    /// Sends the steps of an attack until the judge has heard enough.
    async fn attempt(&self, attack: &Attack) -> (Judgement, Vec<Exchange>) {
        let mut variables = BTreeMap::new();
        let mut seen = Vec::with_capacity(attack.steps.len());
        let mut alone: Option<RwLockWriteGuard<'_, ()>> = None;
        for (place, step) in attack.steps.iter().enumerate() {
            let mut among_others: Option<RwLockReadGuard<'_, ()>> = None;
            if place < attack.exclusive_from {
                among_others = Some(self.gate.read().await);
            } else if alone.is_none() {
                alone = Some(self.gate.write().await);
            }
            let sent = self.send(step, &mut variables).await;
            drop(among_others);
            match sent {
                Ok(exchange) => seen.push(exchange),
                Err(problem) => return (inconclusive(format!("{}.", sentence(&problem))), seen),
            }
            if let Some(judgement) = judge(attack, &seen) {
                return (judgement, seen);
            }
        }
        (inconclusive("There was nothing to judge.".to_owned()), seen)
    }

    /// Sends one step. The text says why it could not be sent.
    async fn send(&self, step: &Step, captured: &mut BTreeMap<String, String>) -> Result<Exchange, String> {
        if let Some(problem) = self.watch.exhausted() {
            return Err(problem);
        }
        let credential = step.request.credential;
        let mut variables = self.session.variables(credential).clone();
        variables.extend(captured.clone());
        let wire = step.request.wire(&variables).map_err(|error| error.to_string())?;
        let header = self.session.header(credential)?;
        let header = header
            .as_ref()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let outcome = self
            .client
            .send(&wire, header)
            .await
            .map_err(|error| error.to_string())?;
        if let Some(answer) = outcome.success() {
            let lost = capture(answer, step.capture.iter(), captured);
            if step.role == Role::Before {
                lost?;
            }
        }
        let exchange = Exchange {
            role: step.role,
            credential,
            wire,
            outcome,
        };
        self.watch.observe(&step.request.operation, &exchange);
        Ok(exchange)
    }
}

/// Counts requests, notices when the service is gone, and looks into every answer.
struct Watch {
    until: Instant,
    most: u32,
    sent: Cell<u32>,
    unanswered: Cell<u32>,
    secrets: RefCell<Secrets>,
    cut: RefCell<Vec<String>>,
    observed: RefCell<BTreeMap<(Rule, Operation), ProbeCase>>,
    shown: RefCell<BTreeMap<Rule, usize>>,
}

impl Watch {
    fn new(limits: &Limits, started: Instant, key: Option<String>) -> Self {
        Self {
            until: started + limits.wall.as_duration(),
            most: limits.requests,
            sent: Cell::new(0),
            unanswered: Cell::new(0),
            secrets: RefCell::default(),
            cut: RefCell::new(key.into_iter().collect()),
            observed: RefCell::default(),
            shown: RefCell::default(),
        }
    }

    fn learn(&self, session: &Session) {
        let secrets = session.secrets();
        let mut cut = self.cut.borrow_mut();
        cut.extend(secrets.iter().map(|(_, secret)| secret.clone()));
        cut.extend(session.tokens());
        *self.secrets.borrow_mut() = secrets;
    }

    fn exhausted(&self) -> Option<String> {
        if self.unanswered.get() >= GONE_AFTER {
            Some(format!("the service gave no answer {GONE_AFTER} times in a row"))
        } else if Instant::now() >= self.until {
            Some("the time for probing is over".to_owned())
        } else if self.sent.get() >= self.most {
            Some(format!("all {} requests are used up", self.most))
        } else {
            None
        }
    }

    fn record(&self, exchange: &Exchange) {
        self.sent.set(self.sent.get().saturating_add(1));
        self.unanswered.set(match exchange.outcome {
            Outcome::Failed(Failure::NotConnected | Failure::TimedOut(_)) => {
                self.unanswered.get().saturating_add(1)
            }
            Outcome::Failed(Failure::Dropped) | Outcome::Answered(_) => 0,
        });
    }

    fn observe(&self, operation: &Operation, exchange: &Exchange) {
        self.record(exchange);
        let Some(answer) = exchange.outcome.answer() else {
            return;
        };
        for (rule, message) in observe(&exchange.wire, answer, &self.secrets.borrow()) {
            let key = (rule, operation.clone());
            if !self.observed.borrow().contains_key(&key) {
                let case = ProbeCase {
                    rule,
                    operation: operation.to_string(),
                    input: String::new(),
                    variant: ProbeCase::IN_PASSING.to_owned(),
                    verdict: Verdict::Vulnerable,
                    message: brief(&message),
                    exchanges: self.shown(rule, std::slice::from_ref(exchange)),
                };
                self.observed.borrow_mut().insert(key, case);
            }
        }
    }

    /// The exchanges that a report shows; the first cases of a rule are enough.
    fn shown(&self, rule: Rule, seen: &[Exchange]) -> Vec<assay_core::security::Excerpt> {
        let mut shown = self.shown.borrow_mut();
        let n_cases = shown.entry(rule).or_default();
        *n_cases += 1;
        if *n_cases > SHOWN_PER_RULE {
            return Vec::new();
        }
        let cut = self.cut.borrow();
        let last = seen.len().saturating_sub(SHOWN_PER_CASE);
        seen[last..]
            .iter()
            .map(|exchange| exchange.excerpt(&cut))
            .collect()
    }

    /// What was seen in passing; and for each rule of which nothing was seen, that it was looked for.
    fn seen_in_passing(&self) -> Vec<ProbeCase> {
        let mut cases: Vec<_> = self.observed.borrow().values().cloned().collect();
        for rule in [Rule::ErrorLeak, Rule::CredentialExposed] {
            if !cases.iter().any(|case| case.rule == rule) {
                cases.push(ProbeCase {
                    rule,
                    operation: "every operation".to_owned(),
                    input: String::new(),
                    variant: ProbeCase::IN_PASSING.to_owned(),
                    verdict: Verdict::Safe,
                    message: String::new(),
                    exchanges: Vec::new(),
                });
            }
        }
        cases
    }
}

fn case(probe: &Probe, variant: &str, judgement: &Judgement) -> ProbeCase {
    ProbeCase {
        rule: probe.rule,
        operation: probe.operation.to_string(),
        input: probe.input.as_ref().map(ToString::to_string).unwrap_or_default(),
        variant: variant.to_owned(),
        verdict: judgement.verdict,
        message: brief(&judgement.message),
        exchanges: Vec::new(),
    }
}

const fn inconclusive(message: String) -> Judgement {
    Judgement {
        verdict: Verdict::Inconclusive,
        message,
    }
}

/// Messages quote answers, which are as long as the service likes.
fn brief(message: &str) -> String {
    message.chars().take(MESSAGE_CHARS).collect()
}

/// The first letter in upper case.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
