# SPDX-License-Identifier: MIT
"""What a run says of each virtual machine, for programs: JUnit XML, or JSON.

All of it is read off the serial log: Socle's verdict lines, its report lines (`NAME NUMBER` each),
and what stands between them. With one VM described its console is all that is not Socle's; with
several each line bears a name. Socle lets no VM forge a line of another, or of Socle, in that case.
"""
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass, field
from pathlib import Path

VERDICTS = ("PASS", "FAIL", "CRASH", "HANG", "STOPPED")
ESCAPES = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b.|\r")
PROMPT = re.compile(r"[^\n]*\r\x1b\[K")
# What XML 1.0 cannot hold.
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
OWN = re.compile(r"socle: (?:VM (?P<vm>[\w-]+): |verdict (?P<judged>[\w-]+) (?P<verdict>[A-Z]+)(?: (?P<why>.*))?$"
                 r"|report (?P<counted>[\w-]+): (?P<counts>.*)$)")
PREFIXED = re.compile(r"\[([\w-]+)\] ?(.*)")
SUM = re.compile(r"socle: (\d+) passed, (\d+) failed$")
# These come first in the first report line of a VM; what follows are reasons of exits.
MEASURES = ("ticks", "hz", "restarts", "VMs")


@dataclass
class Machine:
    """One VM as the log has it; `verdict` is empty when there was none."""

    name: str
    verdict: str = ""
    why: str = ""
    seconds: float = 0.0
    ticks: int = None
    hz: int = None
    restarts: int = 0
    exits: dict = field(default_factory=dict)
    console: str = ""
    log: str = ""  # Socle's own lines about it


class Log:
    """The VMs of a log, in the order in which they are first named, and its last line's sum."""

    def __init__(self, data):
        text = ESCAPES.sub("", PROMPT.sub("", data.decode("utf-8", "replace")))
        self.machines = {}
        self.passed = self.failed = 0
        self.described = 0
        lines = text.split("\n")
        for line in lines:
            self._own(line)
        several = max(self.described, len(self.machines)) > 1
        self._consoles(lines, several)

    def machine(self, name):
        return self.machines.setdefault(name, Machine(name))

    def _own(self, line):
        match = OWN.match(line)
        if SUM.match(line):
            self.passed, self.failed = map(int, SUM.match(line).groups())
        if not match:
            return
        machine = self.machine(match["vm"] or match["judged"] or match["counted"])
        if match["verdict"] in VERDICTS:
            machine.verdict, machine.why = match["verdict"], match["why"] or ""
        if match["counted"]:
            self._counts(machine, match["counts"])
        else:
            machine.log += line + "\n"

    def _counts(self, machine, text):
        for item in text.split(", "):
            name, _, number = item.rpartition(" ")
            if not number.isdigit():
                continue
            if name == "VMs":
                self.described = int(number)
            elif name in MEASURES:
                setattr(machine, name, int(number))
                if name == "ticks":
                    machine.exits = {}
            elif name:
                machine.exits[name] = int(number)
        if machine.hz:
            machine.seconds = machine.ticks / machine.hz

    def _consoles(self, lines, several):
        only = None if several else next(iter(self.machines.values()), None)
        begun = False
        for line in lines:
            if line.startswith("socle: "):
                begun = begun or bool(OWN.match(line))
                continue
            match = PREFIXED.match(line)
            if several and match and match[1] in self.machines:
                self.machines[match[1]].console += match[2] + "\n"
            elif only and begun:
                only.console += line + "\n"


@dataclass
class Report:
    """`run`: {name: value} that say what ran where; `end`: how tools/run ended it, in words."""

    name: str
    run: dict
    status: int
    end: str
    seconds: float
    log: Log

    def write(self, path):
        text = self.xml() if Path(path).suffix == ".xml" else self.json()
        Path(path).write_text(text, encoding="utf-8")

    def json(self):
        machines = [asdict(machine) for machine in self.log.machines.values()]
        return json.dumps({"name": self.name, "run": self.run, "status": self.status,
                           "end": self.end, "seconds": round(self.seconds, 3),
                           "passed": self.log.passed, "failed": self.log.failed,
                           "vms": machines}, indent=1) + "\n"

    def xml(self):
        cases = [self._case(machine) for machine in self.log.machines.values()]
        red = [case for case in cases if case.find("failure") is not None or
               case.find("error") is not None]
        # Something went wrong that is no VM's: it must not look green.
        if not cases or (self.status and not red):
            cases.append(self._own_case())
        suite = ET.Element("testsuite", {
            "name": self.name, "tests": str(len(cases)), "skipped": "0",
            "failures": str(sum(case.find("failure") is not None for case in cases)),
            "errors": str(sum(case.find("error") is not None for case in cases)),
            "time": f"{self.seconds:.3f}"})
        _properties(suite, {**self.run, "end": self.end})
        suite.extend(cases)
        ET.indent(suite)
        return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, "unicode") + "\n"

    def _case(self, machine):
        case = ET.Element("testcase", {"classname": self.name, "name": machine.name,
                                       "time": f"{machine.seconds:.6f}"})
        measured = {} if machine.ticks is None else {
            "ticks": machine.ticks, "hz": machine.hz, "restarts": machine.restarts}
        _properties(case, {"verdict": machine.verdict or "none", **measured,
                           **{f"exits: {name}": n for name, n in machine.exits.items()}})
        if not machine.verdict:
            _wrong(case, "error", "none", f"no verdict: {self.end}")
        elif machine.verdict != "PASS":
            _wrong(case, "failure", machine.verdict, f"{machine.verdict} {machine.why}")
        for tag, text in (("system-out", machine.console), ("system-err", machine.log)):
            ET.SubElement(case, tag).text = CONTROLS.sub("?", text)
        return case

    def _own_case(self):
        case = ET.Element("testcase", {"classname": self.name, "name": "socle", "time": "0"})
        _wrong(case, "error", "machine", self.end)
        return case


def _properties(parent, values):
    properties = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", {"name": name, "value": CONTROLS.sub("?", str(value))})


def _wrong(case, tag, kind, message):
    message = CONTROLS.sub("?", message)
    ET.SubElement(case, tag, {"type": kind, "message": message}).text = message
