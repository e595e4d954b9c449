"""Rows about the log: going through a million events, on the server and over an export, against hashing their bytes.

The events are appended by the crate itself with the server stopped, each with its own checkpoint: the worst case,
as a transaction with several events has one for all of them.
"""

from support.processes import capture

from .measure import Samples, seconds


def measure(bench):
    events = bench.versions
    with bench.gradus("log") as gradus:
        gradus.cli("namespace", "create", "acme")
        token = gradus.token
    print(f"  appending {events:,} events", flush=True)
    capture([bench.log, "fill", bench.folder / "log-SQLite", events], timeout=1800)
    export, checkpoint = bench.folder / "log.export", bench.folder / "log.checkpoint"
    online, offline, hashing = Samples(), Samples(), Samples()
    with bench.gradus("log", token=token) as gradus:
        gradus.cli("audit", "export", "--out", export)
        checkpoint.write_text(gradus.cli("audit", "checkpoint"))
        key = gradus.cli("audit", "key").strip()
        known = ("--checkpoint", checkpoint)
        for _ in range(bench.runs):
            hashing.add(float(capture([bench.log, "hash", export])))
            online.add(seconds(gradus.cli, "audit", "verify", *known))
            offline.add(seconds(gradus.cli, "audit", "verify", "--from", export, *known, "--key", key))
    size = export.stat().st_size
    export.unlink()
    bench.discard("log")
    base = ("hashing", hashing.median)
    bench.table.section(f"Going through a log of {events:,} events, {size / events:.0f} bytes each")
    bench.table.add("hashing the bytes, one thread", hashing, "s")
    bench.table.add("audit verify, SQLite", online, "s", base=base, at_most=3)
    bench.table.add("audit verify --from EXPORT", offline, "s", base=base, at_most=3)
