//! `assay saturate`: the highest rate at which a submission's service keeps the conditions of the exercise's load plan.

use std::path::PathBuf;

use anyhow::Context;
use assay_core::exercise::CheckKind;
use assay_core::load::{Point, Saturation, Search, Verdict};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::assess::{self, Request};
use super::submission::Submission;
use crate::engine;
use crate::exit::{Exit, Expected};
use crate::progress::{self, Style};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    submission: Submission,
    /// Rate that is measured first, in requests per second; by default that of the plan's steady scenario.
    #[arg(long, value_name = "RATE")]
    from: Option<u32>,
    /// Highest rate that is measured.
    #[arg(long, value_name = "RATE", default_value_t = 5_000)]
    up_to: u32,
    /// The search ends when it knows the rate to so many percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 5)]
    precision: u32,
    /// The search ends after so many rates.
    #[arg(long, value_name = "N", default_value_t = 14)]
    max_points: usize,
    /// File for the result with its curve, as JSON.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) async fn run(
    arguments: &Arguments,
    engine: &engine::Options,
    cancel: &CancellationToken,
) -> anyhow::Result<Exit> {
    let submission = &arguments.submission;
    let (mut folder, track) = submission.exercise()?;
    let plan = folder.load.clone();
    let steady = plan.as_ref().and_then(|plan| plan.steady());
    let (Some(plan), Some(steady)) = (&plan, steady) else {
        let message = "the exercise has no load plan with a scenario at a constant rate".to_owned();
        return Err(Expected {
            exit: Exit::BadConfiguration,
            message,
        }
        .into());
    };
    folder
        .spec
        .checks
        .retain(|check| matches!(check.kind, CheckKind::Build | CheckKind::Load));
    let search = Search {
        from: arguments.from.or(steady.rate).unwrap_or(1),
        up_to: arguments.up_to,
        precision: f64::from(arguments.precision) / 100.0,
        max_points: arguments.max_points,
    };
    let extra_ca = submission.extra_ca()?;
    let engine = assess::connect(engine).await?;
    progress::say(HEADING);
    let mut points = Vec::new();
    while let Some(rate) = search.next(&points) {
        folder.load = plan.at_rate(rate);
        let request = Request {
            folder: &folder,
            track: &track,
            repository: &submission.repository,
            reference: submission.reference.as_deref(),
            seed: submission.seed,
            extra_ca: extra_ca.clone(),
            advisories: None,
            out: std::path::Path::new(""),
        };
        let point = measure(&engine, &request, rate, cancel).await?;
        progress::say(&row(&point));
        points.push(point);
    }
    let found = Saturation::of(points);
    progress::say(&sentence(&found));
    if let Some(out) = &arguments.out {
        let json = serde_json::to_string_pretty(&found)? + "\n";
        std::fs::write(out, json).with_context(|| format!("{} cannot be written", out.display()))?;
    }
    let is_known = found.points.iter().all(|point| point.verdict != Verdict::Unknown);
    Ok(if is_known { Exit::Done } else { Exit::NotScored })
}

/// One rate, with a service and users of its own: what an earlier rate left behind is in no later one.
async fn measure(
    engine: &assay_sandbox::Engine,
    request: &Request<'_>,
    rate: u32,
    cancel: &CancellationToken,
) -> anyhow::Result<Point> {
    let (events, receiver) = assay_engine::events::channel();
    let showing = progress::show(receiver, Style::Quiet);
    let evidence = assess::look(engine, request, &events, cancel).await;
    drop(events);
    drop(showing.await);
    let evidence = evidence?;
    let load = evidence.checks.iter().find(|check| check.kind == CheckKind::Load);
    match load.and_then(|check| check.load.as_ref()) {
        Some(summary) => Ok(Point::of(rate, summary)),
        None => {
            let mut stops = evidence.checks.iter().filter_map(|check| check.stop.as_ref());
            let why = stops
                .next()
                .map_or("nothing was measured".to_owned(), |stop| stop.sentence());
            anyhow::bail!("at {rate} requests per second: {why}")
        }
    }
}

const HEADING: &str = "  rate/s  answered/s        p50        p95        p99   failed  conditions";

fn row(point: &Point) -> String {
    let ms = |us: u64| format!("{:.1} ms", us as f64 / 1e3);
    let verdict = match point.verdict {
        Verdict::Held => "hold",
        Verdict::Missed => "MISSED",
        Verdict::Unknown => "not valid",
    };
    format!(
        "{:>8} {:>11.1} {:>10} {:>10} {:>10} {:>6.2} %  {verdict}{}",
        point.rate,
        point.throughput,
        ms(point.p50_us),
        ms(point.p95_us),
        ms(point.p99_us),
        100.0 * point.failed,
        point
            .why
            .first()
            .map(|why| format!(": {why}"))
            .unwrap_or_default()
    )
}

fn sentence(found: &Saturation) -> String {
    match (found.holds_at, found.fails_at) {
        (Some(holds), Some(fails)) => {
            format!("The conditions hold at {holds} requests per second, and not at {fails}.")
        }
        (Some(holds), None) => {
            format!("The conditions hold up to the highest rate measured, {holds} per second.")
        }
        (None, Some(fails)) => {
            format!("The conditions do not hold at {fails} requests per second, nor at more.")
        }
        (None, None) => "Nothing was measured.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_readable() {
        let point = |rate, verdict, why: &[&str]| Point {
            rate,
            verdict,
            throughput: f64::from(rate) - 0.25,
            p50_us: 1_500,
            p95_us: 98_760,
            p99_us: 250_000,
            failed: 0.012,
            why: why.iter().map(|why| (*why).to_owned()).collect(),
        };
        let points = vec![
            point(140, Verdict::Missed, &["http_req_duration p(95)<200"]),
            point(70, Verdict::Held, &[]),
        ];
        let rows: Vec<String> = points.iter().map(row).collect();
        let found = Saturation::of(points);
        insta::assert_snapshot!(format!("{HEADING}\n{}\n{}", rows.join("\n"), sentence(&found)), @"
  rate/s  answered/s        p50        p95        p99   failed  conditions
     140       139.8     1.5 ms    98.8 ms   250.0 ms   1.20 %  MISSED: http_req_duration p(95)<200
      70        69.8     1.5 ms    98.8 ms   250.0 ms   1.20 %  hold
The conditions hold at 70 requests per second, and not at 140.
");
    }
}
