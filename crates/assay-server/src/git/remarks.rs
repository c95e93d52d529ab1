//! What the terminal of somebody who pushes shows, line by line. Pure. Git colours what begins with `success:`, `warning:`,
//! `error:` and `hint:`.

use assay_core::assignment::{AssignmentState, KeptOnly, Refused, Terms, Weight};
use assay_core::event::Event;
use assay_core::exercise::SubmitOn;
use assay_core::fault::Whose;
use assay_core::queue::Outcome;
use assay_core::report::CheckStatus;
use assay_git::display::one_line;
use assay_report::number;
use assay_store::model::Run;

/// Longest text that comes from a check, in characters.
const MAX_TEXT: usize = 200;

/// What went wrong is nothing that a candidate could mend.
pub(super) const OURS: &str = "Something of ours failed; it is in the server's log. Try again in a minute.";

/// The store was away.
pub(super) const KEPT_FOR_LATER: &str =
    "warning: Your push is kept. It could not be queued now and will be, without a new push.";

fn moment(ms: i64) -> String {
    number::moment(ms.div_euclid(1000)).map_or_else(|| "an unknown time".to_owned(), |moment| moment.person)
}

fn short_commit(commit: &str) -> String {
    commit.chars().take(7).collect()
}

/// Why nothing can be pushed, beside each reference.
pub(super) fn short(why: &Refused) -> &'static str {
    match why {
        Refused::Late { .. } => "the due date has passed",
        Refused::NotOpen(_) => "the assignment is closed",
    }
}

/// Why nothing can be pushed. `last` is the commit of the last submission.
pub(super) fn refused(why: &Refused, last: Option<&str>) -> Vec<String> {
    let closed = match why {
        Refused::Late { due_at_ms } => format!("This assignment was due at {}.", moment(*due_at_ms)),
        Refused::NotOpen(AssignmentState::Open | AssignmentState::Closed) => {
            "This assignment was closed by the interviewers.".to_owned()
        }
        Refused::NotOpen(AssignmentState::Archived | AssignmentState::Erased) => {
            "This assignment is over.".to_owned()
        }
    };
    let counts = match last {
        Some(commit) => format!(
            "Your last push ({}) is the one that counts; you can still fetch.",
            short_commit(commit)
        ),
        None => "Nothing was pushed in time; you can still fetch.".to_owned(),
    };
    vec![closed, counts]
}

/// A run was queued. `n_superseded` that still waited gave way to it.
pub(super) fn submitted(exercise: &str, run: &Run, n_superseded: usize) -> Vec<String> {
    let mut lines = vec![format!(
        "Assay: {exercise}, run {}, commit {}",
        run.number,
        short_commit(&run.commit)
    )];
    if n_superseded > 0 {
        lines.push("It takes the place of your push that still waited, which costs nothing.".to_owned());
    }
    lines
}

/// Something was kept and is not checked.
pub(super) fn kept(exercise: &str, id: &str) -> Vec<String> {
    vec![format!("Assay: {exercise}, {} is kept", short_commit(id))]
}

/// A tag that leads to no commit.
pub(super) fn no_commit(reference: &str) -> Vec<String> {
    let reference = one_line(reference.as_bytes(), MAX_TEXT);
    vec![format!(
        "warning: {reference} is kept and not checked: it leads to no commit. It costs nothing."
    )]
}

/// The graded branch was to lose commits.
pub(super) fn rewrites() -> Vec<String> {
    vec![
        "hint: main only moves forward here, a forced push does not change that.".to_owned(),
        "hint: Put your commits on top: git pull --rebase, then push again.".to_owned(),
    ]
}

/// What a push costs.
pub(super) fn cost(weight: &Weight) -> Vec<String> {
    match weight {
        Weight::Submission {
            attempt,
            of: Some(of),
        } => vec![
            format!("This is attempt {attempt} of {of}."),
            "An attempt that fails through no fault of yours is given back.".to_owned(),
        ],
        Weight::Submission { of: None, .. } => {
            vec!["It costs nothing: you may push as often as you like.".to_owned()]
        }
        Weight::KeptOnly(KeptOnly::NotATag) => vec![
            "It costs nothing and is not checked: only tags are submissions here.".to_owned(),
            "hint: To submit: git tag v1 && git push origin v1".to_owned(),
        ],
        Weight::KeptOnly(KeptOnly::NotTheBranch) => vec![
            "It costs nothing and is not checked: pushes of main are submissions here.".to_owned(),
            "hint: To submit: git push origin HEAD:main".to_owned(),
        ],
        Weight::KeptOnly(KeptOnly::NoAttemptsLeft { of }) => {
            vec![format!("warning: It is not checked: all {of} attempts are used.")]
        }
        Weight::Refused(why) => vec![format!("warning: It is not checked: {}.", short(why))],
    }
}

/// What a candidate should know before the first push, as a part of a repository's README: what is a submission, what it
/// costs, until when.
pub fn how_to_submit(terms: &Terms) -> String {
    let mut text = "## How to submit\n\n".to_owned();
    text += match terms.submit_on {
        SubmitOn::Push => {
            "Every push of `main` is a submission: `git push origin main`. Tags are kept and cost nothing.\n"
        }
        SubmitOn::Tag => {
            "A pushed tag is a submission: `git tag v1 && git push origin v1`. Pushes of `main` are kept and cost nothing.\n"
        }
    };
    text += &match terms.attempts {
        Some(1) => "You have one attempt. It is given back when it fails through no fault of yours, and when you push \
                    again before it began.\n"
            .to_owned(),
        Some(of) => format!(
            "You have {of} attempts. One that fails through no fault of yours is given back, and so is one that had not \
             begun when you pushed again.\n"
        ),
        None => "You may submit as often as you like.\n".to_owned(),
    };
    if let Some(due_at_ms) = terms.due_at_ms {
        text += &format!(
            "The last moment for a push is {}, unless you were told otherwise.\n",
            moment(due_at_ms)
        );
    }
    text += "\nA push is always kept. The terminal shows what it costs and how its checks go; interrupting it cancels \
             nothing.\n";
    text
}

/// Where to look.
pub(super) fn follow(page: &str) -> String {
    format!("hint: Follow it here, or interrupt: it goes on. {page}")
}

/// It takes longer than a push is held open.
pub(super) fn goes_on(page: &str) -> String {
    format!("hint: It goes on without this terminal: {page}")
}

/// The last line.
pub(super) fn ended(terms: &Terms) -> Vec<String> {
    vec![match terms.due_at_ms {
        Some(due_at_ms) => format!(
            "hint: Your push is saved whatever the result; push again until {}.",
            moment(due_at_ms)
        ),
        None => "hint: Your push is saved whatever the result.".to_owned(),
    }]
}

/// A place in the queue, from 1.
pub(super) fn place(place: u32) -> String {
    match place {
        0 | 1 => "Waiting: it is next.".to_owned(),
        2 => "Waiting: 1 run is before it.".to_owned(),
        n => format!("Waiting: {} runs are before it.", n - 1),
    }
}

/// Whether the run waits for a worker after this event. None: as before.
pub(super) fn waits_after(event: &Event) -> Option<bool> {
    match event {
        Event::RunQueued | Event::RunGivenBack { .. } => Some(true),
        Event::RunTaken { .. } | Event::RunEnded { .. } => Some(false),
        _ => None,
    }
}

/// What happened, as far as it was let through for the candidate.
pub(super) fn of_event(event: &Event) -> Vec<String> {
    let line = match event {
        Event::RunTaken { execution: 0 | 1, .. } => "It runs.".to_owned(),
        Event::RunTaken { .. } => "It runs again, from the beginning.".to_owned(),
        Event::RunGivenBack { .. } => "It waits again, through no fault of yours.".to_owned(),
        Event::SourceRead { n_files, .. } => {
            format!(
                "[source]  {} read",
                number::count(usize::try_from(*n_files).unwrap_or(usize::MAX), "file")
            )
        }
        Event::CheckStarted { check } => format!("{}  running", tag(check)),
        Event::CheckFinished {
            check,
            status,
            duration_ms,
            summary,
            ..
        } => finished(check, *status, *duration_ms, summary),
        Event::RunScored { total, max, range } => scored(*total, *max, *range),
        Event::RunEnded { outcome, .. } => end(*outcome).to_owned(),
        Event::RunQueued
        | Event::RunStarted { .. }
        | Event::CheckProgressed { .. }
        | Event::RunFinished { .. } => return Vec::new(),
    };
    vec![line]
}

fn tag(check: &str) -> String {
    format!("[{}]", one_line(check.as_bytes(), 64))
}

fn finished(check: &str, status: CheckStatus, duration_ms: u64, summary: &str) -> String {
    let (colour, word) = match status {
        CheckStatus::Passed => ("success: ", "passed"),
        CheckStatus::Failed => ("error: ", "failed"),
        CheckStatus::NotScored => ("warning: ", "not scored, costs no points"),
    };
    let took = number::wall_time(duration_ms);
    let mut line = format!("{colour}{}  {word}, {took}", tag(check));
    if !summary.is_empty() {
        line += ": ";
        line += &one_line(summary.as_bytes(), MAX_TEXT);
    }
    line
}

fn scored(total: f64, max: f64, [low, high]: [f64; 2]) -> String {
    let points = number::points;
    let mut line = format!("Score {} of {}.", points(total), points(max));
    if high - low > 0.005 {
        line += &format!(
            " Part of it could not be judged: it may be {} to {}.",
            points(low),
            points(high)
        );
    }
    line
}

fn end(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Scored => "Done.",
        Outcome::PartlyScored => {
            "warning: Part of it could not be judged, through no fault of yours. It costs no attempt."
        }
        Outcome::Nothing => "error: There was nothing to check: the commit holds no file.",
        Outcome::Cancelled => "warning: It was cancelled. It costs no attempt.",
        Outcome::Superseded => "warning: A newer push took its place. It costs no attempt.",
        Outcome::Failed(Whose::Candidate) => "error: It could not be checked; your page says why.",
        Outcome::Failed(Whose::Exercise | Whose::Platform) => {
            "warning: Something of ours failed, so it is not scored. It costs no attempt."
        }
    }
}

#[cfg(test)]
mod tests;
