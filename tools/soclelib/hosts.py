# SPDX-License-Identifier: MIT
"""Where the bench runs: bare in Bochs, under Socle in Bochs, under QEMU/KVM in Bochs."""
import argparse
import shutil
import subprocess
from pathlib import Path

from soclelib import console, iso, machine, nested

TREE = Path(__file__).resolve().parents[2]
BUILD = TREE / "build"
FOLDER = BUILD / "bench"
GUEST = BUILD / "guests" / "bench64.elf"
SOCLE_ARGS = "at-end=poweroff"
MEMORY = 96  # MiB of the guest: 64 are touched for the first time
ENDED = r"^1\.\.\d+\r?$"
# QEMU's own, for a kernel by the Multiboot protocol or Linux'.
KERNEL_ROMS = ("multiboot_dma.bin", "linuxboot_dma.bin")


class Failed(Exception):
    """One line for the user: which host did not come to its end."""


def _options(image, **others):
    return argparse.Namespace(**{
        "iso": image, "cpu": None, "cpus": 1, "uefi": False, "boot_as": "cd", "quiet": True,
        "interactive": False, "screenshot": None, "screenshot_at": None, "until": None, "linger": 0,
        "answers": [], **others})


def run(kind, name, image, want=console.PASSED, carry=None, **others):
    """Runs an image until it ends with the status `want`; returns the machine, with its serial `log`.

    `carry(machine)` sits at the serial line instead of nobody: it returns the log.
    """
    log = FOLDER / f"{name}.log"
    box = kind(_options(image, log=str(log), **others))
    link = console.Console(box, box.options)
    try:
        box.start()
        status, end = (want, "") if carry else link.run()
        box.log = (carry(box) if carry else bytes(link.log)).decode(errors="replace")
    except (machine.CannotRun, machine.MachineError) as error:
        raise Failed(f"{name}: {error}") from None
    finally:
        box.stop()
    if status != want:
        raise Failed(f"{name}: {end} (log: {log.relative_to(TREE)})")
    return box


def disc(name, entry, made=None):
    """A disc of GRUB, and of Socle if `made` is such a one, with what `entry(disc)` puts on it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    out, made = FOLDER / f"{name}.iso", made or _Plain()
    entry(made)
    made.write(out)
    return out


class _Plain(iso.Disc):
    modules = [*iso.MODULES, "linux"]


def run_socle(name, modules, kind=machine.Bochs, args=SOCLE_ARGS, memory=1024, timeout=120,
              **others):
    """Socle with one VM, `bench`: `modules` are (file, role, words). Returns the machine."""
    def entry(made):
        made.add_raw(name, "", [f"module2 {iso.grub_word(made.place(path))} {role} bench "
                                f"{iso.grub_words(words)}".rstrip() for path, role, words in modules])
    image = disc(f"socle-{name}", entry, iso.Image(BUILD / "socle.elf", args, 0))
    return run(kind, f"socle-{name}", image, memory=memory, timeout=timeout, **others)


def bench_socle(words):
    return run_socle("bench", [(GUEST, "kernel", f"memory={MEMORY}M -- {words}".strip())]).log


def bench_bare(words):
    def entry(made):
        made.add_entry("bench", [f"multiboot {iso.grub_word(made.place(GUEST))} bench "
                                 f"{iso.grub_words(words)}"])
    return run(machine.Bochs, "bare-bench", disc("bare-bench", entry), console.SEEN, memory=512,
                timeout=120, until=ENDED).log


def _roms():
    done = subprocess.run([shutil.which("qemu-system-x86_64"), "-L", "help"],
                          stdout=subprocess.PIPE, text=True, check=True)
    folders = [Path(line).resolve() for line in done.stdout.splitlines()]
    for name in KERNEL_ROMS:
        yield from [folder / name for folder in folders if (folder / name).exists()][:1]


class Kvm(machine.Nested):
    """QEMU/KVM with a kernel of ours in the place of the ISO."""

    kernel, initrd, words = None, None, ""

    def files(self):
        files = {"/guest": self.kernel, **{str(path): path for path in _roms()}}
        return {**files, "/initrd": self.initrd} if self.initrd else files

    def qemu(self):
        return ["qemu-system-x86_64", "-machine", "q35,accel=kvm", "-cpu", "host",
                "-m", str(self.options.memory), "-nodefaults", "-display", "none", "-no-reboot",
                "-kernel", "/guest", "-append", self.words,
                *(["-initrd", "/initrd"] if self.initrd else []),
                "-chardev", "pipe,id=com1,path=/com1", "-serial", "chardev:com1",
                "-chardev", "pipe,id=qmp,path=/qmp", "-mon", "chardev=qmp,mode=control"]


def run_kvm(name, kernel, words, memory, until, initrd=None, kind=Kvm):
    """A kernel by QEMU's own loader under KVM, until the log matches. Returns the machine."""
    try:
        nested.require()
    except nested.Missing as error:
        raise Failed(f"{name}: {error}") from None
    FOLDER.mkdir(parents=True, exist_ok=True)
    kind = type("Given", (kind,), {"kernel": kernel, "initrd": initrd, "words": words})
    # There is no ISO, but the kernel.
    return run(kind, name, kernel, console.SEEN, memory=memory, timeout=1500, until=until)


def bench_kvm(words):
    return run_kvm("kvm-bench", GUEST, words, MEMORY, ENDED).log


# In the order in which they run; a round costs ten times more in KVM's guest.
BENCHES = {"socle": (bench_socle, "rounds=1000"), "bare": (bench_bare, "rounds=1000"),
           "kvm": (bench_kvm, "rounds=100")}
