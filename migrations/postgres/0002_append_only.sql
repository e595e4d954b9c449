-- The log is append-only, also for whoever writes SQL by mistake.
CREATE FUNCTION events_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'events are append-only'; END $$;
CREATE TRIGGER events_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION events_are_append_only();

-- Names are compared byte by byte, as SQLite does, whatever the cluster's language.
ALTER TABLE repositories ALTER COLUMN name TYPE TEXT COLLATE "C";
ALTER TABLE namespaces ALTER COLUMN name TYPE TEXT COLLATE "C";
ALTER TABLE principals ALTER COLUMN name TYPE TEXT COLLATE "C";
ALTER TABLE tags ALTER COLUMN tag TYPE TEXT COLLATE "C";
ALTER TABLE manifests ALTER COLUMN digest TYPE TEXT COLLATE "C";
ALTER TABLE versions ALTER COLUMN version TYPE TEXT COLLATE "C";
ALTER TABLE tokens ALTER COLUMN id TYPE TEXT COLLATE "C";
