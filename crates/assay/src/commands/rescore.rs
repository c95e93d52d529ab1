//! `assay rescore`: the score again from stored evidence, after weights changed.

use std::path::PathBuf;

use assay_core::id::RunId;
use assay_core::report::Report;
use assay_engine::evidence_files;
use clap::Args;

use super::{attest, folders, output, runs};
use crate::exit::Exit;
use crate::progress;
use crate::remote::Server;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Id of a run of a daemon, which is scored again there. Without it, a folder on this machine is.
    #[arg(conflicts_with_all = ["exercise", "out", "write", "runner_images"])]
    run: Option<RunId>,
    /// Folder of the exercise, with its present weights.
    #[arg(long, value_name = "DIR", required_unless_present = "run")]
    exercise: Option<PathBuf>,
    /// Folder that `assay run` wrote.
    #[arg(long, value_name = "DIR", required_unless_present = "run")]
    out: Option<PathBuf>,
    /// Write the new report over the old one; otherwise only the difference is shown.
    #[arg(long)]
    write: bool,
    /// Private key (Ed25519, PEM) that the new report is signed with; by default the user's own.
    #[arg(long, env = "ASSAY_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Folder with the images' sources; by default the nearest `runner-images`.
    #[arg(long, value_name = "DIR")]
    runner_images: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if let Some(run) = &arguments.run {
        return runs::rescore(run, &arguments.server).await;
    }
    let (Some(exercise), Some(out)) = (&arguments.exercise, &arguments.out) else {
        anyhow::bail!("name the exercise with --exercise and the report with --out");
    };
    let folder = folders::exercise(exercise, arguments.runner_images.as_deref())?;
    let stored = evidence_files::read(out)?;
    if stored.exercise.slug != folder.spec.slug {
        anyhow::bail!(
            "the evidence is of {}, the exercise is {}",
            stored.exercise.slug,
            folder.spec.slug
        );
    }
    let (before, _) = output::read(out)?;
    let after = stored.report(&folder);
    progress::say(&difference(&before, &after));
    if arguments.write {
        let mut files = output::write(&after, None, out, &[])?;
        files.extend(attest::sign(
            &after,
            &folder.digest,
            out,
            arguments.key.as_deref(),
        )?);
        for file in files {
            progress::say(&format!("wrote {}", file.display()));
        }
    }
    Ok(Exit::Done)
}

/// What changed, line by line.
fn difference(before: &Report, after: &Report) -> String {
    let mut text = format!("total {:.2} -> {:.2}", before.score.total, after.score.total);
    let lines = |report: &Report| -> Vec<(String, Option<f64>, f64)> {
        let named = report.categories.iter().flat_map(|category| {
            let name = category.id.name();
            category
                .lines
                .iter()
                .map(move |line| (format!("{name}/{}", line.id), line.points, line.max))
        });
        named.collect()
    };
    let (old, new) = (lines(before), lines(after));
    let shown = |points: Option<f64>| points.map_or("not scored".to_owned(), |points| format!("{points:.2}"));
    let mut n_changed = 0;
    for (name, points, max) in &new {
        match old.iter().find(|line| line.0 == *name) {
            Some(line) if line.1 == *points && line.2 == *max => (),
            Some(line) => {
                n_changed += 1;
                text += &format!(
                    "\n  {name}: {} of {} -> {} of {max}",
                    shown(line.1),
                    line.2,
                    shown(*points)
                );
            }
            None => {
                n_changed += 1;
                text += &format!("\n  {name}: new, {} of {max}", shown(*points));
            }
        }
    }
    for (name, points, max) in old
        .iter()
        .filter(|line| !new.iter().any(|other| other.0 == line.0))
    {
        n_changed += 1;
        text += &format!("\n  {name}: gone, was {} of {max}", shown(*points));
    }
    if n_changed == 0 {
        text + "\n  no line changed"
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_shown_line_by_line() {
        let sample = include_bytes!("../../../assay-report/tests/data/sample.json");
        let before: Report = serde_json::from_slice(sample).unwrap();
        insta::assert_snapshot!(difference(&before, &before), @"
        total 70.90 -> 70.90
          no line changed
        ");
        let mut after = before.clone();
        after.score.total = 65.0;
        let [tasks, sync] = after.categories[0].lines.as_mut_slice() else {
            panic!("the sample has two lines there")
        };
        (tasks.max, tasks.points) = (10.0, Some(10.0));
        sync.points = None;
        after.categories[1].lines[0].id = "passed".into();
        insta::assert_snapshot!(difference(&before, &after), @"
        total 70.90 -> 65.00
          correctness/tasks: 20.00 of 20 -> 10.00 of 10
          correctness/sync: 4.50 of 10 -> not scored of 10
          tests/passed: new, 2.00 of 2
          tests/pass: gone, was 2.00 of 2
        ");
    }
}
