//! How much memory a run may take, by what its exercise allows.

use assay_core::exercise::CheckKind;

use crate::ExerciseFolder;
use crate::context;
use crate::service;

/// Most memory that a run uses at one time, in bytes: its trees, and what its stages' containers may use side by side.
pub(super) fn memory(folder: &ExerciseFolder) -> u64 {
    let limit = |kind| match folder.check(kind) {
        Some(check) => check.limits.unwrap_or(folder.spec.app.limits).memory.0,
        None => 0,
    };
    let tool = context::tool_limits().memory.0;
    // The toolchain's linters and the scanner.
    let building = limit(CheckKind::Build) + 2 * tool;
    let served = |kind| match folder.check(kind) {
        Some(_) => limit(kind) + folder.services.len() as u64 * service::memory() + tool,
        None => 0,
    };
    // A round of `rigour` serves the reference beside the candidate's tests; it takes the place of one of the others.
    let rigour = match folder.check(CheckKind::Rigour) {
        Some(_) => served(CheckKind::Rigour) + limit(CheckKind::Build),
        None => 0,
    };
    let testing = limit(CheckKind::Unit)
        + served(CheckKind::Integration).max(rigour)
        + served(CheckKind::Security).max(rigour);
    // Those that share a container, and the largest of those that do not: these take the places of others.
    let command = |isolate: bool| {
        let checks = folder.spec.checks.iter();
        let commands = checks.filter(|check| check.kind == CheckKind::Command && check.isolate == isolate);
        let limits = commands.map(|check| check.limits.unwrap_or(folder.spec.app.limits));
        limits.map(|limits| limits.memory.0).max().unwrap_or(0)
    };
    let testing = testing + command(false) + command(true);
    context::TREES_BYTES + building.max(testing).max(served(CheckKind::Load))
}
