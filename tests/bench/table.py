"""The table: what was measured, against what, the target and whether it was reached."""

from dataclasses import dataclass


@dataclass
class Line:
    what: str
    value: str
    ratio: str = ""
    target: str = ""
    reached: str = ""


class Table:
    def __init__(self):
        self.lines = []

    def section(self, title):
        self.lines.append(title)

    def add(self, what, samples, unit, base=None, at_most=None, at_least=None):
        """Adds a row. With a `base`, `(name, value)`, it shows the ratio to it and the target is about that
        ratio; without one the target is about the value itself. A row without a target only informs."""
        value = f"{number(samples.median)} {unit}"
        if len(samples.values) > 1:
            value += f" ({number(samples.least)}–{number(samples.most)})"
        measured, ratio, of = samples.median, "", f" {unit}"
        if base:
            measured = samples.median / base[1]
            ratio, of = f"{number(measured)} × {base[0]}", f" × {base[0]}"
        target = reached = ""
        if at_most is not None:
            target, reached = f"≤ {number(at_most)}{of}", yes_or_no(measured <= at_most)
        if at_least is not None:
            target, reached = f"≥ {number(at_least)}{of}", yes_or_no(measured >= at_least)
        self.put(Line(what, value, ratio, target, reached))

    def put(self, line):
        self.lines.append(line)
        print("  " + "  ".join(part for part in vars(line).values() if part), flush=True)

    def print(self):
        header = Line("", "median (min–max)", "ratio", "target", "reached")
        rows = [vars(line) for line in [header] + [line for line in self.lines if isinstance(line, Line)]]
        widths = {name: max(len(row[name]) for row in rows) for name in vars(header)}

        def printed(line):
            print("| " + " | ".join(text.ljust(widths[name]) for name, text in vars(line).items()) + " |")

        print()
        printed(header)
        print("|" + "|".join("-" * (width + 2) for width in widths.values()) + "|")
        for line in self.lines:
            printed(line if isinstance(line, Line) else Line(f"**{line}**", "", "", "", ""))


def number(value):
    """Three significant digits; whole from a hundred on."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def yes_or_no(answer):
    return "yes" if answer else "no"
