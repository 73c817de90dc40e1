# SPDX-License-Identifier: MIT
"""Makes the disc that Bochs boots to run an ISO in QEMU/KVM: GRUB, Debian's Linux, an initramfs.

The initramfs holds BusyBox, KVM's modules, this machine's own QEMU with its libraries and firmware,
and the ISO. The kernel and its modules are downloaded once, into build/debian/kvm.
"""
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from soclelib import cpio, iso

TREE = Path(__file__).resolve().parents[2]
KERNEL = TREE / "build" / "debian" / "kvm" / "vmlinuz"
# Half as long in starting as the stock one: it is smaller, and packed by LZ4.
PACKAGE = "linux-image-cloud-amd64"
MODULES = ("irqbypass", "kvm", "kvm-intel")
# Asked for by QEMU's q35 machine with -nodefaults -vga std.
FIRMWARE = ("bios-256k.bin", "vgabios-stdvga.bin", "kvmvapic.bin")
INNER_ISO = "/test.iso"
# Where QEMU writes a picture of its screen: Bochs' COM4.
PICTURE = "/dev/ttyS3"
# Quick to boot in an emulator that is slow at everything, and silent on the serial line but for its
# own death. Of several CPUs Bochs 2.7 sometimes leaves one in MWAIT whose line another has written to:
# no longer armed, and asleep until its next timer, while the other waits for it. So they halt.
CMDLINE = ("console=ttyS0 quiet loglevel=1 nokaslr mitigations=off tsc=reliable nowatchdog idle=halt "
           "panic=-1")
PANIC = re.compile(rb"Kernel panic - not syncing: [^\r\n]*")
SAID = re.compile(rb"^nested: ([^\r\n]*)", re.MULTILINE)
# Linux' word when it kills what takes most memory, and how much of it that has.
NO_MEMORY = re.compile(r"Linux says: .*[Oo]ut of memory: Killed process .*\banon-rss:(\d+)kB")
STARTS = b"nested: QEMU starts"
# What is said on the way, and who was at work if it has not been said.
STAGES = (
    (b"Booting `nested'", "it was in Bochs' BIOS or the GRUB that boots Linux"),
    (b"nested: Linux ", "Linux in Bochs had not come to its first process"),
    (STARTS, "Linux in Bochs had not come to start QEMU"),
    (b"socle: ", "QEMU had started, Socle had not: it was in KVM, QEMU, its firmware or GRUB"),
)


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


def why(log):
    """Which of the machines in each other it was that did not go on, by what came on the serial line."""
    linux = log.partition(STARTS)[0]
    panic = PANIC.search(linux)
    if panic:
        return f"Linux in Bochs: {panic[0].decode(errors='replace')}"
    said = [line.decode(errors="replace") for line in SAID.findall(log)]
    troubles = [line for line in said
                if line.startswith(("QEMU says", "Linux says", "QEMU ended")) or ".ko does not" in line]
    killed = NO_MEMORY.search("\n".join(troubles))
    if killed:
        return (f"Linux in Bochs ran out of memory and killed QEMU, which had {int(killed[1]) // 1024} "
                "MiB of it; want less --memory, or a smaller ISO")
    if troubles:
        return "; ".join(troubles)
    return next((where for mark, where in STAGES if mark not in log), "it was in Socle")


def write(out, files, qemu):
    """Writes the disc: `files` (of its path, a file of ours) are there for the command line `qemu`."""
    initramfs = out.with_suffix(".cpio")
    initramfs.write_bytes(_initramfs(files, qemu))
    disc = _Disc()
    kernel, initrd = disc.place(KERNEL, "/boot"), disc.place(initramfs, "/boot")
    disc.add_entry("nested", [f"linux {iso.grub_word(kernel)} {iso.grub_words(CMDLINE)}",
                              f"initrd {iso.grub_word(initrd)}"])
    disc.write(out)
    initramfs.unlink()


class _Disc(iso.Disc):
    modules = [*iso.MODULES, "linux"]


def _initramfs(files, qemu):
    files = {"init": TREE / "tools" / "nested" / "init", "bin/busybox": shutil.which("busybox"),
             **files, **{path.name: path for path in _modules()}}
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
