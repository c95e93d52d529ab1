//! Sees every container of a run while it lives, holds each against the policy, field by field, and afterwards looks for
//! what the run left on the machine.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long what is being removed may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// Watches the engine from now on.
pub(crate) struct Witness {
    events: Child,
    watching: JoinHandle<()>,
    seen: Receiver<Value>,
}

impl Witness {
    pub(crate) fn begin() -> Self {
        let mut events = Command::new("docker")
            .args(["events", "--filter", "type=container", "--filter", "event=start"])
            .args(["--format", "{{.Actor.ID}}"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let ids = BufReader::new(events.stdout.take().unwrap()).lines();
        let (tell, seen) = channel();
        let watching = std::thread::spawn(move || {
            for id in ids.map_while(Result::ok) {
                let inspected = Command::new("docker").args(["inspect", &id]).output().unwrap();
                // One that was of another test may be gone already.
                let found: Vec<Value> = serde_json::from_slice(&inspected.stdout).unwrap_or_default();
                found.into_iter().for_each(|container| drop(tell.send(container)));
            }
        });
        Self {
            events,
            watching,
            seen,
        }
    }

    /// The containers of a run that is over.
    pub(crate) fn containers(mut self, run: &str) -> Vec<Value> {
        self.events.kill().unwrap();
        self.events.wait().unwrap();
        self.watching.join().unwrap();
        let of_run = |container: &Value| container["Config"]["Labels"]["assay.run"] == run;
        self.seen.try_iter().filter(of_run).collect()
    }
}

/// What a container in which candidates' code runs is for.
const FOREIGN: [&str; 6] = ["app", "blackbox", "build", "commands", "dependencies", "unit"];

/// Every field of every container is what the policy says, with this runtime for candidates' code; a field that the policy does
/// not name is not set.
pub(crate) fn assert_policy(containers: &[Value], runtime: &str) {
    assert!(
        containers.len() >= 3,
        "only {} containers were seen",
        containers.len()
    );
    let users: BTreeSet<&str> = containers
        .iter()
        .filter_map(|c| c["Config"]["User"].as_str())
        .collect();
    assert_eq!(
        users.len(),
        containers.len(),
        "a user was given out twice: {users:?}"
    );
    for container in containers {
        let wrong = against_policy(container, runtime);
        assert!(wrong.is_empty(), "{}: {wrong:#?}", container["Name"]);
    }
}

fn against_policy(container: &Value, foreign_runtime: &str) -> Vec<String> {
    let (config, host) = (&container["Config"], &container["HostConfig"]);
    let role = config["Labels"]["assay.role"].as_str().unwrap_or_default();
    let runtime = if FOREIGN.contains(&role) {
        foreign_runtime
    } else {
        "runc"
    };
    let most_pids = if runtime == "runc" { 512 } else { 1024 };
    let mut wrong = Vec::new();
    let mut must = |good: bool, what: &str, value: &Value| {
        if !good {
            wrong.push(format!("{what}: {value}"));
        }
    };
    let user = config["User"].as_str().unwrap_or_default();
    let (uid, gid) = user.split_once(':').unwrap_or_default();
    let number: u32 = uid.parse().unwrap_or(0);
    must(
        uid == gid && (10_000..60_000).contains(&number),
        "user",
        &config["User"],
    );
    for (name, expected) in [
        ("Entrypoint", json!(["/assay/drive"])),
        ("Cmd", json!(["serve"])),
        ("WorkingDir", json!("/")),
        ("Tty", json!(false)),
        ("OpenStdin", json!(true)),
        ("StdinOnce", json!(true)),
        ("StopTimeout", json!(1)),
    ] {
        must(config[name] == expected, name, &config[name]);
    }
    must(
        config["Healthcheck"]["Test"] == json!(["NONE"]),
        "Healthcheck",
        &config["Healthcheck"],
    );
    for unset in ["Volumes", "ExposedPorts", "OnBuild", "Shell"] {
        must(is_unset(&config[unset]), unset, &config[unset]);
    }
    let labels = config["Labels"].as_object().cloned().unwrap_or_default();
    let foreign = labels.keys().any(|label| !label.starts_with("assay."));
    must(!foreign, "Labels", &config["Labels"]);

    for (name, value) in host.as_object().into_iter().flatten() {
        let number = value.as_i64().unwrap_or_default();
        let good = match name.as_str() {
            "NetworkMode" => {
                value == "none" || value.as_str().is_some_and(|mode| mode.starts_with("container:"))
            }
            "ReadonlyRootfs" => value == true,
            "CapDrop" => *value == json!(["ALL"]),
            "SecurityOpt" => is_secure(value, runtime != "runc"),
            "IpcMode" | "CgroupnsMode" => value == "private",
            "Memory" => (16 << 20..=4 << 30).contains(&number) && host["MemorySwap"] == *value,
            "MemorySwap" => host["Memory"] == *value,
            "MemorySwappiness" => value.is_null() || number == -1,
            "NanoCpus" => (1..=2_000_000_000).contains(&number),
            "CpusetCpus" => true,
            "PidsLimit" => (1..=most_pids).contains(&number),
            "OomScoreAdj" => number == 500,
            "ShmSize" => (1..=128 << 20).contains(&number),
            "Ulimits" => ulimits_are_set(value),
            "Tmpfs" => value
                .as_object()
                .is_some_and(|all| all.iter().all(tmpfs_is_bounded)),
            "Mounts" => value
                .as_array()
                .is_some_and(|all| all.iter().all(|mount| may_mount(role, mount))),
            "LogConfig" => value["Type"] == "none" && is_unset(&value["Config"]),
            "RestartPolicy" => value["Name"] == "no" && value["MaximumRetryCount"] == 0,
            "MaskedPaths" => holds(
                value,
                &["/proc/keys", "/proc/kcore", "/proc/timer_list", "/sys/firmware"],
            ),
            "ReadonlyPaths" => holds(value, &["/proc/sys", "/proc/sysrq-trigger", "/proc/bus"]),
            "Runtime" => value == runtime,
            "ConsoleSize" => *value == json!([0, 0]),
            _ => is_unset(value),
        };
        must(good, name, value);
    }
    let mounts = container["Mounts"].as_array().cloned().unwrap_or_default();
    let propagation = mounts
        .iter()
        .all(|mount| mount["Propagation"] == "" || mount["Propagation"] == "rprivate");
    must(propagation, "propagation", &container["Mounts"]);
    wrong
}

/// What an engine shows where nobody said anything.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || text == "default",
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.values().all(is_unset),
    }
}

fn is_secure(options: &Value, under_gvisor: bool) -> bool {
    let options = options.as_array().cloned().unwrap_or_default();
    let own = include_str!("../../crates/assay-sandbox/src/policy/seccomp.json");
    // gVisor says by itself that it has no clone3.
    let denied = "\"SCMP_ACT_ERRNO\",\n   \"errnoRet\": 38";
    let own = match under_gvisor {
        true => own.replace(denied, "\"SCMP_ACT_ALLOW\""),
        false => own.to_owned(),
    };
    options.len() == 2
        && options.contains(&json!("no-new-privileges"))
        && options.contains(&json!(format!("seccomp={own}")))
}

fn ulimits_are_set(limits: &Value) -> bool {
    let limits = limits.as_array().cloned().unwrap_or_default();
    let at_most = |name: &str, most: i64| {
        limits.iter().any(|limit| {
            limit["Name"] == name
                && limit["Hard"] == limit["Soft"]
                && limit["Hard"].as_i64().is_some_and(|hard| hard <= most)
        })
    };
    limits.len() == 5
        && at_most("core", 0)
        && at_most("fsize", 4 << 30)
        && at_most("memlock", 64 << 10)
        && at_most("msgqueue", 0)
        && at_most("nofile", 4096)
}

fn tmpfs_is_bounded((path, options): (&String, &Value)) -> bool {
    let options: Vec<&str> = options.as_str().unwrap_or_default().split(',').collect();
    let has = |option: &str| options.contains(&option);
    let bounded = |key: &str| {
        options.iter().any(|o| {
            o.strip_prefix(key)
                .is_some_and(|n| n.parse::<u64>().is_ok_and(|n| n > 0))
        })
    };
    has("nosuid")
        && has("nodev")
        && (has("noexec") || path != "/tmp")
        && bounded("size=")
        && bounded("nr_inodes=")
}

/// Volumes; to be changed only by those whose work that is. Of the host, the egress proxy's socket for the forwarder alone.
fn may_mount(role: &str, mount: &Value) -> bool {
    let (target, read_only) = (
        mount["Target"].as_str().unwrap_or_default(),
        mount["ReadOnly"] == true,
    );
    let may_write = match role {
        "build" => target == "/work",
        "dependencies" => target == "/deps",
        "volumes" | "fill" | "publish" | "cache" => true,
        _ => false,
    };
    match mount["Type"].as_str() {
        Some("volume") => read_only || may_write,
        Some("bind") => role == "egress" && target == "/egress" && read_only,
        _ => false,
    }
}

fn holds(list: &Value, paths: &[&str]) -> bool {
    let list = list.as_array().cloned().unwrap_or_default();
    paths.iter().all(|path| list.contains(&json!(path)))
}

/// Nothing of these containers is left: no process, control group, network namespace or mount; and no temporary file.
pub(crate) fn assert_host_as_before(containers: &[Value], temporary: &Path) {
    let left: Vec<_> = std::fs::read_dir(temporary)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert!(left.is_empty(), "temporary files are left: {left:?}");
    let ids = containers.iter().filter_map(|container| container["Id"].as_str());
    // The engine unmounts a network namespace at once, and removes the file that it was mounted on when it comes to that.
    let namespaces = containers
        .iter()
        .filter_map(|c| c["NetworkSettings"]["SandboxKey"].as_str());
    let names: Vec<&str> = ids.chain(namespaces.filter(|key| !key.is_empty())).collect();
    let until = Instant::now() + GONE_WITHIN;
    loop {
        let left = traces(&names);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "left on the machine: {left:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Processes, mounts and control groups that name one of these.
fn traces(names: &[&str]) -> Vec<String> {
    let named = |text: &str| names.iter().any(|name| text.contains(name));
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let groups = std::fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        if named(&groups) {
            found.push(entry.path().display().to_string());
        }
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    found.extend(mounts.lines().filter(|line| named(line)).map(str::to_owned));
    for groups in [
        "/sys/fs/cgroup/memory/docker",
        "/sys/fs/cgroup/docker",
        "/sys/fs/cgroup/system.slice",
    ] {
        let entries = std::fs::read_dir(groups).into_iter().flatten().flatten();
        found.extend(
            entries
                .map(|entry| entry.path().display().to_string())
                .filter(|path| named(path)),
        );
    }
    found
}
