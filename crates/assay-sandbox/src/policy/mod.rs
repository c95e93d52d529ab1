//! What a container may do: the only maker of a container's configuration.
//!
//! Every container gets a numeric user of its own, no capability, no new privileges, a system call filter (an
//! allow-list, `seccomp.json`), a read-only root file system, no network but the loopback of its pod, private IPC,
//! PID and cgroup namespaces, bounded memory without swap, and bounded processes, files, shared memory and temporary
//! space. There is no way to ask for less.

mod uids;

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, Mount,
    ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};

use crate::engine::Engine;

pub(crate) use uids::{UidLease, Uids};

/// The system calls that are allowed. It began as moby's default profile and leaves out what a backend service has no
/// use for: `io_uring`, `ptrace`, message queues, foreign socket families and protocols (`AF_VSOCK`, `AF_ALG`, `SCTP`, `MPTCP`, …),
/// other protocols on top of TCP (`TCP_ULP`), limits of other processes, `sync` of the host's disks, foreign architectures.
const SECCOMP: &str = include_str!("seccomp.json");

/// How the filter says that there is no `clone3`, so that programs use `clone`, whose flags it can see.
const NO_CLONE3: &str = "\"action\": \"SCMP_ACT_ERRNO\",\n   \"errnoRet\": 38";

/// The filter for gVisor. That knows one error for all that is forbidden, and a program that gets it from `clone3` has no threads; so
/// it is left to gVisor to say that it has none.
static SECCOMP_FOR_GVISOR: LazyLock<String> =
    LazyLock::new(|| SECCOMP.replace(NO_CLONE3, "\"action\": \"SCMP_ACT_ALLOW\""));

/// Where the agent is in every container.
pub(crate) const AGENT: &str = "/assay/drive";

/// The directory that holds the agent, and into which its volume is mounted.
pub(crate) const AGENT_DIRECTORY: &str = "/assay";

/// The user whom the machine's kernel sees behind sockets of a container under gVisor, whatever user opened them inside.
pub(crate) const SENTRY_USER: u32 = 0;

/// The least processes that gVisor gets along with: its own threads count as the container's.
const SENTRY_PIDS: u32 = 1024;

/// Files in the temporary file system.
const TMP_INODES: u64 = 8192;

/// What a container may use. There is no default on purpose: what is not thought about is not bounded.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Memory of all processes together, with what they put into tmpfs; there is no swap.
    pub memory_bytes: u64,
    /// Processors, such as 1.5.
    pub cpus: f64,
    /// Which processors, such as `0` or `1-3`; none = any.
    pub cpuset: Option<String>,
    /// Processes and threads.
    pub pids: u32,
    /// Open files of one process.
    pub open_files: u32,
    /// The size of one file.
    pub file_bytes: u64,
    /// The content of `/tmp`.
    pub tmp_bytes: u64,
    /// The content of `/dev/shm`.
    pub shm_bytes: u64,
}

/// A bounded file system in memory that belongs to one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    /// Absolute path.
    pub path: String,
    /// Its content.
    pub bytes: u64,
    /// Its files and directories.
    pub inodes: u64,
    /// Whether programs may be run from it.
    pub exec: bool,
}

/// Which network a container lives in. No other can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// One of its own, with nothing but loopback.
    Own,
    /// The one of the container with this id.
    Of(String),
}

/// What differs from container to container.
pub(crate) struct Shape<'a> {
    pub(crate) image: &'a str,
    pub(crate) uid: u32,
    pub(crate) env: &'a BTreeMap<String, String>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) tmpfs: &'a [Tmpfs],
    pub(crate) limits: &'a Limits,
    pub(crate) network: Network,
    pub(crate) labels: HashMap<String, String>,
    /// The gVisor under which it runs; none: the engine's own runtime.
    pub(crate) runtime: Option<&'a str>,
}

/// The configuration of a container of this shape.
pub(crate) fn container(shape: Shape<'_>) -> ContainerCreateBody {
    let Shape {
        image,
        uid,
        env,
        mounts,
        tmpfs,
        limits,
        network,
        labels,
        runtime,
    } = shape;
    let mut env: Vec<String> = env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    env.push("HOME=/tmp".to_owned());
    let tmp = Tmpfs {
        path: "/tmp".to_owned(),
        bytes: limits.tmp_bytes,
        inodes: TMP_INODES,
        exec: false,
    };
    let filter = match runtime {
        Some(_) => SECCOMP_FOR_GVISOR.as_str(),
        None => SECCOMP,
    };
    ContainerCreateBody {
        image: Some(image.to_owned()),
        user: Some(format!("{uid}:{uid}")),
        entrypoint: Some(vec![AGENT.to_owned()]),
        cmd: Some(vec!["serve".to_owned()]),
        working_dir: Some("/".to_owned()),
        env: Some(env),
        labels: Some(labels),
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthConfig::default()
        }),
        stop_timeout: Some(1),
        tty: Some(false),
        // The end of the attachment is the end of standard input, which is the end of the agent: the containers of a
        // process that died stop by themselves.
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(HostConfig {
            network_mode: Some(match network {
                Network::Own => "none".to_owned(),
                Network::Of(id) => format!("container:{id}"),
            }),
            readonly_rootfs: Some(true),
            privileged: Some(false),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned(), format!("seccomp={filter}")]),
            ipc_mode: Some("private".to_owned()),
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
            memory: Some(signed(limits.memory_bytes)),
            memory_swap: Some(signed(limits.memory_bytes)),
            oom_kill_disable: Some(false),
            oom_score_adj: Some(500),
            nano_cpus: Some(nano_cpus(limits.cpus)),
            cpuset_cpus: limits.cpuset.clone(),
            runtime: runtime.map(str::to_owned),
            pids_limit: Some(i64::from(match runtime {
                Some(_) => limits.pids.max(SENTRY_PIDS),
                None => limits.pids,
            })),
            ulimits: Some(ulimits(limits)),
            shm_size: Some(signed(limits.shm_bytes)),
            tmpfs: Some(
                std::iter::once(&tmp)
                    .chain(tmpfs)
                    .map(|tmpfs| tmpfs_option(tmpfs, uid))
                    .collect(),
            ),
            mounts: Some(mounts),
            log_config: Some(HostConfigLogConfig {
                typ: Some("none".to_owned()),
                config: None,
            }),
            // The agent is the first process and reaps orphans itself. Docker's own init would be a process of the
            // candidate's user through which the agent's pipes could be opened.
            init: Some(false),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            auto_remove: Some(false),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// On cgroup version 1, the memory that a container's TCP buffers may take. They are outside its memory limit there.
const SOCKET_BYTES: u64 = 16 << 20;

/// Bounds the memory of a container's TCP buffers, where the kernel does not count it as the container's and the engine
/// offers no way to: cgroup version 1, an engine on this machine, and the right to change its groups.
pub(crate) fn limit_socket_memory(engine: &Engine, id: &str) {
    if engine.info().cgroup_version == 1 {
        let file = format!("/sys/fs/cgroup/memory/docker/{id}/memory.kmem.tcp.limit_in_bytes");
        if let Err(error) = std::fs::write(file, SOCKET_BYTES.to_string()) {
            tracing::debug!(container = id, %error, "the memory of TCP buffers is not bounded");
        }
    }
}

fn ulimits(limits: &Limits) -> Vec<ResourcesUlimits> {
    // No limit on the number of processes here: the kernel counts it per user of the machine.
    [
        ("core", 0),
        ("fsize", signed(limits.file_bytes)),
        ("memlock", 64 << 10),
        ("msgqueue", 0),
        ("nofile", i64::from(limits.open_files)),
    ]
    .map(|(name, value)| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(value),
        hard: Some(value),
    })
    .into()
}

/// The mount belongs to the container's user: over a directory that the image has, the image's mode wins over `mode=`.
fn tmpfs_option(tmpfs: &Tmpfs, uid: u32) -> (String, String) {
    let exec = if tmpfs.exec { "exec" } else { "noexec" };
    let Tmpfs { bytes, inodes, .. } = tmpfs;
    (
        tmpfs.path.clone(),
        format!("rw,nosuid,nodev,{exec},size={bytes},nr_inodes={inodes},uid={uid},gid={uid},mode=1777"),
    )
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float is clamped to the integer's range when cast"
)]
fn nano_cpus(cpus: f64) -> i64 {
    (cpus * 1e9) as i64
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_for_gvisor_differs_in_one_call() {
        let [ours, theirs] = [SECCOMP, &SECCOMP_FOR_GVISOR].map(|text| {
            let profile: serde_json::Value = serde_json::from_str(text).unwrap();
            profile["syscalls"].as_array().unwrap().clone()
        });
        let differ: Vec<_> = std::iter::zip(ours, theirs)
            .filter(|(ours, theirs)| ours != theirs)
            .map(|(_, theirs)| theirs)
            .collect();
        let allowed = serde_json::json!({"names": ["clone3"], "action": "SCMP_ACT_ALLOW"});
        assert_eq!(differ, [allowed]);
    }

    #[test]
    fn the_filter_is_an_allow_list_without_the_calls_that_reach_past_the_container() {
        let profile: serde_json::Value = serde_json::from_str(SECCOMP).unwrap();
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
        let rules = profile["syscalls"].as_array().unwrap();
        let named = |name: &'static str| {
            rules
                .iter()
                .filter(move |rule| rule["names"].as_array().unwrap().contains(&name.into()))
        };
        for forbidden in [
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "io_uring_setup",
            "io_uring_enter",
            "bpf",
            "keyctl",
            "add_key",
            "mount",
            "umount2",
            "unshare",
            "setns",
            "pivot_root",
            "userfaultfd",
            "perf_event_open",
            "open_by_handle_at",
            "kcmp",
            "pidfd_getfd",
            "mq_open",
            "vmsplice",
            "modify_ldt",
            "memfd_secret",
            "socketcall",
            "chroot",
            "reboot",
            "syslog",
            "init_module",
            "iopl",
            "sync",
            "syncfs",
        ] {
            assert_eq!(named(forbidden).count(), 0, "{forbidden}");
        }
        let unconditional = |name| named(name).any(|rule| rule.get("args").is_none());
        assert!(unconditional("openat2") && unconditional("execve"));
        for only_with in [
            "socket",
            "socketpair",
            "setsockopt",
            "clone",
            "personality",
            "prlimit64",
        ] {
            assert!(!unconditional(only_with), "{only_with}");
        }
        // Local sockets, TCP and UDP, and what lists the network's interfaces.
        let value = |rule: &serde_json::Value, at: usize| rule["args"][at]["value"].as_i64();
        let families: Vec<_> = named("socket")
            .map(|rule| {
                (
                    value(rule, 0),
                    rule["args"][1]["valueTwo"].as_i64(),
                    value(rule, 2),
                )
            })
            .collect();
        let internet = |family: i64| {
            [(1, 0), (1, 6), (2, 0), (2, 17)]
                .map(|(kind, protocol)| (Some(family), Some(kind), Some(protocol)))
        };
        assert_eq!(families[0], (Some(1), None, None));
        assert_eq!(families[1..5], internet(2));
        assert_eq!(families[5..9], internet(10));
        assert_eq!(
            named("socket").next_back().unwrap()["args"][1],
            serde_json::json!({"index": 2, "value": 0, "op": "SCMP_CMP_EQ"})
        );
        assert_eq!(families.len(), 10);
    }
}
