//! Style sheets and scripts: part of the program, under names that hold their digest, so that browsers keep them for ever.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use crate::{App, Problem};

#[derive(RustEmbed)]
#[folder = "assets"]
struct Embedded;

/// A file as it is served.
struct Asset {
    /// `pages.3f2c1aa09b7e.css`.
    name: String,
    media_type: &'static str,
    bytes: Cow<'static, [u8]>,
}

impl Asset {
    fn new(stem: &str, extension: &str, bytes: Cow<'static, [u8]>) -> Self {
        let digest = Sha256::digest(&bytes);
        let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self {
            name: format!("{stem}.{digest}.{extension}"),
            media_type: match extension {
                "css" => "text/css; charset=utf-8",
                "js" => "text/javascript; charset=utf-8",
                "svg" => "image/svg+xml",
                _ => "text/plain; charset=utf-8",
            },
            bytes,
        }
    }

    fn embedded(name: &str) -> Self {
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let bytes = Embedded::get(name).map_or(Cow::Borrowed(&[][..]), |file| file.data);
        Self::new(stem, extension, bytes)
    }
}

/// All that pages load.
pub(super) struct Assets {
    style: Asset,
    pages: Asset,
    htmx: Asset,
    sse: Asset,
    icon: Asset,
    licence: Asset,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new("report", "css", Cow::Borrowed(assay_report::STYLE.as_bytes())),
    pages: Asset::embedded("pages.css"),
    htmx: Asset::embedded("htmx.min.js"),
    sse: Asset::embedded("hx-sse.min.js"),
    icon: Asset::embedded("assay.svg"),
    licence: Asset::embedded("htmx.LICENSE.txt"),
});

impl Assets {
    /// The style sheet that pages share with reports.
    pub(super) fn style() -> &'static str {
        &ASSETS.style.name
    }

    /// The style sheet of pages.
    pub(super) fn pages() -> &'static str {
        &ASSETS.pages.name
    }

    /// The library behind what is live.
    pub(super) fn htmx() -> &'static str {
        &ASSETS.htmx.name
    }

    /// Its part for streams.
    pub(super) fn sse() -> &'static str {
        &ASSETS.sse.name
    }

    /// The icon in the browser's tab.
    pub(super) fn icon() -> &'static str {
        &ASSETS.icon.name
    }

    fn find(name: &str) -> Option<&'static Asset> {
        let Self {
            style,
            pages,
            htmx,
            sse,
            icon,
            licence,
        } = &*ASSETS;
        [style, pages, htmx, sse, icon, licence]
            .into_iter()
            .find(|asset| asset.name == name)
    }
}

/// The route of all assets.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/assets/{name}", get(asset))
}

async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    let asset = Assets::find(&name).ok_or_else(|| Problem::not_found("file"))?;
    let headers = [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((StatusCode::OK, headers, asset.bytes.as_ref()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_embedded_under_a_name_of_its_own() {
        for name in [
            Assets::style(),
            Assets::pages(),
            Assets::htmx(),
            Assets::sse(),
            Assets::icon(),
        ] {
            let asset = Assets::find(name).expect(name);
            assert!(asset.bytes.len() > 100, "{name} is empty");
            assert_eq!(name.split('.').rev().nth(1).map(str::len), Some(12), "{name}");
        }
        assert!(
            Assets::find("pages.css").is_none(),
            "a name without a digest must not be cached"
        );
    }
}
