"""Receivers of hooks and watchers of the log, by the program `listeners`, which is fast enough not to be measured itself."""

import json
import subprocess

from support.processes import Failed, clean_environment


class Listeners:
    """Runs the program; `ready` is what it said first. Times it tells are those of `time.monotonic()`."""

    def __init__(self, program, *arguments, token=""):
        self.process = subprocess.Popen(
            [str(program), *map(str, arguments)],
            env=clean_environment(GRADUS_TOKEN=token),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.ready = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the listeners ended with exit code {self.process.wait(10)}")
        return json.loads(line)

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return self.answer()

    def wait_for(self, count, seconds=60):
        """Waits until that much was heard since it was last taken; `Failed` if that takes too long."""
        heard = self.ask("wait", count, seconds)
        if not isinstance(heard, int) or heard < count:
            raise Failed(f"of {count:,} that were to be heard there came within {seconds} s: {heard}")

    def take(self):
        """All that was heard since, as `(who, when, what)`."""
        return self.ask("take")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
