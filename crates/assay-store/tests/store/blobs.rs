use assay_core::queue::Outcome;
use assay_store::StoreError;
use assay_store::model::Finish;

use crate::world::{World, file, finish, score};

/// A moment after every file.
const LATER: i64 = i64::MAX / 1_000_000;

pub(crate) async fn a_blob_is_what_its_digest_says(world: World) {
    let store = &world.store;
    let digest = store.put_blob(b"hello").await.unwrap();
    insta::assert_snapshot!(digest, @"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_eq!(store.put_blob(b"hello").await.unwrap(), digest);
    assert_eq!(store.blob(&digest).await.unwrap().as_deref(), Some(&b"hello"[..]));
    let path = world.blobs().join("2c").join(&digest["sha256:".len()..]);
    assert!(path.is_file());
    for digest in [
        "",
        "sha256:",
        "sha256:../../etc/passwd",
        &digest.to_uppercase(),
        &digest.replace('2', "3"),
    ] {
        assert_eq!(store.blob(digest).await.unwrap(), None, "{digest}");
    }
    std::fs::write(&path, "other").unwrap();
    let damaged = store.blob(&digest).await;
    assert!(matches!(damaged, Err(StoreError::DamagedBlob(_))));
    // Whoever has the bytes mends it.
    store.put_blob(b"hello").await.unwrap();
    assert!(store.blob(&digest).await.unwrap().is_some());
}

pub(crate) async fn a_row_needs_its_blob(world: World) {
    let id = world.assignment("ada").await;
    world.push(&id, "r1").await;
    let lease = world.claim().await;
    let absent = format!("sha256:{}", "0".repeat(64));
    for finish in [
        Finish {
            files: vec![file("report.json", &absent)],
            ..finish(Outcome::Scored)
        },
        Finish {
            score: Some(score(1, &absent)),
            ..finish(Outcome::Scored)
        },
    ] {
        let refused = world.store.finish(&lease, &finish, 9).await;
        assert!(
            matches!(refused, Err(StoreError::NotFound { what: "blob", .. })),
            "{refused:?}"
        );
    }
    // Nothing was written, and the lease holds.
    assert_eq!(world.story("r1").await, "1:run_queued 2:run_taken");
    assert!(world.finish(&lease, Outcome::Scored).await);
}

pub(crate) async fn what_nothing_refers_to_goes(world: World) {
    let store = &world.store;
    let id = world.assignment("ada").await;
    world.push(&id, "r1").await;
    let lease = world.score(5).await;
    let used = store.run_files(&lease.run).await.unwrap().remove(0).digest;
    let unused = store.put_blob(b"unused").await.unwrap();
    std::fs::write(world.blobs().join(&used[7..9]).join("half.1-1"), "half").unwrap();
    assert_eq!(
        store.remove_unreferenced_blobs(0).await.unwrap(),
        0,
        "all are too young"
    );
    assert_eq!(store.remove_unreferenced_blobs(LATER).await.unwrap(), 2);
    assert!(store.blob(&used).await.unwrap().is_some());
    assert!(store.blob(&unused).await.unwrap().is_none());
}
