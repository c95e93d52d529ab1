use assay_store::StoreError;
use assay_store::model::{Actor, AuditEntry, PageRequest};
use serde_json::json;

use crate::world::{World, first};

async fn write(world: &World, n: i64) {
    for i in 1..=n {
        let entry = AuditEntry {
            at_ms: i,
            actor: match i % 2 {
                0 => Actor::System,
                _ => Actor::Candidate("ada".parse().unwrap()),
            },
            action: "report.viewed".to_owned(),
            subject: format!("run-{}", i % 3),
            detail: json!({"z": 1, "a": [null, "ä\0"]}),
        };
        world.store.audit(&entry).await.unwrap();
    }
}

pub(crate) async fn the_trail_is_a_chain(world: World) {
    assert_eq!(world.store.verify_audit().await.unwrap(), 0);
    write(&world, 7).await;
    assert_eq!(world.store.verify_audit().await.unwrap(), 7);
    let mut seen = Vec::new();
    let mut request = first(1);
    loop {
        let page = world.store.audit_rows(Some("run-1"), &request).await.unwrap();
        seen.extend(page.rows.iter().map(|row| row.seq));
        let Some(next) = page.next else { break };
        request.after = Some(next);
    }
    assert_eq!(seen, [7, 4, 1]);
    let page = world.store.audit_rows(None, &first(2)).await.unwrap();
    let newest = &page.rows[0];
    assert_eq!((newest.seq, page.rows[1].seq), (7, 6));
    assert_eq!(newest.entry.actor, Actor::Candidate("ada".parse().unwrap()));
    assert_eq!(newest.entry.detail, json!({"a": [null, "ä\0"], "z": 1}));
    // A chain that was written today is one that a later version has to read.
    insta::assert_snapshot!(newest.hash, @"4176f9e221874e5ac24b5508c284f880d91da52803331c9f8fc8ebe440f0e473");
    let nowhere = PageRequest {
        after: Some("x".to_owned()),
        limit: 1,
    };
    let error = world.store.audit_rows(None, &nowhere).await;
    assert!(matches!(error, Err(StoreError::Place(_))));
}

pub(crate) async fn every_change_breaks_the_chain(world: World) {
    let tools = world.tools().await;
    for (change, broken_at) in [
        ("UPDATE audit SET at_ms = 0 WHERE seq = 2", 2),
        ("UPDATE audit SET actor = '\"system\"' WHERE seq = 3", 3),
        ("UPDATE audit SET action = 'x' WHERE seq = 2", 2),
        ("UPDATE audit SET subject = 'x' WHERE seq = 1", 1),
        ("UPDATE audit SET detail = 'null' WHERE seq = 4", 4),
        ("UPDATE audit SET hash = 'x' WHERE seq = 4", 4),
        ("DELETE FROM audit WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 2", 2),
        (
            "DELETE FROM audit WHERE seq = 2; UPDATE audit SET seq = seq - 1 WHERE seq > 2",
            2,
        ),
    ] {
        tools.execute("DELETE FROM audit").await;
        write(&world, 4).await;
        assert_eq!(world.store.verify_audit().await.unwrap(), 4);
        tools.execute(change).await;
        let verified = world.store.verify_audit().await;
        assert!(
            matches!(verified, Err(StoreError::AuditBroken { seq }) if seq == broken_at),
            "{change}: {verified:?}"
        );
    }
}

/// The trail as it is after changes by the database's own tools, and two more entries.
pub(crate) async fn the_end_of_the_trail_is_signed(mut world: World) {
    let tools = world.tools().await;
    world.store = world.signing(3).await;
    assert_eq!(world.store.verify_audit().await.unwrap(), 0);
    for (change, broken_at) in [
        ("SELECT 1", None),
        ("DELETE FROM audit WHERE seq > 3", Some(4)),
        ("DELETE FROM audit WHERE seq > 4", Some(5)),
        ("DELETE FROM audit", Some(1)),
        ("UPDATE audit SET subject = 'x' WHERE seq = 5", Some(5)),
        ("DELETE FROM audit_head", Some(0)),
        ("DELETE FROM audit WHERE seq > 3; DELETE FROM audit_head", Some(0)),
        ("UPDATE audit_head SET envelope = '{}'", Some(0)),
    ] {
        tools.execute("DELETE FROM audit; DELETE FROM audit_head").await;
        write(&world, 5).await;
        assert_eq!(world.store.verify_audit().await.unwrap(), 5);
        tools.execute(change).await;
        for round in ["at once", "and what is written after it does not make it good"] {
            let verified = match world.store.verify_audit().await {
                Ok(_) => None,
                Err(StoreError::AuditBroken { seq }) => Some(seq),
                Err(StoreError::AuditUnsigned) => Some(0),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(verified, broken_at, "{change}: {round}");
            write(&world, 2).await;
        }
    }

    // Who signs with a newer key knows the older ones.
    tools.execute("DELETE FROM audit; DELETE FROM audit_head").await;
    write(&world, 1).await;
    world.store = world.signing(4).await;
    assert_eq!(world.store.verify_audit().await.unwrap(), 1);
    write(&world, 1).await;
    assert_eq!(world.store.verify_audit().await.unwrap(), 2);
    let stranger = world.signing(0).await.verify_audit().await;
    assert!(matches!(stranger, Err(StoreError::AuditUnsigned)), "{stranger:?}");
}

pub(crate) async fn a_trail_of_before_is_signed_once(mut world: World) {
    let tools = world.tools().await;
    write(&world, 2).await;
    world.store = world.signing(1).await;
    let unsigned = world.store.verify_audit().await;
    assert!(matches!(unsigned, Err(StoreError::AuditUnsigned)), "{unsigned:?}");
    world.store.migrate().await.unwrap();
    let unsigned = world.store.verify_audit().await;
    assert!(
        matches!(unsigned, Err(StoreError::AuditUnsigned)),
        "not at every start: {unsigned:?}"
    );
    tools
        .execute(
            "DROP TABLE attestations; DROP TABLE audit_head; DELETE FROM _sqlx_migrations WHERE version = 3",
        )
        .await;
    world.store.migrate().await.unwrap();
    assert_eq!(world.store.verify_audit().await.unwrap(), 2);
}
