"""PyPI's model-signing, unmodified: it verifies what `gradus sign` signs, and `gradus` what it signs."""

import datetime
import shutil
import subprocess
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from checks import Checks, equal

run = Checks(__doc__)
gradus, folder = run.gradus, run.folder
TOOL = [sys.executable, "-m", "model_signing"]
EXAMPLE = Path(__file__).resolve().parents[3] / "deploy" / "examples" / "model"
WORKLOAD = "acme/signed"


def tool(*arguments):
    """Runs the reference tool; True if it accepts."""
    done = subprocess.run([*TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return done.returncode == 0


def key_pair(name, curve):
    key = ec.generate_private_key(curve)
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return key, private, public


def certificate(name, key, issuer, issuer_key, is_ca):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=not is_ca, key_cert_sign=is_ca, **usage), critical=True
        )
    )
    return built.sign(issuer_key or key, hashes.SHA256())


def pem(*certificates):
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def push(name, change):
    """A version of weights of its own; its reference and the directory it was pushed from."""
    directory = folder / name
    shutil.copytree(EXAMPLE, directory)
    (directory / "tokenizer.json").write_text(change)
    gradus.cli("push", "weights", directory, "--to", WORKLOAD)
    newest = gradus.json("list", WORKLOAD)[0]["version"]
    return f"{WORKLOAD}:{newest}", directory


reference, directory = push("first", '{"model": "first"}')


@run.check
def what_gradus_signs_by_key_the_reference_accepts():
    for name, curve in (("p256", ec.SECP256R1()), ("p384", ec.SECP384R1())):
        _, private, public = key_pair(name, curve)
        signature = folder / f"{name}.sig"
        gradus.cli("sign", reference, "--key", private, "--out", signature)
        arguments = ("verify", "key", "--public_key", public, "--signature", signature)
        equal(tool(*arguments, directory), True, f"{name} accepted")
        other = folder / f"{name}-changed"
        shutil.copytree(directory, other)
        (other / "config.json").write_text("{}")
        equal(tool(*arguments, other), False, f"{name} of changed files")
        gradus.cli("verify", reference, "--key", public)
    _, _, stranger = key_pair("stranger", ec.SECP256R1())
    gradus.cli("verify", reference, "--key", stranger, expect=1)


@run.check
def what_the_reference_signs_by_key_gradus_accepts():
    mine, source = push("second", '{"model": "second"}')
    _, private, public = key_pair("theirs", ec.SECP256R1())
    signature = folder / "theirs.sig"
    equal(tool("sign", "key", "--private_key", private, "--signature", signature, source), True, "signed")
    gradus.cli("eval", "attach", mine, signature, "--public-key", public)
    gradus.cli("verify", mine, "--key", public)
    # A signature over these files says nothing about those.
    gradus.cli("eval", "attach", reference, signature, "--public-key", public, expect=1)


@run.check
def certificates_are_followed_to_their_root_both_ways():
    root_key, _, _ = key_pair("root", ec.SECP256R1())
    root = certificate("Acme root", root_key, None, None, True)
    leaf_key, private, _ = key_pair("leaf", ec.SECP256R1())
    leaf = certificate("release@acme.example", leaf_key, root.subject, root_key, False)
    (folder / "root.crt").write_bytes(pem(root))
    (folder / "leaf.crt").write_bytes(pem(leaf))
    (folder / "chain.crt").write_bytes(pem(leaf, root))
    mine, source = push("third", '{"model": "third"}')
    signature = folder / "chain.sig"
    gradus.cli("sign", mine, "--key", private, "--chain", folder / "chain.crt", "--out", signature)
    trusted = ("--certificate_chain", folder / "root.crt")
    equal(tool("verify", "certificate", *trusted, "--signature", signature, source), True, "ours by theirs")
    who = ("--identity", "release@acme.example")
    gradus.cli("verify", mine, "--key", folder / "root.crt", *who)
    gradus.cli("verify", mine, "--key", folder / "root.crt", "--identity", "eve", expect=6)
    theirs = folder / "theirs-chain.sig"
    signed = tool(
        "sign", "certificate", "--private_key", private, "--signing_certificate", folder / "leaf.crt",
        "--certificate_chain", folder / "root.crt", "--signature", theirs, source,
    )
    equal(signed, True, "signed by theirs")
    gradus.cli("verify", mine, "--key", folder / "root.crt", "--signature", theirs)


run.exit()
