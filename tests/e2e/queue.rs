//! What the tests of the worker share: a store with assignments and runs, and the proof that every run ended once.

use std::path::Path;

use assay_core::assignment::AssignmentState;
use assay_core::event::Event;
use assay_core::exercise::SubmitOn;
use assay_core::id::RunId;
use assay_core::queue::{Outcome, RunState, Trigger};
use assay_core::report::Report;
use assay_store::Store;
use assay_store::model::{Assignment, Candidate, NewRun, Origin, Run};
use scripted::{N_TESTS, n_passed};
use tempfile::TempDir;

/// A data folder with a store.
pub(crate) struct Queue {
    pub(crate) data: TempDir,
    pub(crate) store: Store,
}

impl Queue {
    pub(crate) async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", data.path().join("assay.db").display());
        let store = Store::open(&database, &data.path().join("blobs")).await.unwrap();
        store.migrate().await.unwrap();
        Self { data, store }
    }

    pub(crate) fn path(&self) -> &Path {
        self.data.path()
    }

    /// Queues a scripted run of an assignment of its own.
    pub(crate) async fn push(&self, i: u64, script: &str, seed: u64) -> RunId {
        let commit = format!("{i:040x}");
        self.submit(i, "scripted", &commit, &format!("refs/heads/{script}"), seed)
            .await
    }

    /// Queues a run of an assignment of its own.
    pub(crate) async fn submit(
        &self,
        i: u64,
        exercise: &str,
        commit: &str,
        reference: &str,
        seed: u64,
    ) -> RunId {
        let assignment = Assignment {
            id: format!("assignment-{i}").parse().unwrap(),
            exercise: exercise.into(),
            track: "python".into(),
            candidate: Some(Candidate {
                name: "Sam".into(),
                email: None,
            }),
            origin: Origin::Hosted,
            state: AssignmentState::Open,
            submit_on: SubmitOn::Push,
            attempts: None,
            due_at_ms: None,
            extended_to_ms: None,
            created_by: None,
            created_at_ms: 0,
            retain_until_ms: None,
            archived_at_ms: None,
        };
        self.store.create_assignment(&assignment).await.unwrap();
        let new = NewRun {
            id: format!("run-{i}").parse().unwrap(),
            assignment: assignment.id,
            trigger: Trigger::Push,
            commit: commit.into(),
            reference: reference.into(),
            received_at_ms: 0,
            seed,
            counts: true,
        };
        self.store.enqueue(&new, i as i64).await.unwrap().run.id
    }

    pub(crate) async fn run(&self, id: &RunId) -> Run {
        self.store.run(id).await.unwrap().unwrap()
    }

    pub(crate) async fn n_unfinished(&self) -> u64 {
        let numbers = self.store.queue_numbers().await.unwrap();
        numbers.n_queued + numbers.n_running
    }

    pub(crate) async fn events(&self, id: &RunId) -> Vec<Event> {
        let events = self.store.events(id, 0, 1000).await.unwrap();
        let numbers: Vec<i64> = events.iter().map(|event| event.seq).collect();
        let expected: Vec<i64> = (1..=events.len() as i64).collect();
        assert_eq!(numbers, expected, "the events of {id} have a gap");
        events.into_iter().map(|event| event.event).collect()
    }

    /// The run ended once, was begun as often as its row says, and has the scorecard that its seed foretells, once.
    pub(crate) async fn assert_ended_once(&self, id: &RunId, max_executions: u32) -> Run {
        let run = self.run(id).await;
        assert_eq!(run.state, RunState::Finished, "{run:?}");
        let outcome = run.outcome.unwrap();
        let events = self.events(id).await;
        let ends = events
            .iter()
            .filter(|event| matches!(event, Event::RunEnded { .. }));
        assert_eq!(ends.count(), 1, "{events:#?}");
        assert!(
            matches!(events.last(), Some(Event::RunEnded { outcome: told, .. }) if *told == outcome),
            "{events:#?}"
        );
        let taken: Vec<u32> = events
            .iter()
            .filter_map(|event| match event {
                Event::RunTaken { execution, .. } => Some(*execution),
                _ => None,
            })
            .collect();
        let expected: Vec<u32> = (1..=run.executions).collect();
        assert_eq!(taken, expected, "{events:#?}");
        assert!(run.executions <= max_executions, "{run:?}");

        let scorecards = self.store.scorecards(id).await.unwrap();
        let files = self.store.run_files(id).await.unwrap();
        match outcome {
            Outcome::Scored | Outcome::PartlyScored => {
                assert_eq!(scorecards.len(), 1, "{scorecards:?}");
                let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
                for name in [
                    "report.json",
                    "evidence/index.json",
                    "evidence/integration/junit.xml",
                ] {
                    assert!(names.contains(&name), "{names:?}");
                }
                for file in &files {
                    let blob = self.store.blob(&file.digest).await.unwrap().unwrap();
                    assert_eq!(blob.len() as u64, file.n_bytes);
                }
                let blob = self.store.blob(&scorecards[0].report_digest).await.unwrap();
                let report: Report = serde_json::from_slice(&blob.unwrap()).unwrap();
                assert_eq!(report.run.id, id.as_str());
                if outcome == Outcome::Scored {
                    let share = n_passed(run.seed) as f64 / N_TESTS as f64;
                    let expected = (10_000.0 * share).round() as i64;
                    assert_eq!(scorecards[0].total_hundredths, expected, "{run:?}");
                }
            }
            _ => assert_eq!((scorecards.len(), files.len()), (0, 0), "{run:?}"),
        }
        run
    }

    /// No temporary file and nothing in place of a container is left.
    pub(crate) fn assert_nothing_left(&self) {
        for folder in ["scratch", "containers"] {
            let left: Vec<_> = std::fs::read_dir(self.path().join(folder))
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            assert!(left.is_empty(), "{folder}: {left:?}");
        }
    }
}
