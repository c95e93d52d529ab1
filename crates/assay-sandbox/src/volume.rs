//! Volumes in memory, which carry trees between the containers of a run.

use std::collections::BTreeMap;

use assay_core::agent::{Copied, TreeCaps};
use futures_util::Stream;

use crate::agent::AskError;
use crate::container::{Container, ContainerSpec, Mount, StartError};
use crate::engine::EngineError;
use crate::files::{TreeEntry, Written};
use crate::policy::{Limits, Network};
use crate::run::{Run, TRUSTED, is_plain_name};

/// A volume to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Unique in the run; lower-case letters, digits and hyphens.
    pub name: String,
    /// Room for content.
    pub bytes: u64,
    /// Room for files and directories.
    pub inodes: u64,
}

/// One volume, to be mounted into containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    docker_name: String,
}

impl Volume {
    pub(crate) fn docker_name(&self) -> &str {
        &self.docker_name
    }
}

/// Volumes and the trusted container that holds them: it runs nothing but our agent, keeps the volumes' content alive
/// between other containers, and is the way by which files get in and out.
#[derive(Clone, Debug)]
pub struct Volumes {
    run: Run,
    holder: Container,
    volumes: BTreeMap<String, Volume>,
}

impl Volumes {
    pub(crate) async fn create(run: &Run, specs: &[VolumeSpec]) -> Result<Self, StartError> {
        let inner = run.inner();
        let mut volumes = BTreeMap::new();
        for VolumeSpec { name, bytes, inodes } in specs {
            let bad = |message: &str| StartError::BadSpec {
                role: name.clone(),
                message: message.to_owned(),
            };
            if !is_plain_name(name) {
                return Err(bad(
                    "a volume's name is made of lower-case letters, digits and hyphens, at most 40",
                ));
            }
            let docker_name = format!("assay-{}-volume-{name}", run.id());
            if volumes
                .insert(
                    name.clone(),
                    Volume {
                        docker_name: docker_name.clone(),
                    },
                )
                .is_some()
            {
                return Err(bad("two volumes have this name"));
            }
            let size = format!("size={bytes},nr_inodes={inodes},mode=0777,nosuid,nodev");
            let options = [
                ("type", "tmpfs".to_owned()),
                ("device", "tmpfs".to_owned()),
                ("o", size),
            ];
            inner.create_volume(&docker_name, &options).await?;
        }
        // What is written into a tmpfs counts as memory of the writer.
        let content = specs
            .iter()
            .fold(0_u64, |sum, spec| sum.saturating_add(spec.bytes));
        let memory_bytes = TRUSTED.memory_bytes.saturating_add(content);
        let spec = ContainerSpec {
            role: "volumes".to_owned(),
            image: inner.drive.clone(),
            env: BTreeMap::new(),
            mounts: volumes
                .iter()
                .map(|(name, volume)| Mount::writable(volume, &root(name)))
                .collect(),
            tmpfs: vec![],
            limits: Limits {
                memory_bytes,
                ..TRUSTED
            },
            is_foreign: false,
        };
        let holder = run.container(spec).await?;
        Ok(Self {
            run: run.clone(),
            holder,
            volumes,
        })
    }

    /// The volume with this name.
    pub fn get(&self, name: &str) -> Option<&Volume> {
        self.volumes.get(name)
    }

    /// Starts a trusted container beside the one that holds the volumes, in the same network, in which nobody listens: a
    /// third less work than with a network of its own.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn trusted(&self, spec: ContainerSpec) -> Result<Container, StartError> {
        let network = Network::Of(self.holder.id().to_owned());
        Container::start(&self.run, spec, network).await
    }

    /// Writes a tree into a volume; see [`Container::write_tree`].
    ///
    /// # Errors
    /// See there; an unknown volume is refused as not found.
    pub async fn write_tree(
        &self,
        volume: &str,
        entries: impl Stream<Item = TreeEntry>,
    ) -> Result<Written, AskError> {
        self.holder.write_tree(&root(volume), entries).await
    }

    /// Reads a file of a volume; see [`Container::read_file`].
    ///
    /// # Errors
    /// See there; an unknown volume is refused as not found.
    pub async fn read_file(&self, volume: &str, path: &str, max_bytes: u64) -> Result<Vec<u8>, AskError> {
        self.holder.read_file(&root(volume), path, max_bytes).await
    }

    /// Copies a tree between volumes, each place being (volume, relative path); see [`Container::copy_tree`].
    ///
    /// # Errors
    /// See there; an unknown volume is refused as not found.
    pub async fn copy_tree(
        &self,
        from: (&str, &str),
        to: (&str, &str),
        caps: TreeCaps,
    ) -> Result<Copied, AskError> {
        self.holder
            .copy_tree((&root(from.0), from.1), (&root(to.0), to.1), caps)
            .await
    }

    /// Removes a tree of a volume; see [`Container::remove_tree`].
    ///
    /// # Errors
    /// See there; an unknown volume is refused as not found.
    pub async fn remove_tree(&self, volume: &str, path: &str) -> Result<(), AskError> {
        self.holder.remove_tree(&root(volume), path).await
    }

    /// Lets go of the volumes: once no other container uses them either, their content is gone.
    ///
    /// # Errors
    /// When the engine fails; the end of the run tries again.
    pub async fn remove(&self) -> Result<(), EngineError> {
        self.holder.remove().await
    }
}

/// Where the holder has a volume.
fn root(name: &str) -> String {
    format!("/volumes/{name}")
}
