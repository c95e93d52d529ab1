//! gVisor as the runtime of candidates' code: the same promises, and where they differ.
//!
//! Needs gVisor registered at the engine as `runsc`, with `--network=host` and `--oci-seccomp` (`ci/gvisor` does it). Elsewhere the
//! tests print that they are skipped; with `ASSAY_REQUIRE_GVISOR=1` they fail instead.

use std::time::Duration;

use assay_sandbox::{AskError, Command, Death, Engine, ExitReason, OutputCap, Target, WhenFull, preflight};
use bollard::query_parameters::InspectContainerOptions;

use crate::limits::assert_every_place_is_bounded;
use crate::network::server;
use crate::policy::{assert_nothing_forbidden_works, confinement};
use crate::{Bench, address, bench_under, limits, unique, with, with_bench};

const RUNTIME: &str = "runsc";

async fn with_gvisor(test: impl AsyncFnOnce(&Bench)) {
    with(bench_under(Some(RUNTIME), "ASSAY_REQUIRE_GVISOR").await, test).await;
}

#[tokio::test]
async fn nothing_forbidden_works_under_another_kernel() {
    with_gvisor(async |bench| {
        let container = bench.container().await;
        assert_nothing_forbidden_works(&container).await;
        // gVisor does not show whether new privileges can be had; without capabilities there are none to gain.
        assert_eq!(
            confinement(&container).await,
            "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nSeccomp:\t2\n"
        );
        let kernel = container.exec(Command::shell("cat /proc/version")).await.unwrap();
        assert_ne!(
            kernel.stdout.text(),
            std::fs::read_to_string("/proc/version").unwrap()
        );
        let seen = bench
            .docker
            .inspect_container(container.id(), None::<InspectContainerOptions>)
            .await
            .unwrap();
        let host = seen.host_config.unwrap();
        assert_eq!(
            (host.runtime.as_deref(), host.pids_limit),
            (Some(RUNTIME), Some(1024))
        );
    })
    .await;
}

#[tokio::test]
async fn what_can_be_bounded_under_gvisor_is() {
    with_gvisor(async |bench| {
        let container = assert_every_place_is_bounded(bench).await;
        let shown = container
            .exec(Command::shell("ulimit -n; ulimit -c; ulimit -l; ulimit -f"))
            .await
            .unwrap();
        assert_eq!(shown.stdout.text(), "256\n0\n64\n131072\n");
        let late = Command::shell("echo begun; sleep 60").deadline(Duration::from_secs(1));
        let late = container.exec(late).await.unwrap();
        assert_eq!(
            (late.reason, late.stdout.text().as_str()),
            (ExitReason::Deadline, "begun\n")
        );
        let flood = Command::shell("yes").output(OutputCap {
            head_bytes: 1000,
            tail_bytes: 1000,
            when_full: WhenFull::Kill,
        });
        let flood = container.exec(flood).await.unwrap();
        assert_eq!(flood.reason, ExitReason::OutputCap);
    })
    .await;
}

#[tokio::test]
async fn the_agent_does_all_its_work_under_gvisor() {
    with_gvisor(async |bench| {
        let container = bench.container().await;
        let mess = "umask 077; mkdir -p /tmp/a/b; echo x >/tmp/a/b/c; chmod 0 /tmp/a; echo y >/dev/shm/y; mkfifo /tmp/f; \
                    setsid sleep 50 & sleep 0.1";
        assert!(container.exec(Command::shell(mess)).await.unwrap().success());
        container.reset(&["/tmp", "/dev/shm"]).await.unwrap();
        let left = container.exec(Command::shell("ls -A /tmp /dev/shm; cat /proc/[0-9]*/comm")).await.unwrap();
        assert_eq!(left.stdout.text(), "/dev/shm:\n\n/tmp:\ndrive\nsh\n");
        let work = Command::shell("mkdir /tmp/d; echo text >/tmp/d/file; ln -s /etc/passwd /tmp/d/link");
        assert!(container.exec(work).await.unwrap().success());
        assert_eq!(container.read_file("/tmp", "d/file", 100).await.unwrap(), b"text\n");
        assert!(container.read_file("/tmp", "d/link", 100).await.is_err());
        // It can be heard and spoken for there, which SECURITY.md says; its memory and its program are out of reach.
        for attack in [
            "dd if=/proc/1/mem bs=1 count=1",
            "echo x >/assay/drive",
            "rm -f /assay/drive",
        ] {
            let command = Command::shell(attack).deadline(Duration::from_secs(3));
            let ended = container.exec(command).await.unwrap();
            assert!(!ended.success(), "{attack}: {ended:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn bombs_end_their_own_container_under_gvisor() {
    with_gvisor(async |bench| {
        let other = bench.container().await;
        let eats = bench.container().await;
        let bomb = Command::shell("tail /dev/zero").deadline(Duration::from_secs(60));
        // All that is in it ends with what was too much, and it is blamed on memory.
        match eats.exec(bomb).await {
            Err(AskError::Lost(Death::OutOfMemory)) => (),
            other => panic!("{other:?}"),
        }
        let forks = bench.container().await;
        let bomb = Command::new(["bash", "-c", "f() { f | f & }; f; sleep 0.5"])
            .deadline(Duration::from_secs(2))
            .grace(Duration::ZERO);
        // Whether it comes out of this alive is its own matter.
        let ended = forks.exec(bomb).await;
        println!("{ended:?}");
        assert!(other.exec(Command::new(["true"])).await.unwrap().success());
    })
    .await;
}

#[tokio::test]
async fn a_service_under_gvisor_is_reached_and_attested_in_its_pod() {
    with_gvisor(async |bench| {
        let pod = bench.run.pod().await.unwrap();
        let service = bench.container_in(&pod).await;
        service.spawn(server(8080, 200)).await.unwrap();
        let (within, often) = (Duration::from_secs(10), Duration::from_millis(20));
        let waited = pod.wait(Target::Tcp { port: 8080 }, within, often).await.unwrap();
        assert!(waited.is_ready(), "{waited:?}");
        let listeners = pod.listeners(&[8080]).await.unwrap();
        assert_eq!(listeners.len(), 1);
        assert_eq!(listeners[0].uid, service.socket_owner());
        // One of ours is another user, and cannot be taken for it.
        let mut spec = bench.spec(limits(), vec![]);
        spec.is_foreign = false;
        let tester = pod.container(spec).await.unwrap();
        assert_eq!(tester.socket_owner(), tester.uid());
        let ask = Command::new([
            "bash",
            "-c",
            "exec 3<>/dev/tcp/127.0.0.1/8080; echo GET >&3; head -n 1 <&3",
        ]);
        let answer = tester.exec(ask).await.unwrap();
        assert_eq!(answer.stdout.text(), "HTTP/1.1 200 X\r\n");
        // And nothing but the pod.
        let out = Command::new(["bash", "-c", "exec 3<>/dev/tcp/192.0.2.1/443"]);
        let out = service.exec(out).await.unwrap();
        assert!(out.stderr.text().contains("Network is unreachable"), "{out:?}");
    })
    .await;
}

#[tokio::test]
async fn a_gvisor_that_works_gives_no_grave_concern() {
    with_gvisor(async |bench| {
        let id = format!("preflight-{}", unique());
        let found = preflight(&bench.engine, &bench.drive, id).await.unwrap();
        let grave: Vec<_> = found.iter().filter(|concern| concern.is_grave).collect();
        assert!(grave.is_empty(), "{grave:?}");
        let lacking = format!("under `{RUNTIME}`");
        assert!(
            found.iter().any(|concern| concern.message.starts_with(&lacking)),
            "{found:?}"
        );
    })
    .await;
}

/// Needs no gVisor.
#[tokio::test]
async fn a_runtime_that_is_none_of_gvisors_is_refused() {
    let missing = Engine::connect(address().as_deref(), Some("nonesuch")).await;
    with_bench(async |bench| {
        let message = missing.unwrap_err().to_string();
        assert!(
            message.starts_with("the container engine has no runtime \"nonesuch\", it has "),
            "{message}"
        );
        let ordinary = bench_under(Some("runc"), "ASSAY_REQUIRE_DOCKER").await.unwrap();
        let id = format!("preflight-{}", unique());
        let found = preflight(&ordinary.engine, &bench.drive, id).await.unwrap();
        let grave = found.iter().find(|concern| concern.is_grave).unwrap();
        assert_eq!(
            grave.message,
            "`runc` is not gVisor: containers under it have the kernel of all others"
        );
        ordinary.run.destroy(Duration::from_secs(60)).await.unwrap();
    })
    .await;
}
