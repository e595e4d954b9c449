"""What the objects of others look like by the models that their own makers' libraries hold: Argo's and KServe's."""

import copy
import importlib
import re
import sys
import types
from pathlib import Path

from deployed import equal


def as_hera_has_it(document):
    """Yields a document, and what is embedded in it, as `accepted_by` takes them, with the name of the `model`.

    Hera's models are made from Argo's description of its API, which is not in all parts what YAML files have.
    """
    document = copy.deepcopy(document)
    document["model"] = document["kind"]
    if document["kind"] == "EventSource":
        # The files have the fields of the embedded structure inline.
        hooks = document["spec"]["webhook"]
        document["spec"]["webhook"] = {key: {"webhookContext": hook} for key, hook in hooks.items()}
    if document["kind"] == "Sensor":
        for trigger in document["spec"]["triggers"]:
            # Numbers or strings in the files, objects in the description.
            backoff = trigger.get("retryStrategy", {})
            for key in ("duration", "factor"):
                equal(type(backoff.pop(key, "")) is str, True, f"retryStrategy.{key} is a string")
            # An object of any kind, for the description; here it is a workflow.
            workflow = trigger["template"]["argoWorkflow"]["source"].pop("resource")
            equal(workflow["kind"], "Workflow", "kind of what a sensor submits")
            yield workflow | {"model": "Workflow"}
    if document["kind"] != "WorkflowTemplate":
        del document["apiVersion"], document["kind"]
    yield document


def accepted_by(model, document):
    """That a pydantic model takes a document, and that nothing of it is lost, which is how it passes unknown fields."""
    kept = model.model_validate(document).model_dump(by_alias=True, exclude_none=True, mode="json")
    if gone := list(lost(document, kept, model.__name__)):
        raise AssertionError("unknown: " + ", ".join(gone))


def lost(given, kept, place):
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key in kept:
                yield from lost(value, kept[key], f"{place}.{key}")
            else:
                yield f"{place}.{key}"
    elif isinstance(given, list) and isinstance(kept, list):
        for number, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(one, other, f"{place}[{number}]")


def known_to_kserve(value, kind, place):
    """That every field is one of the model's; what is Kubernetes's own has no model there."""
    model = kserve_model(kind)
    if model is None:
        return
    names = {theirs: ours for ours, theirs in model.attribute_map.items()}
    for key, part in value.items():
        if key not in names:
            raise AssertionError(f"unknown: {place}.{key}")
        inner = model.openapi_types[names[key]]
        many = re.fullmatch(r"list\[(\w+)\]", inner)
        for one in part if many else [part]:
            if isinstance(one, dict):
                known_to_kserve(one, many[1] if many else inner, f"{place}.{key}")


def kserve_model(kind):
    if "kserve" not in sys.modules:
        # The package's own start wants all that its servers need.
        package = types.ModuleType("kserve")
        (home,) = [Path(path) / "kserve" for path in sys.path if (Path(path) / "kserve" / "models").is_dir()]
        package.__path__ = [str(home)]
        models = types.ModuleType("kserve.models")
        models.__path__ = [str(home / "models")]
        configuration = types.ModuleType("kserve.configuration")
        configuration.Configuration = object
        sys.modules |= {"kserve": package, "kserve.models": models, "kserve.configuration": configuration}
    module = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
    try:
        return getattr(importlib.import_module(f"kserve.models.{module}"), kind)
    except ModuleNotFoundError:
        return None
