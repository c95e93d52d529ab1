//! The examinations, one function per thing. None changes anything but for a small file in the data folder that is removed at
//! once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use assay_core::preflight::Concern;
use assay_core::units::Bytes;
use assay_engine::Exercises;
use assay_sandbox::{ConnectError, Engine, images};
use assay_store::Store;

use super::Finding;
use crate::configuration::Configuration;
use crate::{engine, preflight};

/// Below this, evidence and repositories will soon have no room, in bytes.
const LITTLE_ROOM: u64 = 2 << 30;
/// How far the clocks of this machine and of its data folder may be apart.
const CLOCKS_APART: Duration = Duration::from_secs(10);
/// The oldest version of git whose server side was tested.
const OLDEST_GIT: [u32; 2] = [2, 39];
/// How long any one answer is waited for.
const WITHIN: Duration = Duration::from_secs(10);

/// Examines everything.
pub(super) async fn all(configuration: &Configuration, engine: &engine::Options) -> Vec<Finding> {
    let mut findings = data_folder(&configuration.data);
    findings.extend(secrets(configuration));
    findings.push(database(configuration).await);
    findings.push(git().await);
    let (exercises, mistakes) = Exercises::read_within(
        &configuration.exercises.folder,
        &configuration.exercises.runner_images,
        configuration.limits.most(),
    );
    findings.extend(mistakes.iter().map(|mistake| {
        Finding::misconfigured(
            "exercises",
            mistake.to_string().lines().next().unwrap_or_default(),
            &mistake.hint,
        )
    }));
    findings.push(match exercises.all().len() {
        0 => Finding::misconfigured(
            "exercises",
            format!("there is none in {}", configuration.exercises.folder.display()),
            "name the folder with exercises.folder; `assay exercise new` makes one to start from",
        ),
        n => Finding::good("exercises", format!("{n} without mistakes")),
    });
    let engine = engine.under(&configuration.engine);
    let address = engine.address.as_deref();
    match engine.connect().await {
        Ok(engine) => {
            findings.push(engine_found(&engine));
            findings.extend(containers_found(&engine).await);
            findings.extend(socket_found(address));
            findings.extend(images_found(&engine, &exercises).await);
        }
        Err(error @ ConnectError::Runtime { .. }) => {
            let hint = "register gVisor with --network=host and --oci-seccomp, or leave engine.runtime empty";
            findings.push(Finding::broken("engine", error.to_string(), hint));
        }
        Err(error) => findings.push(Finding::broken(
            "engine",
            error.to_string(),
            "start Docker, or set DOCKER_HOST; on Debian as root ci/engine does it",
        )),
    }
    findings.extend(configuration.engine.ca_bundle.as_deref().map(ca_bundle));
    findings.push(address_to_listen_on(configuration).await);
    findings.extend(public_url(configuration));
    findings
}

fn data_folder(data: &Path) -> Vec<Finding> {
    const ABOUT: &str = "data folder";
    let shown = data.display();
    if !data.exists() {
        return vec![Finding::doubtful(
            ABOUT,
            format!("{shown} is not there yet"),
            "`assay serve` makes it at its first start",
        )];
    }
    let probe = data.join(".doctor");
    let written = std::fs::write(&probe, b"x").and_then(|()| std::fs::metadata(&probe)?.modified());
    drop(std::fs::remove_file(&probe));
    let mut findings = Vec::new();
    match written {
        Ok(at) => {
            findings.push(Finding::good(ABOUT, format!("{shown} is writable")));
            let apart = SystemTime::now()
                .duration_since(at)
                .unwrap_or_else(|error| error.duration());
            findings.push(if apart > CLOCKS_APART {
                Finding::broken(
                    "clock",
                    format!(
                        "this machine and the data folder's are {} s apart",
                        apart.as_secs()
                    ),
                    "synchronise both by NTP: due dates and leases are judged by it",
                )
            } else {
                Finding::good("clock", "agrees with the data folder's")
            });
        }
        Err(error) => findings.push(Finding::broken(
            ABOUT,
            format!("{shown} is not writable: {error}"),
            "give it to the daemon's user",
        )),
    }
    match rustix::fs::statvfs(data) {
        Ok(volume) => {
            let free = volume.f_bavail.saturating_mul(volume.f_frsize);
            let message = format!("{} free", Bytes(free >> 20 << 20));
            findings.push(if free < LITTLE_ROOM {
                Finding::broken(
                    "disk",
                    message,
                    "make room: evidence, repositories and the database live there",
                )
            } else {
                Finding::good("disk", message)
            });
        }
        Err(error) => findings.push(Finding::doubtful(
            "disk",
            format!("its free space is not known: {error}"),
            "",
        )),
    }
    findings
}

/// Files that nobody but the daemon may read.
fn secrets(configuration: &Configuration) -> Vec<Finding> {
    use std::os::unix::fs::PermissionsExt;
    let own = ["key", "admin.token"].map(|name| configuration.data.join(name));
    let files = own.iter().chain(&configuration.store.database_file);
    files
        .filter_map(|path| {
            let mode = std::fs::metadata(path).ok()?.permissions().mode();
            (mode & 0o077 != 0).then(|| {
                Finding::broken(
                    "secrets",
                    format!(
                        "{} can be read by others (mode {:o})",
                        path.display(),
                        mode & 0o777
                    ),
                    format!("chmod 600 {}", path.display()),
                )
            })
        })
        .collect()
}

async fn database(configuration: &Configuration) -> Finding {
    const ABOUT: &str = "database";
    let address = match configuration.database() {
        Ok(address) => address,
        Err(error) => return Finding::misconfigured(ABOUT, format!("{error:#}"), ""),
    };
    let sqlite = address.strip_prefix("sqlite:");
    if sqlite.is_some_and(|path| !Path::new(path).exists()) {
        return Finding::doubtful(
            ABOUT,
            "is not there yet",
            "`assay serve` or `assay migrate` makes it",
        );
    }
    let kind = if sqlite.is_some() { "SQLite" } else { "PostgreSQL" };
    let asked = tokio::time::timeout(WITHIN, async {
        let store = Store::open(&address, &configuration.data.join("blobs")).await?;
        store.ping().await?;
        anyhow::Ok(store.schema_is_current().await?)
    });
    match asked.await {
        Ok(Ok(true)) => Finding::good(ABOUT, format!("{kind} answers, its schema is up to date")),
        Ok(Ok(false)) => Finding::broken(
            ABOUT,
            format!("{kind} answers, its schema is not that of this program"),
            "`assay migrate` brings it up to date; take a backup first",
        ),
        Ok(Err(error)) => Finding::broken(
            ABOUT,
            format!("{kind}: {error:#}"),
            "see store.database in `assay config`",
        ),
        Err(_) => Finding::broken(
            ABOUT,
            format!("{kind} does not answer within {} s", WITHIN.as_secs()),
            "is it up, and reachable from here?",
        ),
    }
}

async fn git() -> Finding {
    const ABOUT: &str = "git";
    match assay_git::version().await {
        Ok(version) => {
            let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
            let found = [parts.next().unwrap_or(0), parts.next().unwrap_or(0)];
            if found < OLDEST_GIT {
                let [major, minor] = OLDEST_GIT;
                Finding::broken(
                    ABOUT,
                    format!("{version} is too old"),
                    format!("{major}.{minor} or later"),
                )
            } else {
                Finding::good(ABOUT, version)
            }
        }
        Err(error) => Finding::broken(ABOUT, error.to_string(), "install Debian's package git"),
    }
}

fn engine_found(engine: &Engine) -> Finding {
    let info = engine.info();
    let under = info.facts.runtime.as_ref();
    let under = under.map(|runtime| format!("; candidates' code runs under `{runtime}`"));
    let message = format!(
        "{} answers: {} cores, {} MiB, cgroup v{}{}",
        info.version,
        info.cpus,
        info.memory_bytes >> 20,
        info.cgroup_version,
        under.unwrap_or_default()
    );
    Finding::good("engine", message)
}

/// Whether candidates' code stays where it is put.
async fn containers_found(engine: &Engine) -> Vec<Finding> {
    const ABOUT: &str = "containers";
    let concerns = preflight::examine(engine).await;
    if concerns.is_empty() {
        return vec![Finding::good(ABOUT, "are closed, by all that is known")];
    }
    let finding = |concern: Concern| match concern.is_grave {
        true => Finding::broken(ABOUT, concern.message, concern.hint),
        false => Finding::doubtful(ABOUT, concern.message, concern.hint),
    };
    concerns.into_iter().map(finding).collect()
}

/// Whoever may write to the engine's socket is as good as root.
fn socket_found(address: Option<&str>) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt;
    const ABOUT: &str = "engine socket";
    let path = address.unwrap_or("unix:///var/run/docker.sock");
    let Some(path) = path.strip_prefix("unix://") else {
        return Some(Finding::doubtful(
            ABOUT,
            format!("the engine is reached over the network at {path}"),
            "whoever reaches it there is as good as root: let it ask for certificates, or use its Unix socket",
        ));
    };
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o002 != 0).then(|| {
        Finding::broken(
            ABOUT,
            format!("{path} can be written to by everybody (mode {:o})", mode & 0o777),
            format!("whoever may is as good as root: chmod 660 {path}"),
        )
    })
}

/// The images that the exercises' runs need.
async fn images_found(engine: &Engine, exercises: &Exercises) -> Vec<Finding> {
    const ABOUT: &str = "images";
    let mut needed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for folder in exercises.all() {
        for track in folder.spec.tracks.keys() {
            for image in folder.images(track) {
                let by = format!("{}/{track}", folder.spec.slug);
                needed.entry(image).or_default().insert(by);
            }
        }
    }
    let mut findings = Vec::new();
    let mut n_there = 0;
    for (name, needed_by) in &needed {
        match images::resolve(engine, name).await {
            Ok(_) => n_there += 1,
            Err(error) => findings.push(Finding::broken(
                ABOUT,
                format!(
                    "{error}; needed by {}",
                    Vec::from_iter(needed_by.iter().map(String::as_str)).join(", ")
                ),
                format!("assay images build {name}"),
            )),
        }
    }
    if findings.is_empty() && n_there > 0 {
        findings.push(Finding::good(ABOUT, format!("all {n_there} are there")));
    }
    findings
}

fn ca_bundle(path: &Path) -> Finding {
    const ABOUT: &str = "ca bundle";
    match std::fs::read_to_string(path) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => Finding::good(
            ABOUT,
            format!(
                "{} certificates",
                text.matches("-----BEGIN CERTIFICATE-----").count()
            ),
        ),
        Ok(_) => Finding::misconfigured(
            ABOUT,
            format!("{} holds no certificate", path.display()),
            "it is a file of PEM certificates, one after the other",
        ),
        Err(error) => Finding::misconfigured(
            ABOUT,
            format!("{} cannot be read: {error}", path.display()),
            "see engine.ca_bundle in `assay config`",
        ),
    }
}

/// Free, or taken by a daemon that answers.
async fn address_to_listen_on(configuration: &Configuration) -> Finding {
    const ABOUT: &str = "address";
    let listen = configuration.http.listen;
    match tokio::net::TcpListener::bind(listen).await {
        Ok(_) => Finding::good(ABOUT, format!("{listen} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => match ask(listen, "health").await {
            Ok(()) => Finding::good(ABOUT, format!("a daemon answers at {listen}")),
            Err(_) => Finding::broken(
                ABOUT,
                format!("{listen} is taken by something that is not a healthy daemon"),
                "choose another one with http.listen",
            ),
        },
        Err(error) => Finding::misconfigured(
            ABOUT,
            format!("{listen} cannot be listened on: {error}"),
            "see http.listen in `assay config`",
        ),
    }
}

/// Whether the daemon answers and can do its work.
pub(super) async fn running(configuration: &Configuration) -> Finding {
    const ABOUT: &str = "daemon";
    let listen = configuration.http.listen;
    match ask(listen, "ready").await {
        Ok(()) => Finding::good(ABOUT, format!("is ready at {listen}")),
        Err(error) => Finding::broken(
            ABOUT,
            format!("is not ready at {listen}: {error}"),
            "look at its log, then at `assay doctor`",
        ),
    }
}

async fn ask(listen: SocketAddr, what: &str) -> Result<(), reqwest::Error> {
    crate::remote::install_tls();
    let client = reqwest::Client::builder().timeout(WITHIN).no_proxy().build()?;
    let answer = client.get(format!("http://{listen}/{what}")).send().await?;
    answer.error_for_status().map(drop)
}

fn public_url(configuration: &Configuration) -> Option<Finding> {
    let url = configuration.public_url(configuration.http.listen);
    let is_local = configuration.http.listen.ip().is_loopback() && configuration.http.public_url.is_none();
    let hint = if url.starts_with("https://") || is_local {
        return None;
    } else if configuration.http.public_url.is_none() {
        "set http.public_url to the address that candidates use"
    } else {
        "put a proxy with TLS in front and let http.public_url begin with https://"
    };
    Some(Finding::doubtful(
        "public url",
        format!("tokens and passwords travel openly to {url}"),
        hint,
    ))
}
