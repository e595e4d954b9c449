"""Rows about small requests: resolve under load, and the creation of versions one after the other."""

import collections
import contextlib
import hashlib
import json

from support.processes import Server, answers, free_port

from . import files, peers
from .api import resolve_path
from .measure import Connection, Samples, requests_per_second
from .rows_bytes import oci_layout

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
REFERENCES = {"alias": "champion", "range": "^1", "exact version": "1.0.1"}


@contextlib.contextmanager
def bare_axum(bench):
    port = free_port()
    with Server("bare axum", [bench.bare_axum, port], bench.folder / "bare_axum.log") as server:
        server.wait_until(lambda: answers(f"http://127.0.0.1:{port}/"), every=0.01)
        yield f"http://127.0.0.1:{port}/"


def prepared(gradus, folder):
    """A workload with three versions and an alias, pushed the ordinary way."""
    gradus.cli("namespace", "create", "acme")
    for patch in range(3):
        files.mark(folder / "model.safetensors", patch)
        gradus.cli("push", "weights", folder, "--to", "acme/bench", "--version", f"1.0.{patch}")
    gradus.cli("alias", "set", "champion", "acme/bench:1.0.1")
    return gradus


def resolve(bench):
    """All contestants are up at once and idle while another one is asked."""
    folder = files.model_folder(bench.folder / "resolve" / "model", 1 << 16).parent
    with contextlib.ExitStack() as stack:
        urls = {"bare axum": (stack.enter_context(bare_axum(bench)), None)}
        for database in bench.databases:
            gradus = prepared(stack.enter_context(bench.gradus("resolve", database)), folder)
            token = f"Authorization: Bearer {gradus.token}"
            for kind, tag in REFERENCES.items():
                urls[f"gradus on {database}, by {kind}"] = (
                    gradus.url + resolve_path("acme/bench", tag),
                    token,
                )
        urls |= peer_urls(bench, stack, folder)
        samples = collections.defaultdict(Samples)
        for _ in range(bench.runs):
            for name, (url, header) in urls.items():
                samples[name].add(requests_per_second(url, bench.load_seconds, header))
    base = ("bare axum", samples["bare axum"].median)
    bench.table.section("Resolve, requests per second (wrk -t1 -c32, gradus with a token)")
    for name, measured in samples.items():
        at_least = 0.3 if "SQLite" in name else 0.12 if "PostgreSQL" in name else None
        bench.table.add(name, measured, "/s", base=None if name == "bare axum" else base, at_least=at_least)


def peer_urls(bench, stack, folder):
    """What each peer calls resolving, as `{name: (URL, header)}`: a manifest by tag, a version by alias."""
    found = {}
    if "docker-registry" in bench.peers:
        registry = stack.enter_context(peers.docker_registry(bench.fresh("resolve-registry")))
        layout = oci_layout(bench.folder / "resolve" / "layout", folder / "model.safetensors")
        peers.skopeo_push(layout, registry, "bench:champion")
        found["docker-registry, manifest by tag"] = (
            f"{registry.url}/v2/bench/manifests/champion",
            f"Accept: {MANIFEST}",
        )
    if "mlflow" in bench.peers:
        server = stack.enter_context(peers.mlflow_server(bench.fresh("resolve-mlflow")))
        client = stack.enter_context(peers.MlflowClient(server.url))
        _, version = client.call("log_file", folder / "model.safetensors")
        client.call("set_alias", "champion", version)
        found["MLflow, version by alias"] = (
            f"{server.url}/api/2.0/mlflow/registered-models/alias?name=bench&alias=champion",
            None,
        )
    return found


def reads(bench):
    """Resolve with the access log and without it, in turn."""
    folder = files.model_folder(bench.folder / "reads" / "model", 1 << 16).parent
    off = "[reads]\nenabled = false\n"
    with contextlib.ExitStack() as stack:
        urls = {}
        for database in bench.databases:
            for kind, more in (("not kept", off), ("kept", "")):
                name = f"reads-{kind.replace(' ', '-')}"
                gradus = prepared(stack.enter_context(bench.gradus(name, database, more=more)), folder)
                token = f"Authorization: Bearer {gradus.token}"
                urls[database, kind] = (gradus.url + resolve_path("acme/bench", "champion"), token)
        samples = collections.defaultdict(Samples)
        for _ in range(bench.runs):
            for name, (url, header) in urls.items():
                samples[name].add(requests_per_second(url, bench.load_seconds, header))
    bench.table.section("Resolve with the access log, requests per second")
    for (database, kind), measured in samples.items():
        base = (f"not kept, on {database}", samples[database, "not kept"].median)
        is_base = kind == "not kept"
        name = f"gradus on {database}, reads {kind}"
        at_least = None if is_base else 0.9
        bench.table.add(name, measured, "/s", base=None if is_base else base, at_least=at_least)


def create(bench):
    """Versions of a workload that has their files already: manifest after manifest over one connection."""
    folder = files.model_folder(bench.folder / "create" / "model", 1 << 16).parent
    p50 = {}
    with contextlib.ExitStack() as stack:
        makers = {}
        for database in bench.databases:
            gradus = prepared(stack.enter_context(bench.gradus("create", database)), folder)
            makers[f"gradus on {database}"] = gradus_versions(gradus)
        if "mlflow" in bench.peers:
            server = stack.enter_context(peers.mlflow_server(bench.fresh("create-mlflow")))
            client = stack.enter_context(peers.MlflowClient(server.url))
            makers["MLflow (SQLite)"] = mlflow_versions(server, client, folder / "model.safetensors")
        for name, make in makers.items():
            p50[name] = Samples()
            for _ in range(bench.runs):
                took = Samples(make() for _ in range(bench.creations))
                p50[name].add(took.median * 1000)
    bench.table.section(f"Create a version, durable: median of {bench.creations} in a row")
    for name, measured in p50.items():
        at_most = 3 if "gradus on SQLite" in name else 6 if "gradus on PostgreSQL" in name else None
        bench.table.add(name, measured, "ms", at_most=at_most)


def gradus_versions(gradus):
    """Returns a function that creates one more version, with its own manifest, and says how long it took."""
    connection = Connection(gradus.url, gradus.token)
    _, manifest, _ = connection.send("GET", "/v2/acme/bench/manifests/1.0.0")
    manifest, number = json.loads(manifest), 0

    def one_more():
        nonlocal number
        number += 1
        annotations = manifest.get("annotations", {}) | {"org.example.number": str(number)}
        body = json.dumps(manifest | {"annotations": annotations}).encode()
        headers, _, took = connection.send("PUT", f"/v2/acme/bench/manifests/1.1.{number}", body, MANIFEST)
        wanted = "sha256:" + hashlib.sha256(body).hexdigest()
        if headers["Docker-Content-Digest"] != wanted:
            raise AssertionError(f"digest {headers['Docker-Content-Digest']} instead of {wanted}")
        return took

    return one_more


def mlflow_versions(server, client, model):
    run_id, _ = client.call("log_file", model)
    body = json.dumps({"name": "bench", "source": f"runs:/{run_id}/", "run_id": run_id}).encode()
    connection = Connection(server.url)
    return lambda: connection.send("POST", "/api/2.0/mlflow/model-versions/create", body, "application/json")[
        2
    ]
