//! The one way out for what happens in a run.

use assay_core::event::Event;
use tokio::sync::mpsc;

/// Most events that wait for their reader; a run has far fewer.
const CAPACITY: usize = 4096;

/// Where a run tells what happens. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Events(mpsc::Sender<Event>);

/// Two ends: the run's and the reader's.
pub fn channel() -> (Events, mpsc::Receiver<Event>) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    (Events(sender), receiver)
}

impl Events {
    /// Tells it. A reader that is slow or gone never holds up a run.
    pub fn tell(&self, event: Event) {
        if self.0.try_send(event).is_err() {
            tracing::debug!("an event found no reader");
        }
    }

    /// A check does this now.
    pub(crate) fn doing(&self, check: &str, doing: impl Into<String>) {
        self.tell(Event::CheckProgressed {
            check: check.to_owned(),
            doing: doing.into(),
        });
    }
}
