//! `assay doctor`: whether everything that a daemon needs is there, before somebody finds out by a failing run.

mod examine;

use clap::Args;
use serde::Serialize;

use crate::configuration::{Configuration, Options};
use crate::engine;
use crate::exit::Exit;
use crate::progress;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print the findings as one JSON array on standard output.
    #[arg(long)]
    json: bool,
    /// Ask only whether the configured daemon answers and is ready: for a container's health check.
    #[arg(long)]
    running: bool,
    #[command(flatten)]
    options: Options,
}

/// What an examination of one thing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The thing: `engine`, `git`, `data folder`.
    about: &'static str,
    state: State,
    message: String,
    /// How to mend it; empty where nothing is wrong.
    hint: String,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// As it should be.
    Good,
    /// It works, and somebody should know about it.
    Doubtful,
    /// The daemon or its runs will fail: something around it is missing.
    Broken,
    /// The configuration or an exercise is wrong.
    Misconfigured,
}

impl Finding {
    fn good(about: &'static str, message: impl Into<String>) -> Self {
        Self::new(about, State::Good, message, "")
    }

    fn doubtful(about: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(about, State::Doubtful, message, hint)
    }

    fn broken(about: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(about, State::Broken, message, hint)
    }

    fn misconfigured(about: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(about, State::Misconfigured, message, hint)
    }

    fn new(about: &'static str, state: State, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            about,
            state,
            message: message.into(),
            hint: hint.into(),
        }
    }
}

pub(crate) async fn run(arguments: &Arguments, engine: &engine::Options) -> anyhow::Result<Exit> {
    let findings = match Configuration::try_load(&arguments.options)? {
        Ok(configuration) => {
            let mut findings = vec![Finding::good("configuration", "has no mistakes")];
            match arguments.running {
                true => findings.push(examine::running(&configuration).await),
                false => findings.extend(examine::all(&configuration, engine).await),
            }
            findings
        }
        Err(mistakes) => mistakes
            .into_iter()
            .map(|mistake| {
                let hint = mistake.hint.clone();
                let place = assay_core::yaml::Mistake {
                    hint: String::new(),
                    ..mistake
                };
                Finding::misconfigured("configuration", place.to_string(), hint)
            })
            .collect(),
    };
    if arguments.json {
        progress::say(&serde_json::to_string_pretty(&findings)?);
    } else {
        findings.iter().for_each(|finding| progress::say(&shown(finding)));
    }
    Ok(exit(&findings))
}

fn shown(finding: &Finding) -> String {
    let mark = match finding.state {
        State::Good => "good    ",
        State::Doubtful => "doubtful",
        State::Broken | State::Misconfigured => "BAD     ",
    };
    let mut text = format!("{mark}  {:<14} {}", finding.about, finding.message);
    if !finding.hint.is_empty() {
        text += &format!("\n{:26}hint: {}", "", finding.hint);
    }
    text
}

/// 96 when something that people wrote is wrong, 1 when something around it is, 0 otherwise.
fn exit(findings: &[Finding]) -> Exit {
    let any = |state| findings.iter().any(|finding| finding.state == state);
    if any(State::Misconfigured) {
        Exit::BadConfiguration
    } else if any(State::Broken) {
        Exit::Failed
    } else {
        Exit::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_decides() {
        let (good, doubtful) = (Finding::good("git", "2"), Finding::doubtful("disk", "a", "b"));
        let (broken, wrong) = (
            Finding::broken("engine", "a", "b"),
            Finding::misconfigured("exercises", "a", "b"),
        );
        for (findings, expected) in [
            (vec![], Exit::Done),
            (vec![good.clone(), doubtful.clone()], Exit::Done),
            (vec![broken.clone(), doubtful.clone()], Exit::Failed),
            (vec![wrong, broken], Exit::BadConfiguration),
        ] {
            assert_eq!(exit(&findings), expected, "{findings:?}");
        }
        insta::assert_snapshot!(shown(&doubtful), @r"
        doubtful  disk           a
                                  hint: b
        ");
    }
}
