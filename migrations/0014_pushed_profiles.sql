-- profile: of the data of a run, where it was pushed: the digest of its bytes. They are kept as long as the monitor is there.
ALTER TABLE drift_runs ADD COLUMN profile TEXT;
CREATE INDEX drift_runs_by_profile ON drift_runs (profile) WHERE profile IS NOT NULL;
