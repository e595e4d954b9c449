-- Monitors: scheduled drift checks of a stage, and their runs.

-- spec: what is checked, when and with what consequences, as JSON. handled_at: the last time of its schedule that was dealt
-- with, or when it was made; due_at: when the next one is to be. armed_at: when somebody allowed it to move the stage back
-- once more. told: the content of which it was told that it drifts, until it is told that this has ended.
CREATE TABLE monitors (
    id TEXT PRIMARY KEY NOT NULL,
    repository TEXT NOT NULL REFERENCES repositories (name),
    name TEXT NOT NULL,
    stage TEXT NOT NULL,
    spec TEXT NOT NULL,
    handled_at TIMESTAMPTZ NOT NULL,
    due_at TIMESTAMPTZ,
    armed_at TIMESTAMPTZ,
    told TEXT,
    muted_until TIMESTAMPTZ,
    muted_by TEXT REFERENCES principals (name),
    muted_why TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    created_by TEXT NOT NULL REFERENCES principals (name),
    removed_at TIMESTAMPTZ
);
-- A name is free again once its monitor was removed; its runs stay.
CREATE UNIQUE INDEX monitors_by_name ON monitors (repository, name) WHERE removed_at IS NULL;
CREATE INDEX monitors_due ON monitors (due_at) WHERE removed_at IS NULL;

-- One row for each monitor and window, however many replicas tick. lease: who is at it; due_at: when it may be begun, and
-- begun anew if whoever is at it has died. evidence: of the report, about the version that was in the stage; report: of its
-- bytes. drifted: how many columns; grave: whether any of them is a reason to
-- move the stage back. asked_by: who wanted the run, where the schedule did not. followed: what has
-- become of the stage, where the monitor may move it.
CREATE TABLE drift_runs (
    monitor TEXT NOT NULL REFERENCES monitors (id),
    window_start TIMESTAMPTZ NOT NULL,
    window_end TIMESTAMPTZ NOT NULL,
    cause TEXT NOT NULL,
    state TEXT NOT NULL,
    due_at TIMESTAMPTZ NOT NULL,
    lease TEXT,
    asked_by TEXT,
    tries BIGINT NOT NULL,
    queued_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    version TEXT,
    digest TEXT,
    verdict TEXT,
    reason TEXT,
    alert TEXT,
    data_rows BIGINT,
    drifted BIGINT,
    grave BOOLEAN,
    evidence TEXT,
    report TEXT,
    followed TEXT,
    PRIMARY KEY (monitor, window_start, window_end)
);
CREATE INDEX drift_runs_waiting ON drift_runs (due_at) WHERE state = 'queued' OR state = 'running';
CREATE INDEX drift_runs_in_turn ON drift_runs (monitor, window_end) WHERE state = 'queued' OR state = 'running';
CREATE INDEX drift_runs_by_end ON drift_runs (monitor, window_end);
CREATE INDEX drift_runs_about ON drift_runs (monitor, digest, window_end) WHERE alert IS NOT NULL;
