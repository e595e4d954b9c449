"""umoci builds an image, skopeo carries it through `/v2/`, umoci unpacks it and finds the same files."""

import subprocess

from checks import Checks, Layout, equal, random_bytes

run = Checks(__doc__)
gradus, folder = run.gradus, run.folder
remote = f"docker://{gradus.host}/acme/umoci:built"
credentials = f"anyone:{gradus.token}"


def tool(*command):
    done = subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    equal(done.returncode, 0, f"exit code of {' '.join(map(str, command[:3]))} ({done.stderr.strip()})")
    return done.stdout


def build(layout, files):
    tool("umoci", "init", "--layout", layout)
    tool("umoci", "new", "--image", f"{layout}:built")
    for name, content in files.items():
        (folder / name).write_bytes(content)
        tool("umoci", "insert", "--rootless", "--image", f"{layout}:built", folder / name, f"/models/{name}")
    tool("umoci", "config", "--image", f"{layout}:built", "--config.label", "purpose=modelcar")


@run.check
def an_image_built_by_umoci_survives_the_registry():
    files = {"model.bin": random_bytes(2_000_000, seed=21), "notes.txt": b"one layer per inserted file\n"}
    build(folder / "layout", files)
    tool(
        "skopeo",
        "--insecure-policy",
        "copy",
        "--dest-tls-verify=false",
        "--dest-creds",
        credentials,
        f"oci:{folder}/layout:built",
        remote,
    )
    tool(
        "skopeo",
        "--insecure-policy",
        "copy",
        "--src-tls-verify=false",
        "--src-creds",
        credentials,
        remote,
        f"oci:{folder}/returned:built",
    )
    equal(Layout(folder / "returned").tagged(), Layout(folder / "layout").tagged(), "digest of the image")
    tool("umoci", "unpack", "--rootless", "--image", f"{folder}/returned:built", folder / "bundle")
    for name, content in files.items():
        equal((folder / "bundle/rootfs/models" / name).read_bytes(), content, f"bytes of {name}")


@run.check
def a_second_push_of_a_grown_image_adds_a_layer_and_keeps_the_old_one():
    before = tool(
        "skopeo",
        "inspect",
        "--tls-verify=false",
        "--creds",
        credentials,
        "--format",
        "{{range .Layers}}{{.}} {{end}}",
        remote,
    ).split()
    (folder / "more.txt").write_text("added later\n")
    tool(
        "umoci",
        "insert",
        "--rootless",
        "--image",
        f"{folder}/returned:built",
        folder / "more.txt",
        "/more.txt",
    )
    tool(
        "skopeo",
        "--insecure-policy",
        "copy",
        "--dest-tls-verify=false",
        "--dest-creds",
        credentials,
        f"oci:{folder}/returned:built",
        remote,
    )
    after = tool(
        "skopeo",
        "inspect",
        "--tls-verify=false",
        "--creds",
        credentials,
        "--format",
        "{{range .Layers}}{{.}} {{end}}",
        remote,
    ).split()
    equal((after[:-1], len(after)), (before, len(before) + 1), "layers")


run.exit()
