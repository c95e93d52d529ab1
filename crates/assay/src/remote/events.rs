//! A run's events from a daemon, as a stream that goes on where it broke off.

use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::{Client, Part};

/// Longest line of a stream, in bytes.
const MAX_LINE: usize = 1 << 20;
/// How long nothing may come before the stream counts as broken; the daemon says something every few seconds.
const SILENCE: Duration = Duration::from_secs(60);
/// How often a broken stream is opened again without any event in between.
const MOST_TRIES: u32 = 5;
/// Pause before a broken stream is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// A stored event, as far as the command line reads it.
#[derive(Debug, Deserialize)]
pub(crate) struct Told {
    pub(crate) seq: i64,
    pub(crate) at_ms: i64,
    pub(crate) event: assay_core::event::Event,
}

impl Told {
    fn read(data: &str) -> anyhow::Result<Self> {
        serde_json::from_str(data).context("an event is of a form that this program does not know")
    }
}

/// Gives every event of a run that there is by now to `tell`.
pub(crate) async fn so_far(
    client: &Client,
    run: &str,
    tell: &mut dyn FnMut(&Told, &str),
) -> anyhow::Result<()> {
    let mut after = 0;
    loop {
        let part: Part = client
            .get(&format!("/api/v1/runs/{run}/events?after={after}"))
            .await?;
        for row in part.rows {
            let data = row.to_string();
            let told = Told::read(&data)?;
            after = told.seq;
            tell(&told, &data);
        }
        if part.next.is_none() {
            return Ok(());
        }
    }
}

/// Gives every event of a run to `tell`, until its last one, or until cancelled.
pub(crate) async fn follow(
    client: &Client,
    run: &str,
    cancel: &CancellationToken,
    tell: &mut dyn FnMut(&Told, &str),
) -> anyhow::Result<()> {
    let path = format!("/api/v1/runs/{run}/events");
    let mut seen = 0;
    let mut n_tries = 0;
    loop {
        let before = seen;
        let ended = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            ended = read(client, &path, &mut seen, tell) => ended,
        };
        match ended {
            Ok(true) => return Ok(()),
            Ok(false) => (),
            // Refused from the start: no second try mends that.
            Err(error) if seen == 0 => return Err(error),
            Err(error) => tracing::debug!("the stream broke off: {error:#}"),
        }
        n_tries = if seen > before { 1 } else { n_tries + 1 };
        anyhow::ensure!(
            n_tries < MOST_TRIES,
            "the daemon breaks the stream off again and again"
        );
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(PAUSE) => (),
        }
    }
}

/// Reads one stream to its end. True: the run's last event was in it.
async fn read(
    client: &Client,
    path: &str,
    seen: &mut i64,
    tell: &mut dyn FnMut(&Told, &str),
) -> anyhow::Result<bool> {
    let mut response = client.open(path, *seen).await?;
    let mut lines = Lines::default();
    loop {
        let chunk = tokio::time::timeout(SILENCE, response.chunk())
            .await
            .context("the daemon is silent")?
            .context("the stream broke off")?;
        let Some(chunk) = chunk else { return Ok(false) };
        for data in lines.take(&chunk)? {
            let told: Told = serde_json::from_str(&data)
                .context("an event is of a form that this program does not know")?;
            if told.seq <= *seen {
                continue;
            }
            *seen = told.seq;
            tell(&told, &data);
            if matches!(told.event, assay_core::event::Event::RunEnded { .. }) {
                return Ok(true);
            }
        }
    }
}

/// Bytes of a stream, cut into the data of its events.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
    data: String,
}

impl Lines {
    fn take(&mut self, chunk: &[u8]) -> anyhow::Result<Vec<String>> {
        self.rest.extend_from_slice(chunk);
        let mut events = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if let Some(data) = line.strip_prefix("data:") {
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            } else if line.is_empty() && !self.data.is_empty() {
                events.push(std::mem::take(&mut self.data));
            }
        }
        anyhow::ensure!(
            self.rest.len() + self.data.len() <= MAX_LINE,
            "the daemon sends an endless line"
        );
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_the_bytes_are_cut() {
        let stream = b": hello\n\nid: 1\nevent: x\ndata: {\"a\":1}\n\nid: 2\r\ndata:{\"b\":\r\ndata: 2}\r\n\r\ndata: cut";
        for size in 1..stream.len() {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for chunk in stream.chunks(size) {
                found.extend(lines.take(chunk).unwrap());
            }
            assert_eq!(found, ["{\"a\":1}", "{\"b\":2}"], "in pieces of {size}");
        }
        assert!(Lines::default().take(&vec![b'x'; MAX_LINE + 1]).is_err());
    }
}
