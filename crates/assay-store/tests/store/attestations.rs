use assay_core::attestation::{Link, Refusal};
use assay_core::fault::Whose;
use assay_core::id::{AssignmentId, RunId};
use assay_core::queue::Outcome;
use assay_core::report::Report;
use assay_store::StoreError;
use assay_store::model::Finish;

use crate::erasure::everything;
use crate::world::{World, file, finish, score};

/// In everything that the candidate is or wrote.
const TRACE: &str = "Wilhelmina";

/// The report of a run with this total, as bytes.
fn report(run: &str, total: f64) -> Vec<u8> {
    let sample = include_bytes!("../../../assay-report/tests/data/sample.json");
    let mut report: Report = serde_json::from_slice(sample).unwrap();
    report.run.id = run.to_owned();
    report.submission.author = TRACE.to_owned();
    report.submission.commit = format!("commit-of-{run}-by-{TRACE}");
    report.score.total = total;
    serde_json::to_vec(&report).unwrap()
}

/// Scores the next run, with a report and a piece of evidence.
async fn scored(world: &World, total: i64) -> RunId {
    let store = &world.store;
    let lease = world.claim().await;
    let report = report(lease.run.as_str(), total as f64 / 100.0);
    let report = store.put_blob(&report).await.unwrap();
    let log = store.put_blob(format!("{total}").as_bytes()).await.unwrap();
    let end = Finish {
        score: Some(score(total, &report)),
        files: vec![file("report.json", &report), file(TRACE, &log)],
        ..finish(Outcome::Scored)
    };
    assert!(store.finish(&lease, &end, world.tick()).await.unwrap());
    lease.run
}

/// Two runs of one assignment, the first one scored again.
async fn three_links(world: &World) -> (AssignmentId, RunId) {
    let ada = world.assignment("ada").await;
    world.push(&ada, "r1").await;
    let first = scored(world, 5_000).await;
    world.push(&ada, "r2").await;
    scored(world, 6_000).await;
    let again = report("r1", 55.0);
    let again = world.store.put_blob(&again).await.unwrap();
    let again = score(5_500, &again);
    world.store.add_scorecard(&first, &again).await.unwrap();
    (ada, first)
}

pub(crate) async fn scorecards_are_signed_in_a_chain(mut world: World) {
    world.store = world.signing(1).await;
    let (ada, first) = three_links(&world).await;
    let links = world.store.verify_attestations(&ada).await.unwrap();
    let told = links.iter().map(|link| {
        let manifest = &link.manifest;
        format!(
            "{} {} {} version {}: {} of {}, {} pieces of evidence, received at {}",
            manifest.chain,
            manifest.link,
            manifest.run,
            manifest.scorecard,
            manifest.score.as_ref().unwrap().total,
            manifest.score.as_ref().unwrap().max,
            manifest.evidence.len(),
            manifest.received_at_ms,
        )
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"
    ada 1 r1 version 1: 50 of 100, 1 pieces of evidence, received at 77
    ada 2 r2 version 1: 60 of 100, 1 pieces of evidence, received at 77
    ada 3 r1 version 2: 55 of 100, 1 pieces of evidence, received at 77
    ");
    links[2].fits(&report("r1", 55.0)).unwrap();
    assert!(matches!(
        links[2].fits(&report("r1", 55.1)),
        Err(Refusal::Report { .. })
    ));

    // A new key goes on with the chain; the old one is still known.
    world.store = world.signing(2).await;
    let again = world.store.put_blob(&report("r1", 56.0)).await.unwrap();
    world
        .store
        .add_scorecard(&first, &score(5_600, &again))
        .await
        .unwrap();
    let links = world.store.verify_attestations(&ada).await.unwrap();
    assert_eq!(links.len(), 4);
    assert_ne!(links[3].key, links[2].key);
    let newest = world.store.attestation(&first, 3).await.unwrap().unwrap();
    assert_eq!(world.store.attestations(&ada).await.unwrap()[3], newest);
    let opened = Link::open(newest.as_bytes(), &world.store.keys().unwrap().known).unwrap();
    assert_eq!(opened, links[3]);
    assert_eq!(world.store.verify_audit().await.unwrap(), 4);
    assert_eq!(world.store.attestation(&first, 4).await.unwrap(), None);
}

pub(crate) async fn what_is_changed_in_the_database_shows(mut world: World) {
    world.store = world.signing(1).await;
    let (ada, _) = three_links(&world).await;
    let tools = world.tools().await;
    tools
        .execute("CREATE TABLE kept AS SELECT * FROM attestations")
        .await;
    let mut told = Vec::new();
    for change in [
        "DELETE FROM attestations WHERE link = 2",
        "DELETE FROM attestations WHERE link = 3",
        "DELETE FROM attestations",
        "UPDATE attestations SET link = link + 10; UPDATE attestations SET link = 1 WHERE link = 12;
         UPDATE attestations SET link = 2 WHERE link = 11",
        "UPDATE attestations SET envelope = (SELECT envelope FROM kept WHERE link = 1) WHERE link = 2",
        "UPDATE attestations SET envelope = replace(envelope, 'keyid\":\"', 'keyid\":\"0') WHERE link = 2",
        "UPDATE attestations SET envelope = replace(envelope, 'sig\":\"', 'sig\":\"AAAA') WHERE link = 2",
        "UPDATE attestations SET envelope = '{}' WHERE link = 2",
    ] {
        tools.execute(change).await;
        let verified = world.store.verify_attestations(&ada).await;
        let Err(StoreError::Attestation(refusal)) = verified else {
            panic!("{change}: {verified:?}");
        };
        told.push(refusal.to_string());
        tools
            .execute("DELETE FROM attestations; INSERT INTO attestations SELECT * FROM kept")
            .await;
        assert_eq!(world.store.verify_attestations(&ada).await.unwrap().len(), 3);
    }
    insta::assert_snapshot!(told.join("\n"), @"
    the chain is not whole: link 2 is missing
    the chain is not whole: link 3 is missing
    the chain is not whole: link 1 is missing
    the links are not in their order: where link 1 belongs stands link 2
    the chain is not whole: link 2 is missing
    the attestation is signed by the key 0fd110d301d2f077de1414b8f99f441b1403fab207b2052fbd2c065e4ee8e7dc, which is none of those that are trusted here
    the attestation was changed after it was signed: the signature of the key fd110d301d2f077de1414b8f99f441b1403fab207b2052fbd2c065e4ee8e7dc2 does not fit
    the attestation cannot be read: missing field `payload` at line 1 column 2
    ");
}

pub(crate) async fn an_erased_candidate_leaves_a_chain_that_holds(mut world: World) {
    world.store = world.signing(1).await;
    let (ada, first) = three_links(&world).await;
    let before = world.store.verify_attestations(&ada).await.unwrap();
    assert!(everything(&world).await.contains(TRACE));
    world.store.erase_candidate(&ada, "erased", 9_000).await.unwrap();
    assert_eq!(world.store.verify_attestations(&ada).await.unwrap(), before);
    world.store.verify_audit().await.unwrap();
    assert!(!everything(&world).await.contains(TRACE));
    for link in &before {
        let text = serde_json::to_string(&link.manifest).unwrap();
        assert!(!text.contains(TRACE) && !text.contains("commit-of"), "{text}");
    }
    // The points are still those that were signed.
    let kept = &world.store.scorecards(&first).await.unwrap()[1];
    assert_eq!(kept.total_hundredths, 5_500);
    assert!((before[2].manifest.score.as_ref().unwrap().total - 55.0).abs() < 0.001);
}

pub(crate) async fn runs_without_a_score_are_links_too(mut world: World) {
    world.store = world.signing(1).await;
    let ada = world.assignment("ada").await;
    // One is superseded, one fails, one gets points, one is lost by its worker, one is cancelled.
    world.push(&ada, "r1").await;
    world.push(&ada, "r2").await;
    let lease = world.claim().await;
    let failed = finish(Outcome::Failed(Whose::Candidate));
    assert!(world.store.finish(&lease, &failed, world.tick()).await.unwrap());
    world.push(&ada, "r3").await;
    scored(&world, 5_000).await;
    world.push(&ada, "r4").await;
    let lost = world.claim().await;
    let taken = world
        .store
        .take_back(&lost.worker, world.tick(), 1)
        .await
        .unwrap();
    assert_eq!(taken, [lost.run]);
    let waiting = world.push(&ada, "r5").await.run.id;
    world.store.request_cancel(&waiting, world.tick()).await.unwrap();

    let links = world.store.verify_attestations(&ada).await.unwrap();
    let told = links.iter().map(|link| {
        let manifest = &link.manifest;
        let points = manifest.score.as_ref().map(|score| score.total);
        let (link, run, version) = (manifest.link, &manifest.run, manifest.scorecard);
        format!(
            "{link} {run} version {version}: {points:?}, {:?}",
            manifest.outcome
        )
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"
    1 r1 version 0: None, Some(Superseded)
    2 r2 version 0: None, Some(Failed(Candidate))
    3 r3 version 1: Some(50.0), None
    4 r4 version 0: None, Some(Failed(Platform))
    5 r5 version 0: None, Some(Cancelled)
    ");
    let envelope = world.store.attestation(&waiting, 0).await.unwrap().unwrap();
    let link = Link::open(envelope.as_bytes(), &world.store.keys().unwrap().known).unwrap();
    assert_eq!(link.fits(b"{}"), Err(Refusal::NoReport));

    // None of them can be dropped.
    let tools = world.tools().await;
    tools.execute("DELETE FROM attestations WHERE run = 'r5'").await;
    let verified = world.store.verify_attestations(&ada).await;
    assert!(
        matches!(&verified, Err(StoreError::Attestation(Refusal::Missing(5)))),
        "{verified:?}"
    );
}
