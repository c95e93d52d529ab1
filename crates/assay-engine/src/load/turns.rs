//! Two services that answer the same load in turns: A B, B A, A B, … window by window. Whose turn it is not has nothing to do;
//! a candidate's service that does not rest then would slow down what it is compared with, so it is not compared.

use std::time::{Duration, Instant};

use assay_core::evidence::CheckEvidence;
use assay_core::exercise::CheckKind;
use assay_core::fault::Stop;
use assay_core::load::{
    self, Blocks, ContainersUse, HostAccount, HostUse, LoadAsk, LoadJob, LoadPlan, LoadSummary, Reference,
};
use assay_sandbox::{Container, Usage};

use super::session::Session;
use crate::context::{self, Built, Context};
use crate::folder::DRIVE_IMAGE;
use crate::insight::Watch;
use crate::service::{Cores, Running};

/// What the candidate's service may take of a core while it is the reference's turn, in percent.
const UNREST_PERCENT: u64 = 10;

/// Which cores there are for whom, and how much time.
pub(super) struct Places {
    pub(super) service: Cores,
    pub(super) generator: Option<String>,
    /// What the load on one service may take.
    pub(super) budget: Duration,
}

/// A service and its generator.
pub(super) struct Side<'a> {
    pub(super) running: Running<'a>,
    generator: Container,
    budget: Duration,
    port: u16,
    session: Option<Session>,
}

/// What is left of the candidate's side.
pub(super) struct Ended<'a> {
    /// What the generator printed.
    pub(super) output: Vec<u8>,
    /// What became of the service, if it runs no more.
    pub(super) ended: Option<String>,
    /// Whether its ports were its own to the end.
    pub(super) attested: Result<(), Stop>,
    /// What was seen of the database.
    pub(super) watch: Option<Watch<'a>>,
}

impl<'a> Side<'a> {
    /// Starts the service and the container of its generator.
    pub(super) async fn start(
        context: &'a Context<'a>,
        built: &Built,
        places: &Places,
    ) -> Result<Self, Stop> {
        let running = Running::start(context, CheckKind::Load, built, &places.service).await?;
        let mut spec = context::container_spec("load", context.image(DRIVE_IMAGE)?, context::tool_limits());
        spec.limits.cpuset.clone_from(&places.generator);
        let generator = context.container(&running.pod, spec).await?;
        Ok(Self {
            running,
            generator,
            budget: places.budget,
            port: context.folder.spec.app.port,
            session: None,
        })
    }

    /// Starts the generator and waits until the users are made. What the host says of itself then, unless that failed.
    async fn set_up(
        &mut self,
        plan: &LoadPlan,
        cuts_ms: &[u64],
        seed: u64,
    ) -> Result<Option<HostAccount>, Stop> {
        let job = LoadJob {
            plan: plan.clone(),
            base_url: format!("http://127.0.0.1:{}", self.port),
            seed,
            cuts_ms: Some(cuts_ms.to_vec()),
        };
        // It waits while the other one has its turns.
        let longest = 3 * self.budget;
        let session = Session::start(&self.generator, &job, self.budget, longest).await?;
        let paused = self.session.insert(session).pause().await?;
        Ok(paused.and_then(|paused| paused.host))
    }

    /// Asks the generator for something. What the host says of itself then.
    async fn ask(&mut self, ask: &LoadAsk) -> Result<Option<HostAccount>, Stop> {
        let Some(session) = &mut self.session else {
            return Ok(None);
        };
        Ok(session.ask(ask).await?.and_then(|paused| paused.host))
    }

    fn summary(&self) -> Option<&LoadSummary> {
        self.session.as_ref().and_then(Session::summary)
    }

    fn blocks(&self) -> Blocks {
        self.session.as_ref().map(Session::blocks).unwrap_or_default()
    }

    async fn app_cpu_ms(&self) -> Option<u64> {
        used_by(self.running.app_container())
            .await
            .map(|used| used.cpu_ms)
    }

    fn containers(&self) -> impl Iterator<Item = &Container> {
        self.running.containers().chain([&self.generator])
    }

    /// What its containers have used so far: all of them, and the service.
    async fn usage(&self) -> (Option<u64>, Option<Usage>) {
        let mut cpu_ms = Some(0);
        for container in self.containers() {
            // Without it the host's use is not known, and nothing else.
            let used = used_by(container).await;
            cpu_ms = cpu_ms.zip(used).map(|(sum, used)| sum + used.cpu_ms);
        }
        (cpu_ms, used_by(self.running.app_container()).await)
    }
}

/// A measurement in turns; without a reference, alone.
pub(super) struct Turns<'a, 'p> {
    plan: &'p LoadPlan,
    own: Side<'a>,
    /// The reference by its name, or why there is none.
    reference: Option<(String, Result<Side<'a>, Stop>)>,
    /// Looks at what the candidate's requests cost the database.
    watch: Option<Watch<'a>>,
    /// How long the candidate's service had nothing to do, and what CPU time it took in spite of that.
    rest_ms: u64,
    unrest_ms: u64,
}

impl<'a, 'p> Turns<'a, 'p> {
    pub(super) fn new(
        plan: &'p LoadPlan,
        own: Side<'a>,
        reference: Option<(&str, Result<Side<'a>, Stop>)>,
        watch: Option<Watch<'a>>,
    ) -> Self {
        Self {
            plan,
            own,
            reference: reference.map(|(name, side)| (name.to_owned(), side)),
            watch,
            rest_ms: 0,
            unrest_ms: 0,
        }
    }

    /// Carries it out.
    ///
    /// # Errors
    /// What stopped the candidate's side. What stops the reference's is told in the summary.
    pub(super) async fn measure(&mut self, seed: u64) -> Result<LoadSummary, Stop> {
        let cuts_ms = match &self.reference {
            Some((_, Ok(_))) => load::cuts_ms(self.plan),
            _ => Vec::new(),
        };
        let used_before = self.usage().await;
        let host = match self.send(&cuts_ms, seed).await {
            Ok(host) => host,
            Err(stop @ Stop::TimedOut { .. }) => {
                let excuse = self.excuse(&used_before).await;
                return Err(excuse.map_or(stop, |detail| Stop::NoisyHost { detail }));
            }
            Err(stop) => return Err(stop),
        };
        let mut summary = self.own.summary().cloned().ok_or_else(|| Stop::ToolBroken {
            tool: "load generator".into(),
            detail: "it gave no summary".into(),
        })?;
        if !summary.was_set_up() {
            if summary.setup.late {
                summary.invalid.extend(self.excuse(&used_before).await);
            }
            return Ok(summary);
        }
        summary.host = host;
        let blocks = self.own.blocks();
        let unrest = self.unrest();
        let reference = self.reference.as_ref().map(|(name, side)| {
            let measured = unrest.map_or_else(|| measured(side), Err);
            (name.clone(), measured)
        });
        let beside = match &reference {
            Some((_, Ok((summary, blocks)))) => Some((summary, blocks)),
            _ => None,
        };
        summary.estimates = load::estimates((&summary, &blocks), beside, seed);
        summary.overall = beside.and_then(|(_, reference)| load::overall(&blocks, reference, seed));
        summary.reference = reference.map(|(solution, measured)| match measured {
            Ok((summary, blocks)) => Reference {
                solution,
                failed: None,
                drift_percent: load::drift_percent(&blocks, &cuts_ms),
                total: summary.total,
                thresholds: summary.thresholds,
                sender: summary.sender,
                windows: cuts_ms.len() as u64 + 1,
            },
            Err(why) => Reference {
                solution,
                failed: Some(why),
                ..Reference::default()
            },
        });
        summary.invalid = load::doubts(&summary);
        if let Some(why) = load::incomparable(&summary) {
            if let Some(reference) = &mut summary.reference {
                reference.failed.get_or_insert_with(|| format!("{why}."));
            }
            summary.overall = None;
            for estimate in &mut summary.estimates {
                estimate.ratio = None;
            }
        }
        Ok(summary)
    }

    /// Why it may be the host's fault that the candidate's service was too slow.
    async fn excuse(&self, used_before: &(Option<u64>, Option<Usage>)) -> Option<String> {
        let (before, after) = self.own.session.as_ref()?.host()?;
        let used = used(used_before, &self.usage().await);
        load::excuse(HostUse::between(before, after, used)?)
    }

    /// Makes the users, sends all windows by turns, and lets both sides sum up. Says what the host did meanwhile.
    async fn send(&mut self, cuts_ms: &[u64], seed: u64) -> Result<Option<HostUse>, Stop> {
        let plan = self.plan;
        if let Some(side) = self.reference_side() {
            let done = side.set_up(plan, cuts_ms, seed).await;
            self.settle(done)?;
        }
        let before = self.own.set_up(plan, cuts_ms, seed).await?;
        if self.own.summary().is_some() {
            // Without users there is nothing to send.
            return Ok(None);
        }
        let used_before = self.usage().await;
        if let Some(watch) = &mut self.watch {
            watch.look_before().await;
        }
        let mut after = None;
        for window in 0..=cuts_ms.len() {
            let ask = LoadAsk::Window(window);
            let (first, second) = if window % 2 == 0 {
                let own = self.own.ask(&ask).await?;
                (own, self.reference_turn(&ask).await?)
            } else {
                let reference = self.reference_turn(&ask).await?;
                (reference, self.own.ask(&ask).await?)
            };
            after = second.or(first).or(after);
        }
        let used_after = self.usage().await;
        if let (Some(watch), Some(session)) = (&mut self.watch, &mut self.own.session) {
            watch.look_after(plan, session).await?;
        }
        self.own.ask(&LoadAsk::Finish).await?;
        if let Some(side) = self.reference_side() {
            let done = side.ask(&LoadAsk::Finish).await;
            self.settle(done)?;
        }
        let used = used(&used_before, &used_after);
        Ok(before
            .zip(after)
            .and_then(|(before, after)| HostUse::between(before, after, used)))
    }

    /// The reference's turn, in which the candidate's service has nothing to do.
    async fn reference_turn(&mut self, ask: &LoadAsk) -> Result<Option<HostAccount>, Stop> {
        if self.reference_side().is_none() {
            return Ok(None);
        }
        let (began, before) = (Instant::now(), self.own.app_cpu_ms().await);
        let heard = match self.reference_side() {
            Some(side) => {
                let done = side.ask(ask).await;
                self.settle(done)?
            }
            None => None,
        };
        if let Some((before, after)) = before.zip(self.own.app_cpu_ms().await) {
            self.unrest_ms += after.saturating_sub(before);
            self.rest_ms += crate::service::millis(began.elapsed());
        }
        Ok(heard)
    }

    /// Why the reference's numbers do not count although they are there: the candidate's service was in their way.
    fn unrest(&self) -> Option<String> {
        let percent = (100 * self.unrest_ms).checked_div(self.rest_ms)?;
        (percent > UNREST_PERCENT).then(|| {
            format!(
                "The candidate's service took {percent} % of a core while it was the reference's turn, \
                 {UNREST_PERCENT} % are allowed."
            )
        })
    }

    /// The reference's side, as long as nothing has stopped it.
    fn reference_side(&mut self) -> Option<&mut Side<'a>> {
        self.reference.as_mut().and_then(|(_, side)| side.as_mut().ok())
    }

    /// What stops the reference ends its turns, and only cancellation ends ours.
    fn settle<T: Default>(&mut self, done: Result<T, Stop>) -> Result<T, Stop> {
        let stop = match done {
            Ok(value) => return Ok(value),
            Err(Stop::Cancelled) => return Err(Stop::Cancelled),
            Err(stop) => stop,
        };
        if let Some((name, side)) = &mut self.reference {
            tracing::warn!(solution = %name, "the reference solution could not be measured: {}", stop.sentence());
            *side = Err(stop);
        }
        Ok(T::default())
    }

    async fn usage(&self) -> (Option<u64>, Option<Usage>) {
        let (mut cpu_ms, app) = self.own.usage().await;
        if let Some((_, Ok(side))) = &self.reference {
            let beside = side.usage().await.0;
            cpu_ms = cpu_ms.zip(beside).map(|(own, beside)| own + beside);
        }
        (cpu_ms, app)
    }

    /// Ends both sides, and says what is left of the candidate's.
    pub(super) async fn end(self, evidence: &mut CheckEvidence) -> Ended<'a> {
        let Self {
            own,
            reference,
            watch,
            ..
        } = self;
        evidence.logs.extend(own.running.logs());
        let ended = Ended {
            output: own.session.as_ref().map(Session::output).unwrap_or_default(),
            ended: own.running.app_ended().await,
            attested: own.running.attest(false).await,
            watch,
        };
        // Another measurement may follow, which nothing of this one may disturb.
        own.running.removed().await;
        if let Some((_, Ok(side))) = reference {
            side.running.removed().await;
        }
        ended
    }
}

/// What the reference's side gave, or why it gave nothing.
fn measured(side: &Result<Side<'_>, Stop>) -> Result<(LoadSummary, Blocks), String> {
    let side = side.as_ref().map_err(Stop::sentence)?;
    let summary = side.summary().filter(|summary| summary.was_set_up());
    let summary = summary.ok_or("Its users could not be made.")?;
    Ok((summary.clone(), side.blocks()))
}

async fn used_by(container: &Container) -> Option<Usage> {
    container.usage().await.ok().flatten()
}

fn used(before: &(Option<u64>, Option<Usage>), after: &(Option<u64>, Option<Usage>)) -> ContainersUse {
    ContainersUse {
        cpu_ms: after
            .0
            .zip(before.0)
            .map(|(after, before)| after.saturating_sub(before)),
        slices: after.1.zip(before.1).map(|(after, before)| {
            (
                after.slices.saturating_sub(before.slices),
                after.throttled_slices.saturating_sub(before.throttled_slices),
            )
        }),
    }
}
