"""Schemas and linters from PyPI read the files of deploy/."""

import concurrent.futures
import re
import tomllib
from pathlib import Path

import kubernetes_validate
import yaml
from deployed import (
    DEPLOY,
    KUSTOMIZATIONS,
    Checks,
    documents,
    equal,
    files,
    kustomize,
    load,
    name,
    passes,
    program,
    refuses,
    tools,
)
from models import accepted_by, as_hera_has_it, known_to_kserve

run = Checks(__doc__)
folder = run.folder
# The oldest supported version of Kubernetes and the newest that the schemas know.
KUBERNETES = ("1.32", "1.37")
OWN_KINDS = ("v1", "apps/v1", "batch/v1", "policy/v1", "networking.k8s.io/v1", "rbac.authorization.k8s.io/v1")
SECRET = r"\b[0-9a-f]{32,}\b|\bGK[0-9a-f]{20,}|BEGIN [A-Z ]*PRIVATE KEY|\bgradus_[\w-]{30,}"


def write(file, text):
    (folder / file).write_text(text)
    return folder / file


def parse_groovy(text):
    from groovy_parser.parser import parse_and_digest_groovy_content

    # A text that it has parsed it knows again.
    known = tools.cache() / "groovy"
    known.mkdir(exist_ok=True)
    parse_and_digest_groovy_content(text, cache_directory=known)


def inline_scripts():
    """`(where, shell, text)` of each script that stands inside another file."""
    action = load("github/action.yml")
    jobs = load("github/workflow.yml")["jobs"]
    for place, steps in [("action", action["runs"]["steps"]), *((job, jobs[job]["steps"]) for job in jobs)]:
        for step in steps:
            if "run" in step:
                yield f"github {place} {step['name']}", "/bin/bash", step["run"]
    for job, content in load("gitlab/gitlab-ci.yml").items():
        if not isinstance(content, dict):
            continue
        before = content.get("before_script", [])
        if "script" in content:
            # GitLab runs the lines as one script, in bash where the image has it. `tier` is read to be left out.
            text = "\n".join([*before, *content["script"]]).replace(
                "read -r name digest tier", "read -r _ digest _"
            )
            yield f"gitlab {job}", "/bin/bash", text
        if "after_script" in content:
            yield f"gitlab {job} after", "/bin/bash", "\n".join(content["after_script"])
    for template in load("argo/workflows/workflow-template.yaml")["spec"]["templates"]:
        if "script" in template:
            yield f"argo {template['name']}", "/bin/sh", template["script"]["source"]
    # Jenkins runs each as a script of its own.
    for number, text in enumerate(re.findall(r"(?:sh |script: )'([^'\n]+)'", JENKINSFILE)):
        yield f"jenkins {number}", "/bin/sh", text


def named(value):
    """Every `(kind, name)` that an object names."""
    if isinstance(value, list):
        for part in value:
            yield from named(part)
    if not isinstance(value, dict):
        return
    for key, part in value.items():
        match key, part:
            case "configMapRef" | "configMapKeyRef" | "configMap", {"name": found}:
                yield "ConfigMap", found
            case "secretKeyRef", {"name": found}:
                yield "Secret", found
            case "secretName", str(found):
                yield "Secret", found
            case "serviceAccountName", str(found):
                yield "ServiceAccount", found
            case "roleRef", {"kind": kind, "name": found}:
                yield kind, found
            case "workflowTemplateRef", {"name": found}:
                yield "WorkflowTemplate", found
            case "eventSourceName", str(found):
                yield "EventSource", found
        yield from named(part)


JENKINSFILE = (DEPLOY / "jenkins" / "Jenkinsfile").read_text()
# Parsing Groovy takes ten seconds the first time, so that it goes on beside the rest.
pool = concurrent.futures.ProcessPoolExecutor(1)
groovy = pool.submit(parse_groovy, JENKINSFILE)
bad_groovy = pool.submit(parse_groovy, "pipeline { agent any\n stages { ( }\n }")


@run.check
def yamllint_accepts_every_yaml_file():
    rules = (
        "{extends: default, rules: {line-length: {max: 120}, document-start: disable, truthy: {check-keys: false},"
        " comments: {min-spaces-from-content: 1}, indentation: {spaces: 2, indent-sequences: consistent},"
        " braces: {max-spaces-inside: 0}}}"
    )
    passes(program("yamllint"), "--strict", "--config-data", rules, *files("*.yml", "*.yaml"))


@run.check
def shellcheck_accepts_every_script_and_the_ones_inside_other_files():
    scripts = files("*.sh", "healthcheck")
    for where, shell, text in inline_scripts():
        scripts.append(write(re.sub(r"\W+", "-", where) + ".sh", f"#!{shell}\n{text}\n"))
    equal(len(scripts) > 15, True, "as many scripts as there should be")
    passes(program("shellcheck"), *scripts)
    refuses(program("shellcheck"), write("bad.sh", "#!/bin/sh\nrm -rf $1\n"))


def schema(which, file, *options):
    return program("check-jsonschema"), "--builtin-schema", f"vendor.{which}", *options, file


@run.check
def github_accepts_the_action_and_the_workflow_by_its_schemas():
    passes(*schema("github-actions", DEPLOY / "github" / "action.yml"))
    passes(*schema("github-workflows", DEPLOY / "github" / "workflow.yml"))
    bad = (DEPLOY / "github" / "workflow.yml").read_text().replace("runs-on:", "run-on:")
    refuses(*schema("github-workflows", write("bad-workflow.yml", bad)))


@run.check
def zizmor_finds_no_hole_in_the_action_and_the_workflow():
    audit = (program("zizmor"), "--offline", "--no-progress", "--min-severity", "medium")
    passes(*audit, DEPLOY / "github" / "action.yml", DEPLOY / "github" / "workflow.yml")
    bad = (DEPLOY / "github" / "action.yml").read_text()
    bad = bad.replace('"$GITHUB_ACTION_PATH/gradus.sh"', "'${{ inputs.reference }}'")
    (folder / "bad").mkdir()
    (folder / "bad" / "action.yml").write_text(bad)
    refuses(*audit, folder / "bad" / "action.yml")


@run.check
def the_workflow_gives_the_action_only_inputs_that_it_has():
    action = load("github/action.yml")
    taken = {name for name, one in action["inputs"].items()}
    for job in load("github/workflow.yml")["jobs"].values():
        for step in job["steps"]:
            if step.get("uses") == "./deploy/github":
                equal(set(step["with"]) - taken, set(), f"unknown inputs of {step['name']}")
                needed = {name for name, one in action["inputs"].items() if one.get("required")}
                equal(needed - set(step["with"]), set(), f"missing inputs of {step['name']}")


@run.check
def gitlab_accepts_the_pipeline_by_its_schema():
    passes(*schema("gitlab-ci", DEPLOY / "gitlab" / "gitlab-ci.yml", "--data-transform", "gitlab-ci"))
    bad = (DEPLOY / "gitlab" / "gitlab-ci.yml").read_text().replace("exit_codes:", "exit_code:")
    refuses(*schema("gitlab-ci", write("bad-gitlab.yml", bad), "--data-transform", "gitlab-ci"))


@run.check
def compose_accepts_its_file_by_its_schema():
    passes(*schema("compose-spec", DEPLOY / "docker" / "compose.yaml"))
    bad = (DEPLOY / "docker" / "compose.yaml").read_text().replace("stop_grace_period:", "stop_grace:")
    refuses(*schema("compose-spec", write("bad-compose.yaml", bad)))


@run.check
def hadolint_accepts_the_dockerfile():
    passes(program("hadolint"), DEPLOY / "docker" / "Dockerfile")
    refuses(program("hadolint"), write("Dockerfile", "FROM debian\nRUN cd /tmp\n"))


@run.check
def no_secret_is_in_a_file():
    for file in files("*"):
        text = file.read_text()
        for found in re.findall(SECRET, text):
            # A pinned action's commit and the zeros of an example are none.
            if set(found) != {"0"} and f"@{found} #" not in text:
                raise AssertionError(f"looks like a secret in {name(file)}: {found}")


def kubernetes(document, version):
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        place = ".".join(map(str, error.path))
        raise AssertionError(f"{document['kind']} {place} in {version}: {error.message[:300]}") from None


@run.check
def kubernetes_accepts_everything_that_is_built_from_the_kustomizations():
    seen = 0
    for place in KUSTOMIZATIONS:
        for document in documents(kustomize(place)):
            if document["apiVersion"] in OWN_KINDS:
                seen += 1
                for version in KUBERNETES:
                    kubernetes(document, version)
    equal(seen > 20, True, "as many objects as there should be")
    (bad,) = [one for one in documents(kustomize("kubernetes")) if one["kind"] == "Deployment"]
    bad["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    try:
        kubernetes(bad, KUBERNETES[0])
    except AssertionError:
        return
    raise AssertionError("the schemas accept a field that there is not")


@run.check
def what_is_named_in_the_kubernetes_objects_is_there():
    """Configuration maps, accounts, roles and selectors by their names, which no schema follows."""
    for place in KUSTOMIZATIONS:
        built = documents(kustomize(place))
        there = {(one["kind"], one["metadata"]["name"]) for one in built}
        for one in built:
            for wanted in named(one):
                # The secret is made by create-secret.sh.
                if wanted not in (("Secret", "gradus"), ("Secret", "gradus-tls")) and wanted not in there:
                    raise AssertionError(
                        f"{place}: {one['kind']} names {wanted[0]} {wanted[1]}, which is not there"
                    )
    registry = {one["kind"]: one for one in documents(kustomize("kubernetes"))}
    pods = registry["Deployment"]["spec"]["template"]["metadata"]["labels"]
    equal(
        registry["Deployment"]["spec"]["selector"]["matchLabels"], pods, "labels that the Deployment selects"
    )
    equal(registry["Service"]["spec"]["selector"], pods, "labels that the Service selects")
    budget = registry["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
    equal(budget, pods, "labels that the budget selects")


@run.check
def all_replicas_have_the_same_secret():
    """What one seals, such as the secrets of hooks, the others open; and what makes it is not in the configuration."""
    (deployment,) = [one for one in documents(kustomize("kubernetes")) if one["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    volumes = {one["name"]: one for one in pod["volumes"]}
    mounts = {one["mountPath"]: volumes[one["name"]] for one in pod["containers"][0]["volumeMounts"]}
    file = Path(tomllib.loads((DEPLOY / "kubernetes" / "gradus.toml").read_text())["keys"]["file"])
    items = [(one["key"], one["path"]) for one in mounts[str(file.parent)]["secret"]["items"]]
    equal(items, [("secret", file.name)], "what is mounted where the configuration reads the secret")
    equal(deployment["spec"]["replicas"], 3, "replicas")
    # Facts and bytes are nobody's own either.
    config = tomllib.loads((DEPLOY / "kubernetes" / "gradus.toml").read_text())
    shared = (config["database"]["url"].split(":")[0], config["stores"][0]["url"].split(":")[0])
    equal(shared, ("postgres", "s3"), "database and store")


@run.check
def what_is_probed_is_there():
    (deployment,) = [one for one in documents(kustomize("kubernetes")) if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    probes = [container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")]
    equal(probes, ["/healthz", "/readyz"], "probes")


def containers(value, pod=None):
    """Every `(container, security context of its pod)` in an object."""
    if isinstance(value, list):
        for part in value:
            yield from containers(part, pod)
    elif isinstance(value, dict):
        if "image" in value or "modelFormat" in value:
            yield value, pod or {}
        elif "securityContext" in value:
            pod = value["securityContext"]
        for part in value.values():
            yield from containers(part, pod)


@run.check
def containers_run_without_any_right():
    seen = 0
    for place in KUSTOMIZATIONS:
        for document in documents(kustomize(place)):
            for container, pod in containers(document):
                seen += 1
                where = f"{place}: {document['kind']} {container.get('name', container.get('image'))}"
                context = pod | container.get("securityContext", {})
                equal(context.get("runAsNonRoot"), True, f"runAsNonRoot of {where}")
                equal(context.get("allowPrivilegeEscalation"), False, f"allowPrivilegeEscalation of {where}")
                equal(context.get("capabilities"), {"drop": ["ALL"]}, f"capabilities of {where}")
                equal(context.get("seccompProfile"), {"type": "RuntimeDefault"}, f"seccompProfile of {where}")
                # KServe's servers write where they like.
                if "modelFormat" not in container:
                    equal(context.get("readOnlyRootFilesystem"), True, f"readOnlyRootFilesystem of {where}")
                # A tag that moves is not what was tried.
                if "image" in container:
                    tag = container["image"].rpartition(":")[2]
                    equal(bool(re.match(r"v?\d", tag)), True, f"version of the image of {where}")
    equal(seen > 12, True, "as many containers as there should be")


@run.check
def the_secret_is_made_with_the_keys_that_the_deployment_reads():
    keys = {"secret", "postgres-password", "s3-access-key-id", "s3-secret-access-key"}
    for key in keys:
        write(key, "x")
    made = passes(
        DEPLOY / "kubernetes" / "create-secret.sh",
        folder,
        "--dry-run=client",
        "--output=yaml",
        env={"PATH": f"{program('kubectl').parent}:/usr/bin:/bin", "HOME": str(folder)},
    )
    equal(set(yaml.safe_load(made)["data"]), keys, "keys of the secret")
    deployment = (DEPLOY / "kubernetes" / "deployment.yaml").read_text()
    for key in keys:
        equal(f"key: {key}\n" in deployment, True, f"{key} is read")


@run.check
def argo_events_and_workflows_accept_their_objects_by_heras_models():
    from hera.events.models import EventSource, Sensor
    from hera.workflows.models import Workflow, WorkflowTemplate

    models = {
        "EventSource": EventSource,
        "Sensor": Sensor,
        "WorkflowTemplate": WorkflowTemplate,
        "Workflow": Workflow,
    }
    seen = set()
    for document in documents(kustomize("argo/workflows")):
        if document["apiVersion"] == "argoproj.io/v1alpha1":
            for part in as_hera_has_it(document):
                seen.add(document["kind"])
                accepted_by(models[part.pop("model")], part)
    equal(seen, {"EventSource", "Sensor", "WorkflowTemplate"}, "kinds of Argo")
    (bad,) = [one for one in documents(kustomize("argo/workflows")) if one["kind"] == "WorkflowTemplate"]
    bad["spec"]["templates"][1]["script"]["imagee"] = "x"
    try:
        accepted_by(WorkflowTemplate, bad)
    except AssertionError:
        return
    raise AssertionError("the models accept a field that there is not")


@run.check
def kserve_accepts_the_inference_service_by_its_models():
    (service,) = [one for one in documents(kustomize("kserve")) if one["kind"] == "InferenceService"]
    predictor = service["spec"]["predictor"]
    known_to_kserve(service, "V1beta1InferenceService", "InferenceService")
    # What of it is a pod's is checked as one.
    pod = {key: value for key, value in predictor.items() if key not in ("model", "minReplicas")}
    server = {key: value for key, value in predictor["model"].items() if key != "modelFormat"}
    pod["containers"] = [server | {"name": "server", "image": "x"}]
    kubernetes({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod}, KUBERNETES[0])
    service["spec"]["predictor"]["model"]["modelFormatt"] = {}
    try:
        known_to_kserve(service, "V1beta1InferenceService", "InferenceService")
    except AssertionError:
        return
    raise AssertionError("the models accept a field that there is not")


@run.check
def groovy_parses_the_jenkinsfile():
    groovy.result(timeout=100)
    try:
        bad_groovy.result(timeout=100)
    except Exception:
        return
    raise AssertionError("the parser accepts what is no Groovy")


pool.shutdown(wait=False)
run.exit()
