//! What is done once for each user, outside the measurement: the set-up before it and the verification after it.

use std::cell::RefCell;
use std::io;
use std::time::Instant;

use assay_core::load::{CheckFailure, Dice, ErrorKind, LoadSummary, Setup, Verification};
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::progress::{Progress, Say, Tally};
use super::record::{Fate, example};
use super::script::ScriptStep;
use super::service::Service;
use super::users::User;

/// Streams of random numbers that no arrival has.
const SETUP_STREAM: u64 = 1 << 62;
const VERIFY_STREAM: u64 = 1 << 61;

/// A list of steps, to be done for each user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps<'a> {
    pub(super) service: &'a Service,
    pub(super) steps: &'a [ScriptStep],
    pub(super) seed: u64,
    /// Users at the same time.
    pub(super) concurrency: usize,
}

fn is_without_record(fate: &Fate) -> bool {
    matches!(
        fate,
        Fate::Error {
            kind: ErrorKind::NoData,
            ..
        }
    )
}

/// What came of one request of one user.
struct Done {
    step: usize,
    failure: Option<CheckFailure>,
    /// No answer came in time.
    late: bool,
}

impl Steps<'_> {
    /// Makes the users; the first failure ends it.
    pub(super) async fn set_up(self, say: Say<'_>) -> io::Result<Setup> {
        let began = Instant::now();
        let mut setup = Setup::default();
        let all = self.walk(SETUP_STREAM, true, Progress::of("setup", say));
        let all = all.await?;
        let mut failed = all
            .iter()
            .flatten()
            .filter(|done| done.failure.is_some())
            .peekable();
        setup.late = failed.peek().is_some() && failed.all(|done| done.late);
        for done in all {
            setup.requests += u64::try_from(done.len()).unwrap_or(u64::MAX);
            match done.into_iter().find_map(|done| done.failure) {
                None => setup.users += 1,
                Some(failure) if setup.failed.len() < LoadSummary::MAX_EXAMPLES => setup.failed.push(failure),
                Some(_) => (),
            }
        }
        setup.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(setup)
    }

    /// Makes the last requests for each user.
    pub(super) async fn verify(self, say: Say<'_>) -> io::Result<Vec<Verification>> {
        let named = |step: &ScriptStep| Verification {
            name: step.endpoint.name.clone(),
            passed: 0,
            failed: 0,
            examples: Vec::new(),
        };
        let mut verified: Vec<Verification> = self.steps.iter().map(named).collect();
        let all = self.walk(VERIFY_STREAM, false, Progress::of("verify", say));
        for of_user in all.await? {
            for (i, verified) in verified.iter_mut().enumerate() {
                let mut of_step = of_user.iter().filter(|done| done.step == i).peekable();
                if of_step.peek().is_none() {
                    continue;
                }
                let Some(failure) = of_step.find_map(|done| done.failure.clone()) else {
                    verified.passed += 1;
                    continue;
                };
                verified.failed += 1;
                if verified.examples.len() < LoadSummary::MAX_EXAMPLES {
                    verified.examples.push(failure);
                }
            }
        }
        Ok(verified)
    }

    /// Does the steps for all users, some at a time, and says for each user what came of each request.
    async fn walk(
        self,
        stream: u64,
        end_at_failure: bool,
        mut progress: Progress<'_>,
    ) -> io::Result<Vec<Vec<Done>>> {
        let mut waiting = self.service.users.iter();
        let mut under_way = FuturesUnordered::new();
        let (mut all, mut tally) = (Vec::new(), Tally::default());
        loop {
            while under_way.len() < self.concurrency && !(end_at_failure && tally.errors > 0) {
                let Some(user) = waiting.next() else { break };
                under_way.push(self.walk_user(user, stream, end_at_failure));
            }
            tokio::select! {
                ended = under_way.next() => {
                    let Some(done) = ended else { return Ok(all) };
                    for Done { failure, .. } in &done {
                        tally.sent += 1;
                        *if failure.is_none() { &mut tally.ok } else { &mut tally.errors } += 1;
                    }
                    all.push(done);
                }
                () = progress.due() => progress.say(tally)?,
            }
        }
    }

    /// In the verification a user of whom no record is left to ask about is done with the step.
    async fn walk_user(self, user: &RefCell<User>, stream: u64, end_at_failure: bool) -> Vec<Done> {
        let number = user.borrow().number;
        let mut dice = Dice::new(self.seed, stream | u64::from(number));
        let mut all = Vec::new();
        for (i, step) in self.steps.iter().enumerate() {
            for _ in 0..step.repeat {
                let (_, fate) = self.service.ask(&step.endpoint, user, &mut dice, true).await;
                if !end_at_failure && is_without_record(&fate) {
                    break;
                }
                let late = matches!(
                    fate,
                    Fate::Error {
                        kind: ErrorKind::Timeout,
                        ..
                    }
                );
                let failure = match fate {
                    Fate::Ok { .. } => None,
                    Fate::Error { message, .. } => Some(message),
                    Fate::Dropped | Fate::Unsent => Some("it was never sent".to_owned()),
                };
                let failed = failure.is_some();
                let named =
                    |message: String| example(&step.endpoint.name, &format!("user {number}: {message}"));
                all.push(Done {
                    step: i,
                    failure: failure.map(named),
                    late,
                });
                if failed && end_at_failure {
                    return all;
                }
            }
        }
        all
    }
}
