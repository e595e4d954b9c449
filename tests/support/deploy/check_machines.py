"""docker-compose reads its file, systemd its unit; both with what setup makes."""

import re
import shutil
import tomllib
from pathlib import Path

import yaml
from deployed import DEPLOY, Checks, equal, passes, refuses

run = Checks(__doc__)
folder = run.folder
UNIT = (DEPLOY / "systemd" / "gradus.service").read_text()
# As systemd counts: 0 is closed, 10 is open. The rest is the network, which a server needs.
EXPOSURE = 1.5


def prepared(name):
    """A copy of deploy/docker with its secrets made."""
    place = folder / name / "deploy" / "docker"
    shutil.copytree(DEPLOY / "docker", place, ignore=shutil.ignore_patterns("secrets"))
    passes(place / "setup.sh")
    return place


def unit(name, text):
    # systemd looks whether the program is there.
    (folder / name).mkdir()
    file = folder / name / "gradus.service"
    file.write_text(text.replace("/usr/local/bin/gradus", str(run.gradus.binary)))
    return file


@run.check
def docker_compose_accepts_its_file_with_the_secrets_that_setup_makes():
    place = prepared("compose")
    read = yaml.safe_load(passes("docker-compose", "--file", place / "compose.yaml", "config"))
    equal(set(read["services"]), {"gradus", "postgres", "garage"}, "services")
    for secret in read["secrets"].values():
        equal(
            (place / "secrets" / secret["file"].rsplit("/", 1)[1]).exists(),
            True,
            f"{secret['file']} was made",
        )
    text = (place / "compose.yaml").read_text()
    (place / "compose.yaml").write_text(text.replace("condition: service_healthy", "condition: healthy"))
    refuses("docker-compose", "--file", place / "compose.yaml", "config")


@run.check
def what_gradus_postgresql_and_garage_are_told_in_compose_fits_together():
    place = prepared("fits")
    config = (place / "secrets" / "gradus.toml").read_text()
    password = (place / "secrets" / "postgres-password").read_text()
    environment = dict(line.split("=", 1) for line in (place / "secrets" / "garage.env").read_text().split())
    equal(f"postgres://gradus:{password}@postgres/gradus" in config, True, "password of the database")
    equal(f'"{environment["GARAGE_DEFAULT_ACCESS_KEY"]}"' in config, True, "access key")
    equal(f'"{environment["GARAGE_DEFAULT_SECRET_KEY"]}"' in config, True, "secret access key")
    equal(f"s3://{environment['GARAGE_DEFAULT_BUCKET']}/" in config, True, "bucket")
    mounted = yaml.safe_load((place / "compose.yaml").read_text())["services"]["gradus"]["secrets"]
    secret = Path(tomllib.loads(config)["keys"]["file"])
    equal((str(secret.parent), secret.name in mounted), ("/run/secrets", True), "secret of the registry")
    garage = (place / "garage.toml").read_text()
    equal(re.search(r's3_region = "(\w+)"', garage)[1], re.search(r'region = "(\w+)"', config)[1], "region")
    equal(
        re.fullmatch(r"[0-9a-f]{64}", (place / "secrets" / "gradus-secret").read_text()) is None,
        False,
        "secret",
    )


@run.check
def setup_changes_nothing_when_it_is_run_again_and_never_makes_the_same():
    place = prepared("again")
    before = {file.name: file.read_text() for file in (place / "secrets").iterdir()}
    passes(place / "setup.sh")
    equal({file.name: file.read_text() for file in (place / "secrets").iterdir()}, before, "secrets")
    other = prepared("other")
    for file in ("gradus-secret", "postgres-password", "garage-rpc-secret"):
        equal((other / "secrets" / file).read_text() == before[file], False, f"the same {file} twice")


@run.check
def systemd_accepts_the_unit():
    said = passes("systemd-analyze", "verify", unit("good", UNIT))
    equal(said.strip(), "", "what systemd-analyze verify says")
    bad = passes("systemd-analyze", "verify", unit("bad", UNIT.replace("ProtectHome=", "ProtectHomes=")))
    equal("ProtectHomes" in bad, True, "it finds a setting that there is not")


@run.check
def systemd_calls_the_unit_closed():
    threshold = f"--threshold={int(EXPOSURE * 10)}"
    passes("systemd-analyze", "security", "--offline=true", "--no-pager", threshold, unit("closed", UNIT))
    open_one = UNIT.replace("SystemCallFilter=", "#")
    refuses("systemd-analyze", "security", "--offline=true", "--no-pager", threshold, unit("open", open_one))


run.exit()
