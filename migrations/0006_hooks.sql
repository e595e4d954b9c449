-- Hooks of deployment systems, and what is to be sent to them.

-- Counts changes of hooks, so that whoever appends knows whether the hooks it remembers are those there are.
ALTER TABLE log_head ADD COLUMN hooks BIGINT NOT NULL DEFAULT 0;

-- target: where it sends to and its secrets, sealed under a key that the database does not have; shown: what may be seen
-- of it. failing_since: nothing was delivered since then, and something failed.
CREATE TABLE hooks (
    id TEXT PRIMARY KEY NOT NULL,
    scope TEXT NOT NULL,
    filter TEXT NOT NULL,
    shown TEXT NOT NULL,
    target BYTEA NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    failing_since TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    created_by TEXT NOT NULL REFERENCES principals (name),
    removed_at TIMESTAMPTZ
);

-- One row for each event that a hook listens to, written with the event. lane: the workload, within which order is kept.
-- failed: attempts that failed since it was queued, or queued anew.
CREATE TABLE deliveries (
    hook TEXT NOT NULL REFERENCES hooks (id),
    position BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    lane TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    queued_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    PRIMARY KEY (hook, position)
);
CREATE INDEX deliveries_pending ON deliveries (hook, lane, position) WHERE state = 'pending';
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;

-- Lanes that have something to send: the first of it, and when. A worker that takes a lane moves due_at behind the end of
-- its lease; if it dies, the lane is due again then. Every change of a lane names the lease.
CREATE TABLE lanes (
    hook TEXT NOT NULL REFERENCES hooks (id),
    lane TEXT NOT NULL,
    due_at TIMESTAMPTZ NOT NULL,
    lease TEXT,
    PRIMARY KEY (hook, lane)
);
CREATE INDEX lanes_due ON lanes (hook, due_at);

-- What was sent, and what came back.
CREATE TABLE attempts (
    hook TEXT NOT NULL,
    position BIGINT NOT NULL,
    number BIGINT NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    millis BIGINT NOT NULL,
    request_digest TEXT NOT NULL,
    request_bytes BIGINT NOT NULL,
    status BIGINT,
    error TEXT,
    answer_digest TEXT,
    answer_bytes BIGINT,
    answer TEXT,
    PRIMARY KEY (hook, position, number),
    FOREIGN KEY (hook, position) REFERENCES deliveries (hook, position) ON DELETE CASCADE
);
