//! What people see while a run goes on: one line that moves on a terminal, plain lines elsewhere, JSON where a program reads.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Instant;

use assay_core::event::Event;
use assay_core::report::CheckStatus;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// For people: a terminal's spinner, or lines.
    Text,
    /// One JSON object per line on standard output.
    Json,
    /// Nothing.
    Quiet,
}

/// Writes a line to standard output. A closed pipe is not an error of ours.
pub(crate) fn say(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

/// Writes a line to standard error.
pub(crate) fn complain(line: &str) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

/// Shows events until the run has told its last one, from a thread of its own: a terminal that is held up holds nothing else up.
pub(crate) fn show(mut events: Receiver<Event>, style: Style) -> JoinHandle<()> {
    tokio::task::spawn_blocking(move || {
        let mut lines = Lines::new(style == Style::Text && std::io::stderr().is_terminal());
        while let Some(event) = events.blocking_recv() {
            match style {
                Style::Quiet => (),
                Style::Json => say(&serde_json::to_string(&event).unwrap_or_default()),
                Style::Text => lines.show(&event),
            }
        }
        lines.clear();
    })
}

/// An event that is worth a line of its own.
pub(crate) fn text(event: &Event) -> Option<String> {
    Some(match event {
        Event::RunQueued => "queued".to_owned(),
        Event::RunTaken { worker, execution: 1 } => format!("taken by {worker}"),
        Event::RunTaken { worker, execution } => format!("taken by {worker}, execution {execution}"),
        Event::RunGivenBack { reason } => format!("queued again: {reason}"),
        Event::RunStarted {
            run,
            exercise,
            repository,
        } => format!("run {run}: {exercise} from {repository}"),
        Event::SourceRead {
            commit,
            n_files,
            n_bytes,
            n_left_out,
        } => {
            let short: String = commit.chars().take(10).collect();
            let left_out = if *n_left_out > 0 {
                format!(", {n_left_out} left out")
            } else {
                String::new()
            };
            format!(
                "commit {short}: {n_files} files, {} KiB{left_out}",
                n_bytes.div_ceil(1024)
            )
        }
        Event::CheckFinished {
            check,
            status,
            duration_ms,
            summary,
            ..
        } => {
            let word = match status {
                CheckStatus::Passed => "passed    ",
                CheckStatus::Failed => "failed    ",
                CheckStatus::NotScored => "not scored",
            };
            let seconds = *duration_ms as f64 / 1000.0;
            format!("{check:<12} {word} {seconds:>6.1} s  {summary}")
        }
        Event::RunEnded { outcome, reason } if reason.is_empty() => format!("ended: {}", outcome.name()),
        Event::RunEnded { outcome, reason } => format!("ended: {}: {reason}", outcome.name()),
        Event::CheckStarted { .. }
        | Event::CheckProgressed { .. }
        | Event::RunScored { .. }
        | Event::RunFinished { .. } => return None,
    })
}

/// One spinner per running check on a terminal; one line per event elsewhere.
struct Lines {
    began: Instant,
    spinners: Option<MultiProgress>,
    running: BTreeMap<String, ProgressBar>,
}

impl Lines {
    fn new(on_terminal: bool) -> Self {
        Self {
            began: Instant::now(),
            spinners: on_terminal.then(MultiProgress::new),
            running: BTreeMap::new(),
        }
    }

    fn show(&mut self, event: &Event) {
        match event {
            Event::CheckStarted { check } => self.start(check),
            Event::CheckProgressed { check, doing } => self.progress(check, doing),
            Event::CheckFinished { check, .. } => {
                if let Some(spinner) = self.running.remove(check) {
                    spinner.finish_and_clear();
                }
            }
            _ => (),
        }
        if let Some(text) = text(event) {
            self.line(&text);
        }
    }

    fn start(&mut self, check: &str) {
        if let Some(spinners) = &self.spinners {
            let style = ProgressStyle::with_template("{spinner} {prefix:<12} {elapsed:>4} {msg}");
            let spinner = spinners.add(ProgressBar::new_spinner());
            spinner.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            spinner.set_prefix(check.to_owned());
            spinner.enable_steady_tick(std::time::Duration::from_millis(120));
            self.running.insert(check.to_owned(), spinner);
        }
    }

    fn progress(&mut self, check: &str, doing: &str) {
        match self.running.get(check) {
            Some(spinner) => spinner.set_message(doing.to_owned()),
            None => self.line(&format!("{check:<12} {doing}")),
        }
    }

    fn line(&self, line: &str) {
        match &self.spinners {
            Some(spinners) => drop(spinners.println(line)),
            None => complain(&format!("[{:>6.1} s] {line}", self.began.elapsed().as_secs_f64())),
        }
    }

    fn clear(&mut self) {
        for spinner in std::mem::take(&mut self.running).into_values() {
            spinner.finish_and_clear();
        }
    }
}
