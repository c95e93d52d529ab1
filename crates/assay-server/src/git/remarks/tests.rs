use super::*;

const DUE: i64 = 1_795_629_600_000;

fn finished_event(check: &str, status: CheckStatus, duration_ms: u64, summary: &str) -> Event {
    Event::CheckFinished {
        check: check.to_owned(),
        status,
        fault: None,
        duration_ms,
        summary: summary.to_owned(),
    }
}

#[test]
fn a_run_as_the_terminal_shows_it() {
    let events = [
        Event::RunQueued,
        Event::RunTaken {
            worker: String::new(),
            execution: 1,
        },
        Event::SourceRead {
            commit: "3f2c1aa".to_owned(),
            n_files: 41,
            n_bytes: 9000,
            n_left_out: 0,
        },
        Event::CheckStarted {
            check: "build".to_owned(),
        },
        finished_event("build", CheckStatus::Passed, 12_400, ""),
        finished_event("tests", CheckStatus::Failed, 3_210, "20 of 22 passed \u{1b}[2J"),
        finished_event("load", CheckStatus::NotScored, 800, "the host was too noisy"),
        Event::RunScored {
            total: 82.0,
            max: 100.0,
            range: [82.0, 90.5],
        },
        Event::RunFinished { duration_ms: 1 },
        Event::RunEnded {
            outcome: Outcome::PartlyScored,
            reason: String::new(),
        },
    ];
    let mut lines = vec![place(3), place(2), place(1)];
    lines.extend(events.iter().flat_map(of_event));
    lines.extend(ended(&terms(SubmitOn::Push, None)));
    insta::assert_snapshot!(lines.join("\n"), @r"
    Waiting: 2 runs are before it.
    Waiting: 1 run is before it.
    Waiting: it is next.
    It runs.
    [source]  41 files read
    [build]  running
    success: [build]  passed, 12.4 s
    error: [tests]  failed, 3.2 s: 20 of 22 passed \u{1b}[2J
    warning: [load]  not scored, costs no points, 800 ms: the host was too noisy
    Score 82 of 100. Part of it could not be judged: it may be 82 to 90.5.
    warning: Part of it could not be judged, through no fault of yours. It costs no attempt.
    hint: Your push is saved whatever the result; push again until 2026-11-25 18:00 UTC.
    ");
}

fn terms(submit_on: SubmitOn, attempts: Option<u32>) -> Terms {
    Terms {
        state: AssignmentState::Open,
        submit_on,
        attempts,
        due_at_ms: Some(DUE),
    }
}

#[test]
fn what_a_push_costs() {
    let lines: Vec<String> = [
        Weight::Submission {
            attempt: 2,
            of: Some(5),
        },
        Weight::Submission { attempt: 2, of: None },
        Weight::KeptOnly(KeptOnly::NotATag),
        Weight::KeptOnly(KeptOnly::NotTheBranch),
        Weight::KeptOnly(KeptOnly::NoAttemptsLeft { of: 5 }),
    ]
    .iter()
    .flat_map(cost)
    .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    This is attempt 2 of 5.
    An attempt that fails through no fault of yours is given back.
    It costs nothing: you may push as often as you like.
    It costs nothing and is not checked: only tags are submissions here.
    hint: To submit: git tag v1 && git push origin v1
    It costs nothing and is not checked: pushes of main are submissions here.
    hint: To submit: git push origin HEAD:main
    warning: It is not checked: all 5 attempts are used.
    ");
}

#[test]
fn why_nothing_is_taken() {
    let lines = [
        refused(&Refused::Late { due_at_ms: DUE }, Some("3f2c1aab8d")),
        refused(&Refused::NotOpen(AssignmentState::Closed), None),
    ];
    insta::assert_snapshot!(lines.concat().join("\n"), @r"
    This assignment was due at 2026-11-25 18:00 UTC.
    Your last push (3f2c1aa) is the one that counts; you can still fetch.
    This assignment was closed by the interviewers.
    Nothing was pushed in time; you can still fetch.
    ");
}

#[test]
fn what_is_told_before_the_first_push() {
    let text = [
        how_to_submit(&terms(SubmitOn::Push, Some(5))),
        how_to_submit(&terms(SubmitOn::Tag, None)),
    ];
    insta::assert_snapshot!(text.concat(), @r"
    ## How to submit

    Every push of `main` is a submission: `git push origin main`. Tags are kept and cost nothing.
    You have 5 attempts. One that fails through no fault of yours is given back, and so is one that had not begun when you pushed again.
    The last moment for a push is 2026-11-25 18:00 UTC, unless you were told otherwise.

    A push is always kept. The terminal shows what it costs and how its checks go; interrupting it cancels nothing.
    ## How to submit

    A pushed tag is a submission: `git tag v1 && git push origin v1`. Pushes of `main` are kept and cost nothing.
    You may submit as often as you like.
    The last moment for a push is 2026-11-25 18:00 UTC, unless you were told otherwise.

    A push is always kept. The terminal shows what it costs and how its checks go; interrupting it cancels nothing.
    ");
}
