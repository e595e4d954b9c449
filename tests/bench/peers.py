"""The peers: Debian's docker-registry and PyPI's MLflow server, each on loopback with data of its own."""

import contextlib
import json
import subprocess
from pathlib import Path

from support import tools
from support.processes import Failed, Server, answers, capture, clean_environment, free_port

REGISTRY_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {data}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class Peer:
    def __init__(self, server, url):
        self.server, self.url = server, url

    @property
    def pid(self):
        return self.server.pid

    @property
    def host(self):
        return self.url.removeprefix("http://")


@contextlib.contextmanager
def docker_registry(folder):
    port = free_port()
    (folder / "registry").mkdir(exist_ok=True)
    config = folder / "registry.yml"
    config.write_text(REGISTRY_CONFIG.format(data=folder / "registry", port=port))
    with Server("docker-registry", ["docker-registry", "serve", config], folder / "registry.log") as server:
        server.wait_until(lambda: answers(f"http://127.0.0.1:{port}/v2/"), every=0.005)
        yield Peer(server, f"http://127.0.0.1:{port}")


@contextlib.contextmanager
def mlflow_server(folder):
    """MLflow as documented: SQLite, artifacts through the server, its default number of workers."""
    port, python = free_port(), tools.mlflow_python()
    data = folder / "mlflow"
    data.mkdir(exist_ok=True)
    command = [
        python,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        port,
        "--backend-store-uri",
        f"sqlite:///{data}/mlflow.db",
        "--artifacts-destination",
        data / "artifacts",
    ]
    env = clean_environment(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="1")
    with Server("mlflow", command, folder / "mlflow.log", env=env) as server:
        server.wait_until(lambda: answers(f"http://127.0.0.1:{port}/health"), seconds=120, every=0.02)
        yield Peer(server, f"http://127.0.0.1:{port}")


def skopeo_push(layout, registry, tag):
    capture(
        [
            "skopeo",
            "--insecure-policy",
            "copy",
            "--preserve-digests",
            "--dest-tls-verify=false",
            "--quiet",
            f"oci:{layout}:bench",
            f"docker://{registry.host}/{tag}",
        ],
        timeout=600,
    )


def skopeo_pull(registry, tag, folder):
    capture(
        [
            "skopeo",
            "--insecure-policy",
            "copy",
            "--preserve-digests",
            "--src-tls-verify=false",
            "--quiet",
            f"docker://{registry.host}/{tag}",
            f"dir:{folder}",
        ],
        timeout=600,
    )


class MlflowClient:
    """A worker in MLflow's own virtual environment: started once, so that its imports are not measured."""

    def __init__(self, url):
        script = Path(__file__).with_name("mlflow_client.py")
        env = clean_environment(
            MLFLOW_TRACKING_URI=url,
            MLFLOW_DISABLE_TELEMETRY="true",
            DO_NOT_TRACK="1",
            MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
        )
        self.process = subprocess.Popen(
            [tools.mlflow_python(), script],
            env=env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.call("ready")

    def call(self, verb, *arguments):
        print(json.dumps([verb, *map(str, arguments)]), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the MLflow client ended at {verb}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(f"MLflow {verb}: {answer['error']}")
        return answer["result"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
