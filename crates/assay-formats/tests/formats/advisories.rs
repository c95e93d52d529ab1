//! Lock files, the order of versions, and which of them an advisory is about.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use assay_formats::lock::{self, LockFormat};
use assay_formats::version::Ecosystem;
use assay_formats::{Limits, advisory};

/// The packages of a file and the problems with it, one per line.
fn packages(file: &str, bytes: &str) -> String {
    let format = LockFormat::of_file(file).expect("a lock file");
    match lock::read(format, file, bytes.as_bytes(), &Limits::default()) {
        Ok(read) => {
            let found = read.value.iter().map(|package| {
                let line = package.line.unwrap_or_default();
                format!("{} {} line {line}", package.name, package.version)
            });
            found.chain(read.problems).collect::<Vec<_>>().join("\n")
        }
        Err(broken) => broken.to_string(),
    }
}

#[test]
fn requirements_of_one_version_count() {
    let text = "# comment\n--index-url https://example.org\nFlask_Login[async] == 2.0.1 ; python_version > '3' # why\n\
                a==1.0 \\\n    --hash=sha256:00==\nb>=1\nc==1.*\nd===1.0.post1\n-r more.txt\nf @ https://x/f.zip\ng==rubbish\n";
    insta::assert_snapshot!(packages("requirements-dev.txt", text), @r"
    a 1.0 line 4
    d 1.0.post1 line 8
    flask-login 2.0.1 line 3
    requirements-dev.txt: not one fixed version: b>=1
    requirements-dev.txt: not one fixed version: c==1.*
    requirements-dev.txt: not one fixed version: -r more.txt
    requirements-dev.txt: not one fixed version: f @ https://x/f.zip
    requirements-dev.txt: no package and version: g rubbish
    ");
    insta::assert_snapshot!(packages("requirements.txt", " \n"), @"");
}

#[test]
fn a_lock_file_of_npm_names_what_is_installed() {
    let text = r#"{"lockfileVersion": 3, "packages": {
        "": {"name": "me", "version": "1.0.0"},
        "packages/own": {"version": "1.0.0"},
        "node_modules/own": {"link": true},
        "node_modules/a": {
            "version": "1.2.3"
        },
        "node_modules/a/node_modules/@scope/b": {"version": "2.0.0-rc.1"},
        "node_modules/alias": {"name": "real", "version": "3.0.0"},
        "node_modules/odd": {}
    }}"#;
    insta::assert_snapshot!(packages("sub/package-lock.json", text), @r"
    @scope/b 2.0.0-rc.1 line 0
    a 1.2.3 line 5
    real 3.0.0 line 0
    sub/package-lock.json: no package and version: odd
    ");
    insta::assert_snapshot!(packages("package-lock.json", r#"{"lockfileVersion": 1, "dependencies": {}}"#), @"the report is not an npm lock file of version 2 or 3: there is no `packages`");
    insta::assert_snapshot!(packages("package-lock.json", ""), @"the report is empty");
    insta::assert_snapshot!(packages("package-lock.json", r#"{"packages": []}"#), @"the report is not an npm lock file of version 2 or 3: invalid type: sequence, expected a map at line 1 column 13");
    assert_eq!(LockFormat::of_file("package.json"), None);
}

#[test]
fn versions_are_ordered_as_their_registry_does() {
    let ascending = [
        (
            Ecosystem::Npm,
            "0.9.9 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0 1.2.0 1.10.0",
        ),
        (
            Ecosystem::PyPi,
            "0.9 1.0.dev1 1.0a1.dev2 1.0a1 1.0b2 1.0rc1 1.0 1.0+local 1.0.post1 1.0.1 1.2 1.10 2013.1 1!0.1",
        ),
    ];
    for (ecosystem, versions) in ascending {
        let versions: Vec<_> = versions.split(' ').collect();
        for pair in versions.windows(2) {
            let read = |text: &str| ecosystem.version(text).expect("a version");
            assert!(read(pair[0]) < read(pair[1]), "{} < {}", pair[0], pair[1]);
        }
    }
    for (ecosystem, one, other) in [
        (Ecosystem::Npm, "v1.0.0", "1.0.0+build"),
        (Ecosystem::PyPi, "1.0", "1.0.0"),
        (Ecosystem::PyPi, "1.0-alpha.1", "1.0a1"),
    ] {
        assert_eq!(ecosystem.version(one), ecosystem.version(other));
    }
    for (ecosystem, text) in [
        (Ecosystem::Npm, "1.2"),
        (Ecosystem::PyPi, "latest"),
        (Ecosystem::PyPi, ""),
    ] {
        assert_eq!(ecosystem.version(text), None);
    }
}

/// Level, rule and message of each finding for one package.
fn audit(requirement: &str, records: &[&str]) -> String {
    let (file, text) = match requirement.split_once("==") {
        Some(_) => ("requirements.txt", requirement.to_owned()),
        None => {
            let (name, version) = requirement.rsplit_once('@').expect("name@version");
            let text = format!(r#"{{"packages": {{"node_modules/{name}": {{"version": "{version}"}}}}}}"#);
            ("package-lock.json", text)
        }
    };
    let format = LockFormat::of_file(file).expect("a lock file");
    let packages = lock::read(format, file, text.as_bytes(), &Limits::default())
        .expect("packages")
        .value;
    let advisories: Vec<_> = records
        .iter()
        .map(|record| advisory::read(record.as_bytes(), &Limits::default()).expect("a record"))
        .collect();
    let read = advisory::findings("security", &packages, &advisories);
    let told = read.value.iter().map(|f| {
        format!(
            "{:?} {} | {}",
            f.level,
            f.message,
            f.help.as_deref().unwrap_or("")
        )
    });
    told.chain(read.problems).collect::<Vec<_>>().join("\n")
}

/// A record about `range`, given as `introduced 0, fixed 1.0`.
fn record(id: &str, ecosystem: &str, name: &str, range: &str, more: &str) -> String {
    let events: Vec<String> = range
        .split(", ")
        .filter_map(|event| event.split_once(' '))
        .map(|(kind, at)| format!(r#"{{"{kind}": "{at}"}}"#))
        .collect();
    format!(
        r#"{{"id": "{id}", "summary": "Something bad", "affected": [{{"package": {{"ecosystem": "{ecosystem}", "name": "{name}"}},
            "ranges": [{{"type": "ECOSYSTEM", "events": [{}]}}]}}]{more}}}"#,
        events.join(",")
    )
}

#[test]
fn ranges_hold_what_they_say() {
    let cases = [
        ("introduced 0, fixed 1.5", "0.1 1.4.9 1.5.dev1", "1.5 2.0"),
        (
            "introduced 1.0, fixed 1.5, introduced 2.0, fixed 2.2",
            "1.0 2.0 2.1",
            "0.9 1.5 1.9 2.2 3",
        ),
        (
            "introduced 2.0, fixed 2.2, fixed 1.5, introduced 1.0",
            "1.0 2.0 2.1",
            "0.9 1.5 1.9 2.2 3",
        ),
        ("introduced 1.0, last_affected 1.5", "1.0 1.5", "0.9 1.5.1"),
        ("introduced 1.0", "1.0 99", "0.9"),
        ("introduced 0, limit 2.0", "1.9", "2.0"),
        ("introduced 0, limit *", "99", ""),
        ("fixed 1.0", "", "0.9 1.0"),
    ];
    for (range, affected, others) in cases {
        let record = record("A", "PyPI", "p", range, "");
        for (versions, is_affected) in [(affected, true), (others, false)] {
            for version in versions.split(' ').filter(|version| !version.is_empty()) {
                let told = audit(&format!("p=={version}"), &[&record]);
                assert_eq!(!told.is_empty(), is_affected, "{version} in {range}: {told}");
            }
        }
    }
}

#[test]
fn findings_say_what_to_do() {
    let more = r#", "aliases": ["CVE-1"], "database_specific": {"severity": "CRITICAL"}"#;
    let fixed = record("GHSA-1", "npm", "lodash", "introduced 0, fixed 4.17.21", more);
    insta::assert_snapshot!(audit("lodash@4.17.4", &[&fixed]), @"Error lodash 4.17.4: Something bad (GHSA-1, CVE-1). Fixed in 4.17.21. | Use lodash 4.17.21 or later.");
    insta::assert_snapshot!(audit("lodash@4.17.21", &[&fixed]), @"");
    insta::assert_snapshot!(audit("other@1.0.0", &[&fixed]), @"");
    // The same weakness from two databases is one finding.
    let same = record(
        "PYSEC-1",
        "PyPI",
        "Jinja_2",
        "introduced 0, fixed 3.1",
        r#", "aliases": ["CVE-2"]"#,
    );
    let score = r#", "aliases": ["CVE-2"], "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]"#;
    let other = record("GHSA-2", "PyPI", "jinja-2", "introduced 0", score);
    insta::assert_snapshot!(audit("JINJA.2==3.0", &[&same, &other]), @"Error jinja-2 3.0: Something bad (GHSA-2, CVE-2). No fixed version is named. | Do without jinja-2, or show that the weakness cannot be reached.");
    let withdrawn = record(
        "W",
        "PyPI",
        "p",
        "introduced 0",
        r#", "withdrawn": "2024-01-01T00:00:00Z""#,
    );
    insta::assert_snapshot!(audit("p==1", &[&withdrawn]), @"");
    let listed = r#"{"id": "L", "details": "\n# Head\nmore", "affected": [{"package": {"ecosystem": "PyPI", "name": "p"}, "versions": ["1.0"]}]}"#;
    insta::assert_snapshot!(audit("p==1", &[listed]), @"Warning p 1: Head (L). No fixed version is named. | Do without p, or show that the weakness cannot be reached.");
    // What cannot be judged is told, never clean.
    insta::assert_snapshot!(audit("p==1", &[&record("U", "PyPI", "p", "introduced spring", "")]), @"U: it is not clear whether it is about p 1");
}

#[test]
fn severities_follow_the_score() {
    // Vectors with the scores that the specification's own calculator gives: 9.8, 6.1, 3.1, 0, and none for another version.
    for (vector, level) in [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "Error"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "Warning"),
        ("CVSS:3.0/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", "Note"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", "Note"),
        ("CVSS:4.0/AV:N/AC:L", "Warning"),
    ] {
        let more = format!(r#", "severity": [{{"type": "CVSS", "score": "{vector}"}}]"#);
        let told = audit("p==1", &[&record("A", "PyPI", "p", "introduced 0", &more)]);
        assert!(told.starts_with(level), "{vector}: {told}");
    }
}
