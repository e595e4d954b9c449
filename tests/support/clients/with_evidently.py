"""Evidently and SciPy, run on the same files, find what `gradus drift check --mode compat:evidently@0.7` finds."""

import json
import math
import subprocess
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from evidently import Report
from evidently.core.datasets import infer_column_type
from evidently.legacy.calculations import stattests
from evidently.legacy.calculations.stattests import StatTest, get_stattest
from evidently.legacy.core import ColumnType
from evidently.metrics import DriftedColumnsCount, ValueDrift
from scipy.stats import cramervonmises_2samp

from checks import Checks, equal

from support import tools

warnings.simplefilter("ignore")
run = Checks(__doc__)
gradus, folder = run.gradus, run.folder
COMPAT = "compat:evidently@0.7"
# Methods to ask for together: one for numbers, one for categories. Without one, the default is taken.
PAIRS = (
    *(("ks", "chisquare"), ("wasserstein", "z"), ("ed", "g_test"), ("anderson", "fisher_exact")),
    *((method, None) for method in ("cramer_von_mises", "es", "mannw", "t_test")),
    *((method, method) for method in ("psi", "jensenshannon", "kl_div", "hellinger")),
)
DISTANCES = {"wasserstein", "ed", "psi", "jensenshannon", "kl_div", "hellinger"}
# Their p-values are differences from 1 at SciPy, which leaves few digits of small ones.
FROM_ONE = {"cramer_von_mises", "z"}
# A report names a method by its title.
NAMES = {test.display_name: test.name for test in vars(stattests).values() if isinstance(test, StatTest)}
KINDS = {
    ColumnType.Numerical: ("numeric",),
    ColumnType.Categorical: ("categorical", "boolean"),
    ColumnType.Text: ("text",),
    ColumnType.Datetime: ("time",),
}
SCORED = ColumnType.Numerical, ColumnType.Categorical
# Of each method the differences found so far: absolute ones, and relative ones of small p-values.
FOUND = {}


# Files, and what Gradus and Evidently say of them.


def files(reference, current, ending="parquet"):
    """Writes both sides; returns their paths and what pandas, and so Evidently, reads there."""
    paths = [folder / f"{name}.{ending}" for name in ("reference", "current")]
    for path, frame in zip(paths, (reference, current)):
        if ending == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
    return paths, [read(path) for path in paths]


def read(path):
    # Unless told otherwise pandas may read the last digit of a number in CSV wrong.
    return pd.read_csv(path, float_precision="round_trip") if path.suffix == ".csv" else pd.read_parquet(path)


def drift(paths, *options, mode=COMPAT):
    """The exit code and the run of a check, its columns by name and in the order they have."""
    sides = "--reference", paths[0], "--data", paths[1]
    command = [gradus.binary, "drift", "check", "--mode", mode, *sides, "--json", *options]
    done = subprocess.run(
        list(map(str, command)), env=gradus.env, capture_output=True, text=True, timeout=120
    )
    if not done.stdout:
        said = done.stderr.strip().splitlines()[-1]
        raise AssertionError(f"exit code {done.returncode} and no report: {said}")
    found = json.loads(done.stdout)["run"]
    return done.returncode, found | {"columns": {column["column"]: column for column in found["columns"]}}


def report(reference, current):
    """What Evidently reports: `{column: (method, score, drifted)}`, and whether the data set drifted.

    These are the metrics of its DataDriftPreset, without the time that takes for a second set of pictures.
    """
    scored_ones = [name for name in current if infer_column_type(current[name]) in SCORED]
    metrics = [DriftedColumnsCount(), *(ValueDrift(column=name) for name in scored_ones)]
    said = json.loads(Report(metrics, include_tests=True).run(current, reference).json())
    whole, *drifted = [test["status"] == "FAIL" for test in said["tests"]]
    columns = {}
    for metric, is_drifted in zip(said["metrics"][1:], drifted, strict=True):
        columns[metric["config"]["column"]] = NAMES[metric["config"]["method"]], metric["value"], is_drifted
    return columns, whole


def scored(reference, current, kind, method=None):
    """One column by the function that the report calls, cleaned as there; None where that ends with an error."""
    sides = [side.replace([-np.inf, np.inf], np.nan).dropna() for side in (reference, current)]
    if method == "cramer_von_mises" and max(map(len, sides)) <= 20:
        # Evidently's copy of SciPy's exact p-value counts in half precision, or fails, with NumPy 2.
        p = cramervonmises_2samp(*sides).pvalue
        return method, p, p <= 0.1
    try:
        test = get_stattest(*sides, kind, method)
        result = test(*sides, kind, None)
    except ValueError:
        return None
    return test.name, float(result.drift_score), bool(result.drifted)


# Comparing them.


def is_same(method, wanted, found):
    if found is None or wanted is None or math.isnan(wanted):
        return found is None and (wanted is None or math.isnan(wanted))
    absolute, relative = FOUND.setdefault(method, ([], []))
    if method not in DISTANCES | FROM_ONE and wanted < 1e-6:
        # Below the least normal number SciPy gives some as 0.
        if max(found, wanted) < 2.3e-308:
            return True
        relative.append(abs(found - wanted) / wanted if wanted else math.inf)
        return relative[-1] <= 1e-6
    absolute.append(abs(found - wanted))
    return absolute[-1] <= 1e-9


def difference(name, wanted, column):
    """In words, or None. `wanted` is `(method, score, drifted)`, or None where there is no score."""
    test = column["tests"][0] if column["tests"] else {}
    found = test.get("statistic"), test.get("value"), column["verdict"]
    if wanted is None:
        same = not test and column["verdict"] in ("INVALID", "NO_DATA")
    else:
        method, score, drifted = wanted
        verdict = "DRIFT" if drifted else "OK"
        same = found[::2] == (method, verdict) and is_same(method, score, found[1])
    return None if same else f"{name}: expected {wanted}, found {found}"


def none_of(differences):
    """Raises all that there are."""
    there = [text for text in differences if text]
    if there:
        raise AssertionError(f"{len(there)} differences: " + "; ".join(there))


def agrees_with_report(paths, frames, passed_over=()):
    columns, drifted = report(*frames)
    code, found = drift(paths)
    equal(sorted(found["columns"]), sorted((*columns, *passed_over)), "columns")
    none_of(difference(name, wanted, found["columns"][name]) for name, wanted in columns.items())
    equal((found["verdict"], code), ("DRIFT", 10) if drifted else ("OK", 0), "verdict of the data set")


def agrees_by_type(paths, frames, method=None):
    """Types and scores of all columns. Evidently trains a classifier for texts, which have no score here."""
    found = drift(paths, *(("--stat", method) if method else ()))[1]["columns"]
    none_of(difference_by_type(name, *frames, found[name], method) for name in frames[1])


def difference_by_type(name, reference, current, column, method):
    # Where nothing else is said, Evidently takes the types of the current data for both sides.
    kind = infer_column_type(current[name])
    if kind in KINDS and column["kind"] not in KINDS[kind]:
        return f"{name}: expected {kind.value}, found {column['kind']}"
    has_score = kind in SCORED
    return difference(
        name, scored(reference[name], current[name], kind, method) if has_score else None, column
    )


# Data.


def table(rows, seed, moved=0.0):
    """Columns of many kinds; `moved` says how far from the reference."""
    random = np.random.default_rng(seed)
    holes, wild = random.normal(moved, 1, rows), random.lognormal(moved, 1, rows)
    holes[::9] = np.nan
    wild[:3] = np.inf, -np.inf, np.nan
    columns = {
        "normal": random.normal(moved, 1, rows),
        "holes": holes,
        "wild": wild,
        "ties": np.round(random.normal(moved, 1, rows), 1),
        "far": random.normal(8 * moved, 1, rows),
        "five_floats": random.choice([0.5, 1.5, 2.5, 3.5, 4.5], rows),
        "two_floats": random.choice([0.25, 0.5], rows, p=[0.4 - moved / 10, 0.6 + moved / 10]),
        "one_float": np.full(rows, 2.5),
        "many_ints": random.poisson(30 + 3 * moved, rows),
        "few_ints": random.integers(0, 7, rows),
        "two_ints": random.integers(3, 5, rows),
        "one_int": np.full(rows, 4),
        "words": random.choice(["a", "b", "c", "ä"], rows, p=[0.4, 0.3, 0.2, 0.1]),
        "new_word": random.choice(["a", "b", "c", "new"] if moved else ["a", "b", "c"], rows),
        "category": pd.Categorical(random.choice(["x", "y", "z"], rows), ["z", "y", "x", "never"]),
        "int_category": pd.Categorical(random.choice([1, 2, 3], rows)),
        "flag": random.random(rows) < 0.3 + moved / 10,
    }
    return pd.DataFrame(columns)


def draw(values, seed, rows=300):
    return pd.Series(np.random.default_rng(seed).choice(np.array(list(values), dtype=object), rows))


def sides(**columns):
    """Two tables: `NAME=(reference, current)`."""
    return [pd.DataFrame({name: pair[side] for name, pair in columns.items()}) for side in (0, 1)]


def drawn(**columns):
    """Two tables of values at random: `NAME=values`. They are of the type of the values."""
    tables = sides(**{name: (draw(values, 1), draw(values, 2)) for name, values in columns.items()})
    return [table.infer_objects() for table in tables]


@run.check
def default_methods_and_verdicts_are_those_of_evidently_s_report():
    for (n, m), moved in (((60, 40), 0.3), ((1000, 300), 1.0), ((1001, 4000), 0.1)):
        agrees_with_report(*files(table(n, 1), table(m, 2, moved)))


@run.check
def so_they_are_of_csv_files():
    agrees_with_report(*files(table(1500, 3), table(1100, 4, 1.0), ending="csv"))


@run.check
def each_method_by_name_gives_evidently_s_score_or_none_where_evidently_ends():
    # The p-value of KS is exact up to 10,000 rows.
    cases = ((12, 9), PAIRS), ((300, 300), PAIRS), ((1800, 700), PAIRS), ((10_500, 700), PAIRS[:1])
    for seed, ((n, m), pairs) in enumerate(cases):
        paths, (reference, current) = files(table(n, 10 + seed), table(m, 20 + seed, 0.15 * seed))
        kinds = {name: infer_column_type(current[name]) for name in current}
        for numeric, categorical in pairs:
            methods = dict.fromkeys(method for method in (numeric, categorical) if method)
            found = drift(paths, "--stat", ",".join(methods))[1]["columns"]
            differences = []
            for name, kind in kinds.items():
                method = numeric if kind is ColumnType.Numerical else categorical
                if method == "es" and current[name].nunique() < 5:
                    continue  # the matrix it inverts is singular, and SciPy takes rounding noise for rank
                wanted = scored(reference[name], current[name], kind, method)
                differences.append(difference(f"{method} of {name}, {n} and {m} rows", wanted, found[name]))
            none_of(differences)


@run.check
def where_evidently_ends_with_an_error_the_column_has_a_verdict():
    good = pd.Series(np.random.default_rng(5).normal(size=300))
    cases = (
        ({"bad": np.nan}, {"bad": good}, "NO_DATA"),
        ({"bad": good}, {"bad": np.nan}, "NO_DATA"),
        ({}, {"bad": good}, "INVALID"),
    )
    for *bad, verdict in cases:
        paths, frames = files(*(pd.DataFrame({"good": good} | columns) for columns in bad))
        try:
            report(*frames)
        except ValueError:
            pass
        else:
            raise AssertionError("Evidently has a report")
        code, found = drift(paths)
        column = found["columns"]["bad"]
        equal((column["verdict"], column["tests"]), (verdict, []), "the bad column")
        equal(
            (found["columns"]["good"]["verdict"], found["verdict"], code), ("OK", "OK", 0), "the good column"
        )


@run.check
def a_column_has_the_type_that_it_has_in_the_current_data():
    few, many = draw(range(5), 1).astype(int), draw(range(50), 1).astype(int)
    words, texts = draw("abc", 1), pd.Series([f"text {i}" for i in range(300)])
    tables = sides(
        few_to_many_ints=(few, many),
        many_to_few_ints=(many, few),
        words_to_texts=(words, texts),
        texts_to_words=(texts, words),
        numbers_to_words=(many / 2, words),
    )
    agrees_by_type(*files(*tables))


@run.check
def a_pandas_category_is_categorical_however_many_values_it_has_and_of_whatever_type():
    tables = drawn(floats=[1.5, 2.5, 3.0], ints=range(20))
    texts = [f"text {i}" for i in range(300)]
    agrees_by_type(*files(*(table.assign(texts=texts).astype("category") for table in tables)))


@run.check
def a_pandas_category_can_be_of_truth_values():
    agrees_by_type(*files(*(table.astype("category") for table in drawn(flags=[True, False]))))


@run.check
def few_whole_numbers_are_numeric_if_some_are_missing():
    tables = [table.astype("Int64") for table in drawn(gaps=[*range(8), None], whole=range(8))]
    agrees_by_type(*files(*tables, ending="csv"))
    # Without what pandas adds about itself it reads them in Parquet just so.
    paths = [folder / f"plain-{side}.parquet" for side in (0, 1)]
    for path, side in zip(paths, tables):
        pq.write_table(pa.Table.from_pandas(side).replace_schema_metadata(None), path)
    agrees_by_type(paths, [read(path) for path in paths])


@run.check
def a_csv_column_is_of_one_type_as_a_whole():
    tables = drawn(
        a_few_decimals=[*map(str, range(8))] * 4 + ["2.5"],
        a_few_words_among_numbers=[str(i / 8) for i in range(99)] + ["bad"] * 5,
        a_few_words_among_truth_values=["True", "False"] * 10 + ["maybe"],
    )
    agrees_by_type(*files(*tables, ending="csv"))


@run.check
def what_is_missing_in_csv_is_what_pandas_takes_for_it():
    signs = ["", "NA", "N/A", "null", "NULL", "None", "nan", "NaN", "n/a", "#N/A", "<NA>", "-NaN", "1.#IND"]
    words = {f"words and {sign!r}": ["a", "b", "c", sign] for sign in signs}
    numbers = {f"numbers and {sign!r}": [*(str(i / 8) for i in range(8)), sign] for sign in signs}
    agrees_by_type(*files(*drawn(**words, **numbers), ending="csv"))


@run.check
def whole_numbers_of_type_float_are_binned_as_floats():
    agrees_by_type(*files(*drawn(to_1=[0.0, 1.0], to_4=[0.0, 1.0, 2.0, 3.0, 4.0])), "hellinger")


@run.check
def the_first_of_whole_numbers_as_categories_is_the_smallest():
    agrees_by_type(*files(*drawn(positive=[2, 10, 33], negative=[-5, -10, 3])), "z")


# Real data: answers to the American Community Survey from Massachusetts, 2015 to 2018.

REFERENCE, ANALYSIS = (tools.census() / name for name in tools.CENSUS_FILES)
LATER = folder / "2018.parquet"


@run.check
def of_real_data_three_years_later_every_column_agrees():
    people = pd.read_parquet(ANALYSIS)
    people[people["year"] == 2018].to_parquet(LATER, index=False)
    # What the current data lack, Evidently does not miss.
    agrees_with_report(
        (REFERENCE, LATER), [pd.read_parquet(path) for path in (REFERENCE, LATER)], ["employed"]
    )


@run.check
def of_real_data_three_years_later_the_sound_mode_finds_the_ancestry_drifted_first():
    code, found = drift((REFERENCE, LATER), "--ignore", "id,year,employed", mode="sound")
    equal((found["verdict"], code), ("DRIFT", 10), "verdict")
    first, column = next(iter(found["columns"].items()))
    equal((first, column["verdict"]), ("ANC", "DRIFT"), "the first column")


@run.check
def of_40_random_halves_of_real_data_of_one_year_none_alarms_in_the_sound_mode():
    people = pd.read_parquet(REFERENCE).drop(columns=["id", "year"])

    def verdict(seed):
        order = np.random.default_rng(seed).permutation(len(people))
        paths = [folder / f"half-{seed}-{side}.parquet" for side in (0, 1)]
        for rows, path in zip((order[:10_000], order[10_000:20_000]), paths):
            people.iloc[rows].to_parquet(path, index=False)
        return drift(paths, mode="sound")[1]["verdict"]

    with ThreadPoolExecutor(2) as pool:
        verdicts = list(pool.map(verdict, range(40)))
    equal(set(verdicts) <= {"OK", "WARN"}, True, f"no alarm in {verdicts}")


for method, (absolute, relative) in sorted(FOUND.items()):
    greatest = f"{max(absolute, default=0):.1e} absolutely, {max(relative, default=0):.1e} of small p-values"
    print(f"{method}: {len(absolute) + len(relative)} compared, the greatest difference {greatest}")
run.exit()
