//! What the daemon does from time to time.

use std::time::{Duration, Instant};

use assay_core::assignment::AssignmentState;
use assay_core::id::{ConnectionId, TokenId};
use assay_store::model::{AssignmentChange, Token, TokenKind};
use serde_json::json;

use crate::daemon::Daemon;

#[tokio::test]
async fn what_is_over_is_put_away_and_what_is_not_stays() {
    let daemon = Daemon::new().await;
    let admin = daemon.admin().await;
    let store = daemon.app.store();
    let (over, not_yet) = (daemon.invite("Ada").await, daemon.invite("Bob").await);
    let now_ms = daemon.app.now_ms();
    let change = AssignmentChange {
        retain_until_ms: Some(Some(now_ms - 1)),
        ..AssignmentChange::default()
    };
    store
        .change_assignment(&over.assignment.id, &change)
        .await
        .unwrap();
    let token = |secret: u8, expires_at_ms| Token {
        id: TokenId::from_random(secret.into()),
        kind: TokenKind::Page,
        subject: not_yet.assignment.id.to_string(),
        name: String::new(),
        secret_sha256: [secret; 32],
        scopes: Vec::new(),
        created_at_ms: 0,
        expires_at_ms: Some(expires_at_ms),
        revoked_at_ms: None,
        last_used_at_ms: None,
    };
    store.add_token(&token(1, now_ms - 1)).await.unwrap();
    store.add_token(&token(2, now_ms + 600_000)).await.unwrap();
    let new = json!({
        "forge": "gitea", "base_url": "https://git.example.org", "exercise": "task-sync", "track": "python",
        "repositories": ["acme/*"],
    });
    let made = daemon
        .post("/api/v1/connections", &admin, &new)
        .await
        .is(201)
        .json();
    let connection: ConnectionId = made["id"].as_str().unwrap().parse().unwrap();
    for (delivery, at_ms) in [("old", 0), ("new", now_ms)] {
        assert!(store.note_delivery(&connection, delivery, at_ms).await.unwrap());
    }

    let keeping = tokio::spawn(assay_server::housekeeping(daemon.app.clone()));
    let began = Instant::now();
    while store.delivery_came(&connection, "old").await.unwrap() {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing was put away");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    daemon.app.shutdown().cancel();
    tokio::time::timeout(Duration::from_secs(20), keeping)
        .await
        .unwrap()
        .unwrap();

    let state = async |invited: &assay_server::desk::Invited| {
        store
            .assignment(&invited.assignment.id)
            .await
            .unwrap()
            .unwrap()
            .state
    };
    assert_eq!(state(&over).await, AssignmentState::Archived);
    assert!(!daemon.repository(over.assignment.id.as_str()).exists());
    assert_eq!(state(&not_yet).await, AssignmentState::Open);
    assert!(daemon.repository(not_yet.assignment.id.as_str()).exists());
    assert!(store.delivery_came(&connection, "new").await.unwrap());
    let opens = async |secret: u8| {
        store
            .token(TokenKind::Page, &[secret; 32], 0)
            .await
            .unwrap()
            .is_some()
    };
    assert!(
        !opens(1).await && opens(2).await,
        "only the one that is over is forgotten"
    );
}
