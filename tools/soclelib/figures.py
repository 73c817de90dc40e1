# SPDX-License-Identifier: MIT
"""The bench's figures: what the tree has of them, how new ones compare, and how both are shown.

A file of [sections], one for each host, of `case = number` lines. [wanted], [boot-wanted] and [xen]
are written by hand: what Socle shall reach, and what another hypervisor was measured at.
"""
import re
from pathlib import Path

from soclelib import ini

TREE = Path(__file__).resolve().parents[2]
FILE = TREE / "tests" / "bench" / "figures.ini"
HEAD = """\
# Figures of `make bench` and `make bench-boot`, which write them; [wanted], [boot-wanted] and [xen]
# are written by hand. Bochs, corei7_skylake_x: ticks are instructions, and each run gives the same.
"""
LINE = re.compile(r"^bench ([\w-]+) (?:skipped: (.*)|(-?\d+) mean (-?\d+) min (-?\d+) max (-?\d+) "
                  r"rounds (\d+) checked)$")
WRONG = re.compile(r"^not ok \d+ - (.*)$")
# More than the larger of both is worse, or better.
TICKS, PERCENT = 2, 2


class Result:
    """What one host said: {case: ticks}, {case: why it was skipped}, cases with wrong answers."""

    def __init__(self, log):
        self.figures, self.skipped, self.wrong = {}, {}, []
        self.ended = False
        for line in log.replace("\r", "").split("\n"):
            match = LINE.match(line)
            if match and match[2] is not None:
                self.skipped[match[1]] = match[2]
            elif match:
                self.figures[match[1]] = int(match[3])
            elif WRONG.match(line):
                self.wrong.append(WRONG.match(line)[1])
            self.ended |= line.startswith("1..")


def read(path=FILE):
    """{section: {case: number}}; {} where there is no file."""
    if not path.exists():
        return {}
    reader = ini.Reader(path)
    found = {}
    for name, (_, section) in reader.sections().items():
        found[name] = {}
        reader.section = name
        for reader.line, reader.key, value in section:
            if not re.fullmatch(r"-?\d+", value):
                raise reader.bad(f"'{value}' is no number")
            found[name][reader.key] = int(value)
    return found


def write(figures, path=FILE):
    text = HEAD
    for name, section in figures.items():
        width = max(map(len, section), default=0)
        text += f"\n[{name}]\n" + "".join(f"{case:{width}} = {number}\n"
                                          for case, number in section.items())
    path.write_text(text, encoding="utf-8")


def allowance(known):
    return max(TICKS, abs(known) * PERCENT // 100)


def compare(known, found):
    """(worse, better, other): lines of words. Only `worse` and `other` are faults."""
    worse, better, other = [], [], []
    for case, was in known.items():
        if case not in found:
            other.append(f"{case}: was {was:,}, and was not measured")
            continue
        now = found[case]
        line = f"{case}: {was:,} before, {now:,} now ({now - was:+,})"
        if now - was > allowance(was):
            worse.append(line)
        elif was - now > allowance(was):
            better.append(line)
    other += [f"{case}: {now:,}, and no figure of it in the tree"
              for case, now in found.items() if case not in known]
    return worse, better, other


def missed(wanted, found):
    """Lines for what is not reached yet."""
    return [f"{case}: {found[case]:,}, wanted {most:,}"
            for case, most in wanted.items() if case in found and found[case] > most]


def _ratio(other, own):
    if other is None or own is None or own <= 0:
        return ""
    return f"{other / own:.1f}" if other < 100 * own else f"{other / own:,.0f}"


def rows(figures, order):
    """Rows of text: case, bare, Socle, wanted, KVM, KVM to Socle, Xen, Xen to Socle."""
    def cell(host, case):
        number = figures.get(host, {}).get(case)
        return "" if number is None else f"{number:,}"

    found = []
    for case in order:
        own = figures.get("socle", {}).get(case)
        found.append([case, cell("bare", case), cell("socle", case), cell("wanted", case),
                      cell("kvm", case), _ratio(figures.get("kvm", {}).get(case), own),
                      cell("xen", case), _ratio(figures.get("xen", {}).get(case), own)])
    return found


COLUMNS = ("case", "bare", "Socle", "wanted", "KVM", "KVM : Socle", "Xen", "Xen : Socle")


def order(figures):
    """Cases in the order in which the guest runs them, as far as any host did."""
    found = []
    for host in ("socle", "kvm", "bare"):
        at = 0
        for case in figures.get(host, {}):
            if case in found:
                at = found.index(case) + 1
            else:
                found.insert(at, case)
                at += 1
    return found


def bench_table(figures):
    """The table of all hosts, its head first."""
    return [COLUMNS, *rows(figures, order(figures))]


def boot_table(figures):
    """Ticks of a boot: a row for each part of it."""
    hosts = [figures.get(f"boot-{host}", {}) for host in ("bare", "socle", "wanted", "kvm")]
    return [("part", "bare", "Socle", "wanted", "KVM"),
            *([part, *(f"{host[part]:,}" if part in host else "" for host in hosts)]
              for part in figures.get("boot-socle", {}))]


def exits_table(figures):
    """Exits of a boot under Socle: how many, and what they took."""
    exits, ticks = figures.get("boot-exits-socle", {}), figures.get("boot-ticks-socle", {})
    names = sorted(exits, key=exits.get, reverse=True)
    rest = [[name, f"{exits[name]:,}", f"{ticks[name]:,}" if name in ticks else ""] for name in names]
    return [("exit", "number", "mean ticks in Socle"), *rest,
            ["all", f"{sum(exits.values()):,}", ""]]


def counters_table(figures):
    """KVM's own counters of the same."""
    return [("counter", "number"),
            *([name, f"{number:,}"] for name, number in figures.get("boot-exits-kvm", {}).items())]


def plain(table):
    widths = [max(len(line[n]) for line in table) for n in range(len(table[0]))]
    return "\n".join("  ".join([line[0].ljust(widths[0]),
                                *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]
                               ).rstrip() for line in table)


def markdown(table):
    head, *rest = table
    return ("| " + " | ".join(head) + " |\n|---" + "|---:" * (len(head) - 1) + "|\n"
            + "".join("| " + " | ".join(row) + " |\n" for row in rest))


def put_between(text, name, new):
    """`text` with what stands between the markers of `name` replaced."""
    begin, end = f"<!-- {name}: made by tools/bench -->\n", f"<!-- end of {name} -->"
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no place for {name}; want the lines {begin.strip()} and {end}")
    return head + begin + new + end + tail
