//! Evidence on disk: raw bytes by their digest, and one index with what was made of them.
//!
//! `evidence/index.json` holds the normalised evidence (what scores are computed from) and names the raw files;
//! `evidence/sha256-<digest>` are the bytes as tools wrote them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assay_core::attestation::digest;
use assay_core::evidence::Evidence;
use assay_core::report::{ExerciseRef, RunInfo, Submission};
use serde::{Deserialize, Serialize};

/// Name of the folder in a run's output.
pub const FOLDER: &str = "evidence";
pub(crate) const INDEX: &str = "index.json";
const VERSION: u32 = 1;

/// Bytes that a tool wrote, and what they are.
#[derive(Debug, Clone)]
pub struct RawFile {
    /// The check.
    pub check: String,
    /// Name, such as `junit.xml`.
    pub name: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// All that a scorecard and a report can be made from again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredEvidence {
    /// Version of this format: 1.
    pub version: u32,
    /// The exercise that was assessed.
    pub exercise: ExerciseRef,
    /// The submission.
    pub submission: Submission,
    /// The run.
    pub run: RunInfo,
    /// The normalised evidence.
    pub evidence: Evidence,
    /// Digests by name: images, program, and `check/name` of raw files.
    pub digests: BTreeMap<String, String>,
}

/// Evidence could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The file system refused.
    #[error("{path} could not be {verb}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What was tried.
        verb: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// The index is not what this program writes.
    #[error("{path} is not stored evidence: {detail}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong.
        detail: String,
    },
}

/// The index among the evidence below the folder `out`.
pub fn index(out: &Path) -> PathBuf {
    out.join(FOLDER).join(INDEX)
}

/// The raw file with this digest among the evidence below the folder `out`.
pub fn raw(out: &Path, digest: &str) -> PathBuf {
    out.join(FOLDER).join(digest.replace(':', "-"))
}

/// Writes the evidence below the folder `out`.
///
/// # Errors
/// When the file system refuses.
pub fn write(out: &Path, stored: &StoredEvidence, files: &[RawFile]) -> Result<(), EvidenceError> {
    let folder = out.join(FOLDER);
    let failed = |path: &Path, verb| {
        let path = path.display().to_string();
        move |source| EvidenceError::Io { path, verb, source }
    };
    std::fs::create_dir_all(&folder).map_err(failed(&folder, "made"))?;
    for file in files {
        let path = raw(out, &digest(&file.bytes));
        std::fs::write(&path, &file.bytes).map_err(failed(&path, "written"))?;
    }
    let path = folder.join(INDEX);
    let text = stored.to_json().map_err(|detail| EvidenceError::Malformed {
        path: path.display().to_string(),
        detail,
    })?;
    std::fs::write(&path, text).map_err(failed(&path, "written"))
}

/// Reads the evidence below the folder `out`.
///
/// # Errors
/// When there is none, or it is not what this program writes.
pub fn read(out: &Path) -> Result<StoredEvidence, EvidenceError> {
    let path = index(out);
    let shown = path.display().to_string();
    let text = std::fs::read(&path).map_err(|source| EvidenceError::Io {
        path: shown.clone(),
        verb: "read",
        source,
    })?;
    StoredEvidence::parse(&text).map_err(|detail| EvidenceError::Malformed { path: shown, detail })
}

impl StoredEvidence {
    /// Puts it together; raw files get their digests.
    pub fn new(
        exercise: ExerciseRef,
        submission: Submission,
        run: RunInfo,
        evidence: Evidence,
        mut digests: BTreeMap<String, String>,
        raw: &[RawFile],
    ) -> Self {
        digests.extend(
            raw.iter()
                .map(|file| (format!("{}/{}", file.check, file.name), digest(&file.bytes))),
        );
        Self {
            version: VERSION,
            exercise,
            submission,
            run,
            evidence,
            digests,
        }
    }

    /// The index file.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec_pretty(self).map_err(|error| error.to_string())
    }

    /// From the index file.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let stored: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if stored.version == VERSION {
            Ok(stored)
        } else {
            Err(format!("version {} is unknown", stored.version))
        }
    }
}
