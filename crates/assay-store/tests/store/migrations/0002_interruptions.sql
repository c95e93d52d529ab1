INSERT INTO runs (id, assignment, exercise, number, asked_by, commit_id, reference, received_at_ms, seed, counts, state,
                  executions, interruptions, queued_at_ms)
VALUES ('run-2', 'ada', 'task-sync', 2, 'push', 'decaf', 'refs/heads/main', 6, 1, TRUE, 'queued', 1, 1, 6);
