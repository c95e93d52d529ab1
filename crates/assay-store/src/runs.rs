//! Signatures; bodies follow.

use assay_core::event::Event;
use assay_core::id::{AssignmentId, RunId};
use assay_core::queue::RunState;

use crate::model::{
    Assignment, Beat, Enqueued, Finish, Lease, NewRun, Page, PageRequest, QueueNumbers, Run, RunEvent,
    RunFilter,
};
use crate::{Store, StoreError};

impl Store {
    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn enqueue(&self, new: &NewRun, now_ms: i64) -> Result<Enqueued, StoreError> {
        let _ = new;
        let _ = now_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn run(&self, id: &RunId) -> Result<Option<Run>, StoreError> {
        let _ = id;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn runs(&self, filter: &RunFilter, page: &PageRequest) -> Result<Page<Run>, StoreError> {
        let _ = filter;
        let _ = page;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn runs_of(&self, assignment: &AssignmentId) -> Result<Vec<Run>, StoreError> {
        let _ = assignment;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn attempts_used(&self, assignment: &AssignmentId) -> Result<u32, StoreError> {
        let _ = assignment;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn queue_position(&self, run: &RunId) -> Result<Option<u32>, StoreError> {
        let _ = run;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn queue_numbers(&self) -> Result<QueueNumbers, StoreError> {
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn claim(
        &self,
        worker: &str,
        now_ms: i64,
        lease_ms: i64,
    ) -> Result<Option<(Lease, Run, Assignment)>, StoreError> {
        let _ = worker;
        let _ = now_ms;
        let _ = lease_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn heartbeat(&self, lease: &Lease, now_ms: i64, lease_ms: i64) -> Result<Beat, StoreError> {
        let _ = lease;
        let _ = now_ms;
        let _ = lease_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn append_events(
        &self,
        lease: &Lease,
        events: &[Event],
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let _ = lease;
        let _ = events;
        let _ = now_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn finish(&self, lease: &Lease, finish: &Finish, now_ms: i64) -> Result<bool, StoreError> {
        let _ = lease;
        let _ = finish;
        let _ = now_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn give_back(&self, lease: &Lease, reason: &str, now_ms: i64) -> Result<bool, StoreError> {
        let _ = lease;
        let _ = reason;
        let _ = now_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn take_back(
        &self,
        worker: &str,
        now_ms: i64,
        max_executions: u32,
    ) -> Result<Vec<RunId>, StoreError> {
        let _ = worker;
        let _ = now_ms;
        let _ = max_executions;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn expire(&self, now_ms: i64, max_executions: u32) -> Result<Vec<RunId>, StoreError> {
        let _ = now_ms;
        let _ = max_executions;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn request_cancel(&self, id: &RunId, now_ms: i64) -> Result<Option<RunState>, StoreError> {
        let _ = id;
        let _ = now_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn events(&self, run: &RunId, after_seq: i64, limit: u32) -> Result<Vec<RunEvent>, StoreError> {
        let _ = run;
        let _ = after_seq;
        let _ = limit;
        Err(StoreError::Pending)
    }
}
