-- profile: of the data of a run, where it was pushed: the digest of its bytes.
ALTER TABLE drift_runs ADD COLUMN profile TEXT;
