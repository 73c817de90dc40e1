# SPDX-License-Identifier: MIT
"""Makes the disc that Bochs boots to run an ISO in QEMU/KVM: GRUB, Debian's Linux, an initramfs.

The initramfs holds BusyBox, KVM's modules, this machine's own QEMU with its libraries and firmware,
and the ISO. The kernel and its modules are downloaded once, into build/debian/nested.
"""
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from soclelib import cpio, iso

TREE = Path(__file__).resolve().parents[2]
KERNEL = TREE / "build" / "debian" / "nested" / "vmlinuz"
PACKAGE = "linux-image-amd64"
MODULES = ("irqbypass", "kvm", "kvm-intel")
# Asked for by QEMU's q35 machine with -nodefaults -vga std.
FIRMWARE = ("bios-256k.bin", "vgabios-stdvga.bin", "kvmvapic.bin")
INNER_ISO = "/test.iso"
# Quick to boot in an emulator that is slow at everything, and silent on the serial line.
CMDLINE = ("console=ttyS0 quiet loglevel=0 nokaslr mitigations=off tsc=reliable nowatchdog "
           "panic=-1")


class Missing(Exception):
    """One line for the user: what the disc cannot be made without."""


def require():
    """Raises Missing unless all parts are here; downloads the kernel if it is not."""
    for program, package in (("qemu-system-x86_64", "qemu-system-x86"),
                             ("busybox", "busybox-static")):
        if not shutil.which(program):
            raise Missing(f"{program} is missing; want Debian's package {package} (make deps)")
    if all(path.exists() for path in (KERNEL, *_modules())):
        return
    KERNEL.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([TREE / "guests" / "linux" / "fetch", PACKAGE, KERNEL, *MODULES],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Missing((done.stdout.strip().splitlines() or ["no message"])[-1])


def _modules():
    return [KERNEL.parent / f"{name}.ko" for name in MODULES]


def write(out, medium, qemu):
    """Writes the disc: `medium` is the ISO to run, at INNER_ISO for the command line `qemu`."""
    initramfs = out.with_suffix(".cpio")
    initramfs.write_bytes(_initramfs(medium, qemu))
    disc = _Disc()
    kernel, initrd = disc.place(KERNEL, "/boot"), disc.place(initramfs, "/boot")
    disc.add_entry("nested", [f"linux {iso.grub_word(kernel)} {iso.grub_words(CMDLINE)}",
                              f"initrd {iso.grub_word(initrd)}"])
    disc.write(out)
    initramfs.unlink()


class _Disc(iso.Disc):
    modules = [*iso.MODULES, "linux"]


def _initramfs(medium, qemu):
    files = {"init": TREE / "tools" / "nested" / "init", "bin/busybox": shutil.which("busybox"),
             INNER_ISO: medium, **{path.name: path for path in _modules()}}
    program = shutil.which("qemu-system-x86_64")
    for path in (program, *libraries(program), *_firmware(program)):
        files[str(path)] = path
    archive = cpio.Archive()
    folders = {"/bin", "/dev", "/proc", "/sys", "/tmp"}
    for name in files:
        folders.update(str(parent) for parent in Path("/", name).parents)
    for folder in sorted(folders - {"/"}):
        archive.add(folder.lstrip("/"), cpio.DIRECTORY)
    archive.add("dev/console", cpio.NODE, device=(5, 1))
    archive.add("qemu", cpio.FILE, f"exec {shlex.join([program, *qemu[1:]])}\n".encode())
    for name, path in files.items():
        archive.add(name.lstrip("/"), cpio.FILE, Path(path).read_bytes())
    return archive.end()


def libraries(program):
    """What the dynamic linker loads for a program, itself included."""
    done = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True)
    return re.findall(r"(/\S+) \(0x", done.stdout)


def _firmware(program):
    done = subprocess.run([program, "-L", "help"], stdout=subprocess.PIPE, text=True, check=True)
    folders = [Path(line).resolve() for line in done.stdout.splitlines()]
    for name in FIRMWARE:
        found = [folder / name for folder in folders if (folder / name).exists()]
        if not found:
            raise Missing(f"QEMU's {name} is missing; want Debian's package seabios (make deps)")
        yield found[0]
