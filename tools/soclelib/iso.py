# SPDX-License-Identifier: MIT
"""Builds a hybrid GRUB ISO: CD or USB stick, BIOS or UEFI.

The steps of grub-mkrescue, with two differences: GRUB's modules are all inside its core image, since
each file that GRUB reads from a CD costs time, and nothing else of GRUB's is on the ISO.
"""
import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
import zlib
from pathlib import Path

GRUB_LIB = Path(os.environ.get("GRUB_LIB", "/usr/lib/grub"))
MODULES = ("biosdisk iso9660 part_msdos part_gpt normal multiboot multiboot2 serial terminal search "
           "search_fs_file configfile echo halt reboot test true sleep ls cat").split()
EFI_MODULES = [m for m in MODULES if m != "biosdisk"] + ["fat", "efi_gop"]
PROGRAMS = {"grub-mkimage": "grub-common", "xorriso": "xorriso", "mformat": "mtools",
            "mmd": "mtools", "mcopy": "mtools"}
# One moment for all time stamps: the same input gives the same ISO.
EPOCH = "1704067200"


class BadIso(Exception):
    """One line for the user."""


def require_programs():
    for program, package in PROGRAMS.items():
        if not shutil.which(program):
            raise BadIso(f"{program} is missing; want Debian's package {package} (make deps)")
    for platform, package in (("i386-pc", "grub-pc-bin"), ("x86_64-efi", "grub-efi-amd64-bin")):
        if not (GRUB_LIB / platform / "normal.mod").exists():
            raise BadIso(f"{GRUB_LIB / platform} is missing; want Debian's package {package} "
                         "(make deps)")


def grub_word(word):
    """Quotes one word for GRUB's script reader."""
    return "'" + word.replace("'", "'\\''") + "'"


def grub_words(text):
    """Quotes a command line, word for word, so that GRUB rejoins exactly this text.

    Between words GRUB puts one space each, so a run of spaces becomes empty words. Quotes and
    backslashes inside come out of GRUB with a backslash before them; Socle takes it away again.
    """
    return " ".join(grub_word(word) for word in text.split(" ")) if text else ""


def module_line(place, vm, module):
    """`module2 PATH ROLE VM key=value... -- command line`, quoted for GRUB."""
    words = [module.role, vm] + [f"{key}={value}" for key, value in module.keys.items()]
    if module.args:
        words.append("--")
    line = f"module2 {grub_word(place)} " + " ".join(grub_word(word) for word in words)
    return line + (" " + grub_words(module.args) if module.args else "")


class Disc:
    """The files of an ISO and its menu, before they are written."""

    modules = MODULES

    def __init__(self, timeout=0):
        self.timeout = timeout
        self.files = {}
        self.entries = []
        self.titles = []
        self.default = 0

    def place(self, path, folder="/vm"):
        """Gives a host file its path on the ISO; the same file is stored once."""
        path = path.resolve()
        for place, known in self.files.items():
            if known == path:
                return place
        safe = "".join(c if c.isalnum() or c in "._-+" else "_" for c in path.name)
        place, n = f"{folder}/{safe}", 1
        while place in self.files:
            n += 1
            place = f"{folder}/{n}-{safe}"
        self.files[place] = path
        return place

    def add_entry(self, title, lines):
        """Adds a menu entry of ready-made GRUB lines."""
        text = "".join(f"\t{line}\n" for line in lines)
        self.titles.append(title)
        self.entries.append(f"menuentry {grub_word(title)} {{\n{text}}}\n")

    def choose(self, title):
        """The entry that boots if nobody chooses another."""
        if title not in self.titles:
            raise BadIso(f"--entry: there is no '{title}'; want one of {', '.join(self.titles)}")
        self.default = self.titles.index(title)

    def menu(self):
        # A machine without a serial port keeps the screen and its keyboard.
        return (f"set timeout={self.timeout}\nset default={self.default}\n"
                "if serial --unit=0 --speed=115200; then\n"
                "\tterminal_input console serial\n\tterminal_output console serial\nfi\n"
                + "".join(self.entries))

    def write(self, out):
        """Writes the ISO to `out`, which appears only when it is whole."""
        require_programs()
        out = Path(out)
        if not out.parent.is_dir():
            raise BadIso(f"{out}: no such folder; want a path to write the ISO to")
        with tempfile.TemporaryDirectory(prefix=".mkiso-", dir=out.parent) as folder:
            work = Path(folder)
            self._write_parts(work)
            self._write_iso(work, work / "out.iso")
            os.replace(work / "out.iso", out)

    def _write_parts(self, work):
        menu = self.menu()
        (work / "grub.cfg").write_text(menu)
        # The core finds its own medium by a file that no other disk carries.
        mark = hashlib.sha256(menu.encode())
        for place, path in self.files.items():
            mark.update(f"{place}\0{path.stat().st_size}\0{path.stat().st_mtime_ns}\0".encode())
        self.mark = f"/.disk/socle-{mark.hexdigest()[:16]}"
        (work / "mark").write_text("")
        (work / "core.cfg").write_text(f"search --no-floppy --file --set=root {self.mark}\n"
                                       "set prefix=($root)/boot/grub\n")
        _grub_core(work, "i386-pc", "i386-pc-eltorito", "bios.img", self.modules)
        _grub_core(work, "x86_64-efi", "x86_64-efi", "BOOTX64.EFI", EFI_MODULES)
        _efi_partition(work)

    def _write_iso(self, work, out):
        graft = {"/boot/grub/grub.cfg": work / "grub.cfg", "/boot/grub/bios.img": work / "bios.img",
                 "/efi.img": work / "efi.img", "/EFI/BOOT/BOOTX64.EFI": work / "BOOTX64.EFI",
                 self.mark: work / "mark", **self.files}
        _call("xorriso", "-as", "mkisofs", "-quiet", "-graft-points", "-r", "-V", "SOCLE",
              "-b", "boot/grub/bios.img", "-no-emul-boot", "-boot-load-size", "4",
              "-boot-info-table", "--grub2-boot-info",
              "--grub2-mbr", GRUB_LIB / "i386-pc" / "boot_hybrid.img",
              "--efi-boot", "efi.img", "-efi-boot-part", "--efi-boot-image",
              "--protective-msdos-label", "--set_all_file_dates", f"={EPOCH}", "-o", out,
              *(f"{_graft(place)}={_graft(str(path))}" for place, path in graft.items()))


class Image(Disc):
    """Socle and the virtual machines that it shall run."""

    def __init__(self, socle, args="", timeout=3):
        super().__init__(timeout)
        self.args = args
        self.socle = self.place(Path(socle), "/boot")
        # Names for its backtraces, where they lie beside it.
        names = Path(socle).with_suffix(".symbols")
        self.names = ([f"module2 {grub_word(self.place(names, '/boot'))} socle-symbols"]
                      if names.is_file() else [])
        self.unpacked = {}
        self.folder = tempfile.TemporaryDirectory(prefix="mkiso-")

    def unpack(self, path):
        """A kernel as GRUB would hand it over: Debian has Xen, and others theirs, packed by gzip."""
        path = path.resolve()
        with open(path, "rb") as file:
            if file.read(2) != b"\x1f\x8b":
                return path
        if path not in self.unpacked:
            copy = Path(self.folder.name) / str(len(self.unpacked)) / path.name.removesuffix(".gz")
            copy.parent.mkdir()
            try:
                copy.write_bytes(gzip.decompress(path.read_bytes()))
            except (EOFError, OSError, zlib.error) as error:
                raise BadIso(f"{path}: cannot be unpacked: {error}") from None
            self.unpacked[path] = copy
        return self.unpacked[path]

    def inputs(self):
        """The host files that go in, those that were unpacked by their own names."""
        own = {copy: path for path, copy in self.unpacked.items()}
        return [own.get(path, path) for path in self.files.values()]

    def add(self, description):
        """Adds a description as a menu entry."""
        lines = [module_line(self.place(self.unpack(module.path) if module.role == "kernel"
                                        else module.path), machine.name, module)
                 for machine in description.machines for module in machine.modules]
        self.add_raw(description.title, description.args, lines)

    def add_raw(self, title, args, lines):
        """Adds a menu entry of ready-made `module2` lines."""
        words = grub_words(" ".join(part for part in (self.args, args) if part))
        self.add_entry(title, [f"multiboot2 {grub_word(self.socle)} {words}".rstrip(), *self.names, *lines])


def _graft(path):
    return path.replace("\\", "\\\\").replace("=", "\\=")


def _grub_core(work, platform, target, name, modules):
    _call("grub-mkimage", "-d", GRUB_LIB / platform, "-O", target, "-o", work / name,
          "-p", "/boot/grub", "-c", work / "core.cfg", *modules)


def _efi_partition(work):
    """The FAT image that firmware reads the EFI loader from."""
    image = work / "efi.img"
    kib = ((work / "BOOTX64.EFI").stat().st_size // 1024 + 200 + 31) & ~31
    _call("mformat", "-C", "-f", "2880", "-N", "50434C45", "-i", image, "::") if kib <= 2880 else \
        _call("mformat", "-C", "-T", str(kib * 2), "-h", "2", "-s", "18", "-i", image, "::")
    _call("mmd", "-i", image, "::/EFI", "::/EFI/BOOT")
    _call("mcopy", "-i", image, work / "BOOTX64.EFI", "::/EFI/BOOT/BOOTX64.EFI")


def _call(*words):
    env = dict(os.environ, SOURCE_DATE_EPOCH=EPOCH, LC_ALL="C", MTOOLS_SKIP_CHECK="1")
    done = subprocess.run([str(word) for word in words], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        last = done.stdout.strip().splitlines()[-1:] or ["no message"]
        raise BadIso(f"{words[0]} failed (status {done.returncode}): {last[0]}")
