-- The registry's facts. This text runs on SQLite and on PostgreSQL.
-- Names are their own keys: a workload is 'namespace/name', for ever bound to that name.
-- Times are UTC in whole microseconds and come from the caller, never from the database.

-- One row. Its position is the number of events so far; it is locked last in every writing
-- transaction and held to commit, so that position order is commit order. frontier is the right edge of the
-- Merkle tree over the events.
CREATE TABLE log_head (
    id BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    position BIGINT NOT NULL,
    frontier BYTEA NOT NULL,
    key_id TEXT NOT NULL
);

-- Rows of 256 hashes of that tree, once they are full; level 0 holds the hashes of the events.
CREATE TABLE log_tiles (
    level BIGINT NOT NULL,
    number BIGINT NOT NULL,
    hashes BYTEA NOT NULL,
    PRIMARY KEY (level, number)
);

-- checkpoint is on the last event of each transaction: the root of the tree up to it, and its signature.
CREATE TABLE events (
    position BIGINT PRIMARY KEY NOT NULL,
    bytes BYTEA NOT NULL,
    checkpoint BYTEA,
    kind TEXT NOT NULL,
    namespace TEXT,
    workload TEXT
);
CREATE INDEX events_by_namespace ON events (namespace, position);
CREATE INDEX events_by_workload ON events (workload, position);

CREATE TABLE namespaces (
    name TEXT PRIMARY KEY NOT NULL,
    store TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    created_by TEXT NOT NULL
);

CREATE TABLE principals (
    name TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    disabled BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

-- namespace '*' holds roles for the whole registry.
CREATE TABLE members (
    namespace TEXT NOT NULL,
    principal TEXT NOT NULL REFERENCES principals (name),
    role TEXT NOT NULL,
    PRIMARY KEY (namespace, principal, role)
);
CREATE INDEX members_by_principal ON members (principal);

-- Only the SHA-256 of a token is kept.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    principal TEXT NOT NULL REFERENCES principals (name),
    label TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ
);
CREATE INDEX tokens_by_principal ON tokens (principal);

-- An OCI repository; a workload once it has a version.
CREATE TABLE repositories (
    name TEXT PRIMARY KEY NOT NULL,
    namespace TEXT NOT NULL REFERENCES namespaces (name),
    last_sequence BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX repositories_by_namespace ON repositories (namespace, name);

-- Bytes: where the object of a digest lies in a store. key is an upload's id.
CREATE TABLE blobs (
    store TEXT NOT NULL,
    digest TEXT NOT NULL,
    key TEXT NOT NULL,
    size BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    quarantined_at TIMESTAMPTZ,
    PRIMARY KEY (store, digest)
);
CREATE UNIQUE INDEX blobs_by_key ON blobs (key);

-- Sight: a blob exists in a repository only through its link.
CREATE TABLE blob_links (
    repository TEXT NOT NULL REFERENCES repositories (name),
    digest TEXT NOT NULL,
    store TEXT NOT NULL,
    size BIGINT NOT NULL,
    used_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (repository, digest),
    FOREIGN KEY (store, digest) REFERENCES blobs (store, digest)
);
CREATE INDEX blob_links_by_blob ON blob_links (digest, store);
CREATE INDEX blob_links_by_size ON blob_links (size, repository);

CREATE TABLE uploads (
    id TEXT PRIMARY KEY NOT NULL,
    repository TEXT NOT NULL REFERENCES repositories (name),
    store TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    -- Bytes that are durable and acknowledged, and the hash state right after them.
    received BIGINT NOT NULL,
    hash_state BYTEA NOT NULL,
    -- Of a remote store: the multipart upload, and how many of the received bytes are staged as its tail.
    multipart TEXT,
    tail BIGINT NOT NULL,
    -- Who is writing now, until when.
    lease TEXT,
    lease_until TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE upload_parts (
    upload TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    part TEXT NOT NULL,
    PRIMARY KEY (upload, number)
);

-- The exact bytes of a manifest, once; who may see it is in manifests.
CREATE TABLE manifest_bytes (
    digest TEXT PRIMARY KEY NOT NULL,
    bytes BYTEA NOT NULL
);

CREATE TABLE manifests (
    repository TEXT NOT NULL REFERENCES repositories (name),
    digest TEXT NOT NULL REFERENCES manifest_bytes (digest),
    -- As it was pushed here: where the bytes do not say, pushers may differ.
    media_type TEXT NOT NULL,
    -- As a referrer: what it refers to, and its entry in the referrers list.
    subject TEXT,
    artifact_type TEXT,
    descriptor TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX manifests_by_digest ON manifests (digest);
CREATE INDEX manifests_by_subject ON manifests (repository, subject, digest);

-- What a manifest needs: its blobs, and the manifests an index lists.
CREATE TABLE manifest_uses (
    repository TEXT NOT NULL,
    manifest TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (repository, manifest, digest),
    FOREIGN KEY (repository, manifest) REFERENCES manifests (repository, digest) ON DELETE CASCADE
);
CREATE INDEX manifest_uses_by_digest ON manifest_uses (repository, digest);

-- OCI tags that are not versions. On a version's manifest such a tag is an alias.
CREATE TABLE tags (
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    digest TEXT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (repository, tag),
    FOREIGN KEY (repository, digest) REFERENCES manifests (repository, digest)
);
CREATE INDEX tags_by_digest ON tags (repository, digest);

-- What the registry found in an artifact, by manifest digest. JSON.
CREATE TABLE inspections (
    digest TEXT PRIMARY KEY NOT NULL REFERENCES manifest_bytes (digest),
    report TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

-- sort_key orders as semver does. document is what resolving answers, as JSON: all but what may change.
CREATE TABLE versions (
    workload TEXT NOT NULL REFERENCES repositories (name),
    version TEXT NOT NULL,
    sort_key BYTEA NOT NULL,
    prerelease BOOLEAN NOT NULL,
    digest TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    revision TEXT NOT NULL,
    tier TEXT NOT NULL,
    kind TEXT NOT NULL,
    contract TEXT NOT NULL,
    document TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    created_by TEXT NOT NULL,
    yanked_at TIMESTAMPTZ,
    yanked_because TEXT,
    PRIMARY KEY (workload, version),
    FOREIGN KEY (workload, digest) REFERENCES manifests (repository, digest)
);
CREATE UNIQUE INDEX versions_in_order ON versions (workload, sort_key);
CREATE INDEX versions_to_resolve ON versions (workload, prerelease, sort_key) WHERE yanked_at IS NULL;
CREATE UNIQUE INDEX versions_by_sequence ON versions (workload, sequence);
CREATE INDEX versions_by_digest ON versions (workload, digest);

-- Everyone who ever pushed a digest in a namespace is its author there.
CREATE TABLE authors (
    namespace TEXT NOT NULL,
    digest TEXT NOT NULL,
    principal TEXT NOT NULL,
    PRIMARY KEY (namespace, digest, principal)
);

-- Scheduled work: the unique row is the lock between replicas.
CREATE TABLE ticks (
    job TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (job, at)
);
