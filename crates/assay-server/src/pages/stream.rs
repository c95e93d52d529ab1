//! Parts of a page that are sent anew when something changes, as server-sent events.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;

use crate::{App, Problem};

/// How often what is shown may change.
const PAUSE: Duration = Duration::from_millis(300);
/// How long a stream waits for a change of this process before it looks for one of another, and for time that passed.
const LOOK: Duration = Duration::from_secs(1);
/// How long a stream lives. Browsers come back by themselves.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// What a stream sends: the part as HTML, and whether it will ever change again.
pub(super) struct Part {
    pub(super) html: String,
    pub(super) is_last: bool,
}

/// Sends `who` the part whenever it has changed, until it is the last one, nobody listens, or the daemon drains.
pub(super) fn stream<F, R>(app: &App, who: &str, render: F) -> Result<Response, Problem>
where
    F: Fn() -> R + Send + 'static,
    R: Future<Output = Result<Part, Problem>> + Send,
{
    let watching = app.limits().watch(who)?;
    let (sender, receiver) = mpsc::channel::<Result<Event, Infallible>>(1);
    let mut changes = app.store().changed();
    let shutdown = app.shutdown().clone();
    let end = Instant::now() + LONGEST;
    app.tasks().spawn(async move {
        let _watching = watching;
        let mut shown = String::new();
        loop {
            changes.mark_unchanged();
            let Ok(part) = render().await else { break };
            if part.html != shown {
                let event = Event::default().data(&part.html);
                let sent = tokio::select! {
                    sent = sender.send(Ok(event)) => sent.is_ok(),
                    () = shutdown.cancelled() => false,
                    () = sleep_until(end) => false,
                };
                if !sent {
                    break;
                }
                shown = part.html;
            }
            if part.is_last {
                // The client's own word for not coming back.
                let done = Event::default().event("done").data("");
                let _ = timeout(LOOK, sender.send(Ok(done))).await;
                break;
            }
            tokio::select! {
                () = async {
                    sleep(PAUSE).await;
                    let _ = timeout(LOOK, changes.changed()).await;
                } => (),
                () = sender.closed() => break,
                () = shutdown.cancelled() => break,
                () = sleep_until(end) => break,
            }
        }
    });
    let alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(ReceiverStream::new(receiver))
        .keep_alive(alive)
        .into_response())
}
