//! A report as a document of its own: no script, no frame around it, and no style but its own.

use assay_core::report::Report;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::Problem;

/// The report as a page.
pub(super) fn answer(report: &Report) -> Result<Response, Problem> {
    let html = assay_report::html(report).map_err(|error| Problem::internal("a report", &error))?;
    let policy = HeaderValue::from_str(&policy(&html))
        .map_err(|error| Problem::internal("the policy of a report", &error))?;
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    Ok((headers, html).into_response())
}

/// Lets in exactly the style sheets that the page came with.
fn policy(html: &str) -> String {
    let styles = html
        .split("<style>")
        .skip(1)
        .filter_map(|rest| rest.split_once("</style>"))
        .map(|(style, _)| format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(style))));
    let styles: String = styles.collect();
    format!(
        "default-src 'none'; style-src{styles}; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-same-origin allow-top-navigation-by-user-activation"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_styles_of_the_page_are_let_in() {
        let policy = policy("<style>a{}</style><p>&lt;style&gt;</p><style>b{}</style>");
        assert_eq!(policy.matches("'sha256-").count(), 2, "{policy}");
        assert!(
            policy.contains(&STANDARD.encode(Sha256::digest("b{}"))),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
