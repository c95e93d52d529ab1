//! A daemon with two candidates and all that they can have, for what holds at every address.

use assay_core::id::{AssignmentId, RunId};
use assay_server::auth::Right;
use assay_store::model::Role;
use serde_json::json;

use crate::daemon::{Caller, Daemon, PASSWORD, URL};

/// A daemon with two candidates, who have all that a candidate can have.
pub(crate) struct House {
    pub(crate) daemon: Daemon,
    pub(crate) admin: Caller,
    pub(crate) browser: Caller,
    pub(crate) ada: Candidate,
    pub(crate) bob: Candidate,
    pub(crate) user: String,
    pub(crate) token: String,
    pub(crate) connection: String,
    /// Everything that nobody may find anywhere.
    pub(crate) secrets: Vec<String>,
}

/// A candidate's things, and what opens them.
pub(crate) struct Candidate {
    pub(crate) assignment: AssignmentId,
    pub(crate) run: RunId,
    pub(crate) link: String,
    pub(crate) page: String,
    pub(crate) share: String,
    pub(crate) git: String,
}

pub(crate) fn holding(cookie: &str) -> Caller {
    Caller {
        cookie: Some(cookie.to_owned()),
        ..Caller::default()
    }
}

fn secret_of(link: &str) -> String {
    link.split_once("token=").unwrap().1.to_owned()
}

impl House {
    pub(crate) async fn new() -> Self {
        let daemon = Daemon::new().await;
        let admin = daemon.admin().await;
        let browser = daemon.browser("root").await;
        let mut secrets = vec![
            admin.token.clone().unwrap(),
            browser
                .cookie
                .clone()
                .unwrap()
                .split_once('=')
                .unwrap()
                .1
                .to_owned(),
            PASSWORD.to_owned(),
        ];
        let (ada, bob) = (
            Candidate::new(&daemon, &admin, "Ada", &mut secrets).await,
            Candidate::new(&daemon, &admin, "Bob", &mut secrets).await,
        );
        let user = daemon.user("else", Role::Admin).await;
        let theirs = daemon.program(&user, &Right::ALL).await;
        let made = json!({"scopes": ["read"]});
        let made = daemon.post("/api/v1/tokens", &theirs, &made);
        let made = made.await.is(201).json();
        secrets.push(made["secret"].as_str().unwrap().to_owned());
        let new = json!({
            "forge": "gitea", "base_url": "https://git.example.org", "exercise": "task-sync", "track": "python",
            "repositories": ["acme/*"], "token": "token-for-the-api-of-the-forge",
        });
        let connected = daemon
            .post("/api/v1/connections", &admin, &new)
            .await
            .is(201)
            .json();
        secrets.push(connected["secret"].as_str().unwrap().to_owned());
        secrets.push("token-for-the-api-of-the-forge".to_owned());
        Self {
            user: user.id.to_string(),
            token: made["id"].as_str().unwrap().to_owned(),
            connection: connected["id"].as_str().unwrap().to_owned(),
            daemon,
            admin,
            browser,
            ada,
            bob,
            secrets,
        }
    }

    /// The route's address with what is Bob's in it, or with what is not there.
    pub(crate) fn address(&self, route: &str, is_there: bool) -> String {
        let absent = "0000000000000000";
        let mut path = String::new();
        let mut before = "";
        for (i, part) in route.split(['{', '}']).enumerate() {
            if i % 2 == 0 {
                path.push_str(part);
                before = part;
                continue;
            }
            let there = match (before.rsplit('/').nth(1).unwrap_or_default(), part) {
                (_, "number") => "1",
                (_, "link") => &self.bob.link,
                (_, "slug") => "task-sync",
                (_, "name" | "*rest") => "pages.css",
                (_, "*name") => "evidence/unit/%3Cscript%3E.xml",
                ("assignments" | "my", _) => self.bob.assignment.as_str(),
                ("runs" | "shared", _) => self.bob.run.as_str(),
                ("users" | "accounts", _) => &self.user,
                ("tokens", _) => &self.token,
                ("connections", _) => &self.connection,
                other => panic!("{route}: what is {other:?}?"),
            };
            path.push_str(if is_there || part == "number" {
                there
            } else {
                absent
            });
        }
        path
    }
}

impl Candidate {
    async fn new(daemon: &Daemon, admin: &Caller, name: &str, secrets: &mut Vec<String>) -> Self {
        let invited = daemon.invite(name).await;
        let run = daemon
            .queue(&invited.assignment.id, &name[..1].to_lowercase())
            .await;
        let lease = daemon.take().await;
        daemon.finish(&lease).await;
        let made = daemon
            .post(&format!("/api/v1/runs/{run}/links"), admin, &json!({}))
            .await
            .is(201)
            .json();
        let open = async |url: &str| {
            let path = url.strip_prefix(URL).unwrap().to_owned();
            daemon.get(&path, &Caller::default()).await.is(303).cookie()
        };
        let url = made["url"].as_str().unwrap();
        let git = invited.clone.secret.text().to_owned();
        secrets.extend([git.clone(), secret_of(&invited.page_url), secret_of(url)]);
        Self {
            assignment: invited.assignment.id.clone(),
            run,
            link: made["id"].as_str().unwrap().to_owned(),
            page: open(&invited.page_url).await,
            share: open(url).await,
            git,
        }
    }
}
