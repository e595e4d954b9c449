"""tlog-scales, unmodified, against `/v1/log`: it reads the tiles, and checks notes, roots and proofs by its own code."""

import base64
import dataclasses
import json
import urllib.error
import urllib.parse
import urllib.request

from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash
from tlog_scales.tlog import Checkpoint, ConsistencyProof, InclusionProof

from checks import Checks, equal

run = Checks(__doc__)
gradus = run.gradus
EVENTS = 300  # so that there is a full tile, and a part of one


def call(path, body=None):
    request = urllib.request.Request(gradus.url + path, headers={"Authorization": f"Bearer {gradus.token}"})
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


class Backend:
    """Where tlog-scales fetches from: the log with a token."""

    def get(self, *path):
        try:
            return call("/v1/log/" + "/".join(path))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise


def key():
    return Vkey.from_string(call("/v1/log/key").decode().strip())


def checkpoint():
    """The log's checkpoint, and a reader at its size. The signature is checked."""
    reader = TilesReader(Backend())
    found = reader.get_checkpoint()
    found.verify(key())
    return found, reader


def served_proof(position):
    """What the registry proves of an entry: the entry, the proof, and the checkpoint it leads to."""
    served = json.loads(call(f"/v1/log/proof/{position}"))
    head, note = served["proof"].split("\n\n", 1)
    version, index, *hashes = head.splitlines()
    equal(version, "c2sp.org/tlog-proof@v1", "first line of the proof")
    equal(index, f"index {position}", "second line of the proof")
    root = Checkpoint.from_text(note)
    root.verify(key())
    proof = InclusionProof(position, root.size, [base64.b64decode(text) for text in hashes])
    return served["entry"].encode(), proof, root


def refused(action, what):
    try:
        action()
    except Exception:
        return
    raise AssertionError(f"{what} was accepted")


early, _ = checkpoint()
for number in range(EVENTS):
    call("/v1/users", {"name": f"tlog-{number}", "kind": "person"})


@run.check
def the_checkpoint_is_signed_under_the_published_key():
    found, _ = checkpoint()
    equal(found.origin, key().name, "origin of the checkpoint")
    longer = dataclasses.replace(found, size=found.size + 1)
    refused(lambda: longer.verify(key()), "a checkpoint of another size")


@run.check
def the_tiles_make_up_the_root():
    found, reader = checkpoint()
    equal(reader.calculate_root_hash(), found.root_hash, "root over the tiles")


@run.check
def the_entries_are_what_the_tiles_hash():
    found, reader = checkpoint()
    for position in (0, 1, 255, 256, found.size - 1):
        entry = reader.get_entry(position)
        equal(leaf_hash(entry), reader.mth(position, position + 1), f"hash of entry {position}")
        equal(json.loads(entry)["position"], position, "position in the entry")


@run.check
def inclusion_is_proven_and_forgeries_are_not():
    size = early.size + EVENTS
    for position in (0, 7, 255, 256, size - 1):
        entry, proof, root = served_proof(position)
        proof.check(leaf_hash(entry), root.root_hash)
        reader = TilesReader(Backend())
        reader.set_size(root.size)
        equal(proof.node_hashes, reader.get_inclusion_proof(position, root.size).node_hashes, "the proof")
        refused(lambda: proof.check(leaf_hash(entry + b" "), root.root_hash), "another entry")
        for index, node in enumerate(proof.node_hashes):
            changed = [*proof.node_hashes]
            changed[index] = bytes([node[0] ^ 1]) + node[1:]
            forged = dataclasses.replace(proof, node_hashes=changed)
            refused(lambda: forged.check(leaf_hash(entry), root.root_hash), "a changed proof")
        moved = dataclasses.replace(proof, leaf_index=(position + 1) % size)
        refused(lambda: moved.check(leaf_hash(entry), root.root_hash), "a proof of another place")


@run.check
def a_later_log_begins_with_the_earlier_one():
    late, reader = checkpoint()
    query = urllib.parse.urlencode({"from": early.size, "to": late.size})
    served = json.loads(call(f"/v1/log/consistency?{query}"))["hashes"]
    proof = ConsistencyProof(early.size, late.size, [base64.b64decode(text) for text in served])
    proof.check(early.root_hash, late.root_hash)
    equal(proof.node_hashes, reader.get_consistency_proof(early.size, late.size).node_hashes, "the proof")
    refused(lambda: proof.check(late.root_hash, early.root_hash), "the proof the other way round")
    short = dataclasses.replace(proof, node_hashes=proof.node_hashes[:-1])
    refused(lambda: short.check(early.root_hash, late.root_hash), "a proof cut short")


run.exit()
