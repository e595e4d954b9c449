"""A Buildbot, master and worker, on loopback, set up as deploy/buildbot/master.cfg says."""

import json
import secrets
import shutil
import urllib.parse
import urllib.request
from pathlib import Path

from .processes import Server, answers, capture, clean_environment, free_port

FILES = Path(__file__).resolve().parents[2] / "deploy" / "buildbot"


class Buildbot:
    """Made but not started. `programs` is the folder with `buildbot` and `buildbot-worker`, `worker` the worker's
    environment, `settings` the master's.
    """

    def __init__(self, programs, folder, secret_files, worker, **settings):
        self.programs, self.folder = Path(programs), Path(folder)
        self.web, self.workers = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.web}"
        self.master, self.worker = self.folder / "master", self.folder / "worker"
        self.secrets = {"worker-password": secrets.token_hex(32)} | secret_files
        secret_folder = self.folder / "secrets"
        secret_folder.mkdir(parents=True)
        for name, text in self.secrets.items():
            (secret_folder / name).write_text(text + "\n")
            (secret_folder / name).chmod(0o600)
        home = self.folder / "home"
        self.worker_env = clean_environment(home, **worker)
        self.master_env = clean_environment(
            home,
            BUILDBOT_URL=f"{self.url}/",
            BUILDBOT_WEB=f"tcp:{self.web}:interface=127.0.0.1",
            BUILDBOT_WORKERS=f"tcp:{self.workers}:interface=127.0.0.1",
            BUILDBOT_SECRETS=secret_folder,
            **settings,
        )
        self.running = []
        self.create()

    def create(self):
        quietly = {"env": self.worker_env, "cwd": self.folder}
        capture([self.programs / "buildbot", "create-master", self.master], **quietly)
        for file in ("master.cfg", "gradus_hook.py"):
            shutil.copy(FILES / file, self.master)
        address, password = f"127.0.0.1:{self.workers}", self.secrets["worker-password"]
        worker = ["create-worker", self.worker, address, "deployer", password]
        capture([self.programs / "buildbot-worker", *worker], **quietly)

    def start(self):
        """Starts the master, waits until it answers, and lets a worker connect."""
        self.run("buildbot", self.master, self.master_env)
        self.running[-1].wait_until(lambda: answers(f"{self.url}/api/v2/masters"))
        self.start_worker()

    def start_worker(self):
        self.run("buildbot-worker", self.worker, self.worker_env)
        self.running[-1].wait_until(lambda: self.get("workers")[0]["connected_to"])

    def run(self, program, place, env):
        command = [self.programs / program, "start", "--nodaemon", place]
        self.running.append(Server(program, command, place / "twistd.log", env))

    def stop_worker(self):
        self.running.pop().stop()

    def stop(self):
        while self.running:
            self.running.pop().stop()

    def get(self, what, **query):
        """What the REST API lists."""
        url = f"{self.url}/api/v2/{what}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            (found,) = [value for name, value in json.load(answer).items() if name != "meta"]
        return found

    def builds(self):
        """All builds, oldest first, each with its properties as `{name: value}`."""
        return [
            build | {"properties": {name: value for name, (value, _) in build["properties"].items()}}
            for build in self.get("builds", property="*", order="buildid")
        ]

    def changes(self):
        """All changes, oldest first."""
        return sorted(self.get("changes"), key=lambda change: change["changeid"])

    def finished(self, count):
        """The builds, when there are so many and all have ended."""

        def ready():
            found = self.builds()
            return found if len(found) >= count and all(build["complete"] for build in found) else None

        return self.running[0].wait_until(ready, seconds=45, every=0.2)

    def let_builds_be_stopped(self):
        """Lets whoever sees the web stop builds there, which master.cfg does not. Takes effect at the next start."""
        with (self.master / "master.cfg").open("a") as file:
            file.write('\nc["www"]["authz"] = util.Authz()\n')

    def stop_build(self, build):
        call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "stop", "params": {}}).encode()
        request = urllib.request.Request(
            f"{self.url}/api/v2/builds/{build['buildid']}", call, {"content-type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).close()

    def steps(self, build):
        """`{name: result}` of the steps that a build came to.

        0 is success, 2 failure, 3 skipped, 5 to be run again, 6 cancelled.
        """
        return {step["name"]: step["results"] for step in self.get(f"builds/{build['buildid']}/steps")}

    def printed(self, build):
        """What each step of a build printed: `[(name, text)]`."""
        return [
            (step["name"], chunk["content"])
            for step in self.get(f"builds/{build['buildid']}/steps")
            for log in self.get(f"steps/{step['stepid']}/logs")
            for chunk in self.get(f"logs/{log['logid']}/contents")
        ]

    def texts(self):
        """Everything that it wrote down: its own logs, and what the steps of all builds printed."""
        own = [file.read_text(errors="replace") for file in self.folder.rglob("*.log")]
        return own + [text for build in self.builds() for _, text in self.printed(build)]
