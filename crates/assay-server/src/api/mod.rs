//! REST under `/api/v1`, described by OpenAPI out of the handlers themselves.
//!
//! A handler takes who is asking ([`Scoped`](crate::auth::Scoped)), reads with the store or acts through the desk, and
//! answers one of the types of [`wire`]. Errors are problem documents, those of axum's own extractors too ([`input`]).

use axum::http::{HeaderValue, header};
use axum::routing::get;
use axum::{Json, Router};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::Document;
use crate::{App, Problem};

mod assignments;
mod attestations;
mod audit;
mod connections;
mod exercises;
mod input;
mod people;
mod reports;
mod runs;
mod wire;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Assay",
        description = "Assignments, runs and reports of backend take-home exercises.\n\nSend an API token: `Authorization: Bearer assay_…`. Its scopes are `read`, `invite`, `run` and `admin`; each operation says which one it needs. Times are milliseconds since 1970. Lists come in parts: give `next` back as `after`. Errors are problem documents (RFC 9457)."
    ),
    components(schemas(Document)),
    security(("token" = []))
)]
struct Description;

fn described() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(exercises::list))
        .routes(routes!(exercises::show))
        .routes(routes!(assignments::list, assignments::create))
        .routes(routes!(
            assignments::show,
            assignments::change,
            assignments::erase
        ))
        .routes(routes!(assignments::new_token, assignments::revoke_tokens))
        .routes(routes!(assignments::new_link))
        .routes(routes!(runs::list))
        .routes(routes!(runs::show))
        .routes(routes!(runs::events))
        .routes(routes!(runs::rerun))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::rescore))
        .routes(routes!(runs::scorecards))
        .routes(routes!(reports::json))
        .routes(routes!(reports::html))
        .routes(routes!(reports::markdown))
        .routes(routes!(reports::sarif))
        .routes(routes!(reports::junit))
        .routes(routes!(reports::files))
        .routes(routes!(reports::file))
        .routes(routes!(reports::links, reports::share))
        .routes(routes!(reports::unshare))
        .routes(routes!(attestations::of_run))
        .routes(routes!(attestations::of_assignment))
        .routes(routes!(people::me))
        .routes(routes!(people::users, people::create_user))
        .routes(routes!(people::change_user))
        .routes(routes!(people::tokens, people::make_token))
        .routes(routes!(people::revoke_token))
        .routes(routes!(connections::list, connections::create))
        .routes(routes!(connections::change))
        .routes(routes!(connections::rotate))
        .routes(routes!(connections::drop_old_secret))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
}

/// Every operation may be refused: said once, for all of them.
fn with_problems(mut api: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    api.components
        .get_or_insert_default()
        .security_schemes
        .insert("token".into(), RefOr::T(scheme));
    let problem = ResponseBuilder::new()
        .description("It was refused, or failed: a problem document says why.")
        .content(
            "application/problem+json",
            Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem")))),
        )
        .build();
    for item in api.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.patch,
            &mut item.delete,
            &mut item.put,
        ];
        for operation in operations.into_iter().flatten() {
            operation
                .responses
                .responses
                .insert("default".into(), problem.clone().into());
        }
    }
    api
}

/// The viewer styles itself as it goes, which the policy of all other pages forbids.
const VIEWER_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

pub(crate) fn routes() -> Router<App> {
    let (routes, api) = described().split_for_parts();
    let api = with_problems(api);
    let viewer: Router<App> = utoipa_swagger_ui::SwaggerUi::new("/api/docs")
        .config(utoipa_swagger_ui::Config::from("/api/v1/openapi.json"))
        .into();
    let viewer = viewer.layer(SetResponseHeaderLayer::overriding(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(VIEWER_POLICY),
    ));
    routes
        .route(
            "/api/v1/openapi.json",
            get(move || std::future::ready(Json(api.clone()))),
        )
        .route("/.well-known/assay-keys.pem", get(attestations::keys))
        .route(
            "/api/{*rest}",
            axum::routing::any(|| async { Problem::not_found("address in the API") }),
        )
        .merge(viewer)
}
