use assay_store::model::{Connection, ForgeKind};
use serde_json::json;

use crate::world::World;

fn connection(id: &str, forge: ForgeKind, created_at_ms: i64) -> Connection {
    Connection {
        id: id.parse().unwrap(),
        forge,
        base_url: "https://forge.example.org".to_owned(),
        api_url: "https://forge.example.org/api".to_owned(),
        exercise: "task-sync".to_owned(),
        track: "node".to_owned(),
        repositories: vec!["hiring/*".to_owned(), "x/y".to_owned()],
        sealed_secrets: vec![0, 255, 10],
        created_at_ms,
        disabled_at_ms: None,
    }
}

pub(crate) async fn connections_are_kept(world: World) {
    let store = &world.store;
    let mut one = connection("one", ForgeKind::BitbucketServer, 1);
    let two = connection("two", ForgeKind::GitHub, 2);
    store.create_connection(&two).await.unwrap();
    store.create_connection(&one).await.unwrap();
    assert!(store.create_connection(&one).await.is_err());
    store.set_connection_disabled(&one.id, Some(4)).await.unwrap();
    store.set_connection_secrets(&one.id, &[9, 0]).await.unwrap();
    one.disabled_at_ms = Some(4);
    one.sealed_secrets = vec![9, 0];
    assert_eq!(store.connection(&one.id).await.unwrap().as_ref(), Some(&one));
    assert_eq!(store.connections().await.unwrap(), [one, two]);
    let none = "none".parse().unwrap();
    assert!(store.set_connection_disabled(&none, None).await.is_err());
    assert!(store.set_connection_secrets(&none, &[]).await.is_err());
}

pub(crate) async fn a_delivery_counts_once(world: World) {
    let store = &world.store;
    let (one, two) = (
        connection("one", ForgeKind::Gitea, 1),
        connection("two", ForgeKind::Gitea, 1),
    );
    store.create_connection(&one).await.unwrap();
    store.create_connection(&two).await.unwrap();
    assert!(store.note_delivery(&one.id, "d\0", 10).await.unwrap());
    assert!(!store.note_delivery(&one.id, "d\0", 11).await.unwrap());
    assert!(store.note_delivery(&two.id, "d\0", 12).await.unwrap());
    assert_eq!(store.remove_old_deliveries(12).await.unwrap(), 1);
    assert!(store.note_delivery(&one.id, "d\0", 13).await.unwrap());
    assert!(!store.note_delivery(&two.id, "d\0", 13).await.unwrap());
}

pub(crate) async fn what_is_to_be_told_waits_until_it_was(world: World) {
    let store = &world.store;
    let lab = connection("lab", ForgeKind::GitLab, 1);
    store.create_connection(&lab).await.unwrap();
    let assignment = world.assignment("ada").await;
    let run = world.push(&assignment, "r1").await.run.id;
    for n in 1..=3 {
        store
            .add_outgoing(&lab.id, &run, &json!({"n": n, "text": "\0"}), 10)
            .await
            .unwrap();
    }
    assert!(store.due_outgoing(9, 10).await.unwrap().is_empty());
    let due = store.due_outgoing(10, 2).await.unwrap();
    assert_eq!(
        due.iter()
            .map(|outgoing| &outgoing.payload["n"])
            .collect::<Vec<_>>(),
        [1, 2]
    );
    store.outgoing_done(due[0].id, 11).await.unwrap();
    store.outgoing_failed(due[1].id, 50, "502\0").await.unwrap();
    let due = store.due_outgoing(49, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    let due = store.due_outgoing(50, 10).await.unwrap();
    let mut seen: Vec<(i64, u32)> = Vec::new();
    seen.extend(
        due.iter()
            .map(|outgoing| (outgoing.payload["n"].as_i64().unwrap(), outgoing.n_tries)),
    );
    assert_eq!(seen, [(3, 0), (2, 1)]);
    assert_eq!(store.remove_old_deliveries(12).await.unwrap(), 1, "what was told");

    assert_eq!(store.comment(&lab.id, "x/y", "7").await.unwrap(), None);
    store.note_comment(&lab.id, "x/y", "7", "100").await.unwrap();
    store.note_comment(&lab.id, "x/y", "7", "101").await.unwrap();
    assert_eq!(
        store.comment(&lab.id, "x/y", "7").await.unwrap().as_deref(),
        Some("101")
    );
}
