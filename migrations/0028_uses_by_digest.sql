-- Which manifests use a digest is asked for each file that goes: with the manifest in the index SQLite takes it, too, where
-- what kind of manifest it is matters.
DROP INDEX manifest_uses_by_digest;
CREATE INDEX manifest_uses_by_digest ON manifest_uses (repository, digest, manifest);
