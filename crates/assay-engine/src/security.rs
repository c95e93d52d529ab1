//! The `security` check: what static analysis and secret scanning found, an audit of dependencies where that is possible,
//! and attacks on the running service.

use std::time::Duration;

use assay_core::evidence::CheckEvidence;
use assay_core::exercise::{Check, CheckKind};
use assay_core::fault::Stop;
use assay_core::security::{ProbeJob, ProbeMessage, ProbeReport};
use assay_formats::advisory;
use assay_sandbox::Command;

use crate::analyse::{self, Analysed};
use crate::audit;
use crate::context::{self, Built, Context};
use crate::faults::{self, Role};
use crate::folder::DRIVE_IMAGE;
use crate::service::{Backing, Cores, Running};

/// Name of the prober in findings and scoring rules.
const PROBE: &str = "probe";
const ROLE: Role<'static> = Role::Trusted(PROBE);
/// Most bytes that the prober prints.
const OUTPUT_BYTES: u64 = 8 << 20;

pub(crate) async fn security(
    context: &Context<'_>,
    built: Result<&Built, &Stop>,
    analysed: &[Analysed],
) -> CheckEvidence {
    let Some(check) = context.check(CheckKind::Security) else {
        return CheckEvidence::new("security", CheckKind::Security, Default::default());
    };
    let mut evidence = CheckEvidence::new(&check.id, check.kind, check.seen());
    analyse::hand_over(analysed, &mut evidence);
    let auditing = audit::audit(context, &check.id);
    let probing = async {
        match built {
            Ok(built) => {
                context.events.doing(&check.id, "starting the service");
                let backing = Running::services_only(context, &Cores::default()).await?;
                context::within(check, probe(context, check, built, backing, &mut evidence)).await
            }
            Err(stop) => Err(stop.clone()),
        }
    };
    let (audited, probed) = tokio::join!(auditing, probing);
    match audited {
        Ok(audited) => {
            evidence.findings.extend(audited.findings);
            evidence.notes.extend(audited.notes);
            context.audited_with.get_or_init(|| audited.database);
        }
        Err(stop) => {
            evidence.partial_stops.insert(advisory::TOOL.into(), stop);
        }
    }
    if let Err(stop) = probed {
        evidence.partial_stops.insert(PROBE.into(), stop);
    }
    evidence
}

async fn probe(
    context: &Context<'_>,
    check: &Check,
    built: &Built,
    backing: Backing,
    evidence: &mut CheckEvidence,
) -> Result<(), Stop> {
    let plan = context.folder.security.clone();
    let plan = plan.ok_or_else(|| Stop::BadExercise {
        detail: "there is no security plan".into(),
    })?;
    let contract = context.folder.contract.clone();
    let contract = contract.ok_or_else(|| Stop::BadExercise {
        detail: "there is no openapi.yaml".into(),
    })?;
    let running = Running::start_beside(context, backing, CheckKind::Security, built).await?;
    let spec = context::container_spec(PROBE, context.image(DRIVE_IMAGE)?, context::tool_limits());
    let prober = context.container(&running.pod, spec).await?;

    context.events.doing(&check.id, "attacking the service");
    let job = ProbeJob {
        contract,
        plan,
        base_url: format!("http://127.0.0.1:{}", context.folder.spec.app.port),
        secrets: secrets(context),
        seed: context.seed,
    };
    let job = serde_json::to_vec(&job).map_err(|error| Stop::BadExercise {
        detail: error.to_string(),
    })?;
    let deadline = check
        .timeout
        .as_duration()
        .saturating_sub(Duration::from_secs(10))
        .max(Duration::from_secs(1));
    let command = Command::new(["/assay/drive", "probe"])
        .cwd("/tmp")
        .stdin(job)
        .deadline(deadline)
        .output(context::at_most(OUTPUT_BYTES));
    let exited = prober.exec(command).await.map_err(|error| ROLE.ask(&error))?;
    evidence.logs.extend(running.logs());
    if let Some(ended) = running.app_ended().await {
        evidence.notes.push(format!(
            "The service was no longer running when the attacks ended: {ended}."
        ));
    }
    running.attest(false).await?;
    let output = exited.stdout.text();
    context.keep(&check.id, "probe.jsonl", output.clone().into_bytes());
    if let Some(stop) = faults::overwhelmed("prober", &exited, check.timeout.as_millis()) {
        return Err(stop);
    }
    let broken = |detail: String| Stop::ToolBroken {
        tool: PROBE.into(),
        detail,
    };
    let report: ProbeReport = match serde_json::from_str(output.lines().last().unwrap_or_default()) {
        Ok(ProbeMessage::Report(report)) => *report,
        Ok(ProbeMessage::Failed(detail)) => return Err(broken(detail)),
        Ok(ProbeMessage::Progress { .. }) | Err(_) => {
            return Err(broken(format!(
                "{}: {}",
                faults::ending(&exited),
                exited.stderr.text()
            )));
        }
    };
    evidence.notes.extend(report.problems.iter().cloned());
    evidence.notes.push(format!(
        "{} requests were sent in {} attacks.",
        report.requests,
        report.cases.len()
    ));
    evidence.findings.extend(report.findings(&check.id));
    // What was not attacked is not safe: a service that knows the prober could as well turn it away.
    if !report.has_judged() {
        let detail = report
            .problems
            .first()
            .map_or("no attack came to an end", String::as_str);
        return Err(Stop::NotProbeable {
            detail: detail.trim_end_matches('.').to_owned(),
        });
    }
    running.discard();
    Ok(())
}

/// The variables that the plan names, and no others.
fn secrets(context: &Context<'_>) -> std::collections::BTreeMap<String, String> {
    let named = context
        .folder
        .security
        .as_ref()
        .and_then(|plan| plan.jwt.as_ref())
        .map(|jwt| jwt.secret_env.clone());
    let environment = context.app_env();
    named
        .into_iter()
        .filter_map(|name| Some((name.clone(), environment.get(&name)?.clone())))
        .collect()
}
