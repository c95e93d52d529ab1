//! Commands, their output, their end.

use std::time::{Duration, Instant};

use assay_sandbox::{AskError, Command, ErrorKind, ExitReason, OutputCap, WhenFull};

use crate::with_bench;

const CAP: OutputCap = OutputCap {
    head_bytes: 1000,
    tail_bytes: 500,
    when_full: WhenFull::Drop,
};

#[tokio::test]
async fn a_command_gets_its_input_and_environment_and_gives_its_output_and_code() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let command = Command::shell("cat; echo $WORD >&2; pwd; id -u; exit 7")
            .cwd("/usr")
            .env([("WORD", "secret")])
            .stdin(b"in\n".to_vec());
        let exited = container.exec(command).await.unwrap();
        assert_eq!(
            (exited.code, exited.signal, exited.reason),
            (Some(7), None, ExitReason::Exit)
        );
        assert_eq!(exited.stdout.text(), format!("in\n/usr\n{}\n", container.uid()));
        assert_eq!(exited.stderr.text(), "secret\n");
        assert!(exited.memory_peak_bytes.is_some_and(|bytes| bytes > 0));

        let killed = container.exec(Command::shell("kill -SEGV $$")).await.unwrap();
        assert_eq!((killed.code, killed.signal), (None, Some(11)));
        let missing = container
            .exec(Command::new(["no-such-program"]))
            .await
            .unwrap_err();
        assert!(matches!(missing, AskError::Refused(error) if error.kind == ErrorKind::NotFound));
    })
    .await;
}

#[tokio::test]
async fn at_the_deadline_the_whole_group_goes_even_if_it_will_not() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let command =
            Command::shell("trap '' TERM; (trap '' TERM; sleep 100) & echo on; sleep 100; sleep 100")
                .deadline(Duration::from_millis(400))
                .grace(Duration::from_millis(300));
        let exited = container.exec(command).await.unwrap();
        assert_eq!((exited.reason, exited.signal), (ExitReason::Deadline, Some(9)));
        assert!((650..3000).contains(&exited.duration.as_millis()), "{exited:?}");
        assert_eq!(exited.stdout.text(), "on\n");
        let left = container
            .exec(Command::shell("cat /proc/[0-9]*/comm | grep -c sleep"))
            .await
            .unwrap();
        assert_eq!(left.stdout.text(), "0\n");
    })
    .await;
}

#[tokio::test]
async fn a_service_stops_when_asked() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let service = container
            .spawn(Command::shell(
                "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done",
            ))
            .await
            .unwrap();
        while !service.output().0.text().contains("up") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(service.is_running());
        let exited = service.stop(Duration::from_secs(5)).await.unwrap();
        assert_eq!((exited.reason, exited.code), (ExitReason::Stopped, Some(0)));
        assert_eq!(exited.stdout.text(), "up\nbye\n");
        assert_eq!(
            service.stop(Duration::from_secs(5)).await.unwrap(),
            exited,
            "stopping again changes nothing"
        );
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_output_is_cut_in_the_middle() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let flood = "i=0; while [ $i -lt 40000 ]; do echo line-$i; i=$((i+1)); done";
        let exited = container.exec(Command::shell(flood).output(CAP)).await.unwrap();
        assert!(exited.success());
        let stdout = exited.stdout;
        assert_eq!((stdout.head.len(), stdout.tail.len()), (1000, 500));
        assert!(stdout.omitted > 100_000 && stdout.head.starts_with(b"line-0\n"));
        assert!(stdout.tail.ends_with(b"line-39999\n"));
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_output_can_end_the_process_or_block_it() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let kill = OutputCap {
            when_full: WhenFull::Kill,
            ..CAP
        };
        let exited = container.exec(Command::new(["yes"]).output(kill)).await.unwrap();
        assert_eq!(exited.reason, ExitReason::OutputCap);
        assert_eq!(exited.stdout.head.len(), 1000);

        let block = OutputCap {
            when_full: WhenFull::Block,
            ..CAP
        };
        let command = Command::new(["yes"])
            .output(block)
            .deadline(Duration::from_millis(300));
        let exited = container.exec(command).await.unwrap();
        assert_eq!(exited.reason, ExitReason::Deadline);
        let cpu = "tr ' ' '\\n' </proc/self/stat | sed -n 16p";
        assert!(container.exec(Command::shell(cpu)).await.unwrap().success());
    })
    .await;
}

#[tokio::test]
async fn an_orphan_that_holds_the_output_does_not_hold_the_command() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let began = Instant::now();
        let exited = container
            .exec(Command::shell("setsid sh -c 'echo late; sleep 30' & sleep 0.1"))
            .await
            .unwrap();
        assert!(
            exited.success() && began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(exited.stdout.text(), "late\n");

        // In the group of the command it does not even survive it.
        assert!(
            container
                .exec(Command::shell("sleep 31 &"))
                .await
                .unwrap()
                .success()
        );
        let left = container
            .exec(Command::shell("cat /proc/[0-9]*/cmdline"))
            .await
            .unwrap();
        assert!(!left.stdout.text().contains("sleep\x0031"), "{left:?}");
    })
    .await;
}

#[tokio::test]
async fn a_reset_leaves_no_process_and_no_file_behind() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let mess = "umask 077; mkdir -p /tmp/a/b; echo x >/tmp/a/b/c; chmod 0 /tmp/a; echo y >/dev/shm/y; mkfifo /tmp/f; \
                    setsid sleep 50 & sleep 0.1";
        assert!(container.exec(Command::shell(mess)).await.unwrap().success());
        let service = container.spawn(Command::new(["sleep", "50"])).await.unwrap();
        container.reset(&["/tmp", "/dev/shm"]).await.unwrap();
        assert_eq!(service.exited().await.unwrap().reason, ExitReason::Stopped);
        let seen = container.exec(Command::shell("ls -A /tmp /dev/shm; cat /proc/[0-9]*/comm")).await.unwrap();
        assert_eq!(seen.stdout.text(), "/dev/shm:\n\n/tmp:\ndrive\nsh\n");
    })
    .await;
}

#[tokio::test]
async fn the_agent_can_neither_be_killed_nor_impersonated() {
    with_bench(async |bench| {
        let container = bench.container().await;
        for attack in ["kill -KILL 1", "kill -STOP 1", "kill -KILL -1"] {
            drop(container.exec(Command::shell(attack)).await.unwrap());
            assert!(
                container.exec(Command::new(["true"])).await.unwrap().success(),
                "{attack}"
            );
        }
        for attack in [
            r#"echo '{"hello":{"version":9}}' >/proc/1/fd/1"#,
            "cat /proc/1/environ",
            "cat /proc/1/fd/0",
            "dd if=/proc/1/mem bs=1 count=1",
            "echo x >/assay/drive",
            "rm -f /assay/drive",
        ] {
            let attack = Command::shell(attack).deadline(Duration::from_secs(3));
            assert!(!container.exec(attack).await.unwrap().success());
        }
        assert!(container.exec(Command::new(["true"])).await.unwrap().success());
    })
    .await;
}

#[tokio::test]
async fn a_request_through_the_control_socket_waits_for_its_answer() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let mut control = container.control("/tmp/control.sock").await.unwrap();
        let ask = r#"use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un("/tmp/control.sock")) or die;
            syswrite(S, "one\ntwo\n"); <S>; <S>; syswrite(S, "three\n"); print scalar <S>"#;
        let program = Command::new(["perl", "-e", ask]).deadline(Duration::from_secs(20));
        let program = container.spawn(program).await.unwrap();
        for expected in ["one", "two", "three"] {
            let asked = control.next().await.unwrap();
            assert_eq!(asked.line(), expected);
            asked.answer(&format!("re: {expected}")).await.unwrap();
        }
        assert_eq!(program.exited().await.unwrap().stdout.text(), "re: three\n");
    })
    .await;
}

#[tokio::test]
async fn a_conversation_with_a_process_goes_line_by_line() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let command = Command::shell(
            "while read line; do echo \"you said $line\"; [ $line = bye ] && break; done; printf end",
        )
        .stdin(b"hello\n".to_vec())
        .stdin_open()
        .deadline(Duration::from_secs(20));
        let process = container.spawn(command).await.unwrap();
        let mut lines = process.lines();
        assert_eq!(lines.next().await.unwrap().unwrap(), b"you said hello");
        process.feed(b"again\nbye\n".to_vec()).await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), b"you said again");
        assert_eq!(lines.next().await.unwrap().unwrap(), b"you said bye");
        assert_eq!(lines.next().await.unwrap().unwrap(), b"end");
        assert_eq!(lines.next().await.unwrap(), None);
        assert!(process.exited().await.unwrap().success());
        assert!(process.feed(b"x\n".to_vec()).await.is_err());
        // From the beginning again, for whoever comes later.
        assert_eq!(process.lines().next().await.unwrap().unwrap(), b"you said hello");
    })
    .await;
}
