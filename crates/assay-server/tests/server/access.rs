//! Every route against everybody. A route that is not in the table fails the test.

use std::collections::BTreeSet;
use std::path::Path;

use assay_server::auth::Right;
use assay_store::model::{Role, User};

use crate::daemon::{Caller, Daemon};

/// Who may come in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Door {
    /// Anybody.
    Open,
    /// Whoever has the right.
    Needs(Right),
    /// Whoever came by this candidate's link.
    Candidate,
    /// Whoever came by a share link.
    Reader,
    /// Guarded by a secret of its own, tested elsewhere.
    Own,
}

use Door::{Candidate, Needs, Open, Own, Reader};
use Right::{Admin, Invite, Read, Run};

#[rustfmt::skip]
pub(crate) const ROUTES: &[(&str, &str, Door)] = &[
    ("GET", "/health", Open),
    ("GET", "/ready", Open),
    ("GET", "/metrics", Open),
    ("GET", "/.well-known/assay-keys.pem", Open),
    ("GET", "/api/v1/openapi.json", Open),
    ("ANY", "/api/{*rest}", Open),

    ("GET", "/api/v1/exercises", Needs(Read)),
    ("GET", "/api/v1/exercises/{slug}", Needs(Read)),
    ("GET", "/api/v1/assignments", Needs(Read)),
    ("POST", "/api/v1/assignments", Needs(Invite)),
    ("GET", "/api/v1/assignments/{id}", Needs(Read)),
    ("PATCH", "/api/v1/assignments/{id}", Needs(Invite)),
    ("DELETE", "/api/v1/assignments/{id}", Needs(Admin)),
    ("POST", "/api/v1/assignments/{id}/token", Needs(Invite)),
    ("DELETE", "/api/v1/assignments/{id}/token", Needs(Invite)),
    ("POST", "/api/v1/assignments/{id}/link", Needs(Invite)),
    ("GET", "/api/v1/runs", Needs(Read)),
    ("GET", "/api/v1/runs/{id}", Needs(Read)),
    ("GET", "/api/v1/runs/{id}/events", Needs(Read)),
    ("POST", "/api/v1/runs/{id}/rerun", Needs(Run)),
    ("POST", "/api/v1/runs/{id}/cancel", Needs(Run)),
    ("POST", "/api/v1/runs/{id}/rescore", Needs(Run)),
    ("GET", "/api/v1/runs/{id}/scorecards", Needs(Read)),
    ("GET", "/api/v1/runs/{id}/report.json", Needs(Read)),
    ("GET", "/api/v1/runs/{id}/attestation", Needs(Read)),
    ("GET", "/api/v1/assignments/{id}/attestations", Needs(Read)),
    ("GET", "/api/v1/runs/{id}/report.html", Needs(Read)),
    ("GET", "/api/v1/runs/{id}/report.md", Needs(Read)),
    ("GET", "/api/v1/runs/{id}/report.sarif", Needs(Read)),
    ("GET", "/api/v1/runs/{id}/report.junit", Needs(Read)),
    ("GET", "/api/v1/runs/{id}/files", Needs(Read)),
    ("GET", "/api/v1/runs/{id}/files/{*name}", Needs(Read)),
    ("GET", "/api/v1/runs/{id}/links", Needs(Read)),
    ("POST", "/api/v1/runs/{id}/links", Needs(Invite)),
    ("DELETE", "/api/v1/runs/{id}/links/{link}", Needs(Invite)),
    ("GET", "/api/v1/me", Needs(Read)),
    ("GET", "/api/v1/users", Needs(Admin)),
    ("POST", "/api/v1/users", Needs(Admin)),
    ("PATCH", "/api/v1/users/{id}", Needs(Admin)),
    ("GET", "/api/v1/tokens", Needs(Read)),
    ("POST", "/api/v1/tokens", Needs(Read)),
    ("DELETE", "/api/v1/tokens/{id}", Needs(Read)),
    ("GET", "/api/v1/connections", Needs(Admin)),
    ("POST", "/api/v1/connections", Needs(Admin)),
    ("PATCH", "/api/v1/connections/{id}", Needs(Admin)),
    ("POST", "/api/v1/connections/{id}/secret", Needs(Admin)),
    ("DELETE", "/api/v1/connections/{id}/old-secret", Needs(Admin)),
    ("GET", "/api/v1/audit", Needs(Admin)),
    ("GET", "/api/v1/audit/verification", Needs(Admin)),

    ("GET", "/assets/{name}", Open),
    ("GET", "/sign-in", Open),
    ("POST", "/sign-in", Open),
    ("GET", "/sign-in/oidc", Open),
    ("GET", "/sign-in/oidc/back", Open),
    ("GET", "/", Needs(Read)),
    ("GET", "/invite", Needs(Invite)),
    ("POST", "/invite", Needs(Invite)),
    ("GET", "/compare", Needs(Read)),
    ("POST", "/blind", Needs(Read)),
    ("GET", "/assignments/{id}", Needs(Read)),
    ("POST", "/assignments/{id}/extend", Needs(Invite)),
    ("POST", "/assignments/{id}/attempts", Needs(Invite)),
    ("POST", "/assignments/{id}/token", Needs(Invite)),
    ("POST", "/assignments/{id}/link", Needs(Invite)),
    ("POST", "/assignments/{id}/close", Needs(Invite)),
    ("POST", "/assignments/{id}/reopen", Needs(Invite)),
    ("GET", "/assignments/{id}/archive", Needs(Invite)),
    ("POST", "/assignments/{id}/archive", Needs(Invite)),
    ("GET", "/assignments/{id}/erase", Needs(Admin)),
    ("POST", "/assignments/{id}/erase", Needs(Admin)),
    ("GET", "/runs/{id}", Needs(Read)),
    ("GET", "/runs/{id}/live", Needs(Read)),
    ("GET", "/runs/{id}/report", Needs(Read)),
    ("POST", "/runs/{id}/cancel", Needs(Run)),
    ("POST", "/runs/{id}/rerun", Needs(Run)),
    ("POST", "/runs/{id}/rescore", Needs(Run)),
    ("POST", "/runs/{id}/share", Needs(Run)),
    ("GET", "/audit", Needs(Admin)),
    ("GET", "/accounts", Needs(Admin)),
    ("POST", "/accounts", Needs(Admin)),
    ("POST", "/accounts/{id}/role", Needs(Admin)),
    ("POST", "/accounts/{id}/disable", Needs(Admin)),
    ("POST", "/accounts/{id}/enable", Needs(Admin)),
    ("GET", "/connections", Needs(Admin)),
    ("POST", "/connections", Needs(Admin)),
    ("POST", "/connections/{id}/disable", Needs(Admin)),
    ("POST", "/connections/{id}/enable", Needs(Admin)),
    ("GET", "/tokens", Needs(Read)),
    ("POST", "/tokens", Needs(Read)),
    ("POST", "/tokens/{id}/revoke", Needs(Read)),
    ("POST", "/password", Needs(Read)),
    ("POST", "/sign-out", Needs(Read)),

    ("GET", "/my/{assignment}/open", Own),
    ("GET", "/shared/{run}/open", Own),
    ("GET", "/my/{id}", Candidate),
    ("GET", "/my/{id}/runs/{number}", Candidate),
    ("GET", "/my/{id}/runs/{number}/live", Candidate),
    ("GET", "/shared/{run}", Reader),
];

/// Routes as the sources say, by a reader that knows only how this crate writes them.
fn routes_in_sources(folder: &Path, found: &mut BTreeSet<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            routes_in_sources(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for part in text.split(".route(").skip(1) {
            let (_, rest) = part.split_once('"').unwrap();
            let (route, rest) = rest.split_once('"').unwrap();
            let mut depth = 1;
            let handlers = rest.split(|c: char| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                depth == 0
            });
            let handlers = handlers.into_iter().next().unwrap();
            for method in ["get", "post", "put", "patch", "delete", "any"] {
                if handlers.contains(&format!("{method}(")) {
                    found.insert((method.to_uppercase(), route.to_owned()));
                }
            }
        }
    }
}

#[tokio::test]
async fn no_route_is_missing_in_the_table() {
    let daemon = Daemon::new().await;
    let api = daemon
        .get("/api/v1/openapi.json", &Caller::default())
        .await
        .json();
    let mut found = BTreeSet::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            found.insert((method.to_uppercase(), path.clone()));
        }
    }
    assert!(found.len() > 30, "the API is described");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    routes_in_sources(&sources, &mut found);
    // Guarded by secrets of their own, with tests of their own.
    found.retain(|(_, route)| !route.starts_with("/git/") && !route.starts_with("/hooks/"));
    let table: BTreeSet<(String, String)> = ROUTES
        .iter()
        .map(|(method, route, _)| ((*method).to_owned(), (*route).to_owned()))
        .collect();
    let missing: Vec<_> = found.difference(&table).collect();
    let gone: Vec<_> = table.difference(&found).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "not in the table: {missing:?}; only in the table: {gone:?}"
    );
}

/// An address of the route at which nothing is.
fn nowhere(route: &str) -> String {
    let mut path = String::new();
    for (i, part) in route.split(['{', '}']).enumerate() {
        path.push_str(match (i % 2, part) {
            (0, plain) => plain,
            (_, "number") => "1",
            _ => "0000000000000000",
        });
    }
    path
}

#[derive(Debug, PartialEq)]
enum Answer {
    Unknown,
    Forbidden,
    In,
}

async fn knock(daemon: &Daemon, method: &str, route: &str, by: &Caller) -> Answer {
    let path = nowhere(route);
    let body = match path.starts_with("/api/") {
        true => "{}".to_owned(),
        false => format!("csrf={}", by.csrf),
    };
    let method = if method == "ANY" { "GET" } else { method };
    let reply = daemon.call(method, &path, by, &body).await;
    assert!(!reply.status.is_server_error(), "{method} {path}: {}", reply.text);
    match reply.status.as_u16() {
        401 => Answer::Unknown,
        303 if reply.header("location").starts_with("/sign-in?") => Answer::Unknown,
        403 => Answer::Forbidden,
        _ => Answer::In,
    }
}

#[tokio::test]
async fn everybody_gets_where_they_may_and_nowhere_else() {
    let daemon = Daemon::new().await;
    let mut people: Vec<(User, Caller, Caller)> = Vec::new();
    for role in Role::ALL {
        let user = daemon.user(role.name(), role).await;
        let rights: Vec<Right> = Right::ALL
            .into_iter()
            .filter(|right| role >= right.role())
            .collect();
        let program = daemon.program(&user, &rights).await;
        let browser = daemon.browser(role.name()).await;
        people.push((user, program, browser));
    }
    let candidate = candidate(&daemon).await;
    let nobody = Caller::default();
    for (method, route, door) in ROUTES {
        let is_api = route.starts_with("/api/");
        match door {
            Open => {
                let answer = knock(&daemon, method, route, &nobody).await;
                assert_eq!(answer, Answer::In, "{method} {route}");
            }
            Needs(right) => {
                for stranger in [&nobody, &candidate] {
                    let answer = knock(&daemon, method, route, stranger).await;
                    // A form without a proof is refused before it is asked whose it is, or after: both keep strangers out.
                    assert_ne!(answer, Answer::In, "{method} {route} {stranger:?}");
                }
                for (user, program, browser) in &people {
                    let expected = match user.role >= right.role() {
                        true => Answer::In,
                        false => Answer::Forbidden,
                    };
                    let by = if is_api { program } else { browser };
                    let answer = knock(&daemon, method, route, by).await;
                    assert_eq!(answer, expected, "{method} {route} by {}", user.login);
                }
                if is_api {
                    let others: Vec<Right> = Right::ALL.into_iter().filter(|other| other != right).collect();
                    let (admin, ..) = &people[2];
                    let wrong = daemon.program(admin, &others).await;
                    let answer = knock(&daemon, method, route, &wrong).await;
                    assert_eq!(answer, Answer::Forbidden, "{method} {route} by the wrong scope");
                } else if *method != "GET" {
                    let (.., browser) = &people[2];
                    let forged = Caller {
                        csrf: "forged".into(),
                        ..browser.clone()
                    };
                    let answer = knock(&daemon, method, route, &forged).await;
                    // The sign-out of the row before ended this session.
                    assert_ne!(answer, Answer::In, "{method} {route} without proof");
                }
            }
            // Absent, and the same for everybody without the link.
            Candidate | Reader | Own => {
                for (_, _, browser) in &people {
                    let reply = daemon.call(method, &nowhere(route), browser, "").await;
                    assert_eq!(reply.status, 404, "{method} {route}");
                }
            }
        }
    }
}

async fn candidate(daemon: &Daemon) -> Caller {
    let invited = daemon.invite("Ada").await;
    let path = invited
        .page_url
        .strip_prefix(crate::daemon::URL)
        .unwrap()
        .to_owned();
    let reply = daemon.get(&path, &Caller::default()).await.is(303);
    Caller {
        cookie: Some(reply.cookie()),
        ..Caller::default()
    }
}

#[tokio::test]
async fn a_link_opens_its_own_page_and_no_other() {
    let daemon = Daemon::new().await;
    let (ada, bob) = (daemon.invite("Ada").await, daemon.invite("Bob").await);
    let path = ada.page_url.strip_prefix(crate::daemon::URL).unwrap();
    let reply = daemon.get(path, &Caller::default()).await.is(303);
    assert_eq!(reply.header("location"), format!("/my/{}", ada.assignment.id));
    let holder = Caller {
        cookie: Some(reply.cookie()),
        ..Caller::default()
    };
    let page = daemon
        .get(&format!("/my/{}", ada.assignment.id), &holder)
        .await
        .is(200);
    let secret = path.split_once("token=").unwrap().1;
    assert!(
        !page.text.contains(secret),
        "the page does not hold the link's secret"
    );
    daemon
        .get(&format!("/my/{}", bob.assignment.id), &holder)
        .await
        .is(404);
    // The same secret under another name.
    let forged = Caller {
        cookie: Some(format!("assay-page-{}={secret}", bob.assignment.id)),
        ..Caller::default()
    };
    daemon
        .get(&format!("/my/{}", bob.assignment.id), &forged)
        .await
        .is(404);
    let wrong = format!("/my/{}/open?token={secret}", bob.assignment.id);
    daemon.get(&wrong, &Caller::default()).await.is(404);

    let admin = daemon.admin().await;
    let new = format!("/api/v1/assignments/{}/link", ada.assignment.id);
    daemon.post(&new, &admin, &serde_json::json!({})).await.is(201);
    daemon
        .get(&format!("/my/{}", ada.assignment.id), &holder)
        .await
        .is(404);
}
