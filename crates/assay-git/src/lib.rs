//! Repositories: fetching them safely, hosting temporary ones ([`host`]), reading them without a checkout, and what their
//! history tells.
//!
//! Every byte of a repository is hostile. Three rules follow:
//!
//! - [`fetch()`] is the only door. It starts the `git` program, and this crate is the only one that starts host
//!   processes: with an environment of its own, no prompt, limits, a deadline, and a process group that dies with it.
//!   What arrives is a bare repository in a directory of ours, in which nothing of the candidate's is ever executed.
//! - Nothing is ever checked out. [`Repository`] reads objects through libgit2, asks for an object's size before it reads
//!   it, and walks under [`TreeLimits`] and [`HistoryLimits`].
//! - Every text that leaves this crate is UTF-8 without control characters, capped in length ([`display`]).
//!
//! What the history and the tree say about the work is judged by pure functions: [`remarks`], [`readme`] and [`template`].
//! [`solution`] goes the other way and makes a repository out of a sample solution.
#![warn(missing_docs)]

pub mod display;
#[doc(hidden)]
pub mod entry;
mod fetch;
mod folder;
mod history;
pub mod host;
mod lines;
mod object;
mod process;
pub mod readme;
pub mod remarks;
pub mod solution;
mod source;
pub mod template;
mod tree;
mod version;

pub use fetch::{Authorization, FetchError, FetchLimits, FetchRequest, Fetched, fetch};
pub(crate) use folder::Folder;
pub use folder::{File, FolderError};
pub use history::{ChangeSize, Commit, History, HistoryLimits, IntroducedBlob, IntroducedBlobs};
pub use object::{Blame, ObjectId, ReadError, Repository};
pub use source::{BadSource, Source};
pub use tree::{Entry, LeftOut, Reason, Tree, TreeError, TreeLimits};
pub use version::{VersionError, version};
