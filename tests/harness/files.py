# SPDX-License-Identifier: MIT
"""Files that a boot test makes for itself, most of them broken on purpose.

    NAME zeros BYTES            NAME random BYTES (the same bytes each time)
    NAME text WORDS             NAME head BYTES FILE
    NAME patch OFFSET HEX FILE  (FILE with the bytes at OFFSET replaced)
    NAME grub COMMAND FILE WORDS + COMMAND FILE WORDS ...
                                (an image for CD or disk whose GRUB runs these)

FILE is one made before, or a path from the repository's root.
"""
import random
from pathlib import Path

from soclelib import iso


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


class _Disc(iso.Disc):
    """GRUB on the serial line alone: a firmware that shows its screen there would say all twice."""

    modules = [*iso.MODULES, "linux"]

    def menu(self):
        return ("serial --unit=0 --speed=115200\nterminal_input serial\nterminal_output serial\n"
                "set timeout=0\nset default=0\n" + "".join(self.entries))


def _grub(words, folder):
    disc, lines = _Disc(), []
    for part in " ".join(words).split(" + "):
        command, name, *rest = part.split(" ", 2)
        own = folder / name
        lines.append(" ".join([command, disc.place(own if own.exists() else Path(name)), *rest]))
    disc.add_entry("test", lines)
    out = folder / ".grub.iso"
    disc.write(out)
    data = out.read_bytes()
    out.unlink()
    return data


KINDS = {
    "grub": _grub,
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
    except (IndexError, ValueError, iso.BadIso) as error:
        raise BadFile(f"file = {line}: {error}") from None
