-- What versions are made of, so that it can be asked the other way round: what is made of this? And what is in quarantine.

-- A row for each name that may be asked for. relation: base, dataset, file, prompt (the file of a template that comes
-- along), licence, flag. body: the file is what the version is itself (weights, or the template of a prompt), and
-- whoever has it too has the same; of a base: its digest was found by the version that was named. All of it follows from versions, inspections and model cards.
CREATE TABLE lineage (
    relation TEXT NOT NULL,
    value TEXT NOT NULL,
    workload TEXT NOT NULL,
    -- The version's.
    sequence BIGINT NOT NULL,
    body BOOLEAN NOT NULL,
    PRIMARY KEY (relation, value, workload, sequence)
);
CREATE INDEX lineage_of_version ON lineage (workload, sequence, relation);
CREATE INDEX versions_of_digest ON versions (digest, workload);

-- Versions up to this number are in lineage. What was made before there was such a table, or by a replica that does not
-- know of it, comes later.
ALTER TABLE repositories ADD COLUMN lineage_to BIGINT NOT NULL DEFAULT 0;
CREATE INDEX repositories_without_lineage ON repositories (name) WHERE last_sequence > lineage_to;

-- What is not to be promoted, with everything made from it. scope: '*' or a namespace. root: version, base, dataset or
-- file; value: of a version the digest of its manifest, which workload and version then name.
CREATE TABLE quarantines (
    id TEXT PRIMARY KEY NOT NULL,
    scope TEXT NOT NULL,
    root TEXT NOT NULL,
    value TEXT NOT NULL,
    workload TEXT,
    version TEXT,
    reason TEXT NOT NULL,
    set_at TIMESTAMPTZ NOT NULL,
    set_by TEXT NOT NULL,
    cleared_at TIMESTAMPTZ,
    cleared_by TEXT,
    cleared_because TEXT
);
CREATE UNIQUE INDEX quarantines_that_stand ON quarantines (scope, root, value) WHERE cleared_at IS NULL;
