//! The page for people. The views here say what is shown, the templates how.

use askama::Template;
use assay_core::report::{CheckStatus, Report};

use crate::RenderError;
use crate::chart::Gauge;
use crate::number::{self, Moment};
use crate::state::{self, Mark};
use crate::{anchor, text};

mod bugs;
mod checks;
mod coverage;
pub(crate) mod database;
mod findings;
mod load;
mod scores;
mod tests;

pub(crate) use scores::{band, lost_lines};

#[derive(Template)]
#[template(path = "report.html", whitespace = "minimize")]
struct Page {
    title: String,
    run_id: String,
    header: Header,
    verdict: Verdict,
    lost: Vec<scores::Lost>,
    categories: Vec<scores::Category>,
    not_scored: Vec<scores::NotScored>,
    checks: Vec<checks::Check>,
    suites: Vec<tests::Suite>,
    bugs: Option<bugs::Bugs>,
    findings: findings::Findings,
    coverage: Option<coverage::Coverage>,
    load: Option<load::Load>,
    database: Option<database::Database>,
    logs: Vec<checks::Log>,
    environment: Vec<(String, String)>,
    digests: Vec<(String, String)>,
    seed: String,
    exercise_digest: String,
    weights: Vec<scores::Weight>,
    max: String,
}

struct Header {
    exercise: String,
    track: String,
    repository: String,
    reference: String,
    commit: String,
    subject: String,
    author: String,
    authored_at: Option<Moment>,
    n_commits: String,
    own_source_lines: String,
    started_at: Option<Moment>,
    duration: String,
}

struct Verdict {
    gate: Mark,
    band: Mark,
    gauge: Gauge,
    /// `Score 85 of 100`.
    score: String,
    /// What lines that were not scored leave open.
    open: Option<String>,
    /// `6 of 7 checks passed, 1 not scored`.
    checks: String,
    lost: String,
}

/// Writes the page.
pub(crate) fn render(report: &Report) -> Result<String, RenderError> {
    let page = Page {
        title: text::line(&report.exercise.title),
        run_id: anchor::anchor("run", &report.run.id),
        header: header(report),
        verdict: verdict(report),
        lost: scores::lost(report),
        categories: scores::categories(report),
        not_scored: scores::not_scored(report),
        checks: checks::checks(report),
        suites: tests::suites(report),
        bugs: bugs::bugs(report),
        findings: findings::findings(report),
        coverage: report.coverage.as_ref().map(coverage::coverage),
        load: report.load.as_ref().map(load::load),
        database: report.database.as_ref().map(database::database),
        logs: checks::logs(report),
        environment: pairs(&report.run.environment),
        digests: pairs(&report.digests),
        seed: report.run.seed.to_string(),
        exercise_digest: text::line(&report.exercise.digest),
        weights: scores::weights(report),
        max: number::points(report.score.max),
    };
    Ok(page.render()?)
}

fn header(report: &Report) -> Header {
    let submission = &report.submission;
    Header {
        exercise: text::line(&report.exercise.slug),
        track: text::line(&submission.track),
        repository: text::line(&submission.repository),
        reference: text::line(&submission.reference),
        commit: text::line(&submission.commit).chars().take(12).collect(),
        subject: text::line(&submission.subject),
        author: text::line(&submission.author),
        authored_at: number::moment(submission.authored_at_s),
        n_commits: number::thousands(submission.n_commits),
        own_source_lines: number::thousands(submission.own_source_lines),
        started_at: i64::try_from(report.run.started_at_ms / 1_000)
            .ok()
            .and_then(number::moment),
        duration: number::wall_time(report.run.duration_ms),
    }
}

fn verdict(report: &Report) -> Verdict {
    let score = &report.score;
    let [lowest, highest] = score.range;
    let [low, high] = [
        scores::share(lowest, score.max),
        scores::share(highest, score.max),
    ];
    let is_open = highest > lowest;
    let band = if score.max > 0.0 {
        state::of_share(low, high)
    } else {
        state::of_share(0.0, 1.0)
    };
    let points = number::points(score.total);
    let max = number::points(score.max);
    let open = is_open.then(|| {
        let (low, high) = (number::points(lowest), number::points(highest));
        format!(
            "{} of the {max} points could not be scored, so the full score lies between {low} and {high}.",
            number::points(highest - lowest)
        )
    });
    let label = format!("Overall: {points} of {max}, {}", band.word.to_lowercase());
    Verdict {
        gate: state::of_gate(score.gate, is_open),
        band,
        gauge: Gauge::new(label, points.clone(), max.clone(), low, high, band),
        score: format!("Score {points} of {max}"),
        open,
        checks: check_counts(report),
        lost: number::points((score.max - highest).max(0.0)),
    }
}

fn check_counts(report: &Report) -> String {
    let count = |wanted: CheckStatus| {
        report
            .checks
            .iter()
            .filter(|check| check.status == wanted)
            .count()
    };
    let mut words = vec![format!(
        "{} of {} passed",
        count(CheckStatus::Passed),
        number::count(report.checks.len(), "check")
    )];
    for (n, word) in [
        (count(CheckStatus::Failed), "failed"),
        (count(CheckStatus::NotScored), "not scored"),
    ] {
        if n > 0 {
            words.push(format!("{n} {word}"));
        }
    }
    words.join(", ")
}

fn pairs(map: &std::collections::BTreeMap<String, String>) -> Vec<(String, String)> {
    map.iter()
        .map(|(name, value)| (text::line(name), text::line(value)))
        .collect()
}
