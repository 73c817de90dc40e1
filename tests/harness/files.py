# SPDX-License-Identifier: MIT
"""Files that a boot test makes for itself, most of them broken on purpose.

    NAME zeros BYTES            NAME random BYTES (the same bytes each time)
    NAME text WORDS             NAME head BYTES FILE
    NAME patch OFFSET HEX FILE  (FILE with the bytes at OFFSET replaced)

FILE is one made before, or a path from the repository's root.
"""
import random
from pathlib import Path


class BadFile(Exception):
    """One line for the user."""


def _source(name, folder):
    own = folder / name
    return (own if own.exists() else Path(name)).read_bytes()


def _patch(words, folder):
    offset, new = int(words[0], 0), bytes.fromhex(words[1])
    data = _source(words[2], folder)
    if offset + len(new) > len(data):
        raise BadFile(f"{words[2]}: {len(data)} bytes, cannot patch at {offset}")
    return data[:offset] + new + data[offset + len(new):]


KINDS = {
    "zeros": lambda words, folder: bytes(int(words[0], 0)),
    "random": lambda words, folder: random.Random(1).randbytes(int(words[0], 0)),
    "text": lambda words, folder: " ".join(words).encode(),
    "head": lambda words, folder: _source(words[1], folder)[:int(words[0], 0)],
    "patch": _patch,
}


def make(line, folder):
    """Makes one file in `folder`."""
    name, kind, *words = line.split()
    if kind not in KINDS:
        raise BadFile(f"file = {line}: want one of {', '.join(KINDS)}")
    try:
        (folder / name).write_bytes(KINDS[kind](words, folder))
    except (IndexError, ValueError) as error:
        raise BadFile(f"file = {line}: {error}") from None
