"""What the client tests share: their arguments, their checks, and sample content made on the spot."""

import argparse
import gzip
import hashlib
import io
import json
import random
import struct
import sys
import tarfile
import tempfile
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.gradus import Gradus  # noqa: E402

IMAGE_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
IMAGE_INDEX = "application/vnd.oci.image.index.v1+json"


class Checks:
    """Runs one check after the other and prints `ok - NAME` or `FAILED - NAME`, which the runner counts."""

    def __init__(self, description):
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument(
            "--server", required=True, help="base URL of a running gradus, with a namespace acme"
        )
        parser.add_argument("--token", required=True, help="a token of an administrator")
        parser.add_argument("--gradus", required=True, type=Path, help="the gradus binary, for its CLI")
        asked = parser.parse_args()
        self.failed = 0
        self._folder = tempfile.TemporaryDirectory(prefix="gradus-client-")
        self.folder = Path(self._folder.name)
        self.gradus = Gradus(asked.gradus.resolve(), asked.server, asked.token, self.folder / "home")

    def check(self, test):
        name = test.__name__.replace("_", " ")
        try:
            test()
            print(f"ok - {name}", flush=True)
        except Exception as error:  # every kind of failure is a failed check, and the next one still runs
            self.failed += 1
            print(f"FAILED - {name}: {first_line(error)}", flush=True)
            traceback.print_exc(file=sys.stdout)

    def exit(self):
        self._folder.cleanup()
        sys.exit(1 if self.failed else 0)


def first_line(error):
    return (str(error).splitlines() or [type(error).__name__])[0]


def equal(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: expected {wanted!r}, found {found!r}")


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def random_bytes(size, seed):
    """The same bytes for the same seed, so that a failure can be looked at again."""
    return random.Random(seed).randbytes(size)


def safetensors(tensors, seed=1):
    """The bytes of a real safetensors file: F32 tensors of the given `{name: shape}`, random values."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors.items():
        size = 4
        for dimension in shape:
            size *= dimension
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + random_bytes(offset, seed)


def write_model(folder, seed=1, rows=64):
    """A small weights directory: config.json and one safetensors file. Returns `{file name: bytes}`."""
    files = {
        "config.json": json.dumps(
            {
                "architectures": ["LlamaForCausalLM"],
                "model_type": "llama",
                "hidden_size": 32,
                "vocab_size": rows,
            }
        ).encode(),
        "model.safetensors": safetensors(
            {"model.embed_tokens.weight": (rows, 32), "lm_head.weight": (rows, 32)}, seed
        ),
    }
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


class Layout:
    """An OCI image layout on disk, as skopeo and umoci read and write it."""

    def __init__(self, folder):
        self.folder = folder

    def create(self):
        (self.folder / "blobs" / "sha256").mkdir(parents=True)
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        return self

    def blob(self, digest):
        return (self.folder / "blobs" / digest.replace(":", "/")).read_bytes()

    def add(self, content, media_type):
        digest = sha256(content)
        (self.folder / "blobs" / digest.replace(":", "/")).write_bytes(content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def add_json(self, value, media_type):
        return self.add(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), media_type)

    def add_image(self, files, architecture="amd64"):
        """Adds an image of one layer with the given `{name: bytes}`; returns its descriptor."""
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        layer = self.add(
            gzip.compress(tar.getvalue(), mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip"
        )
        config = self.add_json(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [sha256(tar.getvalue())]},
            },
            "application/vnd.oci.image.config.v1+json",
        )
        return self.add_json(
            {"schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": config, "layers": [layer]},
            IMAGE_MANIFEST,
        )

    def tag(self, descriptor, name):
        """Makes `descriptor` the one tagged content of this layout."""
        entry = descriptor | {"annotations": {"org.opencontainers.image.ref.name": name}}
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        return descriptor["digest"]

    def tagged(self):
        """The digest of the one tagged content."""
        manifests = json.loads((self.folder / "index.json").read_text())["manifests"]
        equal(len(manifests), 1, "entries of the layout's index")
        return manifests[0]["digest"]

    def contents(self):
        """`{digest: bytes}` of everything in it; refuses a blob that is not what its name says."""
        found = {
            "sha256:" + file.name: file.read_bytes() for file in (self.folder / "blobs/sha256").iterdir()
        }
        for digest, content in found.items():
            equal(sha256(content), digest, "digest of a blob in the layout")
        return found
