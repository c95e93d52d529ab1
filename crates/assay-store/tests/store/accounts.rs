use assay_store::StoreError;
use assay_store::model::{Remembered, Role, Token, TokenKind, User};
use serde_json::json;

use crate::world::World;

fn user(id: &str) -> User {
    User {
        id: id.parse().unwrap(),
        login: id.to_owned(),
        name: id.to_uppercase(),
        password_hash: Some("$argon2id$".to_owned()),
        oidc_subject: Some(format!("https://id.example.org {id}")),
        role: Role::Interviewer,
        created_at_ms: 1,
        disabled_at_ms: None,
    }
}

pub(crate) async fn accounts_are_found_and_changed(world: World) {
    let store = &world.store;
    let mut ada = user("ada");
    store.create_user(&ada).await.unwrap();
    store.create_user(&user("bob")).await.unwrap();
    assert_eq!(store.n_users().await.unwrap(), 2);
    store.set_role(&ada.id, Role::Admin).await.unwrap();
    store.set_password(&ada.id, None).await.unwrap();
    store.set_disabled(&ada.id, Some(9)).await.unwrap();
    ada = User {
        role: Role::Admin,
        password_hash: None,
        disabled_at_ms: Some(9),
        ..ada
    };
    assert_eq!(store.user(&ada.id).await.unwrap().as_ref(), Some(&ada));
    assert_eq!(store.user_by_login("ada").await.unwrap().as_ref(), Some(&ada));
    assert_eq!(store.user_by_login("ada\0").await.unwrap(), None);
    let subject = "https://id.example.org ada";
    assert_eq!(store.user_by_oidc(subject).await.unwrap().as_ref(), Some(&ada));
    assert_eq!(store.users().await.unwrap(), [ada, user("bob")]);
    let nobody = "nobody".parse().unwrap();
    assert_eq!(store.user(&nobody).await.unwrap(), None);
    let error = store.set_role(&nobody, Role::Admin).await.unwrap_err();
    insta::assert_snapshot!(error, @"there is no user `nobody`");
}

pub(crate) async fn a_login_belongs_to_one(world: World) {
    world.store.create_user(&user("ada")).await.unwrap();
    let again = User {
        id: "ada2".parse().unwrap(),
        oidc_subject: None,
        ..user("ada")
    };
    let error = world.store.create_user(&again).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }));
    insta::assert_snapshot!(error, @"there is a user `ada` already");
    // Nobody without a subject is in the way of anybody else without one.
    for id in ["carl", "dora"] {
        let user = User {
            oidc_subject: None,
            ..user(id)
        };
        world.store.create_user(&user).await.unwrap();
    }
}

fn token(id: &str, secret: u8, expires_at_ms: Option<i64>) -> Token {
    Token {
        id: id.parse().unwrap(),
        kind: TokenKind::Api,
        subject: "ada".to_owned(),
        name: "laptop".to_owned(),
        secret_sha256: [secret; 32],
        scopes: vec!["read".to_owned(), "run".to_owned()],
        created_at_ms: i64::from(secret),
        expires_at_ms,
        revoked_at_ms: None,
        last_used_at_ms: None,
    }
}

pub(crate) async fn tokens_open_while_they_live(world: World) {
    let store = &world.store;
    let api = TokenKind::Api;
    store.add_token(&token("t1", 1, None)).await.unwrap();
    store.add_token(&token("t2", 2, Some(100))).await.unwrap();
    let opens = async |kind, secret: u8, now_ms| {
        let token = store.token(kind, &[secret; 32], now_ms).await.unwrap();
        token.map(|token| token.id.to_string())
    };
    assert_eq!(opens(api, 1, 5).await.as_deref(), Some("t1"));
    assert_eq!(opens(api, 2, 99).await.as_deref(), Some("t2"));
    assert_eq!(opens(api, 2, 100).await, None, "expired");
    assert_eq!(opens(TokenKind::Session, 1, 5).await, None, "of another kind");
    assert_eq!(opens(api, 3, 5).await, None, "of nobody");

    // A use is noted at most once a minute.
    let used = async || store.tokens_of(api, "ada").await.unwrap()[1].last_used_at_ms;
    assert_eq!(used().await, Some(5));
    for (now_ms, expected) in [(60_004, 5), (60_005, 60_005), (60_006, 60_005)] {
        opens(api, 1, now_ms).await;
        assert_eq!(used().await, Some(expected), "at {now_ms}");
    }

    assert!(store.revoke_token(&"t1".parse().unwrap(), 7).await.unwrap());
    assert!(!store.revoke_token(&"t1".parse().unwrap(), 8).await.unwrap());
    assert_eq!(opens(api, 1, 9).await, None, "revoked");
    assert_eq!(store.revoke_tokens_of(api, "ada", 9).await.unwrap(), 1);
    assert_eq!(opens(api, 2, 50).await, None, "revoked with all");
    assert_eq!(store.remove_expired_tokens(100).await.unwrap(), 1);
    let left = store.tokens_of(api, "ada").await.unwrap();
    let expected = Token {
        revoked_at_ms: Some(7),
        last_used_at_ms: Some(60_005),
        ..token("t1", 1, None)
    };
    assert_eq!(left, [expected]);
}

pub(crate) async fn a_request_that_comes_twice_is_answered_once(world: World) {
    let store = &world.store;
    let (ada, bob) = ("ada".parse().unwrap(), "bob".parse().unwrap());
    let ask = async |user, request: u8, now_ms| {
        store
            .idempotent("key\0", user, &[request; 32], now_ms)
            .await
            .unwrap()
    };
    assert_eq!(ask(&ada, 1, 0).await, Remembered::New);
    assert_eq!(
        ask(&ada, 1, 1).await,
        Remembered::Different,
        "still being answered"
    );
    store.remember("key\0", &ada, &json!({"id": 5})).await.unwrap();
    assert_eq!(ask(&ada, 1, 2).await, Remembered::Same(json!({"id": 5})));
    assert_eq!(ask(&ada, 2, 3).await, Remembered::Different);
    assert_eq!(ask(&bob, 2, 4).await, Remembered::New, "keys belong to users");
    assert_eq!(
        ask(&bob, 2, 60_004).await,
        Remembered::New,
        "the first one was never answered"
    );
    assert_eq!(
        ask(&ada, 2, 86_400_000).await,
        Remembered::New,
        "forgotten after a day"
    );
}
