//! Passes a process's output on, within its cap.

use std::collections::VecDeque;

use assay_core::agent::{Base64, MAX_CHUNK_BYTES, Message, OutputCap, Stream, WhenFull};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};

use super::Outbox;

/// Bytes asked for in one read.
const READ_BYTES: usize = 32 << 10;

/// The most that a pipe can hold for a user without privileges.
const MAX_PIPE_BYTES: usize = 1 << 20;

/// One of a process's output streams.
pub(super) struct Pump {
    pub(super) id: u64,
    pub(super) stream: Stream,
    pub(super) cap: OutputCap,
    pub(super) outbox: Outbox,
    /// Told once when more has come than the cap holds and the process is to be stopped for it.
    pub(super) full: mpsc::Sender<()>,
    /// Becomes true when no more output is wanted.
    pub(super) finish: watch::Receiver<bool>,
}

impl Pump {
    /// Reads until the stream ends or no more is wanted, then passes on what was kept back.
    pub(super) async fn run(mut self, mut pipe: pipe::Receiver) {
        let mut kept = Kept::new(self.cap);
        let mut bytes = vec![0; READ_BYTES];
        loop {
            let blocked = kept.omitted > 0 && self.cap.when_full == WhenFull::Block;
            let read = tokio::select! {
                biased;
                read = pipe.read(&mut bytes), if !blocked => Some(read),
                // An error means that the process's task is gone, and then nobody wants more either.
                _ = self.finish.wait_for(|finish| *finish) => None,
            };
            match read {
                Some(Ok(n @ 1..)) => self.pass_on(&mut kept, &bytes[..n]).await,
                Some(_) => break,
                None => {
                    self.last_words(&pipe, &mut kept, &mut bytes).await;
                    break;
                }
            }
        }
        if kept.omitted > 0 {
            let omitted = Message::Omitted {
                id: self.id,
                stream: self.stream,
                bytes: kept.omitted,
            };
            drop(self.outbox.send(omitted).await);
        }
        let tail = Vec::from(kept.tail);
        for chunk in tail.chunks(MAX_CHUNK_BYTES) {
            self.say(chunk.to_vec()).await;
        }
    }

    async fn pass_on(&self, kept: &mut Kept, bytes: &[u8]) {
        let was_full = kept.omitted > 0;
        self.say(kept.take(bytes).to_vec()).await;
        if kept.omitted > 0 && !was_full && self.cap.when_full == WhenFull::Kill {
            // The one place is taken when the other stream was full first.
            self.full.try_send(()).ok();
        }
    }

    /// Takes what is in the pipe, but does not wait for more.
    async fn last_words(&self, pipe: &pipe::Receiver, kept: &mut Kept, bytes: &mut [u8]) {
        let mut left = MAX_PIPE_BYTES;
        while let Ok(n @ 1..) = pipe.try_read(bytes) {
            self.pass_on(kept, &bytes[..n]).await;
            left = left.saturating_sub(n);
            if left == 0 {
                return;
            }
        }
    }

    async fn say(&self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            let message = Message::Output {
                id: self.id,
                stream: self.stream,
                data: Base64(bytes),
            };
            drop(self.outbox.send(message).await);
        }
    }
}

/// What has become of the bytes so far.
struct Kept {
    head_left: u64,
    tail_bytes: u64,
    tail: VecDeque<u8>,
    omitted: u64,
}

impl Kept {
    fn new(cap: OutputCap) -> Self {
        Self {
            head_left: cap.head_bytes,
            tail_bytes: cap.tail_bytes,
            tail: VecDeque::new(),
            omitted: 0,
        }
    }

    /// Takes the next bytes and returns the first of them, which still belong to the head.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let head = usize::try_from(self.head_left)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let (head, rest) = bytes.split_at(head);
        self.head_left -= head.len() as u64;
        self.tail.extend(rest);
        let room = usize::try_from(self.tail_bytes).unwrap_or(usize::MAX);
        let excess = self.tail.len().saturating_sub(room);
        self.tail.drain(..excess);
        self.omitted += excess as u64;
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_tail_are_kept_and_the_middle_is_counted() {
        // Head, tail, writes, then what of each write goes on at once, what is kept back, and how much is left out.
        for (head, tail, writes, passed, kept_back, omitted) in [
            (3, 2, vec!["ab"], vec!["ab"], "", 0),
            (3, 2, vec!["ab", "cde"], vec!["ab", "c"], "de", 0),
            (3, 2, vec!["abcdefg", "hi"], vec!["abc", ""], "hi", 4),
            (0, 0, vec!["abc"], vec![""], "", 3),
        ] {
            let cap = OutputCap {
                head_bytes: head,
                tail_bytes: tail,
                when_full: WhenFull::Drop,
            };
            let mut kept = Kept::new(cap);
            let now: Vec<_> = writes.iter().map(|bytes| kept.take(bytes.as_bytes())).collect();
            assert_eq!(
                now,
                passed.iter().map(|bytes| bytes.as_bytes()).collect::<Vec<_>>()
            );
            assert_eq!(Vec::from(kept.tail), kept_back.as_bytes());
            assert_eq!(kept.omitted, omitted);
        }
    }
}
