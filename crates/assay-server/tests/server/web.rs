//! What holds for every address: nothing of anybody else's is reached, nothing is changed from elsewhere, and what is answered
//! is safe to show.

use assay_server::auth::Right;
use assay_store::model::Role;
use serde_json::{Value, json};

use crate::access::{Door, ROUTES};
use crate::daemon::{Caller, PASSWORD, Reply};
use crate::house::{House, holding};

/// What a stranger can tell of an answer.
fn shape(reply: &Reply, path: &str) -> (u16, String, String) {
    let plain = |text: &str| {
        text.replace(path, "PATH")
            .replace(&path.replace('/', "%2F"), "PATH")
    };
    (
        reply.status.as_u16(),
        plain(&reply.text),
        plain(reply.header("location")),
    )
}

#[tokio::test]
async fn what_is_anothers_looks_as_if_it_were_not_there() {
    let house = House::new().await;
    let (daemon, ada, bob) = (&house.daemon, &house.ada, &house.bob);
    let value = |cookie: &str| cookie.split_once('=').unwrap().1.to_owned();
    let vera = daemon.user("vera", Role::Viewer).await;
    let strangers = [
        ("nobody", Caller::default()),
        ("ada by her page", holding(&ada.page)),
        ("ada by her shared report", holding(&ada.share)),
        (
            "ada's page under bob's name",
            holding(&format!("assay-page-{}={}", bob.assignment, value(&ada.page))),
        ),
        (
            "ada's report under bob's name",
            holding(&format!("assay-share-{}={}", bob.run, value(&ada.share))),
        ),
        (
            "ada's page as a session",
            holding(&format!("assay={}", value(&ada.page))),
        ),
        (
            "bob's page as his report",
            holding(&format!("assay-share-{}={}", bob.run, value(&bob.page))),
        ),
        (
            "ada's clone token",
            Caller {
                token: Some(ada.git.clone()),
                ..Caller::default()
            },
        ),
        (
            "bob's clone token",
            Caller {
                token: Some(bob.git.clone()),
                ..Caller::default()
            },
        ),
    ];
    let mut n = 0;
    for (method, route, door) in ROUTES {
        if *door == Door::Open || !route.contains('{') {
            continue;
        }
        let (there, absent) = (house.address(route, true), house.address(route, false));
        for (name, stranger) in &strangers {
            let (theirs, none) = (
                daemon.call(method, &there, stranger, "{}").await,
                daemon.call(method, &absent, stranger, "{}").await,
            );
            assert!(
                !theirs.status.is_success(),
                "{name}: {method} {there}: {}",
                theirs.status
            );
            assert_eq!(
                shape(&theirs, &there),
                shape(&none, &absent),
                "{name}: {method} {there}"
            );
            n += 1;
        }
    }
    assert!(n > 400, "{n} were tried");
    // Another's token, for somebody who may read everything.
    let vera = daemon.program(&vera, &[Right::Read]).await;
    let (theirs, none) = (
        format!("/api/v1/tokens/{}", house.token),
        "/api/v1/tokens/0000000000000000",
    );
    let (a, b) = (
        daemon.call("DELETE", &theirs, &vera, "").await,
        daemon.call("DELETE", none, &vera, "").await,
    );
    assert_eq!(a.status, 404);
    assert_eq!(shape(&a, &theirs), shape(&b, none));
    // Their own doors are still open.
    daemon
        .get(&format!("/my/{}", bob.assignment), &holding(&bob.page))
        .await
        .is(200);
    daemon
        .get(&format!("/shared/{}", bob.run), &holding(&bob.share))
        .await
        .is(200);
}

/// Headers by which somebody else could be put in our place.
const FORGED: [(&str, &str); 7] = [
    ("host", "evil.example"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "evil.example"),
    ("x-forwarded-prefix", "/evil.example"),
    ("forwarded", "host=evil.example;proto=https"),
    ("x-original-url", "/evil.example"),
    ("referer", "https://evil.example/"),
];

#[tokio::test]
async fn every_answer_is_safe_to_show() {
    let house = House::new().await;
    let daemon = &house.daemon;
    let origins = [
        "null",
        "https://evil.example",
        "http://assay.test.evil.example",
        "http://evilassay.test",
    ];
    let mut asked: Vec<(&str, String, Caller)> = Vec::new();
    for (method, route, door) in ROUTES {
        let method = if *method == "ANY" { "GET" } else { method };
        let by = match door {
            Door::Candidate => holding(&house.bob.page),
            Door::Reader => holding(&house.bob.share),
            _ if route.starts_with("/api/") => house.admin.clone(),
            _ => house.browser.clone(),
        };
        if method == "GET" && *route != "/runs/{id}/live" && *route != "/my/{id}/runs/{number}/live" {
            asked.push((method, house.address(route, true), by.clone()));
        }
        // Refused, and safe to show all the same.
        asked.push((method, house.address(route, false), Caller::default()));
        asked.push((
            "OPTIONS",
            house.address(route, true),
            by.with("access-control-request-method", "POST"),
        ));
    }
    for (method, path) in [
        ("GET", "/nowhere"),
        ("GET", "/api/docs/"),
        (
            "GET",
            "/git/0000000000000000.git/info/refs?service=git-upload-pack",
        ),
        ("POST", "/git/0000000000000000.git/git-receive-pack"),
        ("POST", "/hooks/0000000000000000"),
        ("TRACE", "/"),
    ] {
        asked.push((method, path.to_owned(), Caller::default()));
    }
    for (i, (method, path, by)) in asked.iter().enumerate() {
        let mut by = by.with("origin", origins[i % origins.len()]);
        for (name, value) in FORGED {
            by = by.with(name, value);
        }
        let reply = daemon.call(method, path, &by, "").await;
        let name = format!("{method} {path} ({})", reply.status);
        for (header, expected) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(reply.header(header), expected, "{name}: {header}");
        }
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{name}: {policy}");
        assert!(
            policy.contains("frame-ancestors 'none'; base-uri 'none'") || policy.contains("sandbox"),
            "{name}: {policy}"
        );
        let scripts = policy
            .split(';')
            .find(|part| part.trim().starts_with("script-src"));
        assert!(
            !scripts.unwrap_or_default().contains("unsafe"),
            "{name}: {policy}"
        );
        let is_public = path.starts_with("/assets/") || path.starts_with("/api/docs");
        let cache = reply.header("cache-control");
        assert!(
            is_public || cache == "no-store" || (path.starts_with("/git/") && cache.contains("no-cache")),
            "{name}: {cache}"
        );
        for header in [
            "access-control-allow-origin",
            "access-control-allow-credentials",
            "server",
            "x-powered-by",
        ] {
            assert_eq!(reply.header(header), "", "{name}: {header}");
        }
        let shown = format!("{:?}{}", reply.headers, reply.text);
        assert!(!shown.contains("evil.example"), "{name}: {shown}");
        for secret in &house.secrets {
            // A new page link or share link is told once, where it is made; nothing that was asked for here makes one.
            assert!(!shown.contains(secret.as_str()), "{name} tells {secret}");
        }
    }
}

#[tokio::test]
async fn no_text_becomes_a_query() {
    let house = House::new().await;
    let daemon = &house.daemon;
    let long = "x".repeat(5_000);
    let texts = [
        "' OR '1'='1",
        "'; DROP TABLE runs; --",
        "\" OR \"\"=\"",
        "') OR 1=1 --",
        "1 UNION SELECT secret_sha256 FROM tokens",
        "%",
        "_",
        "!%",
        "\\",
        "\u{0}",
        "a\u{0}b",
        "\u{202e}\u{1f980}",
        "$1",
        "?1",
        "{}",
        &long,
    ];
    let everything = async |path: &str| {
        daemon.get(path, &house.admin).await.is(200).json()["rows"]
            .as_array()
            .unwrap()
            .len()
    };
    let before = [
        everything("/api/v1/assignments").await,
        everything("/api/v1/runs").await,
        everything("/api/v1/users").await,
    ];
    let encode = |text: &str| {
        text.bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect::<String>()
    };
    let mut n = 0;
    for text in texts {
        let text = encode(text);
        for (path, of) in [
            (
                "/api/v1/assignments",
                &["exercise", "state", "text", "sort", "after", "limit"][..],
            ),
            (
                "/api/v1/runs",
                &["assignment", "exercise", "state", "after", "limit"],
            ),
            ("/api/v1/audit", &["subject", "after"]),
            ("/", &["exercise", "state", "text", "sort", "after"]),
            ("/audit", &["subject", "after"]),
            ("/compare", &["a"]),
        ] {
            for name in of {
                let by = if path.starts_with("/api/") {
                    &house.admin
                } else {
                    &house.browser
                };
                let reply = daemon.get(&format!("{path}?{name}={text}"), by).await;
                let status = reply.status.as_u16();
                assert!(
                    matches!(status, 200 | 400 | 404 | 422),
                    "{path}?{name}={text}: {status} {}",
                    reply.text
                );
                if status == 200 && by.token.is_some() {
                    assert_eq!(
                        reply.json()["rows"].as_array().unwrap().len(),
                        0,
                        "{path}?{name}={text}: {}",
                        reply.text
                    );
                }
                n += 1;
            }
        }
        for path in [
            "/api/v1/runs/",
            "/api/v1/assignments/",
            "/api/v1/exercises/",
            "/runs/",
            "/assignments/",
            "/my/",
        ] {
            let reply = daemon.get(&format!("{path}{text}"), &house.admin).await;
            assert!(
                matches!(reply.status.as_u16(), 303 | 400 | 404 | 422),
                "{path}{text}: {}",
                reply.status
            );
            n += 1;
        }
    }
    // As a text that is stored, it comes back as it went in.
    for text in texts.iter().filter(|text| text.len() < 100) {
        let new = json!({"exercise": "task-sync", "track": "python", "candidate": text});
        let reply = daemon.post("/api/v1/assignments", &house.admin, &new).await;
        if reply.status == 201 {
            let id = reply.json()["assignment"]["id"].as_str().unwrap().to_owned();
            let shown = daemon
                .get(&format!("/api/v1/assignments/{id}"), &house.admin)
                .await
                .json();
            let without_zeros = text.replace('\u{0}', "");
            assert!(
                shown["candidate"]
                    .as_str()
                    .unwrap()
                    .contains(without_zeros.trim())
                    || text.contains('\u{0}'),
                "{shown}"
            );
            daemon
                .call("DELETE", &format!("/api/v1/assignments/{id}"), &house.admin, "")
                .await
                .is(204);
        }
    }
    let after = [
        everything("/api/v1/assignments?state=open").await,
        everything("/api/v1/runs").await,
        everything("/api/v1/users").await,
    ];
    assert_eq!(after, before);
    println!("{n} queries");
}

/// Ends of what the audit trail says of looking, and of coming and going.
const LOOKS: [&str; 4] = [".viewed", ".downloaded", "session.began", "session.ended"];

/// All that the audit trail says was done, but for looking.
async fn deeds(house: &House) -> Vec<String> {
    let rows = house
        .daemon
        .get("/api/v1/audit?limit=200", &house.admin)
        .await
        .is(200)
        .json();
    let actions = rows["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["action"].as_str().unwrap().to_owned());
    actions
        .filter(|action| !LOOKS.iter().any(|look| action.ends_with(look)))
        .collect()
}

#[tokio::test]
async fn nothing_is_changed_from_elsewhere_or_by_looking() {
    let house = House::new().await;
    let daemon = &house.daemon;
    let before = deeds(&house).await;
    let proof = format!("csrf={}", house.browser.csrf);
    let (mut n_forms, mut n_looks) = (0, 0);
    for (method, route, door) in ROUTES {
        let path = house.address(route, true);
        let is_api = route.starts_with("/api/");
        if *method == "GET" || *method == "ANY" {
            if !route.ends_with("/live") && !route.ends_with("/open") {
                let by = if is_api { &house.admin } else { &house.browser };
                daemon.call("GET", &path, by, "").await;
                daemon.call("HEAD", &path, by, "").await;
                n_looks += 1;
            }
            continue;
        }
        if is_api {
            // A session without the proof in a header: what a form or a script of another site could send.
            for kind in [
                "text/plain",
                "application/x-www-form-urlencoded",
                "application/json",
            ] {
                let reply = daemon
                    .call(method, &path, &house.browser.with("content-type", kind), "{}")
                    .await;
                assert_eq!(reply.status, 403, "{method} {path} as {kind}: {}", reply.text);
            }
            n_forms += 1;
            continue;
        }
        let is_sign_in = *door == Door::Open;
        let form = format!("{proof}&login=root&password={}", PASSWORD.replace(' ', "+"));
        for (name, by, body) in [
            (
                "another site",
                house.browser.with("sec-fetch-site", "cross-site"),
                form.as_str(),
            ),
            (
                "a neighbour",
                house.browser.with("sec-fetch-site", "same-site"),
                &form,
            ),
            (
                "another origin",
                house.browser.with("origin", "https://evil.example"),
                &form,
            ),
            ("no origin", house.browser.with("origin", "null"), &form),
            ("no proof", house.browser.clone(), "csrf="),
            (
                "another's proof",
                house.browser.clone(),
                "csrf=0123456789abcdefghjkmnpqrstvwxyz0123456789abcdefghjk",
            ),
            (
                "plain text",
                house.browser.with("content-type", "text/plain"),
                &form,
            ),
            (
                "a file",
                house
                    .browser
                    .with("content-type", "multipart/form-data; boundary=x"),
                &form,
            ),
        ] {
            let reply = daemon.call(method, &path, &by, body).await;
            let status = reply.status.as_u16();
            assert!(
                matches!(status, 400 | 401 | 403 | 415 | 422),
                "{name}: {method} {path}: {status}"
            );
            assert!(
                !is_sign_in || reply.header("set-cookie").is_empty(),
                "{name}: a session was begun"
            );
        }
        n_forms += 1;
    }
    assert_eq!(deeds(&house).await, before);
    assert!(
        n_forms > 40 && n_looks > 30,
        "{n_forms} forms and {n_looks} looks"
    );
    // And the session is as it was.
    daemon.get("/", &house.browser).await.is(200);
    let in_query = format!(
        "/api/v1/me?token={}&access_token={0}",
        house.admin.token.as_ref().unwrap()
    );
    daemon.get(&in_query, &Caller::default()).await.is(401);
}

#[tokio::test]
async fn no_secret_is_kept() {
    let house = House::new().await;
    let mut files = vec![house.daemon.dir.path().to_owned()];
    let (mut n_files, mut sees_names) = (0, false);
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        n_files += 1;
        sees_names |= text.contains("Ada") && path.extension().is_some_and(|kind| kind != "json");
        for secret in &house.secrets {
            assert!(
                secret.len() > 15 && !text.contains(secret.as_str()),
                "{} holds {secret}",
                path.display()
            );
        }
    }
    assert!(
        n_files > 20 && sees_names,
        "the database was looked into, and {n_files} files"
    );
    let metrics = house.daemon.get("/metrics", &Caller::default()).await.text;
    let api: Value = house.daemon.get("/api/v1/connections", &house.admin).await.json();
    for secret in &house.secrets {
        assert!(!metrics.contains(secret.as_str()) && !api.to_string().contains(secret.as_str()));
    }
}
