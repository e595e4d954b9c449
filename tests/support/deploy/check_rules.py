"""promtool reads and tries the alerts, and reads the queries of the dashboard; the metrics they name are there."""

import http.server
import json
import re
import threading
import urllib.error
import urllib.request
from pathlib import Path

import yaml
from deployed import DEPLOY, Checks, equal, load, passes, refuses, tools

run = Checks(__doc__)
promtool = tools.promtool()
HERE = Path(__file__).resolve().parent
ALERTS = load("prometheus/alerts.yaml")["groups"]
DASHBOARD = json.loads((DEPLOY / "grafana" / "gradus.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
# Of what a metric is called in the description, what its samples are called.
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def written(file, text):
    (run.folder / file).write_text(text)
    return run.folder / file


def queries():
    """`(where, query)` of all alerts and panels, with what Grafana fills in filled in."""
    for group in ALERTS:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m").replace("$job", "gradus")


def deliver():
    """Has the server tell a receiver of an event, and try in vain to: what it has never counted it does not show."""

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{receiver.server_port}/"
        added = run.gradus.json("hook", "add", "acme", "--url", url)
        run.gradus.cli("hook", "test", added["id"])
        receiver.shutdown()
    run.gradus.cli("hook", "test", added["id"], expect=9)


def check_for_drift():
    """Has the server run a monitor, of a stage that nothing is in."""
    examples = DEPLOY / "examples"
    prompt = examples / "prompts" / "triage-1.prompt.yaml"
    contract = ("--contract", examples / "contract.json")
    run.gradus.cli("push", prompt, "--to", "acme/monitored", *contract)
    spec = ("--on", "acme/monitored:production", "--every", "0 6 * * *", "--source", "pushed")
    run.gradus.cli("drift", "monitor", "add", "nightly", *spec)
    run.gradus.cli("drift", "run-now", "acme/monitored/nightly", expect=1)


def exposed():
    """The metrics that the running server shows, the names of their samples, and the values of two labels."""
    for path in ("readyz", "v1/whoami"):
        try:
            urllib.request.urlopen(f"{run.gradus.env['GRADUS_SERVER']}/{path}").close()
        except urllib.error.HTTPError:
            pass
    with urllib.request.urlopen(f"{run.gradus.env['GRADUS_SERVER']}/metrics") as response:
        text = response.read().decode()
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    names = {name + suffix for name, kind in kinds.items() for suffix in SUFFIXES[kind]}
    values = {label: set(re.findall(rf'\b{label}="(\w+)"', text)) for label in ("operation", "outcome")}
    return set(kinds), names, values


deliver()
check_for_drift()
metrics, names, labels = exposed()


@run.check
def promtool_accepts_the_rules_and_the_scrape_configuration():
    passes(promtool, "check", "rules", DEPLOY / "prometheus" / "alerts.yaml")
    passes(promtool, "check", "config", "--syntax-only", DEPLOY / "prometheus" / "scrape.yaml")
    bad = (DEPLOY / "prometheus" / "alerts.yaml").read_text().replace("sum by (instance)", "sum by instance")
    refuses(promtool, "check", "rules", written("bad.yaml", bad))


@run.check
def every_alert_fires_in_its_story_and_none_on_an_ordinary_day():
    stories = HERE / "alerts.test.yaml"
    passes(promtool, "test", "rules", stories)
    told = stories.read_text()
    for group in ALERTS:
        for rule in group["rules"]:
            equal(f'alertname="{rule["alert"]}"' in told, True, f"a story of {rule['alert']}")


@run.check
def every_alert_says_how_bad_it_is_what_it_means_and_what_to_do():
    for group in ALERTS:
        for rule in group["rules"]:
            equal(rule["labels"]["severity"] in ("page", "ticket"), True, f"severity of {rule['alert']}")
            equal(
                "Do: " in rule["annotations"]["description"] or "`" in rule["annotations"]["description"],
                True,
                f"what to do about {rule['alert']}",
            )
            equal(bool(rule["annotations"]["summary"]), True, f"summary of {rule['alert']}")


@run.check
def the_operators_rules_are_the_same():
    made = passes(DEPLOY / "kubernetes" / "monitoring" / "make-rule.sh")
    equal(
        (DEPLOY / "kubernetes" / "monitoring" / "prometheus-rule.yaml").read_text(),
        made,
        "prometheus-rule.yaml",
    )
    equal(yaml.safe_load(made)["spec"]["groups"], ALERTS, "groups")


@run.check
def promtool_accepts_every_query_of_the_dashboard():
    rules = [{"record": f"panel:{number}", "expr": query} for number, (_, query) in enumerate(queries())]
    text = yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]})
    passes(promtool, "check", "rules", written("panels.yaml", text))


@run.check
def the_dashboard_has_the_shape_that_grafana_reads():
    """Grafana itself is not to be had here. This is what it goes by: places, sources, queries."""
    identities = [panel["id"] for panel in DASHBOARD["panels"]]
    equal(len(set(identities)), len(identities), "panels with ids of their own")
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        equal(max(x for x, _ in cells) < 24 and not cells & taken, True, f"place of {panel['title']}")
        taken |= cells
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    equal(variables, {"datasource", "job"}, "variables")
    for panel in PANELS:
        equal(panel["type"] in ("stat", "timeseries"), True, f"type of {panel['title']}")
        equal(
            panel["datasource"], {"type": "prometheus", "uid": "${datasource}"}, f"source of {panel['title']}"
        )
        equal(bool(panel["description"]), True, f"description of {panel['title']}")
        equal(
            len({target["refId"] for target in panel["targets"]}), len(panel["targets"]), "names of queries"
        )


@run.check
def the_operations_and_outcomes_that_queries_name_are_the_servers():
    for where, query in queries():
        for label, values in labels.items():
            for value in re.findall(rf'\b{label}!?="(\w+)"', query):
                equal(value in values, True, f"{where}: {label} {value}")


used = {}
for where, query in queries():
    for metric in re.findall(r"\bgradus_\w+", query):
        used.setdefault(metric, []).append(where)
for metric, places in sorted(used.items()):

    def there(metric=metric, places=places):
        if metric not in names:
            raise AssertionError("the server shows no such metric; used by " + ", ".join(sorted(set(places))))

    there.__name__ = f"the server shows {metric.replace('_', ' ')}"
    run.check(there)


@run.check
def the_dashboard_shows_every_metric_of_the_server():
    shown = " ".join(target["expr"] for panel in PANELS for target in panel["targets"])
    missing = [
        metric for metric in sorted(metrics) if not re.search(rf"\b{metric}(_total|_bucket)?\{{", shown)
    ]
    equal(missing, [], "metrics without a panel")


run.exit()
