"""PyPI's model-signing, unmodified: it verifies what `gradus sign` signs, and `gradus` what it signs."""

import datetime
import shutil
import subprocess
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from checks import Checks, equal

run = Checks(__doc__)
gradus, folder = run.gradus, run.folder
TOOL = [sys.executable, "-m", "model_signing"]
EXAMPLE = Path(__file__).resolve().parents[3] / "deploy" / "examples" / "model"
LORA = EXAMPLE.parent / "lora"
PROMPT = EXAMPLE.parent / "prompts" / "triage-1.prompt.yaml"
WORKLOAD = "acme/signed"
CURVES = (("p256", ec.SECP256R1()), ("p384", ec.SECP384R1()), ("p521", ec.SECP521R1()))


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


def certificate(name, key, issuer, issuer_key, is_ca, *extensions):
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
    builder = (
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
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer_key or key, hashes.SHA256())


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
    for name, curve in CURVES:
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
    gradus.cli("verify", reference, "--key", stranger, expect=6)


@run.check
def what_the_reference_signs_by_key_gradus_accepts():
    mine, source = push("second", '{"model": "second"}')
    for name, curve in CURVES:
        _, private, public = key_pair(f"theirs-{name}", curve)
        signature = folder / f"theirs-{name}.sig"
        signed = tool("sign", "key", "--private_key", private, "--signature", signature, source)
        equal(signed, True, f"{name} signed")
        gradus.cli("eval", "attach", mine, signature, "--public-key", public)
        gradus.cli("verify", mine, "--key", public)
    # A signature over these files says nothing about those.
    gradus.cli("eval", "attach", reference, signature, "--public-key", public, expect=1)


@run.check
def a_prompt_that_was_taken_over_is_signed_or_left_out():
    workload = "acme/adapted"
    contract = EXAMPLE.parent / "contract.json"
    gradus.cli("push", "prompt", PROMPT, "--to", workload, "--contract", contract)
    gradus.cli("push", "adapter", LORA, "--to", workload, "--base", "hf:org/model@abc")
    adapter, pulled = f"{workload}:1.0.1", folder / "pulled"
    gradus.cli("pull", adapter, "--out", pulled)
    equal((pulled / PROMPT.name).exists(), True, "the prompt is pulled, too")
    _, private, public = key_pair("ours-adapter", ec.SECP256R1())
    signature = folder / "ours-adapter.sig"
    gradus.cli("sign", adapter, "--key", private, "--out", signature)
    arguments = ("verify", "key", "--public_key", public, "--signature", signature)
    equal(tool(*arguments, pulled), True, "ours, of the pulled directory")
    equal(tool(*arguments, LORA), False, "ours, of the directory it was pushed from, which has no prompt")
    for name, directory, covered in (("source", LORA, False), ("pulled", pulled, True)):
        _, private, public = key_pair(f"theirs-{name}", ec.SECP256R1())
        signature = folder / f"theirs-{name}.sig"
        signed = tool("sign", "key", "--private_key", private, "--signature", signature, directory)
        equal(signed, True, f"signed the {name}")
        gradus.cli("eval", "attach", adapter, signature, "--public-key", public)
        left_out = gradus.json("verify", adapter, pulled, "--key", public)["signed"]["not_covered"]
        equal(left_out, None if covered else PROMPT.name, f"left out of theirs over the {name}")


@run.check
def certificates_are_followed_to_their_root_both_ways():
    for name, curve in CURVES:
        root_key, _, _ = key_pair(f"root-{name}", curve)
        root = certificate("Acme root", root_key, None, None, True)
        leaf_key, private, _ = key_pair(f"leaf-{name}", curve)
        leaf = certificate("release@acme.example", leaf_key, root.subject, root_key, False)
        root_file, leaf_file, chain = (folder / f"{file}-{name}.crt" for file in ("root", "leaf", "chain"))
        root_file.write_bytes(pem(root))
        leaf_file.write_bytes(pem(leaf))
        chain.write_bytes(pem(leaf, root))
        mine, source = push(f"third-{name}", f'{{"model": "third {name}"}}')
        signature = folder / f"chain-{name}.sig"
        gradus.cli("sign", mine, "--key", private, "--chain", chain, "--out", signature)
        trusted = ("--certificate_chain", root_file)
        equal(
            tool("verify", "certificate", *trusted, "--signature", signature, source),
            True,
            f"ours by theirs, {name}",
        )
        who = ("--identity", "release@acme.example")
        gradus.cli("verify", mine, "--key", root_file, *who)
        gradus.cli("verify", mine, "--key", root_file, "--identity", "eve", expect=6)
        theirs = folder / f"theirs-chain-{name}.sig"
        signed = tool(
            "sign", "certificate", "--private_key", private, "--signing_certificate", leaf_file,
            "--certificate_chain", root_file, "--signature", theirs, source,
        )
        equal(signed, True, f"signed by theirs, {name}")
        gradus.cli("verify", mine, "--key", root_file, "--signature", theirs)


@run.check
def a_certificate_counts_for_what_it_says_and_no_more():
    root_key, _, _ = key_pair("strict-root", ec.SECP256R1())
    root = certificate("Acme root", root_key, None, None, True)
    root_file = folder / "strict-root.crt"
    root_file.write_bytes(pem(root))
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("ci.acme.example"),
            x509.RFC822Name("boss@acme.example"),
            x509.UniformResourceIdentifier("https://ci.acme.example/release"),
        ]
    )
    code, server = ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.SERVER_AUTH
    mine, source = push("fourth", '{"model": "fourth"}')
    for name, usage, expect in (("code", code, 0), ("server", server, 6)):
        key, private, _ = key_pair(f"strict-{name}", ec.SECP256R1())
        usage = x509.ExtendedKeyUsage([usage])
        leaf = certificate("evil.example", key, root.subject, root_key, False, names, usage)
        leaf_file, signature = folder / f"strict-{name}.crt", folder / f"strict-{name}.sig"
        leaf_file.write_bytes(pem(leaf))
        signed = tool(
            "sign", "certificate", "--private_key", private, "--signing_certificate", leaf_file,
            "--certificate_chain", root_file, "--signature", signature, source,
        )
        equal(signed, True, f"signed with the certificate for {name}")
        verify = ("verify", mine, "--key", root_file, "--signature", signature)
        gradus.cli(*verify, expect=expect)
        for wanted in ("ci.acme.example", "boss@acme.example", "https://ci.acme.example/release"):
            gradus.cli(*verify, "--identity", wanted, expect=expect)
        gradus.cli(*verify, "--identity", "evil.example", expect=6)


run.exit()
