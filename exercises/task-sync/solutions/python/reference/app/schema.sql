-- Applied at every start, so every statement must be harmless when repeated.

CREATE TABLE IF NOT EXISTS users (
    id            uuid PRIMARY KEY,
    username      text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    -- Counts the changes to this user's tasks. Every writer locks this row first, so revisions
    -- become visible in their order and a cursor never misses a transaction that was still open.
    revision      bigint NOT NULL DEFAULT 0,
    -- The answer to GET /stats, kept in the transaction of each change.
    todo          integer NOT NULL DEFAULT 0 CHECK (todo >= 0),
    doing         integer NOT NULL DEFAULT 0 CHECK (doing >= 0),
    done          integer NOT NULL DEFAULT 0 CHECK (done >= 0)
) WITH (fillfactor = 50); -- room for updates in place (HOT)

CREATE TABLE IF NOT EXISTS refresh_tokens (
    digest     bytea PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS refresh_tokens_by_user ON refresh_tokens (user_id);

-- A deleted task stays as a tombstone: clients that synchronise later must learn of it.
CREATE TABLE IF NOT EXISTS tasks (
    user_id          uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    id               uuid NOT NULL,
    title            text NOT NULL,
    description      text NOT NULL,
    status           text NOT NULL CHECK (status IN ('todo', 'doing', 'done')),
    due              text, -- RFC 3339, kept as the client wrote it
    version          integer NOT NULL,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    deleted          boolean NOT NULL,
    created_revision bigint NOT NULL,
    revision         bigint NOT NULL, -- of the last change
    idempotency_key  text,
    PRIMARY KEY (user_id, id)
);
CREATE UNIQUE INDEX IF NOT EXISTS tasks_by_creation
    ON tasks (user_id, created_revision) WHERE NOT deleted;
CREATE INDEX IF NOT EXISTS tasks_by_change
    ON tasks (user_id, revision);
CREATE UNIQUE INDEX IF NOT EXISTS tasks_by_idempotency_key
    ON tasks (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
