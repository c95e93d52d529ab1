//! The API: its shape, its lists, its streams.

use assay_server::auth::Right;
use assay_store::model::Role;
use serde_json::{Value, json};

use crate::daemon::{Caller, Daemon, Reply};

#[track_caller]
fn is_problem(reply: &Reply, status: u16, kind: &str) {
    assert_eq!(reply.status, status, "{}", reply.text);
    assert_eq!(reply.header("content-type"), "application/problem+json");
    let document = reply.json();
    assert_eq!(document["type"], format!("urn:assay:problem:{kind}"));
    assert_eq!(document["status"], status);
    assert!(document["title"].is_string() && document["detail"].is_string());
}

#[tokio::test]
async fn every_refusal_is_a_problem_document() {
    let daemon = Daemon::new().await;
    let admin = daemon.admin().await;
    let mistyped = admin.with("content-type", "text/plain");
    let huge = format!("{{\"candidate\":\"{}\"}}", "x".repeat(300 << 10));
    for (method, path, by, body, status, kind) in [
        ("GET", "/api/v1/me", &Caller::default(), "", 401, "unauthorized"),
        ("GET", "/api/v1/nonsense", &admin, "", 404, "not_found"),
        ("GET", "/api/v1/runs/0", &admin, "", 404, "not_found"),
        ("GET", "/api/v1/runs/%00%ff", &admin, "", 404, "not_found"),
        ("GET", "/api/v1/runs/..%2f..", &admin, "", 404, "not_found"),
        ("PUT", "/api/v1/runs", &admin, "", 405, "method_not_allowed"),
        ("GET", "/api/v1/runs?limit=0", &admin, "", 400, "bad_request"),
        ("GET", "/api/v1/runs?limit=x", &admin, "", 400, "bad_request"),
        (
            "GET",
            "/api/v1/runs?after=nowhere",
            &admin,
            "",
            400,
            "bad_request",
        ),
        ("GET", "/api/v1/runs?state=odd", &admin, "", 400, "bad_request"),
        (
            "GET",
            "/api/v1/assignments?after=nowhere",
            &admin,
            "",
            400,
            "bad_request",
        ),
        (
            "GET",
            "/api/v1/audit?after=nowhere",
            &admin,
            "",
            400,
            "bad_request",
        ),
        (
            "GET",
            "/api/v1/assignments?sort=odd",
            &admin,
            "",
            400,
            "bad_request",
        ),
        ("POST", "/api/v1/assignments", &admin, "{", 400, "bad_json"),
        ("POST", "/api/v1/assignments", &admin, "{}", 422, "bad_json"),
        ("POST", "/api/v1/assignments", &mistyped, "{}", 415, "bad_json"),
        (
            "POST",
            "/api/v1/assignments",
            &admin,
            huge.as_str(),
            413,
            "bad_json",
        ),
        (
            "POST",
            "/api/v1/assignments",
            &admin,
            r#"{"exercise":"task-sync","candidate":"A","odd":1}"#,
            422,
            "bad_json",
        ),
        (
            "POST",
            "/api/v1/assignments",
            &admin,
            r#"{"exercise":"none","candidate":"A"}"#,
            422,
            "unprocessable",
        ),
        (
            "POST",
            "/api/v1/assignments",
            &admin,
            r#"{"exercise":"task-sync","candidate":"A"}"#,
            422,
            "unprocessable",
        ),
        (
            "POST",
            "/api/v1/assignments",
            &admin,
            r#"{"exercise":"task-sync","track":"python","candidate":" "}"#,
            422,
            "unprocessable",
        ),
        (
            "POST",
            "/api/v1/assignments",
            &admin,
            r#"{"exercise":"task-sync","track":"python","candidate":"A","due_at_ms":1}"#,
            422,
            "unprocessable",
        ),
        (
            "POST",
            "/api/v1/users",
            &admin,
            r#"{"login":"root","role":"viewer"}"#,
            409,
            "conflict",
        ),
        (
            "POST",
            "/api/v1/users",
            &admin,
            r#"{"login":"a b","role":"viewer"}"#,
            422,
            "unprocessable",
        ),
        (
            "POST",
            "/api/v1/users",
            &admin,
            r#"{"login":"a","role":"viewer","password":"short"}"#,
            422,
            "unprocessable",
        ),
        (
            "POST",
            "/api/v1/tokens",
            &admin,
            r#"{"scopes":[]}"#,
            422,
            "unprocessable",
        ),
    ] {
        is_problem(&daemon.call(method, path, by, body).await, status, kind);
    }
}

#[tokio::test]
async fn an_invitation_comes_once_whoever_repeats_it() {
    let daemon = Daemon::new().await;
    let admin = daemon.admin().await;
    let body = json!({"exercise": "task-sync", "track": "python", "candidate": "Ada", "attempts": 3});
    let keyed = admin.with("idempotency-key", "k1");
    let first = daemon
        .post("/api/v1/assignments", &keyed, &body)
        .await
        .is(201)
        .json();
    let again = daemon
        .post("/api/v1/assignments", &keyed, &body)
        .await
        .is(200)
        .json();
    assert_eq!(first["assignment"], again["assignment"]);
    assert!(first["clone_token"].as_str().unwrap().starts_with("assay_git_"));
    assert_eq!(
        (&again["clone_token"], &again["page_url"]),
        (&Value::Null, &Value::Null)
    );
    let other = json!({"exercise": "task-sync", "track": "python", "candidate": "Bob"});
    let reply = daemon.post("/api/v1/assignments", &keyed, &other).await;
    is_problem(&reply, 409, "conflict");
    daemon.post("/api/v1/assignments", &admin, &body).await.is(201);
    let list = daemon.get("/api/v1/assignments", &admin).await.json();
    assert_eq!(list["rows"].as_array().unwrap().len(), 2);

    let id = first["assignment"]["id"].as_str().unwrap();
    assert!(daemon.repository(id).join("HEAD").is_file());
    assert_eq!(first["clone_url"], format!("{}/git/{id}.git", crate::daemon::URL));
    assert_eq!(first["assignment"]["attempts"], 3);
}

#[tokio::test]
async fn an_assignment_is_changed_archived_and_erased() {
    let daemon = Daemon::new().await;
    let admin = daemon.admin().await;
    let invited = daemon.invite("Ada Lovelace").await;
    let id = invited.assignment.id.as_str();
    let path = format!("/api/v1/assignments/{id}");
    let change = async |body: Value| daemon.call("PATCH", &path, &admin, &body.to_string()).await;

    let changed = change(json!({"attempts": 2, "extended_to_ms": 4_000_000_000_000_i64}))
        .await
        .json();
    assert_eq!(
        (&changed["attempts"], &changed["due_at_ms"]),
        (&json!(2), &json!(4_000_000_000_000_i64))
    );
    assert!(changed["retain_until_ms"].as_i64().unwrap() > 4_000_000_000_000);
    let changed = change(json!({"attempts": null, "extended_to_ms": null}))
        .await
        .json();
    assert_eq!(
        (&changed["attempts"], &changed["due_at_ms"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(change(json!({"state": "closed"})).await.json()["state"], "closed");
    assert_eq!(change(json!({"state": "open"})).await.json()["state"], "open");
    is_problem(&change(json!({"state": "erased"})).await, 422, "unprocessable");

    assert_eq!(
        change(json!({"state": "archived"})).await.json()["state"],
        "archived"
    );
    let bundle = daemon.app.settings().archives.join(format!("{id}.bundle"));
    assert!(bundle.is_file() && !daemon.repository(id).exists());
    is_problem(&change(json!({"attempts": 2})).await, 409, "conflict");

    daemon.call("DELETE", &path, &admin, "").await.is(204);
    assert!(!bundle.exists());
    let erased = daemon.get(&path, &admin).await.json();
    assert_eq!(
        (&erased["state"], &erased["candidate"]),
        (&json!("erased"), &Value::Null)
    );
    let n = daemon.app.store().verify_audit().await.unwrap();
    let trail = daemon
        .get(&format!("/api/v1/audit?subject={id}"), &admin)
        .await
        .json();
    let actions: Vec<&str> = trail["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    insta::assert_snapshot!(actions.join(" "), @"assignment.viewed candidate.erased assignment.archived assignment.reopened assignment.closed assignment.attempts_set assignment.extended assignment.attempts_set assignment.extended assignment.created");
    assert!(n >= actions.len() as u64 && !trail.to_string().contains("Lovelace"));
}

#[tokio::test]
async fn lists_come_in_parts_without_gaps() {
    let daemon = Daemon::new().await;
    let admin = daemon.admin().await;
    let invited = daemon.invite("Ada").await;
    for i in 0..7 {
        daemon.queue(&invited.assignment.id, &i.to_string()).await;
    }
    let mut numbers = Vec::new();
    let mut path = "/api/v1/runs?limit=3".to_owned();
    loop {
        let part = daemon.get(&path, &admin).await.is(200).json();
        numbers.extend(
            part["rows"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["number"].as_i64().unwrap()),
        );
        let Some(next) = part["next"].as_str() else { break };
        path = format!("/api/v1/runs?limit=3&after={next}");
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
}

/// Numbers of the events in a stream.
fn ids(stream: &Reply) -> Vec<i64> {
    let id = |line: &str| line.strip_prefix("id: ").map(|id| id.parse().unwrap());
    stream.text.lines().filter_map(id).collect()
}

#[tokio::test]
async fn a_stream_goes_on_where_it_broke_off_and_ends_with_the_run() {
    let daemon = Daemon::new().await;
    let admin = daemon.admin().await;
    let invited = daemon.invite("Ada").await;
    let run = daemon.queue(&invited.assignment.id, "a").await;
    let path = format!("/api/v1/runs/{run}/events");
    let follower = admin.with("accept", "text/event-stream");
    let (whole, ()) = tokio::join!(daemon.get(&path, &follower), async {
        let lease = daemon.take().await;
        for check in ["build", "unit", "load"] {
            daemon.tell(&lease, check).await;
        }
        daemon.finish(&lease).await;
    });
    assert_eq!(whole.header("content-type"), "text/event-stream");
    let n = ids(&whole).len() as i64;
    assert_eq!(ids(&whole), (1..=n).collect::<Vec<_>>());
    assert!(whole.text.contains("check_started") && whole.text.trim_end().contains("run_ended"));
    let rest = daemon.get(&path, &follower.with("last-event-id", "3")).await;
    assert_eq!(ids(&rest), (4..=n).collect::<Vec<_>>());
    let nothing = daemon
        .get(&path, &follower.with("last-event-id", n.to_string()))
        .await;
    assert_eq!(ids(&nothing), [0_i64; 0]);
    let list = daemon
        .get(&format!("{path}?after=3"), &admin)
        .await
        .is(200)
        .json();
    assert_eq!(list["rows"].as_array().unwrap().len() as i64, n - 3);
}

#[tokio::test]
async fn a_report_is_read_in_every_format_and_that_is_written_down() {
    let daemon = Daemon::new().await;
    let admin = daemon.admin().await;
    let invited = daemon.invite("Ada").await;
    let run = daemon.queue(&invited.assignment.id, "a").await;
    let lease = daemon.take().await;
    let path = format!("/api/v1/runs/{run}");
    is_problem(
        &daemon.get(&format!("{path}/report.json"), &admin).await,
        404,
        "not_found",
    );
    daemon.finish(&lease).await;
    for (format, kind, begins) in [
        ("json", "application/json", "{"),
        ("html", "text/html; charset=utf-8", "<!"),
        ("md", "text/markdown; charset=utf-8", "#"),
        ("sarif", "application/sarif+json", "{"),
        ("junit", "application/xml", "<?xml"),
    ] {
        let reply = daemon
            .get(&format!("{path}/report.{format}"), &admin)
            .await
            .is(200);
        assert_eq!(reply.header("content-type"), kind);
        assert!(
            reply.text.to_lowercase().trim_start().starts_with(begins),
            "{format}: {}",
            &reply.text[..40]
        );
        assert!(reply.header("content-security-policy").contains("sandbox"));
    }
    let files = daemon.get(&format!("{path}/files"), &admin).await.json();
    assert_eq!(files["rows"][0]["name"], "evidence/unit/<script>.xml");
    let file = daemon
        .get(&format!("{path}/files/evidence/unit/%3Cscript%3E.xml"), &admin)
        .await
        .is(200);
    assert_eq!(
        file.header("content-disposition"),
        "attachment; filename=\"_script_.xml\""
    );
    assert_eq!(file.header("content-type"), "application/octet-stream");
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    daemon
        .get(&format!("{path}/files/..%2f..%2fassay.db"), &admin)
        .await
        .is(404);

    let shown = daemon.get(&path, &admin).await.json();
    assert_eq!(
        (&shown["outcome"], &shown["score"]["total"]),
        (&json!("scored"), &json!(81.5))
    );
    let trail = daemon
        .get(&format!("/api/v1/audit?subject={run}"), &admin)
        .await
        .json();
    let n_views = trail.to_string().matches(r#""action":"report.viewed""#).count();
    assert_eq!(n_views, 5, "{trail}");

    let link = daemon
        .post(&format!("{path}/links"), &admin, &json!({}))
        .await
        .is(201)
        .json();
    let url = link["url"]
        .as_str()
        .unwrap()
        .strip_prefix(crate::daemon::URL)
        .unwrap();
    let opened = daemon.get(url, &Caller::default()).await.is(303);
    let reader = Caller {
        cookie: Some(opened.cookie()),
        ..Caller::default()
    };
    daemon.get(&format!("/shared/{run}"), &reader).await.is(200);
    let revoke = format!("{path}/links/{}", link["id"].as_str().unwrap());
    daemon.call("DELETE", &revoke, &admin, "").await.is(204);
    daemon.get(&format!("/shared/{run}"), &reader).await.is(404);
}

#[tokio::test]
async fn a_run_is_cancelled_and_run_again() {
    let daemon = Daemon::new().await;
    let admin = daemon.admin().await;
    let invited = daemon.invite("Ada").await;
    let run = daemon.queue(&invited.assignment.id, "a").await;
    let path = format!("/api/v1/runs/{run}");
    let nothing = json!({});
    assert_eq!(daemon.get(&path, &admin).await.json()["queue_position"], 1);
    let reply = daemon
        .post(&format!("{path}/cancel"), &admin, &nothing)
        .await
        .is(202);
    assert_eq!(reply.json()["state"], "finished");
    is_problem(
        &daemon.post(&format!("{path}/cancel"), &admin, &nothing).await,
        409,
        "conflict",
    );
    let again = daemon
        .post(&format!("{path}/rerun"), &admin, &nothing)
        .await
        .is(201)
        .json();
    assert_eq!(
        (&again["trigger"], &again["counts"]),
        (&json!("rerun"), &json!(false))
    );
    is_problem(
        &daemon.post(&format!("{path}/rescore"), &admin, &nothing).await,
        409,
        "conflict",
    );
}

#[tokio::test]
async fn nobody_makes_a_token_that_may_more_than_they_may() {
    let daemon = Daemon::new().await;
    let user = daemon.user("ada", Role::Admin).await;
    let reader = daemon.program(&user, &[Right::Read]).await;
    let reply = daemon
        .post("/api/v1/tokens", &reader, &json!({"scopes": ["read", "admin"]}))
        .await;
    is_problem(&reply, 403, "forbidden");
    let made = daemon
        .post(
            "/api/v1/tokens",
            &reader,
            &json!({"scopes": ["read"], "name": "ci"}),
        )
        .await
        .is(201)
        .json();
    let child = Caller {
        token: made["secret"].as_str().map(str::to_owned),
        ..Caller::default()
    };
    daemon.get("/api/v1/me", &child).await.is(200);
    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    daemon.call("DELETE", &path, &child, "").await.is(204);
    daemon.get("/api/v1/me", &child).await.is(401);
    // A lower role takes effect at once, whatever a token says.
    let all = daemon.program(&user, &Right::ALL).await;
    daemon.get("/api/v1/users", &all).await.is(200);
    daemon.app.store().set_role(&user.id, Role::Viewer).await.unwrap();
    daemon.get("/api/v1/users", &all).await.is(403);
    daemon.get("/api/v1/me", &all).await.is(200);
}

#[tokio::test]
async fn the_description_is_whole() {
    let daemon = Daemon::new().await;
    let api = daemon
        .get("/api/v1/openapi.json", &Caller::default())
        .await
        .is(200)
        .json();
    let mut undocumented = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let says_right = operation["description"]
                .as_str()
                .is_some_and(|text| text.replace('\n', " ").contains("Needs `"));
            let has_problem = operation["responses"]["default"].is_object();
            if !says_right || !has_problem || !operation["summary"].is_string() {
                undocumented.push(format!("{method} {path}"));
            }
        }
    }
    for (name, schema) in api["components"]["schemas"].as_object().unwrap() {
        let Some(properties) = schema["properties"].as_object() else {
            continue;
        };
        for (field, property) in properties {
            // A reference cannot say more than what it refers to.
            let is_reference = property.get("$ref").or(property.get("oneOf")).is_some();
            if !property["description"].is_string() && !is_reference {
                undocumented.push(format!("{name}.{field}"));
            }
        }
    }
    assert!(undocumented.is_empty(), "{undocumented:?}");
    let text = api.to_string();
    for reference in text.split(r##""$ref":"#/components/schemas/"##).skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(api["components"]["schemas"][name].is_object(), "{name}");
    }
    let viewer = daemon.get("/api/docs/", &Caller::default()).await.is(200);
    assert!(viewer.text.contains("swagger-ui") && !viewer.text.contains("<script>"));
}

#[tokio::test]
async fn the_daemon_says_how_it_is() {
    let daemon = Daemon::new().await;
    let nobody = Caller::default();
    daemon.get("/health", &nobody).await.is(200);
    let ready = daemon.get("/ready", &nobody).await.is(200);
    assert_eq!(
        ready.text,
        r#"{"database":true,"engine":true,"draining":false,"concerns":0}"#
    );
    daemon.app.note_engine(false);
    daemon.get("/ready", &nobody).await.is(503);
    daemon.app.note_engine(true);
    daemon.app.shutdown().cancel();
    daemon.get("/ready", &nobody).await.is(503);
    let page = daemon.get("/sign-in", &nobody).await;
    for header in [
        "content-security-policy",
        "x-content-type-options",
        "referrer-policy",
        "x-request-id",
    ] {
        assert!(!page.header(header).is_empty(), "{header}");
    }
    assert!(!page.header("content-security-policy").contains("unsafe"));
    assert_eq!(page.header("cache-control"), "no-store");
}
