//! A score as a ring: what was reached, and what lines that were not scored leave open.

use askama::Template;

use super::px;
use crate::state::Mark;

const RADIUS: f64 = 52.0;

/// A score out of a maximum.
#[derive(Template)]
#[template(path = "chart/gauge.svg", escape = "html", whitespace = "minimize")]
pub struct Gauge {
    /// What it says, in a sentence.
    label: String,
    score: String,
    max: String,
    mark: Mark,
    reached: String,
    possible: String,
    gap: String,
    radius: f64,
}

impl Gauge {
    /// The ring of a score; `lowest` and `highest` are shares from 0 to 1.
    pub fn new(label: String, score: String, max: String, lowest: f64, highest: f64, mark: Mark) -> Self {
        let around = 2.0 * std::f64::consts::PI * RADIUS;
        let length = |share: f64| px(around * share.clamp(0.0, 1.0));
        Self {
            label,
            score,
            max,
            mark,
            reached: length(lowest),
            possible: length(highest),
            gap: px(around + 1.0),
            radius: RADIUS,
        }
    }

    fn has_reached(&self) -> bool {
        self.reached != "0.0" && self.reached != "0"
    }

    fn is_open(&self) -> bool {
        self.possible != self.reached
    }
}

impl askama::filters::HtmlSafe for Gauge {}
