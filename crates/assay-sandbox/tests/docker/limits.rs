//! Limits: what is hit is reported, and nobody else is hurt.

use std::time::{Duration, Instant};

use assay_sandbox::{Command, Container, ExitReason, Limits, Mount, VolumeSpec};

use crate::{Bench, limits, with_bench};

#[tokio::test]
async fn a_fork_bomb_stays_in_its_container() {
    with_bench(async |bench| {
        let (bomb, other) = (bench.container().await, bench.container().await);
        let fork = Command::new(["bash", "-c", "f() { f | f & }; f; sleep 0.5"])
            .deadline(Duration::from_secs(2))
            .grace(Duration::ZERO);
        bomb.exec(fork).await.unwrap();
        assert!(other.exec(Command::new(["true"])).await.unwrap().success());
        bomb.reset(&["/tmp"]).await.unwrap();
        let left = bomb.exec(Command::shell("cat /proc/[0-9]*/comm")).await.unwrap();
        assert_eq!(left.stdout.text(), "drive\nsh\n");
    })
    .await;
}

#[tokio::test]
async fn a_memory_bomb_in_a_grandchild_is_blamed_on_memory() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let bomb =
            Command::shell("sh -c 'tail /dev/zero; exit 3'; exit $?").deadline(Duration::from_secs(60));
        let exited = container.exec(bomb).await.unwrap();
        assert_eq!(
            (exited.reason, exited.code),
            (ExitReason::OutOfMemory, Some(3)),
            "{exited:?}"
        );
        assert!(exited.memory_peak_bytes.is_some_and(|peak| peak > 100 << 20));
        let next = container.exec(Command::shell("exit 3")).await.unwrap();
        assert_eq!(
            next.reason,
            ExitReason::Exit,
            "an old kill is not blamed on the next command"
        );
    })
    .await;
}

/// Fills every place of a container that can be written. Gives the container.
pub(crate) async fn assert_every_place_is_bounded(bench: &Bench) -> Container {
    let spec = VolumeSpec {
        name: "work".to_owned(),
        bytes: 2 << 20,
        inodes: 50,
    };
    let volumes = bench.run.volumes(&[spec]).await.unwrap();
    let mounts = vec![Mount::writable(volumes.get("work").unwrap(), "/work")];
    let container = bench.container_with(limits(), mounts).await;
    let full = "No space left on device";
    for (fill, message) in [
        ("head -c 20M /dev/zero >/tmp/x", full),
        ("head -c 3M /dev/zero >/work/x", full),
        ("rm -f /work/x; for i in $(seq 60); do : >/work/$i; done", full),
        ("head -c 5M /dev/zero >/dev/shm/x", full),
        (
            "for d in / /etc /var/tmp /run /dev /home; do echo x >$d/x && echo wrote $d; done; exit 1",
            "Read-only",
        ),
    ] {
        let exited = container.exec(Command::shell(fill)).await.unwrap();
        assert!(
            !exited.success() && exited.stdout.text().is_empty(),
            "{fill}: {exited:?}"
        );
        assert!(exited.stderr.text().contains(message), "{fill}: {exited:?}");
    }
    container
}

#[tokio::test]
async fn every_place_that_can_be_written_is_bounded() {
    with_bench(async |bench| drop(assert_every_place_is_bounded(bench).await)).await;
}

#[tokio::test]
async fn no_file_is_larger_and_no_more_are_open_than_allowed() {
    with_bench(async |bench| {
        let container = bench
            .container_with(
                Limits {
                    file_bytes: 1 << 20,
                    ..limits()
                },
                vec![],
            )
            .await;
        let large = container
            .exec(Command::shell("head -c 2M /dev/zero >/tmp/x"))
            .await
            .unwrap();
        assert!(!large.success());
        let open = "for i in $(seq 3 400); do eval \"exec $i</dev/null\" || exit 1; done";
        assert!(
            !container
                .exec(Command::new(["bash", "-c", open]))
                .await
                .unwrap()
                .success()
        );
        let shown = container
            .exec(Command::shell("ulimit -n; ulimit -c; ulimit -l"))
            .await
            .unwrap();
        assert_eq!(shown.stdout.text(), "256\n0\n64\n");
    })
    .await;
}

#[tokio::test]
async fn what_a_container_uses_is_known_from_outside() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let busy = Command::shell("while :; do :; done").deadline(Duration::from_millis(300));
        let before = container.usage().await.unwrap().unwrap();
        let give_up = Instant::now() + Duration::from_secs(20);
        let mut used_ms = 0;
        while used_ms < 50 {
            assert!(Instant::now() < give_up, "{used_ms} ms are seen");
            container.exec(busy.clone()).await.unwrap();
            used_ms = container.usage().await.unwrap().unwrap().cpu_ms - before.cpu_ms;
        }
    })
    .await;
}
