-- Backups being taken. While one is held, garbage collection deletes nothing: what its facts name is still to be read.
CREATE TABLE backups (
    id TEXT PRIMARY KEY NOT NULL,
    begun_at TIMESTAMPTZ NOT NULL,
    begun_by TEXT NOT NULL,
    held_until TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ
);
CREATE INDEX backups_held ON backups (held_until) WHERE ended_at IS NULL;
