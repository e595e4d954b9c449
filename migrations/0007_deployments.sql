-- What runs where, as deployers report it: one row a target. The reports themselves are in the log.
CREATE TABLE deployments (
    workload TEXT NOT NULL,
    target TEXT NOT NULL,
    stage TEXT,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    status TEXT NOT NULL,
    -- When this content was first reported there, and when the status became what it is.
    since TIMESTAMPTZ NOT NULL,
    status_since TIMESTAMPTZ NOT NULL,
    has_run BOOLEAN NOT NULL,
    healthy BOOLEAN,
    healthy_since TIMESTAMPTZ,
    evidence_at TIMESTAMPTZ,
    url TEXT,
    message TEXT,
    reported_at TIMESTAMPTZ NOT NULL,
    reported_by TEXT NOT NULL,
    PRIMARY KEY (workload, target),
    FOREIGN KEY (workload, version) REFERENCES versions (workload, version)
);
CREATE INDEX deployments_by_digest ON deployments (digest);
