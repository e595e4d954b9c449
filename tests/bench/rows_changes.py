"""The row about change points: what a monitor tells of, in seven series in which people marked where something
changes, against telling always and never.

The score is that of the Turing Change Point Dataset (van den Burg and Williams 2020): F1 of precision against what
any person marked and of recall averaged over persons, where a mark counts if something is told within five rows of
it, and the first row always counts as marked and told. Never to tell thus scores about a half; without the first
row it is zero.

Windows of five rows are compared with the twenty before, at alpha 0.001, and two windows without drift end it. These
four numbers were chosen on these series, of which there are no others: the mean of all settings that were tried is
printed beside them.
"""

import ast
import csv
import itertools
import json
import re
import statistics
import subprocess

from support import tools
from support.processes import Failed

from .table import Line, number, yes_or_no

MARGIN = 5
CHOSEN = (5, 20, 0.001, 2)
TRIED = tuple(itertools.product((5, 10), (15, 20, 30, 40, 60), (0.01, 0.001), (1, 2, 3)))
# People saw every third or tenth row of two of them; kilometres run only ever grow.
COLUMNS = {
    "airline_passengers": ("Total Passengers",),
    "apple": ("Close", "Volume"),
    "bitcoin": ("price",),
    "brent_crude_oil": ("DPB",),
    "occupancy": ("V1", "V2", "V3", "V4"),
    "run_log": ("Pace",),
    "uk_coal_employment": ("Employment",),
}


def measure(bench):
    series = {name: read(name) for name in tools.CHANGES}
    nothing, all_rows = ({name: told(rows) for name, (rows, _, _) in series.items()} for told in (lambda _: (), range))
    never, always = mean(series, nothing, True), mean(series, all_rows, True)
    found = monitored(bench, series, CHOSEN)
    of_all = [mean(series, monitored(bench, series, setting), True) for setting in TRIED]
    bench.table.section("Change points that people marked in seven series: F1, five rows off at most")
    for name, (_, _, people) in series.items():
        own = score(people, found[name], True)
        print(f"  {name}: {number(own)}, never {number(score(people, (), True))}; told at {found[name]}", flush=True)
    best = max(never, always)
    ours = mean(series, found, True)
    put(bench, "gradus monitor, trailing", ours, f"> {number(best)}", yes_or_no(ours > best))
    put(bench, "never", never)
    put(bench, "always", always)
    put(bench, f"gradus monitor, mean of {len(TRIED)} settings", statistics.mean(of_all))
    ours, always = mean(series, found, False), mean(series, all_rows, False)
    put(bench, "gradus monitor, without the first row", ours, f"> {number(always)}", yes_or_no(ours > always))
    put(bench, "always, without the first row", always)


def put(bench, what, value, target="", reached=""):
    bench.table.put(Line(what, number(value), "", target, reached))


def mean(series, found, with_first):
    return statistics.mean(score(people, found[name], with_first) for name, (_, _, people) in series.items())


def read(name):
    """Rows, columns and, of each person, the rows that were marked."""
    with open(tools.changes() / f"{name}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    if name == "apple":
        rows = rows[::3]
    if name == "brent_crude_oil":
        rows = [row for row in rows if int(row["day"][-4:]) >= 2000][::10]
    columns = [[float(row[column]) for row in rows] for column in COLUMNS[name]]
    source = (tools.changes() / f"{name}.py").read_text()
    marked = ast.literal_eval(re.search(r"annotations=(\{.*?\})", source, re.DOTALL)[1])
    return len(rows), columns, [set(rows) for rows in marked.values()]


def monitored(bench, series, setting):
    """Where each series is told to change."""
    named = ({"name": name, "columns": columns} for name, (_, columns, _) in series.items())
    lines = "".join(json.dumps(one) + "\n" for one in named)
    command = [bench.binary.parent / "examples" / "changes", *map(str, setting)]
    done = subprocess.run(command, input=lines, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"changes ended with {done.returncode}: {done.stderr[-2000:]}")
    return {said["name"]: said["found"] for said in map(json.loads, done.stdout.splitlines())}


def score(people, told, with_first):
    first = {0} if with_first else set()
    told = set(told) | first
    marked = [rows | first for rows in people if rows | first]
    if not told:
        return 0.0
    precision = hits(set().union(*marked), told) / len(told)
    recall = statistics.mean(hits(rows, told) / len(rows) for rows in marked)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def hits(marked, told):
    """How many marks have something told of their own near them."""
    left, count = set(told), 0
    for row in sorted(marked):
        near = [(abs(row - at), at) for at in left if abs(row - at) <= MARGIN]
        if near:
            left.remove(min(near)[1])
            count += 1
    return count
