"""A real `gradus serve` on loopback, and its CLI, for tests and benchmarks that look at it from outside."""

import contextlib
import json
import re
import subprocess
from pathlib import Path

from .processes import Failed, Server, answers, clean_environment, free_port

# The first start on an empty database prints its token once, on stderr.
TOKEN = re.compile(r"\bgradus_[A-Za-z0-9_-]{16,}")


def configuration(postgres=None, s3=None):
    """The text of a configuration file: a PostgreSQL URL, and the bucket in the words of `garage.node`."""
    lines = []
    if postgres:
        lines += ["[database]", f'url = "{postgres}"']
    if s3:
        options = {
            "endpoint": s3["GRADUS_TEST_S3_ENDPOINT"],
            "region": s3["GRADUS_TEST_S3_REGION"],
            "access_key_id": s3["GRADUS_TEST_S3_KEY"],
            "secret_access_key": s3["GRADUS_TEST_S3_SECRET"],
            "allow_http": "true",
        }
        lines += [
            "[[stores]]",
            'name = "bucket"',
            f'url = "s3://{s3["GRADUS_TEST_S3_BUCKET"]}/clients"',
            f'region = "{s3["GRADUS_TEST_S3_REGION"]}"',
            "[stores.options]",
        ]
        lines += [f'{name} = "{value}"' for name, value in options.items()]
    return "\n".join(lines) + "\n"


class Gradus:
    """A running server and its administrator's token; `cli` runs the same binary against it."""

    def __init__(self, binary, url, token, home, server=None):
        self.binary, self.url, self.token, self.server = binary, url, token, server
        self.env = clean_environment(home, GRADUS_SERVER=url, GRADUS_TOKEN=token, NO_COLOR="1")

    @property
    def host(self):
        return self.url.removeprefix("http://")

    @property
    def pid(self):
        return self.server.pid

    def cli(self, *arguments, expect=0, timeout=600):
        """Runs one verb; returns its stdout. `Failed` unless it exits with `expect`."""
        return run_cli(self.binary, arguments, self.env, expect, timeout)

    def json(self, *arguments):
        return json.loads(self.cli(*arguments, "--json"))


def run_cli(binary, arguments, env, expect=0, timeout=600):
    done = subprocess.run(
        [str(binary), *map(str, arguments)],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if done.returncode != expect:
        said = (done.stderr or done.stdout).strip()
        raise Failed(
            f"gradus {' '.join(map(str, arguments))}: exit code {done.returncode}, expected {expect}\n{said}"
        )
    return done.stdout


@contextlib.contextmanager
def serving(binary, data, log_folder, config=None, token=None, name="gradus", env=None):
    """Starts a server on the data directory and yields a `Gradus` when it is ready.

    `token` is for a second start on the same database, which prints none. `config` is the text of a
    configuration file, `env` is added to the environment.
    """
    url_host = f"127.0.0.1:{free_port()}"
    home, log = Path(log_folder) / "home", Path(log_folder) / f"{name}.log"
    command = [binary, "serve", "--data-dir", data, "--listen", url_host]
    if config is not None:
        file = Path(log_folder) / f"{name}.toml"
        file.write_text(config)
        command += ["--config", file]
    env = clean_environment(home, NO_COLOR="1", **(env or {}))
    with Server(name, command, log, env=env) as server:
        url = f"http://{url_host}"
        server.wait_until(lambda: answers(f"{url}/readyz"), every=0.002)
        if token is None:
            found = server.wait_until(lambda: TOKEN.search(log.read_text(errors="replace")), seconds=5)
            token = found[0]
        yield Gradus(binary, url, token, home, server)
