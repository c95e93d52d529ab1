//! What is done once for each user, outside the measurement: the set-up before it and the verification after it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use assay_core::load::{CheckFailure, Dice, LoadSummary, Setup, Verification};
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::progress::{Progress, Say, Tally};
use super::record::{Fate, example};
use super::script::ScriptStep;
use super::service::Service;
use super::users::User;

/// Streams of random numbers that no arrival has.
const SETUP_STREAM: u64 = 1 << 62;
const VERIFY_STREAM: u64 = 1 << 61;

/// Makes the users, some at a time; the first failure ends it.
pub(super) async fn set_up(
    service: &Service,
    steps: &[ScriptStep],
    seed: u64,
    concurrency: usize,
    say: Say<'_>,
) -> io::Result<Setup> {
    let began = Instant::now();
    let mut setup = Setup::default();
    let mut progress = Progress::of("setup", say);
    let mut waiting = service.users.iter();
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < concurrency && setup.failed.is_empty() {
            let Some(user) = waiting.next() else { break };
            under_way.push(set_up_user(service, steps, seed, user));
        }
        tokio::select! {
            ended = under_way.next() => match ended {
                None => break,
                Some((requests, outcome)) => {
                    setup.requests += requests;
                    match outcome {
                        Ok(()) => setup.users += 1,
                        Err(failure) if setup.failed.len() < LoadSummary::MAX_EXAMPLES => setup.failed.push(failure),
                        Err(_) => (),
                    }
                }
            },
            () = progress.due() => {
                let errors = u64::try_from(setup.failed.len()).unwrap_or(u64::MAX);
                progress.say(Tally { sent: setup.requests, ok: setup.requests - errors, errors })?;
            }
        }
    }
    setup.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(setup)
}

/// How many requests were made, and the failure that ended it.
async fn set_up_user(
    service: &Service,
    steps: &[ScriptStep],
    seed: u64,
    user: &RefCell<User>,
) -> (u64, Result<(), CheckFailure>) {
    let mut dice = Dice::new(seed, SETUP_STREAM | u64::from(user.borrow().number));
    let mut requests = 0;
    for step in steps {
        for _ in 0..step.repeat {
            requests += 1;
            let (_, fate) = service.ask(&step.endpoint, user, &mut dice, true).await;
            if let Err(message) = message_of(fate) {
                return (requests, Err(example(&step.endpoint.name, &message)));
            }
        }
    }
    (requests, Ok(()))
}

/// Makes the last requests for each user, one user after the other: it is no load.
pub(super) async fn verify(
    service: &Service,
    steps: &[ScriptStep],
    seed: u64,
    say: Say<'_>,
) -> io::Result<Vec<Verification>> {
    let mut progress = Progress::of("verify", say);
    let mut tally = Tally::default();
    let mut verified: BTreeMap<usize, Verification> = BTreeMap::new();
    for user in &service.users {
        let mut dice = Dice::new(seed, VERIFY_STREAM | u64::from(user.borrow().number));
        for (i, step) in steps.iter().enumerate() {
            let name = step.endpoint.name.clone();
            let all = verified.entry(i).or_insert_with(|| Verification {
                name,
                passed: 0,
                failed: 0,
                examples: Vec::new(),
            });
            for _ in 0..step.repeat {
                let ask = service.ask(&step.endpoint, user, &mut dice, true);
                tokio::pin!(ask);
                let (_, fate) = loop {
                    tokio::select! {
                        outcome = &mut ask => break outcome,
                        () = progress.due() => progress.say(tally)?,
                    }
                };
                tally.sent += 1;
                match message_of(fate) {
                    Ok(()) => (all.passed, tally.ok) = (all.passed + 1, tally.ok + 1),
                    Err(message) => {
                        (all.failed, tally.errors) = (all.failed + 1, tally.errors + 1);
                        if all.examples.len() < LoadSummary::MAX_EXAMPLES {
                            let name = format!("{}, user {}", step.endpoint.name, user.borrow().number);
                            all.examples.push(example(&name, &message));
                        }
                    }
                }
            }
        }
    }
    Ok(verified.into_values().collect())
}

fn message_of(fate: Fate) -> Result<(), String> {
    match fate {
        Fate::Ok { .. } => Ok(()),
        Fate::Error { message, .. } => Err(message),
        Fate::Dropped | Fate::Unsent => Err("it was never sent".to_owned()),
    }
}
