# SPDX-License-Identifier: MIT
"""Reads .vm files: one INI section for each virtual machine.

The reader is our own, not configparser: keys may repeat, values keep their `=`, `:` and `%`, and every
complaint names the file, the VM, the key and what would be right.
"""
import re
from dataclasses import dataclass, field
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}\Z")
NAME_RULE = "1 to 31 letters, digits, '_' or '-', first a letter or digit"
RESERVED = "socle"

BOOT_PROTOCOLS = ("linux", "multiboot", "multiboot2", "pvh", "flat")


class BadDescription(Exception):
    """One line for the user."""


@dataclass
class Module:
    """One `module2` line: a host file, its role, and the VM it belongs to."""

    role: str
    path: Path
    args: str = ""
    keys: dict = field(default_factory=dict)


@dataclass
class Machine:
    name: str
    modules: list = field(default_factory=list)


@dataclass
class Description:
    """A .vm file: one entry of the boot menu."""

    path: Path
    title: str
    args: str = ""
    machines: list = field(default_factory=list)


def _file(value, base):
    path = base / value
    if path.is_file():
        return path
    what = "is a directory" if path.is_dir() else "no such file"
    raise ValueError(f"{value}: {what} (looked for {path}); want the path of a file, "
                     "relative to this description")


def _number(value, low, high, what):
    if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
        raise ValueError(f"'{value}' is no good; want {what}, {low} to {high}")
    return value


def _memory(value):
    if not re.fullmatch(r"[0-9]{1,9}[KMG]", value) or int(value[:-1]) == 0:
        raise ValueError(f"'{value}' is no good; want a size such as 256M or 2G, above zero")
    return value


def _boot(value):
    if value not in BOOT_PROTOCOLS:
        raise ValueError(f"'{value}' is no good; want one of {', '.join(BOOT_PROTOCOLS)}")
    return value


def _text(value):
    bad = next((c for c in value if not 32 <= ord(c) < 127), None)
    if bad is not None:
        raise ValueError(f"character {bad!r} is no good; want printable ASCII")
    return value


# Settings become key=value words on the kernel's module line.
SETTINGS = {
    "memory": _memory,
    "cpus": lambda v: _number(v, 1, 64, "a number of virtual CPUs"),
    "boot": _boot,
    "timeout": lambda v: _number(v, 1, 86400, "seconds without progress"),
}
VM_KEYS = ("kernel", "initrd", "module", "disk", "cmdline", *SETTINGS)
REPEATABLE = ("module", "disk")
SOCLE_KEYS = ("title", "args")


def _unquote(value):
    """The value of a `key = value` line: comments go, quotes protect."""
    if not value.startswith('"'):
        return re.sub(r"(^|\s)[#;].*$", "", value).strip()
    match = re.fullmatch(r'"((?:[^"\\]|\\.)*)"\s*([#;].*)?', value)
    if not match:
        raise ValueError('a value that begins with " must end with it '
                         r'(inside, \" and \\ stand for themselves)')
    return re.sub(r"\\(.)", r"\1", match[1])


class _Reader:
    def __init__(self, path):
        self.path = path
        self.line = 0
        self.vm = None
        self.key = None

    def bad(self, what):
        where = f"{self.path}:{self.line}"
        if self.vm is not None:
            where += f": [{self.vm}]"
        if self.key is not None:
            where += f" {self.key}"
        return BadDescription(f"{where}: {what}")

    def sections(self, text):
        """Yields (name, [(line, key, value)]) for each section."""
        found, current = {}, None
        for self.line, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            if not line or line[0] in "#;":
                continue
            if line.startswith("["):
                self.vm = self.key = None
                name = self._section_name(line, found)
                current = found.setdefault(name, (self.line, []))[1]
                self.vm = name
            else:
                current = self._assignment(line, current)
        self.vm = self.key = None
        return found

    def _section_name(self, line, found):
        match = re.fullmatch(r"\[([^]]*)\]\s*([#;].*)?", line)
        if not match:
            raise self.bad(f"'{line}' is no section; want [name]")
        name = match[1].strip()
        if not NAME.match(name):
            raise self.bad(f"'{name}' cannot be a VM's name; want {NAME_RULE}")
        if name in found:
            raise self.bad(f"[{name}] is there already, at line {found[name][0]}; "
                           "want another name for each VM")
        return name

    def _assignment(self, line, current):
        key, equals, value = line.partition("=")
        self.key = key.strip() or None
        if not equals or not self.key:
            self.key = None
            raise self.bad(f"'{line}' is neither a [section] nor key = value")
        if current is None:
            raise self.bad("stands before the first section; want [name of a VM] above it")
        try:
            current.append((self.line, self.key, _unquote(value.strip())))
        except ValueError as error:
            raise self.bad(error) from None
        self.key = None
        return current

    def values(self, vm, section, allowed):
        """Checks the keys of one section; returns {key: [value]}."""
        seen = {}
        self.vm = vm
        for self.line, self.key, value in section:
            if self.key not in allowed:
                raise self.bad(f"unknown key; want one of {', '.join(allowed)}")
            if self.key in seen and self.key not in REPEATABLE:
                raise self.bad("is there twice; want it once")
            seen.setdefault(self.key, []).append(self._value(value))
        self.key = None
        return seen

    def _value(self, value):
        base = self.path.parent
        try:
            if not value and self.key not in ("cmdline", "args"):
                raise ValueError("has no value")
            _text(value)
            if self.key in SETTINGS:
                return SETTINGS[self.key](value)
            if self.key in ("kernel", "initrd", "disk"):
                return _file(value, base)
            if self.key == "module":
                name, _, args = value.partition(" ")
                return _file(name, base), args.strip()
        except ValueError as error:
            raise self.bad(error) from None
        return value

    def machine(self, name, line, section):
        keys = self.values(name, section, VM_KEYS)
        if "kernel" not in keys:
            self.line = line
            raise self.bad("has no kernel; want kernel = FILE")
        settings = {key: keys[key][0] for key in SETTINGS if key in keys}
        machine = Machine(name)
        machine.modules.append(
            Module("kernel", keys["kernel"][0], keys.get("cmdline", [""])[0], settings))
        if "initrd" in keys:
            machine.modules.append(Module("initrd", keys["initrd"][0]))
        for path, args in keys.get("module", []):
            machine.modules.append(Module("module", path, args))
        for path in keys.get("disk", []):
            machine.modules.append(Module("disk", path))
        return machine


def read(path):
    """Reads one .vm file; raises BadDescription."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise BadDescription(f"{path}: {why}; want a description of virtual machines") from None
    reader = _Reader(path)
    description = Description(path, path.stem)
    for name, (line, section) in reader.sections(text).items():
        if name == RESERVED:
            own = reader.values(name, section, SOCLE_KEYS)
            description.title = own.get("title", [description.title])[0]
            description.args = own.get("args", [""])[0]
        else:
            description.machines.append(reader.machine(name, line, section))
    if not description.machines:
        raise BadDescription(f"{path}: describes no virtual machine; "
                             "want a section [name] with kernel = FILE")
    return description
