"""Rows about growth: resolve and the first list page with a million versions in a workload, and a thousand.

One version of each workload is pushed the ordinary way; the others are copies of its row, made by SQL under
other version numbers while the server is stopped.
"""

import contextlib
import re
import sqlite3
from pathlib import Path

from support import postgres
from support.processes import Failed, capture

from . import files
from .api import resolve_path, versions_path
from .measure import Samples

SMALL = 1000
RANDOM_VERSIONS = Path(__file__).with_name("random_versions.lua")

# Version number i is (i / 10000).(i / 100 % 100).(i % 100); the pushed one is number 1, 0.0.1. The sort key
# is that of `Version::sort_key`: a letter per part for its count of digits, the digits, and `~` at the end.
# `{bytes}` is the only word that the databases do not share.
COPY = """
INSERT INTO versions (workload, version, sort_key, prerelease, digest, sequence, revision, tier, kind,
                      contract, document, created_at, created_by)
WITH RECURSIVE numbers (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM numbers WHERE i < {count}),
parts AS (SELECT i, CAST(i / 10000 AS TEXT) AS major, CAST(i / 100 % 100 AS TEXT) AS minor,
                 CAST(i % 100 AS TEXT) AS patch FROM numbers),
named AS (SELECT i, major || '.' || minor || '.' || patch AS version,
                 substr('abcdefgh', length(major) + 1, 1) || major
                 || substr('abcdefgh', length(minor) + 1, 1) || minor
                 || substr('abcdefgh', length(patch) + 1, 1) || patch || '~' AS sort_key FROM parts),
pushed AS (SELECT * FROM versions WHERE workload = '{workload}' AND version = '0.0.1')
SELECT workload, named.version, CAST(named.sort_key AS {bytes}), prerelease, digest, i,
       substr(revision, 1, 33) || CAST(1000000 + i AS TEXT), tier, kind, contract, document, created_at,
       created_by
FROM named CROSS JOIN pushed;
UPDATE repositories SET last_sequence = {count}, lineage_to = {count} WHERE name = '{workload}';
"""

# The copied keys are only right if the pushed version's own key is what the statement would make of it.
SAME_KEY = "SELECT count(*) FROM versions WHERE sort_key = CAST('b0b0b1~' AS {bytes}) AND version = '0.0.1'"


def fill(bench, database, workloads, name="million"):
    """Copies the pushed version of each of `{workload: count}` until there are so many, in the registry of this name."""
    statements = [
        COPY.format(count=count, workload=workload, bytes="BLOB" if database == "SQLite" else "BYTEA")
        for workload, count in workloads.items()
    ]
    if database == "SQLite":
        with contextlib.closing(
            sqlite3.connect(bench.folder / f"{name}-{database}" / "gradus.db")
        ) as connection:
            same = connection.execute(SAME_KEY.format(bytes="BLOB")).fetchone()[0]
            for statement in statements:
                connection.executescript("BEGIN;" + statement + "COMMIT;")
    else:
        url = bench.database_url(name, database)
        psql = [postgres.programs() / "psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", url]
        same = int(capture([*psql, "-c", SAME_KEY.format(bytes="BYTEA")]))
        for statement in statements:
            capture([*psql, "-1", "-c", statement], timeout=900)
        capture([*psql, "-c", "VACUUM ANALYZE"], timeout=900)  # as the server's own autovacuum would soon do
    if same != len(workloads):
        raise Failed("the sort key of versions is no longer what this benchmark fills in")


def slowest_hundredth(gradus, seconds, workload, count, path):
    """The 99th percentile, in ms, of one client that never pauses; see random_versions.lua for the path."""
    said = capture(
        [
            "wrk",
            "-t1",
            "-c1",
            f"-d{seconds}s",
            "--latency",
            "-s",
            RANDOM_VERSIONS,
            "-H",
            f"Authorization: Bearer {gradus.token}",
            gradus.url,
            "--",
            path,
            count,
        ],
        timeout=seconds + 60,
    )
    if "Non-2xx" in said:
        raise Failed(f"{path} of {workload}: {re.search('Non-2xx.*', said)[0]}")
    amount, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
    return float(amount) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def measure(bench):
    workloads = {"acme/small": SMALL, "acme/large": bench.versions}
    folder = files.model_folder(bench.folder / "million" / "model", 1 << 16).parent
    bench.table.section(f"99th percentile with {bench.versions:,} versions in a workload against {SMALL:,}")
    for database in bench.databases:
        with bench.gradus("million", database) as gradus:
            gradus.cli("namespace", "create", "acme")
            for workload in workloads:
                gradus.cli("push", "weights", folder, "--to", workload, "--version", "0.0.1")
            token = gradus.token
        print(f"  filling {database}", flush=True)
        fill(bench, database, workloads)
        with bench.gradus("million", database, token) as gradus:
            asked = {
                "resolve by version": lambda workload: resolve_path(workload, "VERSION"),
                "resolve by range": lambda workload: resolve_path(workload, "~0.VERSION"),
                "first list page": versions_path,
            }
            for what, path in asked.items():
                samples = {workload: Samples() for workload in workloads}
                for _ in range(bench.runs):
                    for workload, count in workloads.items():
                        samples[workload].add(
                            slowest_hundredth(gradus, bench.load_seconds, workload, count, path(workload))
                        )
                small = samples["acme/small"]
                bench.table.add(f"{what}, {database}, {SMALL:,}", small, "ms")
                bench.table.add(
                    f"{what}, {database}, {bench.versions:,}",
                    samples["acme/large"],
                    "ms",
                    base=(f"{SMALL:,}", small.median),
                    at_most=1.5,
                )
        bench.discard("million", database)
