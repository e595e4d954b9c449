"""npm's oidc-provider, unmodified, as the issuer: jobs and people log in by it with `gradus login --oidc`."""

import base64
import contextlib
import html
import http.cookiejar
import http.server
import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from checks import Checks, equal

from support import tools
from support.gradus import run_cli, serving
from support.processes import Server, answers, clean_environment, free_port

run = Checks(__doc__)
folder = run.folder
PORT = free_port()
ISSUER = f"http://127.0.0.1:{PORT}"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
EXAMPLES = Path(__file__).resolve().parents[3] / "deploy" / "examples"

CONFIG = f"""
[[issuers]]
name = "provider"
url = "{ISSUER}"
audience = "gradus-jobs"
algorithms = ["RS256"]
client_id = "gradus"
people = "preferred_username"
"""


def provider(keys):
    """Starts the provider with the keys of a file."""
    script = Path(__file__).with_name("oidc_provider.mjs")
    command = ["node", script, tools.oidc_provider(), str(PORT), folder / keys]
    server = Server("oidc-provider", command, folder / "provider.log", env=clean_environment())
    server.wait_until(lambda: answers(f"{ISSUER}/.well-known/openid-configuration"))
    return server


class Browser:
    """Follows redirects, keeps cookies, and fills in the first form of each page."""

    def __init__(self, person):
        self.person = person
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(jar)

    def open(self, url, form=None):
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        with self.opener.open(url, data, timeout=20) as answer:
            return answer.url, answer.read().decode()

    def go_through(self, url, typed=None, consents=True):
        """Goes on until a page has no form; returns its text."""
        at, page = self.open(url)
        for _ in range(10):
            if not consents and (cancel := re.search(r'href="([^"]*/abort)"', page)):
                at, page = self.open(urllib.parse.urljoin(at, html.unescape(cancel[1])))
                continue
            form = re.search(r"<form(.*?)>(.*?)</form>", page, re.S)
            if not form:
                return page
            action = re.search(r'action="([^"]*)"', form[1])
            fields = {}
            for field in re.findall(r"<(?:input|button)[^>]*>", form[2]):
                named = dict(re.findall(r'(\w+)="([^"]*)"', field))
                if "name" in named:
                    fields[named["name"]] = html.unescape(named.get("value", ""))
            fields |= {"login": self.person, "password": "any"} if "login" in fields else {}
            fields |= {"user_code": typed} if typed and "user_code" in fields else {}
            # The button is beside the form, and leads back to the first page.
            is_over = not consents and 'name="abort"' in page
            fields |= {"abort": "yes"} if is_over else {}
            at, page = self.open(urllib.parse.urljoin(at, html.unescape(action[1]) if action else at), fields)
            if is_over:
                return page
        raise AssertionError(f"no end to the pages: {page[:500]}")


def post(path, form):
    request = urllib.request.Request(ISSUER + path, urllib.parse.urlencode(form).encode())
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def id_token(job, client="gradus-jobs"):
    """The provider's own ID token for a job, by its device flow."""
    begun = post("/device/auth", {"client_id": client, "scope": "openid job"})
    Browser(job).go_through(begun["verification_uri_complete"])
    asked = {"grant_type": DEVICE, "device_code": begun["device_code"], "client_id": client}
    return post("/token", asked)["id_token"]


class Home:
    """A machine of its own: nothing stored, no token in the environment."""

    def __init__(self, name, **extra):
        self.env = clean_environment(folder / name, NO_COLOR="1", **extra)

    def cli(self, *arguments, expect=0):
        return run_cli(gradus.binary, arguments, self.env, expect)

    def login(self, *arguments, expect=0):
        """Logs in; returns what was said on stderr."""
        done = subprocess.run(
            [gradus.binary, "login", gradus.url, "--oidc", *map(str, arguments)],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        equal(done.returncode, expect, done.stderr)
        return done.stderr

    def whoami(self):
        return json.loads(self.cli("whoami", "--json"))

    def log_in_with(self, way, browser, consents=True, expect=0):
        """Logs a person in: reads the address that is shown, and opens it."""
        command = [gradus.binary, "login", gradus.url, "--oidc", way]
        program = subprocess.Popen(
            command,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        too_long = threading.Timer(90, program.kill)
        too_long.start()
        try:
            said = []
            for line in program.stderr:
                said.append(line)
                if address := re.search(rf"{ISSUER}/(?:auth|device)\?\S+", line):
                    browser.go_through(address[0], consents=consents)
                    break
            _, rest = program.communicate()
        finally:
            too_long.cancel()
            program.kill()
        equal(program.returncode, expect, "".join(said) + rest)
        return rest


def token_file(text):
    file = folder / "identity.jwt"
    file.write_text(text + "\n")
    return file


stack = contextlib.ExitStack()
running = provider("keys.json")
stack.callback(lambda: running.stop())
gradus = stack.enter_context(serving(run.gradus.binary, folder / "data", folder, CONFIG))
log = folder / "gradus.log"
gradus.cli("namespace", "create", "acme")
gradus.cli("namespace", "create", "rival")
gradus.cli("user", "add", "ada")
RULE = ("--issuer", "provider", "--claim", "repository=acme/triage", "--claim", "ref=refs/heads/main")
gradus.cli("trust", "add", "acme", *RULE, "--claim", "sub=job-triage", "--role", "contributor")
gradus.cli("trust", "add", "acme", *RULE, "--claim", "sub=job-late", "--role", "contributor")


@run.check
def a_job_logs_in_pushes_and_approves_nothing():
    home = Home("job")
    home.login("--namespace", "acme", "--identity-file", token_file(id_token("job-triage")))
    me = home.whoami()
    equal((me["principal"], me["kind"]), ("acme__provider", "service"), "who")
    equal(me["roles"], {"acme": ["contributor"]}, "roles")
    prompt = EXAMPLES / "prompts" / "triage-1.prompt.yaml"
    contract = ("--contract", EXAMPLES / "contract.json")
    home.cli("push", "prompt", prompt, "--to", "acme/triage", *contract)
    home.cli("approve", "acme/triage:1.0.0", "--to", "production", "-m", "fine", expect=8)
    home.cli("push", "prompt", prompt, "--to", "rival/triage", *contract, expect=8)
    home.cli("member", "add", "acme", "acme__provider", "admin", expect=8)


@run.check
def a_token_in_the_environment_does_too():
    home = Home("environment", GRADUS_ID_TOKEN=id_token("job-triage"))
    home.login("--namespace", "acme")
    equal(home.whoami()["principal"], "acme__provider", "who")


@run.check
def github_is_asked_for_a_token_that_is_made_out_to_us():
    token, asked = id_token("job-triage"), []

    class Runner(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["authorization"]))
            body = json.dumps({"value": token}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Runner) as runner:
        threading.Thread(target=runner.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{runner.server_port}/token?job=1"
        offered = {"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "permission"}
        home = Home("github", **offered)
        said = home.login("--namespace", "acme", expect=1)
        equal("audience_foreign" in said and not asked, True, "a server names no audience but itself: " + said)
        home.login("--namespace", "acme", "--audience", "gradus-jobs")
        runner.shutdown()
    equal(asked, [("/token?job=1&audience=gradus-jobs", "Bearer permission")], "what was asked")
    equal(home.whoami()["principal"], "acme__provider", "who")


@run.check
def bad_tokens_are_refused_with_a_code_and_a_line_in_the_log():
    good = id_token("job-triage")
    head, claims, signature = good.split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    other = base64.urlsafe_b64encode(json.dumps(said | {"sub": "job-evil"}).encode()).decode().rstrip("=")
    late = id_token("job-late")
    time.sleep(2.5)
    home = Home("bad")
    events = len(gradus.json("log", "--limit", "1000"))
    for token, code in (
        (f"{head}.{other}.{signature}", "identity_signature_invalid"),
        (late, "identity_expired"),
        (id_token("job-triage", "somebody-else"), "identity_audience_wrong"),
        (id_token("job-triage", "gradus-jobs-ec"), "identity_algorithm_refused"),
        (id_token("job-other"), "identity_unmatched"),
        ("garbage", "identity_malformed"),
    ):
        refused = home.login("--namespace", "acme", "--identity-file", token_file(token), expect=8)
        equal(f"[{code}]" in refused and "hint: " in refused, True, refused)
        lines = [line for line in log.read_text().splitlines() if code in line]
        equal(bool(lines) and "/v1/oidc/token" in lines[-1], True, f"a line of the server's log about {code}")
    equal(good in log.read_text() or signature in log.read_text(), False, "a token in the log")
    equal(len(gradus.json("log", "--limit", "1000")), events, "events, before and after")
    home.login("--namespace", "acme", "--identity-file", token_file(good))


@run.check
def people_log_in_by_a_code_they_type_anywhere():
    home = Home("device")
    home.log_in_with("--device", Browser("ada"))
    me = home.whoami()
    equal((me["principal"], me["kind"]), ("ada", "person"), "who")
    refused = home.log_in_with("--device", Browser("eve"), expect=8)
    equal("person_unknown" in refused, True, refused)
    refused = home.log_in_with("--device", Browser("ada"), consents=False, expect=8)
    equal("login_denied" in refused, True, refused)
    equal(home.whoami()["principal"], "ada", "who is logged in after a login that failed")


@run.check
def people_log_in_by_a_browser_on_this_machine():
    home = Home("browser")
    home.log_in_with("--browser", Browser("ada"))
    equal(home.whoami()["principal"], "ada", "who")
    refused = home.log_in_with("--browser", Browser("ada"), consents=False, expect=8)
    equal("login_denied" in refused, True, refused)


@run.check
def the_provider_changes_its_keys():
    global running
    old, home = token_file(id_token("job-triage")).read_text(), Home("rotated")
    running.stop()
    running = provider("other-keys.json")
    new, deadline = token_file(id_token("job-triage")), time.monotonic() + 60
    # A key that is not known is asked for at most every half minute.
    while True:
        try:
            home.login("--namespace", "acme", "--identity-file", new)
            break
        except AssertionError as refused:
            if "identity_key_unknown" not in str(refused) or time.monotonic() > deadline:
                raise
            time.sleep(1)
    equal(home.whoami()["principal"], "acme__provider", "who")
    refused = home.login("--namespace", "acme", "--identity-file", token_file(old), expect=8)
    equal("identity_key_unknown" in refused, True, refused)


@run.check
def a_rule_that_is_taken_away_ends_what_it_gave():
    home, token = Home("ended"), token_file(id_token("job-triage"))
    home.login("--namespace", "acme", "--identity-file", token)
    rules = gradus.json("trust", "list", "acme")
    equal(len(rules), 2, "rules")
    for rule in rules:
        gradus.cli("trust", "rm", "acme", rule["id"])
    home.cli("whoami", expect=8)
    refused = home.login("--namespace", "acme", "--identity-file", token, expect=8)
    equal("identity_unmatched" in refused, True, refused)


@run.check
def without_its_provider_nobody_new_gets_in_and_nothing_breaks():
    running.stop()
    refused = Home("down").login("--device", expect=9)
    equal("provider_unreachable" in refused, True, refused)
    equal(gradus.json("audit", "verify")["first_bad"], None, "the log")


stack.close()
run.exit()
