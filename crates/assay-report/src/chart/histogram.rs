//! How latencies are distributed, in buckets that grow evenly on a logarithmic axis.

use std::collections::BTreeSet;

use askama::Template;
use assay_core::load::Bucket;

use super::log_axis::{LogAxis, Tick};
use super::px;
use crate::number;

/// Buckets per decade, as [`Bucket`] says.
const PER_DECADE: f64 = 5.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 704.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 190.0;
/// Room for the SLA's label to the right of its line.
const LABEL_PX: f64 = 120.0;

/// The columns, with a line at the limit of the exercise where it has one.
#[derive(Template)]
#[template(path = "chart/histogram.svg", escape = "html", whitespace = "minimize")]
pub(crate) struct Histogram {
    label: String,
    columns: Vec<Column>,
    ticks: Vec<Tick>,
    most: String,
    limit: Option<Limit>,
    /// The reference's columns as one line, where there is a reference.
    outline: Option<String>,
    /// The same in words, for the table.
    pub(crate) rows: Vec<Row>,
}

struct Column {
    x: String,
    y: String,
    width: String,
    height: String,
    is_late: bool,
    title: String,
}

struct Limit {
    x: String,
    label: String,
    anchor: &'static str,
    label_x: String,
}

/// A row of the table twin.
pub(crate) struct Row {
    /// The bucket's limits.
    pub(crate) range: String,
    /// Samples in it.
    pub(crate) count: String,
    /// Share of all samples.
    pub(crate) share: String,
    /// The reference's samples in it, where there is a reference.
    pub(crate) reference: String,
}

impl Histogram {
    /// The plot of these buckets, none when they are empty; `reference` are those of the reference solution, `limit` is a
    /// name and a time in microseconds.
    pub(crate) fn new(buckets: &[Bucket], reference: &[Bucket], limit: Option<(&str, u64)>) -> Option<Self> {
        let total = buckets
            .iter()
            .fold(0u64, |sum, bucket| sum.saturating_add(bucket.count));
        buckets.iter().find(|bucket| bucket.count > 0)?;
        let most = buckets.iter().chain(reference).map(|bucket| bucket.count).max()?;
        let lower = |up_to_us: u64| (up_to_us as f64 / 10f64.powf(1.0 / PER_DECADE)).round() as u64;
        let ends = buckets
            .iter()
            .chain(reference)
            .flat_map(|bucket| [lower(bucket.up_to_us), bucket.up_to_us]);
        let axis = LogAxis::over(ends.chain(limit.map(|limit| limit.1)), LEFT, RIGHT);
        let columns = buckets.iter().map(|bucket| {
            let (from, to) = (axis.place(lower(bucket.up_to_us)), axis.place(bucket.up_to_us));
            let height = (BOTTOM - TOP) * number::share(bucket.count, most);
            Column {
                x: px(from + 0.75),
                y: px(BOTTOM - height),
                width: px((to - from - 1.5).max(0.5)),
                height: px(height),
                is_late: limit.is_some_and(|(_, limit_us)| lower(bucket.up_to_us) >= limit_us),
                title: format!("{}: {}", range(bucket, lower), number::thousands(bucket.count)),
            }
        });
        let count = |buckets: &[Bucket], up_to_us: u64| {
            let found = buckets.iter().find(|bucket| bucket.up_to_us == up_to_us);
            found.map_or(0, |bucket| bucket.count)
        };
        let all: BTreeSet<u64> = buckets
            .iter()
            .chain(reference)
            .map(|bucket| bucket.up_to_us)
            .collect();
        let rows = all.iter().map(|up_to_us| {
            let own = Bucket {
                up_to_us: *up_to_us,
                count: count(buckets, *up_to_us),
            };
            Row {
                range: range(&own, lower),
                count: number::thousands(own.count),
                share: number::percent(number::share(own.count, total)),
                reference: number::thousands(count(reference, *up_to_us)),
            }
        });
        let height = |count| px(BOTTOM - (BOTTOM - TOP) * number::share(count, most));
        let mut outline = String::new();
        for bucket in reference {
            let (from, to) = (
                px(axis.place(lower(bucket.up_to_us))),
                px(axis.place(bucket.up_to_us)),
            );
            let (move_to, top) = (if outline.is_empty() { "M" } else { "L" }, height(bucket.count));
            let bottom = px(BOTTOM);
            outline += &format!("{move_to}{from} {bottom}V{top}H{to}V{bottom}");
        }
        Some(Self {
            label: format!(
                "Latency of {} arrivals, in columns from fast to slow",
                number::thousands(total)
            ),
            columns: columns.collect(),
            ticks: axis.ticks(),
            most: number::thousands(most),
            limit: limit.map(|(name, us)| Limit::new(name, axis.place(us), us)),
            outline: Some(outline).filter(|outline| !outline.is_empty()),
            rows: rows.collect(),
        })
    }
}

impl Limit {
    fn new(name: &str, x: f64, us: u64) -> Self {
        let fits = x + LABEL_PX < RIGHT;
        Self {
            x: px(x),
            label: format!("limit {}, {name}", number::latency(us)),
            anchor: if fits { "start" } else { "end" },
            label_x: px(if fits { x + 6.0 } else { x - 6.0 }),
        }
    }
}

fn range(bucket: &Bucket, lower: impl Fn(u64) -> u64) -> String {
    format!(
        "{} to {}",
        number::latency(lower(bucket.up_to_us)),
        number::latency(bucket.up_to_us)
    )
}

impl askama::filters::HtmlSafe for Histogram {}
