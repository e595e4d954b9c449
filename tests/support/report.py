"""Counts what passed, failed and was skipped, and says it in one last line."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

CARGO_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored")
CHECK_RESULT = re.compile(r"^(ok|FAILED) - (.*)$")


class Report:
    def __init__(self):
        self.passed = self.failed = 0
        self.skips, self.phases, self.failures = [], [], []

    def skip(self, what, why):
        self.skips.append(f"{what}: {why}")

    def fail(self, what):
        self.failed += 1
        self.failures.append(what)

    @contextlib.contextmanager
    def phase(self, name):
        """Times one part of the run."""
        print(f"\n== {name}", flush=True)
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases.append((name, time.monotonic() - began))

    def run_tests(self, what, command, pattern=CARGO_RESULT, seconds=3600, **options):
        """Runs a test program, shows its output as it comes and adds up its results.

        A program that fails without a failed test (it did not build, it crashed) counts as one failure, and
        so does one that ran no test at all.
        """
        passed_before, failed_before = self.passed, self.failed
        # A session of its own, so that a program that hangs is stopped together with what it started.
        program = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            errors="replace",
            start_new_session=True,
            **options,
        )

        def give_up():
            self.fail(f"{what}: stopped after {seconds} s")
            stop_group(program)

        too_long = threading.Timer(seconds, give_up)
        too_long.start()
        try:
            for line in program.stdout:
                print(line, end="", flush=True)
                self.count(line, what, pattern)
            code = program.wait()
        finally:
            too_long.cancel()
            stop_group(program)
        if self.failed == failed_before and code != 0:
            self.fail(f"{what}: exit code {code}")
        elif (self.passed, self.failed) == (passed_before, failed_before):
            self.fail(f"{what}: ran no test")

    def count(self, line, what, pattern):
        match = pattern.match(line)
        if not match:
            return
        if pattern is CARGO_RESULT:
            passed, failed, ignored = map(int, match.groups())
            self.passed += passed
            for _ in range(failed):
                self.fail(f"{what} (see the output above)")
            for _ in range(ignored):
                self.skip(what, "marked ignored")
        elif match[1] == "ok":
            self.passed += 1
        else:
            self.fail(f"{what}: {match[2]}")

    def close(self, logs, skips_fail):
        """Prints the summary; returns the exit code. Keeps the logs only when something failed."""
        print("\n== time")
        for name, seconds in self.phases:
            print(f"  {seconds:7.1f} s  {name}")
        for skip in self.skips:
            print(f"skipped: {skip}")
        for failure in dict.fromkeys(self.failures):
            print(f"failed: {failure}")
        bad = self.failed > 0 or (skips_fail and bool(self.skips))
        if bad:
            print(f"logs: {Path(logs)}")
        if skips_fail and self.skips:
            print("a skip fails here, because CI=true")
        skipped = f", {len(self.skips)} skipped" if self.skips else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return 1 if bad else 0


def stop_group(program):
    """Ends a program of ours and its children, which share its session, unless it was waited for already."""
    if program.returncode is None:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()
