//! The exercises of a daemon: all folders of one folder, read when it starts and again when somebody asks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use assay_core::exercise::Limits;
use assay_core::yaml::Mistake;

use crate::ExerciseFolder;

/// All exercises below one folder, by slug. Cheap to clone; clones see what [`Exercises::reload`] finds.
#[derive(Debug, Clone)]
pub struct Exercises {
    dir: PathBuf,
    images: PathBuf,
    most: Limits,
    found: Arc<RwLock<BTreeMap<String, Arc<ExerciseFolder>>>>,
}

impl Exercises {
    /// Reads every folder in `dir` that has an `exercise.yaml`, with toolchains and services from `images`. A broken one is
    /// left out, and its mistakes are given back beside those that can be used.
    pub fn read(dir: &Path, images: &Path) -> (Self, Vec<Mistake>) {
        Self::read_within(dir, images, Limits::WIDEST)
    }

    /// The same; one that allows candidate code more than `most` counts as broken.
    pub fn read_within(dir: &Path, images: &Path, most: Limits) -> (Self, Vec<Mistake>) {
        let exercises = Self {
            dir: dir.to_owned(),
            images: images.to_owned(),
            most,
            found: Arc::default(),
        };
        let mistakes = exercises.reload();
        (exercises, mistakes)
    }

    /// Reads them again. One that is broken now stays as it was.
    pub fn reload(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let Ok(entries) = std::fs::read_dir(&self.dir) else {
            let shown = self.dir.display().to_string();
            return vec![Mistake::of_file(
                &shown,
                "cannot be read",
                "name the folder of the exercises",
            )];
        };
        for dir in entries.flatten().map(|entry| entry.path()) {
            if !dir.join("exercise.yaml").is_file() {
                continue;
            }
            match self.read_folder(&dir) {
                Ok(folder) => {
                    let mut found = self.found.write().unwrap_or_else(PoisonError::into_inner);
                    found.insert(folder.spec.slug.clone(), Arc::new(folder));
                }
                Err(found) => mistakes.extend(found),
            }
        }
        mistakes
    }

    fn read_folder(&self, dir: &Path) -> Result<ExerciseFolder, Vec<Mistake>> {
        let folder = ExerciseFolder::read(dir, &self.images)?;
        let file = dir.join("exercise.yaml").display().to_string();
        let too_much = |(place, allowed, most)| {
            Mistake::of_file(
                &file,
                format!("{place} is {allowed}, and whoever runs Assay allows {most}"),
                "ask for less, or have the configuration's limits raised",
            )
        };
        let mistakes: Vec<Mistake> = folder.spec.beyond(&self.most).into_iter().map(too_much).collect();
        if mistakes.is_empty() {
            Ok(folder)
        } else {
            Err(mistakes)
        }
    }

    /// The exercise of this slug, as it was read last.
    pub fn get(&self, slug: &str) -> Option<Arc<ExerciseFolder>> {
        self.found
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(slug)
            .cloned()
    }

    /// All of them, by slug.
    pub fn all(&self) -> Vec<Arc<ExerciseFolder>> {
        self.found
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exercise_that_asks_for_more_than_is_allowed_is_broken() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let read = |most| Exercises::read_within(&root.join("exercises"), &root.join("runner-images"), most);
        let (exercises, mistakes) = read(Limits {
            pids: 8,
            ..Limits::WIDEST
        });
        assert_eq!(exercises.all().len(), 0);
        let said: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert!(!said.is_empty());
        for mistake in said {
            assert!(
                mistake.contains("limits.pids is ") && mistake.contains("whoever runs Assay allows 8"),
                "{mistake}"
            );
        }
        let (exercises, mistakes) = read(Limits::WIDEST);
        assert_eq!(mistakes.len(), 0);
        assert!(!exercises.all().is_empty());
    }
}
