"""What pipelines report of a deployment: `failed` only where deploying itself failed, since a policy may act on it."""

import json
import os
import subprocess

from deployed import Checks, calls, documents, equal, kustomize, load, program, runs, stand_ins

run = Checks(__doc__)
folder = run.folder
DIGEST = "sha256:" + "ab" * 32
MODEL = f"acme/ticket-triage@{DIGEST}"
VERSION = f"acme/ticket-triage:1.4.0 {DIGEST} weights"


def environment(programs, **given):
    return (
        os.environ
        | given
        | {"PATH": f"{programs}:{os.environ['PATH']}", "GRADUS_SERVER": "https://x.example"}
    )


def reports(programs):
    """`(model, status)` of each report."""
    words = [call.split() for call in calls(programs) if call.startswith("gradus deployment report ")]
    return [(call[3], call[call.index("--status") + 1]) for call in words]


# GitLab: the lines of a job run as one script that ends where one of them fails; then those of after_script.


def gitlab(case, gradus="", deploy="", stopped=False):
    """Runs the job `deploy`; `gradus` and `deploy` say what fails. Returns its status and what was reported."""
    job = load("gitlab/gitlab-ci.yml")["deploy"]
    programs = stand_ins(folder / case, gradus=f'[ "$1" != pull ] || echo {VERSION}\n{gradus}')
    place = folder / f"{case}-checkout"
    place.mkdir()
    (place / "deploy.sh").write_text(f"#!/bin/sh\n{deploy}\n")
    (place / "deploy.sh").chmod(0o755)
    env = environment(
        programs, WORKLOAD="acme/ticket-triage", CI_ENVIRONMENT_URL="https://x", CI_JOB_URL="https://y"
    )

    def lines(part, **more):
        text = "\n".join(job[part])
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", text], env=env | more, cwd=place, timeout=30, check=False
        ).returncode

    code = lines("script")
    status = "canceled" if stopped else "failed" if code else "success"
    equal(lines("after_script", CI_JOB_STATUS=status), 0, "exit code of after_script")
    return status, reports(programs)


@run.check
def gitlab_reports_what_came_of_deploying():
    equal(gitlab("gitlab-good"), ("success", [(MODEL, "running")]), "when all goes well")
    equal(gitlab("gitlab-bad", deploy="exit 1"), ("failed", [(MODEL, "failed")]), "when deploying fails")


@run.check
def gitlab_reports_nothing_of_a_job_that_failed_before_or_was_stopped():
    for step in ("pull", "verify"):
        found = gitlab(f"gitlab-{step}", gradus=f'[ "$1" != {step} ] || exit 6')
        equal(found, ("failed", []), f"when {step} fails")
    equal(gitlab("gitlab-stopped", deploy="exit 1", stopped=True), ("canceled", []), "when it is stopped")


@run.check
def gitlab_does_not_call_a_deployment_failed_when_only_its_report_fails():
    found = gitlab("gitlab-report", gradus='[ "$1" != deployment ] || exit 9')
    equal(found, ("failed", [(MODEL, "running")]), "what it tried to report")


# Argo Workflows: a step runs if those before it succeeded, and gets what they put out.


def argo(case, kubectl=""):
    """Runs the steps `roll` and, if that succeeded, `report`; returns their exit codes and what was reported."""
    templates = {
        one["name"]: one for one in load("argo/workflows/workflow-template.yaml")["spec"]["templates"]
    }
    programs = stand_ins(folder / case, gradus="", kubectl=kubectl)
    status = programs / "status"
    roll = templates["roll"]["script"]["source"].replace("/tmp/status", str(status))
    env = environment(programs, MODEL=MODEL, WORKFLOW="triage-1")
    codes = [subprocess.run(["sh", "-c", roll], env=env, timeout=30, check=False).returncode]
    if codes == [0]:
        env["STATUS"] = status.read_text().strip()
        report = templates["report"]["script"]["source"]
        codes.append(subprocess.run(["sh", "-c", report], env=env, timeout=30, check=False).returncode)
    return codes, reports(programs)


@run.check
def argo_workflows_report_a_rollout_once_it_was_tried():
    equal(argo("argo-good"), ([0, 0], [(MODEL, "running")]), "when all goes well")
    fails = 'case "$*" in "rollout "*) exit 1 ;; esac'
    equal(
        argo("argo-bad", kubectl=fails),
        ([0, 1], [(MODEL, "failed")]),
        "when neither pods come up nor it goes back",
    )
    undone = calls(folder / "argo-bad")[2]
    equal(undone, "kubectl rollout undo deployment/ticket-triage", "what follows")
    equal(argo("argo-refused", kubectl='[ "$1" != set ] || exit 1'), ([1], []), "when nothing was rolled")


@run.check
def argo_workflows_report_in_the_last_step_and_nowhere_else():
    spec = load("argo/workflows/workflow-template.yaml")["spec"]
    (main,) = [one for one in spec["templates"] if one["name"] == spec["entrypoint"]]
    order = [step["template"] for group in main["steps"] for step in group]
    equal(order, ["resolve", "verify", "roll", "report"], "order of the steps")
    equal([spec.get("onExit"), spec.get("hooks")], [None, None], "what else runs at the end")


# Argo CD: both jobs run the same script, which asks the cluster.


def argo_cd(case, reason, seen=3):
    """Runs the jobs' script, with a kubectl that reads files for the cluster; returns what was reported, by each job."""
    objects = documents(kustomize("argo/cd/ticket-triage"))
    cluster = {(one["kind"], one["metadata"]["name"]): one for one in objects}
    deployment = cluster["Deployment", "ticket-triage"]
    deployment["metadata"]["generation"] = 3
    conditions = [{"type": "Available", "reason": "Other"}, {"type": "Progressing", "reason": reason}]
    deployment["status"] = {"observedGeneration": seen, "conditions": conditions}
    for hook in ("ticket-triage-synced", "ticket-triage-not-synced"):
        (container,) = cluster["Job", hook]["spec"]["template"]["spec"]["containers"]
        equal(container["command"], ["sh", "/etc/gradus/report.sh"], "command")
        given = {one["name"]: one["value"] for one in container["env"] if one["name"] != "PATH"}
        # Like `get`, but of a file.
        read = f'exec {program("kubectl")} annotate --local --filename "$0-$2-$3.json" read=yes --output "$5"'
        programs = stand_ins(folder / f"{case}-{hook}", gradus="", kubectl=read)
        for (kind, name), one in cluster.items():
            (programs / f"kubectl-{kind.lower()}-{name}.json").write_text(json.dumps(one))
        script = cluster["ConfigMap", "gradus-consumer"]["data"]["report.sh"]
        runs(["sh", "-c", script], environment(programs, GRADUS_TOKEN="t", **given))
        yield reports(programs)


@run.check
def argo_cd_reports_what_the_deployment_says():
    pinned = "acme/ticket-triage@sha256:" + "0" * 64
    for reason, status in (("NewReplicaSetAvailable", "running"), ("ProgressDeadlineExceeded", "failed")):
        equal(list(argo_cd(status, reason)), [[(pinned, status)]] * 2, f"reports of {reason}")


@run.check
def argo_cd_reports_nothing_of_a_rollout_that_has_not_ended():
    equal(list(argo_cd("under-way", "ReplicaSetUpdated")), [[], []], "reports while it goes on")
    # The status is still that of the version before.
    equal(
        list(argo_cd("not-seen", "ProgressDeadlineExceeded", seen=2)), [[], []], "reports before it is seen"
    )


run.exit()
