"""Timing, sampling and counting: the plain tools every row uses."""

import http.client
import os
import re
import statistics
import subprocess
import threading
import time
import urllib.parse
import urllib.request

from support.processes import Failed, capture

MIB, GIB = 1 << 20, 1 << 30


class Samples:
    """Measurements of one thing; everything that is printed comes from here."""

    def __init__(self, values=()):
        self.values = list(values)

    def add(self, value):
        self.values.append(value)

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def least(self):
        return min(self.values)

    @property
    def most(self):
        return max(self.values)

    def percentile(self, percent):
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def seconds(action, *arguments):
    """How long `action` takes. What earlier actions left to be written to disk is written first."""
    os.sync()
    began = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - began


def requests_per_second(url, duration, header=None):
    """What `wrk -t1 -c32` says; `Failed` if any answer was not a success."""
    headers = ["-H", header] if header else []
    said = capture(["wrk", "-t1", "-c32", f"-d{duration}s", *headers, url], timeout=duration + 60)
    for trouble in ("Non-2xx or 3xx responses", "Socket errors"):
        if trouble in said:
            raise Failed(f"wrk {url}: {re.search(trouble + '.*', said)[0]}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


def children(pid):
    """The process and everything it started, still running."""
    found = [pid]
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return []
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children") as file:
                for child in file.read().split():
                    found += children(int(child))
        except FileNotFoundError:
            pass
    return found


def resident(pid):
    """Resident memory of a process and its children, in MiB. Pages they share with each other count once."""
    processes = children(pid)
    if len(processes) == 1:
        return _kilobytes(f"/proc/{pid}/status", "VmRSS") / 1024
    return sum(_kilobytes(f"/proc/{process}/smaps_rollup", "Pss") for process in processes) / 1024


def _kilobytes(path, field):
    try:
        with open(path) as file:
            found = re.search(rf"^{field}:\s+(\d+) kB", file.read(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended in the meantime
    return int(found[1]) if found else 0


def most_resident_while(pid, action):
    """The most memory, in MiB, that the process held at any of many looks while `action` ran."""
    looks, done = [resident(pid)], threading.Event()

    def watch():
        while not done.wait(0.02):
            looks.append(resident(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        action()
    finally:
        done.set()
        watcher.join()
    return max(looks)


def seconds_and_bytes_read(command, env):
    """Runs a command; returns how long it took and how many bytes it read, from any file or socket."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = process.stderr.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, but its counters can still be read
    took = time.perf_counter() - began
    with open(f"/proc/{process.pid}/io") as file:
        read = int(re.search(r"rchar: (\d+)", file.read())[1])
    if process.wait() != 0:
        raise Failed(f"{command[0]} {command[1]}: exit code {process.returncode}\n{said.strip()}")
    return took, read


class Connection:
    """One keep-alive HTTP connection with a token, opened anew after a pause in which the server may have closed it."""

    PAUSE = 5

    def __init__(self, url, token=None):
        self.http = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.used = time.monotonic()

    def send(self, method, path, body=b"", content_type=None, expect=(200, 201, 202)):
        """Returns `(headers, body, seconds)`; `Failed` if the status is not one of `expect`."""
        headers = self.headers | ({"Content-Type": content_type} if content_type else {})
        if time.monotonic() - self.used > self.PAUSE:
            self.http.close()
        began = time.perf_counter()
        self.http.request(method, path, body=body, headers=headers)
        answer = self.http.getresponse()
        content = answer.read()
        took = time.perf_counter() - began
        self.used = time.monotonic()
        if answer.status not in expect:
            raise Failed(f"{method} {path}: {answer.status} {content[:500].decode(errors='replace')}")
        return answer.headers, content, took


def metric(url, name):
    """The sum of a counter over its labels, from a Prometheus page."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    found = [float(line.rsplit(" ", 1)[1]) for line in lines if re.match(re.escape(name) + r"[ {]", line)]
    if not found:
        raise Failed(f"{url}/metrics has no {name}")
    return sum(found)
