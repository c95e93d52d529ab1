use assay_core::attestation::{Link, PublicKey as _, chain};
use assay_store::model::{Role, ScoreRow};
use assay_store::signing::PublicKey;

use crate::daemon::{Caller, Daemon, REPORT};

/// What somebody far away needs comes from the API, and is enough.
#[tokio::test]
async fn a_report_can_be_verified_far_away() {
    let daemon = Daemon::new().await;
    let admin = daemon.admin().await;
    let assignment = daemon.invite("Ada").await.assignment;
    let run = daemon.queue(&assignment.id, "a").await;
    let path = format!("/api/v1/runs/{run}/attestation");
    daemon.get(&path, &admin).await.is(404);
    daemon.finish(&daemon.take().await).await;

    let keys = daemon
        .get("/.well-known/assay-keys.pem", &Caller::default())
        .await
        .is(200);
    let keys = PublicKey::all_of_pem(&keys.text).unwrap();
    daemon.get(&path, &Caller::default()).await.is(401);
    let envelope = daemon.get(&path, &admin).await.is(200);
    assert_eq!(
        envelope.header("content-type"),
        "application/vnd.dsse.envelope.v1+json"
    );
    let link = Link::open(envelope.text.as_bytes(), &keys).unwrap();
    let report = daemon
        .get(&format!("/api/v1/runs/{run}/report.json"), &admin)
        .await
        .is(200);
    link.fits(report.text.as_bytes()).unwrap();
    assert_eq!(report.text.as_bytes(), REPORT);
    assert_eq!(link.manifest.chain, assignment.id.as_str());

    // A re-score adds a link.
    let store = daemon.app.store();
    let score = store.run(&run).await.unwrap().unwrap().score.unwrap();
    let again = ScoreRow {
        report_digest: store.put_blob(&[REPORT, b"\n"].concat()).await.unwrap(),
        ..score
    };
    store.add_scorecard(&run, &again).await.unwrap();
    let bundle = daemon
        .get(
            &format!("/api/v1/assignments/{}/attestations", assignment.id),
            &admin,
        )
        .await
        .is(200);
    let links: Vec<Link> = bundle
        .text
        .lines()
        .map(|line| Link::open(line.as_bytes(), &keys).unwrap())
        .collect();
    chain::verify(&links).unwrap();
    assert_eq!((links.len(), &links[0]), (2, &link));
    let trail = daemon
        .get("/api/v1/audit/verification", &admin)
        .await
        .is(200)
        .json();
    assert_eq!(trail["holds"], true, "{trail}");
    let first = daemon.get(&format!("{path}?version=1"), &admin).await.is(200);
    assert_eq!(first.text, envelope.text);
    daemon.get(&format!("{path}?version=3"), &admin).await.is(404);
}

/// The page says so, and says when it is not so.
#[tokio::test]
async fn a_page_says_whether_a_score_is_the_one_that_was_signed() {
    let daemon = Daemon::new().await;
    daemon.user("ingrid", Role::Interviewer).await;
    let ingrid = daemon.browser("ingrid").await;
    let assignment = daemon.invite("Ada").await.assignment;
    let run = daemon.queue(&assignment.id, "a").await;
    let seal = async || {
        let page = daemon.get(&format!("/runs/{run}"), &ingrid).await.is(200).text;
        let (_, rest) = page.split_once(" seal\"").unwrap_or_default();
        let (_, rest) = rest.split_once('>').unwrap_or_default();
        rest.split('<').next().unwrap().trim().to_owned()
    };
    assert_eq!(seal().await, "");
    // The row does not have the points of the report that was signed with it.
    daemon.finish(&daemon.take().await).await;
    insta::assert_snapshot!(seal().await, @"Not to be relied on: this scorecard was changed after it was signed.");
    let store = daemon.app.store();
    let score = store.run(&run).await.unwrap().unwrap().score.unwrap();
    let again = ScoreRow {
        total_hundredths: 7_090,
        ..score
    };
    store.add_scorecard(&run, &again).await.unwrap();
    let told = seal().await;
    let key = store.keys().unwrap().signing.public().id();
    let expected = format!(
        "Signed by the key {}, link 2 of 2 of this assignment; verified.",
        &key[..16]
    );
    assert_eq!(told, expected);
}
