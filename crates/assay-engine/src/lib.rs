//! Takes a submission, executes its exercise's plan in pods, emits events, leaves evidence.

#![warn(missing_docs)]

mod exercises;
mod folder;
mod ground;
mod quiet;
mod rescore;
mod run;
mod scored;

pub mod meters;
pub mod worker;

mod analyse;
mod audit;
mod build;
mod commands;
mod context;
mod insight;
mod integration;
mod load;
mod rigour;
mod security;
mod seeded;
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
pub use ground::Teardown;
pub use quiet::Quiet;
pub use rescore::{RescoreError, rescore};
pub use run::{Assessment, Execution, Job, RunError, assess};
pub use scored::Scored;
pub use seeded::{Seeded, SeededBug};
