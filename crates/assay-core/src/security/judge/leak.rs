//! Things that no answer should contain, looked for in every answer of the probing.

use serde_json::Value;

use super::super::exchange::Answer;
use super::super::request::Wire;
use super::super::rule::Rule;

/// What only the probing knows, by the name under which a finding may speak of it.
pub type Secrets = Vec<(&'static str, String)>;

/// Words of stack traces, database drivers and file systems. None of them occurs in an attack.
const INSIDES: [(&str, &str); 22] = [
    ("Traceback (most recent call last)", "a stack trace"),
    ("File \\\"/", "a stack trace"),
    ("site-packages/", "a stack trace"),
    ("node_modules/", "a stack trace"),
    ("node:internal/", "a stack trace"),
    ("    at async ", "a stack trace"),
    ("    at Object.", "a stack trace"),
    ("panicked at ", "a stack trace"),
    ("goroutine 1 [", "a stack trace"),
    ("Exception in thread", "a stack trace"),
    ("syntax error at or near", "the database's own words"),
    ("unterminated quoted string", "the database's own words"),
    ("invalid input syntax for type", "the database's own words"),
    ("duplicate key value violates", "the database's own words"),
    ("violates foreign key constraint", "the database's own words"),
    ("sqlalchemy.exc", "the database driver's own words"),
    ("psycopg", "the database driver's own words"),
    ("asyncpg", "the database driver's own words"),
    ("INSERT INTO ", "SQL"),
    ("DELETE FROM ", "SQL"),
    ("/usr/local/lib", "a path of the server"),
    ("/usr/lib/", "a path of the server"),
];

/// How stored passwords begin.
const HASHES: [&str; 9] = [
    "$argon2",
    "$2a$",
    "$2b$",
    "$2y$",
    "$scrypt$",
    "scrypt:32768",
    "pbkdf2_sha",
    "pbkdf2:sha",
    "\"password_hash\"",
];

/// The rules that an answer breaks by its content alone, with what it shows.
pub fn observe(wire: &Wire, answer: &Answer, secrets: &Secrets) -> Vec<(Rule, String)> {
    let text = answer.text();
    let mut broken = Vec::new();
    if answer.status >= 400
        && let Some((word, kind)) = INSIDES.into_iter().find(|(word, _)| text.contains(word))
    {
        broken.push((
            Rule::ErrorLeak,
            format!("An answer with status {} shows {kind}: `{word}`.", answer.status),
        ));
    }
    if let Some(what) = exposed(wire, &text, secrets) {
        broken.push((
            Rule::CredentialExposed,
            format!("An answer with status {} contains {what}.", answer.status),
        ));
    }
    broken
}

fn exposed(wire: &Wire, text: &str, secrets: &Secrets) -> Option<String> {
    if let Some((name, _)) = secrets
        .iter()
        .find(|(_, secret)| secret.len() >= 8 && text.contains(secret.as_str()))
    {
        return Some((*name).to_owned());
    }
    if let Some(hash) = HASHES.into_iter().find(|hash| text.contains(hash)) {
        return Some(format!("the hash of a password (`{hash}`)"));
    }
    let sent = serde_json::from_slice::<Value>(&wire.body).ok()?;
    let password = sent.get("password")?.as_str()?;
    // A short or repeated text may stand in the answer for another reason.
    let body = String::from_utf8_lossy(&wire.body);
    let unmistakable = password.len() >= 8 && body.matches(password).count() == 1;
    (unmistakable && text.contains(password)).then(|| "the password that was sent".to_owned())
}
