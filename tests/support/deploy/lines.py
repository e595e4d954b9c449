"""Finds every command line of `gradus` in a text, and compares it with what the binary's own help says it takes."""

import re
import shlex
import subprocess
from dataclasses import dataclass

# Not part of a path, an image or a name; a verb follows.
CALL = re.compile(r"(?:(?<![\w./@:-])|(?<=/bin/))gradus (?=[a-z])")
# ${NAME:+words}: the words are there or not, so what they say must be right.
MAYBE = re.compile(r"\$\{\w+:\+((?:[^{}]|\{[^{}]*\})*)\}")


@dataclass(frozen=True)
class Line:
    where: str
    words: tuple
    # Only named in a sentence, so that not all it needs has to be there.
    mentioned: bool = False


def in_text(where, text):
    """Yields the lines of a script, a configuration file, or the comments in them."""
    # A backslash goes on in the next line, which in a comment begins with its sign.
    text = re.sub(r"\\\n[ \t]*(?:#|//)?[ \t]*", " ", text)
    for line in text.splitlines():
        for call in CALL.finditer(line):
            before, rest = line[: call.start()], line[call.end() :]
            quote = before[-1:] if before[-1:] in ("'", '"', "`") else ""
            if quote:
                rest = rest.split(quote)[0] if quote != '"' else rest.rsplit(quote)[0]
            yield Line(where, tuple(words(MAYBE.sub(r"\1", rest))), mentioned=quote == "`")


def words(text):
    """The words up to the end of the command: a pipe, a redirection, a bracket, a comment."""
    reader = shlex.shlex(text, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    found = []
    try:
        for word in reader:
            if re.fullmatch(r"[();<>|&]+", word):
                break
            # An array of options that the script has built: nothing is known of it here.
            if not re.fullmatch(r"\$\{\w+\[@\]\}", word):
                found.append(word)
    except ValueError:
        # A quotation that begins before this command, around all of it: its end is not part of it.
        return words(re.sub(r"""(?s)(.*)['"].*""", r"\1", text))
    return found


class Help:
    """What the binary's help says of each verb."""

    def __init__(self, binary):
        self.binary, self.known = binary, {}

    def of(self, verbs):
        """The help of a verb that there is."""
        if verbs not in self.known:
            command = [self.binary, *verbs, "--help"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
            self.known[verbs] = Verb(done.stdout)
        return self.known[verbs]

    def verbs(self, line):
        """The verbs that a line begins with, up to and with the first that there is not; and whether all are there."""
        verbs, verb = (), self.of(())
        for word in line.words:
            if not verb.verbs:
                break
            verbs = (*verbs, word)
            if word not in verb.verbs:
                return verbs, False
            verb = self.of(verbs)
        return verbs, True

    def complaint(self, line):
        """What is wrong with a command line; None if nothing is."""
        verbs, there = self.verbs(line)
        if not there:
            return f"there is no `gradus {' '.join(verbs)}`"
        rest = list(line.words[len(verbs) :])
        verb, given, places = self.of(verbs), set(), []
        while rest:
            word = rest.pop(0)
            if not re.match(r"--?[a-z]", word):
                places.append(word)
                continue
            name, _, value = word.partition("=")
            if name not in verb.options:
                return f"`gradus {' '.join(verbs)}` has no {name}"
            given.add(name)
            if verb.options[name] and not value:
                if not rest or rest[0].startswith("--"):
                    return f"{name} needs a value"
                rest.pop(0)
        if line.mentioned:
            return None
        if missing := verb.required - given:
            return f"`gradus {' '.join(verbs)}` needs {' '.join(sorted(missing))}"
        if not verb.least <= len(places) <= verb.most:
            return f"`gradus {' '.join(verbs)}` takes {verb.usage}, not {len(places)} places: {places}"
        return None


class Verb:
    """One page of help, read."""

    def __init__(self, text):
        self.usage = re.search(r"^Usage: gradus (.*)$", text, re.MULTILINE)[1]
        commands = re.search(r"^Commands:\n((?:  .*\n)+)", text, re.MULTILINE)
        self.verbs = set(re.findall(r"^  (\w[\w-]*)  ", commands[1], re.MULTILINE)) if commands else set()
        # By name, with whether it takes a value.
        self.options = {}
        found = re.findall(r"^ +(?:(-\w), )?(--[a-z-]+)(?:[ =]([<\[]))?", text, re.MULTILINE)
        for short, long, value in found:
            self.options |= {name: bool(value) for name in (short, long) if name}
        usage = self.usage.replace("[OPTIONS]", "")
        self.required = set(re.findall(r"(?<!\[)(--[a-z-]+) <", usage))
        usage = re.sub(r"--[a-z-]+ <[^>]*>", "", usage)
        self.least = len(re.findall(r"<[^>]*>", usage))
        self.most = (
            100 if "..." in usage else self.least + len(re.findall(r"\[[^\]]*(?:\[[^\]]*\])?[^\]]*\]", usage))
        )
