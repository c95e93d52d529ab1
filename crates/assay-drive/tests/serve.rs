//! The agent over its pipes, without a container around it.

#![expect(clippy::unwrap_used, reason = "what the tests share is a test, too")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use assay_core::agent::{
    Ask, Base64, ErrorKind, Exit, MAX_LINE_BYTES, Message, OutputCap, Reason, Request, Start, Stream,
    VERSION, WhenFull,
};

struct Agent {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Agent {
    fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the program under test")]
        let mut process = Command::new(env!("CARGO_BIN_EXE_assay-drive"))
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let mut agent = Self {
            process,
            input,
            output: BufReader::new(output),
        };
        assert_eq!(agent.next(), Message::Hello { version: VERSION });
        agent
    }

    fn send(&mut self, line: &str) {
        self.input.write_all(line.as_bytes()).unwrap();
        self.input.write_all(b"\n").unwrap();
    }

    fn ask(&mut self, id: u64, ask: Ask) {
        let line = serde_json::to_string(&Request { id, ask }).unwrap();
        self.send(&line);
    }

    fn next(&mut self) -> Message {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

fn shell(line: &str) -> Ask {
    Ask::Start(Start {
        argv: vec!["sh".to_owned(), "-c".to_owned(), line.to_owned()],
        env: [].into(),
        cwd: "/".to_owned(),
        stdin: Default::default(),
        stdin_open: false,
        deadline_ms: Some(20_000),
        grace_ms: 100,
        output: OutputCap {
            head_bytes: 100,
            tail_bytes: 100,
            when_full: WhenFull::Drop,
        },
    })
}

#[test]
fn nonsense_is_answered_and_survived() {
    let mut agent = Agent::start();
    for nonsense in [
        "",
        "rubbish",
        "{}",
        r#"{"id":1,"ask":"fly"}"#,
        "\u{fffd}\u{0}",
        &"x".repeat(MAX_LINE_BYTES + 1),
    ] {
        agent.send(nonsense);
        assert!(
            matches!(agent.next(), Message::Unreadable { .. }),
            "{nonsense:.20}"
        );
    }
    agent.ask(
        1,
        Ask::Stop {
            process: 99,
            grace_ms: 0,
        },
    );
    let Message::Failed { id: 1, error } = agent.next() else {
        panic!("not refused")
    };
    assert_eq!(error.kind, ErrorKind::BadRequest);
}

#[test]
fn outside_a_container_nothing_is_killed_but_what_was_started() {
    let mut agent = Agent::start();
    agent.ask(1, Ask::Reset { wipe: vec![] });
    let Message::Failed { id: 1, error } = agent.next() else {
        panic!("not refused")
    };
    assert_eq!(error.kind, ErrorKind::Denied);
}

#[test]
fn processes_run_side_by_side_and_each_has_its_end() {
    let mut agent = Agent::start();
    agent.ask(1, shell("sleep 20"));
    assert_eq!(agent.next(), Message::Started { id: 1 });
    agent.ask(1, shell("true"));
    assert!(
        matches!(agent.next(), Message::Failed { id: 1, .. }),
        "the number is taken"
    );
    agent.ask(2, shell("echo out; exit 5"));
    assert_eq!(agent.next(), Message::Started { id: 2 });
    let Message::Output {
        id: 2,
        stream: Stream::Stdout,
        data,
    } = agent.next()
    else {
        panic!("no output")
    };
    assert_eq!(data.0, b"out\n");
    assert!(matches!(
        agent.next(),
        Message::Exited {
            id: 2,
            exit: Exit {
                code: Some(5),
                reason: Reason::Exit,
                ..
            }
        }
    ));
    agent.ask(
        3,
        Ask::Stop {
            process: 1,
            grace_ms: 1000,
        },
    );
    assert!(matches!(agent.next(), Message::Done { id: 3, .. }));
    let Message::Exited { id: 1, exit } = agent.next() else {
        panic!("it did not stop")
    };
    assert_eq!((exit.signal, exit.reason), (Some(15), Reason::Stopped));
}

#[test]
fn the_end_of_its_input_is_the_end_of_the_agent_and_of_what_it_started() {
    let mut agent = Agent::start();
    agent.ask(1, shell("echo $$; sleep 20"));
    assert_eq!(agent.next(), Message::Started { id: 1 });
    let Message::Output { data, .. } = agent.next() else {
        panic!("no output")
    };
    let process = String::from_utf8(data.0).unwrap();
    drop(agent.input);
    assert!(agent.process.wait().unwrap().success());
    // It has its SIGKILL, but needs a processor once more to end.
    let stat = format!("/proc/{}/stat", process.trim());
    let ended = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z"));
    let give_up = Instant::now() + Duration::from_secs(10);
    while !ended() {
        assert!(Instant::now() < give_up, "it lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn input_may_stay_open_and_come_in_pieces() {
    let mut agent = Agent::start();
    let Ask::Start(start) = shell("read a; echo $a; read b; echo $b") else {
        panic!("no start")
    };
    agent.ask(
        1,
        Ask::Start(Start {
            stdin: Base64(b"one\n".to_vec()),
            stdin_open: true,
            ..start
        }),
    );
    assert_eq!(agent.next(), Message::Started { id: 1 });
    let output = |agent: &mut Agent| match agent.next() {
        Message::Output { id: 1, data, .. } => String::from_utf8(data.0).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(output(&mut agent), "one\n");
    let feed = |text: &str| Ask::Feed {
        process: 1,
        data: Base64(text.as_bytes().to_vec()),
    };
    agent.ask(2, feed("two\n"));
    assert!(matches!(agent.next(), Message::Done { id: 2, .. }));
    assert_eq!(output(&mut agent), "two\n");
    assert!(matches!(
        agent.next(),
        Message::Exited {
            id: 1,
            exit: Exit { code: Some(0), .. }
        }
    ));
    // It is gone, and who was started without open input takes none.
    agent.ask(3, feed("three\n"));
    assert!(matches!(agent.next(), Message::Failed { id: 3, .. }));
    agent.ask(4, shell("sleep 20"));
    assert_eq!(agent.next(), Message::Started { id: 4 });
    agent.ask(
        5,
        Ask::Feed {
            process: 4,
            data: Base64(b"x".to_vec()),
        },
    );
    let Message::Failed { id: 5, error } = agent.next() else {
        panic!("not refused")
    };
    assert_eq!(error.kind, ErrorKind::BadRequest);
}
