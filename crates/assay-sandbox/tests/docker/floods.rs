//! Floods: whoever makes one pays for it, not the engine and not the machine.

use std::time::Duration;

use assay_sandbox::{Command, Container, OutputCap, WhenFull};

use crate::{limits, variable, with_bench};

/// CPU time that a container's output may cost the engine, in seconds.
const FLOOD_COST: f64 = 1.5;
/// For how long it is flooded.
const FLOOD: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_flood_of_output_is_paid_for_by_who_makes_it() {
    with_bench(async |bench| {
        let Some(engine) = engine_process() else {
            println!("skipped: the engine is on another machine");
            return;
        };
        let container = bench.container().await;
        for when_full in [WhenFull::Drop, WhenFull::Block, WhenFull::Kill] {
            let cap = OutputCap {
                head_bytes: 64 << 10,
                tail_bytes: 64 << 10,
                when_full,
            };
            let flood = Command::new(["bash", "-c", "yes >&2 & yes & tr '\\0' x </dev/zero & wait"]);
            let before = cpu_seconds(engine, &container);
            let exited = container.exec(flood.deadline(FLOOD).output(cap)).await.unwrap();
            let cost = cpu_seconds(engine, &container) - before;
            assert!(
                cost < FLOOD_COST,
                "{when_full:?} cost the engine {cost} s: {exited:?}"
            );
            println!("{when_full:?} cost the engine {cost:.2} s");
            // What is left out is told in some words more.
            assert!(exited.stdout.text().len() <= 130 << 10);
        }
    })
    .await;
}

#[tokio::test]
async fn buffers_of_sockets_take_no_more_of_the_machine_than_the_container_may() {
    with_bench(async |bench| {
        let container = bench.container().await;
        // Pairs of sockets whose readers never read; then how much of them the kernel holds, in pages.
        let hoard = r#"use Socket; $| = 1; socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(0, INADDR_LOOPBACK)); listen($s, 200);
            my $to = getsockname($s); my (@kept, $held);
            for (1..100) { socket(my $c, PF_INET, SOCK_STREAM, 0); setsockopt($c, SOL_SOCKET, SO_SNDBUF, 4 << 20);
                connect($c, $to) or last; accept(my $a, $s) or last; push @kept, $c, $a;
                my $flags = fcntl($c, 3, 0); fcntl($c, 4, $flags | 2048);
                while (my $n = syswrite($c, "x" x 65536)) { $held += $n; last if $held > 1 << 30 } }
            print int($held / 1048576), "\n";"#;
        let hoarded = container
            .exec(Command::new(["perl", "-e", hoard]).deadline(Duration::from_secs(20)))
            .await
            .unwrap();
        let held: u64 = hoarded.stdout.text().trim().parse().unwrap_or(0);
        let limit = limits().memory_bytes >> 20;
        // On cgroup version 2 the hoarder is killed instead, before it has said anything.
        assert!(held <= limit + 64, "{held} MiB are held outside a limit of {limit} MiB: {hoarded:?}");
    })
    .await;
}

/// The engine's own process, where it runs on this machine.
fn engine_process() -> Option<u32> {
    let socket = variable("DOCKER_HOST").unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    let own = |pid: &u32| {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        let named = arguments.contains(&socket) || !arguments.contains("unix://");
        arguments
            .split('\0')
            .next()
            .is_some_and(|program| program.ends_with("dockerd"))
            && named
    };
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(own)
}

/// CPU time of the engine and of a container's shim so far.
fn cpu_seconds(engine: u32, container: &Container) -> f64 {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let shim = pids.filter(|pid| {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        arguments.contains("containerd-shim") && arguments.contains(container.id())
    });
    let ticks = |pid: u32| -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<f64>().ok())
            .sum()
    };
    // The kernel counts in hundredths of a second for every program.
    shim.chain([engine]).map(ticks).sum::<f64>() / 100.0
}
