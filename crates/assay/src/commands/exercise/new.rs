//! `assay exercise new`: a small exercise that passes `lint` and `verify`, to start from.

use std::path::PathBuf;

use anyhow::Context;
use assay_core::exercise::is_slug;
use clap::Args;

use crate::exit::Exit;
use crate::progress;

/// Files of the starter, with `{slug}` to be filled in.
const FILES: &[(&str, &str)] = &[
    ("exercise.yaml", include_str!("starter/exercise.yaml")),
    ("README.md", include_str!("starter/README.md")),
    ("templates/python/app/__init__.py", ""),
    (
        "templates/python/app/__main__.py",
        include_str!("starter/template_main.py"),
    ),
    (
        "templates/python/README.md",
        include_str!("starter/template_README.md"),
    ),
    (
        "verification/tests/test_greeting.py",
        include_str!("starter/test_greeting.py"),
    ),
    (
        "solutions/python/reference/app/__main__.py",
        include_str!("starter/reference_main.py"),
    ),
    (
        "solutions/python/reference/app/greeter.py",
        include_str!("starter/reference_greeter.py"),
    ),
    (
        "solutions/python/reference/tests/test_app.py",
        include_str!("starter/reference_test.py"),
    ),
    (
        "solutions/python/reference/README.md",
        include_str!("starter/reference_README.md"),
    ),
    (
        "solutions/python/reference/expected.yaml",
        include_str!("starter/expected.yaml"),
    ),
];

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Folder of the new exercise; its last part becomes the slug. It must not be there yet.
    dir: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let dir = &arguments.dir;
    let slug = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    anyhow::ensure!(
        is_slug(&slug),
        "`{slug}` is not a slug (hint: lower-case letters, digits and hyphens)"
    );
    anyhow::ensure!(!dir.exists(), "{} is there already", dir.display());
    for (name, text) in FILES {
        let path = dir.join(name);
        let parent = path.parent().unwrap_or(dir);
        std::fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))?;
        std::fs::write(&path, text.replace("{slug}", &slug))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    progress::say(&format!(
        "made {}; next: `assay exercise lint {0}`",
        dir.display()
    ));
    Ok(Exit::Done)
}
