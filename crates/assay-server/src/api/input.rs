//! What requests bring, and how it is refused when it cannot be read: always as a problem document.

use std::fmt;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::{App, Problem};

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let body = axum::Json::from_request(request, app).await;
        let bad = |rejection: JsonRejection| {
            Problem::new(rejection.status(), "bad_json", sentence(&rejection.body_text()))
        };
        body.map(|body| Self(body.0)).map_err(bad)
    }
}

/// The parameters of the query.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, app).await;
        let bad = |rejection: QueryRejection| Problem::bad_request(sentence(&rejection.body_text()));
        query.map(|query| Self(query.0)).map_err(bad)
    }
}

/// The parameters of the path. What cannot be an id is the id of nothing.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, app).await;
        path.map(|path| Self(path.0))
            .map_err(|_| Problem::not_found("thing"))
    }
}

/// Part of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Where to go on: `next` of the part before. Default: at the beginning.
    after: Option<String>,
    /// Most rows, 1 to 200. Default: 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

impl Part {
    pub(super) fn request(self) -> Result<assay_store::model::PageRequest, Problem> {
        let limit = self.limit.unwrap_or(50);
        if !(1..=200).contains(&limit) {
            return Err(Problem::bad_request("`limit` is a number from 1 to 200."));
        }
        Ok(assay_store::model::PageRequest {
            after: self.after,
            limit,
        })
    }
}

/// A value of the query out of a few, by name.
pub(super) fn one_of<T: Copy>(
    what: &str,
    given: Option<&str>,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<Option<T>, Problem> {
    let Some(given) = given else { return Ok(None) };
    let found = all.iter().copied().find(|value| name(*value) == given);
    found.map(Some).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|value| name(*value)).collect();
        Problem::bad_request(format!("`{what}` is one of {}.", names.join(", ")))
    })
}

/// For fields in which `null` says something else than nothing.
pub(super) fn present<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

fn sentence(text: &impl fmt::Display) -> String {
    let text: String = text.to_string().chars().take(500).collect();
    format!("{}.", text.trim_end_matches('.'))
}

/// The key under which a request is done once, if it has one.
pub(super) struct IdempotencyKey(pub(super) Option<String>);

impl FromRequestParts<App> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let Some(key) = parts.headers.get("idempotency-key") else {
            return Ok(Self(None));
        };
        let key = key.to_str().ok().filter(|key| (1..=200).contains(&key.len()));
        let bad = || {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "`Idempotency-Key` has 1 to 200 plain characters.",
            )
        };
        Ok(Self(Some(key.ok_or_else(bad)?.to_owned())))
    }
}
