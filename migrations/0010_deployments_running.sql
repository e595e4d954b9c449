-- What runs on a target is not always what was reported of it last: a rollout that fails leaves what was there. And what
-- fared badly there is not forgotten because something else is reported.
ALTER TABLE deployments ADD COLUMN running_version TEXT;
ALTER TABLE deployments ADD COLUMN running_digest TEXT;
ALTER TABLE deployments ADD COLUMN running_since TIMESTAMPTZ;
ALTER TABLE deployments ADD COLUMN bad_digest TEXT;
ALTER TABLE deployments ADD COLUMN bad_at TIMESTAMPTZ;
ALTER TABLE deployments ADD COLUMN bad_by TEXT;
UPDATE deployments SET running_version = version, running_digest = digest, running_since = since WHERE status = 'running';
UPDATE deployments SET bad_digest = digest, bad_at = reported_at, bad_by = reported_by
WHERE status <> 'retired' AND healthy = FALSE;
CREATE INDEX deployments_by_running ON deployments (running_digest);
