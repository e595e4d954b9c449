-- Who read what. Not in the log: it may be forgotten after a time, and what is lost of it does no harm to the log.

-- One row for each minute, principal, digest, way of reading and address; id is made of these, so that replicas add to one
-- row. at, last_at: the first and the last of `times` reads. digest: of the version's manifest, or of one of its files.
-- No row refers to another: whatever else is removed, what was read stays on record.
CREATE TABLE reads (
    id TEXT PRIMARY KEY NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    last_at TIMESTAMPTZ NOT NULL,
    times BIGINT NOT NULL,
    principal TEXT NOT NULL,
    namespace TEXT NOT NULL,
    workload TEXT NOT NULL,
    version TEXT,
    digest TEXT NOT NULL,
    how TEXT NOT NULL,
    address TEXT NOT NULL
);
CREATE INDEX reads_by_time ON reads (at, id);
CREATE INDEX reads_by_namespace ON reads (namespace, at, id);
CREATE INDEX reads_by_workload ON reads (workload, at, id);
CREATE INDEX reads_by_version ON reads (workload, version, at);
CREATE INDEX reads_by_principal ON reads (principal, at, id);

-- Reads that could not be written down.
CREATE TABLE reads_missing (
    id TEXT PRIMARY KEY NOT NULL,
    namespace TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    last_at TIMESTAMPTZ NOT NULL,
    times BIGINT NOT NULL
);
CREATE INDEX reads_missing_by_time ON reads_missing (at, id);
