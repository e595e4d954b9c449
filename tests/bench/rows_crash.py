"""The row about crashes: the server is killed at random points while events are made, and started again. Every event must
reach each receiver at least once, in order within its workload, and nothing else may.
"""

import http.client
import json
import random
import threading
import time

from support.processes import Failed

from .listeners import Listeners
from .measure import Connection, Samples
from .rows_governance import send
from .rows_hooks import LOOPBACK, Turner, add_hook

# A short attempt makes a short lease: what a killed process held is taken over after three attempts and half a minute.
CONFIGURATION = LOOPBACK + "timeout_seconds = 1\n"
RECEIVERS = 2
CLIENTS = 4
SEED = 20_260_102


class Clients:
    """Several that make events at once, until the server is gone."""

    def __init__(self, turner, numbers):
        self.turner, self.numbers = turner, numbers
        self.lock, self.made, self.trouble = threading.Lock(), 0, None

    def run(self, gradus):
        connection = Connection(gradus.url, gradus.token)
        while True:
            with self.lock:
                number = next(self.numbers)
            try:
                self.turner.turn(connection, number)
            except (OSError, http.client.HTTPException):
                return
            except Failed as refused:
                self.trouble = refused
                return
            with self.lock:
                self.made += 1

    def until_killed(self, gradus, made, pause):
        """Makes events, and kills the server once that many were made in all, in the midst of others."""
        threads = [threading.Thread(target=self.run, args=[gradus]) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        while self.made < made and any(thread.is_alive() for thread in threads):
            time.sleep(0.001)
        time.sleep(pause)
        gradus.server.process.kill()
        gradus.server.process.wait(10)
        for thread in threads:
            thread.join()
        if self.trouble or self.made < made:
            raise Failed(f"the server did not take an event: {self.trouble}")


def survive(bench, database, receivers, events, kills, workloads):
    """Returns the events that were made, by position, once they all are delivered."""
    source = random.Random(SEED)
    moments = [*sorted(source.sample(range(1, events), kills - 1)), events]
    clients = token = None
    for moment in moments:
        with bench.gradus("crash", database, token, more=CONFIGURATION) as gradus:
            if clients is None:
                token = gradus.token
                gradus.cli("namespace", "create", "acme")
                turner = Turner(gradus, bench.folder / f"crash-model-{database}", workloads)
                connection = Connection(gradus.url, token)
                hooks = [add_hook(connection, url, "alias_set") for url in receivers.ready]
                clients = Clients(turner, iter(range(1 << 62)))
            clients.until_killed(gradus, moment, source.uniform(0, 0.02))
    with bench.gradus("crash", database, token, more=CONFIGURATION) as gradus:
        connection = Connection(gradus.url, token)
        deadline = time.monotonic() + 180
        while pending := sum(waiting(connection, hook) for hook in hooks):
            if time.monotonic() > deadline:
                raise Failed(f"after the last start {pending:,} deliveries are still to be made")
            time.sleep(0.1)
        made = {event["position"]: event for event in log(connection)}
    bench.discard("crash", database)
    return made


def waiting(connection, hook):
    return send(connection, "GET", f"/v1/hooks/{hook}", None)[0]["pending"]


def log(connection):
    """All events of an alias."""
    cursor = ""
    while cursor is not None:
        page, _ = send(connection, "GET", f"/v1/events?kind=alias_set&limit=1000&cursor={cursor}", None)
        yield from page["items"]
        cursor = page.get("next")


def compare(made, heard):
    """Returns how many deliveries are lost, out of order, invented, repeated."""
    got, newest = [set() for _ in range(RECEIVERS)], {}
    out_of_order = invented = repeated = 0
    for who, _, what in heard:
        said = json.loads(what)
        position = int(said["id"].rpartition("-")[2])
        event = made.get(position)
        if event is None or any(said[name] != event[name] for name in ("actor", "data")):
            invented += 1
        elif position in got[who]:
            repeated += 1
        else:
            got[who].add(position)
            lane = (who, event["data"]["workload"])
            out_of_order += position < newest.get(lane, -1)
            newest[lane] = position
    lost = RECEIVERS * len(made) - sum(map(len, got))
    return lost, out_of_order, invented, repeated


def measure(bench):
    events, kills, workloads = (1000, 5, 10) if bench.quick else (10_000, 20, 50)
    bench.table.section(f"{events:,} events to {RECEIVERS} receivers, the server killed {kills} times meanwhile")
    for database in bench.databases:
        with Listeners(bench.listeners, "receive", RECEIVERS, 0, 0) as receivers:
            made = survive(bench, database, receivers, events, kills, workloads)
            lost, out_of_order, invented, repeated = compare(made, receivers.take())
        of = f"of {RECEIVERS * len(made):,}"
        for what, count in {"lost": lost, "out of order": out_of_order, "invented": invented}.items():
            bench.table.add(f"gradus on {database}, {what}", Samples([count]), of, at_most=0)
        bench.table.add(f"gradus on {database}, sent twice", Samples([repeated]), of)
