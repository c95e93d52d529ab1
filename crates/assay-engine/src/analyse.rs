//! Tools that read the source and never run it: linters, scanners, facts. One trusted container per image; what they find
//! is shared out to the `style` and `security` checks by category.

use std::collections::BTreeMap;
use std::time::Instant;

use assay_core::evidence::{CheckEvidence, Finding};
use assay_core::exercise::{CategoryId, CheckKind};
use assay_core::fault::Stop;
use assay_core::toolchain::{Analysis, AnalysisFormat};
use assay_formats::{Limits, facts, findings};
use assay_sandbox::{Command, Container, Content, Mount, TreeEntry};
use futures_util::stream;

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
    match context.source.remarks(&mut evidence) {
        Ok(()) => evidence,
        Err(stop) => crate::run::stopped_check(check, stop),
    }
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
    let container = match start(context, image, Tree::Theirs).await {
        Ok(started) => started,
        Err(stop) => return failed(&stop),
    };
    let mut analysed = Vec::new();
    for analysis in analyses {
        let result = judge(context, image, &container, analysis).await;
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

fn check_of(analysis: &Analysis) -> &'static str {
    match kind_of(analysis.category) {
        CheckKind::Security => "security",
        _ => "style",
    }
}

/// What a tool reads.
#[derive(Debug, Clone, Copy)]
enum Tree {
    /// The candidate's source.
    Theirs,
    /// What candidates of the track start from.
    Template,
}

/// What a tool found, or why it found nothing.
///
/// One that broke did so by chance, by our fault, or by what it read. Only the last makes it break again, and not on what the
/// candidate was given: then it is the candidate's doing, so that nobody escapes a tool by breaking it.
async fn judge(
    context: &Context<'_>,
    image: &str,
    container: &Container,
    analysis: &Analysis,
) -> Result<Found, Stop> {
    let mut result = run(context, container, analysis).await;
    if let Err(Stop::ToolBroken { .. }) = result {
        result = run_anew(context, image, Tree::Theirs, analysis).await;
    }
    if let Err(Stop::ToolBroken { tool, detail }) = &result
        && run_anew(context, image, Tree::Template, analysis).await.is_ok()
    {
        result = Err(Stop::BreaksTool {
            tool: tool.clone(),
            detail: detail.clone(),
        });
    }
    let (found, bytes) = result?;
    context.keep(check_of(analysis), context::in_out(&analysis.output), bytes);
    Ok(found)
}

/// Runs a tool in a container of its own.
async fn run_anew(
    context: &Context<'_>,
    image: &str,
    tree: Tree,
    analysis: &Analysis,
) -> Result<(Found, Vec<u8>), Stop> {
    let container = start(context, image, tree).await?;
    let result = run(context, &container, analysis).await;
    container.discard();
    result
}

async fn start(context: &Context<'_>, image: &str, tree: Tree) -> Result<Container, Stop> {
    let trees = context.trees()?;
    let mut spec = context::container_spec("analysis", context.image(image)?, context::tool_limits());
    spec.tmpfs = vec![context::out_tmpfs()];
    let history = trees.history.as_ref().filter(|_| image == SCAN_IMAGE);
    match tree {
        Tree::Theirs => {
            let history = history.map(|history| Mount::read_only(history, HISTORY));
            spec.mounts = std::iter::once(Mount::read_only(&trees.src, SRC))
                .chain(history)
                .collect();
        }
        Tree::Template => {
            let places = std::iter::once(SRC).chain(history.map(|_| HISTORY));
            spec.tmpfs.extend(places.map(context::source_tmpfs));
        }
    }
    let started = trees.volumes.trusted(spec).await;
    let container = started.map_err(|error| crate::faults::start(&error))?;
    if let Tree::Template = tree {
        let template = context.folder.templates.get(context.track).into_iter().flatten();
        let entries = template.map(|(path, bytes)| TreeEntry {
            path: path.clone(),
            content: Content::File {
                bytes: bytes.clone(),
                executable: false,
            },
        });
        let written = container.write_tree(SRC, stream::iter(entries)).await;
        written.map_err(|error| Role::Trusted("analysis").ask(&error))?;
    }
    Ok(container)
}

/// Runs a tool. Gives what it found and the report that this rests on.
async fn run(
    context: &Context<'_>,
    container: &Container,
    analysis: &Analysis,
) -> Result<(Found, Vec<u8>), Stop> {
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
    let bytes = context::read_report(container, role, &analysis.output).await?;
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
        return Ok((found, bytes));
    }
    let source = findings::Source {
        check: check_of(analysis),
        tool: &analysis.id,
        category: analysis.category,
        rules: &analysis.rules,
        message: analysis.message.as_deref(),
        roots: &[SRC],
    };
    let read = findings::read(analysis.format, &bytes, &source, &Limits::default())
        .map_err(|error| broken(error.to_string()))?;
    found.notes = read.problems;
    found.findings = context.source.own_findings(read.value);
    Ok((found, bytes))
}
