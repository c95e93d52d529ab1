//! The reference solution of a track, and the same with each of its seeded bugs, as trees of files.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Solution, SolutionError, Writer};
use crate::Folder;
use crate::folder::File;

/// The solution that must be there for every track, and that seeded bugs are patches of.
pub const REFERENCE: &str = "reference";

/// Files of a tree by path.
pub type Files = BTreeMap<String, File>;

/// The reference solution and what seeded bugs make of it.
#[derive(Debug, Clone, Default)]
pub struct Variants {
    /// The tree of the reference solution.
    pub reference: Files,
    /// The same with one bug, by the patch's name.
    pub bugs: BTreeMap<String, Files>,
}

/// Applies each patch to the reference solution of the track. Nothing is written anywhere.
///
/// # Errors
/// Everything that is wrong with the solution, or with each patch.
pub fn variants(
    exercise: &Path,
    track: &str,
    patches: &BTreeMap<String, Vec<u8>>,
) -> Result<Variants, Vec<SolutionError>> {
    let one = |error: SolutionError| vec![error];
    let in_memory = in_memory().map_err(|error| one(error.into()))?;
    let tree = reference(&in_memory, exercise, track).map_err(one)?;
    let tree = in_memory.find_tree(tree).map_err(|error| one(error.into()))?;
    let (mut bugs, mut errors) = (BTreeMap::new(), Vec::new());
    for (name, patch) in patches {
        match super::patched(&in_memory, REFERENCE, name, patch, &tree)
            .and_then(|index| files(&in_memory, &index))
        {
            Ok(files) => drop(bugs.insert(name.clone(), files)),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let index = super::index_of(&tree).map_err(|error| one(error.into()))?;
    let reference = files(&in_memory, &index).map_err(one)?;
    Ok(Variants { reference, bugs })
}

fn in_memory() -> Result<git2::Repository, git2::Error> {
    let objects = git2::Odb::new()?;
    objects.add_new_mempack_backend(1_000)?;
    git2::Repository::from_odb(objects)
}

fn reference(
    repository: &git2::Repository,
    exercise: &Path,
    track: &str,
) -> Result<git2::Oid, SolutionError> {
    let template = Folder::read(&exercise.join("templates").join(track))?;
    let solutions = Solution::with_bases(&exercise.join("solutions").join(track), REFERENCE)?;
    let mut writer = Writer::start(repository, template)?;
    for solution in &solutions {
        writer.add(solution)?;
    }
    Ok(repository.find_commit(writer.commit)?.tree_id())
}

fn files(repository: &git2::Repository, index: &git2::Index) -> Result<Files, SolutionError> {
    index
        .iter()
        .map(|entry| {
            let path = String::from_utf8_lossy(&entry.path).into_owned();
            let content = repository.find_blob(entry.id)?.content().to_vec();
            let executable = entry.mode & 0o111 != 0;
            Ok((path, File { content, executable }))
        })
        .collect()
}
