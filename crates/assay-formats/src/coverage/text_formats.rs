//! LCOV, Go cover profiles and `SimpleCov`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Collector, MAX_LINE};
use crate::{Broken, bounded, json};

/// `SF:path`, `DA:line,hits`, `BRDA:line,block,branch,taken`, `end_of_record`.
pub(super) fn lcov(bytes: &[u8], collector: &mut Collector<'_>) -> Result<(), Broken> {
    let text = String::from_utf8_lossy(bounded(bytes, collector.limits)?);
    let mut file: Option<String> = None;
    let mut branches: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let mut n_records = 0;
    for line in text.lines().take(collector.limits.elements * 4) {
        let (key, value) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
        match key {
            "SF" => {
                n_records += 1;
                branches.clear();
                file = collector.file(&[value.to_owned()]);
            }
            "DA" => {
                let mut fields = value.split(',').map(number);
                if let (Some(file), Some(Some(line)), Some(Some(hits))) =
                    (&file, fields.next(), fields.next())
                {
                    collector.line(file, line, hits);
                }
            }
            "BRDA" => {
                let fields: Vec<&str> = value.split(',').collect();
                if let (4, Some(Some(line))) = (fields.len(), fields.first().map(|field| number(field))) {
                    let counts = branches.entry(line).or_insert((0, 0));
                    counts.0 += u64::from(number(fields[3]).is_some_and(|taken| taken > 0));
                    counts.1 += 1;
                }
            }
            "end_of_record" => {
                if let Some(file) = file.take() {
                    for (line, (taken, all)) in std::mem::take(&mut branches) {
                        collector.branches(&file, line, taken, all);
                    }
                }
            }
            _ => (),
        }
    }
    if n_records == 0 {
        Err(malformed("LCOV", "there is no SF: record in it"))
    } else {
        Ok(())
    }
}

/// `mode: set`, then `module/path/file.go:3.10,5.2 2 1` per block.
pub(super) fn go(bytes: &[u8], collector: &mut Collector<'_>) -> Result<(), Broken> {
    let text = String::from_utf8_lossy(bounded(bytes, collector.limits)?);
    let mut lines = text.lines();
    if !lines.next().is_some_and(|first| first.starts_with("mode:")) {
        return Err(malformed("a Go cover profile", "its first line is not mode:"));
    }
    for line in lines.take(collector.limits.elements) {
        let Some(block) = go_block(line) else { continue };
        // The module's path comes first; the tree does not know it, so the part after it is tried as well.
        let without_host = block.path.splitn(4, '/').nth(3).unwrap_or(block.path);
        let Some(file) = collector.file(&[without_host.to_owned()]) else {
            continue;
        };
        for number in block.first..=block.last.min(block.first.saturating_add(10_000)) {
            collector.line(&file, number, block.hits);
        }
    }
    Ok(())
}

struct GoBlock<'a> {
    path: &'a str,
    first: u64,
    last: u64,
    hits: u64,
}

fn go_block(line: &str) -> Option<GoBlock<'_>> {
    let (path, rest) = line.rsplit_once(':')?;
    let mut fields = rest.split_whitespace();
    let (from, to) = fields.next()?.split_once(',')?;
    let hits = number(fields.nth(1)?)?;
    let line_of = |text: &str| number(text.split('.').next()?).filter(|line| *line <= MAX_LINE);
    Some(GoBlock {
        path,
        first: line_of(from)?,
        last: line_of(to)?,
        hits,
    })
}

#[derive(Deserialize)]
struct Run {
    coverage: BTreeMap<String, RubyFile>,
}

#[derive(Deserialize)]
struct RubyFile {
    lines: Vec<Option<u64>>,
}

/// `.resultset.json`: per run and file an array with one entry per line, null where nothing can be executed.
pub(super) fn simplecov(bytes: &[u8], collector: &mut Collector<'_>) -> Result<(), Broken> {
    let runs: BTreeMap<String, Run> = json(bytes, "SimpleCov's JSON", collector.limits)?;
    for (path, file) in runs.values().flat_map(|run| &run.coverage) {
        let Some(name) = collector.file(std::slice::from_ref(path)) else {
            continue;
        };
        for (line, hits) in (1_u64..).zip(&file.lines) {
            if let Some(hits) = hits {
                collector.line(&name, line, *hits);
            }
        }
    }
    Ok(())
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn malformed(format: &'static str, detail: &str) -> Broken {
    Broken::Malformed {
        format,
        detail: detail.to_owned(),
    }
}
