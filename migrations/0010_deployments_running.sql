-- What runs on a target is not always what was reported of it last: a rollout that fails leaves what was there. Since when
-- its health is known says the evidence itself.
ALTER TABLE deployments ADD COLUMN running_version TEXT;
ALTER TABLE deployments ADD COLUMN running_digest TEXT;
ALTER TABLE deployments ADD COLUMN running_since TIMESTAMPTZ;
UPDATE deployments SET running_version = version, running_digest = digest, running_since = since WHERE status = 'running';
ALTER TABLE deployments DROP COLUMN evidence_at;
CREATE INDEX deployments_by_running ON deployments (running_digest);
