"""Does one thing per line of standard input with MLflow's own client, in MLflow's virtual environment."""

import json
import sys

import mlflow
from mlflow import MlflowClient

client = MlflowClient()
EXPERIMENT = "bench"


def ready():
    return mlflow.__version__


def log_file(path):
    """A push: a run with the file as its artifact, registered as the next version of `bench`."""
    found = client.get_experiment_by_name(EXPERIMENT)
    experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
    run = client.create_run(experiment)
    client.log_artifact(run.info.run_id, path)
    if not client.search_registered_models(f"name='{EXPERIMENT}'"):
        client.create_registered_model(EXPERIMENT)
    version = client.create_model_version(
        EXPERIMENT, run.info.artifact_uri, run.info.run_id, await_creation_for=0
    )
    return [run.info.run_id, version.version]


def set_alias(alias, version):
    client.set_registered_model_alias(EXPERIMENT, alias, version)


def fetch(run_id, folder):
    return client.download_artifacts(run_id, "", folder)


VERBS = {verb.__name__: verb for verb in (ready, log_file, set_alias, fetch)}

for line in sys.stdin:
    verb, *arguments = json.loads(line)
    try:
        answer = {"result": VERBS[verb](*arguments)}
    except Exception as error:  # the caller decides what an error means
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
