//! Coverage reports, in whichever format, to hits per line and branches per line. Totals that a report claims are not read.

use std::collections::BTreeMap;

use assay_core::evidence::{Coverage, FileCoverage};
use assay_core::toolchain::CoverageFormat;

use crate::{Broken, Limits, Problems, Read, path};

mod text_formats;
mod xml_formats;

/// Highest line number that is believed.
const MAX_LINE: u64 = 1_000_000;

/// Reads a report. `roots` are where the tree lay when the tests ran; files outside are left out.
///
/// # Errors
/// When the report is empty, beyond the limits or another format.
pub fn read(
    format: CoverageFormat,
    bytes: &[u8],
    roots: &[&str],
    limits: &Limits,
) -> Result<Read<Coverage>, Broken> {
    let mut collector = Collector {
        roots,
        limits,
        files: BTreeMap::new(),
        problems: Problems::default(),
        n_lines: 0,
        n_outside: 0,
    };
    match format {
        CoverageFormat::Cobertura => xml_formats::cobertura(bytes, &mut collector)?,
        CoverageFormat::Jacoco => xml_formats::jacoco(bytes, &mut collector)?,
        CoverageFormat::Clover => xml_formats::clover(bytes, &mut collector)?,
        CoverageFormat::Lcov => text_formats::lcov(bytes, &mut collector)?,
        CoverageFormat::Go => text_formats::go(bytes, &mut collector)?,
        CoverageFormat::Simplecov => text_formats::simplecov(bytes, &mut collector)?,
    }
    if collector.n_outside > 0 {
        collector.problems.add(format!(
            "{} files outside the tree are left out",
            collector.n_outside
        ));
    }
    Ok(collector.problems.with(Coverage {
        files: collector.files,
    }))
}

/// Adds up what is said of each line, under the limits.
struct Collector<'a> {
    roots: &'a [&'a str],
    limits: &'a Limits,
    files: BTreeMap<String, FileCoverage>,
    problems: Problems,
    n_lines: usize,
    n_outside: usize,
}

impl Collector<'_> {
    /// The name of a file of the tree, from the first of these spellings that lies within it.
    fn file(&mut self, spellings: &[String]) -> Option<String> {
        let found = spellings
            .iter()
            .find_map(|spelling| path::relative(spelling, self.roots));
        match &found {
            Some(name) => drop(self.files.entry(name.clone()).or_default()),
            None => self.n_outside += 1,
        }
        found
    }

    /// Hits of a line; several reports of one line (two classes in one file, several runs) add up.
    fn line(&mut self, file: &str, line: u64, hits: u64) {
        let Some(line) = self.line_number(line) else {
            return;
        };
        if let Some(file) = self.files.get_mut(file) {
            let sum = file.lines.entry(line).or_insert(0);
            *sum = sum.saturating_add(hits.min(1 << 40));
        }
    }

    /// Branches of a line; several reports of one line keep the best.
    fn branches(&mut self, file: &str, line: u64, taken: u64, all: u64) {
        let Some(line) = self.line_number(line) else {
            return;
        };
        let bounded = |n: u64| u32::try_from(n.min(10_000)).unwrap_or(10_000);
        if let Some(file) = self.files.get_mut(file).filter(|_| all > 0) {
            let sum = file.branches.entry(line).or_insert((0, 0));
            *sum = (sum.0.max(bounded(taken.min(all))), sum.1.max(bounded(all)));
        }
    }

    fn line_number(&mut self, line: u64) -> Option<u32> {
        self.n_lines += 1;
        if self.n_lines > self.limits.elements * 4 || !(1..=MAX_LINE).contains(&line) {
            return None;
        }
        u32::try_from(line).ok()
    }
}
