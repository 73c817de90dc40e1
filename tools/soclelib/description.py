# SPDX-License-Identifier: MIT
"""Reads .vm files: one INI section for each virtual machine.

Every complaint names the file, the VM, the key and what would be right. What Socle itself can do
(vm/config.h) is checked by Socle; this looks at form, and at what only this side can know.
"""
import re
from dataclasses import dataclass, field
from pathlib import Path

from soclelib import ini, regex

# As in vm/config.h.
CPUS_MAX = 32
CORES_MAX = 64
WEIGHT_MAX = 10000
RESTARTS_MAX = 60
TIMEOUT_MAX = 86400
TSC_MHZ_MAX = 8000
EXPECT_MAX = 120
DRIVES_MAX = 4
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}\Z")
NAME_RULE = "1 to 31 letters, digits, '_' or '-', first a letter or digit"
RESERVED = "socle"

FLAT = ("flat16", "flat32", "flat64")
BOOT_PROTOCOLS = ("linux", "multiboot", "multiboot2", "pvh", *FLAT)
ON_END = ("stop", "restart")
ON_CRASH = ("stop", "restart", "pause")


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


def _address(value):
    """Such as 0x100000 or 1M; where it may lie, the loader knows."""
    if not re.fullmatch(r"0x[0-9a-f]{1,8}|[0-9]{1,9}[KMG]?", value):
        raise ValueError(f"'{value}' is no good; want an address such as 0x100000 or 1M")
    return value


def _one_of(value, words):
    if value not in words:
        raise ValueError(f"'{value}' is no good; want one of {', '.join(words)}")
    return value


def _pin(value):
    """Which cores the machine has, Socle knows; blanks are for the reader of the file."""
    cores = [core.strip() for core in value.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,3}", core) and int(core) < CORES_MAX for core in cores):
        raise ValueError(f"'{value}' is no good; want numbers of cores, 0 to {CORES_MAX - 1}, "
                         "such as 1,2")
    return ",".join(cores)


def _cap(value):
    if not re.fullmatch(r"[0-9]{1,4}%?", value) or not 1 <= int(value.rstrip("%")) <= 100 * CPUS_MAX:
        raise ValueError(f"'{value}' is no good; want percent of one core, 1% to 100% for each CPU")
    return value


def _depends(value):
    if not NAME.match(value):
        raise ValueError(f"'{value}' cannot name a VM; want {NAME_RULE}")
    return value


def _text(value):
    bad = next((c for c in value if not 32 <= ord(c) < 127), None)
    if bad is not None:
        raise ValueError(f"character {bad!r} is no good; want printable ASCII")
    return value


def _expect(value):
    """Boot loaders have their own ways with blanks, quotes and backslashes: they go as %XX."""
    if len(value) > EXPECT_MAX:
        raise ValueError(f"has {len(value)} characters; want {EXPECT_MAX} or fewer")
    try:
        regex.check(value)
    except regex.Bad as error:
        raise ValueError(f"'{value}': {error}") from None
    return re.sub(r"[ %\"'\\]", lambda match: f"%{ord(match[0]):02x}", value)


def _pass_code(value):
    if not re.fullmatch(r"0x[0-9a-fA-F]{1,8}|[0-9]{1,10}", value) or int(value, 0) >= 1 << 32:
        raise ValueError(f"'{value}' is no good; want a number, at most 0xffffffff")
    return value


# Settings become key=value words on the kernel's module line.
SETTINGS = {
    "memory": _memory,
    "cpus": lambda v: _number(v, 1, CPUS_MAX, "a number of virtual CPUs"),
    "boot": lambda v: _one_of(v, BOOT_PROTOCOLS),
    "load": _address,
    "entry": _address,
    "pin": _pin,
    "weight": lambda v: _number(v, 1, WEIGHT_MAX, "a weight"),
    "cap": _cap,
    "autostart": lambda v: _one_of(v, ("yes", "no")),
    "depends": _depends,
    "on-crash": lambda v: _one_of(v, ON_CRASH),
    "com2": lambda v: _one_of(v, ("none", "log")),
    "console": lambda v: _one_of(v, ("serial", "vga")),
    "restarts": lambda v: _number(v, 1, RESTARTS_MAX, "restarts a minute"),
    "timeout": lambda v: _number(v, 1, TIMEOUT_MAX, "seconds without progress"),
    "limit": lambda v: _number(v, 1, TIMEOUT_MAX, "seconds"),
    "track-writes": lambda v: _one_of(v, ("yes", "no")),
    "tsc-mhz": lambda v: _number(v, 1, TSC_MHZ_MAX, "MHz"),
    "expect": _expect,
    "pass-code": _pass_code,
    "on-end": lambda v: _one_of(v, ON_END),
}
VM_KEYS = ("kernel", "firmware", "vgabios", "initrd", "module", "disk", "cdrom", "symbols", "cmdline",
           *SETTINGS)
REPEATABLE = ("module", "disk", "cdrom")
SOCLE_KEYS = ("title", "args")


class _Reader(ini.Reader):
    name = NAME
    name_rule = NAME_RULE
    what = "VM"

    def value(self, value):
        base = self.path.parent
        try:
            if not value and self.key not in ("cmdline", "args"):
                raise ValueError("has no value")
            _text(value)
            if self.key in SETTINGS:
                return SETTINGS[self.key](value)
            if self.key in ("kernel", "firmware", "vgabios", "initrd", "disk", "cdrom", "symbols"):
                return _file(value, base)
            if self.key == "module":
                name, _, args = value.partition(" ")
                return _file(name, base), args.strip()
        except ValueError as error:
            raise self.bad(error) from None
        return value

    def at(self, section, key):
        """Where the key stands, for a complaint after all keys were read."""
        self.key = key
        self.line = next(line for line, found, _ in section if found == key)

    def check_cap(self, section, settings):
        most = 100 * int(settings.get("cpus", "1"))
        if int(settings.get("cap", "1").rstrip("%")) > most:
            self.at(section, "cap")
            raise self.bad(f"'{settings['cap']}' is more than its CPUs can use; want {most}% or "
                           "less")

    def check_drives(self, section):
        drives = [(line, key) for line, key, _ in section if key in ("disk", "cdrom")]
        if len(drives) > DRIVES_MAX:
            self.line, self.key = drives[DRIVES_MAX]
            raise self.bad(f"is one drive too many; want {DRIVES_MAX} or fewer, disks and CDs "
                           "together")

    def check_flat(self, section, settings):
        for key in ("load", "entry"):
            if key in settings and settings.get("boot") not in FLAT:
                self.at(section, key)
                raise self.bad(f"belongs to flat images; want boot = {', '.join(FLAT)}")

    def check_depends(self, sections, machines):
        """Each dependency is in the same entry of the menu, and none leads back to its VM."""
        depends = {machine.name: machine.modules[0].keys.get("depends") for machine in machines}
        for name, other in depends.items():
            if other is None:
                continue
            self.section = name
            self.at(sections[name][1], "depends")
            if other not in depends:
                raise self.bad(f"'{other}' is no VM of this description; want one of "
                               f"{', '.join(depends)}")
            circle = [name]
            while other not in (None, *circle):
                circle.append(other)
                other = depends.get(other)
            if other == name:
                raise self.bad(f"goes round in a circle: {' -> '.join([*circle, name])}")
        self.section = self.key = None

    def machine(self, name, line, section):
        keys = self.values(name, section, VM_KEYS, REPEATABLE)
        first = "firmware" if "firmware" in keys and "kernel" not in keys else "kernel"
        if first not in keys:
            self.line = line
            raise self.bad("has no kernel; want kernel = FILE")
        settings = {key: keys[key][0] for key in SETTINGS if key in keys}
        self.check_cap(section, settings)
        self.check_flat(section, settings)
        machine = Machine(name)
        machine.modules.append(
            Module(first, keys[first][0], keys.get("cmdline", [""])[0], settings))
        if "firmware" in keys and first == "kernel":
            machine.modules.append(Module("firmware", keys["firmware"][0]))
        if "vgabios" in keys:
            if "firmware" not in keys:
                self.at(section, "vgabios")
                raise self.bad("belongs to a firmware; want firmware = FILE as well")
            machine.modules.append(Module("vgabios", keys["vgabios"][0]))
        if "initrd" in keys:
            machine.modules.append(Module("initrd", keys["initrd"][0]))
        for path, args in keys.get("module", []):
            machine.modules.append(Module("module", path, args))
        for role in ("disk", "cdrom"):
            for path in keys.get(role, []):
                machine.modules.append(Module(role, path))
        if "symbols" in keys:
            machine.modules.append(Module("symbols", keys["symbols"][0]))
        self.check_drives(section)
        return machine


def read(path):
    """Reads one .vm file; raises ini.Bad."""
    path = Path(path)
    reader = _Reader(path)
    description = Description(path, path.stem)
    sections = reader.sections()
    for name, (line, section) in sections.items():
        if name == RESERVED:
            own = reader.values(name, section, SOCLE_KEYS)
            description.title = own.get("title", [description.title])[0]
            description.args = own.get("args", [""])[0]
        else:
            description.machines.append(reader.machine(name, line, section))
    if not description.machines:
        raise ini.Bad(f"{path}: describes no virtual machine; "
                      "want a section [name] with kernel = FILE")
    reader.check_depends(sections, description.machines)
    return description
