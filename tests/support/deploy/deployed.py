"""What the checks of deploy/ share: where its files are, and how they are read and their programs run."""

import functools
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
sys.path.insert(0, str(ROOT / "tests" / "support" / "clients"))

from checks import Checks, equal  # noqa: E402, F401

from support import tools  # noqa: E402, F401

# These have tests of their own.
OTHERS = ("examples", "policies", "config.example.toml")
OUR_IMAGE = "registry.example.org/gradus"


def files(*patterns):
    """The files in deploy/ that match, without generated and secret ones."""
    found = {file for pattern in patterns for file in DEPLOY.rglob(pattern) if file.is_file()}
    return sorted(
        file
        for file in found
        if file.relative_to(DEPLOY).parts[0] not in OTHERS and "secrets" not in file.parts
    )


def name(file):
    return str(file.relative_to(ROOT))


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def load(path):
    """The one document of a YAML file in deploy/."""
    (document,) = documents((DEPLOY / path).read_text())
    return document


def program(name):
    """A program of the virtual environment that this runs in."""
    return Path(sys.executable).parent / name


def passes(*command, **options):
    """Runs a checker; what it said is the failure's message unless it exits with 0. Returns its output."""
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        **options,
    )
    if done.returncode != 0:
        raise AssertionError(f"{Path(command[0]).name} exits with {done.returncode}\n{done.stdout.strip()}")
    return done.stdout


def refuses(*command, **options):
    """That a checker finds the fault in a file made bad on purpose: one that accepts everything checks nothing."""
    try:
        passes(*command, **options)
    except AssertionError:
        return
    raise AssertionError(f"{Path(command[0]).name} did not find what was made wrong")


def runs(command, environment, expect=0, cwd=None):
    """Runs a script of ours, whole environment given, to the exit code that is expected; returns what it printed."""
    done = subprocess.run(
        command,
        env={key: str(value) for key, value in environment.items()},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    equal(done.returncode, expect, f"exit code of {command[0]}, which says\n{done.stdout}\n")
    return done.stdout


def stand_ins(place, **programs):
    """Makes a folder with programs that write down how they were called, and then do what is given of each."""
    place.mkdir()
    for name, then in programs.items():
        text = f'#!/bin/sh\necho {name} "$*" | tr "\\n" " " >> {place}/calls\necho >> {place}/calls\n{then}\n'
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    return place


def calls(place):
    return [" ".join(line.split()) for line in (place / "calls").read_text().splitlines()]


@functools.cache
def kustomize(folder):
    """What a kustomization builds, as text."""
    return passes(program("kubectl"), "kustomize", DEPLOY / folder)


# What can be applied: each of these folders is a kustomization.
KUSTOMIZATIONS = (
    "kubernetes",
    "kubernetes/monitoring",
    "consumer",
    "vllm",
    "vllm/watcher",
    "kserve",
    "kserve/watcher",
    "argo/workflows",
    "argo/cd/ticket-triage",
)
