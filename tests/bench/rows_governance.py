"""Rows about governance: what a promotion costs beside creating a version, and how soon a rollback is seen."""

import contextlib
import json
import time

from support.gradus import configuration, serving

from . import files
from .measure import Connection, Samples
from .rows_requests import gradus_versions, prepared

# Ten gates that pass, of every sort: what was found, what was measured, what is compared, what is computed.
GATES = """
gradus: policy/v1
rules:
  weights:
    production:
      skip: true
      gates:
        - lints
        - contract_honest
        - safe_formats
        - evaluation: { suite: suite-1, metric: accuracy, at_least: 0.8, min_n: 100 }
        - evaluation: { suite: suite-2, metric: accuracy, at_least: 0.8, confident: true }
        - no_regression: { suites: [suite-3], metrics: [accuracy], when_no_baseline: pass }
        - budget: { metric: latency, at_most: 900, unit: ms }
        - evidence_fresh: { kind: evaluation, max_days: 30 }
        - residency
        - expression: { rule: "version != '' && stage == 'production'" }
"""
NO_GATES = "gradus: policy/v1\nrules: { weights: { production: { skip: true, gates: [] } } }\n"
EVIDENCE = 50
ROLLBACKS = 200


def evaluation(number):
    accuracy = {
        "value": 0.9,
        "n": 20000,
        "unit": "ratio",
        "interval": {"low": 0.895, "high": 0.905, "level": 0.95},
    }
    latency = {"value": 400 + number, "n": 20000, "unit": "ms", "better": "lower"}
    metrics = {"accuracy": accuracy, "latency": latency}
    return json.dumps({"gradus": "evaluation/v1", "suite": f"suite-{number}", "metrics": metrics}).encode()


def send(connection, method, path, body):
    answer = connection.send(method, path, body, "application/json")
    return json.loads(answer[1]), answer[2]


def governed(gradus):
    """Two versions with as much evidence each, under the ten gates. Returns a function that promotes the other one."""
    connection = Connection(gradus.url, gradus.token)
    connection.send("PUT", "/v1/policies/acme", GATES.encode(), "application/yaml")
    for version in ("1.0.0", "1.0.1"):
        for number in range(1, EVIDENCE + 1):
            path = f"/v1/workloads/acme/bench/versions/{version}/evidence"
            send(connection, "POST", path, evaluation(number))
    turn = 0

    def one_more():
        nonlocal turn
        turn += 1
        body = json.dumps({"version": f"1.0.{turn % 2}"}).encode()
        answer, took = send(connection, "POST", "/v1/workloads/acme/bench/stages/production/promote", body)
        if answer["state"] != "promoted" or not answer["recorded"] or len(answer["report"]["gates"]) < 10:
            waits = [gate for gate in answer["report"]["gates"] if gate["outcome"] != "pass"]
            raise AssertionError(f"not promoted: {answer['state']}, {waits}")
        return took

    return one_more


def promote(bench):
    """Creations and promotions in turn, on the same server."""
    folder = files.model_folder(bench.folder / "promote" / "model", 1 << 16).parent
    bench.table.section(f"Promote, with 10 gates and {EVIDENCE} pieces of evidence on each side")
    with contextlib.ExitStack() as stack:
        for database in bench.databases:
            gradus = prepared(stack.enter_context(bench.gradus("promote", database)), folder)
            make, move = gradus_versions(gradus), governed(gradus)
            made, moved = Samples(), Samples()
            for _ in range(bench.runs):
                creations, promotions = Samples(), Samples()
                for _ in range(max(20, bench.creations // 5)):
                    creations.add(make() * 1000)
                    promotions.add(move() * 1000)
                made.add(creations.median)
                moved.add(promotions.median)
            bench.table.add(f"gradus on {database}, create a version", made, "ms")
            base = ("create", made.median)
            bench.table.add(f"gradus on {database}, promote", moved, "ms", base=base, at_most=2)


def rollback(bench):
    """From the acknowledgement of a rollback until every replica answers with what it leads back to."""
    folder = files.model_folder(bench.folder / "rollback" / "model", 1 << 16).parent
    bench.table.section("Roll back: acknowledged to seen on every replica, 99 of 100 within")
    for database in bench.databases:
        with contextlib.ExitStack() as stack:
            first = prepared(stack.enter_context(bench.gradus("rollback", database)), folder)
            replicas = [first]
            if database == "PostgreSQL":
                config = configuration(bench.database_url("rollback", database))
                data = bench.folder / f"rollback-{database}"
                for number in (2, 3):
                    server = serving(bench.binary, data, bench.folder, config, first.token, name=f"replica-{number}")
                    replicas.append(stack.enter_context(server))
            took = seen_after(replicas, ROLLBACKS if not bench.quick else 40)
        count = len(replicas)
        what = f"gradus on {database}, {count} replica{'s' if count > 1 else ''}"
        bench.table.add(what, Samples([sorted(took)[int(len(took) * 0.99) - 1]]), "ms", at_most=50)


def seen_after(replicas, count):
    connections = [Connection(replica.url, replica.token) for replica in replicas]
    connections[0].send("PUT", "/v1/policies/acme", NO_GATES.encode(), "application/yaml")
    stage = "/v1/workloads/acme/bench/stages/production"
    send(connections[0], "POST", f"{stage}/promote", b'{"version": "1.0.0"}')
    make, took = gradus_versions(replicas[0]), []
    for number in range(1, count + 1):
        make()
        send(connections[0], "POST", f"{stage}/promote", json.dumps({"version": f"1.1.{number}"}).encode())
        back, _ = send(connections[0], "POST", f"{stage}/rollback", b'{"reason": "bench"}')
        acknowledged, last = time.perf_counter(), 0.0
        for connection in connections:
            while True:
                answer, _ = send(connection, "GET", "/v1/workloads/acme/bench/resolve/production", None)
                last = time.perf_counter() - acknowledged
                if answer["version"] == back["to"]:
                    break
        took.append(last * 1000)
    return took
