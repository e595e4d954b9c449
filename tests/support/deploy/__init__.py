"""The checks of the files in deploy/: by the programs that read such files, and by running what can be run."""

from pathlib import Path

from .. import tools
from ..clients import binary
from ..gradus import serving
from ..processes import clean_environment
from ..report import CHECK_RESULT

HERE = Path(__file__).resolve().parent

# Each is a program of its own, with the arguments of the client tests: (script, interpreter, what it needs).
SCRIPTS = (
    ("check_commands.py", tools.deploy_python(), (tools.DEPLOY_CHECKERS,)),
    ("check_scripts.py", tools.deploy_python(), (tools.DEPLOY_CHECKERS, tools.GIT)),
    ("check_reports.py", tools.deploy_python(), (tools.DEPLOY_CHECKERS,)),
    ("check_files.py", tools.deploy_python(), (tools.DEPLOY_CHECKERS,)),
    ("check_types.py", tools.deploy_python(), (tools.DEPLOY_CHECKERS, tools.NODE, tools.DEPLOY_MODULES)),
    ("check_rules.py", tools.deploy_python(), (tools.DEPLOY_CHECKERS, tools.PROMTOOL)),
    (
        "check_machines.py",
        tools.deploy_python(),
        (tools.DEPLOY_CHECKERS, tools.COMPOSE, tools.SYSTEMD_ANALYZE),
    ),
)
TOOLS = tuple(dict.fromkeys(tool for *_, needs in SCRIPTS for tool in needs))


# Receivers of the checks, and the address of Argo's event source that deploy/argo/workflows has allowed.
CONFIGURATION = '[hooks]\nallow = ["127.0.0.0/8", "10.96.12.34/32"]\n'


def run_all(root, missing, logs, report):
    """Starts a server with a namespace `acme` and runs each script whose tools are there."""
    with serving(binary(root), logs / "deploy-data", logs, CONFIGURATION, name="gradus-deploy") as gradus:
        gradus.cli("namespace", "create", "acme")
        for script, python, needs in SCRIPTS:
            if absent := [tool.name for tool in needs if tool.name in missing]:
                report.skip(script, f"without {' and '.join(absent)}: {missing[absent[0]]}")
                continue
            print(f"-- {script}", flush=True)
            command = [python, "-B", HERE / script, "--server", gradus.url, "--token", gradus.token]
            report.run_tests(
                script,
                [*command, "--gradus", gradus.binary],
                CHECK_RESULT,
                seconds=300,
                env=clean_environment(),
            )
