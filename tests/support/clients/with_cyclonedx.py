"""cyclonedx-python-lib's strict validator reads the bills of materials that `gradus export dossier` writes."""

import json
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from checks import Checks, equal, sha256

run = Checks(__doc__)
gradus, folder = run.gradus, run.folder
EXAMPLES = Path(__file__).resolve().parents[3] / "deploy" / "examples"
TRAINED_ON = sha256((EXAMPLES / "datasets" / "triage-train.jsonl").read_bytes())
BASE, BILL = "acme/bill-base", "acme/bill"

CARD = """---
license: apache-2.0
pipeline_tag: text-classification
---
# Ticket triage

## Intended uses

Sorting support tickets. <b>Not</b> for # anything else.

## Limitations

English only.
"""
RESULTS = {
    "gradus": "evaluation/v1",
    "suite": "golden",
    "metrics": {
        "accuracy": {
            "value": 0.93,
            "n": 200,
            "unit": "ratio",
            "interval": {"low": 0.89, "high": 0.96, "level": 0.95},
        }
    },
}


def write(name, text):
    (folder / name).write_text(text)
    return folder / name


def bill(reference):
    """The bill of a version, after the validator has accepted it."""
    out = folder / (reference.replace("/", "_").replace(":", "_") + ".cdx.json")
    gradus.cli("export", "dossier", reference, "--format", "cyclonedx", "--out", out, "--force")
    text = out.read_text()
    errors = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text, all_errors=True)
    if errors is not None:
        raise AssertionError("not valid: " + "; ".join(repr(error.data) for error in list(errors)[:3]))
    found = json.loads(text)
    check_references(found)
    return found


def check_references(found):
    """What the schema cannot say: every name is there once, and everything named is there."""
    components = [found["metadata"]["component"], *found["components"]]
    names = [component["bom-ref"] for component in components]
    equal(sorted(set(names)), sorted(names), "names of components")
    used = [name for entry in found["dependencies"] for name in (entry["ref"], *entry.get("dependsOn", []))]
    datasets = components[0]["modelCard"]["modelParameters"].get("datasets", [])
    equal(set(used) | {entry["ref"] for entry in datasets} <= set(names), True, "everything named is there")


def push_adapter():
    gradus.cli("push", "weights", EXAMPLES / "model", "--to", BASE, "--version", "1.0.0")
    base = gradus.json("resolve", f"{BASE}:1.0.0")["digest"]
    gradus.cli(
        "push",
        "adapter",
        EXAMPLES / "lora",
        "--to",
        BILL,
        "--version",
        "1.0.0",
        "--contract",
        EXAMPLES / "contract.json",
        "--base",
        f"{BASE}@{base}",
        "--dataset",
        f"triage-train.jsonl={TRAINED_ON}",
    )
    return base


@run.check
def a_bare_adapter_is_a_valid_bill_with_its_base_as_ancestor():
    base = push_adapter()
    found = bill(f"{BILL}:1.0.0")
    main = found["metadata"]["component"]
    equal(main["type"], "machine-learning-model", "type")
    equal("sha256:" + main["hashes"][0]["content"], gradus.json("resolve", f"{BILL}:1.0.0")["digest"], "digest")
    ancestor = main["pedigree"]["ancestors"][0]
    equal("sha256:" + ancestor["hashes"][0]["content"], base, "digest of the base")
    files = {part["name"]: "sha256:" + part["hashes"][0]["content"] for part in found["components"]}
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        equal(files[file], sha256((EXAMPLES / "lora" / file).read_bytes()), f"digest of {file}")
    equal(files["triage-train.jsonl"], TRAINED_ON, "digest of the training data")


@run.check
def what_is_said_about_it_is_in_the_next_revision_of_the_same_bill():
    before = bill(f"{BILL}:1.0.0")
    gradus.cli("eval", "attach", f"{BILL}:1.0.0", write("README.md", CARD))
    gradus.cli("eval", "attach", f"{BILL}:1.0.0", write("results.json", json.dumps(RESULTS)))
    after = bill(f"{BILL}:1.0.0")
    equal(after["serialNumber"], before["serialNumber"], "serial number")
    equal(after["version"], before["version"] + 2, "revision")
    card = after["metadata"]["component"]["modelCard"]
    metric = card["quantitativeAnalysis"]["performanceMetrics"][0]
    equal((metric["value"], metric["slice"]), ("0.93", "golden"), "metric")
    equal(metric["confidenceInterval"], {"lowerBound": "0.89", "upperBound": "0.96"}, "interval")
    equal(card["considerations"]["technicalLimitations"], ["English only."], "limitations")
    equal(after["metadata"]["component"]["licenses"], [{"license": {"id": "Apache-2.0"}}], "license")


@run.check
def the_validator_would_have_refused_a_bad_bill():
    bad = bill(f"{BILL}:1.0.0")
    bad["metadata"]["component"]["modelCard"]["invented"] = True
    refused = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bad))
    equal(refused is not None, True, "refusal of a field that the format does not have")


@run.check
def prompts_weights_and_vendor_fine_tunes_have_valid_bills_too():
    bill(f"{BASE}:1.0.0")
    for what, path in (("prompt", "prompts/triage-1.prompt.yaml"), ("finetune", "finetune")):
        gradus.cli("push", EXAMPLES / path, "--to", f"acme/bill-{what}", "--version", "1.0.0")
        bill(f"acme/bill-{what}:1.0.0")


run.exit()
