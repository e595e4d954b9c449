"""The outside programs the tests use: what is missing, how it is installed, where slow builds are kept."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from . import postgres
from .processes import Failed, succeeds

GARAGE_VERSION = "2.5.0"
ORAS_VERSION = "0.2.43"
MLFLOW_VERSION = "3.17.2"
MODEL_SIGNING_VERSION = "1.1.1"
CYCLONEDX_VERSION = "11.12.0"
TLOG_VERSION = "0.0.3"
BUILDBOT_VERSION = "4.3.0"


def cache():
    """Where slow builds are kept: outside the clone, so that a fresh clone does not build them again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("GRADUS_TOOLS") or Path(base) / "gradus-tools")


def garage():
    return cache() / "bin" / "garage"


def client_python():
    """The interpreter of the virtual environment that holds the PyPI clients of the tests."""
    return cache() / f"oras-{ORAS_VERSION}" / "bin" / "python"


def signing_python():
    return cache() / f"model-signing-{MODEL_SIGNING_VERSION}" / "bin" / "python"
def tlog_python():
    """Of the independent verifier of transparency logs."""
    return cache() / f"tlog-scales-{TLOG_VERSION}" / "bin" / "python"


def mlflow_python():
    return cache() / f"mlflow-{MLFLOW_VERSION}" / "bin" / "python"


def cyclonedx_python():
    return cache() / f"cyclonedx-{CYCLONEDX_VERSION}" / "bin" / "python"


def buildbot_python():
    return cache() / f"buildbot-{BUILDBOT_VERSION}" / "bin" / "python"


@dataclass(frozen=True)
class Tool:
    """One outside program. `debian` names the packages that bring it; `build` is for everything else."""

    name: str
    present: Callable[[], bool]
    debian: tuple = ()
    build: Callable[[], None] | None = None
    takes: str = "seconds"

    def source(self):
        return "Debian: " + " ".join(self.debian) if self.debian else self.name


def on_path(program):
    return lambda: shutil.which(program) is not None


def garage_is_current():
    return garage().exists() and succeeds(
        ["grep", "-q", f"garage {GARAGE_VERSION} ", cache() / ".crates.toml"]
    )


def build_garage():
    # Its own profile asks for link-time optimisation, which costs more minutes than the tests can win back.
    env = os.environ | {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16"}
    # The clone's target folder would be removed with the clone; this one goes when the build is done.
    env["CARGO_TARGET_DIR"] = str(cache() / "garage-target")
    run(["cargo", "install", "garage", "--version", GARAGE_VERSION, "--locked", "--root", cache()], env=env)
    shutil.rmtree(cache() / "garage-target", ignore_errors=True)


def virtual_environment(python, *requirements):
    def build():
        folder = python.parent.parent
        run([sys.executable, "-m", "venv", "--clear", folder])
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])

    return build


C_COMPILER = Tool(
    "C compiler and make",
    lambda: all(map(shutil.which, ("cc", "make", "pkg-config"))),
    debian=("build-essential", "pkg-config"),
)
VENV = Tool(
    "python venv",
    lambda: succeeds([sys.executable, "-c", "import ensurepip, venv"]),
    debian=("python3-venv",),
)
POSTGRES = Tool("postgresql", lambda: postgres.programs() is not None, debian=("postgresql",))
SKOPEO = Tool("skopeo", on_path("skopeo"), debian=("skopeo",))
UMOCI = Tool("umoci", on_path("umoci"), debian=("umoci",))
OPENSSL = Tool("openssl", on_path("openssl"), debian=("openssl",))
SQLITE = Tool("sqlite3", on_path("sqlite3"), debian=("sqlite3",))
WRK = Tool("wrk", on_path("wrk"), debian=("wrk",))
DOCKER_REGISTRY = Tool("docker-registry", on_path("docker-registry"), debian=("docker-registry",))
GARAGE = Tool(
    f"Cargo package: garage {GARAGE_VERSION}", garage_is_current, build=build_garage, takes="5-10 minutes"
)
ORAS = Tool(
    f"PyPI: oras {ORAS_VERSION}",
    lambda: succeeds([client_python(), "-c", "import oras.client"]),
    build=virtual_environment(client_python(), f"oras=={ORAS_VERSION}"),
)
MODEL_SIGNING = Tool(
    f"PyPI: model-signing {MODEL_SIGNING_VERSION}",
    lambda: succeeds([signing_python(), "-m", "model_signing", "--help"]),
    # It imports pyOpenSSL without saying that it needs it.
    build=virtual_environment(
        signing_python(), f"model-signing=={MODEL_SIGNING_VERSION}", "pyOpenSSL"
    ),
)
CYCLONEDX = Tool(
    f"PyPI: cyclonedx-python-lib {CYCLONEDX_VERSION}",
    lambda: succeeds([cyclonedx_python(), "-c", "import cyclonedx.validation.json, jsonschema"]),
    build=virtual_environment(
        cyclonedx_python(), f"cyclonedx-python-lib[json-validation]=={CYCLONEDX_VERSION}"
    ),
)
TLOG = Tool(
    f"PyPI: tlog-scales {TLOG_VERSION}",
    lambda: succeeds([tlog_python(), "-c", "import tlog_scales.reader"]),
    build=virtual_environment(tlog_python(), f"tlog-scales=={TLOG_VERSION}"),
)
BUILDBOT = Tool(
    f"PyPI: buildbot {BUILDBOT_VERSION}",
    lambda: succeeds(
        [buildbot_python(), "-c", "import buildbot.www.service, buildbot_www, buildbot_worker, standardwebhooks"]
    ),
    # Without buildbot-www it answers no HTTP at all, hooks and REST API included.
    build=virtual_environment(
        buildbot_python(),
        f"buildbot=={BUILDBOT_VERSION}",
        f"buildbot-www=={BUILDBOT_VERSION}",
        f"buildbot-worker=={BUILDBOT_VERSION}",
        "standardwebhooks==1.1.0",
    ),
)
MLFLOW = Tool(
    f"PyPI: mlflow {MLFLOW_VERSION}",
    lambda: succeeds([mlflow_python(), "-c", "import mlflow"]),
    build=virtual_environment(mlflow_python(), f"mlflow=={MLFLOW_VERSION}"),
    takes="a minute",
)


def run(command, **options):
    """Runs an installer with its output shown; `Failed` names the command that did not work."""
    command = [str(part) for part in command]
    print("  $ " + " ".join(command), flush=True)
    if subprocess.run(command, stdin=subprocess.DEVNULL, **options).returncode != 0:
        raise Failed("did not work: " + " ".join(command))


def require_rust():
    """The one thing nothing here installs: without it no test can run."""
    missing = [program for program in ("cargo", "rustc") if shutil.which(program) is None]
    if missing:
        raise Failed(
            "the Rust toolchain is missing (no " + " and no ".join(missing) + " in PATH); "
            "install it with rustup, then run this again"
        )


def provide(wanted, yes):
    """Says what is missing, asks (not with `yes`), installs; returns `{name: why}` of what stays missing."""
    missing = [tool for tool in wanted if not tool.present()]
    if not missing:
        return {}
    print("missing:")
    for tool in missing:
        print(
            f"  {tool.source()}" + (f" (builds once, {tool.takes}, kept in {cache()})" if tool.build else "")
        )
    if not yes and not confirmed():
        return {tool.name: "not installed (declined)" for tool in missing}
    debian = [tool for tool in missing if tool.debian]
    if debian and os.geteuid() == 0:
        install_debian_packages([package for tool in debian for package in tool.debian])
    for tool in missing:
        if tool.build:
            try:
                cache().mkdir(parents=True, exist_ok=True)
                tool.build()
            except Failed as failure:
                print(f"  {failure}")
    packages = " ".join(package for tool in debian for package in tool.debian)
    reason = "could not be installed" if os.geteuid() == 0 else f"needs root: apt-get install {packages}"
    return {
        tool.name: reason if tool.debian else "could not be built" for tool in missing if not tool.present()
    }


def confirmed():
    if not sys.stdin.isatty():
        print("not a terminal: nothing is installed (--yes installs without asking)")
        return False
    return input("install them now? [y/N] ").strip().lower() in ("y", "yes")


def install_debian_packages(packages):
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(["apt-get", "update", "-qq"], env=env)
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], env=env)
    except Failed as failure:
        print(f"  {failure}")
