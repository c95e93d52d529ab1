//! Who the probing is: two users, what they know, and the tokens they send.

use std::time::{SystemTime, UNIX_EPOCH};

use assay_core::security::{
    Answer, Credential, Dice, Exchange, OTHER, PlanStep, Role, SecurityPlan, User, Variables, Wire,
};
use serde_json::Value;

use super::client::Client;
use super::token::{Source, forge};

/// The two users.
pub(super) struct Session {
    a: Variables,
    b: Variables,
    header: String,
    prefix: String,
    access_token: String,
    refresh_token: Option<String>,
    jwt_key: Option<String>,
}

/// The way to become a user did not lead there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not become user {user}: {problem}")]
pub(super) struct NotAdmitted {
    user: char,
    problem: String,
}

impl Session {
    /// Becomes both users. `send` counts and watches the exchanges.
    ///
    /// # Errors
    ///
    /// A step was not answered with 2xx, or its answer lacks what is captured.
    pub(super) async fn begin(
        client: &Client,
        plan: &SecurityPlan,
        jwt_key: Option<String>,
        seed: u64,
        watch: &impl Fn(&Exchange),
    ) -> Result<Self, NotAdmitted> {
        // Apart from the planner's random values, which begin at the seed itself.
        let mut dice = Dice::new(seed ^ 0x5e55_1011);
        let mut users = Vec::new();
        for user in ['A', 'B'] {
            let mut variables = Variables::from([
                ("username".to_owned(), dice.word()),
                (
                    "password".to_owned(),
                    format!("Pw-{}-{}", dice.word(), dice.word()),
                ),
            ]);
            for step in &plan.users.r#become {
                take(client, step, &mut variables, watch)
                    .await
                    .map_err(|problem| NotAdmitted { user, problem })?;
            }
            if !variables.contains_key(&plan.users.access_token) {
                let problem = format!("nothing captured `{}`", plan.users.access_token);
                return Err(NotAdmitted { user, problem });
            }
            users.push(variables);
        }
        let b = users.pop().unwrap_or_default();
        let mut a = users.pop().unwrap_or_default();
        if let Some(id) = plan.users.id.as_ref().and_then(|name| b.get(name)) {
            a.insert(OTHER.to_owned(), id.clone());
        }
        Ok(Self {
            a,
            b,
            header: plan.users.header.clone(),
            prefix: plan.users.prefix.clone(),
            access_token: plan.users.access_token.clone(),
            refresh_token: plan.users.refresh_token.clone(),
            jwt_key,
        })
    }

    /// What placeholders mean in a request with this credential.
    pub(super) fn variables(&self, credential: Credential) -> &Variables {
        match credential {
            Credential::User(User::B) => &self.b,
            Credential::User(User::A) | Credential::Nobody | Credential::Forged(_) => &self.a,
        }
    }

    /// The header that carries this credential.
    ///
    /// # Errors
    ///
    /// The token cannot be forged; the text says why.
    pub(super) fn header(&self, credential: Credential) -> Result<Option<(String, String)>, String> {
        let token_of = |user: &Variables| user.get(&self.access_token).cloned().unwrap_or_default();
        let token = match credential {
            Credential::Nobody => return Ok(None),
            Credential::User(User::A) => token_of(&self.a),
            Credential::User(User::B) => token_of(&self.b),
            Credential::Forged(forgery) => {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |elapsed| elapsed.as_secs());
                let source = Source {
                    access: &token_of(&self.a),
                    refresh: self
                        .refresh_token
                        .as_ref()
                        .and_then(|name| self.a.get(name))
                        .map(String::as_str),
                    secret: self.jwt_key.as_deref(),
                    now,
                };
                forge(&source, forgery).map_err(|error| error.to_string())?
            }
        };
        Ok(Some((self.header.clone(), format!("{}{token}", self.prefix))))
    }

    /// What must not be shown: the users' passwords and tokens, and the service's key.
    pub(super) fn secrets(&self) -> Vec<(&'static str, String)> {
        let passwords = [&self.a, &self.b]
            .into_iter()
            .filter_map(|user| user.get("password").cloned());
        let passwords = passwords.map(|text| ("a user's password", text));
        passwords
            .chain(self.jwt_key.clone().map(|key| ("the service's JWT key", key)))
            .collect()
    }

    /// The tokens of both users, to be cut out of excerpts.
    pub(super) fn tokens(&self) -> Vec<String> {
        let names = [Some(&self.access_token), self.refresh_token.as_ref()];
        let names = names.into_iter().flatten();
        names
            .flat_map(|name| [&self.a, &self.b].map(|user| user.get(name).cloned()))
            .flatten()
            .collect()
    }
}

/// Sends one step of the way in, and captures what it gives.
async fn take(
    client: &Client,
    step: &PlanStep,
    variables: &mut Variables,
    watch: &impl Fn(&Exchange),
) -> Result<(), String> {
    let wire = step
        .request(Credential::Nobody)
        .wire(variables)
        .map_err(|error| error.to_string())?;
    let outcome = client
        .send(&wire, None)
        .await
        .map_err(|error| error.to_string())?;
    let Wire { method, target, .. } = wire.clone();
    let captured = match outcome.success() {
        Some(answer) => capture(answer, step.capture.iter(), variables),
        None => Err(format!("{method} {target} gave {outcome}")),
    };
    watch(&Exchange {
        role: Role::Before,
        credential: Credential::Nobody,
        wire,
        outcome,
    });
    captured
}

/// Adds the values at these JSON pointers of the answer to the variables.
///
/// # Errors
///
/// The answer has no text or number there.
pub(super) fn capture<'a>(
    answer: &Answer,
    wanted: impl Iterator<Item = (&'a String, &'a String)>,
    variables: &mut Variables,
) -> Result<(), String> {
    let mut json = None;
    for (name, pointer) in wanted {
        let json = json.get_or_insert_with(|| answer.json().unwrap_or_default());
        let value = match json.pointer(pointer) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(format!("the answer has no `{pointer}` to capture as `{name}`")),
        };
        variables.insert(name.clone(), value);
    }
    Ok(())
}
