"""Buildbot, a CI server, deploys what a hook tells it of, with deploy/buildbot/master.cfg, and reports it back."""

import atexit
import base64
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

from standardwebhooks.webhooks import Webhook

from checks import Checks, equal, random_bytes

from support.buildbot import Buildbot
from support.processes import capture, clean_environment, stop_at_signal

run = Checks(__doc__)
gradus, folder = run.gradus, run.folder
EXAMPLES = Path(__file__).resolve().parents[3] / "deploy" / "examples"
PROMPT = EXAMPLES / "prompts" / "triage-1.prompt.yaml"
WORKLOAD, TARGET = "acme/buildbot", "eu-1"
SUCCESS, FAILURE, SKIPPED, RETRY, CANCELLED = 0, 2, 3, 5, 6

# No gate asks for evidence here: this is about what comes after a promotion.
POLICY = """\
gradus: policy/v1
description: Prompts move at once.
rules:
  prompt:
    production: { skip: true, gates: [lints] }
"""
# Serves the files by copying them. With a file `broken` beside them it fails, with a file `slow` it takes a minute.
DEPLOY = """
set -eu
test ! -e "$SERVING/broken"
if test -e "$SERVING/slow"; then
  touch "$SERVING/begun"
  sleep 60
fi
rm -rf "$SERVING/model"
cp -R model "$SERVING/model"
echo "$GRADUS_WORKLOAD $GRADUS_VERSION $GRADUS_DIGEST $GRADUS_STAGE" > "$SERVING/what"
"""


def push(number):
    """Pushes a prompt; returns its file's bytes and its digest."""
    file = folder / "triage.prompt.yaml"
    file.write_text(PROMPT.read_text().replace("You sort", f"In the way of {number}, you sort"))
    contract = ("--contract", EXAMPLES / "contract.json") if number == 1 else ()
    pushed = gradus.json("push", "prompt", file, "--to", WORKLOAD, *contract)["version"]
    return {"version": pushed["version"], "digest": pushed["digest"], "bytes": file.read_bytes()}


def promote(pushed):
    gradus.cli("promote", f"{WORKLOAD}:{pushed['version']}", "--to", "production")


def serves(pushed, build):
    """Checks that a build deployed this version, and that the registry knows it."""
    if build["results"] != SUCCESS:
        printed = "\n".join(text for _, text in buildbot.printed(build))
        raise AssertionError(f"the build did not succeed\n{printed}")
    steps = ["resolve", "clean", "pull", "verify", "deploy", "report"]
    ran = buildbot.steps(build)
    equal([name for name in ran if name in steps], steps, "steps")
    equal({ran[name] for name in steps}, {SUCCESS}, "results of the steps")
    files = {file.name: file.read_bytes() for file in (serving / "model").iterdir()}
    equal(files, {"triage.prompt.yaml": pushed["bytes"]}, "files that are served")
    what = f"{WORKLOAD} {pushed['version']} {pushed['digest']} production\n"
    equal((serving / "what").read_text(), what, "what the deploy command was told")
    found = deployment()
    equal(found, found | {"status": "running", "healthy": True, "differs_since": None}, "deployment")
    is_of(found, pushed, build)


def is_of(found, pushed, build):
    wanted = {
        "target": TARGET,
        "stage": "production",
        "version": pushed["version"],
        "digest": pushed["digest"],
        "reported_by": "buildbot",
        "url": f"{buildbot.url}/#/builders/{build['builderid']}/builds/{build['number']}",
    }
    equal({name: found[name] for name in wanted}, wanted, "deployment")


def reports_nothing(build, known, served):
    """Checks that a build left what runs, and what the registry knows of it, as they were."""
    equal(buildbot.steps(build).get("report", SKIPPED), SKIPPED, "result of the step that reports")
    equal((serving / "what").read_text(), served, "what is served")
    reported = {name: known[name] for name in ("version", "status", "healthy", "url", "reported_at")}
    found = deployment()
    equal({name: found[name] for name in reported}, reported, "deployment")


def deployment():
    (found,) = gradus.json("where", f"{WORKLOAD}:production")["items"]
    return found


def deliveries(kind):
    return [
        f"{hook}/{one['position']}" for one in gradus.json("hook", "deliveries", hook) if one["kind"] == kind
    ]


def tries(delivery, count):
    """The attempts of a delivery, when there are so many."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = gradus.json("hook", "deliveries", delivery)["tries"]
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"no attempt {count} of delivery {delivery}: {found}")


def forged():
    """A promotion that never was, in the form of the registry's own."""
    data = {
        "workload": WORKLOAD,
        "version": first["version"],
        "digest": first["digest"],
        "stage": "production",
    }
    event = {"id": "forged-1", "source": "urn:x", "type": "dev.gradus.promoted", "actor": "eve", "data": data}
    return json.dumps(event)


def deliver(body, identity, signature, at):
    """Posts to the hook as the registry would; returns status and text of the answer."""
    headers = {
        "content-type": "application/cloudevents+json",
        "webhook-id": identity,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }
    request = urllib.request.Request(f"{buildbot.url}/change_hook/gradus", body.encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def new_secret(seed):
    return "whsec_" + base64.b64encode(random_bytes(32, seed)).decode()


stop_at_signal()
# Whoever runs this gives it ten minutes and then ends it with no chance to stop what it started.
signal.signal(signal.SIGALRM, lambda *_: sys.exit("took too long"))
signal.alarm(540)
gradus.cli("user", "add", "buildbot", "--service")
gradus.cli("member", "add", "acme", "buildbot", "deployer")
token = gradus.json("token", "create", "--user", "buildbot", "--label", TARGET)["token"]
(folder / "policy.yaml").write_text(POLICY)
first = push(1)
gradus.cli("policy", "apply", folder / "policy.yaml", "--to", WORKLOAD)
second, third, fourth, fifth = (push(number) for number in range(2, 6))

serving, programs = folder / "serving", folder / "bin"
serving.mkdir()
programs.mkdir()
(programs / "gradus").symlink_to(gradus.binary)
secret = new_secret(1)

buildbot = Buildbot(
    Path(sys.executable).parent,
    folder / "buildbot",
    {"hook-secret": secret, "gradus-token": token},
    {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "SERVING": serving},
    GRADUS_SERVER=gradus.url,
    GRADUS_TARGET=TARGET,
    GRADUS_LOG_KEY=gradus.cli("audit", "key").strip(),
    DEPLOY_COMMAND=DEPLOY,
)
atexit.register(buildbot.stop)
buildbot.start()
secret_file = folder / "buildbot" / "secrets" / "hook-secret"
url = f"{buildbot.url}/change_hook/gradus"
hook = gradus.json("hook", "add", WORKLOAD, "--url", url, "--secret-file", secret_file)["id"]


@run.check
def a_promotion_is_pulled_verified_deployed_and_reported():
    promote(first)
    (build,) = buildbot.finished(1)
    serves(first, build)
    promote(second)
    _, build = buildbot.finished(2)
    serves(second, build)


@run.check
def a_test_of_the_hook_is_taken_and_starts_nothing():
    before = buildbot.changes()
    gradus.cli("hook", "test", hook)
    equal(buildbot.changes(), before, "changes")


@run.check
def a_forged_message_is_refused_and_starts_nothing():
    before = buildbot.changes()
    now = datetime.now(timezone.utc)
    body = forged()
    right = Webhook(secret).sign("forged-1", now, body)
    messages = {
        "another secret": (body, "forged-1", Webhook(new_secret(2)).sign("forged-1", now, body), now),
        "another body": (body.replace("eve", "ada"), "forged-1", right, now),
        "another id": (body, "forged-2", right, now),
        "another time": (body, "forged-1", right, now + timedelta(seconds=1)),
        "no signature": (body, "forged-1", "", now),
        "a signature that is none": (body, "forged-1", "v1", now),
    }
    old = now - timedelta(minutes=6)
    messages["a signature of long ago"] = (body, "forged-1", Webhook(secret).sign("forged-1", old, body), old)
    for what, message in messages.items():
        # A change hook of Buildbot has no other words for it than 400.
        equal(deliver(*message), (400, "not signed by the hook's secret, or too old"), what)
    equal(buildbot.changes(), before, "changes")


@run.check
def a_repeat_starts_nothing_also_after_a_restart():
    before = buildbot.changes()
    buildbot.stop()
    buildbot.start()
    moves = deliveries("promoted")
    equal(len(moves), 2, "deliveries of moves")
    for delivery in moves:
        gradus.cli("hook", "replay", delivery)
        answers = [(one["status"], one["answer"]) for one in tries(delivery, 2)]
        equal(answers, [(200, "1 change found"), (200, "no change found")], f"answers to delivery {delivery}")
    equal(buildbot.changes(), before, "changes")


@run.check
def a_rollback_brings_the_version_before_back():
    gradus.cli("rollback", f"{WORKLOAD}:production", "-m", "answers are worse")
    *_, build = buildbot.finished(3)
    serves(first, build)


@run.check
def a_deployment_that_fails_is_reported_as_failed():
    (serving / "broken").touch()
    promote(third)
    *_, build = buildbot.finished(4)
    equal(build["results"], FAILURE, "result of the build")
    ran = buildbot.steps(build)
    equal((ran["verify"], ran["deploy"], ran["report"]), (SUCCESS, FAILURE, SUCCESS), "results of the steps")
    found = deployment()
    equal((found["status"], found["healthy"]), ("failed", False), "status and health")
    is_of(found, third, build)


@run.check
def what_moves_while_buildbot_is_away_is_deployed_when_it_is_back():
    (serving / "broken").unlink()
    buildbot.stop()
    known = deliveries("rolled_back")
    gradus.cli("rollback", f"{WORKLOAD}:production", "-m", "it does not start")
    (delivery,) = [one for one in deliveries("rolled_back") if one not in known]
    equal(tries(delivery, 1)[0]["status"], None, "answer of who is away")
    buildbot.start()
    *_, build = buildbot.finished(5)
    serves(first, build)


@run.check
def a_build_that_fails_before_it_deploys_reports_nothing():
    known, served = deployment(), (serving / "what").read_text()
    buildbot.stop()
    other = [gradus.binary, "--data-dir", folder / "other", "audit", "key"]
    right = buildbot.master_env["GRADUS_LOG_KEY"]
    buildbot.master_env["GRADUS_LOG_KEY"] = capture(other, env=clean_environment(folder / "home")).strip()
    buildbot.start()
    promote(fourth)
    *_, build = buildbot.finished(6)
    equal(build["results"], FAILURE, "result of the build")
    ran = buildbot.steps(build)
    equal((ran["pull"], ran["verify"], ran.get("deploy")), (SUCCESS, FAILURE, None), "results of the steps")
    reports_nothing(build, known, served)
    buildbot.stop()
    buildbot.master_env["GRADUS_LOG_KEY"] = right
    buildbot.let_builds_be_stopped()
    buildbot.start()


@run.check
def a_build_that_is_stopped_while_it_deploys_reports_nothing():
    known, served = deployment(), (serving / "what").read_text()
    (serving / "slow").touch()
    promote(fifth)
    buildbot.running[0].wait_until((serving / "begun").exists, seconds=45)
    buildbot.stop_build(buildbot.builds()[-1])
    *_, build = buildbot.finished(7)
    equal(build["results"], CANCELLED, "result of the build")
    ran = buildbot.steps(build)
    equal((ran["verify"], ran["deploy"]), (SUCCESS, CANCELLED), "results of the steps")
    reports_nothing(build, known, served)


@run.check
def a_build_whose_worker_is_lost_reports_nothing_and_runs_again():
    known, served = deployment(), (serving / "what").read_text()
    (serving / "begun").unlink()
    gradus.cli("rollback", f"{WORKLOAD}:production", "-m", "was not wanted")
    buildbot.running[0].wait_until((serving / "begun").exists, seconds=45)
    buildbot.stop_worker()
    build = buildbot.finished(8)[7]
    equal(build["results"], RETRY, "result of the build")
    reports_nothing(build, known, served)
    (serving / "slow").unlink()
    buildbot.start_worker()
    *_, build = buildbot.finished(9)
    serves(fourth, build)


@run.check
def each_move_was_built_once_in_order():
    moves = [(one["category"], one["properties"]["version"][0]) for one in buildbot.changes()]
    up, back = "promoted", "rolled_back"
    kinds = [up, up, back, up, back, up, up, back]
    names = [one["version"] for one in (first, second, first, third, first, fourth, fifth, fourth)]
    equal(moves, list(zip(kinds, names)), "changes")
    # The last one twice, since its worker was lost.
    built = [build["properties"]["version"] for build in buildbot.builds()]
    equal(built, [*names, names[-1]], "builds")


@run.check
def its_secrets_are_written_down_nowhere():
    texts = buildbot.texts()
    equal(any(f"{WORKLOAD}@{first['digest']}" in text for text in texts), True, "the logs are read")
    for name, text in buildbot.secrets.items():
        equal(sum(text in one for one in texts), 0, f"logs with the secret {name}")


buildbot.stop()
run.exit()
