"""The tests with real clients of other makers: which there are, what each needs, and the server they run against."""

import os
import sys
from pathlib import Path

from .. import tools
from ..gradus import serving
from ..processes import clean_environment
from ..report import CHECK_RESULT

HERE = Path(__file__).resolve().parent

# Each is a program of its own that takes a server and a token: (script, interpreter, what it needs).
SCRIPTS = (
    ("with_skopeo.py", sys.executable, (tools.SKOPEO,)),
    ("with_umoci.py", sys.executable, (tools.SKOPEO, tools.UMOCI)),
    ("with_oras.py", tools.client_python(), (tools.ORAS,)),
    ("with_model_signing.py", tools.signing_python(), (tools.MODEL_SIGNING,)),
    ("with_cyclonedx.py", tools.cyclonedx_python(), (tools.CYCLONEDX,)),
    ("with_tlog.py", tools.tlog_python(), (tools.TLOG,)),
    ("with_webhooks.py", tools.hooks_python(), (tools.HOOK_READERS, tools.NODE, tools.HOOK_MODULES)),
    ("with_nats.py", tools.hooks_python(), (tools.HOOK_READERS, tools.NATS_SERVER, tools.OPENSSL)),
    ("with_oidc.py", sys.executable, (tools.NODE, tools.OIDC_PROVIDER)),
    ("with_buildbot.py", tools.buildbot_python(), (tools.BUILDBOT,)),
    ("with_evidently.py", tools.evidently_python(), (tools.EVIDENTLY,)),
    ("with_chromium.py", tools.pillow_python(), (tools.PILLOW, tools.CHROMIUM)),
)
# They start a server with a configuration of their own, or need none, so once is enough.
ONCE = ("with_oidc.py", "with_evidently.py", "with_chromium.py")
# What hooks send to in the tests is on this machine, which they may only when they are allowed to.
LOOPBACK = {"GRADUS_HOOKS_ALLOW": "127.0.0.0/8"}
TOOLS = tuple(dict.fromkeys(tool for *_, needs in SCRIPTS for tool in needs))


def binary(root):
    return Path(os.environ.get("CARGO_TARGET_DIR") or root / "target") / "debug" / "gradus"


def run_all(root, backend, missing, logs, report):
    """Starts one server with a namespace `acme` and runs each script whose tools are there.

    `backend` is `(name, configuration text or None)`; the name is part of what the report says.
    """
    name, config = backend
    data, called = logs / f"{name}-data", f"gradus-{name}"
    with serving(binary(root), data, logs, config, name=called, env=LOOPBACK) as gradus:
        gradus.cli("namespace", "create", "acme")
        for script, python, needs in SCRIPTS:
            if script in ONCE and config is not None:
                continue
            if absent := [tool.name for tool in needs if tool.name in missing]:
                report.skip(f"{script} on {name}", f"without {' and '.join(absent)}: {missing[absent[0]]}")
                continue
            print(f"-- {script} on {name}", flush=True)
            command = [
                python,
                "-B",
                HERE / script,
                "--server",
                gradus.url,
                "--token",
                gradus.token,
                "--gradus",
                gradus.binary,
            ]
            report.run_tests(
                f"{script} on {name}", command, CHECK_RESULT, seconds=600, env=clean_environment()
            )
