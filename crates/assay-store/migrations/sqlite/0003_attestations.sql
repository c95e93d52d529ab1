-- A signed manifest of each scorecard, in the chain of its assignment; and the signed end of the audit trail.

CREATE TABLE attestations (
    assignment TEXT NOT NULL REFERENCES assignments (id),
    link INTEGER NOT NULL,
    run TEXT NOT NULL REFERENCES runs (id),
    version INTEGER NOT NULL,
    digest TEXT NOT NULL,
    envelope TEXT NOT NULL,
    PRIMARY KEY (assignment, link)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX attestations_of_run ON attestations (run, version);

CREATE TABLE audit_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    envelope TEXT NOT NULL
) STRICT;
