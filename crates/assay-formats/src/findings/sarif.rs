//! SARIF 2.1.0, with the quirks of real tools: levels only in rules, absolute and relative URIs, `startLine: 0`, failures that
//! hide in notifications.

use std::collections::BTreeMap;

use assay_core::evidence::Level;
use serde::Deserialize;

use super::{Collector, Remark};
use crate::{Broken, json};

#[derive(Deserialize)]
struct Log {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Run {
    tool: Tool,
    results: Option<Vec<Outcome>>,
    invocations: Vec<Invocation>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tool {
    driver: Driver,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Driver {
    rules: Vec<Rule>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    id: String,
    default_configuration: Option<Configuration>,
    help: Option<Text>,
    full_description: Option<Text>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Configuration {
    level: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Text {
    text: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Outcome {
    rule_id: Option<String>,
    rule_index: Option<usize>,
    level: Option<String>,
    message: Text,
    locations: Vec<Location>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Location {
    physical_location: Option<Physical>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Physical {
    artifact_location: Option<Artifact>,
    region: Option<Region>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Artifact {
    uri: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Region {
    start_line: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Invocation {
    execution_successful: Option<bool>,
    tool_configuration_notifications: Vec<Notification>,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Notification {
    level: Option<String>,
    message: Text,
    locations: Vec<Location>,
}

pub(super) fn read(bytes: &[u8], collector: &mut Collector<'_>) -> Result<(), Broken> {
    let log: Log = json(bytes, "SARIF", collector.limits)?;
    for run in &log.runs {
        let rules: BTreeMap<&str, &Rule> = run
            .tool
            .driver
            .rules
            .iter()
            .map(|rule| (rule.id.as_str(), rule))
            .collect();
        for outcome in run.results.iter().flatten().take(collector.limits.elements) {
            let by_index = outcome
                .rule_index
                .and_then(|index| run.tool.driver.rules.get(index));
            let rule = outcome
                .rule_id
                .as_deref()
                .and_then(|id| rules.get(id).copied())
                .or(by_index);
            let id = outcome
                .rule_id
                .as_deref()
                .or(rule.map(|rule| rule.id.as_str()))
                .unwrap_or("unnamed");
            let default = rule.and_then(|rule| rule.default_configuration.as_ref()?.level.as_deref());
            let help = rule.and_then(|rule| rule.help.as_ref().or(rule.full_description.as_ref()));
            let (path, line) = place(&outcome.locations);
            collector.add(&Remark {
                rule: id,
                level: level(outcome.level.as_deref().or(default)),
                path,
                line,
                message: &outcome.message.text,
                help: help.map(|help| help.text.as_str()),
            });
        }
        for invocation in &run.invocations {
            notifications(invocation, collector);
        }
    }
    Ok(())
}

/// What a tool says of itself: a file that it could not parse is a finding, anything else a problem.
fn notifications(invocation: &Invocation, collector: &mut Collector<'_>) {
    if invocation.execution_successful == Some(false) {
        collector
            .problems
            .add(format!("{} says that it did not succeed", collector.source.tool));
    }
    let configuration = &invocation.tool_configuration_notifications;
    for notification in configuration
        .iter()
        .chain(&invocation.tool_execution_notifications)
        .take(1000)
    {
        if notification.level.as_deref() != Some("error") {
            continue;
        }
        match place(&notification.locations) {
            ("", _) => collector.problems.add(format!(
                "{}: {}",
                collector.source.tool, notification.message.text
            )),
            (path, line) => collector.add(&Remark {
                rule: "parse-error",
                level: Some(Level::Error),
                path,
                line,
                message: &notification.message.text,
                help: None,
            }),
        }
    }
}

fn place(locations: &[Location]) -> (&str, Option<u64>) {
    let physical = locations
        .first()
        .and_then(|location| location.physical_location.as_ref());
    let path = physical
        .and_then(|physical| physical.artifact_location.as_ref()?.uri.as_deref())
        .unwrap_or("");
    let line = physical.and_then(|physical| physical.region.as_ref()?.start_line);
    (
        path,
        line.filter(|line| *line >= 1.0 && *line < 1e9)
            .map(|line| line as u64),
    )
}

fn level(name: Option<&str>) -> Option<Level> {
    match name? {
        "error" => Some(Level::Error),
        "warning" => Some(Level::Warning),
        "note" | "none" => Some(Level::Note),
        _ => None,
    }
}
