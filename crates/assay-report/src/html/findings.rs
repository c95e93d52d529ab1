//! Findings, by category and rule, worst first.

use assay_core::evidence::{Finding, Level};
use assay_core::exercise::CategoryId;
use assay_core::report::Report;

use crate::anchor::anchor;
use crate::number;
use crate::state::{self, Mark};
use crate::text;

/// Places of one rule that are shown unfolded.
const MAX_UNFOLDED: usize = 2;
/// Places of one rule that are shown at all.
const MAX_PLACES: usize = 50;

/// All findings.
pub(super) struct Findings {
    pub(super) counts: Vec<(Mark, String)>,
    pub(super) categories: Vec<Category>,
}

/// Findings that count in one category.
pub(super) struct Category {
    pub(super) anchor: String,
    pub(super) title: &'static str,
    pub(super) rules: Vec<Rule>,
}

/// Findings of one rule.
pub(super) struct Rule {
    pub(super) mark: Mark,
    pub(super) tool: String,
    pub(super) rule: String,
    pub(super) count: String,
    pub(super) help: String,
    pub(super) shown: Vec<Place>,
    pub(super) folded: Vec<Place>,
    pub(super) n_left_out: usize,
}

/// One place where the rule speaks.
pub(super) struct Place {
    pub(super) message: String,
    /// `app/db.py:12`; empty without a file.
    pub(super) location: String,
    pub(super) code: Vec<CodeLine>,
    pub(super) exchange: Option<ExchangeView>,
}

/// A line of code.
pub(super) struct CodeLine {
    pub(super) number: u32,
    pub(super) text: String,
    pub(super) marked: bool,
}

/// What was sent and what came back.
pub(super) struct ExchangeView {
    pub(super) operation: String,
    pub(super) owasp: String,
    pub(super) request: String,
    pub(super) answer: String,
}

pub(super) fn findings(report: &Report) -> Findings {
    let count = |level: Level| {
        report
            .findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let counts = [Level::Error, Level::Warning, Level::Note]
        .into_iter()
        .filter(|level| count(*level) > 0);
    let categories = CategoryId::ALL.into_iter().map(|id| Category {
        anchor: anchor("findings", id.name()),
        title: state::category(id),
        rules: rules(report.findings.iter().filter(|finding| finding.category == id)),
    });
    Findings {
        counts: counts
            .map(|level| (state::of_level(level), number::thousands(count(level) as u64)))
            .collect(),
        categories: categories.filter(|category| !category.rules.is_empty()).collect(),
    }
}

fn rules<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<Rule> {
    let mut by_rule: Vec<(&Finding, Vec<&Finding>)> = Vec::new();
    for finding in findings {
        let same = |first: &Finding| {
            (&first.tool, &first.rule, first.level) == (&finding.tool, &finding.rule, finding.level)
        };
        match by_rule.iter_mut().find(|(first, _)| same(first)) {
            Some((_, all)) => all.push(finding),
            None => by_rule.push((finding, vec![finding])),
        }
    }
    by_rule.sort_by_key(|(first, _)| std::cmp::Reverse(first.level));
    by_rule
        .into_iter()
        .map(|(first, all)| rule(first, &all))
        .collect()
}

fn rule(first: &Finding, all: &[&Finding]) -> Rule {
    let mut shown: Vec<Place> = all
        .iter()
        .take(MAX_PLACES)
        .map(|finding| place(finding))
        .collect();
    // A fold for a single place would be longer than the place.
    let folded = if shown.len() > MAX_UNFOLDED + 1 {
        shown.split_off(MAX_UNFOLDED)
    } else {
        Vec::new()
    };
    Rule {
        mark: state::of_level(first.level),
        tool: text::line(&first.tool),
        rule: text::line(&first.rule),
        count: number::count(all.len(), "place"),
        help: all
            .iter()
            .find_map(|finding| finding.help.as_deref())
            .map(text::block)
            .unwrap_or_default(),
        shown,
        folded,
        n_left_out: all.len().saturating_sub(MAX_PLACES),
    }
}

fn place(finding: &Finding) -> Place {
    let location = match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!("{}:{line}", text::line(file)),
        (Some(file), None) => text::line(file),
        (None, _) => String::new(),
    };
    let code = finding.excerpt.iter().flat_map(|excerpt| {
        excerpt
            .lines
            .iter()
            .zip(excerpt.first_line..)
            .map(|(code, number)| CodeLine {
                number,
                text: text::line_of_code(code),
                marked: finding.line == Some(number),
            })
    });
    Place {
        message: text::line(&finding.message),
        location,
        code: code.collect(),
        exchange: finding.exchange.as_ref().map(|exchange| ExchangeView {
            operation: text::line(&exchange.operation),
            owasp: text::line(&exchange.owasp),
            request: text::block(&exchange.request),
            answer: text::block(&exchange.answer),
        }),
    }
}
