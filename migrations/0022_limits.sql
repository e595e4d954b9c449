-- What a namespace may have at most. No row: as much as it wants. counted: bytes that it has at most; removing blobs does not
-- lower it, so they are counted anew before anything is refused.
CREATE TABLE quotas (
    namespace TEXT PRIMARY KEY NOT NULL REFERENCES namespaces (name),
    bytes BIGINT,
    versions BIGINT,
    counted BIGINT NOT NULL,
    set_at TIMESTAMPTZ NOT NULL,
    set_by TEXT NOT NULL
);
