//! JSON Schemas, made from the types that read the files: an editor that checks against them says what `lint` would say.

use std::path::PathBuf;

use anyhow::Context;
use assay_core::exercise::Exercise;
use assay_core::expected::Expected;
use assay_core::load::LoadPlan;
use assay_core::report::Report;
use assay_core::security::SecurityPlan;
use assay_core::toolchain::{Overrides, Service, Toolchain};
use clap::Args;
use schemars::schema_for;

use crate::exit::{Exit, Expected as ExpectedError};
use crate::progress;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Folder to write to.
    #[arg(long, value_name = "DIR", default_value = "crates/assay-core/schemas")]
    out: PathBuf,
    /// Write nothing; end with code 96 when a file is not fresh.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let schemas = [
        ("exercise", schema_for!(Exercise)),
        ("toolchain", schema_for!(Toolchain)),
        ("service", schema_for!(Service)),
        ("load", schema_for!(LoadPlan)),
        ("security", schema_for!(SecurityPlan)),
        ("expected", schema_for!(Expected)),
        ("assay", schema_for!(Overrides)),
        ("report", schema_for!(Report)),
    ];
    if !arguments.check {
        std::fs::create_dir_all(&arguments.out)
            .with_context(|| format!("{} cannot be made", arguments.out.display()))?;
    }
    for (name, schema) in schemas {
        let path = arguments.out.join(format!("{name}.schema.json"));
        let text = serde_json::to_string_pretty(&schema)? + "\n";
        if arguments.check {
            if std::fs::read_to_string(&path).unwrap_or_default() != text {
                let message = format!(
                    "{} is not fresh (hint: run `assay exercise schema`)",
                    path.display()
                );
                return Err(ExpectedError {
                    exit: Exit::BadConfiguration,
                    message,
                }
                .into());
            }
        } else {
            std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
            progress::say(&format!("wrote {}", path.display()));
        }
    }
    Ok(Exit::Done)
}
