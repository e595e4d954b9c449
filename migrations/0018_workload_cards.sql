-- Cards of workloads: who answers for one, what it is for, where its limits are, how much could go wrong, and when somebody
-- looks at it again. There may be one before there is a version. review_on is a day, YYYY-MM-DD; told_overdue the one of which
-- it was told that it is past. position: of the event that tells of what the card says.
CREATE TABLE workload_cards (
    workload TEXT PRIMARY KEY NOT NULL,
    namespace TEXT NOT NULL REFERENCES namespaces (name),
    owner TEXT,
    purpose TEXT,
    limits TEXT,
    risk TEXT,
    review_on TEXT,
    told_overdue TEXT,
    set_at TIMESTAMPTZ NOT NULL,
    set_by TEXT NOT NULL,
    position BIGINT NOT NULL
);
CREATE INDEX workload_cards_by_owner ON workload_cards (owner, workload);
CREATE INDEX workload_cards_by_review ON workload_cards (review_on, workload);
