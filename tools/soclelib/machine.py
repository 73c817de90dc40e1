# SPDX-License-Identifier: MIT
"""The machines that an ISO can run on: how each is started, and whether it can be, here.

A machine is a child process whose first serial port connects to a socket of ours (the machine is the
client, so no port number is ever guessed), with a folder of its own for its files.
"""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from soclelib import iso, nested, png
from soclelib.qmp import MachineError, Monitor

BOCHS_SHARE = Path("/usr/share/bochs")
VGA_ROM = Path("/usr/share/vgabios/vgabios.bin")
OVMF_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_VARS = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
CONNECT_SECONDS = 60
# Bochs as Debian builds it has no more.
BOCHS_MIB = 2048
# Around QEMU: Linux, and an initramfs of some 70 MiB and a small ISO, twice while it is unpacked.
LINUX_MIB = 512
# A QEMU in Bochs takes its time.
MONITOR_SECONDS, NESTED_MONITOR_SECONDS = 30, 300
# MSR, type, reset value, reserved bits, bits that a write does not change (high and low halves each):
# IA32_BIOS_SIGN_ID has a revision of microcode that Linux trusts to have a right TSC-deadline timer.
# Without that timer Linux takes Bochs' local APIC for a hundred times slower than it is, and drowns
# in interrupts that come too early.
MICROCODE = "0x8b 0 7fffffff 00000000 00000000 00000000 ffffffff ffffffff\n"
# Bochs ends by a panic when its guest switches it off, too.
BOCHS_OFF = ("soft power off", "shutdown requested")
PR_SET_PDEATHSIG = 1


class CannotRun(Exception):
    """One line for the user: why this machine cannot be had."""


def has_vmx():
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return any(line.startswith("flags") and " vmx" in line for line in flags.splitlines())


def kvm_refusal():
    """Why KVM cannot run Socle here; None if it can."""
    if not has_vmx():
        return "this machine's CPU offers no VT-x (no vmx in /proc/cpuinfo)"
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as error:
        return f"/dev/kvm does not open ({error.strerror})"
    if not shutil.which("qemu-system-x86_64"):
        return "qemu-system-x86_64 is missing (make deps)"
    return None


def nested_refusal():
    """Why QEMU/KVM inside Bochs cannot be had here; None if it can. May download its Linux."""
    try:
        nested.require()
    except nested.Missing as error:
        return str(error)
    return None


def choose(wanted):
    """(platform, reason) for --on WANTED; raises CannotRun."""
    refusal = kvm_refusal()
    if wanted == "kvm" and refusal:
        raise CannotRun(f"kvm: {refusal}; want --on bochs")
    if wanted != "auto":
        return wanted, "asked for"
    if refusal:
        return "bochs", refusal
    return "kvm", "this machine has VT-x and /dev/kvm"


def _dies_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Machine:
    """A started machine: `serial` is a connected socket, `process` the emulator."""

    def __init__(self, options):
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="socle-run-"))
        self.listener = self.process = self.serial = None

    def start(self):
        argv = self.prepare()
        self.output = open(self.folder / "output", "w+b")
        # A session of its own: the terminal's Ctrl-C is ours to handle.
        self.process = subprocess.Popen(
            argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self.output,
            stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_dies_with_parent)
        self.serial = self.accept(self.listener)

    def accept(self, listener):
        listener.settimeout(0.2)
        end = time.monotonic() + CONNECT_SECONDS
        while time.monotonic() < end:
            try:
                connection, _ = listener.accept()
                listener.close()
                connection.setblocking(False)
                return connection
            except socket.timeout:
                if self.process.poll() is not None:
                    raise CannotRun(f"{self.name} did not start: {self.complaint()}") from None
        raise CannotRun(f"{self.name} did not open its serial port in {CONNECT_SECONDS} s")

    def complaint(self):
        """The last thing that the emulator said, for an error line."""
        lines = [line for line in (self.folder / "output").read_text(errors="replace").splitlines()
                 if line.strip()]
        return lines[-1].strip() if lines else f"status {self.process.returncode}, no message"

    def order(self, command):
        raise MachineError(f"{self.name} has no monitor for {command!r}; want --on tcg or --on kvm")

    def trouble(self):
        """What went wrong with the machine while it ran (polled); None if nothing did."""
        return None

    def why(self, said, _log):
        """`said` is how it ended; with what is known of who did not go on."""
        return said

    def stop(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        for each in (self.serial, self.listener):
            if each:
                each.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _listen_tcp():
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    return listener


def _listen_unix(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1)
    return listener


class Bochs(Machine):
    name = "Bochs"
    cpu = "corei7_skylake_x"
    describes = "emulated, VT-x included"
    looked_at = 0  # bytes of Bochs' own log
    resets = 0
    found = None

    def prepare(self):
        if not shutil.which("bochs"):
            raise CannotRun("bochs is missing; want Debian's packages bochs, bochs-term, bochsbios, "
                            "vgabios (make deps)")
        if self.memory() > BOCHS_MIB:
            most = self.options.memory + BOCHS_MIB - self.memory()
            raise CannotRun(f"{self.name} has no {self.options.memory} MiB for Socle; want "
                            f"--memory {most} or less")
        self.listener = _listen_tcp()
        (self.folder / "bochsrc").write_text(self.configuration())
        # Debian's Bochs has its debugger built in and stops at a prompt: c continues.
        (self.folder / "start").write_text("c\n")
        return ["bochs", "-q", "-f", "bochsrc", "-rc", "start"]

    def memory(self):
        return self.options.memory

    def cpus(self):
        return self.options.cpus

    def clock(self):
        # Without a person at the console an idle machine may hurry on.
        return "slowdown" if self.options.interactive else "none"

    def medium(self):
        """(the file to boot from, whether it is a disk)."""
        return self.options.iso, self.options.boot_as == "disk"

    def msrs(self):
        return ""

    def ports(self):
        return [f"com1: enabled=1, mode=socket-client, dev=localhost:{self.listener.getsockname()[1]}"]

    def configuration(self):
        o = self.options
        quiet = "".join(f", cpu{number}=ignore" for number in range(self.cpus()))
        path, is_disk = self.medium()
        disk = (f"type=disk, mode=volatile, path={path}" if is_disk
                else f"type=cdrom, path={path}, status=inserted")
        return "\n".join([
            "display_library: rfb, options=\"timeout=0\"",
            "plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, serial=1",
            f"romimage: file={BOCHS_SHARE}/BIOS-bochs-latest",
            f"vgaromimage: file={VGA_ROM}",
            f"memory: guest={self.memory()}, host={self.memory()}",
            f"cpu: model={o.cpu or self.cpu}, count={self.cpus()}, ips=100000000, ignore_bad_msrs=1, "
            f"reset_on_triple_fault=0{self.msrs()}",
            f"clock: sync={self.clock()}",
            f"ata0-master: {disk}",
            f"boot: {'disk' if is_disk else 'cdrom'}",
            *self.ports(),
            # Of its CPUs Bochs tells each virtual interrupt and each unknown MSR: gigabytes, which
            # take half of its time.
            "log: bochs.log", "panic: action=fatal", f"error: action=report{quiet}",
            f"info: action=report{quiet}", "debug: action=ignore", ""])

    def complaint(self):
        return self.trouble() or super().complaint()

    def trouble(self):
        """Looks at what the log has had since the last look."""
        try:
            with open(self.folder / "bochs.log", "rb") as log:
                log.seek(self.looked_at)
                new = log.read()
        except OSError:
            return None
        # What ends in the middle of a line is looked at with the rest of it.
        new = new[:new.rfind(b"\n") + 1]
        self.looked_at += len(new)
        new = new.decode(errors="replace")
        panics = [line for line in new.splitlines()
                  if "p[" in line[:20] and not any(off in line.lower() for off in BOCHS_OFF)]
        self.resets += new.count("Reset(HARDWARE)")
        if panics:
            self.found = self.found or panics[0].strip()
        elif self.resets > 1:
            self.found = self.found or "the machine was reset"
        return self.found


def qemu_command(options, medium, accelerator, cpu):
    """The machine itself, without its serial line and control."""
    drive = (["-drive", f"file={_comma(medium)},format=raw,if=ide,snapshot=on"]
             if options.boot_as == "disk" else ["-cdrom", str(medium)])
    return ["qemu-system-x86_64", "-machine", f"q35,accel={accelerator}", "-cpu", cpu,
            "-smp", str(options.cpus), "-m", str(options.memory),
            "-nodefaults", "-display", "none", "-vga", "std", "-no-reboot",
            *(["-action", "shutdown=pause"] if options.screenshot else []), *drive]


def uefi(options, code, variables=None):
    """QEMU's words for UEFI firmware; none without. Without `variables` OVMF has them in RAM."""
    if not options.uefi:
        return []
    if not OVMF_CODE.exists():
        raise CannotRun(f"{OVMF_CODE} is missing; want Debian's package ovmf (make deps)")
    return [word for unit, file in enumerate((f"{code},readonly=on", variables)) if file
            for word in ("-drive", f"if=pflash,format=raw,unit={unit},file={file}")]


class _Screen:
    """A machine whose screen QEMU has: `monitor` is QEMU's."""

    monitor, is_off = None, False

    def order(self, command):
        """A command for people, whose answer, if there is one, is a complaint."""
        answer = self.monitor.command("human-monitor-command", **{"command-line": command})
        if answer.strip():
            raise MachineError(f"QEMU: {command}: {answer.strip()}")

    def picture_when_off(self):
        """With a picture to take, QEMU stays when its guest switches itself off."""
        self.monitor.poll()
        # The event comes once more when QEMU quits.
        if "SHUTDOWN" in self.monitor.events and not self.is_off:
            self.is_off = True
            if not self.options.screenshot_at:
                self.screenshot()
            self.monitor.command("quit")

    def stop(self):
        if self.monitor:
            self.monitor.close()
        super().stop()


class Nested(_Screen, Bochs):
    """Bochs boots Linux, which boots the ISO in QEMU/KVM: the same serial line, one machine deeper."""

    name = "QEMU/KVM in Bochs"
    describes = "KVM's nested VT-x over an emulated one; Linux and QEMU take a minute or more first"

    def prepare(self):
        self.monitor_listener = _listen_tcp()
        try:
            nested.require()
            nested.write(self.folder / "nested.iso", self.files(), self.qemu())
        except (nested.Missing, iso.BadIso) as error:
            raise CannotRun(f"nested: {error}") from None
        return super().prepare()

    def files(self):
        firmware = {"/code.fd": OVMF_CODE} if self.options.uefi else {}
        return {nested.INNER_ISO: self.options.iso, **firmware}

    def qemu(self):
        return [*qemu_command(self.options, nested.INNER_ISO, "kvm", "host"),
                "-chardev", "pipe,id=com1,path=/com1", "-serial", "chardev:com1",
                "-chardev", "pipe,id=qmp,path=/qmp", "-mon", "chardev=qmp,mode=control",
                # Each byte that OVMF writes to its flash takes KVM's page tables down and up again.
                *uefi(self.options, "/code.fd")]

    def msrs(self):
        (self.folder / "msrs").write_text(MICROCODE)
        return ", msrs=msrs"

    def ports(self):
        monitor = self.monitor_listener.getsockname()[1]
        return [*super().ports(), f"com2: enabled=1, mode=socket-client, dev=localhost:{monitor}",
                "com4: enabled=1, mode=file, dev=picture"]

    def start(self):
        super().start()
        self.monitor = Monitor(self.accept(self.monitor_listener), NESTED_MONITOR_SECONDS)

    def memory(self):
        # A large ISO takes its size, in steps of 128 MiB.
        return self.options.memory + LINUX_MIB + (self.options.iso.stat().st_size >> 27 << 7)

    def clock(self):
        # At the wall's pace Linux would take many minutes to boot.
        return "none"

    def medium(self):
        return self.folder / "nested.iso", False

    def screenshot(self):
        self.monitor.command("screendump", filename=nested.PICTURE, format="png")
        data = (self.folder / "picture").read_bytes()
        path = Path(self.options.screenshot)
        try:
            path.write_bytes(data if path.suffix == ".png" else png.to_ppm(data))
        except png.BadPng as error:
            raise MachineError(f"QEMU's screen, by Bochs' serial line: {error}") from None

    def trouble(self):
        found = super().trouble()
        if self.options.screenshot and not found and self.process.poll() is None:
            self.picture_when_off()
        return found

    def why(self, said, log):
        return f"{said}; {nested.why(bytes(log))}"


class Qemu(_Screen, Machine):
    name = "QEMU"
    accelerator, cpu, describes = "tcg", "max", "emulated, without VT-x"

    def prepare(self):
        if not shutil.which("qemu-system-x86_64"):
            raise CannotRun("qemu-system-x86_64 is missing; want Debian's package qemu-system-x86 "
                            "(make deps)")
        o = self.options
        self.listener = _listen_unix(self.folder / "com1")
        self.monitor_listener = _listen_unix(self.folder / "qmp")
        command = [*qemu_command(o, o.iso, self.accelerator, o.cpu or self.cpu),
                   "-chardev", "socket,id=com1,path=com1", "-serial", "chardev:com1",
                   "-chardev", "socket,id=qmp,path=qmp", "-mon", "chardev=qmp,mode=control",
                   *uefi(o, OVMF_CODE, "vars.fd")]
        if o.uefi:
            shutil.copy(OVMF_VARS, self.folder / "vars.fd")
        return command

    def start(self):
        super().start()
        self.monitor = Monitor(self.accept(self.monitor_listener), MONITOR_SECONDS)

    def screenshot(self):
        path = Path(self.options.screenshot).absolute()
        form = {"format": "png"} if path.suffix == ".png" else {}
        self.monitor.command("screendump", filename=str(path), **form)

    def trouble(self):
        if self.options.screenshot and self.process.poll() is None:
            self.picture_when_off()
        return None


class Kvm(Qemu):
    accelerator, cpu, describes = "kvm", "host", "this machine's own VT-x"


def _comma(path):
    return str(path).replace(",", ",,")


PLATFORMS = {"bochs": Bochs, "kvm": Kvm, "nested": Nested, "tcg": Qemu}
