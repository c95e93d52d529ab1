//! Every reader of reports on the same bytes: no panic, no number that arithmetic must fear.

use std::collections::BTreeMap;

use assay_core::exercise::CategoryId;
use assay_core::toolchain::{AnalysisFormat, CoverageFormat};
use assay_formats::lock::{self, LockFormat, Package};
use assay_formats::{Limits, advisory, coverage, facts, findings, junit};

pub(crate) fn read(bytes: &[u8]) {
    let limits = Limits::default();
    drop(junit::read(bytes, &limits));
    use CoverageFormat::{Clover, Cobertura, Go, Jacoco, Lcov, Simplecov};
    for format in [Cobertura, Lcov, Jacoco, Clover, Go, Simplecov] {
        if let Ok(read) = coverage::read(format, bytes, &["/work"], &limits) {
            let (hit, all) = read.value.line_counts();
            assert!(hit <= all);
        }
    }
    let rules = BTreeMap::new();
    let (category, roots) = (CategoryId::Style, ["/src"]);
    let source = findings::Source {
        check: "c",
        tool: "t",
        category,
        rules: &rules,
        message: None,
        roots: &roots,
    };
    use AnalysisFormat::{Checkstyle, Clippy, DetectSecrets, FileList, LizardCsv, Rubocop, Sarif};
    for format in [
        Sarif,
        Checkstyle,
        Clippy,
        Rubocop,
        LizardCsv,
        DetectSecrets,
        FileList,
    ] {
        if let Ok(read) = findings::read(format, bytes, &source, &limits) {
            assert!(
                read.value
                    .iter()
                    .filter_map(|finding| finding.file.as_ref())
                    .all(|path| !path.starts_with('/'))
            );
        }
    }
    let mut packages = Vec::new();
    for format in [LockFormat::Npm, LockFormat::Requirements] {
        if let Ok(read) = lock::read(format, "lock", bytes, &limits) {
            packages.extend(read.value);
        }
    }
    if let Ok(advisory) = advisory::read(bytes, &limits) {
        let version = "1.0.0".to_owned();
        let named = advisory.packages().map(|(ecosystem, name)| Package {
            ecosystem,
            name,
            version: version.clone(),
            file: "f".into(),
            line: None,
        });
        packages.extend(named);
        drop(advisory::findings("c", &packages, &[advisory]));
    }
    if let Ok(read) = facts::read(bytes, &limits) {
        assert!(
            read.value
                .values()
                .all(|value| value.is_finite() && *value >= 0.0)
        );
    }
}
