# SPDX-License-Identifier: MIT
"""Boot tests: tests/boot/*.ini, one section each. docs/testing.md lists the keys."""
import re
import subprocess
import time
from pathlib import Path

from harness import files, screen
from harness.result import FAIL, PASS, SKIP, Result
from soclelib import description, ini, iso, machine

ROOT = Path.cwd()
# Socle's monitor takes its prompt away by this.
ERASED = re.compile(r"[^\n]*\r\x1b\[K")
ESCAPES = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b.|\r")
MARGIN = 60
# Now and then Bochs finds no port for its display, however many are free. The machine has not begun.
NOT_STARTED = "could not bind any port"
SEEN = 6  # tools/run ended by --until
# A bug in Socle, whatever else a test looks at; unless it wants just that.
BUGS = {"audit: failed": r"^socle: audit: failed.*", "panic:": r"^socle: panic:.*"}

# key: default
KEYS = {
    "image": "build/socle.elf", "vm": None, "raw": None, "file": None, "args": "", "needs": None,
    "on": "bochs", "cpu": None, "cpus": "1", "memory": "512", "timeout": "120",
    "firmware": "bios", "boot-as": "cd",
    "status": "0", "verdict": None, "expect": None, "never": None, "limit": None, "range": None,
    "near": None, "type": None,
    "until": None, "on-request": None, "long": None, "matrix": None,
    "screen-when": None, "screen": None,
}
REPEATABLE = ("vm", "raw", "file", "needs", "verdict", "expect", "never", "limit", "range", "near",
              "type", "screen")
COUNTED = ("raw", "verdict")
PLATFORMS = ("bochs", "kvm", "nested", "tcg")


class _Reader(ini.Reader):
    name = re.compile(r"[a-z0-9][a-z0-9-]*\Z")
    name_rule = "lower-case letters, digits and '-'"
    what = "test"

    def value(self, value):
        # near is two expressions, which are compiled together: the same faults show.
        pattern = {"range": value.partition(" ")[2].partition(" ")[2],
                   "near": value.partition(" ")[2].replace(" => ", "|"), "expect": value, "never": value, "screen": value, "screen-when": value,
                   "limit": value.partition(" ")[2], "until": value.partition(" ")[2], "type": value.partition(" => ")[0]}
        try:
            re.compile(pattern.get(self.key, ""))
        except re.error as error:
            raise self.bad(f"is no regular expression: {error}") from None
        if self.key == "type" and " => " not in value:
            raise self.bad("want REGEX => TEXT (and quotes around a value with ' #' in it)")
        if self.key == "near" and not re.match(r"\d+ .+ => .", value):
            raise self.bad("want PERCENT REGEX => REGEX")
        if self.key == "range" and not re.match(r"\d+ \d+ .", value):
            raise self.bad("want LEAST MOST REGEX")
        if self.key == "until" and not re.match(r"[1-9]\d* .", value):
            raise self.bad("want SECONDS REGEX")
        if self.key in ("long", "matrix") and value != "yes":
            raise self.bad("want yes")
        if self.key == "on" and not set(value.split()) <= set(PLATFORMS):
            raise self.bad(f"want some of {' '.join(PLATFORMS)}")
        if self.key in ("cpus", "memory", "timeout", "status") and not value.isdigit():
            raise self.bad("want a number")
        return value


class Boot:
    """One declared test on one platform."""

    def __init__(self, name, keys, platform, build):
        self.name = f"boot/{name}" + (f"@{platform}" if platform != "bochs" else "")
        self.keys = {key: keys.get(key, [default] if default is not None else [])
                     for key, default in KEYS.items()}
        for key in COUNTED:
            self.keys[key] = [line for pattern in self.keys[key] for line in _counted(pattern)]
        self.platform = platform
        self.folder = build / "tests" / self.name.replace("/", "-")
        self.log = self.folder.with_suffix(".log")
        # Long tests start first, so that two jobs end together.
        self.weight = int(self.one("timeout"))
        self.long = bool(self.keys["long"])

    def one(self, key):
        return self.keys[key][0] if self.keys[key] else None

    def selected(self, pattern):
        if not pattern.search(self.name):
            return False
        # Minutes of an emulated machine in an emulated machine: on request only.
        if self.platform == "nested":
            return "nested" in pattern.pattern
        return not self.keys["on-request"] or self.one("on-request") in pattern.pattern

    def under_kvm(self):
        return self.platform in ("kvm", "nested")

    def run(self, _pattern):
        why = self.obstacle()
        if why:
            return [Result(self.name, SKIP, notes=[why])]
        start = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.make_iso()
            status, said = self.boot()
        except (ini.Bad, iso.BadIso, files.BadFile, OSError) as error:
            return [Result(self.name, FAIL, notes=[str(error)])]
        log = ESCAPES.sub("", ERASED.sub("", self.log.read_bytes().decode("latin-1")))
        faults, figures = self.judge(status, said, log)
        seconds = time.monotonic() - start
        if faults:
            return [Result(self.name, FAIL, seconds, faults, log.splitlines()[-15:])]
        (self.folder / "test.iso").unlink()
        return [Result(self.name, PASS, seconds, figures)]

    def obstacle(self):
        """Why this test cannot run here; None if it can."""
        missing = [path for path in self.keys["needs"] if not Path(path).exists()]
        if missing:
            return f"{missing[0]} is not there"
        if self.platform == "kvm":
            return machine.kvm_refusal()
        if self.platform == "nested":
            return machine.nested_refusal()
        return None

    def make_iso(self):
        for line in self.keys["file"]:
            files.make(line, self.folder)
        image = iso.Image(self.made(self.one("image")), self.one("args") or "at-end=poweroff", timeout=0)
        for path in self.keys["vm"]:
            image.add(description.read(path))
        if self.keys["raw"] or not self.keys["vm"]:
            image.add_raw(self.name, "", [self.raw_line(image, line) for line in self.keys["raw"]])
        image.write(self.folder / "test.iso")

    def made(self, name):
        """A file that `file` made for this test, or one of the tree."""
        own = self.folder / name
        return own if own.exists() else ROOT / name

    def raw_line(self, image, line):
        """`FILE WORDS`: a module2 line that nobody checks; {x*9} is nine times x."""
        line = re.sub(r"\{(.)\*(\d+)\}", lambda match: match[1] * int(match[2]), line)
        name, _, words = line.partition(" ")
        place = image.place(self.made(name))
        return f"module2 {iso.grub_word(place)} {iso.grub_words(words)}".rstrip()

    def command(self):
        yield from ("tools/run", "--quiet", "--on", self.platform, "--log", self.log)
        for key in ("cpu", "cpus", "memory", "timeout", "boot-as"):
            if self.one(key):
                yield from (f"--{key}", self.one(key))
        if self.one("firmware") == "uefi":
            yield "--uefi"
        for line in self.keys["type"]:
            expect, _, text = line.partition(" => ")
            yield from ("--expect", expect, "--send", text + "\\n")
        if self.keys["screen"]:
            yield from ("--screenshot", self.folder / "screen.ppm")
        if self.one("until"):
            linger, _, regex = self.one("until").partition(" ")
            yield from ("--until", regex, "--linger", linger)
        if self.one("screen-when"):
            yield from ("--screenshot-at", self.one("screen-when"))
        yield self.folder / "test.iso"

    def boot(self):
        status, said = self.run_once()
        return self.run_once() if NOT_STARTED in said else (status, said)

    def run_once(self):
        done = subprocess.run([str(word) for word in self.command()], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              timeout=int(self.one("timeout")) + MARGIN, check=False)
        return done.returncode, (done.stderr.strip().splitlines() or ["no message"])[-1]

    def judge(self, status, said, log):
        """([what is wrong], [figures])."""
        faults, figures = [], []
        want = SEEN if self.one("until") else int(self.one("status"))
        if status != want:
            faults.append(f"status {status}, want {want} ({said})")
        wanted = [_verdict(line) for line in self.keys["verdict"]] + self.keys["expect"]
        faults += [f"not in the log: {regex}" for regex in wanted if not _search(regex, log)]
        for regex in self.keys["never"] + self.bugs():
            match = _search(regex, log)
            if match:
                faults.append(f"in the log: {match[0]}")
        for line in self.keys["limit"]:
            self.judge_limit(line, log, faults, figures)
        for line in self.keys["range"]:
            self.judge_range(line, log, faults, figures)
        for line in self.keys["near"]:
            self.judge_near(line, log, faults, figures)
        if self.keys["screen"]:
            self.judge_screen(faults)
        return faults, figures

    def bugs(self):
        """What no log may have but that of a test which expects it by name."""
        return [regex for name, regex in BUGS.items()
                if not any(name in expected for expected in self.keys["expect"])]

    def judge_limit(self, line, log, faults, figures):
        most, _, regex = line.partition(" ")
        match = _search(regex, log)
        if not match:
            faults.append(f"not in the log: {regex}")
        elif int(match[1]) > int(most):
            faults.append(f"{match[0]}: more than {int(most):,}")
        else:
            figures.append(f"{int(match[1]):,} of {int(most):,}")

    def judge_range(self, line, log, faults, figures):
        least, most, regex = line.split(" ", 2)
        match = _search(regex, log)
        if not match:
            faults.append(f"not in the log: {regex}")
        elif not int(least) <= int(match[1]) <= int(most):
            faults.append(f"{match[0]}: not from {int(least):,} to {int(most):,}")
        else:
            figures.append(f"{int(match[1]):,} of {int(least):,} to {int(most):,}")

    def judge_near(self, line, log, faults, figures):
        """All numbers that the second expression finds against the first one's first."""
        percent, _, both = line.partition(" ")
        first, _, second = both.partition(" => ")
        match = _search(first, log)
        others = [int(each[1]) for each in re.finditer(second, log, re.MULTILINE)]
        if not match or not others:
            faults.append(f"not in the log: {second if match else first}")
            return
        base = int(match[1])
        said = f"{base:,} against {', '.join(f'{each:,}' for each in others)}"
        if all(abs(each - base) * 100 <= int(percent) * base for each in others):
            figures.append(f"{said} (within {percent} %)")
        else:
            faults.append(f"{match[0]}: {said}: not within {percent} %")

    def judge_screen(self, faults):
        path = self.folder / "screen.ppm"
        text = screen.read(path) if path.exists() else ""
        faults += [f"not on the screen: {regex} (picture: {path})"
                   for regex in self.keys["screen"] if not _search(regex, text)]


def _search(regex, text):
    return re.search(regex, text, re.MULTILINE)


def _counted(line):
    """One line for each number of {FIRST..LAST}; just the line where there is none."""
    match = re.search(r"\{(\d+)\.\.(\d+)\}", line)
    if not match:
        return [line]
    return [line.replace(match[0], str(number))
            for number in range(int(match[1]), int(match[2]) + 1)]


def _verdict(line):
    """`NAME WORD why`: Socle's line for one VM; why is a regular expression."""
    name, _, rest = line.partition(" ")
    return rf"^socle: verdict {re.escape(name)} {rest}"


def sections():
    """(name, keys) of each declared test."""
    for path in sorted(Path("tests/boot").glob("*.ini")):
        reader = _Reader(path)
        for name, (_, section) in reader.sections().items():
            yield name, reader.values(name, section, KEYS, REPEATABLE)


def find(build):
    found = {}
    for name, keys in sections():
        for platform in keys.get("on", ["bochs"])[0].split() if "matrix" not in keys else ():
            test = Boot(name, keys, platform, build)
            # Both would have one folder and one log.
            if found.setdefault(test.name, test) is not test:
                raise ini.Bad(f"tests/boot: two tests have the name {name}")
    return list(found.values())
