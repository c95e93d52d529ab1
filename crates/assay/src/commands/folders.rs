//! Where things lie when nobody says so.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use assay_engine::ExerciseFolder;

/// Name of the folder with the images' sources.
pub(crate) const RUNNER_IMAGES: &str = "runner-images";

/// The given folder, or the nearest `runner-images` at or above the exercise or the working directory.
pub(crate) fn runner_images(given: Option<&Path>, near: &Path) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let near = std::path::absolute(near).context("the working directory is gone")?;
    let here = std::env::current_dir().context("the working directory is gone")?;
    let found = near
        .ancestors()
        .chain(here.ancestors())
        .map(|folder| folder.join(RUNNER_IMAGES))
        .find(|p| p.is_dir());
    match found {
        Some(found) => Ok(found),
        None => bail!(
            "there is no folder {RUNNER_IMAGES} near {} (hint: name it with --runner-images)",
            near.display()
        ),
    }
}

/// The exercise in this folder.
pub(crate) fn exercise(dir: &Path, images: Option<&Path>) -> anyhow::Result<ExerciseFolder> {
    let images = runner_images(images, dir)?;
    ExerciseFolder::read(dir, &images).map_err(|mistakes| crate::exit::mistakes(&mistakes))
}

/// The folder of advisories, where one is named: a wrong name is a mistake, not a run without an audit.
pub(crate) fn advisories(given: Option<&Path>) -> anyhow::Result<Option<&Path>> {
    match given.filter(|given| !given.as_os_str().is_empty()) {
        Some(given) if !given.is_dir() => Err(crate::exit::Expected {
            exit: crate::exit::Exit::BadConfiguration,
            message: format!(
                "{} is not a folder (hint: --advisories names a folder of OSV records)",
                given.display()
            ),
        }
        .into()),
        given => Ok(given),
    }
}

/// The bytes of the certificate authorities in this file, where one is named.
pub(crate) fn ca_bundle(given: Option<&Path>) -> anyhow::Result<Option<Vec<u8>>> {
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    given
        .filter(|given| !given.as_os_str().is_empty())
        .map(read)
        .transpose()
}
