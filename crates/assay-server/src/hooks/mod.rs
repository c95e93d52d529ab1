//! Webhooks of forges in, commit statuses and comments out.
//!
//! A payload is a hint and no more: it is believed only once its signature holds, the forge's kind comes from the connection
//! and not from the request, and what is fetched or called is made of the connection's own addresses and a repository on its
//! list. A hook is answered when its run is in the store; what a forge is to be told stands in the store too, until
//! [`Courier`] has told it.

use axum::Router;

use crate::App;

pub mod address;
pub mod connections;
#[doc(hidden)]
pub mod entry;
pub mod sealing;

mod comment;
mod courier;
mod event;
mod forge;
mod receive;
mod repository;
mod signature;
mod submission;
mod telling;

#[cfg(test)]
mod tests;

pub use courier::Courier;
pub(crate) use forge::http as client;

pub(crate) fn routes() -> Router<App> {
    receive::routes()
}
