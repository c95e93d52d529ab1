//! The one error of all handlers: a problem document (RFC 9457) for programs, a page or a line of text for people.
//!
//! Whoever asked sees what they can mend. Everything else becomes an opaque 500, and its cause goes to the log once, here.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// What a client gets instead of what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// Stable name of the kind: `not_found`, `rate_limited`.
    pub kind: &'static str,
    /// What is wrong, in a sentence.
    pub detail: String,
    /// After which time it is worth another try.
    pub retry_after: Option<Duration>,
}

/// Why a request was refused, or that it failed (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document {
    /// Stable name of the kind: `urn:assay:problem:not_found`.
    r#type: String,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong, in a sentence.
    detail: String,
}

impl Problem {
    /// The request itself is wrong.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// Nobody is signed in, or the token opens nothing.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// Signed in, and not allowed to.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// It is not there, or not for these eyes.
    pub fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("There is no such {what}."),
        )
    }

    /// The address is right, and the method is not.
    pub(crate) fn method_not_allowed() -> Self {
        let detail = "This address does not answer that method.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    /// It does not fit the state of things.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// Any other one.
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// The request can be read, and what it says cannot be.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", detail)
    }

    /// Too often. One more is let through after `wait`.
    pub fn too_many(wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        let detail = format!("Too many requests. Try again in {seconds} s.");
        Self {
            retry_after: Some(wait),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
        }
    }

    /// Something of ours failed. The cause is logged here and shown to nobody.
    pub fn internal(doing: &str, error: &dyn std::error::Error) -> Self {
        let mut causes = error.to_string();
        let mut cause = error.source();
        while let Some(source) = cause {
            causes.push_str(&format!(": {source}"));
            cause = source.source();
        }
        tracing::error!(doing, error = causes, "{doing} failed");
        let detail = "Something of ours failed; it is in the daemon's log.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl From<assay_store::StoreError> for Problem {
    fn from(error: assay_store::StoreError) -> Self {
        use assay_store::StoreError;
        match error {
            StoreError::NotFound { what, .. } => Self::not_found(what),
            StoreError::Exists { what, .. } => Self::conflict(format!("There is such a {what} already.")),
            StoreError::NoAttemptsLeft { of } => Self::conflict(format!("All {of} attempts are used.")),
            StoreError::Erased(_) => Self::conflict("The candidate of this assignment was erased."),
            StoreError::Place(_) => {
                Self::bad_request("`after` is no place in this list: give back `next` of the page before.")
            }
            error => Self::internal("the database", &error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            r#type: format!("urn:assay:problem:{}", self.kind),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(wait) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // For the layer that turns it into a page where a person asked.
        response.extensions_mut().insert(self);
        response
    }
}
