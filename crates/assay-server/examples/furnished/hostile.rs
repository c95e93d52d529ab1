//! An assignment, runs and reports in which every text that can be is one that would do harm.

use anyhow::Context as _;
use assay_core::event::Event;
use assay_core::fault::Whose;
use assay_core::queue::{Outcome, Trigger};
use assay_core::report::{CheckStatus, Report};
use assay_store::model::{
    Actor, AuditEntry, Candidate, Connection, Finish, ForgeKind, NewRun, Role, Run, RunFile, TokenKind, User,
};
use serde_json::Value;

use super::{DAY, House, REPORT, finished, started};

/// What a browser might run, were it not written down as text.
const TEXTS: [&str; 2] = [
    "\"'></textarea></title></script><script>alert(1)</script><img src=x onerror=alert(2)><svg/onload=alert(3)>{{7*7}}\u{202e}",
    "javascript:alert(4)//\" onmouseover=\"alert(5)",
];

impl House {
    /// Adds them. Gives their runs.
    pub(super) async fn receive_strangers(&self) -> anyhow::Result<Vec<String>> {
        let mut runs = Vec::new();
        for (n, text) in (0_i64..).zip(TEXTS) {
            runs.extend(self.receive(n, text).await?);
        }
        Ok(runs)
    }

    async fn receive(&self, n: i64, text: &str) -> anyhow::Result<[String; 3]> {
        let mut assignment = self.assignment(20 + n, text)?;
        assignment.track = text.into();
        assignment.candidate = Some(Candidate {
            name: text.into(),
            email: Some(text.into()),
        });
        self.store.create_assignment(&assignment).await?;
        let user = User {
            id: format!("mallory{n}").parse()?,
            login: format!("mallory{n}"),
            name: text.into(),
            password_hash: None,
            oidc_subject: Some(format!("{text} {n}")),
            role: Role::Viewer,
            created_at_ms: self.now_ms,
            disabled_at_ms: None,
        };
        self.store.create_user(&user).await?;
        self.store
            .create_connection(&Connection {
                id: format!("connection{n}").parse()?,
                forge: ForgeKind::Gitea,
                base_url: text.into(),
                api_url: text.into(),
                exercise: text.into(),
                track: text.into(),
                repositories: vec![text.into()],
                sealed_secrets: Vec::new(),
                created_at_ms: self.now_ms,
                disabled_at_ms: None,
            })
            .await?;
        self.store
            .audit(&AuditEntry {
                at_ms: self.now_ms,
                actor: Actor::User("ivo".parse()?),
                action: text.into(),
                subject: assignment.id.to_string(),
                detail: Value::String(text.into()),
            })
            .await?;
        let id = assignment.id.as_str();
        self.token(TokenKind::Page, id, &format!("page-secret-of-a-stranger-{n}"))
            .await?;
        self.token_named(
            TokenKind::Api,
            "ada",
            &format!("api-secret-of-a-stranger-{n}"),
            text,
        )
        .await?;

        let names = ["scored", "failed", "goes-on"].map(|name| format!("strange-{name}-{n}"));
        for name in &names {
            let new = NewRun {
                id: name.parse()?,
                assignment: assignment.id.clone(),
                trigger: Trigger::Push,
                commit: text.into(),
                reference: text.into(),
                received_at_ms: self.now_ms,
                seed: 7,
                counts: true,
            };
            let run = self.store.enqueue(&new, self.now_ms).await?.run;
            let claimed = self.store.claim(text, self.now_ms, DAY).await?;
            let (lease, ..) = claimed.context("the run that was just queued is the next")?;
            let events = [
                started(text),
                Event::CheckProgressed {
                    check: text.into(),
                    doing: text.into(),
                },
                finished(text, CheckStatus::Failed, 1, text),
                started("unit"),
            ];
            self.store.append_events(&lease, &events, self.now_ms).await?;
            let finish = match name.as_str() {
                name if name.contains("scored") => self.scored_so(&run, text).await?,
                name if name.contains("failed") => Finish {
                    outcome: Outcome::Failed(Whose::Candidate),
                    reason: text.into(),
                    score: None,
                    files: Vec::new(),
                },
                _ => continue,
            };
            self.store.finish(&lease, &finish, self.now_ms).await?;
        }
        Ok(names)
    }

    async fn scored_so(&self, run: &Run, text: &str) -> anyhow::Result<Finish> {
        let digest = self.store.put_blob(&serde_json::to_vec(&report(text)?)?).await?;
        let mut score = self.score(run, Outcome::PartlyScored, 1, 1, self.now_ms).await?;
        score.report_digest.clone_from(&digest);
        score.categories[0].id = text.into();
        Ok(Finish {
            outcome: Outcome::PartlyScored,
            reason: text.into(),
            score: Some(score),
            files: vec![RunFile {
                name: format!("evidence/{text}"),
                digest,
                n_bytes: 1,
            }],
        })
    }
}

/// The sample report with this in the place of every text that may be any.
fn report(text: &str) -> anyhow::Result<Report> {
    let mut value: Value = serde_json::from_str(REPORT)?;
    let mut places = Vec::new();
    find_texts(&value, String::new(), &mut places);
    let mut n_changed = 0;
    for place in &places {
        let Some(leaf) = value.pointer_mut(place) else {
            continue;
        };
        let before = std::mem::replace(leaf, Value::String(text.into()));
        match serde_json::from_value::<Report>(value.clone()) {
            Ok(_) => n_changed += 1,
            // A word of a closed list: not for anybody to choose.
            Err(_) => *value.pointer_mut(place).context("it was there")? = before,
        }
    }
    anyhow::ensure!(
        n_changed > 100,
        "only {n_changed} of {} texts can be any",
        places.len()
    );
    Ok(serde_json::from_value(value)?)
}

fn find_texts(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::String(_) => places.push(at),
        Value::Array(all) => {
            for (i, one) in all.iter().enumerate() {
                find_texts(one, format!("{at}/{i}"), places);
            }
        }
        Value::Object(all) => {
            for (key, one) in all {
                let key = key.replace('~', "~0").replace('/', "~1");
                find_texts(one, format!("{at}/{key}"), places);
            }
        }
        _ => (),
    }
}
