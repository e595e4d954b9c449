"""The files that are pushed: real safetensors, of any size, made different by a few bytes in their header."""

import json
import os
import random
import struct

from .measure import MIB

MARK = 16  # digits of the mark in the header


def safetensors(path, size, sparse=False):
    """Writes a safetensors file of `size` bytes: a mark, and one tensor of random bytes or a hole."""

    def header(data):
        text = json.dumps(
            {
                "__metadata__": {"mark": "0" * MARK},
                "weight": {"dtype": "U8", "shape": [data], "data_offsets": [0, data]},
            }
        ).encode()
        return struct.pack("<Q", len(text) + -len(text) % 8) + text + b" " * (-len(text) % 8)

    data = size
    while (total := len(header(data)) + data) > size:
        data -= total - size
    start, source = header(data), random.Random(size)
    with open(path, "wb") as file:
        file.write(start)
        if sparse:
            file.truncate(len(start) + data)
        else:
            for begin in range(0, data, 8 * MIB):
                file.write(source.randbytes(min(8 * MIB, data - begin)))
        file.flush()
        os.fsync(file.fileno())


def mark(path, number):
    """Gives the file another mark, and so another digest, without writing it anew."""
    with open(path, "r+b") as file:
        place = file.read(4096).index(b'"mark": "') + len(b'"mark": "')
        file.seek(place)
        file.write(str(number).zfill(MARK).encode())
        file.flush()
        os.fsync(file.fileno())


def model_folder(folder, size, sparse=False):
    """A directory to push as weights: config.json and model.safetensors. Returns the path of the latter."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"architectures": ["BenchModel"], "model_type": "bench"}')
    safetensors(folder / "model.safetensors", size, sparse)
    return folder / "model.safetensors"
