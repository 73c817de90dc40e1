# SPDX-License-Identifier: MIT
"""Unit tests: cmocka programs, one result for each case in them."""
import os
import re
import subprocess
import time
from pathlib import Path

from harness.result import FAIL, PASS, SKIP, Result

TIMEOUT = 300
CASE = re.compile(r"cmocka_unit_test\w*\(\s*(\w+)")
TAP = re.compile(r"(not )?ok (?:\d+ )?- (\S+)(.*)")
SOURCES = Path("tests/unit")


class Program:
    """A program build/unit/test_NAME of tests/unit/test_NAME.c."""

    weight = 1

    def __init__(self, source, build):
        self.name = "unit/" + source.stem[len("test_"):]
        self.source = source
        self.path = build / "unit" / source.stem
        self.log = build / "tests" / f"unit-{source.stem}.log"

    def selected(self, pattern):
        cases = CASE.findall(self.source.read_text())
        return any(pattern.search(f"{self.name}: {case}") for case in cases or [""])

    def run(self, pattern):
        if not self.path.exists():
            return [Result(self.name, FAIL, notes=[f"{self.path} was not built"])]
        start = time.monotonic()
        try:
            # Cases are printed as they end, so that a crash loses none before it.
            done = subprocess.run([self.path], env=dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP"),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False)
            text, status = done.stdout.decode(errors="replace"), done.returncode
        except subprocess.TimeoutExpired as expired:
            text, status = (expired.stdout or b"").decode(errors="replace"), "time-out"
        self.log.write_text(text)
        results = self.results(text, status)
        results[-1].seconds = time.monotonic() - start
        return [result for result in results if pattern.search(result.name)] or results[-1:]

    def results(self, text, status):
        found, comments = [], []
        for line in text.splitlines():
            match = TAP.match(line)
            if not match:
                comments.append(line)
                continue
            state = SKIP if "# SKIP" in match[3] else FAIL if match[1] else PASS
            found.append(Result(f"{self.name}: {match[2]}", state))
        planned = sum(int(n) for n in re.findall(r"^1\.\.(\d+)$", text, re.MULTILINE))
        failed = any(result.state == FAIL for result in found)
        for result in found:
            result.tail = comments[-12:] if result.state == FAIL else []
        if len(found) < planned or not found or (status != 0 and not failed):
            why = f"status {status} after {len(found)} of {planned} cases"
            found.append(Result(self.name, FAIL, notes=[why], tail=text.splitlines()[-25:]))
        return found


def find(build):
    return [Program(source, build) for source in sorted(SOURCES.glob("test_*.c"))]
