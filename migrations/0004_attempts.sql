-- What a pending attempt was asked on: how often its stage had moved by then, and the version it was to hold.
ALTER TABLE promotions ADD COLUMN asked_on BIGINT;
ALTER TABLE promotions ADD COLUMN expected TEXT;

-- What was rolled back from is content: each of its entries is marked.
CREATE INDEX entries_rolled_back ON entries (digest, workload, stage) WHERE rolled_back_at IS NOT NULL;
UPDATE entries SET rolled_back_at = (
    SELECT MAX(r.rolled_back_at) FROM entries r
    WHERE r.workload = entries.workload AND r.stage = entries.stage AND r.digest = entries.digest
) WHERE rolled_back_at IS NULL;

-- By digest first, so that no planner takes it for an index on the workload; and the last moves are read, not all.
DROP INDEX moves_by_digest;
CREATE INDEX moves_by_digest ON moves (digest, workload, position);
DROP INDEX entries_by_digest;
CREATE INDEX entries_by_digest ON entries (digest, workload, stage);

-- The event that tells of a version or policy, where it is known.
ALTER TABLE versions ADD COLUMN position BIGINT;
ALTER TABLE policies ADD COLUMN position BIGINT;
