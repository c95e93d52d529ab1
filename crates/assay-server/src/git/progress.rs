//! What the pushing terminal sees of a run, while it waits.

use std::time::Duration;

use assay_core::exercise::Check;
use assay_core::queue::RunState;
use assay_core::report::candidate;
use assay_git::host::{KEEPALIVE, remark};
use assay_store::model::{Assignment, Run};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::remarks;
use crate::{App, live};

/// How often something is said, so that nobody in between hangs up.
const SAY_SOMETHING: Duration = Duration::from_secs(5);

/// How often the place in the queue is looked at.
const LOOK_AT_QUEUE: Duration = Duration::from_secs(1);

/// How long a client may take no line.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// Shows these lines at once and then what becomes of the run, until it ends, the client goes away, the daemon drains or the
/// settings say that it is enough. The run does not notice.
pub(super) async fn show(
    app: &App,
    assignment: &Assignment,
    lines: &[String],
    run: Option<&Run>,
    to: &mpsc::Sender<Vec<u8>>,
) {
    let page = format!("{}/my/{}", app.settings().public_url, assignment.id);
    let mut all = vec![String::new()];
    all.extend_from_slice(lines);
    if run.is_some() {
        all.push(remarks::follow(&page));
    }
    if !tell(to, &all).await {
        return;
    }
    if let Some(run) = run {
        let how = follow(app, assignment, run, to).await;
        let last = match how {
            Followed::ToItsEnd => remarks::ended(&assignment.terms()),
            Followed::Enough => vec![remarks::goes_on(&page)],
            Followed::Alone => return,
        };
        tell(to, &last).await;
    }
}

enum Followed {
    /// The run has ended.
    ToItsEnd,
    /// The run goes on, and we do not.
    Enough,
    /// The client went away.
    Alone,
}

async fn follow(app: &App, assignment: &Assignment, run: &Run, to: &mpsc::Sender<Vec<u8>>) -> Followed {
    let exercise = app.exercises().get(&assignment.exercise);
    let checks: &[Check] = exercise.as_ref().map_or(&[], |exercise| &exercise.spec.checks);
    let deadline = Instant::now() + app.settings().push_progress;
    let mut events = std::pin::pin!(live::events(app, run.id.clone(), 0));
    let mut queue = interval(LOOK_AT_QUEUE);
    queue.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut waits, mut place) = (run.state == RunState::Queued, None);
    let mut silent_since = Instant::now();
    loop {
        let lines = tokio::select! {
            biased;
            () = to.closed() => return Followed::Alone,
            () = tokio::time::sleep_until(deadline) => return Followed::Enough,
            event = events.next() => match event {
                Some(Ok(event)) => {
                    waits = remarks::waits_after(&event.event).unwrap_or(waits);
                    let seen = candidate::event(&event.event, checks);
                    let lines = seen.map(|event| remarks::of_event(&event)).unwrap_or_default();
                    if matches!(event.event, assay_core::event::Event::RunEnded { .. }) {
                        tell(to, &lines).await;
                        return Followed::ToItsEnd;
                    }
                    lines
                }
                Some(Err(error)) => {
                    tracing::warn!(run = %run.id, %error, "cannot follow run {}: {error}", run.id);
                    return Followed::Enough;
                }
                None => return Followed::Enough,
            },
            _ = queue.tick(), if waits => match app.store().queue_position(&run.id).await {
                Ok(now) if now != place => {
                    place = now;
                    now.map(remarks::place).into_iter().collect()
                }
                // The event stream notices what is wrong.
                Ok(_) | Err(_) => Vec::new(),
            },
            () = tokio::time::sleep_until(silent_since + SAY_SOMETHING) => {
                silent_since = Instant::now();
                if !send(to, KEEPALIVE.to_vec()).await {
                    return Followed::Alone;
                }
                continue;
            }
        };
        if !lines.is_empty() {
            silent_since = Instant::now();
            if !tell(to, &lines).await {
                return Followed::Alone;
            }
        }
    }
}

/// False when nobody is there any more.
async fn tell(to: &mpsc::Sender<Vec<u8>>, lines: &[String]) -> bool {
    send(to, lines.iter().flat_map(|line| remark(line)).collect()).await
}

async fn send(to: &mpsc::Sender<Vec<u8>>, bytes: Vec<u8>) -> bool {
    bytes.is_empty()
        || matches!(
            tokio::time::timeout(TAKEN_WITHIN, to.send(bytes)).await,
            Ok(Ok(()))
        )
}
