//! End-to-end tests: the real program, the real container engine, real git. One binary.
//!
//! The engine is required where `ASSAY_REQUIRE_DOCKER=1` is set, as in CI; elsewhere tests that need it say so and pass.
#![expect(
    clippy::disallowed_methods,
    reason = "tests start the real programs and read where they are"
)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says when it is skipped"
)]

mod attacks;
mod commands;
mod crashes;
mod daemon;
mod engine_gone;
mod forge;
mod house;
mod queue;
mod repositories;
mod rigour;
mod witness;
mod worker;
mod worker_killed;
