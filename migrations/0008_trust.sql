-- Identities of other systems that a namespace trusts. A rule that was taken away stays, with its time: it tells that its
-- service was made by rules of this namespace. claims and roles are JSON.
CREATE TABLE trust (
    id TEXT PRIMARY KEY NOT NULL,
    namespace TEXT NOT NULL REFERENCES namespaces (name),
    -- The issuer's name when the rule was made, and its URL, which is what counts.
    issuer TEXT NOT NULL,
    issuer_url TEXT NOT NULL,
    claims TEXT NOT NULL,
    roles TEXT NOT NULL,
    principal TEXT NOT NULL REFERENCES principals (name),
    created_at TIMESTAMPTZ NOT NULL,
    created_by TEXT NOT NULL,
    removed_at TIMESTAMPTZ
);
CREATE INDEX trust_by_namespace ON trust (namespace, id);
CREATE INDEX trust_by_principal ON trust (principal);

-- The rule that a token was given by.
ALTER TABLE tokens ADD COLUMN trust TEXT;
CREATE INDEX tokens_by_trust ON tokens (trust, expires_at);
