"""The official PyPI and npm libraries of Standard Webhooks and CloudEvents accept what hooks send over HTTP."""

import base64
import http.server
import json
import subprocess
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from checks import Checks, equal, random_bytes

from support import tools

run = Checks(__doc__)
gradus, folder = run.gradus, run.folder
ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "deploy" / "examples"
WORKLOAD = "acme/webhooks"


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent, in the order of arrival: `(path, headers, body)`."""

    protocol_version = "HTTP/1.1"
    received = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def secret(seed):
    """A secret of Standard Webhooks, the same for the same seed."""
    return "whsec_" + base64.b64encode(random_bytes(32, seed)).decode()


def file(name, text):
    (folder / name).write_text(text + "\n")
    return folder / name


class Hook:
    """A hook to a path of its own."""

    def __init__(self, name, scope, *options):
        self.path = f"/{name}"
        url = f"http://127.0.0.1:{receiver.server_port}{self.path}"
        added = gradus.json("hook", "add", scope, "--url", url, *options)
        self.id, self.verify_by = added["id"], added["verify_by"]

    def messages(self):
        return [(headers, body) for path, headers, body in Receiver.received if path == self.path]

    def test(self):
        """What it is sent as a test."""
        gradus.cli("hook", "test", self.id)
        return self.messages()[-1]

    def wait_for(self, kinds):
        """Its messages, once these kinds are among them."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = self.messages()
            if not (missing := set(kinds) - {kind(body) for _, body in found}):
                return found
            time.sleep(0.05)
        raise AssertionError(f"did not arrive: {', '.join(sorted(missing))}")


def kind(body):
    return json.loads(body)["type"].removeprefix("dev.gradus.")


def refused(action, why, words=""):
    """Checks that a library refuses, and for this reason."""
    try:
        action()
    except why as error:
        equal(words in str(error), True, f"{words!r} in {error!r}")
        return
    raise AssertionError(f"accepted, where {words or why.__name__!r} was to be expected")


def node(*messages):
    """What the npm libraries say of `(headers, body, secret)`."""
    given = [dict(headers=headers, body=body.decode(), secret=key) for headers, body, key in messages]
    command = ["node", Path(__file__).with_name("webhooks.mjs"), tools.hooks_modules()]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=60)
    equal(done.returncode, 0, done.stderr)
    return json.loads(done.stdout)


def forgeries(headers, body):
    """Messages that must not be taken for the one that was sent: `(headers, body, what is said of it)`."""
    unsigned = "No matching signature found"
    at = int(headers["webhook-timestamp"])
    yield headers, body.replace(b"admin", b"nimda"), unsigned
    yield headers | {"webhook-id": headers["webhook-id"] + "0"}, body, unsigned
    yield headers | {"webhook-timestamp": str(at - 1)}, body, unsigned
    yield headers | {"webhook-timestamp": str(at - 600)}, body, "Message timestamp too old"
    yield headers | {"webhook-timestamp": str(at + 600)}, body, "Message timestamp too new"
    yield headers | {"webhook-signature": headers["webhook-signature"].replace("v1,", "v2,")}, body, unsigned


receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()


def tell_a_story():
    """Lets happen what deployment systems are told of, and more; returns the kinds of the events."""
    push = ("push", "prompt", "--to", WORKLOAD, "--contract", EXAMPLES / "contract.json")
    for number in (1, 2):
        gradus.cli(*push, EXAMPLES / "prompts" / f"triage-{number}.prompt.yaml", "--version", f"{number}.0.0")
        gradus.cli("promote", f"{WORKLOAD}:{number}.0.0", "--to", "production", "--override", "-m", "trial")
    gradus.cli("rollback", f"{WORKLOAD}:production", "-m", "it is slow: <b>ü</b> \U0001f40c")
    gradus.cli("alias", "set", "champion", f"{WORKLOAD}:1.0.0")
    gradus.cli("alias", "rm", "champion", WORKLOAD)
    gradus.cli("eval", "attach", f"{WORKLOAD}:1.0.0", EXAMPLES / "evidence" / "evaluation-1.json")
    gradus.cli("yank", f"{WORKLOAD}:2.0.0", "-m", "it is slow")
    gradus.cli("freeze", WORKLOAD, "-m", "holidays")
    gradus.cli("user", "add", "webhooks-reader")
    gradus.cli("member", "add", "acme", "webhooks-reader", "reader")
    return """pushed promoted rolled_back alias_set alias_removed evidence_attached yanked frozen user_added
        member_added hook_added""".split()


story = Hook("story", "*", "--on", "*", "--secret-file", file("story", secret(1)))
told = tell_a_story()


@run.check
def every_kind_of_event_is_what_its_published_schema_says():
    story.test()
    found = story.wait_for([*told, "hook_tested"])
    for _, body in found:
        schema = json.loads((ROOT / "schemas" / "events" / f"{kind(body)}.schema.json").read_text())
        Draft202012Validator.check_schema(schema)
        checker = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        event = json.loads(body)
        checker.validate(event)
        resource = Resource.from_contents(schema)
        by_name = Draft202012Validator({"$ref": event["dataschema"]}, registry=resource @ Registry())
        by_name.validate(event["data"])
        equal(by_name.is_valid(event), False, "dataschema is about the whole event")
        for change in (
            {"specversion": "0.3"},
            {"time": "yesterday"},
            {"source": "no reference"},
            {"data": 7},
        ):
            equal(checker.is_valid(event | change), False, f"a {kind(body)} with {change} is valid")


@run.check
def cloudevents_of_pypi_and_npm_read_the_same_in_every_event():
    found = story.wait_for(told)
    asked = node(*((headers, body, story.verify_by) for headers, body in found))
    for (headers, body), said in zip(found, asked, strict=True):
        sent = json.loads(body)
        equal(headers["content-type"], "application/cloudevents+json", "content type")
        event = from_http_event(HTTPMessage(headers, body))
        equal(event.get_specversion(), "1.0", "specversion")
        equal(event.get_type(), f"dev.gradus.{kind(body)}", "type")
        equal(event.get_source().startswith("urn:gradus:"), True, f"a source {event.get_source()}")
        equal(event.get_id(), headers["webhook-id"], "id")
        equal(event.get_datacontenttype(), "application/json", "datacontenttype")
        equal(event.get_dataschema(), f"urn:gradus:schema:event:{kind(body)}:1#/properties/data", "dataschema")
        equal(event.get_data(), sent["data"], "data")
        equal(event.get_extension("actor"), "admin", "actor")
        age = datetime.now(timezone.utc) - event.get_time()
        equal(timedelta(0) < age < timedelta(minutes=5), True, f"an age of {age}")
        if "workload" in sent["data"]:
            equal(event.get_subject(), WORKLOAD, "subject")
        # npm's keeps milliseconds of a time, and what it is given of everything else.
        equal(said["event"].get("error"), None, "what npm's cloudevents has against it")
        theirs = said["event"]["value"]
        equal(theirs["time"], event.get_time().isoformat(timespec="milliseconds")[:23] + "Z", "time")
        equal(theirs | {"time": sent["time"]}, sent, "event")
    sequences = [json.loads(body)["sequence"] for _, body in found if json.loads(body)["subject"] == WORKLOAD]
    equal(sequences, sorted(sequences), "the order of a workload's events")
    equal(len({headers["webhook-id"] for headers, _ in found}), len(found), "distinct ids")


@run.check
def standardwebhooks_of_pypi_verifies_and_refuses_forgeries():
    for headers, body in story.wait_for(told):
        equal(Webhook(secret(1)).verify(body, headers), json.loads(body), "what is verified")
        refused(
            lambda: Webhook(secret(2)).verify(body, headers),
            WebhookVerificationError,
            "No matching signature found",
        )
        for changed, forged, why in forgeries(headers, body):
            refused(lambda: Webhook(secret(1)).verify(forged, changed), WebhookVerificationError, why)


@run.check
def standardwebhooks_of_npm_verifies_and_refuses_forgeries():
    for headers, body in story.wait_for(told)[:3]:
        forged = [*forgeries(headers, body)]
        asked = [(headers, body, secret(1)), (headers, body, secret(2))]
        good, foreign, *rest = node(*asked, *((*one, secret(1)) for *one, _ in forged))
        equal(good["webhook"], {"value": json.loads(body)}, "what is verified")
        failed = "WebhookVerificationError: "
        equal(foreign["webhook"], {"error": failed + "No matching signature found"}, "another secret")
        for (_, _, why), said in zip(forged, rest, strict=True):
            equal(said["webhook"], {"error": failed + why}, "a forgery")


@run.check
def while_secrets_rotate_both_libraries_verify_by_either():
    old, new = secret(3), secret(4)
    hook = Hook("rotated", "acme", "--on", "frozen", "--secret-file", file("old", old))
    gradus.cli("hook", "rotate", hook.id, "--secret-file", file("new", new), "--keep-hours", "1")
    headers, body = hook.test()
    equal(len(headers["webhook-signature"].split(" ")), 2, "signatures")
    for key in (old, new):
        equal(Webhook(key).verify(body, headers), json.loads(body), "what is verified")
        equal(node((headers, body, key))[0]["webhook"], {"value": json.loads(body)}, "what npm verifies")
    refused(lambda: Webhook(secret(5)).verify(body, headers), WebhookVerificationError, "No matching")


@run.check
def a_secret_that_is_not_kept_verifies_nothing_any_more():
    old = secret(6)
    hook = Hook("replaced", "acme", "--on", "frozen", "--secret-file", file("old", old))
    new = gradus.json("hook", "rotate", hook.id, "--keep-hours", "0")["verify_by"]
    headers, body = hook.test()
    Webhook(new).verify(body, headers)
    refused(lambda: Webhook(old).verify(body, headers), WebhookVerificationError, "No matching")
    equal("error" in node((headers, body, old))[0]["webhook"], True, "npm refuses it")


def ed25519(text):
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removeprefix("whpk_"), validate=True))


def signed(headers, body):
    """What Standard Webhooks signs, and the `v1a` signature of it. The official libraries know `v1` only."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    (signature,) = [one for one in headers["webhook-signature"].split(" ") if one.startswith("v1a,")]
    return base64.b64decode(signature.removeprefix("v1a,"), validate=True), content


@run.check
def who_holds_the_public_key_verifies_by_ed25519():
    hook = Hook("asymmetric", "acme", "--on", "frozen", "--ed25519")
    equal(hook.verify_by.startswith("whpk_"), True, "a public key is shown")
    headers, body = hook.test()
    signature, content = signed(headers, body)
    ed25519(hook.verify_by).verify(signature, content)
    refused(lambda: ed25519(hook.verify_by).verify(signature, content + b" "), InvalidSignature)
    other = Hook("other", "acme", "--on", "frozen", "--ed25519")
    refused(lambda: ed25519(other.verify_by).verify(signature, content), InvalidSignature)


@run.check
def a_hook_moves_from_a_shared_secret_to_ed25519():
    old = secret(7)
    hook = Hook("moved", "acme", "--on", "frozen", "--secret-file", file("old", old))
    seed = "whsk_" + base64.b64encode(random_bytes(32, 8)).decode()
    public = gradus.json("hook", "rotate", hook.id, "--secret-file", file("new", seed))["verify_by"]
    headers, body = hook.test()
    ed25519(public).verify(*signed(headers, body))
    Webhook(old).verify(body, headers)
    equal(node((headers, body, old))[0]["webhook"], {"value": json.loads(body)}, "what npm verifies")


@run.check
def no_secret_is_shown_again():
    shown = gradus.cli("hook", "list", "--json") + gradus.cli("log", "--json", "--limit", "1000")
    for hook in gradus.json("hook", "list"):
        shown += gradus.cli("hook", "show", hook["id"], "--json")
        shown += gradus.cli("hook", "deliveries", hook["id"], "--json")
    for seed in range(1, 8):
        equal(secret(seed).removeprefix("whsec_") in shown, False, "a secret is shown")


receiver.shutdown()
receiver.server_close()
run.exit()
