//! The service under load as the generator sees it: its users, the connections to it, and one request at a time.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use assay_core::load::{Dice, ErrorKind};

use super::connection::Reading;
use super::connections::Connections;
use super::record::Fate;
use super::script::Endpoint;
use super::users::User;

/// Users and connections, with the limits of the plan.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) connections: Connections,
    pub(super) users: Vec<RefCell<User>>,
    pub(super) timeout: Duration,
    pub(super) max_body: u64,
    /// The last `${seq}`.
    pub(super) seq: Cell<u64>,
}

impl Service {
    /// Makes one request for a user and judges the answer; in full, or by its status alone. Says also when it ended.
    pub(super) async fn ask(
        &self,
        endpoint: &Endpoint,
        user: &RefCell<User>,
        dice: &mut Dice,
        in_full: bool,
    ) -> (Instant, Fate) {
        let mut seq = self.seq.get();
        let prepared = endpoint.prepare(&mut user.borrow_mut(), &mut seq, dice, in_full);
        self.seq.set(seq);
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                return (
                    Instant::now(),
                    failed(ErrorKind::NoData, None, Duration::ZERO, error.to_string()),
                );
            }
        };
        let reading = Reading {
            max_body_bytes: self.max_body,
            keep: in_full || endpoint.needs_answer(),
        };
        let asked = Instant::now();
        let answer = match self
            .connections
            .exchange(&prepared.request, self.timeout, reading)
            .await
        {
            Ok(answer) => answer,
            Err(none) => {
                endpoint.lost(&mut user.borrow_mut(), none.kind);
                let fate = failed(
                    none.kind,
                    None,
                    none.done.saturating_duration_since(asked),
                    none.message,
                );
                return (none.done, fate);
            }
        };
        let status = answer.received.status;
        let service = answer.done.saturating_duration_since(answer.sent);
        let fate = match endpoint.accept(&mut user.borrow_mut(), prepared.checks.as_ref(), &answer.received) {
            Ok(()) => Fate::Ok {
                status,
                service,
                checked: in_full,
            },
            Err((kind, message)) => failed(kind, Some(status), service, message),
        };
        (answer.done, fate)
    }
}

const fn failed(kind: ErrorKind, status: Option<u16>, service: Duration, message: String) -> Fate {
    Fate::Error {
        kind,
        status,
        service,
        message,
    }
}
