//! Pods, limits, files in and out: the only crate that knows containers.
//!
//! An [`Engine`] is a connection to Docker. A [`Run`] owns everything that one assessment creates there: [`Volumes`]
//! that carry trees, and [`Pod`]s, in whose network [`Container`]s live. Every container runs our agent
//! (`assay-drive serve`) as its first process; commands, files and questions go through it, over the container's
//! attached standard input and output. No directory of the host is ever mounted, no archive is ever exchanged, and
//! nothing is published: see [`policy`] for what a container may do.
//!
//! Three things can go wrong in a container, and they are told apart in the types: the agent refuses a request
//! ([`AskError::Refused`], by far most often the doing of whoever wrote the files or the command), the container is
//! gone ([`AskError::Lost`] with its [`Death`]), or the run was cancelled ([`AskError::Cancelled`]).

#![warn(missing_docs)]

mod agent;
mod cache;
mod command;
mod container;
mod control;
pub mod egress;
mod engine;
mod files;
pub mod images;
mod pod;
pub mod policy;
mod preflight;
mod run;
mod sweep;
mod usage;
mod volume;

pub use agent::{AskError, Death};
pub use assay_core::agent::{
    AgentError, Copied, ErrorKind, Listener, OutputCap, Probe, Signal, Target, TreeCaps, Usage, WhenFull,
};
pub use cache::{CacheVolume, PruneCaches, PublishError};
pub use command::{Command, ExitReason, Exited, Lines, Output, Process};
pub use container::{Container, ContainerSpec, Mount, StartError};
pub use control::{ControlAsk, ControlSocket};
pub use egress::{Egress, EgressSpec};
pub use engine::{ConnectError, Engine, EngineError, EngineInfo};
pub use files::{Content, TreeEntry, Written};
pub use images::Image;
pub use pod::{Pod, Waited};
pub use policy::{Limits, Tmpfs};
pub use preflight::{PreflightError, preflight};
pub use run::{Run, RunSpec, TeardownError};
pub use sweep::Swept;
pub use volume::{Volume, VolumeSpec, Volumes};
