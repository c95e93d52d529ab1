//! The daemon's face: git hosting, webhooks, API, pages, live events.
//!
//! [`App`] is what all handlers share; [`router`] puts their routes together. Each module has the routes of one kind of
//! client and nothing else; what several of them do (inviting, cancelling, scoring again) is in [`desk`].

#![warn(missing_docs)]

mod app;
mod problem;

pub mod auth;
pub mod desk;

mod api;
mod git;
mod health;
mod hooks;
mod pages;
mod serve;

pub use app::{App, Settings};
pub use problem::Problem;
pub use serve::{Drained, serve};

/// All routes.
pub fn router(app: App) -> axum::Router {
    axum::Router::new()
        .merge(health::routes())
        .merge(git::routes())
        .merge(hooks::routes())
        .merge(api::routes())
        .merge(pages::routes())
        .with_state(app)
}
