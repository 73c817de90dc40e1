# SPDX-License-Identifier: MIT
"""The outcome of one test."""
from dataclasses import dataclass, field

PASS, FAIL, SKIP = "PASS", "FAIL", "SKIP"


@dataclass
class Result:
    name: str
    state: str
    seconds: float = None
    # PASS: figures; SKIP: the reason; FAIL: what was wrong, first line shortest.
    notes: list = field(default_factory=list)
    # FAIL: the end of the test's log.
    tail: list = field(default_factory=list)
