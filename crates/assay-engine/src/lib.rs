//! Takes a submission, executes its exercise's plan in pods, emits events, leaves evidence.

#![warn(missing_docs)]

mod exercises;
mod folder;
mod run;
mod scored;

mod analyse;
mod build;
mod context;
mod integration;
mod load;
mod security;
mod service;
mod source;
mod unit;

pub mod events;
pub mod evidence_files;
mod faults;
mod text;

pub use events::Events;
pub use exercises::Exercises;
pub use folder::{DRIVE_IMAGE, ExerciseFolder, SCAN_IMAGE, TESTS_IMAGE, read_yaml};
pub use run::{Assessment, Job, RunError, assess};
pub use scored::Scored;
