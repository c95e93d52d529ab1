//! Points: by category, by what cost them, by what was not scored.

use assay_core::evidence::TestStatus;
use assay_core::exercise::CheckKind;
use assay_core::fault::Whose;
use assay_core::report::{CheckStatus, Report};
use assay_core::scoring::{CategoryScore, Line};

use crate::anchor::anchor;
use crate::chart::{Bar, Gauge};
use crate::number;
use crate::state::{self, Mark};
use crate::text;

/// Points below which a difference is rounding.
const ROUNDING: f64 = 0.005;

/// A link into the page.
pub(super) struct Link {
    pub(super) to: String,
    pub(super) words: String,
}

/// A line that gave less than it could.
pub(super) struct Lost {
    pub(super) points: String,
    pub(super) title: String,
    pub(super) category: String,
    pub(super) category_anchor: String,
    pub(super) reason: String,
    pub(super) links: Vec<Link>,
}

/// A category.
pub(super) struct Category {
    pub(super) anchor: String,
    pub(super) title: String,
    pub(super) gauge: Gauge,
    pub(super) band: Mark,
    pub(super) score: String,
    pub(super) max: String,
    pub(super) open: Option<String>,
    pub(super) lines: Vec<LineView>,
}

/// A line of a category.
pub(super) struct LineView {
    pub(super) title: String,
    /// None when it was not scored.
    pub(super) points: Option<String>,
    pub(super) max: String,
    pub(super) bar: Bar,
    pub(super) reason: String,
    pub(super) links: Vec<Link>,
    pub(super) self_reported: bool,
}

/// Something that was not judged.
pub(super) struct NotScored {
    pub(super) what: String,
    pub(super) whose: &'static str,
    /// None when it costs and gives nothing by itself.
    pub(super) points: Option<String>,
    pub(super) reason: String,
}

/// The weight of a category.
pub(super) struct Weight {
    pub(super) title: String,
    pub(super) max: String,
    pub(super) share: String,
    pub(super) lines: Vec<String>,
}

/// A share from 0 to 1, whatever the numbers are.
pub(super) fn share(points: f64, max: f64) -> f64 {
    let share = points / max;
    if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    }
}

/// Lines that gave less than they could, those that cost most first.
pub(crate) fn lost_lines(report: &Report) -> Vec<(f64, &CategoryScore, &Line)> {
    let mut lost: Vec<(f64, &CategoryScore, &Line)> = report
        .categories
        .iter()
        .flat_map(|category| category.lines.iter().map(move |line| (category, line)))
        .filter_map(|(category, line)| Some((line.max - line.points?, category, line)))
        .filter(|(points, ..)| *points >= ROUNDING)
        .collect();
    lost.sort_by(|a, b| b.0.total_cmp(&a.0));
    lost
}

pub(super) fn lost(report: &Report) -> Vec<Lost> {
    lost_lines(report)
        .into_iter()
        .map(|(points, category, line)| Lost {
            points: number::points(points),
            title: text::line(&line.title),
            category: text::line(&category.title),
            category_anchor: anchor("category", category.id.name()),
            reason: text::line(&line.reason),
            links: links(report, category, line),
        })
        .collect()
}

pub(super) fn categories(report: &Report) -> Vec<Category> {
    report
        .categories
        .iter()
        .map(|category| category_view(report, category))
        .collect()
}

/// The band of a category, as far as what was not scored leaves one.
pub(crate) fn band(category: &CategoryScore) -> Mark {
    match category.max > 0.0 {
        _ if nothing_scored(category) => state::of_check(CheckStatus::NotScored),
        true => state::of_share(
            share(category.score, category.max),
            share(category.score + open(category), category.max),
        ),
        false => state::of_share(0.0, 1.0),
    }
}

/// Points of the lines that were not scored.
fn open(category: &CategoryScore) -> f64 {
    category
        .lines
        .iter()
        .filter(|line| line.points.is_none())
        .map(|line| line.max)
        .sum()
}

fn nothing_scored(category: &CategoryScore) -> bool {
    !category.lines.is_empty() && category.lines.iter().all(|line| line.points.is_none())
}

fn category_view(report: &Report, category: &CategoryScore) -> Category {
    let open = open(category);
    let (low, high) = (
        share(category.score, category.max),
        share(category.score + open, category.max),
    );
    let band = band(category);
    let nothing_scored = nothing_scored(category);
    let title = text::line(&category.title);
    let score = number::points(category.score);
    let max = number::points(category.max);
    let shown = if nothing_scored {
        "–".to_owned()
    } else {
        score.clone()
    };
    let label = match nothing_scored {
        true => format!("{title}: not scored, {max} points open"),
        false => format!("{title}: {score} of {max}, {}", band.word.to_lowercase()),
    };
    Category {
        anchor: anchor("category", category.id.name()),
        gauge: Gauge::new(label, shown.clone(), max.clone(), low, high, band),
        title,
        band,
        open: (open > 0.0 && !nothing_scored).then(|| format!("{} open", number::points(open))),
        score: shown,
        max,
        lines: category
            .lines
            .iter()
            .map(|line| line_view(report, category, line))
            .collect(),
    }
}

fn line_view(report: &Report, category: &CategoryScore, line: &Line) -> LineView {
    let max = number::points(line.max);
    let points = line.points.map(number::points);
    let label = match &points {
        Some(points) => format!("{points} of {max} points"),
        None => "not scored".to_owned(),
    };
    let reached = line
        .points
        .map(|points| share(points, line.max))
        .unwrap_or_default();
    let color = if line.points.is_some() {
        state::of_share(reached, reached).color
    } else {
        "muted"
    };
    LineView {
        title: text::line(&line.title),
        points,
        max,
        bar: Bar::new(label, 1.0, &[(color, reached)]),
        reason: text::line(line.reason.trim_start_matches("Not scored. ")),
        links: links(report, category, line),
        self_reported: line.self_reported,
    }
}

/// Where the evidence of a line is in the page.
fn links(report: &Report, category: &CategoryScore, line: &Line) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    let has_all = line.points.is_some_and(|points| line.max - points < ROUNDING);
    for id in &line.evidence {
        let Some(check) = report.checks.iter().find(|check| check.id == *id) else {
            continue;
        };
        links.push(Link {
            to: anchor("check", id),
            words: format!("check {}", text::line(id)),
        });
        let n_bad = report
            .tests
            .iter()
            .filter(|test| test.check == *id && test.test.status != TestStatus::Passed)
            .count();
        if n_bad > 0 && !has_all {
            links.push(Link {
                to: anchor("tests", id),
                words: format!("{} not passed", number::count(n_bad, "test")),
            });
        }
        let n_findings = report
            .findings
            .iter()
            .filter(|f| f.check == *id && f.category == category.id)
            .count();
        if n_findings > 0 && !has_all {
            let to = anchor("findings", category.id.name());
            links.push(Link {
                to,
                words: number::count(n_findings, "finding"),
            });
        }
        if check.kind == CheckKind::Load && report.load.is_some() {
            links.push(Link {
                to: "load".into(),
                words: "measurement".into(),
            });
        }
        if check.kind == CheckKind::Rigour && !report.bugs.is_empty() {
            links.push(Link {
                to: "bugs".into(),
                words: "seeded bugs".into(),
            });
        }
        let is_covered = check.kind == CheckKind::Unit && report.coverage.is_some();
        if is_covered && !links.iter().any(|link| link.to == "coverage") {
            links.push(Link {
                to: "coverage".into(),
                words: "coverage".into(),
            });
        }
    }
    links
}

/// All that could not be judged, with the reason: lines, whole checks and parts of checks.
pub(super) fn not_scored(report: &Report) -> Vec<NotScored> {
    let lines = report.categories.iter().flat_map(|category| {
        category
            .lines
            .iter()
            .filter(|line| line.points.is_none())
            .map(|line| NotScored {
                what: format!("{}: {}", text::line(&category.title), text::line(&line.title)),
                whose: "not the submission's",
                points: Some(number::points(line.max)),
                reason: text::line(line.reason.trim_start_matches("Not scored. ")),
            })
    });
    let faults = report.checks.iter().flat_map(|check| {
        let whole = check
            .fault
            .iter()
            .map(move |fault| (format!("Check {}", check.id), fault));
        let parts = check
            .partial_faults
            .iter()
            .map(move |(part, fault)| (format!("{part} in check {}", check.id), fault));
        whole.chain(parts)
    });
    let faults = faults
        .filter(|(_, fault)| fault.whose != Whose::Candidate)
        .map(|(what, fault)| NotScored {
            what: text::line(&what),
            whose: if fault.whose == Whose::Exercise {
                "the exercise's"
            } else {
                "ours"
            },
            points: None,
            reason: text::line(&fault.message),
        });
    lines.chain(faults).collect()
}

/// Whose fault something is, for people.
pub(super) fn whose(whose: Whose) -> &'static str {
    match whose {
        Whose::Candidate => "the submission's",
        Whose::Exercise => "the exercise's",
        Whose::Platform => "our",
    }
}

pub(super) fn weights(report: &Report) -> Vec<Weight> {
    report
        .categories
        .iter()
        .map(|category| Weight {
            title: text::line(&category.title),
            max: number::points(category.max),
            share: number::percent(share(category.max, report.score.max)),
            lines: category
                .lines
                .iter()
                .map(|line| format!("{} ({})", text::line(&line.title), number::points(line.max)))
                .collect(),
        })
        .collect()
}
