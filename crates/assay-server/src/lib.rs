//! The daemon's face: git hosting, webhooks, API, pages, live events.
//!
//! [`App`] is what all handlers share; [`router`] puts their routes together. Each module has the routes of one kind of
//! client and nothing else; what several of them do (inviting, cancelling, scoring again) is in [`desk`].

#![warn(missing_docs)]

mod app;
mod problem;

pub mod auth;
pub mod desk;
pub mod git;
pub mod hooks;
pub mod limits;
pub mod live;

mod api;
mod health;
mod housekeeping;
mod layers;
mod pages;
mod serve;

use axum::middleware::from_fn_with_state;

pub use app::{App, Settings};
pub use housekeeping::housekeeping;
pub use problem::Problem;
pub use serve::{Drained, serve};

/// All routes. To be served with the client's address:
/// `router(app).into_make_service_with_connect_info::<SocketAddr>()`.
pub fn router(app: App) -> axum::Router {
    let api = api::routes().layer(from_fn_with_state(app.clone(), limits::api));
    let quick = health::routes()
        .merge(auth::link::routes())
        .merge(pages::routes())
        .merge(api);
    let all = layers::bounded(quick)
        .merge(git::routes())
        .merge(hooks::routes())
        .fallback(pages::nowhere)
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() });
    layers::around(all, &app).with_state(app)
}
