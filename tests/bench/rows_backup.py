"""Rows about backups: one large file against the machine's limits, and many facts on both databases."""

import os
import shutil

from support.gradus import configuration, run_cli
from support.processes import clean_environment

from . import files, rows_million
from .measure import GIB, Samples, most_resident_while, seconds
from .rows_bytes import limits


def measure(bench):
    large_file(bench)
    for database in bench.databases:
        many_facts(bench, database)


def restore(bench, source, folder, target, config=None, expect=0):
    """By the real command, with the secret of the original."""
    secret = (bench.folder / source / "secret").read_text().strip()
    env = clean_environment(bench.folder / "home", NO_COLOR="1", GRADUS_SECRET=secret)
    options = ["--config", config] if config else []
    run_cli(bench.binary, ["--data-dir", target, *options, "restore", folder], env, expect, timeout=3600)


def large_file(bench):
    """Each round has content that nobody has seen, so that everything is copied."""
    folder = bench.folder / "backup"
    model = files.model_folder(folder / "model", bench.size)
    copies, again, back = Samples(), Samples(), Samples()
    hashing, copying = Samples(), Samples()
    with bench.gradus("backup-bytes") as gradus:
        gradus.cli("namespace", "create", "acme")
        for run in range(bench.runs):
            files.mark(model, run)
            gradus.cli("push", "weights", model.parent, "--to", f"acme/bench-{run}")
            for samples, (_, action) in zip((hashing, copying), limits(model, folder).items()):
                samples.add(seconds(action, run))
            out, target = folder / f"copies-{run}", folder / f"restored-{run}"
            # What earlier rounds pushed is there already, as it would be in a folder that is used every day.
            if run:
                os.rename(folder / f"copies-{run - 1}", out)
            copies.add(seconds(lambda: gradus.cli("backup", "--out", out)))
            again.add(seconds(lambda: gradus.cli("backup", "--out", out)) * 1000)
            if run == 0:
                back.add(seconds(lambda: restore(bench, "backup-bytes-SQLite", out, target)))
                shutil.rmtree(target)
    limit = ("limit", max(hashing.median, copying.median))
    bench.table.section(f"Backup: one file of {bench.size / GIB:g} GiB")
    bench.table.add("limit: openssl dgst -sha256", hashing, "s")
    bench.table.add("limit: copy with fsync", copying, "s")
    bench.table.add("backup of a new file", copies, "s", base=limit)
    bench.table.add("backup again, nothing new", again, "ms")
    bench.table.add("restore", back, "s", base=limit)
    shutil.rmtree(folder, ignore_errors=True)
    bench.discard("backup-bytes")


def many_facts(bench, database):
    name = "backup-facts"
    folder = bench.fresh(f"{name}-copies-{database}")
    model = files.model_folder(bench.folder / f"{name}-model-{database}" / "model", 1 << 16).parent
    with bench.gradus(name, database) as gradus:
        gradus.cli("namespace", "create", "acme")
        gradus.cli("push", "weights", model, "--to", "acme/large", "--version", "0.0.1")
        token = gradus.token
    print(f"  filling {database}", flush=True)
    rows_million.fill(bench, database, {"acme/large": bench.versions}, name)
    taken, back, memory = Samples(), Samples(), Samples()
    with bench.gradus(name, database, token) as gradus:
        memory.add(
            most_resident_while(
                gradus.pid, lambda: taken.add(seconds(lambda: gradus.cli("backup", "--out", folder, timeout=3600)))
            )
        )
    config = None
    if url := bench.database_url(f"{name}-restored", database):
        config = bench.folder / f"{name}-restored.toml"
        config.write_text(configuration(url))
    target = bench.folder / f"{name}-restored-{database}"
    # It is restored, and then finds that no entry of the log tells of the versions that were made by SQL.
    back.add(seconds(lambda: restore(bench, f"{name}-{database}", folder, target, config, expect=6)))
    bench.table.section(f"Backup: {bench.versions:,} versions, {database}")
    bench.table.add("backup", Samples([bench.versions / taken.median]), "versions/s")
    bench.table.add("the server's memory meanwhile", memory, "MiB", at_most=200)
    bench.table.add("restore, with the log gone through", Samples([bench.versions / back.median]), "versions/s")
    shutil.rmtree(target, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    bench.discard(name, database)
