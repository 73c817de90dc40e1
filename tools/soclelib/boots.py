# SPDX-License-Identifier: MIT
"""Debian's kernel to its /init on the three hosts: ticks, and exits by reason.

Ticks from power-on to the first instruction of what GRUB starts are Bochs' own, at a breakpoint.
"""
import json
import re
import select
import struct
import time

from soclelib import console, hosts, iso, machine, report

INIT = re.compile(r"/init runs at tick (\d+)\r?\n")
ENTRY = re.compile(r"first entry after (\d+) k ticks")
BREAK = re.compile(r"^Next at t=(\d+)", re.MULTILINE)
VERDICT = b"socle: verdict bench "
INITRD = hosts.BUILD / "guests" / "linux" / "initrd.cpio"
# That of the reference figures, and one that boots in a quarter of the time.
KERNELS = {"stock": hosts.BUILD / "debian" / "vmlinuz-stock",
           "cloud": hosts.BUILD / "debian" / "vmlinuz"}
WORDS = "quiet nokaslr mitigations=off tsc=reliable console=ttyS0"
MEMORY = 256
# Where GRUB puts a bzImage that prefers it: its 32-bit entry.
LINUX_ENTRY = 0x1000000
SAMPLE_SECONDS = 0.1
TIMEOUT = 900


class _Breaking(machine.Bochs):
    """Bochs with a breakpoint: `broke_at` is the tick when it was reached first."""

    address = 0
    broke_at = None

    def prepare(self):
        argv = super().prepare()
        (self.folder / "start").write_text(f"pb {self.address:#x}\nc\nd 1\nc\n")
        return argv

    def stop(self):
        said = (self.folder / "output").read_text(errors="replace")
        found = BREAK.findall(said)
        # The first one is Bochs' own, at the reset vector.
        self.broke_at = int(found[1]) if len(found) > 1 else None
        super().stop()


def _breaking(address):
    return type("Breaking", (_Breaking,), {"address": address})


def _number(regex, log, host):
    match = regex.search(log)
    if not match:
        raise hosts.Failed(f"{host}: the log has no '{regex.pattern}'")
    return int(match[1])


def _checked(box, host):
    if box.broke_at is None:
        raise hosts.Failed(f"{host}: the breakpoint at what GRUB starts was not reached")
    return box.broke_at


def _socle_entry():
    header = (hosts.BUILD / "socle.elf").read_bytes()[:32]
    return struct.unpack_from("<Q", header, 24)[0]


def objects(log):
    """JSON objects on lines of their own."""
    found = []
    for line in log.replace("\r", "\n").split("\n"):
        line = line[line.find("{"):] if "{" in line else ""
        try:
            found.append(json.loads(line))
        except ValueError:
            pass
    return [each for each in found if isinstance(each, dict)]


def _modules(kernel):
    return [(KERNELS[kernel], "kernel", f"memory={MEMORY}M -- {WORDS} -- run true"),
            (INITRD, "initrd", "")]


def boot_bare(kernel):
    def entry(made):
        made.add_entry("boot", [f"linux {iso.grub_word(made.place(KERNELS[kernel]))} "
                                f"{iso.grub_words(WORDS)}",
                                f"initrd {iso.grub_word(made.place(INITRD))}"])
    box = hosts.run(_breaking(LINUX_ENTRY), "bare-boot", hosts.disc("bare-boot", entry), console.SEEN,
                    memory=MEMORY, timeout=TIMEOUT, until=INIT.pattern)
    start, init = _checked(box, "bare"), _number(INIT, box.log, "bare")
    return {"power-on-to-kernel": start, "kernel-to-init": init - start, "power-on-to-init": init}, {}


def boot_socle(kernel):
    box = hosts.run_socle("boot", _modules(kernel), _breaking(_socle_entry()), timeout=TIMEOUT)
    start = _checked(box, "socle") + 1000 * _number(ENTRY, box.log, "socle")
    init = _number(INIT, box.log, "socle")
    exits = report.Log(box.log.encode()).machine("bench").exits
    return {"power-on-to-kernel": start, "kernel-to-init": init, "power-on-to-init": start + init}, exits


class _Counting(hosts.Kvm):
    """Asks QEMU for KVM's counters before the end."""

    counters = ()

    def stop(self):
        try:
            if self.monitor:
                self.counters = self.monitor.command("query-stats", target="vcpu")
        except machine.MachineError:
            pass
        super().stop()


def boot_kvm(kernel):
    box = hosts.run_kvm("kvm-boot", KERNELS[kernel], WORDS, MEMORY, INIT.pattern, INITRD,
                        kind=_Counting)
    exits = {stat["name"]: stat["value"] for each in box.counters for stat in each["stats"]
             if isinstance(stat["value"], int) and stat["value"]}
    # Its TSC begins with the vCPU: firmware is in it.
    return {"kernel-to-init": _number(INIT, box.log, "kvm")}, exits


BOOTS = {"socle": boot_socle, "bare": boot_bare, "kvm": boot_kvm}


class _Sampler:
    """Sits at Socle's monitor while a VM runs, and asks for its exits again and again."""

    def __init__(self, box):
        self.serial, self.log, self.samples = box.serial, b"", []
        self.end = time.monotonic() + TIMEOUT

    def until(self, mark, start=0):
        """Waits for `mark` in the log, behind `start`; False if the line ends before."""
        while self.log.find(mark, start) < 0:
            if time.monotonic() > self.end:
                raise hosts.Failed(f"socle: no {mark.decode()!r} in {TIMEOUT} s")
            if not select.select([self.serial], [], [], 0.2)[0]:
                continue
            try:
                data = self.serial.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                return False
            self.log += data
        return True

    def carry(self):
        self.until(b"first entry after")
        self.serial.send(b"\x01m")
        self.until(b"socle> ")
        while VERDICT not in self.log:
            start = len(self.log)
            self.serial.send(b"stats bench --json\r")
            if not self.until(b'"done":"stats"', start):
                break
            self._note(objects(self.log[start:].decode(errors="replace")))
            time.sleep(SAMPLE_SECONDS)
        return self.log

    def _note(self, found):
        vcpus = [each for each in found if "vcpu" in each]
        if vcpus:
            self.samples.append((vcpus[0]["run"] + vcpus[0]["ready"] + vcpus[0]["halted"],
                                 {each["exit"]: (each["count"], each["ticks"]) for each in found
                                  if "exit" in each}))


def sample_socle(kernel):
    """[(ticks since the first entry, {reason: (exits, their ticks in Socle)})] until power-off."""
    taken = []

    def carry(box):
        sampler = _Sampler(box)
        taken.append(sampler)
        return sampler.carry()

    hosts.run_socle("samples", _modules(kernel), timeout=TIMEOUT, carry=carry)
    return taken[0].samples
