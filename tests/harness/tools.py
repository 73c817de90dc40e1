# SPDX-License-Identifier: MIT
"""Tests of the tools: Python's unittest, one result for each method."""
import importlib.util
import time
import traceback
import unittest
from pathlib import Path

from harness.result import FAIL, PASS, SKIP, Result


class Case(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.reason = None

    def addSkip(self, test, reason):
        self.reason = reason


class Method:
    weight = 1

    def __init__(self, module, case):
        self.case = case
        self.name = f"tools/{module}: {case._testMethodName}"

    def selected(self, pattern):
        return pattern.search(self.name)

    def run(self, _pattern):
        outcome, start = Case(), time.monotonic()
        self.case.run(outcome)
        seconds = time.monotonic() - start
        if outcome.reason:
            return [Result(self.name, SKIP, notes=[outcome.reason])]
        faults = [text for _, text in outcome.errors + outcome.failures]
        if faults:
            lines = faults[0].splitlines()
            return [Result(self.name, FAIL, seconds, [lines[-1]], lines[-15:])]
        return [Result(self.name, PASS, seconds)]


class Broken:
    """A file that cannot be loaded fails, and is not passed over."""

    weight = 1

    def __init__(self, name):
        self.name, self.tail = name, traceback.format_exc().splitlines()

    def selected(self, _pattern):
        return True

    def run(self, _pattern):
        return [Result(self.name, FAIL, notes=["does not load"], tail=self.tail[-15:])]


def _methods(suite):
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from _methods(each)
        else:
            yield each


def find(_build):
    found = []
    for path in sorted(Path("tests/tools").glob("test_*.py")):
        name = path.stem[len("test_"):]
        try:
            spec = importlib.util.spec_from_file_location(path.stem, path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            suite = unittest.defaultTestLoader.loadTestsFromModule(module)
            found += [Method(name, case) for case in _methods(suite)]
        except Exception:
            found.append(Broken(f"tools/{name}"))
    return found
