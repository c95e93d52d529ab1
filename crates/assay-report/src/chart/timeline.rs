//! Latency over the time of a measurement.

use askama::Template;
use assay_core::load::{TimeRow, Timeline as Rows};

use super::log_axis::{LogAxis, Tick};
use super::px;
use crate::number;

const LEFT: f64 = 64.0;
const RIGHT: f64 = 660.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 200.0;
/// Least distance of two labels at the right end.
const LABEL_PX: f64 = 14.0;
/// Most labels on the time axis.
const MAX_LABELS: usize = 8;

/// Three percentiles as lines, warm-up shaded, errors marked at the foot.
#[derive(Template)]
#[template(path = "chart/timeline.svg", escape = "html", whitespace = "minimize")]
pub(crate) struct Timeline {
    label: String,
    ticks: Vec<Tick>,
    seconds: Vec<Tick>,
    warm_up_width: Option<String>,
    lines: Vec<Line>,
    errors: Vec<Errors>,
    limit: Option<String>,
    /// The same in words, for the table.
    pub(crate) rows: Vec<Row>,
}

struct Line {
    name: &'static str,
    path: String,
    label_y: f64,
}

/// A percentile's name, and where a row has it.
type Percentile = (&'static str, fn(&TimeRow) -> u64);

struct Errors {
    x: String,
    title: String,
}

/// A row of the table twin.
pub(crate) struct Row {
    /// Start of the row.
    pub(crate) at: String,
    /// Whether it is warm-up.
    pub(crate) warm_up: bool,
    /// Requests sent.
    pub(crate) sent: String,
    /// What came to nothing.
    pub(crate) errors: String,
    /// Median, 95th and 99th percentile.
    pub(crate) latencies: [String; 3],
}

impl Timeline {
    /// The plot of these rows, none when there are fewer than two; `limit_us` is the time to keep under.
    pub(crate) fn new(timeline: &Rows, limit_us: Option<u64>) -> Option<Self> {
        let rows = &timeline.rows;
        if rows.len() < 2 {
            return None;
        }
        let times = rows
            .iter()
            .filter(|row| row.sent > 0)
            .flat_map(|row| [row.p50_us, row.p99_us]);
        let axis = LogAxis::over(times.chain(limit_us), BOTTOM, TOP);
        let step = (RIGHT - LEFT) / rows.len() as f64;
        let middle = |i: usize| LEFT + (i as f64 + 0.5) * step;
        let percentiles: [Percentile; 3] = [
            ("p50", |row| row.p50_us),
            ("p95", |row| row.p95_us),
            ("p99", |row| row.p99_us),
        ];
        let mut lines: Vec<Line> = percentiles
            .iter()
            .map(|(name, of)| line(name, rows, &axis, middle, of))
            .collect();
        // The slowest label stays where its line ends, the others give way downwards.
        for i in (0..lines.len().saturating_sub(1)).rev() {
            lines[i].label_y = lines[i].label_y.max(lines[i + 1].label_y + LABEL_PX);
        }
        let errors = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.errors > 0)
            .map(|(i, row)| Errors {
                x: px(middle(i)),
                title: format!(
                    "{}: {} came to nothing",
                    number::wall_time(row.at_ms),
                    number::thousands(row.errors)
                ),
            });
        let warm_up = rows.iter().take_while(|row| row.warm_up).count();
        let every = rows.len().div_ceil(MAX_LABELS);
        let seconds = rows.iter().enumerate().step_by(every).map(|(i, row)| Tick {
            at: px(LEFT + i as f64 * step),
            label: format!("{} s", number::plain(row.at_ms as f64 / 1_000.0)),
        });
        Some(Self {
            label: format!(
                "Latency over {}, percentiles 50, 95 and 99",
                number::wall_time(duration_ms(timeline))
            ),
            ticks: axis.ticks(),
            seconds: seconds.collect(),
            warm_up_width: (warm_up > 0).then(|| px(warm_up as f64 * step)),
            lines,
            errors: errors.collect(),
            limit: limit_us.map(|us| px(axis.place(us))),
            rows: rows.iter().map(row_of).collect(),
        })
    }
}

fn duration_ms(timeline: &Rows) -> u64 {
    timeline.step_ms.saturating_mul(timeline.rows.len() as u64)
}

/// The line of one percentile; it is broken where nothing was sent.
fn line(
    name: &'static str,
    rows: &[TimeRow],
    axis: &LogAxis,
    middle: impl Fn(usize) -> f64,
    of: impl Fn(&TimeRow) -> u64,
) -> Line {
    let mut path = String::new();
    let mut is_broken = true;
    let mut last_y = BOTTOM;
    for (i, row) in rows.iter().enumerate() {
        if row.sent == 0 {
            is_broken = true;
            continue;
        }
        last_y = axis.place(of(row));
        path.push_str(if is_broken { "M" } else { "L" });
        path.push_str(&format!("{} {}", px(middle(i)), px(last_y)));
        is_broken = false;
    }
    Line {
        name,
        path,
        label_y: last_y,
    }
}

fn row_of(row: &TimeRow) -> Row {
    Row {
        at: format!("{} s", number::plain(row.at_ms as f64 / 1_000.0)),
        warm_up: row.warm_up,
        sent: number::thousands(row.sent),
        errors: number::thousands(row.errors),
        latencies: [row.p50_us, row.p95_us, row.p99_us].map(number::latency),
    }
}

impl Line {
    fn label_y(&self) -> String {
        px(self.label_y + 4.0)
    }
}

impl askama::filters::HtmlSafe for Timeline {}
