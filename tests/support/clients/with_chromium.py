"""Chromium shows the pages that `gradus drift check --report` writes: on a desk and a phone, in light and in dark."""

import base64
import csv
import io
import json
import os
import random
import re
import select
import time
from fcntl import F_DUPFD, fcntl
from pathlib import Path

from PIL import Image

from checks import Checks, equal

from support.processes import Server

run = Checks(__doc__)
gradus, folder = run.gradus, run.folder
EXAMPLES = Path(__file__).resolve().parents[3] / "deploy" / "examples"
BYTES_MAX = 300_000
DESK, PHONE = (1000, 1400), (390, 844)
LIGHT, DARK = "light", "dark"
# As the page's own style has them: what is behind everything, and verdicts.
COLOURS = {
    LIGHT: {"back": "#ffffff", "DRIFT": "#b42318", "OK": "#1a7f37", "NO_DATA": "#5b6470"},
    DARK: {"back": "#0f1318", "DRIFT": "#ff7b72", "OK": "#56d364", "NO_DATA": "#9aa7b5"},
}
ODD = {
    "markup": "<script>document.title = 'run'</script>",
    "quotes": "a \"b\" 'c' & d &lt;",
    "umlauts": "Größe in ﷼, 温度 🌡",
    "long": "unbroken" * 30,
}


class Chromium:
    """One browser without a window, spoken to in the DevTools protocol over a pair of pipes."""

    def __init__(self):
        # It reads what it is told from descriptor 3 and answers on 4, each message ended by a zero byte.
        ends = [*os.pipe(), *os.pipe()]
        self.theirs = [fcntl(end, F_DUPFD, 10) for end in (ends[0], ends[3])]
        self.answers, self.orders = (fcntl(end, F_DUPFD, 10) for end in (ends[2], ends[1]))
        for end in ends:
            os.close(end)
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        command += ["--hide-scrollbars", "--no-first-run", f"--user-data-dir={folder / 'chromium'}"]
        # No name leads anywhere, whatever a page or the browser itself would like to have.
        command += ["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"]
        into = 'exec "$@" 3<&{} 4>&{}'.format(*self.theirs)
        self.server = Server(
            "chromium", ["bash", "-c", into, "bash", *command], folder / "chromium.log", pass_fds=self.theirs
        )
        for end in self.theirs:
            os.close(end)
        self.buffer, self.number, self.session, self.events = b"", 0, {}, []
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.session = {"sessionId": session}
        for domain in ("Page", "Network"):
            self.tell(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop()

    def message(self, deadline):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.answers], [], [], max(0, deadline - time.monotonic()))
            more = os.read(self.answers, 1 << 20) if ready else b""
            if not more:
                raise AssertionError("chromium does not answer\n" + self.server.last_lines())
            self.buffer += more
        text, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(text)

    def tell(self, method, **parameters):
        """Gives one order and returns its result; what happens meanwhile is kept in `events`."""
        self.number += 1
        order = {"id": self.number, "method": method, "params": parameters} | self.session
        os.write(self.orders, json.dumps(order).encode() + b"\0")
        deadline = time.monotonic() + 60
        while True:
            message = self.message(deadline)
            if message.get("id") == self.number:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def open(self, path, size, scheme):
        (width, height), is_phone = size, size == PHONE
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=is_phone,
        )
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.tell("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + 60
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self.message(deadline))

    def requests(self):
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def value(self, expression):
        """Of an expression in JavaScript, on the page."""
        result = self.tell("Runtime.evaluate", expression=f"JSON.stringify({expression})", returnByValue=True)
        return json.loads(result["result"]["value"])

    def screenshot(self):
        data = self.tell("Page.captureScreenshot", format="png")["data"]
        return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def table(name, columns, rows, seed):
    """Writes a CSV file; `columns` are functions of a source of random numbers."""
    source = random.Random(seed)
    with open(folder / name, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for _ in range(rows):
            writer.writerow([value(source) for value in columns.values()])
    return folder / name


def page(name, reference, current, rows=(2000, 1500), expect=0):
    sides = [table(f"{name}-{i}.csv", side, rows[i], i) for i, side in enumerate((reference, current))]
    out = folder / f"{name}.html"
    gradus.cli("drift", "check", "--reference", sides[0], "--data", sides[1], "--report", out, expect=expect)
    return out


def numbers(mean=0.0):
    return lambda source: source.gauss(mean, 1)


def words(*choices):
    return lambda source: source.choice(choices)


def pages():
    """`{name: (file, its verdict, columns of it that are shown by name)}`."""
    calm = {"amount": numbers(), "plan": words("free", "team", "firm"), "paid": words("true", "false")}
    moved = calm | {"amount": numbers(1.0), "plan": words("free", "firm", "firm", "firm")}
    wide = {f"column {i}": numbers() for i in range(400)}
    far = wide | {f"column {i}": numbers(2.0) for i in range(0, 400, 40)}
    odd = {ODD["markup"]: numbers(), ODD["quotes"]: words(*ODD.values()), ODD["umlauts"]: words("ä", "ö")}
    odd[ODD["long"]] = numbers()
    strange = odd | {ODD["quotes"]: words(ODD["markup"], ODD["long"]), ODD["umlauts"]: words("ä", "ö", "ü")}
    return {
        "drift": (page("drift", calm, moved, expect=10), "DRIFT", ["amount", "plan", "paid"]),
        "calm": (page("calm", calm, calm), "OK", ["amount", "plan", "paid"]),
        "nothing": (page("nothing", calm, calm, rows=(2000, 0), expect=1), "NO_DATA", ["amount", "plan", "paid"]),
        "wide": (page("wide", wide, far, rows=(1000, 1000), expect=10), "DRIFT", ["column 0", "column 360"]),
        "trend": (trend(), "DRIFT", ["amount", "other"]),
        "odd": (page("odd", odd, strange, expect=10), "DRIFT", list(odd)),
    }


def trend():
    """The report of a monitor that profiles of seven days were pushed to, of which one drifted."""
    prompt, contract = EXAMPLES / "prompts" / "triage-1.prompt.yaml", EXAMPLES / "contract.json"
    gradus.cli("push", prompt, "--to", "acme/chromium", "--contract", contract, "--version", "1.0.0")
    gradus.cli("promote", "acme/chromium:1.0.0", "--to", "staging")
    asked = ["--on", "acme/chromium:staging", "--every", "0 6 * * *", "--source", "pushed"]
    gradus.cli("drift", "monitor", "add", "nightly", *asked, "--reference", "trailing:1d")
    for day in range(1, 8):
        mean = 2.0 if day == 6 else 0.0
        data = table(f"day-{day}.csv", {"amount": numbers(mean), "other": numbers()}, 1000, day)
        gradus.cli("drift", "profile", data, "-o", folder / f"{day}.profile")
        expect = 10 if day in (6, 7) else 1 if day == 1 else 0
        at = f"2026-01-{day:02}"
        gradus.cli("drift", "push", "acme/chromium/nightly", folder / f"{day}.profile", "--at", at, expect=expect)
    out = folder / "trend.html"
    gradus.cli("drift", "report", "acme/chromium/nightly", "-o", out)
    return out


def rgb(colour):
    return tuple(bytes.fromhex(colour.removeprefix("#")))


def check_picture(image, size, scheme, verdict, box):
    """`box` is where the verdict is written."""
    colours = COLOURS[scheme]
    equal(image.size, size, "size of the picture")
    equal(image.getpixel((0, 0)), rgb(colours["back"]), "ground")
    equal(len(image.getcolors(1 << 24)) > 30, True, "letters and lines have many colours")
    # By far the most is ground, and in the upper part there is something on it.
    ground = share_of_ground(image, scheme)
    equal(ground > 0.7, True, f"share of what is {scheme}: {ground:.3f}")
    inked = 1 - share_of_ground(image.crop((0, 0, size[0], size[1] // 3)), scheme)
    equal(inked > 0.005, True, f"ink in the upper part: {inked:.4f}")
    found = {found: number for number, found in image.crop(box).getcolors(1 << 24)}
    letters = found.get(rgb(colours[verdict]), 0)
    equal(letters > 100, True, f"pixels of the verdict's colour, {colours[verdict]}: {letters}")


def share_of_ground(image, scheme):
    levels = image.convert("L").histogram()
    return sum(levels[192:] if scheme == LIGHT else levels[:64]) / sum(levels)


BOX = "(({left, top, right, bottom}) => [left, top, right, bottom])(%s.getBoundingClientRect())"
BARS = """[...document.querySelectorAll('svg rect.t')].map(bar => {
    const {height, left} = bar.getBoundingClientRect();
    return [bar.getAttribute('class').slice(2), height, left];
})"""
CUT_OFF = """[...document.querySelectorAll('svg text')].filter(text => {
    const [box, all] = [text.getBBox(), text.ownerSVGElement.viewBox.baseVal];
    return box.x < -1 || box.x + box.width > all.width + 1 || box.y < -1 || box.y + box.height > all.height + 1;
}).map(text => text.textContent)"""


def look_at(browser, name, size, scheme):
    file, verdict, columns = PAGES[name]
    browser.open(file, size, scheme)
    equal(browser.value("[innerWidth, document.compatMode]"), [size[0], "CSS1Compat"], "width of the window")
    box = browser.value(BOX % "document.querySelector('.verdict')")
    equal(browser.value("document.querySelector('.verdict').textContent"), verdict, "verdict")
    check_picture(browser.screenshot(), size, scheme, verdict, tuple(round(x) for x in box))
    shown = browser.value("[...document.querySelectorAll('h2, td')].map(cell => cell.textContent)")
    equal([column for column in columns if column not in shown], [], "columns that are not there")
    # Also with everything open that can be.
    browser.value("[...document.querySelectorAll('details')].map(one => one.open = true)")
    widest = browser.value("document.documentElement.scrollWidth")
    equal(widest <= size[0], True, f"{widest} pixels wide")
    equal(browser.requests(), [file.as_uri()], "requests")


def each_page(size, scheme):
    for name in PAGES:
        try:
            look_at(BROWSER, name, size, scheme)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


PAGES = pages()


@run.check
def a_page_is_one_small_file_that_names_nothing_outside():
    for name, (file, *_) in PAGES.items():
        text = file.read_text(encoding="utf-8")
        equal(file.stat().st_size < BYTES_MAX, True, f"{name}: {file.stat().st_size} bytes")
        outside = re.findall(
            r"https?:|src=|href=|url\(|@import|<script|<link|<iframe|<img", text, re.IGNORECASE
        )
        equal(outside, [], f"{name}: names of what is outside")


with Chromium() as BROWSER:

    @run.check
    def on_a_desk_in_light():
        each_page(DESK, LIGHT)

    @run.check
    def on_a_desk_in_dark():
        each_page(DESK, DARK)

    @run.check
    def on_a_phone_in_light():
        each_page(PHONE, LIGHT)

    @run.check
    def on_a_phone_in_dark():
        each_page(PHONE, DARK)

    @run.check
    def what_is_written_in_pictures_is_not_cut_off():
        for name, (file, *_) in PAGES.items():
            BROWSER.open(file, DESK, LIGHT)
            equal(BROWSER.value(CUT_OFF), [], name)

    @run.check
    def past_runs_are_bars_of_which_those_with_drift_are_the_highest():
        for size in (DESK, PHONE):
            BROWSER.open(PAGES["trend"][0], size, LIGHT)
            bars = BROWSER.value(BARS)
            equal([verdict for verdict, *_ in bars], ["NO_DATA", *["OK"] * 4, "DRIFT", "DRIFT"], "verdicts")
            low, high = ({height for verdict, height, *_ in bars if (verdict == "DRIFT") == is_drift} for is_drift in (False, True))
            equal(min(high) > 5 * max(low), True, f"heights {bars}")
            lefts = [left for *_, left in bars]
            equal(lefts, sorted(set(lefts)), "places")

    @run.check
    def names_of_columns_are_text_and_nothing_else():
        BROWSER.open(PAGES["odd"][0], DESK, LIGHT)
        equal(BROWSER.value("document.querySelectorAll('script, b:not([class])').length"), 0, "elements")
        equal(BROWSER.value("document.title").endswith(": DRIFT"), True, "title")

    @run.check
    def what_is_looked_for_would_be_found():
        bad = folder / "bad.html"
        bad.write_text(
            "<meta name=viewport content='width=device-width'><img src=http://outside.invalid/x.png>"
            "<p style='width: 30rem'>wide</p><svg viewBox='0 0 9 9'><text x=5 y=5>cut off</text></svg>"
        )
        BROWSER.open(bad, PHONE, DARK)
        equal(BROWSER.requests(), [bad.as_uri(), "http://outside.invalid/x.png"], "requests")
        equal(
            BROWSER.value("document.documentElement.scrollWidth > innerWidth || innerWidth > 390"),
            True,
            "wide",
        )
        equal(BROWSER.value(CUT_OFF), ["cut off"], "what is cut off")
        try:
            check_picture(BROWSER.screenshot(), PHONE, DARK, "OK", (0, 0, 100, 100))
        except AssertionError:
            return
        raise AssertionError("a light page passed for a dark one")


run.exit()
