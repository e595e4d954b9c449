"""oras-py, unmodified, against `/v2/`: token challenge, artifacts, chunked uploads, referrers, versions."""

import json
import os

import oras.client
import oras.oci

from checks import Checks, equal, random_bytes, safetensors, sha256

MIB = 1024 * 1024
MODEL = "application/vnd.cncf.model.manifest.v1+json"
MODEL_CONFIG = "application/vnd.cncf.model.config.v1+json"
MODEL_WEIGHT = "application/vnd.cncf.model.weight.v1.raw"

run = Checks(__doc__)
gradus, folder = run.gradus, run.folder
os.chdir(folder)  # oras refuses files outside the working directory


def connect(auth_backend="token"):
    """A client that knows the token only as a password, as `oras login` would store it."""
    client = oras.client.OrasClient(hostname=gradus.host, insecure=True, auth_backend=auth_backend)
    client.auth.set_basic_auth("anyone", gradus.token)
    return client


client = connect()


def write(name, content):
    (folder / name).write_bytes(content)
    return name


def pulled(target, **options):
    """`{file name: bytes}` of what a pull leaves behind."""
    out = folder / ("out-" + target.replace("/", "_").replace(":", "_"))
    files = client.pull(f"{gradus.host}/{target}", outdir=str(out), **options)
    return {os.path.basename(file): open(file, "rb").read() for file in files}


@run.check
def an_artifact_of_two_files_comes_back_as_it_was():
    files = {"report.json": b'{"accuracy": 0.93}', "samples.bin": random_bytes(700_000, seed=31)}
    sources = [write(name, content) + ":application/octet-stream" for name, content in files.items()]
    client.push(
        f"{gradus.host}/acme/oras:evaluation", files=sources, manifest_annotations={"org.example.run": "31"}
    )
    manifest = client.get_manifest(f"{gradus.host}/acme/oras:evaluation")
    equal(manifest["annotations"]["org.example.run"], "31", "annotation")
    equal(pulled("acme/oras:evaluation"), files, "files")


@run.check
def basic_auth_without_the_token_endpoint_works_too():
    basic = connect("basic")
    equal(basic.get_tags(f"{gradus.host}/acme/oras"), ["evaluation"], "tags")


@run.check
def a_chunked_upload_comes_back_whole():
    content = random_bytes(13 * MIB + 7, seed=32)
    source = write("large.bin", content)
    client.push(f"{gradus.host}/acme/oras:chunked", files=[source], do_chunked=True, chunk_size=5 * MIB)
    equal(pulled("acme/oras:chunked"), {"large.bin": content}, "file")


@run.check
def tags_come_in_pages():
    for number in range(5):
        client.push(f"{gradus.host}/acme/oras-tags:t{number}", files=[write("same.txt", b"same")])
    container = client.get_container(f"{gradus.host}/acme/oras-tags")
    pages = []

    def keep(response):
        pages.append(response.json()["tags"])
        return True

    client._do_paginated_request(f"http://{container.tags_url(N=2)}", callable=keep)
    equal(pages, [["t0", "t1"], ["t2", "t3"], ["t4"]], "pages of two")


@run.check
def a_referrer_is_found_by_its_subject():
    target = client.get_container(f"{gradus.host}/acme/oras:evaluation")
    about = client.do_request(
        f"http://{target.manifest_url()}",
        "GET",
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
    )
    subject = oras.oci.Subject(
        mediaType=about.headers["Content-Type"], digest=sha256(about.content), size=len(about.content)
    )
    sent = client.push(
        f"{gradus.host}/acme/oras:note", files=[write("note.txt", b"looks good")], subject=subject
    )
    equal(sent.headers.get("OCI-Subject"), sha256(about.content), "OCI-Subject header")
    found = client.do_request(f"http://{gradus.host}/v2/acme/oras/referrers/{sha256(about.content)}", "GET")
    equal(
        [entry["digest"] for entry in found.json()["manifests"]],
        [sent.headers["Docker-Content-Digest"]],
        "referrers",
    )


def push_model(tag, seed):
    """Pushes a ModelPack artifact blob by blob, as a tool that knows nothing of Gradus would."""
    weights = safetensors({"w": (128, 16)}, seed)
    config = json.dumps(
        {
            "descriptor": {"name": "oras-model"},
            "config": {"paramSize": "2k"},
            "modelfs": {"type": "layers", "diffIds": [sha256(weights)]},
        }
    ).encode()
    container = client.get_container(f"{gradus.host}/acme/oras-model:{tag}")
    layer = {
        "mediaType": MODEL_WEIGHT,
        "digest": sha256(weights),
        "size": len(weights),
        "annotations": {"org.cncf.model.filepath": "model.safetensors"},
    }
    conf = {"mediaType": MODEL_CONFIG, "digest": sha256(config), "size": len(config)}
    for name, content, descriptor in (("w.safetensors", weights, layer), ("config.json", config, conf)):
        answer = client.upload_blob(write(name, content), container, descriptor)
        equal(
            answer.status_code in (200, 201), True, f"upload of {name} ({answer.status_code} {answer.text})"
        )
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": MODEL,
        "config": conf,
        "layers": [layer],
    }
    return client.upload_manifest(manifest, container), weights


@run.check
def a_modelpack_artifact_under_a_semver_tag_is_a_version():
    answer, weights = push_model("1.0.0", seed=33)
    equal(answer.status_code, 201, f"status ({answer.text})")
    resolved = gradus.json("resolve", "acme/oras-model:1.0.0")
    equal(resolved["digest"], answer.headers["Docker-Content-Digest"], "digest")
    equal(resolved["tier"], "weights", "tier that the registry found")
    gradus.cli("pull", "acme/oras-model:^1", "--out", folder / "gradus-pull")
    equal((folder / "gradus-pull" / "model.safetensors").read_bytes(), weights, "bytes")


@run.check
def the_same_version_again_is_fine_and_another_under_it_is_not():
    again, _ = push_model("1.0.0", seed=33)
    equal(again.status_code, 201, f"status of the same content ({again.text})")
    other, _ = push_model("1.0.0", seed=34)
    equal(
        400 <= other.status_code < 500, True, f"refusal of other content ({other.status_code} {other.text})"
    )
    equal(
        gradus.json("resolve", "acme/oras-model:1.0.0")["digest"],
        again.headers["Docker-Content-Digest"],
        "digest",
    )


@run.check
def a_version_pushed_by_the_cli_is_pulled_file_by_file():
    (folder / "model").mkdir()
    weights = safetensors({"w": (64, 64)}, seed=35)
    (folder / "model" / "model.safetensors").write_bytes(weights)
    gradus.cli("push", "weights", folder / "model", "--to", "acme/oras-pull", "--version", "1.0.0")
    equal(pulled("acme/oras-pull:1.0.0")["model.safetensors"], weights, "bytes of the weights")


@run.check
def a_tag_of_an_ordinary_artifact_can_be_deleted():
    client.push(f"{gradus.host}/acme/oras-gone:soon", files=[write("gone.txt", b"gone soon")])
    equal(client.delete_tag(f"{gradus.host}/acme/oras-gone", "soon"), True, "answer")
    container = client.get_container(f"{gradus.host}/acme/oras-gone:soon")
    equal(
        client.do_request(f"http://{container.manifest_url()}", "GET").status_code,
        404,
        "status of a later GET",
    )


run.exit()
