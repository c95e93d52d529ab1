//! The policy, as the engine understood it and as it feels from inside.

use assay_sandbox::{Command, Container, Mount, Tmpfs, VolumeSpec};
use bollard::query_parameters::InspectContainerOptions;

use crate::{limits, with_bench};

#[tokio::test]
async fn the_engine_understood_every_field() {
    with_bench(async |bench| {
        let spec = VolumeSpec {
            name: "src".to_owned(),
            bytes: 1 << 20,
            inodes: 10,
        };
        let volumes = bench.run.volumes(&[spec]).await.unwrap();
        let pod = bench.run.pod().await.unwrap();
        let mounts = vec![Mount::read_only(volumes.get("src").unwrap(), "/src")];
        let mut spec = bench.spec(limits(), mounts);
        spec.limits.cpuset = Some("0".to_owned());
        spec.tmpfs = vec![Tmpfs {
            path: "/data".to_owned(),
            bytes: 4096,
            inodes: 7,
            exec: true,
        }];
        let container = pod.container(spec).await.unwrap();
        let seen = bench
            .docker
            .inspect_container(container.id(), None::<InspectContainerOptions>)
            .await
            .unwrap();

        let config = seen.config.unwrap();
        let user = config.user.unwrap();
        assert_eq!(user, format!("{0}:{0}", container.uid()));
        assert!(container.uid() >= 10_000);
        let host = seen.host_config.unwrap();
        let security = host.security_opt.clone().unwrap();
        assert_eq!(security.len(), 2);
        assert!(security.contains(&"no-new-privileges".to_owned()));
        let profile = security
            .iter()
            .find_map(|option| option.strip_prefix("seccomp="))
            .unwrap();
        assert!(profile.contains(r#""defaultAction": "SCMP_ACT_ERRNO""#));
        let mut ulimits: Vec<String> = host
            .ulimits
            .unwrap()
            .into_iter()
            .map(|limit| {
                format!(
                    "{} {:?} {:?}",
                    limit.name.unwrap(),
                    limit.soft.unwrap(),
                    limit.hard.unwrap()
                )
            })
            .collect();
        ulimits.sort();
        insta::assert_debug_snapshot!(ulimits, @r#"
        [
            "core 0 0",
            "fsize 67108864 67108864",
            "memlock 65536 65536",
            "msgqueue 0 0",
            "nofile 256 256",
        ]
        "#);
        let owner = format!("uid={0},gid={0}", container.uid());
        let mut tmpfs: Vec<(String, String)> = host
            .tmpfs
            .unwrap()
            .into_iter()
            .map(|(path, options)| (path, options.replace(&owner, "OWNER")))
            .collect();
        tmpfs.sort();
        insta::assert_debug_snapshot!(tmpfs, @r#"
        [
            (
                "/data",
                "rw,nosuid,nodev,exec,size=4096,nr_inodes=7,OWNER,mode=1777",
            ),
            (
                "/tmp",
                "rw,nosuid,nodev,noexec,size=16777216,nr_inodes=8192,OWNER,mode=1777",
            ),
        ]
        "#);
        let fields = serde_json::json!({
            "entrypoint": config.entrypoint, "cmd": config.cmd, "working_dir": config.working_dir,
            "tty": config.tty, "open_stdin": config.open_stdin, "stdin_once": config.stdin_once,
            "healthcheck": config.healthcheck.and_then(|check| check.test),
            "exposed_ports": config.exposed_ports, "volumes": config.volumes,
            "privileged": host.privileged, "readonly_rootfs": host.readonly_rootfs,
            "cap_drop": host.cap_drop, "cap_add": host.cap_add, "init": host.init,
            "ipc_mode": host.ipc_mode, "pid_mode": host.pid_mode, "uts_mode": host.uts_mode,
            "userns_mode": host.userns_mode, "cgroupns_mode": host.cgroupns_mode,
            "memory": host.memory, "memory_swap": host.memory_swap, "nano_cpus": host.nano_cpus,
            "cpuset": host.cpuset_cpus, "pids": host.pids_limit, "shm": host.shm_size,
            "oom_kill_disable": host.oom_kill_disable, "oom_score_adj": host.oom_score_adj,
            "log": host.log_config.and_then(|log| log.typ), "auto_remove": host.auto_remove,
            "restart": host.restart_policy.and_then(|policy| policy.name),
            "binds": host.binds, "devices": host.devices, "ports": host.port_bindings,
            "group_add": host.group_add, "extra_hosts": host.extra_hosts, "sysctls": host.sysctls,
            "volumes_from": host.volumes_from, "runtime": host.runtime,
        });
        insta::assert_json_snapshot!(fields, @r#"
        {
          "auto_remove": false,
          "binds": null,
          "cap_add": null,
          "cap_drop": [
            "ALL"
          ],
          "cgroupns_mode": "private",
          "cmd": [
            "serve"
          ],
          "cpuset": "0",
          "devices": null,
          "entrypoint": [
            "/assay/drive"
          ],
          "exposed_ports": null,
          "extra_hosts": null,
          "group_add": null,
          "healthcheck": [
            "NONE"
          ],
          "init": false,
          "ipc_mode": "private",
          "log": "none",
          "memory": 134217728,
          "memory_swap": 134217728,
          "nano_cpus": 1000000000,
          "oom_kill_disable": false,
          "oom_score_adj": 500,
          "open_stdin": true,
          "pid_mode": "",
          "pids": 48,
          "ports": null,
          "privileged": false,
          "readonly_rootfs": true,
          "restart": "no",
          "runtime": "runc",
          "shm": 4194304,
          "stdin_once": true,
          "sysctls": null,
          "tty": false,
          "userns_mode": "",
          "uts_mode": "",
          "volumes": [],
          "volumes_from": null,
          "working_dir": "/"
        }
        "#);
        assert!(host.network_mode.unwrap().starts_with("container:"));
        // Left to the engine, which masks what is dangerous; an empty list would mask nothing.
        assert!(host.masked_paths.unwrap().contains(&"/proc/keys".to_owned()));
        assert!(host.readonly_paths.unwrap().contains(&"/proc/sys".to_owned()));

        let mut mounts: Vec<String> = seen
            .mounts
            .unwrap()
            .into_iter()
            .map(|mount| {
                format!(
                    "{} {} rw={:?}",
                    mount.typ.unwrap(),
                    mount.destination.unwrap(),
                    mount.rw.unwrap()
                )
            })
            .collect();
        mounts.sort();
        insta::assert_debug_snapshot!(mounts, @r#"
        [
            "volume /assay rw=false",
            "volume /src rw=false",
        ]
        "#);
    })
    .await;
}

#[tokio::test]
async fn no_two_live_containers_have_the_same_user() {
    with_bench(async |bench| {
        let pod = bench.run.pod().await.unwrap();
        let (a, b) = (bench.container_in(&pod).await, bench.container_in(&pod).await);
        assert_ne!(a.uid(), b.uid());
    })
    .await;
}

#[tokio::test]
async fn from_inside_nothing_forbidden_works() {
    with_bench(async |bench| {
        let container = bench.container().await;
        assert_nothing_forbidden_works(&container).await;
        let made = container
            .exec(Command::shell("mknod /tmp/sdb b 8 16"))
            .await
            .unwrap();
        assert!(!made.success(), "{made:?}");
        assert_eq!(
            confinement(&container).await,
            "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
        );
    })
    .await;
}

/// What the kernel says of a process in a container.
pub(crate) async fn confinement(container: &Container) -> String {
    let look = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status";
    container.exec(Command::shell(look)).await.unwrap().stdout.text()
}

pub(crate) async fn assert_nothing_forbidden_works(container: &Container) {
    // System calls by number (x86-64), which must all fail. Families: 40 VSOCK, 38 ALG, 17 PACKET, 16/6 XFRM.
    let calls = r#"
            sub try_call { my ($name, @call) = @_; my $r = syscall(shift @call, @call); print "$name works\n" if $r >= 0; }
            try_call("vsock", 41, 40, 1, 0);
            try_call("alg", 41, 38, 5, 0);
            try_call("packet", 41, 17, 3, 0);
            try_call("raw", 41, 2, 3, 1);
            try_call("xfrm", 41, 16, 3, 6);
            try_call("ptrace", 101, 0, 0, 0, 0);
            try_call("io_uring", 425, 1, 0);
            try_call("keyctl", 250, 0, -3, 0);
            try_call("unshare user", 272, 0x10000000);
            try_call("bpf", 321, 0, 0, 0);
            try_call("perf", 298, 0, 0, -1, -1, 0);
            try_call("userfaultfd", 323, 0);
            try_call("mount", 165, 0, 0, 0, 0, 0);
            try_call("setuid root", 105, 0);
            try_call("memfd_secret", 447, 0);
            try_call("personality", 135, 8);
            try_call("sctp", 41, 2, 5, 132);
            try_call("dccp", 41, 2, 6, 33);
            try_call("mptcp", 41, 2, 1, 262);
            try_call("ping", 41, 2, 2, 1);
            try_call("xdp", 41, 44, 3, 0);
            try_call("tipc pair", 53, 30, 5, 0, "x" x 8);
            try_call("limits of the agent", 302, 1, 0, "x" x 16, 0);
            try_call("syncfs", 306, 0);
            try_call("setns", 308, 0, 0);
            try_call("mq_open", 240, "q", 66, 384, 0);
            try_call("process_vm_readv", 310, $$, "x" x 16, 1, "x" x 16, 1, 0);
            try_call("pidfd_getfd", 438, 0, 0, 0);
            try_call("clock_settime", 227, 0, "x" x 16);
            try_call("quotactl", 179, 0, 0, 0, 0);
            try_call("init_module", 175, "x", 1, "");
            try_call("kexec", 246, 0, 0, 0, 0);
            socket(my $line, 2, 1, 0); try_call("tls in the kernel", 54, fileno($line), 6, 31, "tls\0", 4);
            print "done\n";
        "#;
    let tried = container.exec(Command::new(["perl", "-e", calls])).await.unwrap();
    assert_eq!(tried.stdout.text(), "done\n", "{tried:?}");

    for attempt in [
        "mknod /tmp/sda b 8 0; head -c 1 /tmp/sda",
        "chown 0 /tmp",
        "cp /bin/true /tmp/true && /tmp/true",
        "unshare -r true",
        "nice -n -5 true 2>&1 | grep -v cannot",
        "echo x >/proc/sys/kernel/hostname",
        "cat /proc/keys | grep .",
        "cat /sys/firmware/* | grep .",
        "echo 1 >/proc/sysrq-trigger",
        "ls /var/run/docker.sock",
        "mount -t tmpfs x /mnt",
    ] {
        let exited = container.exec(Command::shell(attempt)).await.unwrap();
        assert!(!exited.success(), "{attempt}: {exited:?}");
    }
}

#[tokio::test]
async fn tcp_buffers_are_bounded_where_the_memory_limit_leaves_them_out() {
    with_bench(async |bench| {
        if bench.engine.info().cgroup_version == 1 {
            let container = bench.container().await;
            let file = format!(
                "/sys/fs/cgroup/memory/docker/{}/memory.kmem.tcp.limit_in_bytes",
                container.id()
            );
            assert_eq!(std::fs::read_to_string(file).unwrap().trim(), "16777216");
        }
    })
    .await;
}

#[tokio::test]
async fn honest_programs_still_work() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let work = "set -e; seq 1000 | sort -R | wc -l; (sleep 0.01 & wait); mkfifo /tmp/p; ln -s /tmp/p /tmp/q; \
                    perl -e 'use POSIX; my $p = fork // die; exit 7 unless $p; waitpid($p, 0); print $? >> 8, \"\\n\"'; \
                    bash -c 'echo $((6*7))'; date >/dev/null; df / >/dev/null; touch -d yesterday /tmp/t";
        let exited = container.exec(Command::shell(work)).await.unwrap();
        assert_eq!((exited.stdout.text().as_str(), exited.success()), ("1000\n7\n42\n", true), "{exited:?}");
    })
    .await;
}
