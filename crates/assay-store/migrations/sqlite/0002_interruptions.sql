-- Executions that ended because the worker did: they are not held against the run.
ALTER TABLE runs ADD COLUMN interruptions INTEGER NOT NULL DEFAULT 0;
