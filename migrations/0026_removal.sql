-- What was taken away for good, what must not be, and what goes by itself.

-- A version whose content is gone stays as a row: its document is emptied, its number and digest are never given again.
ALTER TABLE versions ADD COLUMN purged_at TIMESTAMPTZ;
ALTER TABLE versions ADD COLUMN purged_by TEXT;
ALTER TABLE versions ADD COLUMN purged_because TEXT;
CREATE INDEX versions_purged ON versions (workload, digest) WHERE purged_at IS NOT NULL;

-- Names that were given up. The rows stay, so that nobody gets the names again.
ALTER TABLE repositories ADD COLUMN deleted_at TIMESTAMPTZ;
ALTER TABLE repositories ADD COLUMN deleted_by TEXT;
ALTER TABLE namespaces ADD COLUMN deleted_at TIMESTAMPTZ;
ALTER TABLE namespaces ADD COLUMN deleted_by TEXT;

-- scope is a namespace or a workload; with a digest only that content of the workload.
CREATE TABLE holds (
    id TEXT PRIMARY KEY NOT NULL,
    namespace TEXT NOT NULL REFERENCES namespaces (name),
    scope TEXT NOT NULL,
    digest TEXT,
    reason TEXT NOT NULL,
    set_at TIMESTAMPTZ NOT NULL,
    set_by TEXT NOT NULL,
    cleared_at TIMESTAMPTZ,
    cleared_by TEXT,
    cleared_because TEXT
);
CREATE INDEX holds_by_scope ON holds (scope) WHERE cleared_at IS NULL;

-- Requests to take content away. version: as it was named; all versions of the digest go.
CREATE TABLE purges (
    id TEXT PRIMARY KEY NOT NULL,
    workload TEXT NOT NULL REFERENCES repositories (name),
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL,
    requested_at TIMESTAMPTZ NOT NULL,
    requested_by TEXT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    ended_by TEXT,
    ended_because TEXT
);
CREATE UNIQUE INDEX purges_pending ON purges (workload, digest) WHERE state = 'pending';

-- Files that went with a purge and are not taken in again, under whatever name.
CREATE TABLE purged_blobs (
    repository TEXT NOT NULL REFERENCES repositories (name),
    digest TEXT NOT NULL,
    purged_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (repository, digest)
);

-- That a push made this move by itself, into the first of several stages, which is no promotion. Of moves that were made
-- before it was noted nobody knows, and what they moved stays.
ALTER TABLE moves ADD COLUMN by_push BOOLEAN NOT NULL DEFAULT FALSE;

-- Requests to delete a workload in whose stages there still is something, which takes another admin.
CREATE TABLE deletions (
    workload TEXT PRIMARY KEY NOT NULL REFERENCES repositories (name),
    reason TEXT NOT NULL,
    requested_at TIMESTAMPTZ NOT NULL,
    requested_by TEXT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    -- Of the event that tells of it: what came into the workload later was not asked for.
    position BIGINT NOT NULL
);

-- What goes of the versions that nobody promoted.
CREATE TABLE retention_rules (
    namespace TEXT PRIMARY KEY NOT NULL REFERENCES namespaces (name),
    keep_newest BIGINT NOT NULL,
    older_than_days BIGINT NOT NULL,
    set_at TIMESTAMPTZ NOT NULL,
    set_by TEXT NOT NULL
);
