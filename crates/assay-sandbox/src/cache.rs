//! Caches that outlive a run: disk-backed volumes, filled once by a trusted container, read-only ever after.
//!
//! A cache is two volumes. The data volume is filled under a name of its own; then an empty marker volume, whose name
//! follows from the key, is created with a label that names the data volume. The engine answers a second creation of
//! the marker with the first, so publishing is atomic and the first publisher wins. A look-up is one inspection.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::time::Duration;

use assay_core::agent::{Copied, TreeCaps};
use bollard::models::{Volume, VolumeCreateRequest};
use bollard::query_parameters::ListVolumesOptionsBuilder;
use sha2::{Digest, Sha256};

use crate::agent::AskError;
use crate::container::{ContainerSpec, Mount, StartError};
use crate::engine::{Engine, EngineError, QUICK, call};
use crate::run::{Run, RunInner, TRUSTED, remove_volume, unix_now};

/// The label that tells what a cache's volume is: [`DATA`] or [`MARKER`].
const CACHE_LABEL: &str = "assay.cache";
const DATA: &str = "data";
const MARKER: &str = "marker";

/// The label with the time (Unix seconds) at which a cache's volume was created.
const CREATED_LABEL: &str = "assay.cache.created";

/// The label by which a marker names its data volume.
const DATA_LABEL: &str = "assay.cache.data";

/// The label with the key, for people.
const KEY_LABEL: &str = "assay.cache.key";

/// Where the drive image has an empty directory that everyone may write, whose mode a new volume takes on.
const FILL_DIRECTORY: &str = "/cache";

/// How long a data volume without a marker may be in the making.
const FILLING: Duration = Duration::from_secs(3600);

/// A published cache, to be mounted with [`crate::Mount::cached`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheVolume {
    docker_name: String,
}

/// Which caches to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PruneCaches {
    /// Those that were created longer ago.
    pub older_than: Duration,
    /// Of the rest, all but so many of the newest.
    pub keep: usize,
}

/// Why a cache was not published.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// The container that fills it did not come up.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The tree could not be copied, for instance because it is larger than its caps.
    #[error(transparent)]
    Copy(#[from] AskError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl CacheVolume {
    pub(crate) fn docker_name(&self) -> &str {
        &self.docker_name
    }
}

impl Engine {
    /// The cache published under a key, if there is one.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn cached(&self, key: &str) -> Result<Option<CacheVolume>, EngineError> {
        let Some(marker) = inspect(self, &marker_name(key)).await? else {
            return Ok(None);
        };
        let Some(docker_name) = marker.get(DATA_LABEL) else {
            return Ok(None);
        };
        let data = inspect(self, docker_name).await?;
        Ok(data.filter(is_ours).map(|_| CacheVolume {
            docker_name: docker_name.clone(),
        }))
    }

    /// Removes old caches, and what was left of unpublished ones. Those in use stay. Returns how many caches went.
    ///
    /// # Errors
    /// When the engine cannot list volumes. That one cannot be removed is no error: it may be in use.
    pub async fn prune_caches(&self, what: PruneCaches) -> Result<usize, EngineError> {
        let label = |kind: &str| HashMap::from([("label", vec![format!("{CACHE_LABEL}={kind}")])]);
        let list = async |kind: &str| {
            let options = ListVolumesOptionsBuilder::new().filters(&label(kind)).build();
            let volumes = call("list volumes", QUICK, self.docker().list_volumes(Some(options))).await?;
            Ok::<_, EngineError>(volumes.volumes.unwrap_or_default())
        };
        let now = unix_now();
        let markers = list(MARKER).await?.into_iter().map(Entry::from).collect();
        let (kept, doomed) = select(markers, now, what);
        let mut removed = 0;
        for marker in &doomed {
            removed += usize::from(remove_volume(self, &marker.name).await.is_ok());
        }
        let published: BTreeSet<&String> = kept.iter().filter_map(|marker| marker.data.as_ref()).collect();
        let unpublished: BTreeSet<&String> =
            doomed.iter().filter_map(|marker| marker.data.as_ref()).collect();
        for data in list(DATA).await?.into_iter().map(Entry::from) {
            let being_filled = !unpublished.contains(&data.name) && data.age(now) <= FILLING;
            if !published.contains(&data.name) && !being_filled {
                // One in use is removed by the next pruning.
                remove_volume(self, &data.name).await.ok();
            }
        }
        Ok(removed)
    }
}

impl Run {
    /// Publishes the content of a volume as a cache, unless someone was faster; either way the published one is
    /// returned. Takes a container's start and the time to copy.
    ///
    /// # Errors
    /// When the tree is larger than its caps, or the engine fails.
    pub async fn publish_cache(
        &self,
        key: &str,
        volume: &crate::Volume,
        caps: TreeCaps,
    ) -> Result<(CacheVolume, Copied), PublishError> {
        let filling = self.inner().begin_cache(key).await?;
        let spec = ContainerSpec {
            role: "cache".to_owned(),
            image: self.inner().drive.clone(),
            env: Default::default(),
            mounts: vec![
                Mount::read_only(volume, "/from"),
                Mount::filling(&filling, FILL_DIRECTORY),
            ],
            tmpfs: vec![],
            limits: TRUSTED,
            is_foreign: false,
        };
        let filler = self.container(spec).await?;
        let copied = filler
            .copy_tree(("/from", ""), (FILL_DIRECTORY, ""), caps)
            .await?;
        filler.remove().await?;
        let cache = self.inner().end_cache(key, filling).await?;
        Ok((cache, copied))
    }
}

impl RunInner {
    /// An empty data volume. Until it is published it belongs to the run, and goes with it.
    pub(crate) async fn begin_cache(&self, key: &str) -> Result<CacheVolume, EngineError> {
        let docker_name = format!("{}-{}", marker_name(key), self.id());
        self.register_volume(&docker_name);
        create(&self.engine, &docker_name, labels(DATA, &[(KEY_LABEL, key)])).await?;
        Ok(CacheVolume { docker_name })
    }

    /// Publishes a filled data volume, unless someone was faster; either way the published one is returned.
    pub(crate) async fn end_cache(&self, key: &str, filled: CacheVolume) -> Result<CacheVolume, EngineError> {
        let (engine, marker) = (&self.engine, marker_name(key));
        let named = [(KEY_LABEL, key), (DATA_LABEL, filled.docker_name())];
        create(engine, &marker, labels(MARKER, &named)).await?;
        match engine.cached(key).await? {
            Some(published) => {
                if published == filled {
                    self.release_volume(filled.docker_name());
                }
                Ok(published)
            }
            // A marker of a cache that was pruned in part. Ours serves this run and goes with it.
            None => {
                remove_volume(engine, &marker).await?;
                Ok(filled)
            }
        }
    }
}

/// One of a cache's two volumes.
#[derive(Debug)]
struct Entry {
    name: String,
    /// Unix seconds.
    created: u64,
    /// Of a marker.
    data: Option<String>,
}

impl From<Volume> for Entry {
    fn from(volume: Volume) -> Self {
        let created = volume
            .labels
            .get(CREATED_LABEL)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        Self {
            name: volume.name,
            created,
            data: volume.labels.get(DATA_LABEL).cloned(),
        }
    }
}

impl Entry {
    fn age(&self, now: u64) -> Duration {
        Duration::from_secs(now.saturating_sub(self.created))
    }
}

/// Parts the markers into those to keep and those to remove.
fn select(mut markers: Vec<Entry>, now: u64, what: PruneCaches) -> (Vec<Entry>, Vec<Entry>) {
    markers.sort_by_key(|marker| std::cmp::Reverse(marker.created));
    let young = markers
        .iter()
        .take_while(|marker| marker.age(now) <= what.older_than)
        .count();
    let doomed = markers.split_off(young.min(what.keep));
    (markers, doomed)
}

/// Whether these are the labels of a cache's data volume; one that the engine made up has none.
pub(crate) fn is_ours(labels: &HashMap<String, String>) -> bool {
    labels.get(CACHE_LABEL).is_some_and(|kind| kind == DATA)
}

fn marker_name(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    digest[..16]
        .iter()
        .fold("assay-cache-".to_owned(), |mut name, byte| {
            // Writing to a string does not fail.
            write!(name, "{byte:02x}").ok();
            name
        })
}

fn labels(kind: &str, more: &[(&str, &str)]) -> HashMap<String, String> {
    let mut labels = HashMap::from([
        (CACHE_LABEL.to_owned(), kind.to_owned()),
        (CREATED_LABEL.to_owned(), unix_now().to_string()),
    ]);
    labels.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    labels
}

async fn create(engine: &Engine, name: &str, labels: HashMap<String, String>) -> Result<(), EngineError> {
    let request = VolumeCreateRequest {
        name: Some(name.to_owned()),
        driver: Some("local".to_owned()),
        labels: Some(labels),
        ..VolumeCreateRequest::default()
    };
    call("create a volume", QUICK, engine.docker().create_volume(request))
        .await
        .map(drop)
}

async fn inspect(engine: &Engine, name: &str) -> Result<Option<HashMap<String, String>>, EngineError> {
    match call("inspect a volume", QUICK, engine.docker().inspect_volume(name)).await {
        Ok(volume) => Ok(Some(volume.labels)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_caches_go_and_then_those_that_are_too_many() {
        let markers = || {
            [100, 300, 200]
                .map(|created| Entry {
                    name: created.to_string(),
                    created,
                    data: None,
                })
                .into()
        };
        for (older_than, keep, kept) in [
            (1000, 9, vec!["300", "200", "100"]),
            (200, 9, vec!["300", "200"]),
            (1000, 1, vec!["300"]),
            (100, 2, vec!["300"]),
            (1000, 0, vec![]),
        ] {
            let what = PruneCaches {
                older_than: Duration::from_secs(older_than),
                keep,
            };
            let (left, doomed) = select(markers(), 400, what);
            assert_eq!(
                left.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(),
                kept
            );
            assert_eq!(left.len() + doomed.len(), 3);
        }
    }
}
