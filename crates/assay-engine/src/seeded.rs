//! The reference service with its seeded bugs, as an exercise ships them: patches of a reference solution, each with its
//! description in front.

use std::collections::BTreeMap;
use std::path::Path;

use assay_core::yaml::Mistake;
use assay_git::solution::{self, Files, SolutionError};

use crate::folder::{read_bytes, shown};

/// Fewer bugs than this are no mistake, more are: each takes a few seconds of every run.
const MAX_BUGS: usize = 40;
/// Most characters of a description.
const MAX_DESCRIPTION: usize = 200;

/// The reference service of one track, and what each bug makes of it.
#[derive(Debug, Clone)]
pub struct Seeded {
    /// The track of the reference solution.
    pub track: String,
    /// Its tree.
    pub reference: Files,
    /// The bugs, by name.
    pub bugs: Vec<SeededBug>,
}

/// One bug.
#[derive(Debug, Clone)]
pub struct SeededBug {
    /// The patch's name without its ending.
    pub id: String,
    /// What is wrong, in a sentence: what the patch file says above the patch.
    pub description: String,
    /// The tree that has it.
    pub files: Files,
}

/// Reads the patches in `folder` of the exercise `dir` and applies each.
pub(crate) fn read(dir: &Path, folder: &str, tracks: &[&str]) -> Result<Seeded, Vec<Mistake>> {
    let root = dir.join(folder);
    let mistake = |path: &Path, what: &str, hint: &str| vec![Mistake::of_file(&shown(path), what, hint)];
    let found: Vec<&&str> = tracks.iter().filter(|track| root.join(track).is_dir()).collect();
    let [track] = found.as_slice() else {
        let what = format!("has the folders of {} tracks", found.len());
        let hint = "put the patches in one folder, named after the track whose reference solution they patch";
        return Err(mistake(&root, &what, hint));
    };
    let root = root.join(track);
    let (mut patches, mut descriptions, mut mistakes) = (BTreeMap::new(), Vec::new(), Vec::new());
    for path in crate::folder::walk(&root) {
        let name = path
            .strip_prefix(&root)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        let Some(id) = name
            .strip_suffix(".patch")
            .filter(|id| assay_core::exercise::is_slug(id))
        else {
            let hint = "name patches <slug>.patch and keep nothing else here";
            mistakes.extend(mistake(&path, "is not a patch", hint));
            continue;
        };
        let bytes = match read_bytes(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                mistakes.extend(mistake(&path, &error, ""));
                continue;
            }
        };
        match description(&bytes) {
            Some(description) => descriptions.push((id.to_owned(), description)),
            None => {
                let hint = "say in a sentence what is wrong, in the lines above `diff --git`";
                mistakes.extend(mistake(&path, "has no description", hint));
            }
        }
        patches.insert(id.to_owned(), bytes);
    }
    if !(1..=MAX_BUGS).contains(&patches.len()) {
        let what = format!("has {} patches", patches.len());
        mistakes.extend(mistake(&root, &what, &format!("write 1 to {MAX_BUGS} of them")));
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let mut variants = solution::variants(dir, track, &patches).map_err(|errors| {
        let said =
            |error: &SolutionError| mistake(&root, &error.to_string(), "mend the patch or the solution");
        errors.iter().flat_map(said).collect::<Vec<_>>()
    })?;
    let bugs = descriptions.into_iter().filter_map(|(id, description)| {
        let files = variants.bugs.remove(&id)?;
        Some(SeededBug {
            id,
            description,
            files,
        })
    });
    Ok(Seeded {
        track: (**track).to_owned(),
        bugs: bugs.collect(),
        reference: variants.reference,
    })
}

/// What stands above the patch, as one line.
fn description(patch: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(patch);
    let lines = text.lines().take_while(|line| !line.starts_with("diff --git "));
    let line = lines
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ");
    (!line.is_empty()).then(|| line.chars().take(MAX_DESCRIPTION).collect())
}
