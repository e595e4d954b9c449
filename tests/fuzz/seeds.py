"""Writes the seed corpus: real files made by the libraries that own the formats, and hostile ones.

The expected safety is the first word of each name; a unit test of src/kinds replays them all.
Needs: pip install safetensors gguf onnx numpy joblib cloudpickle. Payloads are harmless markers.
"""
import bz2, gzip, io, json, lzma, marshal, os, pickle, py_compile, shutil, struct, sys, tarfile, tempfile, zipfile, zlib
from pathlib import Path

import cloudpickle, gguf, joblib, numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save as save_safetensors

CORPUS = Path(__file__).parent / "corpus"


def put(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


class Payload:
    def __reduce__(self):
        return (os.getpid, ())


class State:
    def __init__(self):
        self.weights = [1.0, 2.0]


def zipped(members, compression=zipfile.ZIP_STORED, comment=b""):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, compression)
        archive.comment = comment
    return out.getvalue()


def tarred(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def safetensors():
    tensors = {"a": np.zeros((2, 3), np.float32), "b": np.ones(4, np.float16), "c": np.array(True)}
    good = save_safetensors(tensors, metadata={"format": "pt"})
    put("safetensors", "safe-three.safetensors", good)
    put("safetensors", "safe-empty.safetensors", save_safetensors({}))
    put("safetensors", "unknown-trailing.safetensors", good + b"\0")
    put("safetensors", "unknown-cut.safetensors", good[:-1])
    put("safetensors", "unknown-header-cut.safetensors", good[:20])
    put("safetensors", "unknown-huge-header.safetensors", struct.pack("<Q", 2**63) + b"{}")
    put("safetensors", "unknown-duplicate.safetensors", b'\x88\0\0\0\0\0\0\0' + (
        b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        b'"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}').ljust(0x88) + b"xy")
    put("safetensors", "unsafe-zip-behind.safetensors", good + zipped([("x/data.pkl", pickle.dumps(Payload()))]))


def gguf_files():
    path = Path(tempfile.mkdtemp()) / "m.gguf"
    for endian in (gguf.GGUFEndian.LITTLE, gguf.GGUFEndian.BIG):
        writer = gguf.GGUFWriter(path, "llama", endianess=endian)
        writer.add_context_length(4096)
        writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
        writer.add_name("tiny")
        writer.add_token_list(["<s>", "a", "b"])
        writer.add_array("test.numbers", [1, 2, 3])
        writer.add_tensor("token_embd.weight", np.ones((4, 32), np.float32))
        if endian == gguf.GGUFEndian.LITTLE:
            q8 = gguf.quants.quantize(np.ones((2, 64), np.float32), gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor("blk.0.weight", q8, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        data = path.read_bytes()
        put("gguf", f"safe-{endian.name.lower()}.gguf", data)
    put("gguf", "unknown-cut.gguf", data[: len(data) - 64])
    put("gguf", "unknown-v1.gguf", b"GGUF\1\0\0\0" + bytes(16))
    put("gguf", "unknown-v4.gguf", b"GGUF\4\0\0\0" + bytes(16))
    put("gguf", "unknown-counts.gguf", b"GGUF\3\0\0\0" + b"\xff" * 16)
    put("gguf", "unknown-string.gguf", b"GGUF\3\0\0\0" + struct.pack("<QQQ", 0, 1, 2**62) + b"a" * 32)
    nested = struct.pack("<Q", 1) + b"k" + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 60
    put("gguf", "unknown-nested.gguf", b"GGUF\3\0\0\0" + struct.pack("<QQ", 0, 1) + nested + bytes(64))


def onnx_model(initializers, name="graph"):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], name,
        [value("x", TensorProto.FLOAT, [2])], [value("y", TensorProto.FLOAT, [2])], initializers)
    return helper.make_model(graph, producer_name="seeds", opset_imports=[helper.make_opsetid("", 18)])


def onnx_files():
    weights = numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
    model = onnx_model([weights, numpy_helper.from_array(np.ones(5, np.int64), "i")])
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.ones(7, np.float32), "c"))
    branch = helper.make_graph([constant], "branch", [], [], [numpy_helper.from_array(np.ones(11, np.float16), "h")])
    model.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=branch, else_branch=branch))
    data = model.SerializeToString()
    put("onnx", "safe-branches.onnx", data)
    put("onnx", "safe-by-content", data)
    put("onnx", "unknown-cut.onnx", data[:-3])
    put("onnx", "unknown-empty.onnx", b"")
    for label, location in [("absolute", "/etc/passwd"), ("parent", "../x"), ("missing", "w.bin"), ("drive", "c:\\x")]:
        outside = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 3], data_location=1)
        outside.external_data.add(key="location", value=location)
        put("onnx", f"unknown-external-{label}.onnx", onnx_model([outside]).SerializeToString())
    liar = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**40, 2**40], raw_data=b"1234")
    put("onnx", "unknown-overflow.onnx", onnx_model([liar]).SerializeToString())
    liar.dims[:] = [3]
    put("onnx", "unknown-shape.onnx", onnx_model([liar]).SerializeToString())
    deep = b""
    for _ in range(40):  # ModelProto.graph → node → attribute → graph …
        def field(number, body):
            return bytes([number << 3 | 2]) + varint(len(body)) + body
        deep = field(1, field(5, field(6, deep)))
    put("onnx", "unknown-deep.onnx", b"\x08\x08" + bytes([0x3A]) + varint(len(deep)) + deep)


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def torch_archive(payload, **more):
    members = [("archive/data.pkl", payload), ("archive/byteorder", b"little"), ("archive/data/0", bytes(400)), ("archive/version", b"3\n")]
    return zipped(members, **more)


def pickles():
    for protocol in range(6):
        put("pickle", f"unsafe-data-{protocol}", pickle.dumps({"a": [1, 2.5, "x", None, (1, 2)]}, protocol))
        put("pickle", f"unsafe-payload-{protocol}", pickle.dumps(Payload(), protocol))
        put("pickle", f"unsafe-state-{protocol}", pickle.dumps(State(), protocol))
    payload = pickle.dumps(Payload())
    put("pickle", "unsafe-inst", b"(S'id'\nios\nsystem\n.")
    put("pickle", "unsafe-no-stop", b"cos\ngetpid\n(tR\xff\xff")
    put("pickle", "unsafe-headed-no-stop", b"\x80\x04cos\ngetpid\n)R\xff\xff")
    put("pickle", "unsafe-pop-hides-call", b"\x80\x04cos\ngetpid\n)R0N.")
    put("pickle", "unsafe-second-stream", b"N." + payload)
    put("pickle", "unsafe-behind-long-line", b"V" + b"x" * 70000 + b"\n0cos\ngetpid\n(tR.")
    put("pickle", "unsafe-padded", b"N0" * 3000 + b"cos\ngetpid\n)R.")
    put("pickle", "unsafe-memo-names", b"\x80\x04\x8c\x02os\x94\x8c\x06getpid\x940h\x00h\x01\x93)R.")
    put("pickle", "unsafe-cut-after-call", payload[:-1])
    put("pickle", "unsafe-cloudpickle", cloudpickle.dumps(lambda x: x + 1))
    put("pickle", "unsafe-torch-legacy", pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + payload)
    put("pickle", "unknown-broken", b"\x80\x04NNNN\xff")
    for name, compress in [("plain", 0), ("zlib", 3), ("gzip", ("gzip", 3))]:
        out = io.BytesIO()
        joblib.dump({"w": np.ones(300), "f": State()}, out, compress=compress)
        put("pickle", f"unsafe-joblib-{name}", out.getvalue())
    torch = torch_archive(payload)
    put("pickle", "unsafe-torch.pt", torch)
    put("pickle", "unsafe-torch-deflated.safetensors", torch_archive(payload, compression=zipfile.ZIP_DEFLATED))
    put("pickle", "unsafe-torch-comment.txt", torch_archive(payload, comment=b"c" * 60000))
    put("pickle", "unsafe-prefixed-zip.gguf", b"MZ" * 100 + torch)
    put("pickle", "unsafe-text-then-zip.json", b'{"a": 1}' + torch)
    put("pickle", "unsafe-extension.txt", zipped([("a.txt", payload)]))
    put("pickle", "unsafe-nested.zip", zipped([("inner.zip", torch)], zipfile.ZIP_DEFLATED))
    encrypted = bytearray(torch)
    for signature, at in [(b"PK\1\2", 8), (b"PK\3\4", 6)]:
        position = encrypted.find(signature)
        while position >= 0:
            encrypted[position + at] |= 1
            position = encrypted.find(signature, position + 4)
    put("pickle", "unsafe-flag-bits.pt", bytes(encrypted))
    put("pickle", "unsafe-name-mismatch.pt", torch.replace(b"archive/data.pkl", b"archive/info.txt", 1))
    corrupt = torch.replace(struct.pack("<I", zlib.crc32(payload)), b"\0\0\0\0")
    put("pickle", "unsafe-wrong-checksum.pt", corrupt)
    put("pickle", "safe-plain.zip", zipped([("a.txt", b"hello " * 100), ("b/c.json", b"{}")], zipfile.ZIP_DEFLATED))
    renamed = zipped([("a.txt", b"hello")]).replace(b"a.txt", b"b.txt", 1)
    put("pickle", "unknown-name-mismatch.zip", renamed)
    put("pickle", "unknown-slip.zip", zipped([("../a.txt", b"hello")]))
    put("pickle", "unknown-duplicate.zip", two_of_one_name())
    put("pickle", "unknown-bzip2-member.zip", zipped([("a.txt", b"hello")], zipfile.ZIP_BZIP2))
    put("pickle", "unknown-bomb.zip", zipped([("zeros", bytes(40 << 20))], zipfile.ZIP_DEFLATED))
    put("pickle", "unknown-cut.zip", torch[:-30] if b"PK\5\6" not in torch[:-30] else torch)
    two = torch + zipped([("a.txt", b"hello")])  # two archives one after the other: the first is hidden
    put("pickle", "unsafe-hidden-before.zip", two)
    put("pickle", "unknown-hidden-between.zip", hidden_between(payload))
    put("pickle", "unsafe-zip64.pt", zip64(payload))
    put("pickle", "unsafe-second-end-record.zip", torch[:-2] + struct.pack("<H", 22) + b"PK\5\6" + bytes(18))
    put("pickle", "unsafe-gzip.gz", gzip.compress(payload, mtime=0))
    put("pickle", "unsafe-gzip-second-member.gz", gzip.compress(b"N.", mtime=0) + gzip.compress(payload, mtime=0))
    put("pickle", "safe-gzip.gz", gzip.compress(b"hello", mtime=0))
    put("pickle", "unknown-bzip2", bz2.compress(payload))
    put("pickle", "unknown-xz", lzma.compress(payload))
    put("pickle", "unknown-lzma", lzma.compress(payload, lzma.FORMAT_ALONE))
    put("pickle", "unknown-zstd", b"\x28\xb5\x2f\xfd" + bytes(20))
    put("pickle", "unknown-hdf5.h5", b"\x89HDF\r\n\x1a\n" + bytes(100))
    put("pickle", "unsafe-tar.tar", tarred([("a.txt", b"hello"), ("deep/b", payload)]))
    put("pickle", "safe-tar.tar", tarred([("a.txt", b"hello"), ("b" * 150, b"y" * 1000)]))
    put("pickle", "unsafe-tar-gz", gzip.compress(tarred([("b", payload)]), mtime=0))
    source = Path(tempfile.mkdtemp()) / "m.py"
    source.write_text("def f(x):\n    return x\n")
    put("pickle", "unsafe-bytecode.dat", Path(py_compile.compile(str(source), str(source) + "c")).read_bytes())
    put("pickle", "unsafe-marshal", marshal.dumps(compile("1+1", "m", "exec")))
    for name, array in [("numbers", np.ones((3, 4), np.float32)), ("struct", np.zeros(2, [("Offset", "<f4"), ("O_", "<i8")]))]:
        put("pickle", f"safe-{name}.npy", npy(array))
    put("pickle", "unsafe-objects.npy", npy(np.array([{"a": 1}, None], object)))
    out = io.BytesIO()
    np.savez_compressed(out, a=np.ones(5), b=np.array([State()], object))
    put("pickle", "unsafe-objects.npz", out.getvalue())
    out = io.BytesIO()
    np.savez(out, a=np.ones(5))
    put("pickle", "safe-numbers.npz", out.getvalue())
    keras = lambda config: zipped([("metadata.json", b"{}"), ("config.json", json.dumps(config).encode())])
    put("pickle", "unsafe-lambda.keras", keras({"module": "keras", "class_name": "Sequential", "config": {"layers": [
        {"module": "keras.layers", "class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wA="}}}}]}}))
    put("pickle", "unsafe-module.keras", keras({"module": "builtins", "class_name": "function", "config": "print"}))
    put("pickle", "safe-dense.keras", keras({"module": "keras", "class_name": "Sequential", "config": {"layers": [
        {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}}]}}))
    texts = {"labels": "cat\ndog\nfish\n", "labels-c": "cat\ncow\ncrab\ndog\n", "words": "cab\ncan\ncar\ncat\nbee\n",
        "readme": "# Model\n\nA model.\n", "licence": "Copyright (c) 2026\n\nPermission is granted.\n", "empty": "",
        "number": "0.5\n", "json": "{\"a\": [1]}", "python": "import os\nprint(os.name)\n", "csv": "I,V,S\n1,2,3\n", "merges": "#version: 0.2\ni n\nt h\n",
        "yaml": "base: x\n", "requirements": "certifi\ncharset-normalizer\nnumpy\n", "dot": ".\n", "vocab": "[PAD]\n[UNK]\n", "numbers": "1\n2\n3\n"}
    for name, text in texts.items():
        put("pickle", f"safe-{name}.txt", text.encode())
    rng = np.random.default_rng(7)
    put("pickle", "safe-floats.bin", rng.standard_normal(2000).astype(np.float32).tobytes())


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def zip64(payload):
    """An archive whose sizes and offsets stand in zip64 fields only."""
    wide = 0xFFFFFFFF
    name, crc = b"archive/data.pkl", zlib.crc32(payload)
    sizes = struct.pack("<HHQQ", 1, 16, len(payload), len(payload))
    local = b"PK\3\4" + struct.pack("<HHHHHIIIHH", 45, 0, 0, 0, 0, crc, wide, wide, len(name), len(sizes)) + name + sizes + payload
    extra = struct.pack("<HHQQQ", 1, 24, len(payload), len(payload), 0)
    central = b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", 45, 45, 0, 0, 0, 0, crc, wide, wide, len(name), len(extra), 0, 0, 0, 0, wide) + name + extra
    record = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, len(central), len(local))
    locator = b"PK\6\7" + struct.pack("<IQI", 0, len(local) + len(central), 1)
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, wide, wide, 0)
    data = local + central + record + locator + end
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read("archive/data.pkl") == payload
    return data


def hidden_between(payload):
    """A member that only the local headers know."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.txt"), b"hello")
        archive.writestr(zipfile.ZipInfo("data.pkl"), payload)
        archive.writestr(zipfile.ZipInfo("z.txt"), b"hello")
        del archive.NameToInfo["data.pkl"]
        archive.filelist = [info for info in archive.filelist if info.filename != "data.pkl"]
    return whole.getvalue()


def two_of_one_name():
    out = io.BytesIO()
    import warnings
    warnings.simplefilter("ignore")
    with zipfile.ZipFile(out, "w") as archive:
        for data in ("one", "two"):
            archive.writestr(zipfile.ZipInfo("a.txt"), data)
    return out.getvalue()


def adapters():
    config = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "meta-llama/Llama-3.2-1B", "modules_to_save": None, "bias": "none"}
    write = lambda name, value: put("adapter", name, json.dumps(value).encode())
    write("safe-lora.json", config)
    write("safe-pattern.json", config | {"target_modules": "all-linear"})
    write("safe-qlora.json", config | {"base_model_name_or_path": "unsloth/llama-3-8b-bnb-4bit"})
    write("unknown-no-type.json", {"r": 8})
    write("unknown-list.json", [])
    write("unknown-rank.json", config | {"r": 16})
    write("unknown-rank-type.json", config | {"r": "8"})
    put("adapter", "unknown-duplicate.json", b'{"peft_type":"LORA","r":8,"r":9}')
    put("adapter", "unknown-deep.json", b'{"peft_type":"LORA","x":' + b"[" * 200 + b"]" * 200 + b"}")


def artifacts():
    """Directories as the target `artifact` splits them: a byte that picks the name, then the content."""
    one = save_safetensors({"a": np.ones(3, np.float32)})
    two = save_safetensors({"b": np.ones(5, np.float32)})
    index = json.dumps({"metadata": {"total_size": 32}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})
    config = json.dumps({"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 64})
    finetune = "vendor: openai\nmodel: ft:x\nbase: gpt-4o-mini\nmethod: dpo\ntraining_files:\n- name: a.jsonl\n  sha256: " + "ab" * 32
    external = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 3], data_location=1)
    external.external_data.add(key="location", value="w.bin")
    join = lambda *files: b"\xff\xfe".join(bytes([name]) + body for name, body in files)
    put("artifact", "shards-safe", join((0, config.encode()), (1, index.encode()), (2, one), (3, two)))
    put("artifact", "shards-swapped", join((1, index.encode()), (2, two), (3, one)))
    put("artifact", "finetune-safe", join((4, finetune.encode())))
    put("artifact", "external-safe", join((6, bytes(24)), (7, onnx_model([external]).SerializeToString())))


if __name__ == "__main__":
    # Crashers found by fuzzing (crash-*) are kept.
    for old in CORPUS.glob("*/*-*"):
        if not old.name.startswith("crash-"):
            old.unlink()
    for make in (safetensors, gguf_files, onnx_files, pickles, adapters, artifacts):
        make()
    print(sum(1 for _ in CORPUS.rglob("*-*")), "seeds", file=sys.stderr)
