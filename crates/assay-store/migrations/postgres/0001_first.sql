-- What lists are sorted by compares byte by byte, as in SQLite. JSON stays text: JSONB refuses the character U+0000.
-- Times are milliseconds since 1970; lists and objects are JSON in text.

CREATE TABLE users (
    id TEXT COLLATE "C" PRIMARY KEY,
    login TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT,
    oidc_subject TEXT UNIQUE,
    role TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    disabled_at_ms BIGINT
);

CREATE TABLE tokens (
    id TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    secret_sha256 TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT,
    revoked_at_ms BIGINT,
    last_used_at_ms BIGINT
);
CREATE INDEX tokens_of_subject ON tokens (subject, kind);
CREATE INDEX tokens_by_expiry ON tokens (expires_at_ms) WHERE expires_at_ms IS NOT NULL;

CREATE TABLE connections (
    id TEXT COLLATE "C" PRIMARY KEY,
    forge TEXT NOT NULL,
    base_url TEXT NOT NULL,
    api_url TEXT NOT NULL,
    exercise TEXT NOT NULL,
    track TEXT NOT NULL,
    repositories TEXT NOT NULL,
    sealed_secrets BYTEA NOT NULL,
    created_at_ms BIGINT NOT NULL,
    disabled_at_ms BIGINT
);

-- The columns `latest_…` are an index over the assignment's runs, kept by each transaction that changes one; -1 is none.
CREATE TABLE assignments (
    id TEXT COLLATE "C" PRIMARY KEY,
    exercise TEXT NOT NULL,
    track TEXT NOT NULL,
    candidate TEXT,
    candidate_key TEXT COLLATE "C" NOT NULL,
    connection TEXT REFERENCES connections (id),
    repository TEXT,
    state TEXT NOT NULL,
    submit_on TEXT NOT NULL,
    attempts BIGINT,
    due_at_ms BIGINT,
    extended_to_ms BIGINT,
    created_by TEXT,
    created_at_ms BIGINT NOT NULL,
    retain_until_ms BIGINT,
    archived_at_ms BIGINT,
    latest_score BIGINT NOT NULL DEFAULT -1,
    latest_push_ms BIGINT NOT NULL DEFAULT -1
);
CREATE UNIQUE INDEX assignments_at_forges ON assignments (connection, repository) WHERE repository <> '';
CREATE INDEX assignments_by_age ON assignments (created_at_ms, id);
CREATE INDEX assignments_by_candidate ON assignments (candidate_key, id);
CREATE INDEX assignments_by_score ON assignments (latest_score, id);
CREATE INDEX assignments_by_push ON assignments (latest_push_ms, id);
CREATE INDEX assignments_to_archive ON assignments (retain_until_ms) WHERE archived_at_ms IS NULL;

CREATE TABLE idempotency (
    key TEXT NOT NULL,
    user_id TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    response TEXT,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, key)
);

CREATE TABLE runs (
    id TEXT COLLATE "C" PRIMARY KEY,
    assignment TEXT NOT NULL REFERENCES assignments (id),
    exercise TEXT NOT NULL,
    number BIGINT NOT NULL,
    asked_by TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    reference TEXT NOT NULL,
    received_at_ms BIGINT NOT NULL,
    seed BIGINT NOT NULL,
    counts BOOLEAN NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT,
    reason TEXT NOT NULL DEFAULT '',
    executions BIGINT NOT NULL DEFAULT 0,
    cancel_requested BOOLEAN NOT NULL DEFAULT FALSE,
    queued_at_ms BIGINT NOT NULL,
    started_at_ms BIGINT,
    finished_at_ms BIGINT,
    worker TEXT,
    lease_until_ms BIGINT,
    n_events BIGINT NOT NULL DEFAULT 0,
    n_scorecards BIGINT NOT NULL DEFAULT 0,
    UNIQUE (assignment, number),
    CHECK ((state = 'finished') = (outcome IS NOT NULL)),
    CHECK ((state = 'finished') = (finished_at_ms IS NOT NULL)),
    CHECK ((state = 'running') = (worker IS NOT NULL)),
    CHECK ((state = 'running') = (lease_until_ms IS NOT NULL))
);
CREATE INDEX runs_by_state ON runs (state, queued_at_ms, id);
CREATE INDEX runs_by_age ON runs (queued_at_ms, id);
CREATE INDEX runs_by_exercise ON runs (exercise, queued_at_ms, id);
CREATE INDEX runs_by_outcome ON runs (outcome);

CREATE TABLE events (
    run TEXT NOT NULL REFERENCES runs (id),
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (run, seq)
);

CREATE TABLE scorecards (
    run TEXT NOT NULL REFERENCES runs (id),
    version BIGINT NOT NULL,
    total BIGINT NOT NULL,
    max BIGINT NOT NULL,
    low BIGINT NOT NULL,
    high BIGINT NOT NULL,
    gate BOOLEAN,
    categories TEXT NOT NULL,
    exercise_digest TEXT NOT NULL,
    report_digest TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    created_by TEXT,
    PRIMARY KEY (run, version)
);
CREATE INDEX scorecards_by_report ON scorecards (report_digest);

CREATE TABLE run_files (
    run TEXT NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    n_bytes BIGINT NOT NULL,
    PRIMARY KEY (run, name)
);
CREATE INDEX run_files_by_digest ON run_files (digest);

CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX audit_of_subject ON audit (subject, seq);

CREATE TABLE deliveries (
    connection TEXT NOT NULL REFERENCES connections (id),
    delivery TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (connection, delivery)
);
CREATE INDEX deliveries_by_age ON deliveries (at_ms);

CREATE TABLE outgoing (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection TEXT NOT NULL REFERENCES connections (id),
    run TEXT NOT NULL REFERENCES runs (id),
    payload TEXT NOT NULL,
    n_tries BIGINT NOT NULL DEFAULT 0,
    next_at_ms BIGINT NOT NULL,
    last_error TEXT NOT NULL DEFAULT '',
    done_at_ms BIGINT
);
CREATE INDEX outgoing_due ON outgoing (next_at_ms, id) WHERE done_at_ms IS NULL;
CREATE INDEX outgoing_of_run ON outgoing (run);

CREATE TABLE comments (
    connection TEXT NOT NULL REFERENCES connections (id),
    repository TEXT NOT NULL,
    request TEXT NOT NULL,
    comment TEXT NOT NULL,
    PRIMARY KEY (connection, repository, request)
);
