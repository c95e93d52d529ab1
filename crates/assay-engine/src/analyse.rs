//! Tools that read the source and never run it: linters, scanners, facts. One trusted container per image; what they find
//! is shared out to the `style` and `security` checks by category.

use std::collections::BTreeMap;
use std::time::Instant;

use assay_core::evidence::{CheckEvidence, Finding};
use assay_core::exercise::{CategoryId, CheckKind};
use assay_core::fault::Stop;
use assay_core::toolchain::{Analysis, AnalysisFormat};
use assay_formats::{Limits, facts, findings};
use assay_sandbox::{Command, Container, Mount};

use crate::context::{self, Context, SRC};
use crate::faults::Role;
use crate::folder::SCAN_IMAGE;
use crate::source::Source;

/// Output of a tool that is kept: reports go to files, so this is for error messages.
const OUTPUT_BYTES: u64 = 64 << 10;
/// Where the versions of files lie that only the history has.
const HISTORY: &str = "/history";

/// What one tool found.
#[derive(Debug)]
pub(crate) struct Analysed {
    id: String,
    category: CategoryId,
    result: Result<Found, Stop>,
}

#[derive(Debug, Default)]
struct Found {
    findings: Vec<Finding>,
    facts: BTreeMap<String, f64>,
    notes: Vec<String>,
}

/// Runs all tools over the source, those of the toolchain beside those for every language.
pub(crate) async fn analyse(context: &Context<'_>) -> Vec<Analysed> {
    // Style and security are what their findings count in.
    if context.check(CheckKind::Style).is_none() && context.check(CheckKind::Security).is_none() {
        return Vec::new();
    }
    let (own, scanner) = tokio::join!(
        analyse_with(context, &context.toolchain_image, &context.toolchain.analyses),
        analyse_with(context, SCAN_IMAGE, &context.folder.scanner.analyses),
    );
    own.into_iter().chain(scanner).collect()
}

/// The `style` check: what the tools found, and facts of the history.
pub(crate) fn style(context: &Context<'_>, analysed: &[Analysed]) -> CheckEvidence {
    let Some(check) = context.check(Source::REMARKS) else {
        return CheckEvidence::new("style", CheckKind::Style, Default::default());
    };
    let mut evidence = CheckEvidence::new(&check.id, check.kind, check.seen());
    hand_over(analysed, &mut evidence);
    context.source.remarks(&mut evidence);
    evidence
}

/// Moves what belongs to a check's kind into its evidence.
pub(crate) fn hand_over(analysed: &[Analysed], evidence: &mut CheckEvidence) {
    for tool in analysed {
        let tools_check = kind_of(tool.category);
        match &tool.result {
            Ok(found) => {
                let belonging = found
                    .findings
                    .iter()
                    .filter(|finding| kind_of(finding.category) == evidence.kind);
                evidence.findings.extend(belonging.cloned().map(|mut finding| {
                    finding.check.clone_from(&evidence.id);
                    finding
                }));
                if tools_check == evidence.kind {
                    evidence.facts.extend(found.facts.clone());
                    evidence.notes.extend(found.notes.iter().cloned());
                }
            }
            Err(stop) if tools_check == evidence.kind => {
                evidence.partial_stops.insert(tool.id.clone(), stop.clone());
            }
            Err(_) => (),
        }
    }
}

fn kind_of(category: CategoryId) -> CheckKind {
    if category == CategoryId::Security {
        CheckKind::Security
    } else {
        CheckKind::Style
    }
}

async fn analyse_with(context: &Context<'_>, image: &str, analyses: &[Analysis]) -> Vec<Analysed> {
    let failed = |stop: &Stop| {
        let same = |analysis: &Analysis| Analysed {
            id: analysis.id.clone(),
            category: analysis.category,
            result: Err(stop.clone()),
        };
        analyses.iter().map(same).collect()
    };
    let container = match start(context, image).await {
        Ok(started) => started,
        Err(stop) => return failed(&stop),
    };
    let mut analysed = Vec::new();
    for analysis in analyses {
        let result = run(context, &container, analysis).await;
        if let Err(stop) = &result {
            tracing::warn!(
                tool = analysis.id,
                "tool {} did not work: {}",
                analysis.id,
                stop.sentence()
            );
        }
        analysed.push(Analysed {
            id: analysis.id.clone(),
            category: analysis.category,
            result,
        });
    }
    container.discard();
    analysed
}

async fn start(context: &Context<'_>, image: &str) -> Result<Container, Stop> {
    let trees = context.trees()?;
    let mut spec = context::container_spec("analysis", context.image(image)?, context::tool_limits());
    spec.mounts = vec![Mount::read_only(&trees.src, SRC)];
    if image == SCAN_IMAGE {
        let history = trees.history.iter();
        spec.mounts
            .extend(history.map(|history| Mount::read_only(history, HISTORY)));
    }
    spec.tmpfs = vec![context::out_tmpfs()];
    let started = trees.volumes.trusted(spec).await;
    started.map_err(|error| crate::faults::start(&error))
}

async fn run(context: &Context<'_>, container: &Container, analysis: &Analysis) -> Result<Found, Stop> {
    let role = Role::Trusted(&analysis.id);
    let began = Instant::now();
    let command = Command::shell(&analysis.command)
        .cwd(SRC)
        .deadline(context::TOOL_DEADLINE)
        .output(context::at_most(OUTPUT_BYTES));
    let exited = container.exec(command).await.map_err(|error| role.ask(&error))?;
    let limit_ms = crate::service::millis(context::TOOL_DEADLINE);
    if let Some(stop) = role.unfinished(&exited, limit_ms, OUTPUT_BYTES) {
        return Err(stop);
    }
    let broken = |detail: String| Stop::ToolBroken {
        tool: analysis.id.clone(),
        detail,
    };
    let code = exited.code.map_or(-1, i64::from);
    if !analysis.exit_codes.contains(&code) {
        let said = exited.stderr.text();
        let said = said.lines().last().unwrap_or_default();
        return Err(broken(format!("it ended with exit code {code}: {said}")));
    }
    let check = if kind_of(analysis.category) == CheckKind::Security {
        "security"
    } else {
        "style"
    };
    let bytes = context.report(container, role, check, &analysis.output).await?;
    tracing::debug!(
        tool = analysis.id,
        ms = crate::service::millis(began.elapsed()),
        "tool {} ended",
        analysis.id
    );
    let mut found = Found::default();
    if analysis.format == AnalysisFormat::Facts {
        let read = facts::read(&bytes, &Limits::default()).map_err(|error| broken(error.to_string()))?;
        found.facts = read.value;
        found.notes = read.problems;
        return Ok(found);
    }
    let source = findings::Source {
        check,
        tool: &analysis.id,
        category: analysis.category,
        rules: &analysis.rules,
        message: analysis.message.as_deref(),
        roots: &[SRC],
    };
    let read = findings::read(analysis.format, &bytes, &source, &Limits::default())
        .map_err(|error| broken(error.to_string()))?;
    found.notes = read.problems;
    found.findings = read
        .value
        .into_iter()
        .filter_map(|finding| context.source.own_finding(finding))
        .collect();
    Ok(found)
}
