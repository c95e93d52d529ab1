INSERT INTO users (id, login, name, password_hash, role, created_at_ms)
VALUES ('ingrid', 'ingrid', 'Ingrid', '$argon2id$', 'admin', 1);
INSERT INTO assignments (id, exercise, track, candidate, candidate_key, state, submit_on, attempts, created_by,
                         created_at_ms, latest_score, latest_push_ms)
VALUES ('ada', 'task-sync', 'python', '{"name":"Ada","email":null}', 'ada', 'open', 'push', 3, 'ingrid', 2, 8750, 3);
INSERT INTO runs (id, assignment, exercise, number, asked_by, commit_id, reference, received_at_ms, seed, counts, state,
                  outcome, executions, queued_at_ms, started_at_ms, finished_at_ms, n_events, n_scorecards)
VALUES ('run-1', 'ada', 'task-sync', 1, 'push', 'c0ffee', 'refs/heads/main', 3, -1, TRUE, 'finished', 'scored', 1, 3, 4,
        5, 3, 1);
INSERT INTO events (run, seq, at_ms, event)
VALUES ('run-1', 1, 3, '"run_queued"'),
       ('run-1', 2, 4, '{"run_taken":{"execution":1,"worker":"w"}}'),
       ('run-1', 3, 5, '{"run_ended":{"outcome":"scored","reason":""}}');
INSERT INTO scorecards (run, version, total, max, low, high, gate, categories, exercise_digest, report_digest, created_at_ms)
VALUES ('run-1', 1, 8750, 10000, 8750, 8750, TRUE,
        '[{"id":"correctness","score_hundredths":8750,"max_hundredths":10000,"scored":true}]', 'sha256:e', 'sha256:r', 5);
INSERT INTO run_files (run, name, digest, n_bytes) VALUES ('run-1', 'report.json', 'sha256:r', 10);
INSERT INTO audit (seq, at_ms, actor, action, subject, detail, hash)
VALUES (1, 2, '{"user":"ingrid"}', 'assignment.created', 'ada', '{}', '84fcaf0ac74476ee3ffdca1b9667fefdd12f8f6ab17d26b2af83cf3c1ef9448b');
