INSERT INTO attestations (assignment, link, run, version, digest, envelope)
VALUES ('ada', 1, 'run-1', 1, 'sha256:l', '{}');
