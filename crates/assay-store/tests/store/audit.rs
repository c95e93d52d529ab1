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
