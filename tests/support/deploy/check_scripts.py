"""The scripts in deploy/ do what they say: against a real server, with stand-ins for clusters."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from deployed import (
    DEPLOY,
    Checks,
    calls,
    documents,
    equal,
    kustomize,
    passes,
    runs,
    stand_ins,
)

run = Checks(__doc__)
gradus, folder = run.gradus, run.folder
EXAMPLES = DEPLOY / "examples"
BASE = "hf:acme/tiny-llama@4f2a9c1d7be3056c8a91f0d2e6b7c3845a1908fe"
DIGEST = "sha256:" + "ab" * 32


def script(path, environment=None, expect=0, cwd=None, programs=None):
    """Runs a script of deploy/ as its callers do; returns what it printed."""
    env = gradus.env | {"PATH": f"{programs or gradus.binary.parent}:{os.environ['PATH']}"}
    return runs([DEPLOY / path], env | (environment or {}), expect, cwd)


# The GitHub action's script, with the real binary against the real server.


def action(number, command, expect=0, **inputs):
    """Runs the action as a job would; returns its outputs."""
    temporary = folder / f"runner-{number}"
    temporary.mkdir(exist_ok=True)
    output = temporary / "output"
    output.write_text("")
    given = {"RUNNER_TEMP": temporary, "GITHUB_OUTPUT": output, "COMMAND": command}
    # Inputs that are not given are there and empty.
    names = (
        "WORKLOAD REFERENCE CONTENT CONTRACT BASE DATASET EVIDENCE STAGE LOG_KEY TARGET URL HEALTH MESSAGE"
    )
    empty = dict.fromkeys(names.split(), "")
    script("github/gradus.sh", empty | given | inputs, expect)
    return dict(line.split("=", 1) for line in output.read_text().splitlines())


def push_first():
    return action(
        1,
        "push",
        WORKLOAD="acme/deployed",
        CONTENT=EXAMPLES / "prompts" / "triage-1.prompt.yaml",
        CONTRACT=EXAMPLES / "contract.json",
        EVIDENCE=f"{EXAMPLES / 'evidence' / 'evaluation-1.json'}\n\n",
    )


@run.check
def the_action_pushes_promotes_and_pulls():
    pushed = push_first()
    equal(pushed["version"], "acme/deployed:1.0.0", "version")
    equal(pushed["reference"].startswith("acme/deployed@sha256:"), True, "reference by digest")
    equal(gradus.json("eval", "list", "acme/deployed:1.0.0") != [], True, "evidence")
    for stage in ("staging", "production"):
        equal(action(1, "promote", REFERENCE=pushed["reference"], STAGE=stage)["state"], "promoted", stage)
    key = gradus.cli("audit", "key").strip()
    pulled = action(1, "pull", REFERENCE="acme/deployed:production", OUT=folder / "pulled", LOG_KEY=key)
    equal(pulled, pushed, "what production is")
    equal([file.name for file in (folder / "pulled").iterdir()], ["triage-1.prompt.yaml"], "files")


@run.check
def the_action_refuses_leftovers_and_what_it_does_not_know():
    (folder / "leftover").mkdir()
    (folder / "leftover" / "old.safetensors").write_text("old")
    action(1, "pull", expect=6, REFERENCE="acme/deployed:production", OUT=folder / "leftover")
    action(1, "destroy", expect=2)
    action(1, "push", expect=2, WORKLOAD="acme/deployed")


@run.check
def a_promotion_that_waits_is_no_failure_of_the_action_unless_it_shall_be():
    inputs = {"WORKLOAD": "acme/deployed", "CONTENT": EXAMPLES / "lora", "BASE": BASE}
    pushed = action(1, "push", DATASET=f"train={EXAMPLES / 'datasets' / 'triage-train.jsonl'}", **inputs)
    action(1, "promote", REFERENCE=pushed["reference"], STAGE="staging")
    asked = {"REFERENCE": pushed["reference"], "STAGE": "production"}
    equal(action(1, "promote", **asked), {"state": "pending"}, "state")
    action(1, "promote", expect=4, PENDING="fail", **asked)
    without = action(
        1, "push", **(inputs | {"WORKLOAD": "acme/without-dataset", "CONTRACT": EXAMPLES / "contract.json"})
    )
    action(1, "promote", expect=3, REFERENCE=without["reference"], STAGE="staging")


@run.check
def the_action_reports_a_deployment():
    where = {"REFERENCE": "acme/deployed:1.0.0", "STAGE": "production", "TARGET": "eu-1"}
    action(1, "report", URL="https://x.example", MESSAGE="job 7", **where)
    action(1, "report", STATUS="failed", HEALTH="unhealthy", **where)
    equal("eu-1" in gradus.cli("where", "acme/deployed:1.0.0"), True, "the target is known")


# The consumer's script.


@run.check
def a_pod_pulls_what_is_in_production_and_again_after_it_moved():
    out = folder / "models"
    out.mkdir()
    (out / "left-by-another-try").write_text("x")
    pull = {
        "MODEL": "acme/deployed:production",
        "OUT": out,
        "XDG_CONFIG_HOME": folder / "pod",
        "GRADUS_LOG_KEY": gradus.cli("audit", "key").strip(),
    }
    script("consumer/pull.sh", pull)
    equal([file.name for file in out.iterdir()], ["triage-1.prompt.yaml"], "files")
    (out / "triage-1.prompt.yaml").unlink()
    script("consumer/pull.sh", pull)
    equal([file.name for file in out.iterdir()], ["triage-1.prompt.yaml"], "files after a second start")
    script("consumer/pull.sh", pull | {"MODEL": "acme/deployed:1.0.1"})
    equal("adapter_config.json" in [file.name for file in out.iterdir()], True, "the other version")
    script(
        "consumer/pull.sh",
        pull | {"MODEL": f"acme/deployed@{gradus.json('resolve', 'acme/deployed:1.0.0')['digest']}"},
    )
    equal([file.name for file in out.iterdir()], ["triage-1.prompt.yaml"], "files of the first again")
    script("consumer/pull.sh", pull | {"MODEL": "acme/deployed:9.9.9"}, expect=7)


# Scripts for `gradus watch --exec`, with stand-ins that write down how they were called.

EVENT = {
    "GRADUS_REFERENCE": "acme/ticket-triage:production",
    "GRADUS_WORKLOAD": "acme/ticket-triage",
    "GRADUS_STAGE": "production",
    "GRADUS_VERSION": "1.4.0",
    "GRADUS_DIGEST": DIGEST,
    "GRADUS_KIND": "promoted",
    "GRADUS_POSITION": "42",
}
MODEL = f"acme/ticket-triage@{DIGEST}"
REPORT = f"gradus deployment report {MODEL} --stage production --target cluster-1 --status"


def cluster(case, kubectl="", digest=DIGEST, gradus=""):
    """A folder with a gradus and a kubectl that write down their arguments; `kubectl` and `gradus` say what else these
    do, `digest` what the stage holds."""
    resolve = f'[ "$1" != resolve ] || echo acme/ticket-triage:1.4.0 {digest} weights'
    return stand_ins(folder / case, gradus=f"{resolve}\n{gradus}", kubectl=kubectl)


@run.check
def the_rollout_of_a_deployment_sets_the_digest_waits_and_reports():
    programs = cluster("rollout")
    script("vllm/watcher/rollout.sh", EVENT | {"URL": "https://triage.example.org"}, programs=programs)
    equal(
        calls(programs),
        [
            "gradus resolve acme/ticket-triage:production",
            f"gradus verify {MODEL}",
            f"kubectl set env deployment/ticket-triage --containers=model MODEL={MODEL}",
            "kubectl rollout status deployment/ticket-triage --timeout=1200s",
            f"{REPORT} running --url https://triage.example.org",
        ],
        "calls",
    )


@run.check
def a_rollout_that_fails_is_reported_and_taken_back():
    programs = cluster("failed", kubectl='case "$*" in "rollout status"*) exit 1 ;; esac')
    script("vllm/watcher/rollout.sh", EVENT, expect=1, programs=programs)
    equal(
        calls(programs)[4:],
        [
            f"{REPORT} failed",
            "kubectl rollout undo deployment/ticket-triage",
        ],
        "calls",
    )


@run.check
def what_the_stage_has_left_since_is_not_deployed():
    programs = cluster("overtaken", digest="sha256:" + "cd" * 32)
    for file in ("vllm/watcher/rollout.sh", "kserve/watcher/rollout.sh", "argo/cd/pin.sh"):
        equal("has moved on" in script(file, EVENT, programs=programs), True, f"what {file} says")
    equal(calls(programs), ["gradus resolve acme/ticket-triage:production"] * 3, "calls")


@run.check
def what_is_not_as_the_registry_says_is_not_deployed_and_not_called_a_failure():
    programs = cluster("damaged", gradus='[ "$1" != verify ] || exit 6')
    for file in ("vllm/watcher/rollout.sh", "kserve/watcher/rollout.sh", "argo/cd/pin.sh"):
        script(file, EVENT | {"GRADUS_LOG_KEY": "the-key"}, expect=6, programs=programs)
    verify = f"gradus verify {MODEL} --log-key the-key"
    equal(calls(programs), ["gradus resolve acme/ticket-triage:production", verify] * 3, "calls")


@run.check
def in_a_pod_the_rollout_logs_in_again_before_it_reports():
    programs = cluster("pod-rollout")
    pod = {"IDENTITY_FILE": "/token", "GRADUS_SERVER": "https://models.example.org"}
    script("vllm/watcher/rollout.sh", EVENT | pod, programs=programs)
    login = "gradus login https://models.example.org --oidc --namespace acme --identity-file /token"
    done = calls(programs)
    equal((done[0], done[-2:]), (login, [login, f"{REPORT} running"]), "calls")


@run.check
def the_watcher_logs_in_and_follows_the_stage():
    programs = cluster("watcher")
    pod = {"IDENTITY_FILE": "/token", "GRADUS_SERVER": "https://models.example.org", "GRADUS_TOKEN": ""}
    follow = {"REFERENCE": "acme/ticket-triage:production", "ROLLOUT": "sh rollout.sh"}
    script("consumer/watch.sh", pod | follow, programs=programs)
    equal(
        calls(programs),
        [
            "gradus login https://models.example.org --oidc --namespace acme --identity-file /token",
            "gradus watch acme/ticket-triage:production --retries 2 --exec sh rollout.sh",
        ],
        "calls",
    )


@run.check
def a_promotion_is_rolled_out_by_the_watcher_and_reported():
    """All of it but the cluster: a real server, a real watcher, a stand-in for kubectl only."""
    programs = cluster("whole")
    (programs / "gradus").unlink()
    follow = {
        "REFERENCE": "acme/watched:production",
        "ROLLOUT": f"sh {DEPLOY}/vllm/watcher/rollout.sh",
        "XDG_STATE_HOME": str(folder / "watched"),
        "PATH": f"{programs}:{gradus.binary.parent}:{os.environ['PATH']}",
    }
    prompts = EXAMPLES / "prompts"
    contract = ("--contract", EXAMPLES / "contract.json")
    gradus.cli("push", prompts / "triage-1.prompt.yaml", "--to", "acme/watched", *contract)
    gradus.cli("eval", "attach", "acme/watched:1.0.0", EXAMPLES / "evidence" / "evaluation-1.json")
    watcher = subprocess.Popen(
        [DEPLOY / "consumer" / "watch.sh"],
        env=gradus.env | follow,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for stage in ("staging", "production"):
            gradus.cli("promote", "acme/watched:1.0.0", "--to", stage)
        digest = gradus.json("resolve", "acme/watched:1.0.0")["digest"]
        ends = time.monotonic() + 20
        while "cluster-1" not in gradus.cli("where", "acme/watched:1.0.0"):
            equal(time.monotonic() < ends, True, "reported in time")
            time.sleep(0.2)
    finally:
        os.killpg(watcher.pid, signal.SIGTERM)
        watcher.wait(timeout=10)
    equal(
        calls(programs)[0],
        f"kubectl set env deployment/ticket-triage --containers=model MODEL=acme/watched@{digest}",
        "what is rolled",
    )


@run.check
def the_rollout_of_an_inference_service_patches_the_place_where_its_model_is():
    programs = cluster("service", kubectl='[ "$1" != get ] || echo acme/ticket-triage@before')
    script("kserve/watcher/rollout.sh", EVENT, programs=programs)
    done = calls(programs)
    equal(
        done[-1],
        f"{REPORT} running",
        "report",
    )
    (patch,) = [json.loads(call.split(" --patch ")[1]) for call in done if " patch " in call]
    (service,) = [one for one in documents(kustomize("kserve")) if one["kind"] == "InferenceService"]
    place = service["spec"]
    for key in patch[1]["path"].split("/")[2:-1]:
        place = place[int(key)] if isinstance(place, list) else place[key]
    equal((place["name"], patch[0]["value"]), ("MODEL", "MODEL"), "name at the place of the patch")
    equal((patch[0]["op"], patch[1]["op"], patch[1]["value"]), ("test", "replace", MODEL), "patch")


@run.check
def an_inference_service_is_set_back_and_only_reported_if_pods_tried_the_version():
    for failing, reports in (("wait", []), ("rollout", [f"{REPORT} failed"])):
        fails = f'[ "$1" != get ] || echo before\n[ "$1" != {failing} ] || exit 1'
        programs = cluster(f"service-without-{failing}", kubectl=fails)
        script("kserve/watcher/rollout.sh", EVENT, expect=1, programs=programs)
        done = calls(programs)
        equal([call for call in done if " report " in call], reports, f"reports when {failing} fails")
        equal('"value": "before"' in done[-1], True, "it is set back to what was before")


@run.check
def the_pin_is_pushed_to_git_also_when_somebody_else_pushes():
    env = {
        **{key: "ada" for key in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME")},
        **{key: "ada@example.org" for key in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL")},
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
    }

    def git(*arguments, cwd=folder):
        return passes("git", *arguments, cwd=cwd, env=os.environ | env)

    git("init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    git("clone", "--quiet", "remote.git", "deployments")
    clone = folder / "deployments"
    git("checkout", "--quiet", "-b", "main", cwd=clone)
    shutil.copytree(DEPLOY / "argo" / "cd" / "ticket-triage", clone / "ticket-triage")
    git("add", ".", cwd=clone)
    git("commit", "--quiet", "--message", "Begin", cwd=clone)
    git("push", "--quiet", "origin", "main", cwd=clone)
    git("clone", "--quiet", "remote.git", "others")
    others = folder / "others"
    (others / "README").write_text("theirs")
    git("add", ".", cwd=others)
    git("commit", "--quiet", "--message", "Theirs", cwd=others)

    # Their push arrives between this script's fetch and its push, once.
    hook = clone / ".git" / "hooks" / "pre-push"
    hook.write_text(
        f"#!/bin/sh\nunset GIT_DIR\n[ -e {folder}/once ] && exit\n"
        f"touch {folder}/once\ngit -C {others} push -q origin main\n"
    )
    hook.chmod(0o755)
    programs = cluster("pin")
    script("argo/cd/pin.sh", EVENT | env, cwd=clone, programs=programs)
    git("fetch", "--quiet", cwd=others)
    subjects = git("log", "--format=%s", "origin/main", cwd=others).splitlines()
    equal(subjects, ["Run acme/ticket-triage:1.4.0 (promoted, entry 42)", "Theirs", "Begin"], "commits")
    pinned = git("show", "origin/main:ticket-triage/model.env", cwd=others)
    equal(f"\nMODEL={MODEL}\n" in pinned, True, "the line in git")
    again = script("argo/cd/pin.sh", EVENT | env, cwd=clone, programs=programs)
    equal("already" in again, True, "nothing to do the second time")


@run.check
def another_pin_rolls_the_pods():
    def built(digest):
        place = folder / f"pin-{digest[:2]}"
        shutil.copytree(DEPLOY, place, ignore=shutil.ignore_patterns("secrets"))
        (place / "argo" / "cd" / "ticket-triage" / "model.env").write_text(
            f"MODEL=acme/ticket-triage@sha256:{digest}\n"
        )
        objects = documents(
            passes(Path(os.sys.executable).parent / "kubectl", "kustomize", place / "argo/cd/ticket-triage")
        )
        (deployment,) = [one for one in objects if one["kind"] == "Deployment"]
        (first, *_) = deployment["spec"]["template"]["spec"]["initContainers"][0]["env"]
        equal((first["name"], "value" in first), ("MODEL", False), "the model comes from git")
        return first["valueFrom"]["configMapKeyRef"]["name"]

    equal(built("a" * 64) == built("b" * 64), False, "the same name for another version")


run.exit()
