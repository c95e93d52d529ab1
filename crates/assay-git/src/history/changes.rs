//! What changed between two trees, found within a budget: equal directories are never entered.

use std::collections::BTreeMap;

use git2::{ObjectType, Odb, Oid};

use crate::object::{self, ReadError};
use crate::tree::{self, Kind, MAX_DIRECTORY_BYTES};
use crate::{Repository, display, lines};

/// Directories in each other beyond which nothing is compared.
const MAX_DEPTH: usize = 64;
/// Longest path, in bytes, beyond which nothing is compared.
const MAX_PATH: usize = 1024;

/// What a comparison of files costs at least, in bytes: that is how long it takes to find them.
const MIN_FILE_COST: u64 = 4 << 10;

/// What is left of the work that may be done.
#[derive(Debug)]
pub(super) struct Budget {
    /// Entries of directories that may still be looked at.
    pub(super) entries: usize,
    /// Bytes of files that may still be read.
    pub(super) bytes: u64,
}

/// One regular file that is not the same on both sides.
#[derive(Debug)]
pub(super) struct Change<'a> {
    /// A usable relative path, whatever the names really are.
    pub(super) path: &'a str,
    pub(super) old: Option<Oid>,
    pub(super) new: Option<Oid>,
}

/// Takes a change; false ends the visit.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&Change<'_>, &mut Budget) -> Result<bool, ReadError>;

/// Visits all changes between two trees. False when the budget ran out or the visitor had enough.
pub(super) fn visit(
    repository: &Repository,
    odb: &Odb<'_>,
    old: Option<Oid>,
    new: Oid,
    budget: &mut Budget,
    visit: Visit<'_>,
) -> Result<bool, ReadError> {
    Comparison {
        repository,
        odb,
        budget,
        visit,
    }
    .directories(old, Some(new), "", 0)
}

/// Lines added and removed; zero for large and binary files. Nothing when the budget ran out.
pub(super) fn count_lines(
    odb: &Odb<'_>,
    change: &Change<'_>,
    largest_bytes: u64,
    budget: &mut Budget,
) -> Result<Option<(usize, usize)>, ReadError> {
    let mut bytes = 0;
    for id in change.sides() {
        let (size, _) = object::header(odb, id)?;
        if size > largest_bytes {
            return Ok(Some((0, 0)));
        }
        bytes += size;
    }
    match budget.bytes.checked_sub(bytes.max(MIN_FILE_COST)) {
        Some(left) => budget.bytes = left,
        None => return Ok(None),
    }
    let read = |id: Option<Oid>| id.map(|id| odb.read(id)).transpose();
    let (old, new) = (read(change.old)?, read(change.new)?);
    let old = old.as_ref().map_or(&[][..], |old| old.data());
    let new = new.as_ref().map_or(&[][..], |new| new.data());
    Ok(Some(lines::added_and_removed(old, new)?))
}

struct Comparison<'a, 'v> {
    repository: &'a Repository,
    odb: &'a Odb<'a>,
    budget: &'a mut Budget,
    visit: Visit<'v>,
}

/// The two sides of one name.
#[derive(Default, Clone, Copy)]
struct Sides {
    old: Option<(Kind, Oid)>,
    new: Option<(Kind, Oid)>,
}

impl Comparison<'_, '_> {
    fn directories(
        &mut self,
        old: Option<Oid>,
        new: Option<Oid>,
        prefix: &str,
        depth: usize,
    ) -> Result<bool, ReadError> {
        if old == new || depth > MAX_DEPTH {
            return Ok(old == new);
        }
        let mut sides: BTreeMap<String, Sides> = BTreeMap::new();
        let complete = self.read(old, |name, entry| {
            sides.entry(name).or_default().old = Some(entry)
        })? && self.read(new, |name, entry| {
            sides.entry(name).or_default().new = Some(entry)
        })?;
        if !complete {
            return Ok(false);
        }
        for (name, Sides { old, new }) in sides {
            if old == new {
                continue;
            }
            if prefix.len() + name.len() > MAX_PATH {
                return Ok(false);
            }
            let path = format!("{prefix}{name}");
            let change = Change {
                path: &path,
                old: file(old),
                new: file(new),
            };
            if change.sides().next().is_some()
                && change.old != change.new
                && !(self.visit)(&change, self.budget)?
            {
                return Ok(false);
            }
            let (old, new) = (directory(old), directory(new));
            if old != new && !self.directories(old, new, &format!("{path}/"), depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads one directory. False when the budget does not allow it.
    fn read(
        &mut self,
        id: Option<Oid>,
        mut take: impl FnMut(String, (Kind, Oid)),
    ) -> Result<bool, ReadError> {
        let Some(id) = id else { return Ok(true) };
        object::check(self.odb, id, ObjectType::Tree, MAX_DIRECTORY_BYTES)?;
        let directory = self.repository.inner.find_tree(id)?;
        let Some(left) = self.budget.entries.checked_sub(directory.len()) else {
            return Ok(false);
        };
        self.budget.entries = left;
        for entry in &directory {
            take(
                name(entry.name_bytes()),
                (tree::kind(entry.filemode_raw()), entry.id()),
            );
        }
        Ok(true)
    }
}

/// The name, or a usable one in its stead.
fn name(bytes: &[u8]) -> String {
    match tree::usable_name(bytes) {
        Some(name) => name.to_owned(),
        None => format!("_{}", display::one_line(bytes, 60).replace('/', "_")),
    }
}

fn file(side: Option<(Kind, Oid)>) -> Option<Oid> {
    side.and_then(|(kind, id)| matches!(kind, Kind::File { .. }).then_some(id))
}

fn directory(side: Option<(Kind, Oid)>) -> Option<Oid> {
    side.and_then(|(kind, id)| (kind == Kind::Directory).then_some(id))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_name_becomes_usable(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(tree::usable_name(name(&bytes).as_bytes()).is_some());
        }
    }
}
