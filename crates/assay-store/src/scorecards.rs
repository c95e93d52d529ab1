//! Signatures; bodies follow.

use assay_core::id::RunId;

use crate::model::{RunFile, ScoreRow};
use crate::{Store, StoreError};

impl Store {
    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn add_scorecard(&self, run: &RunId, score: &ScoreRow) -> Result<u32, StoreError> {
        let _ = run;
        let _ = score;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn scorecards(&self, run: &RunId) -> Result<Vec<ScoreRow>, StoreError> {
        let _ = run;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn run_files(&self, run: &RunId) -> Result<Vec<RunFile>, StoreError> {
        let _ = run;
        Err(StoreError::Pending)
    }
}
