"""skopeo, unmodified, against `/v2/`: images and models in and out, copies inside, refusals, deletes."""

import json
import shutil
import subprocess

from checks import IMAGE_INDEX, Checks, Layout, equal, random_bytes, sha256, write_model

MIB = 1024 * 1024

run = Checks(__doc__)
gradus, folder = run.gradus, run.folder
model_files = write_model(folder / "model")


def skopeo(verb, *arguments, token=None, works=True):
    """Runs skopeo with our token for the sides it talks to; returns stdout, or stderr unless it `works`."""
    sides = ("src", "dest") if verb == "copy" else ("",)
    options = []
    for side in sides:
        prefix = f"--{side}-" if side else "--"
        options += [f"{prefix}tls-verify=false", f"{prefix}creds", f"anyone:{token or gradus.token}"]
    done = subprocess.run(
        ["skopeo", "--insecure-policy", verb, *options, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if (done.returncode == 0) != works:
        raise AssertionError(
            f"skopeo {verb} {' '.join(map(str, arguments))}: exit code {done.returncode}: "
            f"{done.stderr.strip()}"
        )
    return done.stdout if works else done.stderr


def remote(name):
    return f"docker://{gradus.host}/{name}"


def local(layout, tag):
    return f"oci:{layout.folder}:{tag}"


def image(name, seed, size=3 * MIB):
    """A layout with one image of `size` random bytes under the tag `it`, and its digest."""
    layout = Layout(folder / name).create()
    return layout, layout.tag(layout.add_image({"data.bin": random_bytes(size, seed)}), "it")


def fetched(name, reference, *options):
    layout = Layout(folder / name)
    skopeo("copy", *options, remote(reference), local(layout, "out"))
    return layout


@run.check
def an_image_goes_in_and_comes_out_byte_for_byte():
    layout, digest = image("image", seed=11)
    skopeo("copy", local(layout, "it"), remote("acme/images:app"))
    raw = skopeo("inspect", "--raw", remote("acme/images:app"))
    equal(sha256(raw.encode()), digest, "digest of the manifest that was served")
    equal(
        fetched("image-out", "acme/images:app").contents(), layout.contents(), "content after the round trip"
    )


@run.check
def an_image_index_with_two_platforms_goes_in_and_comes_out():
    layout = Layout(folder / "index").create()
    manifests = [
        layout.add_image({"platform": name.encode()}, name)
        | {"platform": {"architecture": name, "os": "linux"}}
        for name in ("amd64", "arm64")
    ]
    index = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": manifests}
    digest = layout.tag(layout.add_json(index, IMAGE_INDEX), "it")
    skopeo("copy", "--all", local(layout, "it"), remote("acme/images:platforms"))
    raw = skopeo("inspect", "--raw", remote("acme/images:platforms"))
    equal(sha256(raw.encode()), digest, "digest of the index that was served")
    out = fetched("index-out", "acme/images:platforms", "--all")
    equal(out.contents(), layout.contents(), "content after the round trip")


@run.check
def tags_are_listed():
    listed = json.loads(skopeo("list-tags", remote("acme/images")))
    equal(sorted(listed["Tags"]), ["app", "platforms"], "tags")


@run.check
def an_image_is_copied_from_one_repository_to_another():
    skopeo("copy", remote("acme/images:app"), remote("acme/elsewhere:app"))
    equal(
        skopeo("inspect", "--raw", remote("acme/elsewhere:app")),
        skopeo("inspect", "--raw", remote("acme/images:app")),
        "manifest of the copy",
    )
    equal(
        fetched("copied-out", "acme/elsewhere:app").contents(),
        Layout(folder / "image").contents(),
        "content of the copy",
    )


@run.check
def a_wrong_token_reads_and_writes_nothing():
    wrong = "gradus_" + "0" * 40
    skopeo("inspect", "--raw", remote("acme/images:app"), token=wrong, works=False)
    layout, _ = image("intruder", seed=12, size=1000)
    skopeo("copy", local(layout, "it"), remote("acme/images:intruder"), token=wrong, works=False)
    listed = json.loads(skopeo("list-tags", remote("acme/images")))
    equal("intruder" in listed["Tags"], False, "presence of the refused tag")


@run.check
def a_version_pushed_by_the_cli_comes_out_with_its_digest_and_bytes():
    gradus.cli("push", "weights", folder / "model", "--to", "acme/skopeo-model", "--version", "1.0.0")
    digest = gradus.json("resolve", "acme/skopeo-model:1.0.0")["digest"]
    layout = fetched("model-out", "acme/skopeo-model:1.0.0", "--preserve-digests")
    equal(layout.tagged(), digest, "digest")
    contents = layout.contents()
    for name, content in model_files.items():
        equal(contents.get(sha256(content)), content, f"bytes of {name}")


@run.check
def a_model_pushed_by_skopeo_under_a_semver_tag_is_a_version():
    layout = Layout(folder / "model-out")
    skopeo("copy", "--preserve-digests", local(layout, "out"), remote("acme/skopeo-copied:2.0.0"))
    resolved = gradus.json("resolve", "acme/skopeo-copied:^2")
    equal(
        (resolved["version"], resolved["digest"], resolved["tier"]),
        ("2.0.0", layout.tagged(), "weights"),
        "version",
    )
    gradus.cli("pull", "acme/skopeo-copied:2.0.0", "--out", folder / "pulled")
    for name, content in model_files.items():
        equal((folder / "pulled" / name).read_bytes(), content, f"bytes of {name}")


@run.check
def other_content_under_a_taken_version_is_refused():
    before = gradus.json("resolve", "acme/skopeo-copied:2.0.0")["digest"]
    write_model(folder / "other", seed=2)
    gradus.cli("push", "weights", folder / "other", "--to", "acme/skopeo-model", "--version", "1.1.0")
    layout = fetched("other-out", "acme/skopeo-model:1.1.0", "--preserve-digests")
    skopeo(
        "copy", "--preserve-digests", local(layout, "out"), remote("acme/skopeo-copied:2.0.0"), works=False
    )
    equal(gradus.json("resolve", "acme/skopeo-copied:2.0.0")["digest"], before, "digest of the version")


@run.check
def an_exported_layout_is_inspected_and_copied():
    exported = Layout(folder / "exported")
    digest = gradus.json("resolve", "acme/skopeo-model:1.0.0")["digest"]
    gradus.cli("export", "acme/skopeo-model:1.0.0", "--out", exported.folder)
    raw = skopeo("inspect", "--raw", local(exported, "1.0.0"))
    equal(sha256(raw.encode()), digest, "digest of the manifest in the layout")
    skopeo("copy", "--preserve-digests", local(exported, "1.0.0"), remote("acme/skopeo-exported:1.0.0"))
    equal(gradus.json("resolve", "acme/skopeo-exported:1.0.0")["digest"], digest, "digest of the version")
    # With a second workload in it the names say which.
    gradus.cli("export", "acme/skopeo-copied:2.0.0", "--out", exported.folder)
    raw = skopeo("inspect", "--raw", local(exported, "acme/skopeo-model:1.0.0"))
    equal(sha256(raw.encode()), digest, "digest by the longer name")
    exported.contents()


@run.check
def what_skopeo_wrote_is_imported_with_its_digest():
    layout = Layout(folder / "for-import")
    skopeo("copy", "--preserve-digests", remote("acme/skopeo-model:1.0.0"), local(layout, "1.0.0"))
    gradus.cli("import", layout.folder, "--to", "acme/skopeo-imported")
    resolved = gradus.json("resolve", "acme/skopeo-imported:1.0.0")
    equal(resolved["digest"], layout.tagged(), "digest of the version")
    gradus.cli("pull", "acme/skopeo-imported:1.0.0", "--out", folder / "pulled-import")
    for name, content in model_files.items():
        equal((folder / "pulled-import" / name).read_bytes(), content, f"bytes of {name}")


@run.check
def an_image_can_be_deleted_and_a_version_can_not():
    skopeo("delete", remote("acme/elsewhere:app"))
    skopeo("inspect", "--raw", remote("acme/elsewhere:app"), works=False)
    said = skopeo("delete", remote("acme/skopeo-copied:2.0.0"), works=False)
    equal("yank" in said, True, f"the refusal naming the verb yank ({said.strip()})")
    shutil.rmtree(folder / "pulled")
    gradus.cli("pull", "acme/skopeo-copied:2.0.0", "--out", folder / "pulled")


run.exit()
