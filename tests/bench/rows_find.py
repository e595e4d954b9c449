"""Rows about finding: a page of versions by what they are made of, among a million of them in a thousand namespaces.

One version is pushed the ordinary way; the others are copies of its row in other workloads, with what they are made of, made
by SQL while the server is stopped. All have one base model, one in a thousand another one, and one a third.
"""

import contextlib
import json
import sqlite3
import urllib.parse

from support import postgres
from support.processes import Failed, capture

from . import files
from .measure import Connection, Samples

NAMESPACES = 1000
AT_MOST = 100  # ms
# As the index has them: without `hf:`.
COMMON, SOME, RARE = "org/common", "org/some", "org/rare"

# Version number i is 0.0.(i / 1000) of the workload `x` in namespace `bench-(i % 1000)`. `{bytes}`, `{no}` and `{yes}` are the
# only words that the databases do not share.
FILL = """
CREATE TABLE bench_numbers AS
WITH RECURSIVE numbers (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < {count} - 1)
SELECT i, 'bench-' || CAST(1000 + i % 1000 AS TEXT) AS namespace, i / 1000 + 1 AS sequence FROM numbers;
INSERT INTO namespaces (name, store, created_at, created_by)
SELECT n.namespace, a.store, a.created_at, a.created_by
FROM bench_numbers n CROSS JOIN namespaces a WHERE n.i < {namespaces} AND a.name = 'acme';
INSERT INTO repositories (name, namespace, last_sequence, created_at, lineage_to)
SELECT n.namespace || '/x', n.namespace, {each}, a.created_at, {each}
FROM bench_numbers n CROSS JOIN repositories a WHERE n.i < {namespaces} AND a.name = 'acme/x';
INSERT INTO manifests (repository, digest, media_type, subject, artifact_type, descriptor, created_at)
SELECT n.namespace || '/x', m.digest, m.media_type, m.subject, m.artifact_type, m.descriptor, m.created_at
FROM bench_numbers n CROSS JOIN manifests m
WHERE n.i < {namespaces} AND m.repository = 'acme/x' AND m.digest = (SELECT digest FROM versions WHERE workload = 'acme/x');
INSERT INTO versions (workload, version, sort_key, prerelease, digest, sequence, revision, tier, kind, contract, document,
                      created_at, created_by)
SELECT n.namespace || '/x', '0.0.' || CAST(n.sequence AS TEXT), CAST(CAST(1000000 + n.sequence AS TEXT) AS {bytes}), v.prerelease,
       v.digest, n.sequence, v.revision, v.tier, v.kind, v.contract, v.document, v.created_at, v.created_by
FROM bench_numbers n CROSS JOIN versions v WHERE v.workload = 'acme/x';
INSERT INTO lineage (relation, value, workload, sequence, body)
SELECT 'base', '{common}', namespace || '/x', sequence, {no} FROM bench_numbers;
INSERT INTO lineage (relation, value, workload, sequence, body)
SELECT 'licence', CASE WHEN sequence % 2 = 0 THEN 'mit' ELSE 'apache-2.0' END, namespace || '/x', sequence, {no} FROM bench_numbers;
INSERT INTO lineage (relation, value, workload, sequence, body)
SELECT 'file', 'sha256:' || CAST(1000000 + i AS TEXT), namespace || '/x', sequence, {yes} FROM bench_numbers;
INSERT INTO lineage (relation, value, workload, sequence, body)
SELECT 'base', '{some}', namespace || '/x', sequence, {no} FROM bench_numbers WHERE i % 1000 = i / 1000 % 1000;
INSERT INTO lineage (relation, value, workload, sequence, body)
SELECT 'base', '{rare}', namespace || '/x', sequence, {no} FROM bench_numbers WHERE i = {count} - 1;
DROP TABLE bench_numbers;
"""


def fill(bench, database):
    is_sqlite = database == "SQLite"
    statement = FILL.format(
        count=bench.versions,
        namespaces=NAMESPACES,
        each=bench.versions // NAMESPACES,
        common=COMMON,
        some=SOME,
        rare=RARE,
        bytes="BLOB" if is_sqlite else "BYTEA",
        no="0" if is_sqlite else "FALSE",
        yes="1" if is_sqlite else "TRUE",
    )
    if is_sqlite:
        with contextlib.closing(
            sqlite3.connect(bench.folder / f"find-{database}" / "gradus.db")
        ) as connection:
            connection.executescript("BEGIN;" + statement + "COMMIT;")
    else:
        url = bench.database_url("find", database)
        psql = [postgres.programs() / "psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", url]
        capture([*psql, "-1", "-c", statement], timeout=1800)
        capture([*psql, "-c", "VACUUM ANALYZE"], timeout=900)  # as the server's own autovacuum would soon do


def page(connection, asked, expect):
    """How long the first page of a hundred takes, in ms."""
    query = urllib.parse.urlencode(asked | {"limit": 100})
    _, body, took = connection.send("GET", f"/v1/find?{query}")
    found = len(json.loads(body)["items"])
    if not expect(found):
        raise Failed(f"/v1/find?{query} found {found}")
    return took * 1000


def member(gradus):
    """The token of somebody who may read three of the namespaces, the last ones among them."""
    gradus.cli("user", "add", "ada")
    for namespace in ("bench-1400", "bench-1700", "bench-1999"):
        gradus.cli("member", "add", namespace, "ada", "reader")
    made = gradus.json("token", "create", "--user", "ada", "--days", "1")
    return made["token"]


def measure(bench):
    folder = files.model_folder(bench.folder / "find" / "model", 1 << 16).parent
    bench.table.section(f"A page of 100 of `find` among {bench.versions:,} versions in {NAMESPACES:,} namespaces")
    for database in bench.databases:
        with bench.gradus("find", database) as gradus:
            gradus.cli("namespace", "create", "acme")
            gradus.cli("push", "weights", folder, "--to", "acme/x", "--version", "0.0.1")
            token = gradus.token
        print(f"  filling {database}", flush=True)
        fill(bench, database)
        with bench.gradus("find", database, token) as gradus:
            admin = Connection(gradus.url, gradus.token)
            ada = Connection(gradus.url, member(gradus))
            asked = {
                "a value that all have": (admin, {"base": COMMON}, lambda found: found == 100),
                "a value that one has": (admin, {"base": RARE}, lambda found: found == 1),
                "two values, each of many": (admin, {"base": COMMON, "licence": "mit"}, lambda found: found > 0),
                "two values, one of few": (admin, {"base": SOME, "licence": "mit"}, lambda found: found > 0),
                "a value that all have, by a reader of three namespaces": (
                    ada,
                    {"base": COMMON},
                    lambda found: found > 0,
                ),
                "a value that one has elsewhere, by that reader": (ada, {"base": SOME}, lambda found: found <= 100),
            }
            for what, (connection, query, expect) in asked.items():
                page(connection, query, expect)  # what is cold once is the disk
                samples = Samples(page(connection, query, expect) for _ in range(4 * bench.runs))
                bench.table.add(f"find {what}, {database}", samples, "ms", at_most=AT_MOST)
        bench.discard("find", database)
