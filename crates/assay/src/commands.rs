//! One module per command.

pub(crate) mod assignments;
pub(crate) mod backup;
pub(crate) mod config;
pub(crate) mod connect;
pub(crate) mod doctor;
pub(crate) mod exercise;
pub(crate) mod images;
pub(crate) mod key;
pub(crate) mod logs;
pub(crate) mod report;
pub(crate) mod rescore;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod saturate;
pub(crate) mod serve;
pub(crate) mod user;
pub(crate) mod verify;
pub(crate) mod worker;

mod assess;
mod attest;
mod due;
mod folders;
mod output;
mod submission;
