//! Small charts as inline SVG. Each has a title, a description, and a table beside it in the page that says the same.
//! Colours come from the page's style sheet by class, so that charts follow light, dark, print and forced colours.

mod bar;
mod gauge;
mod histogram;
mod log_axis;
mod timeline;

pub(crate) use bar::Bar;
pub use gauge::Gauge;
pub(crate) use histogram::Histogram;
pub(crate) use timeline::Timeline;

/// A number with one decimal, which is as fine as a screen is.
fn px(value: f64) -> String {
    if value.is_finite() {
        format!("{:.1}", value + 0.0)
    } else {
        "0".into()
    }
}
