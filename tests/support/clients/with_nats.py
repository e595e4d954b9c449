"""Debian's nats-server with JetStream, unmodified, as what hooks send to; nats-py reads its streams."""

import asyncio
import base64
import contextlib
import json
import socket
import ssl
import subprocess
import time
from pathlib import Path

import nats
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from nats.errors import TimeoutError as NothingMore
from nats.js.api import DiscardPolicy
from standardwebhooks.webhooks import Webhook

from checks import Checks, equal, random_bytes

from support.gradus import serving
from support.processes import Server, capture, clean_environment, free_port

run = Checks(__doc__)
gradus, folder = run.gradus, run.folder
EXAMPLES = Path(__file__).resolve().parents[3] / "deploy" / "examples"
SECRET = "whsec_" + base64.b64encode(random_bytes(32, 1)).decode()
PASSWORD, WRONG = "correct-horse-battery", "wrong-horse-battery"
TOKEN = "staple-of-the-stream"
READER = {"user": "reader", "password": PASSWORD}
UNAUTHORIZED = "unauthorized: the NATS server does not take the hook's token"


class Nats:
    """A server on a port of its own. What is in its streams is there again after a restart."""

    def __init__(self, name, settings, **options):
        """`options` are those of a client of nats-py that may do everything."""
        self.name, self.port, self.options = name, free_port(), options
        self.config = folder / f"{name}.conf"
        self.config.write_text(
            f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{folder / name}" }}\n{settings}\n'
        )
        self.start()

    def start(self):
        command = ["nats-server", "--config", self.config]
        self.server = Server(self.name, command, folder / f"{self.name}.log", env=clean_environment())
        self.server.wait_until(self.accepts)

    def accepts(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 2):
            return True
        return False

    def stop(self):
        self.server.stop()

    def ask(self, question):
        """Runs `question(jetstream)`."""

        async def connected():
            client = await nats.connect(f"nats://127.0.0.1:{self.port}", **self.options)
            try:
                return await question(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(asyncio.wait_for(connected(), 60))

    def add_stream(self, name, *subjects, **settings):
        self.ask(lambda stream: stream.add_stream(name=name, subjects=[*subjects], **settings))

    def messages(self, subject):
        """All there is under a subject, in the order of the stream."""

        async def read(stream):
            consumer = await stream.subscribe(subject, ordered_consumer=True)
            found = []
            with contextlib.suppress(NothingMore):
                while not found or found[-1].metadata.num_pending:
                    found.append(await consumer.next_msg(timeout=3))
            return found

        return self.ask(read)


def file(name, text):
    (folder / name).write_text(text + "\n")
    return folder / name


class Hook:
    """A hook to a NATS server."""

    def __init__(self, url, subject, on, token=f"gradus:{PASSWORD}", registry=gradus):
        self.registry, self.subject = registry, subject
        sealed = ("--token-file", file("token", token), "--secret-file", file("secret", SECRET))
        where = ("acme", "--url", url, "--subject", subject, "--on", on)
        self.id = registry.json("hook", "add", *where, *sealed)["id"]

    def deliveries(self):
        """What is recorded of it, oldest first."""
        return self.registry.json("hook", "deliveries", self.id, "--limit", "1000")[::-1]

    def errors(self, position):
        """What each attempt of a delivery ended with."""
        return [
            one["error"] for one in self.registry.json("hook", "deliveries", f"{self.id}/{position}")["tries"]
        ]

    def wait(self, what, is_so, seconds=120):
        """Waits until `is_so(deliveries)`; returns the deliveries."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if is_so(found := self.deliveries()):
                return found
            time.sleep(0.1)
        tried = [(one["kind"], one["state"], self.errors(one["position"])) for one in found]
        raise AssertionError(f"it did not happen: {what}; {tried}")

    def wait_for_all(self):
        return self.wait("all is delivered", lambda found: {one["state"] for one in found} == {"delivered"})

    def test(self):
        self.registry.cli("hook", "test", self.id)

    def fail(self):
        """Sends a test that is to fail; returns why it did."""
        self.registry.cli("hook", "test", self.id, expect=9)
        return self.errors(self.deliveries()[-1]["position"])[0]


def push(workload, version):
    prompt = EXAMPLES / "prompts" / "triage-1.prompt.yaml"
    to = ("--to", workload, "--version", version, "--contract", EXAMPLES / "contract.json")
    gradus.cli("push", "prompt", prompt, *to)


def events(messages):
    return [json.loads(message.data) for message in messages]


def users():
    """Settings of a server: who may send, and who may do everything."""
    may = 'permissions: { publish: ["gradus.>", "late.>", "others.full"], subscribe: "_INBOX.>" }'
    senders = [f'{{ user: {name}, password: "{PASSWORD}", {may} }}' for name in ("gradus", "another")]
    everything = "{{ user: {user}, password: {password} }}".format(**READER)
    return f"authorization {{ users: [ {', '.join([*senders, everything])} ] }}\n"


stack = contextlib.ExitStack()
server = Nats("nats", users(), **READER)
stack.callback(server.stop)
URL = f"nats://127.0.0.1:{server.port}"
server.add_stream("EVENTS", "gradus.>", duplicate_window=120)


@run.check
def events_arrive_as_signed_cloudevents_with_the_id_that_drops_repeats():
    hook = Hook(URL, "gradus.all", "*")
    push("acme/nats", "1.0.0")
    hook.test()
    sent = hook.wait_for_all()
    found = server.messages("gradus.all")
    ids = [message.headers["Nats-Msg-Id"] for message in found]
    equal(sorted(ids), sorted(f"gradus.all/{one['id']}" for one in sent), "ids")
    kinds = {event["type"] for event in events(found)}
    equal({"dev.gradus.pushed", "dev.gradus.hook_tested"} <= kinds, True, f"kinds {kinds}")
    for message in found:
        headers = {name.lower(): value for name, value in message.headers.items()}
        equal(headers["content-type"], "application/cloudevents+json", "content type")
        event = from_http_event(HTTPMessage(headers, message.data))
        equal(f"gradus.all/{event.get_id()}", headers["nats-msg-id"], "id")
        equal(Webhook(SECRET).verify(message.data, headers), json.loads(message.data), "what is verified")


@run.check
def a_replay_is_sent_again_and_dropped_by_the_stream():
    hook = Hook(URL, "gradus.replayed", "frozen")
    hook.test()
    (sent,) = hook.wait_for_all()
    before = server.messages("gradus.replayed")
    gradus.cli("hook", "replay", f"{hook.id}/{sent['position']}")
    hook.wait("it is sent twice", lambda found: (found[0]["attempts"], found[0]["state"]) == (2, "delivered"))
    equal(hook.errors(sent["position"]), [None, None], "errors")
    after = server.messages("gradus.replayed")
    equal(len(before), 1, "messages before")
    equal([one.metadata.sequence for one in after], [one.metadata.sequence for one in before], "messages")


@run.check
def an_event_for_two_subjects_of_a_stream_arrives_under_both():
    hooks = [Hook(URL, subject, "pushed") for subject in ("gradus.one", "gradus.two")]
    push("acme/nats-twice", "1.0.0")
    for hook in hooks:
        hook.wait("it is delivered", lambda found: [one["state"] for one in found] == ["delivered"])
        found = events(server.messages(hook.subject))
        equal([event["subject"] for event in found], ["acme/nats-twice"], f"events under {hook.subject}")


@run.check
def what_happens_while_the_server_is_down_arrives_in_order_when_it_is_back():
    hook = Hook(URL, "gradus.ordered", "pushed")
    hook.test()  # so that there is a connection, which breaks
    server.stop()
    workloads = [f"acme/nats-{name}" for name in "abc"]
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        for workload in workloads:
            push(workload, version)
    failed = hook.wait(
        "an attempt of each workload has failed",
        lambda found: sum(one["attempts"] > 0 and one["state"] == "pending" for one in found) == 3,
    )
    for one in failed:
        if one["attempts"] and one["state"] == "pending":
            error = hook.errors(one["position"])[0]
            equal(error.split(":")[0] in ("unreachable", "unacknowledged"), True, error)
    server.start()
    hook.wait_for_all()
    found = [
        event for event in events(server.messages("gradus.ordered")) if event["type"] == "dev.gradus.pushed"
    ]
    equal(len(found), 9, "each once")
    for workload in workloads:
        versions = [event["data"]["version"] for event in found if event["subject"] == workload]
        equal(versions, ["1.0.0", "1.1.0", "1.2.0"], f"the order of {workload}")


@run.check
def a_subject_without_a_stream_is_a_failed_attempt_until_there_is_one():
    hook = Hook(URL, "late.events", "pushed")
    equal(hook.fail(), "stream_unknown: no stream takes this subject: late.events", "error")
    push("acme/nats-late", "1.0.0")
    found = hook.wait("an attempt has failed", lambda found: found[-1]["attempts"] > 0)
    equal(found[-1]["state"], "pending", "state")
    server.add_stream("LATE", "late.>")
    hook.wait("it is delivered", lambda found: found[-1]["state"] == "delivered")
    equal(
        [event["subject"] for event in events(server.messages("late.events"))], ["acme/nats-late"], "events"
    )


@run.check
def wrong_credentials_are_a_failed_attempt_and_never_shown():
    hooks = []
    for token in (f"gradus:{WRONG}", f"nobody:{PASSWORD}", WRONG):
        hook = Hook(URL, "gradus.refused", "frozen", token=token)
        equal(hook.fail(), UNAUTHORIZED, f"error of {token}")
        hooks.append(hook)
    for hook in hooks:
        shown = [gradus.cli("hook", "show", hook.id, *how) for how in ((), ("--json",))]
        shown += [gradus.cli("hook", "deliveries", hook.id, *how) for how in ((), ("--json",))]
        position = hook.deliveries()[0]["position"]
        shown.append(gradus.cli("hook", "deliveries", f"{hook.id}/{position}", "--json"))
        for token in (WRONG, PASSWORD):
            equal(token in "".join(shown), False, "a password is shown")
    shown = gradus.cli("log", "--json", "--limit", "1000") + gradus.cli("hook", "list", "--json")
    equal(WRONG in shown or PASSWORD in shown, False, "a password is shown")
    equal(server.messages("gradus.refused"), [], "messages")


@run.check
def what_a_stream_or_a_user_may_not_take_is_a_failed_attempt_that_says_why():
    server.add_stream("FULL", "others.full", max_bytes=1, discard=DiscardPolicy.NEW)
    error = Hook(URL, "others.full", "frozen").fail()
    equal(error.startswith("unacknowledged: ") and "maximum bytes exceeded" in error, True, error)
    server.add_stream("OTHERS", "others.events")
    error = Hook(URL, "others.events", "frozen").fail()
    why = "may the user publish to others.events and subscribe to _INBOX.>?"
    equal(error.startswith("unacknowledged: ") and error.endswith(why), True, error)
    equal(server.messages("others.>"), [], "messages")


@run.check
def a_server_that_says_nothing_delays_no_other():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        port = silent.getsockname()[1]
        slow = Hook(f"nats://127.0.0.1:{port}", "gradus.silent", "frozen")
        quick = Hook(URL, "gradus.quick", "frozen", token=f"another:{PASSWORD}")
        with subprocess.Popen(
            [gradus.binary, "hook", "test", slow.id],
            env=gradus.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as waiting:
            connection, _ = silent.accept()
            with connection:
                quick.test()
                equal(waiting.poll(), None, "the exit code of the one that is still waiting")
                equal(waiting.wait(60), 9, "its exit code in the end")
    error = slow.errors(slow.deliveries()[0]["position"])[0]
    equal(error, "unreachable: no connection: timed out", "error")


def encrypted(name):
    """A server with a certificate for this name, which signs itself; and the file of the certificate."""
    key, made = folder / f"{name}.key", folder / f"{name}.crt"
    capture(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split()
        + ["-subj", f"/CN={name}"]
        + ["-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=critical,CA:FALSE"]
        + ["-keyout", str(key), "-out", str(made)]
    )
    settings = users() + f'tls {{ cert_file: "{made}", key_file: "{key}" }}'
    trusting = {"tls": ssl.create_default_context(cafile=made), "tls_hostname": name}
    return Nats(name, settings, **READER, **trusting), made


@run.check
def encrypted_it_takes_a_certificate_that_is_trusted_and_of_this_name():
    with contextlib.ExitStack() as running:
        mine, certificate = encrypted("localhost")
        running.callback(mine.stop)
        other, of_another = encrypted("nats.example.org")
        running.callback(other.stop)
        mine.add_stream("EVENTS", "gradus.>")
        authorities = file("authorities.pem", certificate.read_text() + of_another.read_text())
        configuration = f'[hooks]\nallow = ["127.0.0.0/8"]\nca_file = "{authorities}"\n'
        trusting = running.enter_context(serving(gradus.binary, folder / "data", folder, configuration))
        trusting.cli("namespace", "create", "acme")
        for scheme in ("tls", "nats"):
            Hook(f"{scheme}://localhost:{mine.port}", f"gradus.{scheme}", "frozen", registry=trusting).test()
            equal(len(mine.messages(f"gradus.{scheme}")), 1, f"messages by {scheme}://")
        for url, registry in (
            (f"tls://localhost:{other.port}", trusting),
            (f"tls://localhost:{mine.port}", gradus),
            (f"nats://localhost:{mine.port}", gradus),
        ):
            error = Hook(url, "gradus.tls", "frozen", registry=registry).fail()
            equal(error.split(":")[0], "certificate_untrusted", error)
        error = Hook(f"tls://localhost:{server.port}", "gradus.tls", "frozen").fail()
        equal(error.startswith("unreachable: "), True, error)  # and not sent in plain text
        log = (folder / "gradus.log").read_text()
        equal(PASSWORD in log, False, "the password is in the log")


@run.check
def a_token_is_taken_too():
    with contextlib.ExitStack() as running:
        guarded = Nats("guarded", f'authorization {{ token: "{TOKEN}" }}', token=TOKEN)
        running.callback(guarded.stop)
        guarded.add_stream("EVENTS", "gradus.>")
        url = f"nats://127.0.0.1:{guarded.port}"
        Hook(url, "gradus.all", "frozen", token=TOKEN).test()
        equal(len(guarded.messages("gradus.all")), 1, "messages")
        error = Hook(url, "gradus.all", "frozen", token=WRONG).fail()
        equal(error, UNAUTHORIZED, "error")


stack.close()
run.exit()
