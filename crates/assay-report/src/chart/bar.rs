//! A share as a bar in a table.

use askama::Template;

use super::px;

/// Parts of a whole, side by side, each with the name of its colour.
#[derive(Template)]
#[template(path = "chart/bar.svg", escape = "html", whitespace = "minimize")]
pub(crate) struct Bar {
    label: String,
    parts: Vec<Part>,
}

struct Part {
    color: &'static str,
    from: String,
    width: String,
}

impl Bar {
    /// The bar of these parts; what is left of the whole stays empty.
    pub(crate) fn new(label: String, whole: f64, parts: &[(&'static str, f64)]) -> Self {
        let mut from = 0.0;
        let mut drawn = Vec::new();
        for (color, part) in parts {
            let share = if whole > 0.0 {
                (part / whole).clamp(0.0, 1.0 - from)
            } else {
                0.0
            };
            if share > 0.0 {
                drawn.push(Part {
                    color,
                    from: px(from * 200.0),
                    width: px(share * 200.0),
                });
                from += share;
            }
        }
        Self { label, parts: drawn }
    }
}

impl askama::filters::HtmlSafe for Bar {}
