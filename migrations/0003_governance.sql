-- Evidence, policies, stages and promotions.

-- The time of the last event: the registry's clock never goes back behind it.
ALTER TABLE log_head ADD COLUMN latest TIMESTAMPTZ;

-- The log's epoch: a recovery begins the next. Its entry tells why; those entries are looked up by kind.
ALTER TABLE log_head ADD COLUMN epoch BIGINT NOT NULL DEFAULT 1;
CREATE INDEX events_recovered ON events (position) WHERE kind = 'log_recovered';

-- What the prompt's lints say at the level of an error: a JSON list, or nothing.
ALTER TABLE versions ADD COLUMN lint_errors TEXT;

-- Texts that are named by digest: policies as applied, what promotions were judged by.
CREATE TABLE documents (
    digest TEXT PRIMARY KEY NOT NULL,
    bytes BYTEA NOT NULL
);

-- Evidence is an OCI manifest with a subject; here is what gates read of it. number orders what is said of a subject.
-- examples: results example by example, as JSON. payload: of the exact bytes that were attached.
CREATE TABLE evidence (
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    subject TEXT NOT NULL,
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    statement TEXT NOT NULL,
    examples BYTEA,
    -- Of the event that tells of it; nothing where it came with a manifest that an OCI client pushed.
    position BIGINT,
    made_at TIMESTAMPTZ NOT NULL,
    made_by TEXT NOT NULL REFERENCES principals (name),
    PRIMARY KEY (repository, digest),
    FOREIGN KEY (repository, digest) REFERENCES manifests (repository, digest)
);
CREATE UNIQUE INDEX evidence_by_subject ON evidence (repository, subject, number);

-- scope is '*', a namespace or a workload. The highest number of a scope holds; without a digest it has no policy any more.
CREATE TABLE policies (
    scope TEXT NOT NULL,
    number BIGINT NOT NULL,
    digest TEXT REFERENCES documents (digest),
    applied_at TIMESTAMPTZ NOT NULL,
    applied_by TEXT NOT NULL,
    PRIMARY KEY (scope, number)
);

-- What is in a stage now, and the move that brought it there.
CREATE TABLE stages (
    workload TEXT NOT NULL REFERENCES repositories (name),
    stage TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    number BIGINT NOT NULL,
    -- The entry that is there again or still: after a rollback an earlier one than the move.
    entry BIGINT NOT NULL,
    PRIMARY KEY (workload, stage),
    FOREIGN KEY (workload, version) REFERENCES versions (workload, version)
);

-- The history of a stage: a single line, without gaps. judgement is the document with report and facts.
CREATE TABLE moves (
    workload TEXT NOT NULL,
    stage TEXT NOT NULL,
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    from_version TEXT,
    moved_at TIMESTAMPTZ NOT NULL,
    moved_by TEXT NOT NULL,
    reason TEXT,
    judgement TEXT REFERENCES documents (digest),
    -- Of the event that tells of it.
    position BIGINT NOT NULL,
    -- Of an override: who else has looked at it since.
    ratified_by TEXT,
    ratified_at TIMESTAMPTZ,
    PRIMARY KEY (workload, stage, number),
    FOREIGN KEY (workload, version) REFERENCES versions (workload, version)
);
CREATE INDEX moves_by_digest ON moves (workload, digest);
CREATE INDEX moves_to_ratify ON moves (workload, stage, number) WHERE kind = 'overridden' AND ratified_by IS NULL;

-- Each time a version entered a stage, by the number of the move: what ranges match, and the way back.
CREATE TABLE entries (
    workload TEXT NOT NULL,
    stage TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    sort_key BYTEA NOT NULL,
    prerelease BOOLEAN NOT NULL,
    number BIGINT NOT NULL,
    rolled_back_at TIMESTAMPTZ,
    PRIMARY KEY (workload, stage, number),
    FOREIGN KEY (workload, version) REFERENCES versions (workload, version)
);
CREATE INDEX entries_to_resolve ON entries (workload, stage, prerelease, sort_key) WHERE rolled_back_at IS NULL;
CREATE INDEX entries_by_digest ON entries (workload, digest, stage);

-- Attempts to move a stage. report: how it was judged last, as JSON; judgement: the document with what it was judged on,
-- kept when it began and when it ended. check_at: when a pending one is to be judged again.
CREATE TABLE promotions (
    id TEXT PRIMARY KEY NOT NULL,
    workload TEXT NOT NULL,
    stage TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    report TEXT NOT NULL,
    judgement TEXT NOT NULL REFERENCES documents (digest),
    requested_at TIMESTAMPTZ NOT NULL,
    requested_by TEXT NOT NULL REFERENCES principals (name),
    expires_at TIMESTAMPTZ NOT NULL,
    check_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    ended_by TEXT,
    reason TEXT,
    -- Of the last event that tells of it.
    position BIGINT NOT NULL,
    FOREIGN KEY (workload, version) REFERENCES versions (workload, version)
);
CREATE UNIQUE INDEX promotions_pending ON promotions (workload, stage, version) WHERE state = 'pending';
CREATE INDEX promotions_due ON promotions (check_at) WHERE state = 'pending';
CREATE INDEX promotions_by_workload ON promotions (workload, id);

CREATE TABLE freezes (
    id TEXT PRIMARY KEY NOT NULL,
    scope TEXT NOT NULL,
    stage TEXT,
    made_at TIMESTAMPTZ NOT NULL,
    made_by TEXT NOT NULL,
    until_at TIMESTAMPTZ,
    reason TEXT NOT NULL,
    lifted_at TIMESTAMPTZ,
    lifted_by TEXT
);
CREATE INDEX freezes_by_scope ON freezes (scope) WHERE lifted_at IS NULL;
