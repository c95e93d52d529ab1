//! Sessions: how they begin, what they are worth, how they end; and that no secret is ever logged.

use std::cell::RefCell;
use std::io::{self, Write};

use assay_core::id::TokenId;
use assay_server::auth::secret::sha256;
use assay_store::model::{Role, Token, TokenKind};
use serde_json::json;

use crate::daemon::{Caller, Daemon, PASSWORD};

fn holding(cookie: String) -> Caller {
    Caller {
        cookie: Some(cookie),
        ..Caller::default()
    }
}

#[tokio::test]
async fn a_sign_in_begins_a_new_session_and_ends_the_one_before() {
    let daemon = Daemon::new().await;
    daemon.user("ada", Role::Viewer).await;
    let planted = holding("assay=attacker-chose-this".into());
    let first = daemon.try_sign_in("Ada", PASSWORD, &planted).await.is(303);
    assert!(!first.cookie().contains("attacker"));
    assert!(first.header("set-cookie").contains("HttpOnly; SameSite=Lax"));
    let first = holding(first.cookie());
    daemon.get("/", &first).await.is(200);
    let second = daemon.try_sign_in("ada", PASSWORD, &first).await.is(303);
    let second = holding(second.cookie());
    daemon.get("/", &first).await.is(303);
    daemon.get("/", &second).await.is(200);
}

#[tokio::test]
async fn cookies_are_bound_to_the_host_where_there_is_https() {
    let daemon = Daemon::at("https://assay.test").await;
    daemon.user("ada", Role::Viewer).await;
    let reply = daemon.try_sign_in("ada", PASSWORD, &Caller::default()).await;
    let cookie = reply.header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-assay="), "{cookie}");
    assert!(
        cookie.contains("; Path=/;") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    assert!(!cookie.contains("Domain"));
    assert_eq!(reply.header("strict-transport-security"), "max-age=31536000");
}

#[tokio::test]
async fn a_session_ends_by_sign_out_password_idleness_age_and_switching_off() {
    let daemon = Daemon::new().await;
    let user = daemon.user("ada", Role::Viewer).await;
    let store = daemon.app.store();

    let ada = daemon.browser("ada").await;
    daemon
        .call("POST", "/sign-out", &ada, &format!("csrf={}", ada.csrf))
        .await;
    daemon.get("/", &ada).await.is(303);

    let (here, there) = (daemon.browser("ada").await, daemon.browser("ada").await);
    let change = assay_server::auth::change_password(&daemon.app, &user, "wrong password", PASSWORD).await;
    assert_eq!(change.unwrap_err().status, 403);
    daemon.get("/", &there).await.is(200);
    let change = assay_server::auth::change_password(&daemon.app, &user, PASSWORD, PASSWORD).await;
    change.unwrap();
    for session in [&here, &there] {
        daemon.get("/", session).await.is(303);
    }

    // Sessions as the store would hold them after hours and days.
    let now_ms = daemon.app.now_ms();
    const HOUR: i64 = 60 * 60 * 1000;
    for (name, created, used, expires, status) in [
        ("young", HOUR, None, HOUR, 200),
        ("used", 100 * HOUR, Some(HOUR), HOUR, 200),
        ("idle", 100 * HOUR, Some(13 * HOUR), HOUR, 303),
        ("never used", 13 * HOUR, None, HOUR, 303),
        ("old", 200 * HOUR, Some(HOUR), -HOUR, 303),
    ] {
        let token = Token {
            id: TokenId::from_random(rand::random()),
            kind: TokenKind::Session,
            subject: user.id.to_string(),
            name: name.into(),
            secret_sha256: sha256(name).unwrap(),
            scopes: Vec::new(),
            created_at_ms: now_ms - created,
            expires_at_ms: Some(now_ms + expires),
            revoked_at_ms: None,
            last_used_at_ms: used.map(|used| now_ms - used),
        };
        store.add_token(&token).await.unwrap();
        let reply = daemon.get("/", &holding(format!("assay={name}"))).await;
        assert_eq!(reply.status, status, "{name}");
    }

    let ada = daemon.browser("ada").await;
    store.set_disabled(&user.id, Some(now_ms)).await.unwrap();
    daemon.get("/", &ada).await.is(303);
    let reply = daemon.try_sign_in("ada", PASSWORD, &Caller::default()).await;
    assert_ne!(reply.status, 303);
}

#[tokio::test]
async fn the_api_takes_a_session_with_its_proof() {
    let daemon = Daemon::new().await;
    daemon.user("ada", Role::Admin).await;
    let ada = daemon.browser("ada").await;
    daemon.get("/api/v1/me", &ada).await.is(200);
    let body = json!({"scopes": ["read"]});
    daemon.post("/api/v1/tokens", &ada, &body).await.is(403);
    let proven = ada.with("x-csrf-token", ada.csrf.clone());
    daemon.post("/api/v1/tokens", &proven, &body).await.is(201);
    let elsewhere = proven.with("sec-fetch-site", "cross-site");
    daemon.post("/api/v1/tokens", &elsewhere, &body).await.is(403);
}

#[tokio::test]
async fn guessing_passwords_is_slow_for_an_address_and_for_an_account() {
    let daemon = Daemon::new().await;
    daemon.user("ada", Role::Viewer).await;
    let from = |address: String| Caller::default().with("x-forwarded-for", address);
    // One account from many addresses.
    let mut statuses = Vec::new();
    for i in 0..12 {
        let reply = daemon
            .try_sign_in("ada", "a wrong guess", &from(format!("10.0.0.{i}")))
            .await;
        statuses.push(reply.status.as_u16());
    }
    assert_eq!(
        statuses.iter().filter(|status| **status == 429).count(),
        2,
        "{statuses:?}"
    );
    // Even the right one has to wait then.
    let reply = daemon
        .try_sign_in("ada", PASSWORD, &from("10.1.0.1".into()))
        .await;
    assert_eq!(reply.status, 429);
    // Many accounts from one address.
    let mut n_refused = 0;
    for i in 0..25 {
        let reply = daemon
            .try_sign_in(&format!("nobody{i}"), "a wrong guess", &from("10.2.0.1".into()))
            .await;
        n_refused += u32::from(reply.status == 429);
    }
    assert!(n_refused >= 4, "{n_refused}");
}

thread_local! {
    /// All that this test's thread logs.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_logged() {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(|| Log)
        .finish();
    // For the whole process: other tests run beside this one, and decide what is logged at all.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let daemon = Daemon::new().await;
    let admin = daemon.admin().await;
    daemon.user("ada", Role::Admin).await;
    let ada = daemon.browser("ada").await;
    daemon
        .try_sign_in("ada", "wrong-secret-guess", &Caller::default())
        .await;
    let invited = daemon.invite("Ada").await;
    let link = invited
        .page_url
        .strip_prefix(crate::daemon::URL)
        .unwrap()
        .to_owned();
    let reply = daemon.get(&link, &Caller::default()).await.is(303);
    daemon
        .get(reply.header("location"), &holding(reply.cookie()))
        .await;
    daemon.get("/api/v1/me?token=in-the-query", &admin).await;
    let made = daemon
        .post("/api/v1/tokens", &admin, &json!({"scopes": ["read"]}))
        .await
        .json();
    let wrong = Caller {
        token: Some("assay_not_a_token".into()),
        ..Caller::default()
    };
    daemon.get("/api/v1/me", &wrong).await.is(401);

    let text = String::from_utf8(LOG.take()).unwrap();
    assert!(
        text.contains("/api/v1/me") && text.contains("answered 200"),
        "{text}"
    );
    let secrets = [
        admin.token.unwrap(),
        ada.cookie.unwrap().split_once('=').unwrap().1.to_owned(),
        ada.csrf,
        invited.clone.secret.text().to_owned(),
        link.split_once("token=").unwrap().1.to_owned(),
        made["secret"].as_str().unwrap().to_owned(),
        PASSWORD.to_owned(),
        "wrong-secret-guess".to_owned(),
        "in-the-query".to_owned(),
        "assay_not_a_token".to_owned(),
    ];
    for secret in secrets {
        assert!(secret.len() > 8 && !text.contains(&secret), "{secret} was logged");
    }
}
