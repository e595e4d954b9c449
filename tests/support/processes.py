"""Start, watch and stop processes: only our own, by pid, and with bounded waits."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path


class Failed(Exception):
    """Something the tests need did not work; the message says what and where its log is."""


def free_port():
    """A TCP port on loopback that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One child process whose output goes to a log file. Use as a context manager, or call `stop`."""

    def __init__(self, name, command, log, env=None, user=None, stop_signal=signal.SIGTERM, pass_fds=()):
        self.name, self.log, self.stop_signal = name, Path(log), stop_signal
        identity = {"user": user, "group": user, "extra_groups": []} if user else {}
        with open(log, "ab") as output:
            # Its own session: a Ctrl-C in the terminal reaches us first, and we stop it in order.
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                cwd=self.log.parent,
                start_new_session=True,
                pass_fds=pass_fds,
                **identity,
            )

    @property
    def pid(self):
        return self.process.pid

    def wait_until(self, ready, seconds=60, every=0.05):
        """Calls `ready()` until it answers something true, and returns that; gives up if the process ends."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failed(
                    f"{self.name} ended with exit code {self.process.returncode}\n{self.last_lines()}"
                )
            if answer := ready():
                return answer
            time.sleep(every)
        raise Failed(f"{self.name} was not ready after {seconds} s\n{self.last_lines()}")

    def last_lines(self, count=15):
        lines = self.log.read_text(errors="replace").splitlines()[-count:]
        return "\n".join([f"  log: {self.log}"] + [f"  | {line}" for line in lines])

    def stop(self, seconds=15):
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def answers(url, status=200):
    """Whether a GET of `url` gives `status`; a refused connection is a plain no."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status == status
    except urllib.error.HTTPError as error:
        return error.code == status
    except OSError:
        return False


def succeeds(command, **options):
    """Whether a command that prints nothing of interest exits with 0 within some seconds."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            timeout=20,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **options,
        )
    except (subprocess.TimeoutExpired, OSError):
        return False
    return done.returncode == 0


def capture(command, **options):
    """Runs a command to its end and returns what it printed on stdout; `Failed` if it did not exit with 0."""
    options.setdefault("timeout", 120)
    done = subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, **options
    )
    if done.returncode != 0:
        raise Failed(
            f"{command[0]} exited with {done.returncode}\n{done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout


def stop_at_signal():
    """Turns SIGTERM into an ordinary exit, so that context managers stop what they started."""

    def leave(number, _frame):
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def clean_environment(home=None, **extra):
    """This environment without what would point a client at somebody's real server or data.

    `home` is a folder for configuration, caches and data of programs that follow the XDG names; HOME itself
    stays, because the Rust toolchain lives there.
    """
    ours = ("GRADUS_SERVER", "GRADUS_TOKEN", "GRADUS_DATA", "GRADUS_SECRET", "GRADUS_ID_TOKEN")
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith(("GRADUS_TEST_", "ACTIONS_ID_TOKEN_"))
    }
    if home:
        env |= {
            f"XDG_{kind}_HOME": str(Path(home) / kind.lower())
            for kind in ("CONFIG", "CACHE", "DATA", "STATE")
        }
    return env | {name: str(value) for name, value in extra.items()}
