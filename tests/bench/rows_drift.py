"""Rows about drift: checks against Evidently in turn, a profile against only decoding, and how time grows.

All data are random numbers of fixed seeds, written as Parquet by pyarrow.
"""

import os
import subprocess
import time
from pathlib import Path

from support import tools
from support.processes import Failed

from .measure import MIB, Samples
from .table import Line

EVIDENTLY = """
import sys, pandas
from evidently import Report
from evidently.presets import DataDriftPreset
reference, current, page = sys.argv[1:]
report = Report([DataDriftPreset()])
report.run(pandas.read_parquet(current), pandas.read_parquet(reference)).save_html(page)
"""
MAKE = """
import sys, numpy, pyarrow, pyarrow.parquet as parquet
path, rows, columns, seed = sys.argv[1], *map(int, sys.argv[2:])
random = numpy.random.default_rng(seed)
names = [f"c{index}" for index in range(columns)]
writer = None
for start in range(0, rows, 1_000_000):
    count = min(1_000_000, rows - start)
    table = pyarrow.table({name: random.normal(size=count) for name in names})
    writer = writer or parquet.ParquetWriter(path, table.schema)
    writer.write_table(table)
writer.close()
"""


def check(bench):
    """From two Parquet files to one page, by Gradus and, in turn, by Evidently."""
    sizes = [(100_000, 20), (2_000, 100)] if bench.quick else [(1_000_000, 20), (2_000, 400)]
    for rows, columns in sizes:
        files = [made(bench, rows, columns, seed) for seed in (1, 2)]
        page = bench.folder / "page.html"
        ours, theirs, memory, their_memory = Samples(), Samples(), Samples(), Samples()
        for round in range(bench.runs):
            took, most = timed(
                bench.binary, "drift", "check", "--reference", files[0], "--data", files[1], "--report", page
            )
            ours.add(took)
            memory.add(most)
            # It takes minutes, and its ratio does not hang on a second run.
            if "evidently" in bench.peers and round == 0:
                took, most = timed(tools.evidently_python(), "-c", EVIDENTLY, *files, page)
                theirs.add(took)
                their_memory.add(most)
        bench.table.section(f"Drift check, {rows:,} x {columns} against the same, Parquet to page")
        bench.table.add("gradus", ours, "s")
        bench.table.add("gradus, resident memory", memory, "MiB", at_most=300)
        if theirs.values:
            bench.table.add("Evidently, resident memory", their_memory, "MiB")
            bench.table.add("Evidently", theirs, "s", base=("gradus", ours.median), at_least=30)
        for file in files:
            file.unlink()


def profile(bench):
    """A stream of rows into a profile, against only decoding the same file."""
    rows = 2_000_000 if bench.quick else 100_000_000
    file = made(bench, rows, 1, 3)
    decode = bench.binary.parent / "examples" / "decode"
    ours, limit, memory = Samples(), Samples(), Samples()
    for _ in range(bench.runs):
        limit.add(timed(decode, file)[0])
        took, most = timed(bench.binary, "drift", "profile", file, "-o", bench.folder / "a.profile")
        ours.add(took)
        memory.add(most)
    bench.table.section(f"Profile of {rows:,} rows of one column")
    bench.table.add("only decoding the Parquet", limit, "s")
    bench.table.add("gradus drift profile", ours, "s", base=("decoding", limit.median), at_most=1 / 0.12)
    bench.table.add("gradus drift profile, resident memory", memory, "MiB", at_most=300)
    file.unlink()


def growth(bench):
    """Time by rows and by columns: twice as many should take twice as long."""
    bench.table.section("Drift check, how time grows")
    base = 25_000 if bench.quick else 250_000
    for rows, columns in [(base, 8), (2 * base, 8), (4 * base, 8), (base, 16), (base, 32)]:
        files = [made(bench, rows, columns, seed) for seed in (1, 2)]
        took = Samples()
        for _ in range(bench.runs):
            took.add(timed(bench.binary, "drift", "check", "--reference", files[0], "--data", files[1])[0])
        cells = Samples(value * 1e9 / (2 * rows * columns) for value in took.values)
        bench.table.add(f"{rows:,} x {columns}: a value", cells, "ns")
        for file in files:
            file.unlink()


def soundness(bench):
    """False alarms and power of the sound decision; the whole tables are printed as they come."""
    replicates = "200" if bench.quick else "2000"
    ran = subprocess.run(
        [bench.binary.parent / "examples" / "soundness", replicates], stdout=subprocess.PIPE, text=True
    )
    print(ran.stdout, flush=True)
    missed = ran.stdout.strip().splitlines()[-1].split()[0]
    bench.table.section(f"Sound decision, {replicates} replicates a cell")
    bench.table.put(Line("targets missed, of the 45 printed above", missed, "", "0", "yes" if missed == "0" else "no"))


def golden(bench):
    """The numbers of the compat mode against Evidently and SciPy on the same files, as the tests compare them; the
    greatest difference of each method is printed as it comes."""
    script = Path(__file__).resolve().parents[1] / "support" / "clients" / "with_evidently.py"
    nowhere = ("--server", "http://127.0.0.1:9", "--token", "none")
    command = [tools.evidently_python(), "-B", script, *nowhere, "--gradus", bench.binary]
    ran = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    print(ran.stdout, flush=True)
    lines = ran.stdout.splitlines()
    agreed = sum(line.startswith("ok - ") for line in lines)
    failed = sum(line.startswith("FAILED - ") for line in lines)
    reached = "yes" if agreed and not failed and ran.returncode == 0 else "no"
    bench.table.section("Numbers of Evidently and SciPy, to 1e-9 and small p-values to 1e-6 of themselves")
    bench.table.put(Line("checks that agree", f"{agreed} of {agreed + failed}", "", "all", reached))


def made(bench, rows, columns, seed):
    path, script = bench.folder / f"{rows}x{columns}-{seed}.parquet", bench.folder / "make.py"
    script.write_text(MAKE)
    tools.run([tools.evidently_python(), script, path, str(rows), str(columns), str(seed)])
    return path


def timed(*command):
    """Seconds, and the most MiB that were resident. Drift is no failure."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 10):
        raise Failed(f"{command[0]} ended with {process.returncode}: {said[-2000:]}")
    return took, usage.ru_maxrss * 1024 / MIB
