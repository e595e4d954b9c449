"""Every command line in deploy/ is one that the binary takes; hooks are added and configurations read by it."""

import base64
import json
import re
import shutil
import subprocess

import yaml
from deployed import (
    DEPLOY,
    KUSTOMIZATIONS,
    OUR_IMAGE,
    ROOT,
    Checks,
    documents,
    equal,
    files,
    kustomize,
    name,
    passes,
)
from lines import Help, Line, in_text

run = Checks(__doc__)
gradus, folder = run.gradus, run.folder


def lines():
    """All command lines in deploy/: in texts, and as arguments of containers with the image of Gradus."""
    for file in files("*"):
        yield from in_text(name(file), file.read_text())
    compose = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())
    yield Line("docker/compose.yaml", tuple(compose["services"]["gradus"]["command"]))
    dockerfile = (DEPLOY / "docker" / "Dockerfile").read_text()
    yield Line(
        "docker/Dockerfile", tuple(json.loads(re.search(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)[1]))
    )
    for place in KUSTOMIZATIONS:
        for document in documents(kustomize(place)):
            for container in containers(document):
                if "command" not in container:
                    yield Line(place, tuple(container["args"]))


def containers(value):
    if isinstance(value, list):
        for part in value:
            yield from containers(part)
    elif isinstance(value, dict):
        if str(value.get("image", "")).startswith(OUR_IMAGE):
            yield value
        for part in value.values():
            yield from containers(part)


# The command lines, one check for each verb.

help_ = Help(gradus.binary)
by_verb = {}
for line in lines():
    verbs, _ = help_.verbs(line)
    by_verb.setdefault(verbs, []).append(line)
for verbs, found in sorted(by_verb.items()):

    def taken(found=found):
        wrong = [
            f"{line.where}: gradus {' '.join(line.words)}: {why}"
            for line in found
            if (why := help_.complaint(line))
        ]
        if wrong:
            raise AssertionError("not taken: " + "; ".join(dict.fromkeys(wrong)))

    taken.__name__ = f"gradus {' '.join(verbs)} is written as the binary takes it"
    run.check(taken)


@run.check
def a_wrong_command_line_would_be_found():
    for bad in (
        "gradus push model",
        "gradus promote a/b:1 --too staging",
        "gradus resolve",
        "gradus pull a/b:1 c/d:2",
        "gradus verify a/b:1 x y",
        "gradus eval attached a/b:1 x",
    ):
        (line,) = in_text("here", bad)
        equal(help_.complaint(line) is not None, True, f"complaint about {bad}")


@run.check
def whoever_logs_in_or_reports_says_all_that_the_registry_asks_for():
    # What help calls optional: a job acts in one namespace, and a digest alone is in no stage.
    logins = [line for line in by_verb[("login",)] if "--oidc" in line.words and not line.mentioned]
    reports = [line for line in by_verb[("deployment", "report")] if not line.mentioned]
    equal((len(logins) > 5, len(reports) > 5), (True, True), "as many logins and reports as there should be")
    for found, option in ((logins, "--namespace"), (reports, "--stage")):
        for line in found:
            equal(option in line.words, True, f"{option} in {line.where}: gradus {' '.join(line.words)}")


@run.check
def the_registry_takes_every_hook_that_these_files_add():
    # What help does not tell: which options go together, and what a scope, a filter and a secret look like.
    place = folder / "hooks"
    place.mkdir()
    (place / "hook-secret").write_text("whsec_" + base64.b64encode(b"k" * 32).decode())
    for token in ("repo-token", "trigger-token"):
        (place / token).write_text("t0ken")

    def add(*words, expect=0):
        done = subprocess.run(
            [gradus.binary, *words], cwd=place, env=gradus.env, capture_output=True, text=True, timeout=30
        )
        equal(done.returncode, expect, f"gradus {' '.join(words)}, which says\n{done.stderr}\n")

    added = [line for line in by_verb[("hook", "add")] if not line.mentioned]
    equal(len(added) > 3, True, "as many hooks as there should be")
    for line in added:
        add(*line.words)
    secret = [line for line in added if "--token-file" in line.words][0]
    add(*secret.words, "--secret-file", "hook-secret", expect=1)


@run.check
def the_configurations_are_read():
    shutil.copytree(DEPLOY / "docker", folder / "docker")
    passes(folder / "docker" / "setup.sh")
    for file in (DEPLOY / "kubernetes" / "gradus.toml", folder / "docker" / "secrets" / "gradus.toml"):
        command = [gradus.binary, "--data-dir", folder / "none", "--config", file, "list"]
        done = subprocess.run(command, env={"HOME": str(folder)}, capture_output=True, text=True, timeout=60)
        # Read, and then its database is not there.
        equal((done.returncode, "[database_unavailable]" in done.stderr), (9, True), f"{file}: {done.stderr}")


@run.check
def the_container_is_healthy_while_the_server_answers():
    healthcheck = DEPLOY / "docker" / "healthcheck"
    passes(healthcheck, gradus.env["GRADUS_SERVER"].rsplit(":", 1)[1])
    equal(
        subprocess.run([healthcheck, "1"], capture_output=True).returncode == 0,
        False,
        "healthy without a server",
    )


@run.check
def the_image_is_built_from_all_that_the_sources_include():
    dockerfile = (DEPLOY / "docker" / "Dockerfile").read_text()
    copied = {
        one for line in re.findall(r"^COPY (?!--)(.*) \S+$", dockerfile, re.MULTILINE) for one in line.split()
    }
    allowed = re.findall(
        r"^!(.*)$", (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text(), re.MULTILINE
    )
    equal(copied, set(allowed), "what is copied and what is not ignored")
    for source in (ROOT / "src").rglob("*.rs"):
        for included in re.findall(r'include_(?:str|bytes|dir)!\(\s*"([^"]+)"', source.read_text()):
            file = (source.parent / included).resolve().relative_to(ROOT)
            equal(
                file.parts[0] in copied, True, f"{file}, which {source.relative_to(ROOT)} includes, is copied"
            )
    version = re.search(r'^rust-version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    equal(f"FROM rust:{version}-" in dockerfile, True, f"Rust {version} in the Dockerfile")
    # Cargo must be content with these files alone: the manifest names tests, which are not copied.
    place = folder / "image"
    place.mkdir()
    for one in copied:
        copy = shutil.copytree if (ROOT / one).is_dir() else shutil.copy2
        copy(ROOT / one, place / one)
    passes("cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version=1", cwd=place)


run.exit()
