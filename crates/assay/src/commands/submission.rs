//! What is to be assessed, as the command line names it.

use std::path::PathBuf;

use assay_engine::ExerciseFolder;
use clap::Args;

use super::folders;
use crate::exit::{Exit, Expected};

#[derive(Debug, Args)]
pub(crate) struct Submission {
    /// Folder of the exercise.
    #[arg(long, value_name = "DIR")]
    exercise: PathBuf,
    /// The repository: a folder, or an https, http or ssh address.
    #[arg(long = "repo", value_name = "PATH_OR_URL")]
    pub(crate) repository: String,
    /// Branch, tag or commit; by default the repository's default branch.
    #[arg(long = "ref", value_name = "REF")]
    pub(crate) reference: Option<String>,
    /// Track of the exercise; may be left out when it has only one.
    #[arg(long)]
    track: Option<String>,
    /// Seed of random data in checks; by default drawn by chance, and kept in the report.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Certificate authorities (PEM) that candidates' package managers trust besides the usual ones.
    #[arg(long, env = "ASSAY_CA_BUNDLE", value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// Folder with the images' sources; by default the nearest `runner-images`.
    #[arg(long, value_name = "DIR")]
    runner_images: Option<PathBuf>,
}

impl Submission {
    /// The exercise, and the track that is meant.
    pub(crate) fn exercise(&self) -> anyhow::Result<(ExerciseFolder, String)> {
        let folder = folders::exercise(&self.exercise, self.runner_images.as_deref())?;
        let track = match &self.track {
            Some(track) => track.clone(),
            None => only_track(&folder)?,
        };
        Ok((folder, track))
    }

    /// The bytes of the CA bundle.
    pub(crate) fn extra_ca(&self) -> anyhow::Result<Option<Vec<u8>>> {
        folders::ca_bundle(self.ca_bundle.as_deref())
    }
}

/// The track of an exercise that has only one.
fn only_track(folder: &ExerciseFolder) -> anyhow::Result<String> {
    let mut tracks = folder.spec.tracks.keys();
    match (tracks.next(), tracks.next()) {
        (Some(only), None) => Ok(only.clone()),
        _ => {
            let all: Vec<&str> = folder.spec.tracks.keys().map(String::as_str).collect();
            let message = format!(
                "the exercise has several tracks; name one with --track: {}",
                all.join(", ")
            );
            Err(Expected {
                exit: Exit::BadConfiguration,
                message,
            }
            .into())
        }
    }
}
