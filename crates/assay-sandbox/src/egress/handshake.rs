//! How far a TLS handshake got, from the records that pass by. Their headers are never encrypted.

/// An encrypted alert is 19 bytes long, padded ones a little more; the end of a client's handshake at least 53.
const ALERT_OR_LESS_BYTES: usize = 32;
/// Content types of records.
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// The type of a handshake's first message.
const CLIENT_HELLO: u8 = 1;

/// How far a handshake got, least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Handshake {
    /// The client began none.
    #[default]
    None,
    /// The client began, and the server did not answer.
    Unanswered,
    /// The server answered with something else than its part of the handshake.
    Refused,
    /// The server did its part, and the client did not go on: above all it does so when it does not trust the certificate.
    Abandoned,
    /// The client accepted the server.
    Completed,
}

/// Follows one connection.
#[derive(Debug, Default)]
pub(super) struct Observer {
    client: Records,
    server: Records,
    state: Handshake,
}

impl Observer {
    /// How far it is after these bytes from the client.
    pub(super) fn client_said(&mut self, bytes: &[u8]) -> Handshake {
        let state = &mut self.state;
        if *state == Handshake::Completed {
            return *state;
        }
        self.client.feed(bytes, |record| match (*state, record.kind) {
            (Handshake::None, HANDSHAKE) if record.first == CLIENT_HELLO => *state = Handshake::Unanswered,
            // TLS 1.2 goes on in the clear. A second hello is only another try.
            (Handshake::Abandoned, HANDSHAKE) if record.first != CLIENT_HELLO => {
                *state = Handshake::Completed
            }
            // TLS 1.3 goes on encrypted; so is an alert, which shows by its length alone.
            (Handshake::Abandoned, APPLICATION_DATA) if record.bytes > ALERT_OR_LESS_BYTES => {
                *state = Handshake::Completed;
            }
            _ => (),
        });
        self.state
    }

    /// How far it is after these bytes from the server.
    pub(super) fn server_said(&mut self, bytes: &[u8]) -> Handshake {
        let state = &mut self.state;
        if *state != Handshake::Unanswered {
            return *state;
        }
        self.server.feed(bytes, |record| {
            if *state == Handshake::Unanswered {
                *state = match record.kind {
                    HANDSHAKE => Handshake::Abandoned,
                    _ => Handshake::Refused,
                };
            }
        });
        self.state
    }
}

/// A record's header, and the first byte of what it holds.
struct Record {
    kind: u8,
    bytes: usize,
    first: u8,
}

/// Finds records in a stream that comes in pieces.
#[derive(Debug, Default)]
struct Records {
    head: Vec<u8>,
    skip: usize,
}

impl Records {
    /// A header and one byte more.
    const HEAD_BYTES: usize = 6;

    fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(Record)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let missing = (Self::HEAD_BYTES - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            let &[kind, _, _, high, low, first] = self.head.as_slice() else {
                return;
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            found(Record {
                kind,
                bytes: length,
                first,
            });
            self.skip = length.saturating_sub(1);
            self.head.clear();
        }
    }
}

#[cfg(test)]
mod tests;
