"""Rows about bytes: push, push again and pull one large file, against the limit and the peers."""

import collections
import contextlib
import hashlib
import json
import os
import shutil

from support.gradus import run_cli
from support.processes import capture, clean_environment

from . import files, peers
from .api import RECEIVED_BYTES
from .measure import GIB, MIB, Samples, metric, seconds, seconds_and_bytes_read


def limits(path, folder):
    """What no registry can beat: hashing the file, and copying it with fsync. The copy is a new file each round, as
    a push makes one: on many disks blocks that were never written before take several times as long as those of a
    file that is written over."""
    return {
        "openssl dgst -sha256": lambda run: capture(["openssl", "dgst", "-sha256", path]),
        "copy with fsync": lambda run: capture(
            ["dd", f"if={path}", f"of={folder / f'copy-{run}'}", "bs=1M", "conv=fsync", "status=none"]
        ),
    }


class Bytes:
    def __init__(self, bench, stack):
        self.bench, self.folder = bench, bench.folder / "bytes"
        self.model = files.model_folder(self.folder / "model", bench.size)
        self.server = stack.enter_context(bench.gradus("bytes-server"))
        self.server.cli("namespace", "create", "acme")
        self.local_env = clean_environment(self.folder / "home", NO_COLOR="1")
        self.local_data = self.folder / "local"
        self.registry = self.mlflow = None
        if "docker-registry" in bench.peers:
            self.registry = stack.enter_context(peers.docker_registry(self.folder))
        if "mlflow" in bench.peers:
            server = stack.enter_context(peers.mlflow_server(self.folder))
            self.mlflow = stack.enter_context(peers.MlflowClient(server.url))
        self.mlflow_runs = {}

    def push_verb(self, run):
        return ["push", "weights", self.model.parent, "--to", "acme/bench", "--version", f"1.0.{run}"]

    def push(self, run):
        self.server.cli(*self.push_verb(run))

    def push_local(self, run):
        run_cli(self.bench.binary, [*self.push_verb(run), "--data-dir", self.local_data], self.local_env)

    def push_mlflow(self, run):
        self.mlflow_runs[run], _ = self.mlflow.call("log_file", self.model)

    def push_again(self, run, samples):
        """The same directory once more: how long, what the server received, what the client read."""
        before = metric(self.server.url, RECEIVED_BYTES)
        took, read = seconds_and_bytes_read([self.bench.binary, *self.push_verb(run)], self.server.env)
        samples["again", "time"].add(took * 1000)
        samples["again", "received"].add(metric(self.server.url, RECEIVED_BYTES) - before)
        samples["again", "read"].add(read / MIB)

    def pull(self, run):
        self.server.cli("pull", f"acme/bench:1.0.{run}", "--out", self.out())

    def out(self):
        """A folder for a pull; the one before is removed, outside of what is timed."""
        return self.folder / "out"

    def prepare(self, run):
        """New content for the next round, which no contestant has seen, and the layout for skopeo."""
        files.mark(self.model, run)
        self.layout = oci_layout(self.folder / "layout", self.model)

    def contestants(self):
        """Who pushes and who pulls, by name."""
        push = {"gradus server": self.push, "gradus local mode": self.push_local}
        pull = {"gradus": self.pull}
        if self.registry:
            push["docker-registry"] = lambda run: peers.skopeo_push(
                self.layout, self.registry, f"bench:v{run}"
            )
            pull["docker-registry"] = lambda run: peers.skopeo_pull(
                self.registry, f"bench:v{run}", self.out()
            )
        if self.mlflow:
            push["MLflow"] = self.push_mlflow
            pull["MLflow"] = lambda run: self.mlflow.call("fetch", self.mlflow_runs[run], make(self.out()))
        return push, pull


def make(folder):
    folder.mkdir(exist_ok=True)
    return folder


def oci_layout(folder, model):
    """An OCI layout whose one layer is a hard link to the model file."""
    shutil.rmtree(folder, ignore_errors=True)
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(value, media_type):
        content = json.dumps(value).encode()
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    with open(model, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    os.link(model, blobs / digest)
    layer = {
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": f"sha256:{digest}",
        "size": model.stat().st_size,
    }
    config = add(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        },
        "application/vnd.oci.image.config.v1+json",
    )
    manifest = add(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": [layer],
        },
        "application/vnd.oci.image.manifest.v1+json",
    )
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "bench"}
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    return folder


def measure(bench):
    """All of these rows come from the same rounds, so that their ratios are between neighbours in time."""
    with contextlib.ExitStack() as stack:
        it = Bytes(bench, stack)
        push, pull = it.contestants()
        samples = collections.defaultdict(Samples)
        for run in range(bench.runs):
            print(f"  round {run + 1} of {bench.runs}", flush=True)
            it.prepare(run)
            for name, action in (limits(it.model, it.folder) | push).items():
                samples["push", name].add(seconds(action, run))
            it.push_again(run, samples)
            for name, action in pull.items():
                shutil.rmtree(it.out(), ignore_errors=True)
                samples["pull", name].add(seconds(action, run))
        write(bench.table, bench.size, samples)
    shutil.rmtree(it.folder, ignore_errors=True)


def write(table, size, samples):
    hashing, copying = samples["push", "openssl dgst -sha256"], samples["push", "copy with fsync"]
    limit = ("limit", max(hashing.median, copying.median))
    targets = {("push", "gradus server"): 2.0, ("push", "gradus local mode"): 1.5, ("pull", "gradus"): 1.7}
    table.section(f"Bytes: one file of {size / GIB:g} GiB")
    table.add("limit: openssl dgst -sha256", hashing, "s")
    table.add("limit: copy with fsync", copying, "s")
    for (verb, name), measured in samples.items():
        if verb in ("push", "pull") and measured not in (hashing, copying):
            table.add(f"{verb}: {name}", measured, "s", base=limit, at_most=targets.get((verb, name)))
    table.add("push again, unchanged: time", samples["again", "time"], "ms")
    table.add("push again, unchanged: blob bytes received", samples["again", "received"], "B", at_most=0)
    table.add("push again, unchanged: the client read", samples["again", "read"], "MiB", at_most=16)
