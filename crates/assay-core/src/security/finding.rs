//! From a report to findings: one per rule, however many operations have the flaw.

use std::collections::BTreeSet;

use super::report::{ProbeCase, ProbeReport, Verdict};
use super::rule::Rule;
use crate::evidence::{Exchange, Finding};
use crate::exercise::CategoryId;

/// Most places named in one finding.
const MAX_PLACES: usize = 12;

impl ProbeReport {
    /// The confirmed flaws as findings of this check, worst first. What is only the consequence of a deeper flaw at the same
    /// place is left out, so that nothing costs twice.
    pub fn findings(&self, check: &str) -> Vec<Finding> {
        let mut findings: Vec<_> = Rule::ALL
            .into_iter()
            .filter_map(|rule| self.finding(check, rule))
            .collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        findings
    }

    fn finding(&self, check: &str, rule: Rule) -> Option<Finding> {
        let cases: Vec<_> = self
            .vulnerable(rule)
            .filter(|case| !self.is_consequence(case))
            .collect();
        let worst = cases.first()?;
        let info = rule.info();
        let places: BTreeSet<_> = cases.iter().map(|case| case.place()).collect();
        let more = places.len().saturating_sub(MAX_PLACES);
        let mut named = places.into_iter().take(MAX_PLACES).collect::<Vec<_>>().join(", ");
        if more > 0 {
            named = format!("{named} and {more} more");
        }
        let telling = worst
            .exchanges
            .iter()
            .rev()
            .find(|exchange| exchange.role == "attack")
            .or(worst.exchanges.last());
        Some(Finding {
            check: check.to_owned(),
            tool: "probe".to_owned(),
            rule: info.id.to_owned(),
            level: info.level,
            category: CategoryId::Security,
            file: None,
            line: None,
            message: format!(
                "{} {} Affected: {named}. (CWE-{})",
                info.title, worst.message, info.cwe
            ),
            help: Some(info.fix.to_owned()),
            excerpt: None,
            exchange: telling.map(|exchange| Exchange {
                operation: worst.operation.clone(),
                request: exchange.request.clone(),
                answer: exchange.answer.clone(),
                owasp: info.category.to_owned(),
            }),
        })
    }

    fn vulnerable(&self, rule: Rule) -> impl Iterator<Item = &ProbeCase> {
        self.cases
            .iter()
            .filter(move |case| case.rule == rule && case.verdict == Verdict::Vulnerable)
    }

    /// Whether a deeper flaw at the same place explains this one.
    fn is_consequence(&self, case: &ProbeCase) -> bool {
        let same_operation = |rule: &Rule| {
            self.vulnerable(*rule)
                .any(|other| other.operation == case.operation)
        };
        let same_input = |rule| {
            self.vulnerable(rule)
                .any(|other| other.operation == case.operation && other.input == case.input)
        };
        case.rule.implied_by().iter().any(same_operation)
            || (case.rule == Rule::UnhandledInput && same_input(Rule::SqlInjection))
    }
}

impl ProbeCase {
    fn place(&self) -> String {
        if self.input.is_empty() {
            self.operation.clone()
        } else {
            format!("{} ({})", self.operation, self.input)
        }
    }
}
