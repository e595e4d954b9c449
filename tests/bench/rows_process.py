"""Rows about the process itself: resident memory, and how long a start takes with data already there."""

import contextlib
import shutil
import time

from . import files
from .measure import GIB, Samples, most_resident_while, resident

SETTLED = 2  # seconds after which an idle server is looked at


def memory(bench):
    """Idle, and the most while one large file streams in. The file is a hole on disk but not on the wire."""
    idle, streaming = Samples(), Samples()
    folder = bench.folder / "memory"
    files.model_folder(folder / "model", bench.large, sparse=True)
    with bench.gradus("memory-server") as gradus:
        gradus.cli("namespace", "create", "acme")
        time.sleep(SETTLED)
        idle.add(resident(gradus.pid))
        streaming.add(
            most_resident_while(
                gradus.pid,
                lambda: gradus.cli(
                    "push",
                    "weights",
                    folder / "model",
                    "--to",
                    "acme/large",
                    "--version",
                    "1.0.0",
                    timeout=1800,
                ),
            )
        )
    shutil.rmtree(folder)
    bench.discard("memory-server")
    bench.table.section("Resident memory")
    bench.table.add("gradus, idle", idle, "MiB", at_most=40)
    bench.table.add(f"gradus, most while {bench.large / GIB:g} GiB stream in", streaming, "MiB", at_most=100)
    for name, start in bench.start_peers().items():
        with start(bench.fresh(f"memory-{name}")) as peer:
            time.sleep(SETTLED)
            bench.table.add(f"{name}, idle", Samples([resident(peer.pid)]), "MiB")


def start(bench):
    """From the start of the process to the first successful readiness check, on a database that has data."""
    folder = files.model_folder(bench.folder / "start" / "model", 1 << 20).parent
    with bench.gradus("start-server") as gradus:
        gradus.cli("namespace", "create", "acme")
        for patch in range(20):
            files.mark(folder / "model.safetensors", patch)
            gradus.cli("push", "weights", folder, "--to", "acme/start", "--version", f"1.0.{patch}")
        token = gradus.token
    samples = {"gradus": Samples()} | {name: Samples() for name in bench.start_peers()}
    peer_folders = {name: bench.fresh(f"start-{name}") for name in bench.start_peers()}
    for name, start_peer in bench.start_peers().items():
        with start_peer(peer_folders[name]):
            pass  # its own first start makes its database
    for _ in range(bench.runs):
        samples["gradus"].add(until_ready(bench.gradus("start-server", token=token)))
        for name, start_peer in bench.start_peers().items():
            samples[name].add(until_ready(start_peer(peer_folders[name])))
    bench.table.section("Start to ready, existing data")
    bench.table.add("gradus", samples.pop("gradus"), "ms", at_most=150)
    for name, measured in samples.items():
        bench.table.add(name, measured, "ms")


def until_ready(starting):
    with contextlib.ExitStack() as stack:
        began = time.perf_counter()
        stack.enter_context(starting)
        return (time.perf_counter() - began) * 1000
