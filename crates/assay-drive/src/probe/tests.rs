//! Each flaw gives its own finding and no other; a correct service gives none; a broken one is not accused.

use std::cell::RefCell;

use assay_core::security::{ProbeMessage, ProbeReport, Verdict};
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use super::fixture::{Flaw, job, start};
use super::run::run;

fn probed(flaw: Flaw) -> ProbeReport {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        run(&job(start(flaw).await), &|_| Ok(())).await.unwrap()
    })
}

fn rules_found(report: &ProbeReport) -> Vec<String> {
    report
        .findings("security")
        .into_iter()
        .map(|finding| finding.rule)
        .collect()
}

const EXPECTED: [(Flaw, &[&str]); 39] = [
    (Flaw::TokenNotNeeded, &["auth-missing"]),
    (Flaw::GarbageAccepted, &["token-malformed"]),
    (Flaw::SignatureIgnored, &["jwt-wrong-key"]),
    (Flaw::AlgNoneAccepted, &["jwt-alg-none"]),
    (Flaw::EmptySignatureAccepted, &["jwt-empty-signature"]),
    (Flaw::ClaimsNotSigned, &["jwt-tampered"]),
    (Flaw::SecretAccepted, &["jwt-guessable-key"]),
    (Flaw::ExpiryIgnored, &["jwt-expired"]),
    (Flaw::ExpiryNotNeeded, &["jwt-no-exp"]),
    (Flaw::RefreshTokenAccepted, &["refresh-token-accepted"]),
    (Flaw::OthersRead, &["object-access"]),
    (Flaw::OthersChanged, &["object-access"]),
    (Flaw::OthersDeletedSilently, &["object-access"]),
    (Flaw::OthersListed, &["object-access"]),
    (Flaw::OthersCounted, &["object-access"]),
    (Flaw::OthersForbidden, &["object-existence"]),
    (Flaw::SqlBreaks, &["sql-injection"]),
    (Flaw::SqlComplains, &["sql-injection"]),
    (Flaw::SqlEvaluates, &["sql-injection"]),
    (Flaw::SqlSleeps, &["sql-injection"]),
    (Flaw::MarkupReflected, &["cross-site-scripting"]),
    (Flaw::MarkupStored, &["cross-site-scripting"]),
    (Flaw::VersionAssigned, &["mass-assignment"]),
    (Flaw::OwnerAssigned, &["mass-assignment"]),
    (Flaw::RoleAssigned, &["mass-assignment"]),
    (Flaw::BodyUnbounded, &["body-unbounded"]),
    (Flaw::LargeBodyUnhandled, &["body-unbounded"]),
    (Flaw::NulUnhandled, &["unhandled-input"]),
    (Flaw::NestingUnhandled, &["unhandled-input"]),
    (Flaw::MethodOverridden, &["method-override"]),
    (Flaw::TraceAnswered, &["trace-enabled"]),
    (Flaw::OriginReflected, &["cors-credentials"]),
    (Flaw::NosniffForgotten, &["nosniff-missing"]),
    (Flaw::NosniffForgottenOnUnknownPath, &["nosniff-missing"]),
    (Flaw::VersionTold, &["version-disclosed"]),
    (Flaw::StackTraceShown, &["error-leak"]),
    (Flaw::PasswordEchoed, &["credential-exposed"]),
    (Flaw::HashShown, &["credential-exposed"]),
    (Flaw::GetLogsIn, &["credentials-in-url"]),
];

#[test]
fn a_correct_service_has_no_findings() {
    let report = probed(Flaw::Nothing);
    let undecided: Vec<_> = report
        .cases
        .iter()
        .filter(|case| case.verdict != Verdict::Safe)
        .collect();
    assert!(undecided.is_empty(), "{undecided:#?}");
    assert_eq!(report.problems, Vec::<String>::new());
    assert!(report.cases.len() > 150, "{}", report.cases.len());
}

#[test]
fn each_flaw_is_found_and_nothing_else() {
    for (flaw, rules) in EXPECTED {
        let report = probed(flaw);
        let expected: Vec<_> = rules.iter().map(|rule| format!("probe/{rule}")).collect();
        assert_eq!(
            rules_found(&report),
            expected,
            "{flaw:?}: {:#?}",
            report.findings("security")
        );
    }
}

#[test]
fn nobody_there_is_not_accused() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let report = LocalSet::new().block_on(&runtime, async {
        let free = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        run(&job(format!("http://{free}")), &|_| Ok(())).await.unwrap()
    });
    assert!(
        report
            .cases
            .iter()
            .all(|case| case.verdict == Verdict::Inconclusive)
    );
    assert_eq!(
        report.problems,
        ["Could not become user A: POST /users gave no connection"]
    );
    assert_eq!(rules_found(&report), Vec::<String>::new());
}

#[test]
fn other_hosts_are_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for url in [
        "http://10.0.0.1:80",
        "http://localhost:80",
        "https://127.0.0.1:80",
        "http://127.0.0.1:80@example.org",
        "",
    ] {
        let refused = LocalSet::new().block_on(&runtime, run(&job(url.to_owned()), &|_| Ok(())));
        assert!(refused.is_err(), "{url}");
    }
}

#[test]
fn progress_is_told() {
    let told = RefCell::new(Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let job = job(start(Flaw::Nothing).await);
        let say = |message: &ProbeMessage| {
            told.borrow_mut().push(message.clone());
            Ok(())
        };
        run(&job, &say).await.unwrap();
    });
    assert!(matches!(
        told.borrow().first(),
        Some(ProbeMessage::Progress { done: 50, .. })
    ));
}
