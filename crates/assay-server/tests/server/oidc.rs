//! Signing in at an OpenID Connect provider, which is a fake that signs whatever a test wants.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use assay_server::auth::oidc::Oidc;
use assay_store::model::Role;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::daemon::{Caller, Daemon, Reply, URL};

const CLIENT: &str = "assay at example";
const SECRET: &str = "se+cret:of the client";

/// The provider.
struct Provider {
    server: MockServer,
    key: EncodingKey,
    /// The next token.
    token: Arc<Mutex<String>>,
    /// How many signed in: each from an address of their own, so that the limits of one do not count.
    n: AtomicU32,
}

/// What is different about a sign-in.
struct Change {
    claims: Value,
    header: Header,
    key: Option<EncodingKey>,
    /// State, cookie, and what else is in the answer.
    state: Option<&'static str>,
    without_cookie: bool,
    answer: &'static str,
}

impl Default for Change {
    fn default() -> Self {
        Self {
            claims: json!({}),
            header: header("k1", Algorithm::ES256),
            key: None,
            state: None,
            without_cookie: false,
            answer: "",
        }
    }
}

fn header(kid: &str, alg: Algorithm) -> Header {
    Header {
        kid: Some(kid.to_owned()),
        ..Header::new(alg)
    }
}

/// A key to sign with, and its public half.
fn key() -> (EncodingKey, Value) {
    let random = ring::rand::SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let public = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "kid": "k1",
        "x": BASE64.encode(&point[..32]), "y": BASE64.encode(&point[32..]),
    });
    (EncodingKey::from_ec_der(document.as_ref()), public)
}

impl Provider {
    async fn start() -> Self {
        let server = MockServer::start().await;
        let (key, public) = key();
        let token: Arc<Mutex<String>> = Arc::default();
        let of = |way: &str| format!("{}{way}", server.uri());
        let answers = [
            (
                "/.well-known/openid-configuration",
                json!({
                    "issuer": server.uri(), "authorization_endpoint": of("/authorize?tenant=1"),
                    "token_endpoint": of("/token"), "jwks_uri": of("/keys"),
                }),
            ),
            // With one of a kind that nobody knows.
            (
                "/keys",
                json!({"keys": [{"kty": "QUANTUM", "kid": "k0"}, public]}),
            ),
        ];
        for (at, answer) in answers {
            let answer = ResponseTemplate::new(200).set_body_json(answer);
            Mock::given(method("GET"))
                .and(path(at))
                .respond_with(answer)
                .mount(&server)
                .await;
        }
        let next = token.clone();
        let answer = move |_: &Request| {
            let token = next.lock().unwrap().clone();
            match token.is_empty() {
                true => ResponseTemplate::new(400).set_body_json(json!({"error": "invalid_grant"})),
                false => {
                    ResponseTemplate::new(200).set_body_json(json!({"id_token": token, "access_token": "x"}))
                }
            }
        };
        Mock::given(method("POST"))
            .and(path("/token"))
            .respond_with(answer)
            .mount(&server)
            .await;
        Self {
            server,
            key,
            token,
            n: AtomicU32::new(0),
        }
    }

    fn settings(&self) -> Oidc {
        Oidc {
            issuer: self.server.uri(),
            client_id: CLIENT.to_owned(),
            client_secret: SECRET.to_owned(),
            name: "Example & Co".to_owned(),
            role_claim: None,
            roles: vec![("hiring".into(), Role::Interviewer), ("root".into(), Role::Admin)],
            default_role: Some(Role::Viewer),
            allowed_domains: Vec::new(),
        }
    }

    fn claims(&self, daemon: &Daemon, nonce: &str) -> Value {
        let now = daemon.app.now_ms() / 1000;
        json!({
            "iss": self.server.uri(), "aud": CLIENT, "sub": "7", "nonce": nonce, "iat": now, "exp": now + 300,
            "email": "ada@example.org", "email_verified": true, "name": "Ada <Lovelace>",
        })
    }

    /// A whole sign-in, as a browser sees it.
    async fn sign_in(&self, daemon: &Daemon, change: Change) -> Reply {
        let address = format!("10.0.0.{}", self.n.fetch_add(1, Ordering::Relaxed));
        let by = Caller::default().with("x-forwarded-for", address);
        let begun = daemon.get("/sign-in/oidc?next=%2Finvite", &by).await.is(303);
        let (_, query) = begun.header("location").split_once('?').unwrap();
        let asked: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap();
        let of = |name: &str| asked.iter().find(|(key, _)| key == name).unwrap().1.clone();
        assert_eq!(
            (of("tenant"), of("response_type"), of("code_challenge_method")),
            ("1".into(), "code".into(), "S256".into())
        );
        assert_eq!(
            of("redirect_uri"),
            format!("{}/sign-in/oidc/back", daemon.app.settings().public_url)
        );
        let mut claims = self.claims(daemon, &of("nonce"));
        for (name, value) in change.claims.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let key = change.key.as_ref().unwrap_or(&self.key);
        *self.token.lock().unwrap() = match claims["sub"] == "refuse" {
            true => String::new(),
            false => jsonwebtoken::encode(&change.header, &claims, key).unwrap(),
        };
        let by = Caller {
            cookie: (!change.without_cookie).then(|| begun.cookie()),
            ..by
        };
        let state = change.state.map_or_else(|| of("state"), str::to_owned);
        let reply = daemon
            .get(
                &format!("/sign-in/oidc/back?code=the-code&state={state}{}", change.answer),
                &by,
            )
            .await;
        if reply.status == 303 {
            let asked = self.server.received_requests().await.unwrap();
            let exchange = asked
                .iter()
                .rfind(|request| request.url.path() == "/token")
                .unwrap();
            let form: Vec<(String, String)> = serde_urlencoded::from_bytes(&exchange.body).unwrap();
            let verifier = &form.iter().find(|(key, _)| key == "code_verifier").unwrap().1;
            assert_eq!(BASE64.encode(Sha256::digest(verifier)), of("code_challenge"));
            let secret = STANDARD.encode("assay%20at%20example:se%2Bcret%3Aof%20the%20client");
            assert_eq!(exchange.headers["authorization"], format!("Basic {secret}"));
        }
        reply
    }
}

/// The session that a sign-in begins.
fn session(reply: &Reply) -> Caller {
    let cookie = reply
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap());
    let mut cookies: Vec<&str> = cookie.map(|value| value.split(';').next().unwrap()).collect();
    assert_eq!(cookies.pop(), Some("assay-oidc="), "the sign-in is over");
    Caller {
        cookie: cookies.pop().map(str::to_owned),
        ..Caller::default()
    }
}

#[tokio::test]
async fn somebody_signs_in_elsewhere_and_is_the_same_the_next_time() {
    let provider = Provider::start().await;
    let daemon = Daemon::with(URL, Some(provider.settings())).await;
    let page = daemon
        .get("/sign-in?next=%2Finvite", &Caller::default())
        .await
        .is(200);
    assert!(
        page.text.contains("Sign in with Example &#38; Co"),
        "{}",
        page.text
    );
    assert!(
        page.text.contains("href=\"/sign-in/oidc?next=%2Finvite\""),
        "{}",
        page.text
    );

    let first = provider.sign_in(&daemon, Change::default()).await.is(303);
    assert_eq!(first.header("location"), "/invite");
    let ada = session(&first);
    let me = daemon.get("/api/v1/me", &ada).await.is(200).json();
    assert_eq!(
        (&me["user"]["login"], &me["user"]["name"], &me["user"]["role"]),
        (
            &json!("ada@example.org"),
            &json!("Ada <Lovelace>"),
            &json!("viewer")
        )
    );
    // A new address and name at the provider: the same account.
    let moved = Change {
        claims: json!({"email": "lovelace@example.org", "name": "Countess"}),
        ..Change::default()
    };
    let again = session(&provider.sign_in(&daemon, moved).await.is(303));
    assert_eq!(
        daemon.get("/api/v1/me", &again).await.json()["user"]["login"],
        "ada@example.org"
    );
    // Somebody else who has the address now: another account, and none is taken over.
    let other = Change {
        claims: json!({"sub": "8"}),
        ..Change::default()
    };
    let reply = provider.sign_in(&daemon, other).await.is(409);
    assert!(
        reply.text.contains("not linked") && reply.header("set-cookie").is_empty(),
        "{}",
        reply.text
    );

    let user = daemon
        .app
        .store()
        .user_by_login("ada@example.org")
        .await
        .unwrap()
        .unwrap();
    daemon
        .try_sign_in("ada@example.org", "a guess of a password", &Caller::default())
        .await
        .is(401);
    daemon.app.store().set_disabled(&user.id, Some(1)).await.unwrap();
    let reply = provider.sign_in(&daemon, Change::default()).await.is(403);
    assert!(reply.text.contains("switched off"), "{}", reply.text);
    daemon.get("/", &again).await.is(303);
}

#[tokio::test]
async fn what_the_provider_did_not_say_lets_nobody_in() {
    let provider = Provider::start().await;
    let daemon = Daemon::with("https://assay.test", Some(provider.settings())).await;
    let begun = daemon.get("/sign-in/oidc", &Caller::default()).await.is(303);
    assert!(begun.header("set-cookie").starts_with("__Host-assay-oidc="));
    let claim = |claims: Value| Change {
        claims,
        ..Change::default()
    };
    let uri = provider.server.uri();
    let long_ago = daemon.app.now_ms() / 1000 - 3_600;
    let (stranger, _) = key();
    for (name, change, status) in [
        ("another nonce", claim(json!({"nonce": "x"})), 403),
        ("no nonce", claim(json!({"nonce": null})), 403),
        ("another audience", claim(json!({"aud": "other"})), 403),
        (
            "audiences without us",
            claim(json!({"aud": ["other", "another"]})),
            403,
        ),
        ("others beside us", claim(json!({"aud": [CLIENT, "other"]})), 403),
        ("for another party", claim(json!({"azp": "other"})), 403),
        ("another issuer", claim(json!({"iss": format!("{uri}/")})), 403),
        ("long over", claim(json!({"exp": long_ago})), 403),
        ("without end", claim(json!({"exp": null})), 403),
        ("nobody", claim(json!({"sub": null})), 403),
        ("a code that is none", claim(json!({"sub": "refuse"})), 403),
        (
            "another key",
            Change {
                key: Some(stranger),
                ..Change::default()
            },
            403,
        ),
        (
            "an unknown key",
            Change {
                header: header("k2", Algorithm::ES256),
                ..Change::default()
            },
            403,
        ),
        (
            "a key of no kind",
            Change {
                header: header("k0", Algorithm::ES256),
                ..Change::default()
            },
            403,
        ),
        (
            "a secret that is none",
            Change {
                header: header("k1", Algorithm::HS256),
                key: Some(EncodingKey::from_secret(b"k1")),
                ..Change::default()
            },
            403,
        ),
        (
            "another state",
            Change {
                state: Some("x"),
                ..Change::default()
            },
            400,
        ),
        (
            "no state",
            Change {
                state: Some(""),
                ..Change::default()
            },
            400,
        ),
        (
            "another browser",
            Change {
                without_cookie: true,
                ..Change::default()
            },
            400,
        ),
        (
            "refused there",
            Change {
                answer: "&error=access_denied",
                ..Change::default()
            },
            403,
        ),
        (
            "another provider",
            Change {
                answer: "&iss=https%3A%2F%2Fevil.example",
                ..Change::default()
            },
            400,
        ),
    ] {
        let reply = provider.sign_in(&daemon, change).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text);
        assert!(
            reply.header("set-cookie").is_empty() && reply.text.contains("role=\"alert\""),
            "{name}: {}",
            reply.text
        );
    }
    // Neither signed nor sealed.
    let begun = daemon.get("/sign-in/oidc", &Caller::default()).await;
    let forged = Caller {
        cookie: Some(format!(
            "__Host-assay-oidc={}",
            BASE64.encode(b"{\"state\":\"s\",\"nonce\":\"n\"}")
        )),
        ..Caller::default()
    };
    daemon
        .get("/sign-in/oidc/back?code=c&state=s", &forged)
        .await
        .is(400);
    let unsigned = format!(
        "{}.{}.",
        BASE64.encode(r#"{"alg":"none"}"#),
        BASE64.encode(provider.claims(&daemon, "n").to_string())
    );
    *provider.token.lock().unwrap() = unsigned;
    let state = begun
        .header("location")
        .split_once("&state=")
        .unwrap()
        .1
        .split('&')
        .next()
        .unwrap()
        .to_owned();
    let by = Caller {
        cookie: Some(begun.cookie()),
        ..Caller::default()
    };
    daemon
        .get(&format!("/sign-in/oidc/back?code=c&state={state}"), &by)
        .await
        .is(403);
    assert!(daemon.app.store().users().await.unwrap().is_empty());
}

#[tokio::test]
async fn who_is_let_in_and_as_what() {
    let provider = Provider::start().await;
    let oidc = Oidc {
        role_claim: Some("groups".into()),
        default_role: None,
        allowed_domains: vec!["example.org".into()],
        ..provider.settings()
    };
    let daemon = Daemon::with(URL, Some(oidc)).await;
    let mut found = Vec::new();
    for claims in [
        json!({"groups": ["hiring"], "email_verified": false}),
        json!({"groups": ["hiring"], "email": "ada@evil.example"}),
        json!({"groups": ["cooks"]}),
        json!({"groups": ["hiring"]}),
        json!({"groups": ["hiring", "root"]}),
        json!({"groups": []}),
        json!({"groups": "hiring"}),
    ] {
        let change = Change {
            claims,
            ..Change::default()
        };
        let reply = provider.sign_in(&daemon, change).await;
        let role = match reply.status.as_u16() {
            303 => daemon.get("/api/v1/me", &session(&reply)).await.json()["user"]["role"].to_string(),
            status => status.to_string(),
        };
        found.push(role);
    }
    assert_eq!(
        found,
        [
            "403",
            "403",
            "403",
            "\"interviewer\"",
            "\"admin\"",
            "403",
            "\"interviewer\""
        ]
    );
    daemon.app.store().verify_audit().await.unwrap();

    // It knows nothing of anybody any more.
    provider.server.reset().await;
    let away = daemon.get("/sign-in/oidc", &Caller::default()).await.is(503);
    assert!(
        away.text.contains("use a password") && away.text.contains("name=\"password\""),
        "{}",
        away.text
    );
    let without = Daemon::new().await;
    without.get("/sign-in/oidc", &Caller::default()).await.is(404);
    without
        .get("/sign-in/oidc/back?code=c&state=s", &Caller::default())
        .await
        .is(404);
    assert!(
        !without
            .get("/sign-in", &Caller::default())
            .await
            .text
            .contains("Sign in with")
    );
}
