"""Rows about hooks and streams: how soon what happens is told, to how many, and whether all of it is."""

import contextlib
import json
import statistics
import time

from support.processes import Failed

from . import files
from .listeners import Listeners
from .measure import Connection, Samples, resident
from .rows_governance import NO_GATES, send
from .rows_requests import prepared

LOOPBACK = '[hooks]\nallow = ["127.0.0.0/8"]\n'
WATCHERS = 1000
WARM, STEP = 20, 25
SETTLED = 2  # seconds after which an idle server is looked at
LIVE, SILENT, CLOSED = 45, 3, 2


def add_hook(connection, url, on):
    body = json.dumps({"scope": "acme", "url": url, "on": on}).encode()
    return send(connection, "POST", "/v1/hooks", body)[0]["id"]


class Turner:
    """Makes events, the cheapest there are: an alias of each of some workloads goes to and fro between two versions."""

    def __init__(self, gradus, folder, workloads):
        self.workloads = [f"acme/w{number}" for number in range(workloads)]
        model = files.model_folder(folder, 1 << 12)
        for version in ("1.0.0", "1.0.1"):
            files.mark(model, version[-1])
            for workload in self.workloads:
                gradus.cli("push", "weights", model.parent, "--to", workload, "--version", version)

    def turn(self, connection, number):
        """One more event, where none of a lower number comes later."""
        count = len(self.workloads)
        path = f"/v1/workloads/{self.workloads[number % count]}/aliases/champion"
        send(connection, "PUT", path, json.dumps({"to": f"1.0.{number // count % 2}"}).encode())


def latency(bench):
    """Promotions one after the other, each once the one before was received."""
    folder = files.model_folder(bench.folder / "hooks" / "model", 1 << 16).parent
    count = 100 if bench.quick else 300
    bench.table.section(f"From a promotion's acknowledgement to its receiver, {count} promotions")
    for database in bench.databases:
        p50, p99 = Samples(), Samples()
        with (
            bench.gradus("hooks", database, more=LOOPBACK) as gradus,
            Listeners(bench.listeners, "receive", 1, 0, 0) as receiver,
        ):
            connection = Connection(prepared(gradus, folder).url, gradus.token)
            connection.send("PUT", "/v1/policies/acme", NO_GATES.encode(), "application/yaml")
            add_hook(connection, receiver.ready[0], "promoted:production")
            for _ in range(bench.runs):
                took = Samples()
                for number in range(count):
                    body = json.dumps({"version": f"1.0.{number % 2}"}).encode()
                    send(connection, "POST", "/v1/workloads/acme/bench/stages/production/promote", body)
                    acknowledged = time.monotonic()
                    receiver.wait_for(1)
                    [[_, received, _]] = receiver.take()
                    took.add(max(0, received - acknowledged) * 1000)
                p50.add(took.median)
                p99.add(took.percentile(99))
        bench.table.add(f"gradus on {database}, half of them within", p50, "ms")
        bench.table.add(f"gradus on {database}, 99 of 100 within", p99, "ms", at_most=100)


def watchers(bench):
    """An event after the other, from asking for it until the last watcher has it; and what watchers hold."""
    count = 20 if bench.quick else 50
    bench.table.section(f"{WATCHERS:,} watchers of the log, {count} events")
    for database in bench.databases:
        took = Samples()
        with watched(bench, "watchers", database) as (gradus, tell):
            before = resident(gradus.pid)
            with Listeners(bench.listeners, "watch", gradus.url, WATCHERS, token=gradus.token) as listeners:
                for _ in range(bench.runs):
                    slowest = Samples()
                    for _ in range(count):
                        asked = time.monotonic()
                        tell()
                        listeners.wait_for(WATCHERS)
                        heard = listeners.take()
                        if len({who for who, _, _ in heard}) != WATCHERS:
                            raise Failed("a watcher was told twice, or another event")
                        slowest.add((max(when for _, when, _ in heard) - asked) * 1000)
                    took.add(slowest.median)
                at_once = (resident(gradus.pid) - before) * 1024 / WATCHERS
        with watched(bench, "watchers-by-and-by", database) as (gradus, tell), contextlib.ExitStack() as stack:
            before = resident(gradus.pid)
            for _ in range(WATCHERS // STEP):
                few = Listeners(bench.listeners, "watch", gradus.url, STEP, token=gradus.token)
                stack.enter_context(few)
            tell()
            time.sleep(SETTLED)
            by_and_by = (resident(gradus.pid) - before) * 1024 / WATCHERS
        memory = f"gradus on {database}, resident memory of each that comes"
        bench.table.add(f"gradus on {database}, all are told within", took, "ms", at_most=250)
        bench.table.add(f"{memory} by and by", Samples([by_and_by]), "KiB", at_most=20)
        bench.table.add(f"{memory} with all others at once", Samples([at_once]), "KiB", at_most=20)


@contextlib.contextmanager
def watched(bench, name, database):
    """A server that has seen some watchers and is idle, and a function that makes an event there."""
    with bench.gradus(name, database) as gradus:
        gradus.cli("namespace", "create", "acme")
        turner = Turner(gradus, bench.folder / f"{name}-model-{database}", 1)
        connection, turns = Connection(gradus.url, gradus.token), iter(range(1 << 30))

        def tell():
            turner.turn(connection, next(turns))

        with Listeners(bench.listeners, "watch", gradus.url, WARM, token=gradus.token) as listeners:
            tell()
            listeners.wait_for(WARM)
        time.sleep(SETTLED)
        yield gradus, tell


def backlog(bench):
    """What queues while hooks are paused, sent once they are resumed; dead receivers have as much queued as others."""
    events, workloads = (200 if bench.quick else 2000), 10
    with (
        bench.gradus("backlog", more=LOOPBACK) as gradus,
        Listeners(bench.listeners, "receive", LIVE, SILENT, CLOSED) as receivers,
    ):
        gradus.cli("namespace", "create", "acme")
        turner = Turner(gradus, bench.folder / "backlog-model", workloads)
        connection = Connection(gradus.url, gradus.token)
        hooks = [add_hook(connection, url, "alias_set") for url in receivers.ready]
        for hook in hooks:
            send(connection, "POST", f"/v1/hooks/{hook}/pause", b"{}")
        print(f"  queueing {events * len(hooks):,} deliveries", flush=True)
        for number in range(events):
            turner.turn(connection, number)
        began = time.monotonic()
        for hook in hooks:
            send(connection, "POST", f"/v1/hooks/{hook}/resume", b"{}")
        receivers.wait_for(LIVE * events, 300)
        heard = receivers.take()
        ends = {who: max(when for one, when, _ in heard if one == who) - began for who in range(LIVE)}
    if len(heard) != LIVE * events or len({(who, what) for who, _, what in heard}) != len(heard):
        raise Failed(f"{len(heard):,} deliveries were received of {LIVE * events:,}, or one of them twice")
    last, mean = max(ends.values()), statistics.mean(ends.values())
    bench.discard("backlog")
    bench.table.section(
        f"{events * len(hooks):,} pending deliveries to {len(hooks)} receivers, {SILENT + CLOSED} of them dead"
    )
    bench.table.add("gradus on SQLite, to live receivers", Samples([LIVE * events / last]), "/s", at_least=1000)
    bench.table.add("the mean live receiver has all after", Samples([mean]), "s")
    bench.table.add("the last one", Samples([last]), "s", base=("mean", mean), at_most=1.5)
