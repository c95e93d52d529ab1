//! What a push did, as the references say.

use std::path::Path;

use super::BRANCH;
use super::commands::Command;
use crate::{ObjectId, ReadError, Repository};

/// Where pushed commits are kept, by number from 1.
const PINS: &str = "refs/assay/push/";

/// Where the commit is kept that the repository began with.
pub(super) const SEED: &str = "refs/assay/seed";

/// A reference that a push changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Its full name: `refs/heads/main` or `refs/tags/…`.
    pub reference: String,
    /// What it points to now: a commit, or a tag object.
    pub target: ObjectId,
    /// The commit that this leads to. None: a tag of something else.
    pub commit: Option<ObjectId>,
}

impl Update {
    /// Whether it is a tag.
    pub fn is_tag(&self) -> bool {
        self.reference != BRANCH
    }
}

fn value(repository: &Repository, reference: &str) -> Option<ObjectId> {
    repository.inner.refname_to_id(reference).ok().map(ObjectId)
}

/// What these commands' references point to, in their order.
pub(super) fn values(dir: &Path, commands: &[Command]) -> Result<Vec<Option<ObjectId>>, ReadError> {
    let repository = Repository::open(dir)?;
    let value = |command: &Command| value(&repository, &command.reference);
    Ok(commands.iter().map(value).collect())
}

/// Which of these commands were carried out since [`values`] was asked, and whether one that was not tried to take commits
/// away from the graded branch.
pub(super) fn compare(
    dir: &Path,
    commands: &[Command],
    before: &[Option<ObjectId>],
) -> Result<(Vec<Update>, bool), ReadError> {
    let repository = Repository::open(dir)?;
    let (mut updates, mut rewrites) = (Vec::new(), false);
    for (command, before) in commands.iter().zip(before) {
        let Some(new) = command.new else { continue };
        let now = value(&repository, &command.reference);
        if now == Some(new) && *before != now {
            updates.push(update(&repository, &command.reference, new));
        } else if let Some(now) = now.filter(|now| command.reference == BRANCH && *now != new) {
            // Git has taken the objects before it refuses the reference.
            rewrites |= repository
                .inner
                .graph_descendant_of(new.0, now.0)
                .is_ok_and(|on_top| !on_top);
        }
    }
    Ok((updates, rewrites))
}

fn update(repository: &Repository, reference: &str, target: ObjectId) -> Update {
    Update {
        reference: reference.to_owned(),
        target,
        commit: repository.commit_at(reference).ok(),
    }
}

/// The graded branch and tags whose value is not kept yet.
pub(super) fn unpinned(dir: &Path) -> Result<Vec<Update>, ReadError> {
    let repository = Repository::open(dir)?;
    let mut kept: Vec<_> = pins(&repository)?.into_iter().map(|(_, id)| id).collect();
    kept.extend(value(&repository, SEED));
    let mut names = vec![BRANCH.to_owned()];
    for reference in repository.inner.references_glob("refs/tags/*")?.names() {
        names.extend(reference.ok().map(str::to_owned));
    }
    let changed = names.into_iter().filter_map(|name| {
        let target = value(&repository, &name).filter(|target| !kept.contains(target))?;
        Some(update(&repository, &name, target))
    });
    Ok(changed.collect())
}

/// Keeps it under the next number.
pub(super) fn pin(dir: &Path, update: &Update) -> Result<(), ReadError> {
    let repository = Repository::open(dir)?;
    let last = pins(&repository)?.into_iter().map(|(number, _)| number).max();
    let name = format!("{PINS}{}", last.unwrap_or(0) + 1);
    let message = format!("push of {}", update.reference);
    repository
        .inner
        .reference(&name, update.target.0, false, &message)?;
    Ok(())
}

fn pins(repository: &Repository) -> Result<Vec<(u64, ObjectId)>, ReadError> {
    let mut pins = Vec::new();
    for reference in repository.inner.references_glob(&format!("{PINS}*"))? {
        let reference = reference?;
        let number = reference
            .name()
            .and_then(|name| name.strip_prefix(PINS)?.parse().ok());
        if let (Some(number), Some(id)) = (number, reference.target()) {
            pins.push((number, ObjectId(id)));
        }
    }
    Ok(pins)
}
