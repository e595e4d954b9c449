"""A throw-away PostgreSQL cluster on loopback, in a directory of its own."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import tempfile
from pathlib import Path

from .processes import Server, capture, free_port, succeeds


def programs():
    """The folder of the newest installed server programs (Debian keeps them out of PATH), or None."""

    def release(folder):
        return int(re.sub(r"\D.*", "", folder.parent.name) or 0)

    found = [folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if (folder / "initdb").exists()]
    if found:
        return max(found, key=release)
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def unprivileged_user():
    """PostgreSQL refuses to run as root: the account to run it as then, or None to stay who we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return None


@contextlib.contextmanager
def cluster(log_folder, durable=True):
    """Runs a cluster and yields `(url, server)`; the cluster and its directory are gone afterwards.

    The directory is not inside ours: the other account must be able to reach it, and the path of a unix
    socket has to stay short.
    """
    bin_folder, user = programs(), unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="gradus-pg-", dir="/tmp"))
    identity = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    if user:
        shutil.chown(folder, user)
    try:
        data, port = folder / "data", free_port()
        capture(
            [
                bin_folder / "initdb",
                "-D",
                data,
                "-U",
                "gradus",
                "--auth=trust",
                "--encoding=UTF8",
                # Not the C locale: what is ordered byte by byte must say so itself.
                "--locale=C.UTF-8",
                "--locale-provider=icu",
                "--icu-locale=en-US",
                "--no-sync",
            ],
            cwd=folder,
            **identity,
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": folder,
            "max_connections": 200,
            "fsync": "on" if durable else "off",
            "log_min_messages": "warning",
        }
        command = [bin_folder / "postgres", "-D", data]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        # SIGINT is "fast shutdown": open connections are cut instead of waited for.
        with Server(
            "postgres", command, Path(log_folder) / "postgres.log", user=user, stop_signal=signal.SIGINT
        ) as server:
            url = f"postgres://gradus@127.0.0.1:{port}/postgres"
            ready = [bin_folder / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            server.wait_until(lambda: succeeds(ready))
            yield url, server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create_database(url, name):
    """Makes a database of its own in the cluster of `url` and returns its URL."""
    server = url.rpartition("/")[0]
    capture([programs() / "createdb", f"--maintenance-db={url}", name])
    return f"{server}/{name}"
