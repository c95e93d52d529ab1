//! What happens around every request: an id, a span, numbers, headers; panics and time-outs become problems.

use std::any::Any;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use metrics::{counter, histogram};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tracing::Instrument;

use crate::{App, Problem};

/// Largest body of a request to the API or of a form. Git and webhooks have limits of their own.
const MAX_BODY: usize = 256 << 10;

/// How long the beginning of an answer may take. Streams go on after that.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Pages bring all they need, and nothing of anybody else's is ever loaded, run, framed or told where one came from. A
/// handler that needs something else says so itself.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    // What was shown to somebody stays in no cache after they signed out.
    (header::CACHE_CONTROL, "no-store"),
];

/// Time-outs and body limits for routes that answer quickly: all but git's and the hooks'.
pub(crate) fn bounded(routes: Router<App>) -> Router<App> {
    routes
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(|request, next| in_time(ANSWER_WITHIN, request, next)))
}

async fn in_time(within: Duration, request: Request, next: Next) -> Response {
    // Nobody waits for a body that will be refused.
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > MAX_BODY) {
        let detail = format!("The body may have {MAX_BODY} bytes at most.");
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail).into_response();
    }
    match tokio::time::timeout(within, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            "The answer took too long. Try again in a moment.",
        )
        .into_response(),
    }
}

/// For all routes.
pub(crate) fn around(routes: Router<App>, app: &App) -> Router<App> {
    let mut routes = routes.layer(CatchPanicLayer::custom(panicked));
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        routes = routes.layer(SetResponseHeaderLayer::if_not_present(name, value));
    }
    if app.is_https() {
        let value = HeaderValue::from_static("max-age=31536000");
        routes = routes.layer(SetResponseHeaderLayer::if_not_present(
            header::STRICT_TRANSPORT_SECURITY,
            value,
        ));
    }
    routes.layer(from_fn(observe))
}

fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text = cause.downcast_ref::<&str>().copied();
    let text = text.or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    let error = std::io::Error::other(text.unwrap_or("a panic without words").to_owned());
    Problem::internal("answering a request", &error).into_response()
}

/// Gives the request an id, and its log lines a span. The route's template is logged and counted, never the path itself: it, or
/// its query, may hold a secret.
async fn observe(request: Request, next: Next) -> Response {
    let id = assay_core::id::from_random(rand::random());
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    let method = known(request.method().as_str());
    let span = tracing::info_span!("request", id, method, route);
    let began = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let elapsed = began.elapsed();
    let status = response.status();
    span.in_scope(|| {
        let (status, duration_ms) = (status.as_u16(), elapsed.as_millis());
        tracing::debug!(status, duration_ms, "answered {status}");
    });
    let labels = [
        ("method", method.to_owned()),
        ("route", route),
        ("status", status.as_str().to_owned()),
    ];
    counter!("assay_http_requests_total", &labels).increment(1);
    histogram!("assay_http_request_duration_seconds", &labels[..2]).record(elapsed.as_secs_f64());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

/// A client may make methods up; metrics must not grow by that.
fn known(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Uri;
    use tower::ServiceExt;

    use super::*;

    async fn misbehaves(address: Uri) {
        match address.path() {
            "/waits" => std::future::pending().await,
            _ => panic!("a secret of the daemon's"),
        }
    }

    #[tokio::test]
    async fn what_takes_too_long_and_what_panics_are_problems() {
        let router: Router = Router::new()
            .fallback(misbehaves)
            .layer(from_fn(|request, next| {
                in_time(Duration::from_millis(20), request, next)
            }))
            .layer(CatchPanicLayer::custom(panicked));
        for (path, status, kind) in [("/waits", 503, "timeout"), ("/panics", 500, "internal")] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let text = String::from_utf8_lossy(&body);
            assert!(text.contains(&format!("urn:assay:problem:{kind}")), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
